"""Read a result folder into data frames; an interrupted study loads as far as it got.

Nothing is computed here: every frame holds the rows of the CSV files of the same name, with the
columns ``variant`` and ``seed`` in front. What was left out, and why, is told in ``notes``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import ResultError
from analysis.folder_lock import LOCK, holder_of
from analysis.manifest import HOST_TIMES, Manifest, Variant, load_manifest
from analysis.rows import IN_SOME_STUDIES, SCHEMAS, Columns, empty_rows, read_rows

_SEED_FOLDER = re.compile(r"seed(\d{1,18})")
"""Seeds that a table can hold."""
_OPTIONAL = ("devices", *IN_SOME_STUDIES)
"""Files that a finished run may lack; folders of the first development versions have no devices."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Rows of all runs of a study that left any.

    Every frame starts with ``variant`` (folder name) and ``seed``. ``runs`` has one row a run:
    ``status`` (``done``, ``interrupted``, ``failed``, ``running``), ``num_rounds`` on disk,
    ``is_used`` (counts in statistics) and the host times of the manifest (NaN when unknown).
    A run counts when it is done; a variant without any is shown by its unfinished ones. One without
    an evaluation never counts, unless nothing was trained: then it needs a round.
    """

    folder: Path
    manifest: Manifest
    runs: pd.DataFrame
    devices: pd.DataFrame
    classes: pd.DataFrame
    rounds: pd.DataFrame
    clients: pd.DataFrame
    transfers: pd.DataFrame
    evaluations: pd.DataFrame
    energy: pd.DataFrame
    scores: pd.DataFrame
    rewards: pd.DataFrame
    answers: pd.DataFrame
    questions: pd.DataFrame
    privacy: pd.DataFrame
    notes: tuple[str, ...]
    is_timing_only: bool = False
    """Whether nothing was trained, so that there are times, bytes and joules and no metric."""
    interpolates: bool = False
    """Whether costs to a target are read between evaluations, see :func:`analysis.stats.to_target`.
    """

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.manifest.name

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Variants, in the order of the scenario."""
        return self.manifest.variants

    @property
    def targets(self) -> Mapping[str, float]:
        """Metric to the target that the scenario sets for it."""
        return self.manifest.targets

    @property
    def labels(self) -> dict[str, str]:
        """Variant name to label, in the order of the scenario."""
        return {variant.name: variant.label for variant in self.variants}

    @property
    def cost_label(self) -> str:
        """State which architecture the costs stand for when not the trained one; else empty."""
        return str(self.manifest.data.get("cost_label") or "")

    def used(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Keep the rows of runs that count in statistics."""
        if self.runs["is_used"].all():  # of large studies, so without copying a cell
            return rows.reset_index(drop=True)
        keys = self.runs.loc[self.runs["is_used"], ["variant", "seed"]]
        return rows.merge(keys, on=["variant", "seed"], how="inner")


def load_results(folder: Path | str) -> Results:
    """Read a result folder.

    Parameters
    ----------
    folder
        Folder that holds ``manifest.json`` and ``<variant>/seed<k>/*.csv``.

    Returns
    -------
    Results
        All rows on disk. ``notes`` names runs that are unfinished, missing or not in the manifest.

    Raises
    ------
    ResultError
        Folder or manifest is missing or malformed, a CSV lacks a column or holds a bad cell, or no
        run got as far as one evaluation (one round where nothing is trained).
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    known = {variant.name: variant for variant in manifest.variants}
    notes = _study_notes(folder, manifest)
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in SCHEMAS}
    runs: list[dict[str, Any]] = []
    absent: dict[str, set[str]] = {name: set() for name in SCHEMAS}
    for name, seed, run_folder in _run_folders(folder):
        if name not in known:
            notes.append(f"{name}/seed{seed}: not in the manifest, left out")
            continue
        entry = manifest.runs.get((name, seed), {})
        status = str(entry.get("status", "interrupted"))
        is_done = status == "done"
        tables = {
            kind: read_rows(
                run_folder / f"{kind}.csv",
                columns,
                is_done=is_done and kind not in _OPTIONAL,
                notes=notes,
                absent=absent[kind],
            )
            for kind, columns in SCHEMAS.items()
        }
        for kind, table in tables.items():
            frames[kind].append(_with_address(table, name, seed))
        runs.append(_run_row(name, seed, status, entry, tables))
    is_timing_only = _is_timing_only(manifest, runs)
    least = "num_rounds" if is_timing_only else "num_evaluations"
    if not any(row[least] for row in runs):
        holder = holder_of(folder)
        still = "" if holder is None else f"; still running: {holder}"
        what = "a round" if is_timing_only else "an evaluation"
        msg = f"{folder}: nothing finished: no run has {what} yet{still}"
        raise ResultError(msg)
    run_table = _mark_used(pd.DataFrame(runs), list(known), least=least)
    if not any(len(table) for table in frames["devices"]):
        notes.append("no devices.csv: how costs move with the speed of devices is not shown")
    notes += _absent_note(absent)
    notes += _status_notes(run_table, manifest.variants, manifest.seeds)
    data: dict[str, Any] = {kind: _join(frames.pop(kind), SCHEMAS[kind]) for kind in SCHEMAS}
    return Results(
        folder=folder,
        manifest=manifest,
        runs=run_table,
        notes=tuple(notes),
        is_timing_only=is_timing_only,
        **data,
    )


def _absent_note(absent: Mapping[str, set[str]]) -> list[str]:
    """Name the columns that files of older versions lack, in one line; nothing without any."""
    named = [
        f"{', '.join(name for name in SCHEMAS[kind] if name in names)} of {kind}.csv"
        for kind, names in absent.items()
        if names
    ]
    return [f"written by an older version, so without {'; '.join(named)}"] if named else []


def _is_timing_only(manifest: Manifest, runs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nothing was trained: the manifest says so, or runs ended without an evaluation."""
    if any(row["num_evaluations"] for row in runs):
        return False
    is_told = manifest.data.get("timing_only") is True
    return is_told or any(row["status"] == "done" and row["num_rounds"] for row in runs)


def _study_notes(folder: Path, manifest: Manifest) -> list[str]:
    """State whether a run writes to the folder now, or ended without a word."""
    holder = holder_of(folder)
    if holder is not None:
        return [f"still running, shown as far as it got: {holder}"]
    if manifest.status == "running" and (folder / LOCK).exists():
        return ["the study was killed: its manifest says running, but no process writes to it"]
    return []


def _run_folders(folder: Path) -> list[tuple[str, int, Path]]:
    """Find the runs on disk, by variant then seed number."""
    found = []
    for path in folder.glob("*/seed*"):
        match = _SEED_FOLDER.fullmatch(path.name)
        if match and path.is_dir():
            found.append((path.parent.name, int(match.group(1)), path))
    return sorted(found, key=lambda item: item[:2])


def _with_address(table: pd.DataFrame, variant: str, seed: int) -> pd.DataFrame:
    address = pd.DataFrame({"variant": variant, "seed": seed}, index=table.index)
    return pd.concat([address.astype({"variant": "str", "seed": "int64"}), table], axis=1)


def _join(tables: Sequence[pd.DataFrame], columns: Columns) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    if not filled:
        return _with_address(empty_rows(columns), "", 0)
    return pd.concat(filled, ignore_index=True)


def _run_row(
    variant: str,
    seed: int,
    status: str,
    entry: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    rounds, evaluations = tables["rounds"], tables["evaluations"]
    row: dict[str, Any] = {
        "variant": variant,
        "seed": seed,
        "status": status,
        "num_rounds": len(rounds),
        "num_evaluations": len(evaluations),
        "simulated_s": float(rounds["finished_at_s"].max()) if len(rounds) else 0.0,
    }
    row.update({key: entry.get(key, float("nan")) for key in HOST_TIMES})
    return row


def _mark_used(runs: pd.DataFrame, order: Sequence[str], *, least: str) -> pd.DataFrame:
    """Sort by scenario order and mark the runs that count: the done ones, where there are any.

    ``least`` is the column of what a run must have some of.
    """
    is_done = (runs["status"] == "done") & (runs[least] > 0)
    any_done = is_done.groupby(runs["variant"]).transform("any")
    runs = runs.assign(is_used=is_done | (~any_done & (runs[least] > 0)))
    rank = runs["variant"].map({name: place for place, name in enumerate(order)})
    return (
        runs.assign(rank=rank).sort_values(["rank", "seed"], ignore_index=True).drop(columns="rank")
    )


def _status_notes(
    runs: pd.DataFrame, variants: Sequence[Variant], seeds: Sequence[int]
) -> list[str]:
    notes = []
    for variant in variants:
        mine = runs[runs["variant"] == variant.name]
        for run in mine[mine["status"] != "done"].to_dict("records"):
            use = "shown as far as it got" if run["is_used"] else "left out of means"
            notes.append(
                f"{variant.label}, seed {run['seed']}: {run['status']} after "
                f"{run['num_rounds']} round{'' if run['num_rounds'] == 1 else 's'}; {use}"
            )
        absent = [seed for seed in seeds if seed not in set(mine["seed"])]
        if absent:
            listed = ", ".join(map(str, absent))
            notes.append(f"{variant.label}: no result for seed {listed}")
    return notes
