"""How seconds and joules to a target move over the ranges of the devices' speeds and powers.

Nothing is simulated again. The time of a synchronous round is that of its slowest client: download,
computing, upload. With computing made longer or shorter by each class's range, the longest of these
sums gives the round's new time. Transfers keep their durations, though at other instants they would
meet other traffic; what was received stays received. Energy of computing goes with its time,
transfers keep theirs, and what is left (radios that wait) keeps its mean power.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.load import Results
from analysis.stats import target_summary, to_target
from analysis.tables import Row, Table, splits_of, target_cell, target_name
from analysis.text_safety import file_name
from analysis.units import display_unit

_J_PER_WH = 3600.0
ROUNDING = 1e-6
"""Relative error of sums of seconds."""
_RUN = ["variant", "seed"]

_HEADS = {
    "slow_at_s": "time [{unit}], slow devices",
    "at_s": "time [{unit}]",
    "fast_at_s": "time [{unit}], fast devices",
    "slow_energy_j": "client energy [{unit}], slow devices",
    "low_power_energy_j": "client energy [{unit}], low power",
    "energy_j": "client energy [{unit}]",
    "high_power_energy_j": "client energy [{unit}], high power",
    "fast_energy_j": "client energy [{unit}], fast devices",
    "battery_percent": "fullest use of a battery [%]",
}
"""Columns and their heads."""
_NOTES = (
    "Slow and fast devices: computing at the low and the high end of the range of each client's "
    "class (devices.csv), low and high power likewise. Recomputed from the rows, not simulated: a "
    "round ends with its slowest client's download, computing and upload; transfers last as long "
    "as they did, though at other instants they would meet other traffic; radios that wait keep "
    "their mean power. “-”: a deadline cut clients off, or clients work across rounds or several "
    "times in one, so that other speeds mean other updates.",
    "Battery: the largest share of a full one that any client spent on computing and transfers.",
)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """The rows of one run until it met its target."""

    parts: pd.DataFrame
    """Participations, each with the device of its client."""
    at_s: float
    energy_j: float
    is_fixed: bool
    """Whether the same updates are received at other speeds, each round as long as its slowest."""

    def costs(self) -> dict[str, float]:
        """Return the columns of the table but those that name the run."""
        slow = self.parts["flop_per_s"] / self.parts["low_flop_per_s"]
        fast = self.parts["flop_per_s"] / self.parts["high_flop_per_s"]
        found = {"at_s": self.at_s, "energy_j": self.energy_j}
        for name, scale in (("slow", slow), ("fast", fast)):
            found[f"{name}_at_s"], found[f"{name}_energy_j"] = self._scaled(scale)
        for name in ("low", "high"):
            power = self.parts[f"{name}_w"] / self.parts["compute_w"]
            more_j = float((self.parts["compute_j"] * (power - 1)).sum())
            found[f"{name}_power_energy_j"] = self.energy_j + more_j
        return found | {"battery_percent": self._battery_percent()}

    def _scaled(self, scale: "pd.Series[float]") -> tuple[float, float]:
        """Return seconds and joules with computing times scaled, by participation."""
        if not self.is_fixed:
            return math.nan, math.nan
        parts = self.parts
        computing = parts["compute_s"].fillna(0.0)
        transfers = _transfers_s(parts)
        before, after = (
            (transfers + computing * each).groupby(parts["round"]).max() for each in (1.0, scale)
        )
        at_s = self.at_s + float((after - before).sum())
        compute_j, radio_j = float(parts["compute_j"].sum()), float(parts["radio_j"].sum())
        waiting_j = self.energy_j - compute_j - radio_j
        stretch = at_s / self.at_s if self.at_s > 0 else 1.0
        return at_s, float((parts["compute_j"] * scale).sum()) + radio_j + waiting_j * stretch

    def _battery_percent(self) -> float:
        """Return the largest share of a full battery that a client spent; NaN without any."""
        spent_j = (self.parts["compute_j"] + self.parts["radio_j"]).groupby(self.parts["client_id"])
        full_j = self.parts.groupby("client_id")["battery_wh"].first() * _J_PER_WH
        return float((100.0 * spent_j.sum() / full_j).max())


def device_table(results: Results, *, metric: str, target: float) -> Table | None:
    """Return the cost to a target over the ranges of the devices, one row a variant.

    The split is that of the study's targets. ``None`` where the folder does not say what its
    clients compute with, or no variant was evaluated on that split.
    """
    split = str(results.manifest.data.get("target_split") or "personal")
    if results.devices.empty or split not in splits_of(results, metric):
        return None
    reached = to_target(
        results.used(results.evaluations), metric=metric, split=split, target=target
    )
    costs = [
        {**{key: row[key] for key in (*_RUN, "is_reached")}, **_costs(results, row)}
        for row in reached.to_dict("records")
    ]
    frame = pd.DataFrame(costs)
    summaries = {name: _summary(frame, name) for name in _HEADS}
    return _table(results, summaries, metric=metric, target=target)


def _costs(results: Results, row: Row) -> dict[str, float]:
    """Return the costs of one run; all NaN where it did not meet the target."""
    if not row["is_reached"]:
        return dict.fromkeys(_HEADS, math.nan)
    rounds, clients = (
        frame[
            (frame["variant"] == row["variant"])
            & (frame["seed"] == row["seed"])
            & (frame["round"] <= row["round"])
        ]
        for frame in (results.rounds, results.clients)
    )
    run = _Run(
        parts=clients.merge(results.devices, on=[*_RUN, "client_id"], how="inner"),
        at_s=float(row["at_s"]),
        energy_j=float(row["energy_j"]),
        is_fixed=_is_fixed(rounds, clients),
    )
    return run.costs()


def _is_fixed(rounds: pd.DataFrame, clients: pd.DataFrame) -> bool:
    """Return whether every client works once a round, within it, and no deadline cuts it off."""
    if rounds["num_late"].sum() > 0 or clients.duplicated(["round", "client_id"]).any():
        return False
    busy_s = (clients["compute_s"].fillna(0.0) + _transfers_s(clients)).groupby(clients["round"])
    of_round = rounds.set_index("round")
    lasts_s = of_round["finished_at_s"] - of_round["started_at_s"]
    return bool((busy_s.max() <= lasts_s.reindex(busy_s.max().index) * (1 + ROUNDING)).all())


def _transfers_s(parts: pd.DataFrame) -> "pd.Series[float]":
    """Return the seconds of download and upload of each participation."""
    return parts["download_s"].fillna(0.0) + parts["upload_s"].fillna(0.0)


def _summary(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Summarise a column by variant; where a run that got there has no value, there is none."""
    table = target_summary(frame, column=column)
    is_unknown = (frame["is_reached"] & frame[column].isna()).groupby(frame["variant"]).any()
    values = ["mean", "half_width", "low", "high"]
    table.loc[is_unknown.reindex(table.index), values] = math.nan
    return table


