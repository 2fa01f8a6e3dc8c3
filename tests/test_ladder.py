"""The checks of the ladder can fail, and its table covers every step."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.ladder import NUM_STEPS, Ladder, steps, table

VALIDATION = Path(__file__).resolve().parent.parent / "docs" / "validation.md"


def kept(check):
    report = SimpleNamespace(user_properties=[], nodeid="tests/test_x.py::test_y[1]")
    check(Ladder(lambda name, value: report.user_properties.append((name, value))))
    return report


def test_values_outside_are_failures_and_recorded_all_the_same():
    found = []
    checks = Ladder(lambda *pair: found.append(pair))
    with pytest.raises(AssertionError):
        checks.near(1, "x", source="s", measured=[1.0, 1.2], expected=1.0, tolerance=0.1)
    with pytest.raises(AssertionError):
        checks.near(1, "x", source="s", measured=1.03, expected=1.0, rel=0.02)
    with pytest.raises(AssertionError):
        checks.near(1, "x", source="s", measured=2, expected=1, tolerance=0)
    with pytest.raises(AssertionError):
        checks.near(1, "x", source="s", measured=float("nan"), expected=1.0, tolerance=0.1)
    with pytest.raises(AssertionError):
        checks.below(1, "x", source="s", measured=2.0, limit=1.0, expected="less")
    with pytest.raises(AssertionError):
        checks.above(1, "x", source="s", measured=0.5, limit=1.0, expected="more")
    assert len(found) == 6


def test_the_table_shows_the_value_nearest_its_tolerance():
    near = {"source": "theory", "expected": 1.0, "tolerance": 0.1, "unit": "dB"}
    reports = [
        kept(lambda ladder: ladder.near(2, "gain", measured=[1.01, 0.95, 1.0], **near)),
        kept(lambda ladder: ladder.near(2, "gain", measured=1.02, **near)),
        kept(
            lambda ladder: ladder.near(1, "count", source="s", measured=7, expected=7, tolerance=0)
        ),
    ]
    lines = table(reports)
    assert lines[2:] == [
        "| 1 | count | s | 7 | exact | 7 | `tests/test_x.py` |",
        "| 2 | gain | theory | 1 dB | 0.1 dB | 0.95 dB (worst of 4) | `tests/test_x.py` |",
    ]
    assert steps(lines) == {1, 2}


def test_the_document_shows_every_step():
    text = VALIDATION.read_text(encoding="utf-8")
    _, _, ladder = text.partition("## The ladder")
    assert steps(ladder.splitlines()) == set(range(1, NUM_STEPS + 1))
