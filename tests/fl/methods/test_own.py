"""A method in a user's file: the printed example runs; whatever is wrong is one line."""

from pathlib import Path

import pytest
import torch

from fl.methods import install_method
from fl.methods.base import Contribution
from fl.methods.own import OwnConfig
from fl.problems import OwnCodeError
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import classifier, federation

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "own_method.py"


def install(kind, **settings):
    config = OwnConfig(kind=kind, settings=settings)
    return install_method(config, classifier(), generator=torch.Generator().manual_seed(1))


def test_the_printed_example_runs_and_has_forty_lines_at_most():
    assert len(EXAMPLE.read_text().splitlines()) <= 40
    played = federation(OwnConfig(kind=f"{EXAMPLE}:MedianHead"), num_rounds=4, cohort=3)
    played.env.run(until=played.env.process(run_rounds(played)))
    assert [row.round for row in played.recorder.evaluations[::2]] == [0, 1, 2, 3, 4]
    assert played.state.version == 4
    for name, value in played.method.initial.items():
        assert not torch.equal(played.state.tensors[name], value)
    head = sum(value.numel() for value in played.method.initial.values())
    up, down = played.facts().upload_bytes, played.facts().download_bytes
    assert down - up == pytest.approx(2 * head, abs=16)  # two bytes a number less, and its header


def test_the_median_is_that_of_numpy():
    method = install(f"{EXAMPLE}:MedianHead")
    state = method.initial_state()
    made = []
    for client_id in range(3):
        trained = {k: torch.full_like(v, float(client_id**2)) for k, v in method.initial.items()}
        payload = method.upload(trained, version=0)
        made.append(Contribution(client_id=client_id, payload=payload, weight=1, staleness=0))
    after = method.aggregate(state, made)
    assert all(bool((value == 1).all()) for value in after.tensors.values())


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("x = 1", "Mine", "mine.py has no class 'Mine'"),
        ("def (", "Mine", "does not run: SyntaxError"),
        ("raise SystemExit(3)", "Mine", "does not run: SystemExit: 3"),
        ("class Mine: pass", "Mine", "mine.py:1: Mine needs install(self, module, *, generator)"),
        (
            "class Mine:\n    def __init__(self, rank): pass\n    def install(self): pass",
            "Mine",
            "methods.rank: missing; Mine needs it",
        ),
        (
            "class Mine:\n    def install(self, module, *, generator): return 1",
            "Mine",
            "mine.py:1: int needs kind",
        ),
        (
            "class Mine:\n    def install(self, module, *, generator): 1 / 0",
            "Mine",
            "mine.py:2: install: ZeroDivisionError",
        ),
    ],
)
def test_whatever_is_wrong_is_one_line(tmp_path, text, name, said):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(OwnCodeError) as caught:
        install(f"{file}:{name}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(OwnCodeError, match=r"no file 'nowhere\.py'"):
        install("nowhere.py:Mine")