def _table(
    results: Results, summaries: Mapping[str, pd.DataFrame], *, metric: str, target: float
) -> Table:
    units = {
        name: display_unit(name, float(table["high"].max())) for name, table in summaries.items()
    }
    by_variant = {name: table.to_dict("index") for name, table in summaries.items()}
    numbers, text = [], []
    for variant in results.variants:
        if variant.name not in summaries["at_s"].index:
            continue
        rows: dict[str, Row] = {name: table[variant.name] for name, table in by_variant.items()}
        values: dict[str, object] = {"variant": variant.name, "n": int(rows["at_s"]["n"])}
        cells: dict[str, object] = {"variant": variant.label}
        for name, row in rows.items():
            values[f"{name}_mean"] = float(row["mean"])
            values[f"{name}_half_width"] = float(row["half_width"])
            head = _HEADS[name].format(unit=units[name].symbol)
            is_known = row["num_reached"] == 0 or not math.isnan(row["high"])
            cells[head] = target_cell(row, units[name].scale) if is_known else "-"
        numbers.append(values)
        text.append(cells)
    label = (f"Costs {results.cost_label}.",) if results.cost_label else ()
    return Table(
        name=file_name(f"devices_{metric}_{target:g}"),
        title=f"Cost to {target_name(metric, target)} over the ranges of the devices",
        numbers=pd.DataFrame(numbers),
        text=pd.DataFrame(text),
        notes=(*_NOTES, *label),
    )
