"""Read a result folder into data frames; an interrupted study loads as far as it got.

Nothing is computed here: every frame holds the rows of the CSV files of the same name, with the
columns ``variant`` and ``seed`` in front. What was left out, and why, is told in ``notes``.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Columns = Mapping[str, str]
"""Column name to ``int``, ``float`` or ``text``, with ``?`` where a cell may be empty."""

SCHEMAS: dict[str, Columns] = {
    "rounds": {
        "round": "int",
        "started_at_s": "float",
        "finished_at_s": "float",
        "num_selected": "int",
        "num_received": "int",
        "num_late": "int",
        "num_failed": "int",
        "uplink_bytes": "int",
        "downlink_bytes": "int",
        "energy_j": "float",
        "site_energy_j": "float",
    },
    "clients": {
        "round": "int",
        "client_id": "int",
        "outcome": "text",
        "download_s": "float?",
        "compute_s": "float?",
        "upload_s": "float?",
        "compute_j": "float",
        "radio_j": "float",
        "train_loss": "float?",
        "staleness": "int",
    },
    "transfers": {
        "client_id": "int",
        "direction": "text",
        "size_bytes": "int",
        "requested_at_s": "float",
        "started_at_s": "float?",
        "finished_at_s": "float?",
        "energy_j": "float",
        "status": "text",
    },
    "evaluations": {
        "round": "int",
        "at_s": "float",
        "energy_j": "float",
        "site_energy_j": "float",
        "uplink_bytes": "int",
        "downlink_bytes": "int",
        "metric": "text",
        "split": "text",
        "mean": "float?",
        "std": "float?",
        "worst10": "float?",
        "n": "int",
    },
    "energy": {"owner": "text", "activity": "text", "seconds": "float", "energy_j": "float"},
}
"""Columns that analysis reads; further columns of a file are kept as they are."""

HOST_TIMES = ("host_total_s", "host_train_s", "host_eval_s", "host_other_fraction")
"""What the manifest may say of a run in numbers."""

_DTYPES: dict[str, Any] = {"int": "int64", "float": "float64", "text": "str"}
_SEED_FOLDER = re.compile(r"seed(\d+)")


class ResultError(Exception):
    """A result folder that cannot be used; the message is one line that says why."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One cell of the study: a method with one setting of every matrix knob."""

    name: str
    """Folder name."""
    label: str
    """Name on figures and tables."""
    method: str
    knobs: Mapping[str, object] = field(default_factory=dict)
    """Dotted scenario key to its value in this variant."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Rows of all runs of a study that left any.

    Every frame starts with ``variant`` (folder name) and ``seed``. ``runs`` has one row a run:
    ``status`` (``done``, ``interrupted``, ``failed``, ``running``), ``num_rounds`` on disk,
    ``is_used`` (counts in statistics) and the host times of the manifest (NaN when unknown).
    A run counts when it is done; a variant without any is shown by its unfinished ones.
    """

    folder: Path
    manifest: Mapping[str, Any]
    name: str
    variants: tuple[Variant, ...]
    targets: Mapping[str, float]
    runs: pd.DataFrame
    rounds: pd.DataFrame
    clients: pd.DataFrame
    transfers: pd.DataFrame
    evaluations: pd.DataFrame
    energy: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def labels(self) -> dict[str, str]:
        """Variant name to label, in the order of the scenario."""
        return {variant.name: variant.label for variant in self.variants}

    @property
    def cost_label(self) -> str:
        """Say which architecture the costs stand for when not the trained one; else empty."""
        return str(self.manifest.get("cost_label") or "")

    def used(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Keep the rows of runs that count in statistics."""
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
        run got as far as one evaluation.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    variants = _variants(folder, manifest)
    known = {variant.name: variant for variant in variants}
    notes: list[str] = []
    told = _told_runs(folder, manifest)
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in SCHEMAS}
    runs: list[dict[str, Any]] = []
    for name, seed, run_folder in _run_folders(folder):
        if name not in known:
            notes.append(f"{name}/seed{seed}: not in the manifest, left out")
            continue
        entry = told.get((name, seed), {})
        status = str(entry.get("status", "interrupted"))
        tables = {
            kind: _read_csv(run_folder / f"{kind}.csv", columns, is_done=status == "done")
            for kind, columns in SCHEMAS.items()
        }
        for kind, table in tables.items():
            frames[kind].append(_with_address(table, name, seed))
        runs.append(_run_row(name, seed, status, entry, tables))
    if not any(row["num_evaluations"] for row in runs):
        msg = f"{folder}: nothing finished: no run has an evaluation yet"
        raise ResultError(msg)
    run_table = _mark_used(pd.DataFrame(runs), list(known))
    notes += _status_notes(run_table, variants, _seeds(folder, manifest))
    data = {kind: _join(tables, SCHEMAS[kind]) for kind, tables in frames.items()}
    return Results(
        folder=folder,
        manifest=manifest,
        name=str(manifest.get("name", folder.name)),
        variants=tuple(variants),
        targets=_targets(folder, manifest),
        runs=run_table,
        notes=tuple(notes),
        **data,
    )


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        msg = f"{folder}: no such result folder"
        raise ResultError(msg)
    path = folder / "manifest.json"
    if not path.is_file():
        msg = f"{folder}: no manifest.json; a result folder is out/<scenario>"
        raise ResultError(msg)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path}: not readable as JSON: {error}"
        raise ResultError(msg) from None
    if not isinstance(manifest, dict):
        msg = f"{path}: must hold one JSON object, got {type(manifest).__name__}"
        raise ResultError(msg)
    return manifest


def _variants(folder: Path, manifest: Mapping[str, Any]) -> list[Variant]:
    try:
        variants = [
            Variant(
                name=str(entry["name"]),
                label=str(entry.get("label") or entry["name"]),
                method=str(entry["method"]),
                knobs=dict(entry.get("knobs") or {}),
            )
            for entry in manifest["variants"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        rule = "variants: must be a list of objects with name and method"
        msg = f"{folder / 'manifest.json'}: {rule}, got {error!r}"
        raise ResultError(msg) from None
    labels = [variant.label for variant in variants]
    if len(set(labels)) < len(labels):
        variants = [
            Variant(name=v.name, label=v.name, method=v.method, knobs=v.knobs) for v in variants
        ]
    return variants


def _seeds(folder: Path, manifest: Mapping[str, Any]) -> list[int]:
    try:
        return [int(seed) for seed in manifest.get("seeds", [])]
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"{folder / 'manifest.json'}: seeds: must be a list of whole numbers, got {error!r}"
        raise ResultError(msg) from None


def _targets(folder: Path, manifest: Mapping[str, Any]) -> dict[str, float]:
    try:
        return {str(k): float(v) for k, v in (manifest.get("targets") or {}).items()}
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        msg = f"{folder / 'manifest.json'}: targets: must be numbers by metric, got {error!r}"
        raise ResultError(msg) from None


def _told_runs(folder: Path, manifest: Mapping[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """Give the manifest's entries of runs by variant and seed; host times are numbers or absent."""
    told = {}
    try:
        for entry in manifest.get("runs", []):
            times = {
                key: float("nan") if entry.get(key) is None else float(entry[key])
                for key in HOST_TIMES
            }
            told[str(entry["variant"]), int(entry["seed"])] = {**entry, **times}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        rule = "runs: must be a list of objects with variant, seed and host times in numbers"
        msg = f"{folder / 'manifest.json'}: {rule}, got {error!r}"
        raise ResultError(msg) from None
    return told


def _run_folders(folder: Path) -> list[tuple[str, int, Path]]:
    """Find the runs on disk, by variant then seed number."""
    found = []
    for path in folder.glob("*/seed*"):
        match = _SEED_FOLDER.fullmatch(path.name)
        if match and path.is_dir():
            found.append((path.parent.name, int(match.group(1)), path))
    return sorted(found, key=lambda item: item[:2])


def _read_csv(path: Path, columns: Columns, *, is_done: bool) -> pd.DataFrame:
    """Read one file, all columns typed; a last line cut off by a kill is dropped."""
    if not path.is_file():
        if is_done:
            msg = f"{path}: missing, though the manifest says that this run is done"
            raise ResultError(msg)
        return _empty(columns)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        msg = f"{path}: is not UTF-8 text"
        raise ResultError(msg) from None
    if text and not text.endswith("\n"):
        if is_done:
            msg = f"{path}: ends in the middle of a row, though the manifest says done"
            raise ResultError(msg)
        text = text[: text.rfind("\n") + 1]
    if not text:
        return _empty(columns)
    try:
        table = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=["", "nan", "NaN"])
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        msg = f"{path}: {error}".splitlines()[0]
        raise ResultError(msg) from None
    missing = [name for name in columns if name not in table.columns]
    if missing:
        msg = f"{path}: lacks the column {', '.join(missing)}; it has {', '.join(table.columns)}"
        raise ResultError(msg)
    for name, kind in columns.items():
        table[name] = _typed(table[name], kind, path)
    return table


