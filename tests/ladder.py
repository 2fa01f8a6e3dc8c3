"""Checks of the ladder of evidence: each asserts, and says what was measured.

``python -m pytest --ladder`` runs the tests that use the fixture ``ladder`` and prints one line a
check: expected beside measured. ``docs/validation.md`` shows that table.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

NUM_STEPS = 28
PROPERTY = "ladder"
HEAD = ["#", "what", "source", "expected", "tolerance", "measured", "test"]


@dataclass(frozen=True, slots=True)
class Check:
    """One quantity of a step."""

    step: int
    what: str
    source: str
    expected: str
    tolerance: str
    measured: str
    strain: float
    """How far from the expected value, in tolerances; decides which of many is shown."""
    num_values: int = 1


class Ladder:
    """What a test calls instead of ``assert``; ``record`` is pytest's ``record_property``."""

    def __init__(self, record):
        self._record = record

    def near(self, step, what, *, source, measured, expected, tolerance=None, rel=None, unit=""):
        """Assert that every value lies within an absolute or a relative tolerance; 0: exact."""
        found, wanted = np.broadcast_arrays(
            np.asarray(measured, float), np.asarray(expected, float)
        )
        limit = np.full(found.shape, tolerance) if rel is None else rel * np.abs(wanted)
        off = np.abs(found - wanted)
        strain = np.divide(off, limit, out=np.where(off > 0, np.inf, 0.0), where=limit > 0)
        worst = np.unravel_index(np.argmax(strain), strain.shape)
        digits = ".6g"
        if rel is not None:
            text = f"{100 * rel:g} %" if rel >= 1e-4 else f"{rel:g} of it"
        elif tolerance > 0:
            text = f"{tolerance:.2g}{_unit(unit)}"
        else:
            text, digits = "exact", ".15g"
        self._keep(
            Check(
                step=step,
                what=what,
                source=source,
                expected=f"{float(wanted[worst]):{digits}}{_unit(unit)}",
                tolerance=text,
                measured=f"{float(found[worst]):{digits}}{_unit(unit)}",
                strain=float(strain[worst]),
                num_values=found.size,
            )
        )
        assert np.all(off <= limit), (what, found[worst], wanted[worst])

    def below(self, step, what, *, source, measured, limit, expected, unit=""):
        """Assert that a value is below a limit; ``expected`` says in words what it should be."""
        self._keep(
            Check(
                step=step,
                what=what,
                source=source,
                expected=expected,
                tolerance=f"< {limit:g}{_unit(unit)}",
                measured=f"{float(measured):.4g}{_unit(unit)}",
                strain=float(measured / limit),
            )
        )
        assert measured < limit, (what, measured)

    def above(self, step, what, *, source, measured, limit, expected, unit=""):
        """Assert that a value is above a limit; ``expected`` says in words what it should be."""
        self._keep(
            Check(
                step=step,
                what=what,
                source=source,
                expected=expected,
                tolerance=f"> {limit:g}{_unit(unit)}",
                measured=f"{float(measured):.4g}{_unit(unit)}",
                strain=-float(measured),
            )
        )
        assert measured > limit, (what, measured)

    def _keep(self, check):
        self._record(PROPERTY, asdict(check))


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""


def table(reports: Iterable) -> list[str]:
    """Give the lines of a Markdown table: of each quantity, the value nearest its tolerance."""
    shown: dict[tuple[int, str], tuple[dict, str]] = {}
    total: dict[tuple[int, str], int] = {}
    for report in reports:
        for name, check in report.user_properties:
            if name != PROPERTY:
                continue
            key = check["step"], check["what"]
            total[key] = total.get(key, 0) + check["num_values"]
            if key not in shown or check["strain"] > shown[key][0]["strain"]:
                shown[key] = check, report.nodeid.split("::")[0]
    lines = [_line(HEAD), _line("---" for _ in HEAD)]
    for key in sorted(shown, key=lambda key: key[0]):
        check, path = shown[key]
        count = f" (worst of {total[key]})" if total[key] > 1 else ""
        cells = [check[name] for name in ("source", "expected", "tolerance")]
        lines.append(_line([key[0], key[1], *cells, check["measured"] + count, f"`{path}`"]))
    return lines


def _line(cells: Iterable) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def steps(lines: Iterable[str]) -> set[int]:
    """Give the steps that a table has."""
    first = (line.split("|")[1].strip() for line in lines if line.startswith("| "))
    return {int(cell) for cell in first if cell.isdigit()}
