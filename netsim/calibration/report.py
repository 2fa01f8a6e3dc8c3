"""The calibration as a table and a figure: measured percentiles and those of the companies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from netsim.calibration.cases import QUANTITIES, Quantity, cases, targets
from netsim.calibration.drop import DropResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUM_BATCHES = 6
"""Batches of drops whose scatter gives the standard error."""

ENVELOPE_CASE = "uma_mmtc_700_isd500"
"""Case with smallest and largest results of the companies at seven percentiles."""

MODEL_B_ENDING = "_b"
"""Suffix of the names of cases with channel model B, which are drawn dashed."""

LABELS: dict[Quantity, str] = {
    "coupling_gain": "coupling gain [dB]",
    "geometry": "geometry (wideband downlink SINR) [dB]",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One percentile: the companies' results and the measured value."""

    case: str
    quantity: Quantity
    percentile: float
    company_mean_db: float
    company_min_db: float | None
    company_max_db: float | None
    num_companies: int
    measured_db: float
    standard_error_db: float
    """Standard error from the scatter between batches of drops [dB]."""
    gap_db: float
    """Measured value minus mean of the companies [dB]."""
    is_within_companies: bool | None
    """Whether the measured value lies between those of the companies; ``None`` if unknown."""


def compare(case: str, result: DropResult, *, num_drops: int) -> list[Row]:
    """Return the percentiles of drops and of the companies for one case.

    Parameters
    ----------
    case
        Name of the case.
    result
        Pooled drops, see :func:`netsim.calibration.drop.run_drops`.
    num_drops
        Number of drops in it, at least 6 for a standard error.
    """
    if num_drops < NUM_BATCHES:
        msg = f"num_drops: must be >= {NUM_BATCHES} for a standard error, got {num_drops}"
        raise ValueError(msg)
    samples = {quantity: getattr(result, f"{quantity}_db") for quantity in QUANTITIES}
    rows = []
    for target in targets(case):
        sample_db = samples[target.quantity]
        measured_db = float(np.percentile(sample_db, target.percentile))
        batches = np.array_split(sample_db.reshape(num_drops, -1), NUM_BATCHES)
        scatter_db = np.std([np.percentile(batch, target.percentile) for batch in batches], ddof=1)
        is_within = None
        if target.min_db is not None and target.max_db is not None:
            is_within = target.min_db <= measured_db <= target.max_db
        rows.append(
            Row(
                case=case,
                quantity=target.quantity,
                percentile=target.percentile,
                company_mean_db=target.mean_db,
                company_min_db=target.min_db,
                company_max_db=target.max_db,
                num_companies=target.num_companies,
                measured_db=measured_db,
                standard_error_db=float(scatter_db / NUM_BATCHES**0.5),
                gap_db=measured_db - target.mean_db,
                is_within_companies=is_within,
            )
        )
    return rows


def table_text(rows: list[Row]) -> str:
    """Return the comparison as lines of text."""
    lines = [
        f"{'case':<22}{'quantity':<15}{'pct':>4}{'companies':>11}{'min..max':>20}"
        f"{'measured':>10}{'+-':>6}{'gap':>7}"
    ]
    for row in rows:
        span = "-"
        if row.company_min_db is not None:
            verdict = "in" if row.is_within_companies else "OUT"
            span = f"{row.company_min_db:.2f}..{row.company_max_db:.2f} {verdict}"
        lines.append(
            f"{row.case:<22}{row.quantity:<15}{row.percentile:>4.0f}{row.company_mean_db:>11.2f}"
            f"{span:>20}{row.measured_db:>10.2f}{row.standard_error_db:>6.2f}{row.gap_db:>+7.2f}"
        )
    return "\n".join(lines)


def draw_figure(results: Mapping[str, DropResult], path: Path) -> None:
    """Draw the distribution functions of all cases over the companies' percentiles.

    Parameters
    ----------
    results
        Drops by case.
    path
        File to write; the suffix decides the format.
    """
    # Imported here: the simulator itself runs without a plotting library.
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(11, 8.5), layout="constrained")
    axes = figure.subplots(2, 2)
    others = [name for name in results if name != ENVELOPE_CASE]
    for column, quantity in enumerate(QUANTITIES):
        if ENVELOPE_CASE in results:
            _draw_envelope(axes[0, column], results[ENVELOPE_CASE], quantity)
        _draw_cases(axes[1, column], {name: results[name] for name in others}, quantity)
        for row in (0, 1):
            axes[row, column].set(xlabel=LABELS[quantity], ylabel="share of UEs below", ylim=(0, 1))
            axes[row, column].grid(alpha=0.3)
    figure.suptitle("Downlink calibration against 3GPP RP-180524 (channel model A; dashed: B)")
    figure.savefig(path, dpi=110)


def _draw_envelope(axes: "Axes", result: DropResult, quantity: Quantity) -> None:
    """Draw one case over the ranges of the companies' results."""
    known = [target for target in targets(ENVELOPE_CASE) if target.quantity == quantity]
    share = [target.percentile / 100 for target in known]
    low_db = [target.min_db for target in known if target.min_db is not None]
    high_db = [target.max_db for target in known if target.max_db is not None]
    mean_db = [target.mean_db for target in known]
    num = known[0].num_companies
    axes.plot(*_distribution(result, quantity), color="tab:blue", label="Airtune")
    # Bars, not a band: only these percentiles were reported.
    axes.hlines(
        share,
        low_db,
        high_db,
        color="tab:gray",
        linewidth=5,
        alpha=0.6,
        label=f"{num} companies, min to max",
    )
    axes.plot(mean_db, share, "o", color="black", markersize=4, label="their mean")
    axes.set_title(cases()[ENVELOPE_CASE].title)
    axes.legend(loc="upper left", fontsize="small")


def _draw_cases(axes: "Axes", results: Mapping[str, DropResult], quantity: Quantity) -> None:
    """Draw cases as lines, and the means of the companies as dots of the same colour."""
    for name, result in results.items():
        style = "--" if name.endswith(MODEL_B_ENDING) else "-"
        (line,) = axes.plot(*_distribution(result, quantity), style, label=cases()[name].title)
        known = [target for target in targets(name) if target.quantity == quantity]
        axes.plot(
            [target.mean_db for target in known],
            [target.percentile / 100 for target in known],
            "o",
            color=line.get_color(),
            markeredgecolor="black",
        )
        for target in known:
            if target.min_db is not None and target.max_db is not None:
                axes.hlines(
                    target.percentile / 100, target.min_db, target.max_db, color=line.get_color()
                )
    axes.set_title("dots: mean of the companies; bars: min to max, where read")
    axes.legend(loc="lower right", fontsize="x-small")


def _distribution(result: DropResult, quantity: Quantity) -> tuple[np.ndarray, np.ndarray]:
    share = np.linspace(0.002, 0.998, 499)
    return np.quantile(getattr(result, f"{quantity}_db"), share), share