def _typed(cells: "pd.Series[Any]", kind: str, path: Path) -> "pd.Series[Any]":
    """Give a column its type, or name the first cell that does not fit."""
    base = kind.rstrip("?")
    if base == "text":
        return cells.fillna("").astype("str")
    numbers = pd.to_numeric(cells, errors="coerce")
    bad = numbers.isna() & cells.notna()
    if not kind.endswith("?"):
        bad |= cells.isna()
    if base == "int":
        bad |= numbers % 1 != 0
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        want = "a whole number" if base == "int" else "a number"
        cell = cells.iloc[row]
        got = "an empty cell" if pd.isna(cell) else repr(str(cell))
        msg = f"{path}: line {row + 2}: {cells.name}: must be {want}, got {got}"
        raise ResultError(msg)
    return numbers.astype(_DTYPES[base])


def _empty(columns: Columns) -> pd.DataFrame:
    types = {name: _DTYPES[kind.rstrip("?")] for name, kind in columns.items()}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


def _with_address(table: pd.DataFrame, variant: str, seed: int) -> pd.DataFrame:
    address = pd.DataFrame({"variant": variant, "seed": seed}, index=table.index)
    return pd.concat([address.astype({"variant": "str", "seed": "int64"}), table], axis=1)


def _join(tables: Sequence[pd.DataFrame], columns: Columns) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    if not filled:
        return _with_address(_empty(columns), "", 0)
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


def _mark_used(runs: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Sort by scenario order and mark the runs that count: the done ones, where there are any."""
    is_done = (runs["status"] == "done") & (runs["num_evaluations"] > 0)
    any_done = is_done.groupby(runs["variant"]).transform("any")
    runs = runs.assign(is_used=is_done | (~any_done & (runs["num_evaluations"] > 0)))
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
