"""The manifest of a result folder, read with every entry checked."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from analysis import knob_words
from analysis.errors import ResultError
from analysis.folder_files import MANIFEST, RESULT_SCHEMA, run_id_of, schema_of

HOST_TIMES = ("host_total_s", "host_train_s", "host_eval_s", "host_other_fraction")
"""What the manifest may say of a run in numbers."""

CASE = "case"
"""The knob whose value is the name of a case."""

MAX_DEPTH = 40
"""Deepest nesting of a manifest."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One cell of the study: a method in one case with one setting of every matrix knob."""

    name: str
    """Folder name."""
    label: str
    """Name on figures and tables."""
    method: str
    knobs: Mapping[str, object] = field(default_factory=dict)
    """Dotted scenario key to its value in this variant, as figures call it; ``case`` to the name
    of its case. In the order of the scenario."""

    @property
    def method_label(self) -> str:
        """Name of the method, without what its case and knobs say."""
        return self.label.partition(" (")[0] if self.knobs else self.label

    @property
    def setting(self) -> str:
        """Its case and knobs in words; empty in a study without."""
        return setting_words(self.knobs)


def setting_words(knobs: Mapping[str, object]) -> str:
    """Return a case and knobs in words; empty where there are none."""
    return knob_words.setting_words(knobs, case=CASE)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a manifest says of a study; ``data`` is all of it as it was read."""

    data: Mapping[str, Any]
    name: str
    status: str
    run_id: str | None
    """``None`` in folders that are older than the mark."""
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    targets: Mapping[str, float]
    """Metric to a finite number."""
    runs: Mapping[tuple[str, int], Mapping[str, Any]]
    """Entries of runs by variant and seed; their host times are numbers, NaN when unknown."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the JSON object in a folder's manifest; its entries are not looked at.

    Raises
    ------
    ResultError
        Folder or manifest is missing, or the manifest is no JSON object of finite numbers with at
        most :data:`MAX_DEPTH` levels.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such result folder"
        raise ResultError(msg)
    path = folder / MANIFEST
    if not path.is_file():
        msg = f"{folder}: no {MANIFEST}, so it is not a result folder; that is out/<scenario>"
        raise ResultError(msg)
    try:
        manifest = json.loads(
            path.read_text(encoding="utf-8"), parse_float=_finite, parse_constant=_refuse_constant
        )
    except ValueError as error:
        msg = f"{path}: not readable as JSON: {error}"
        raise ResultError(msg) from None
    except RecursionError:
        raise _too_deep(path) from None
    if not isinstance(manifest, dict):
        msg = f"{path}: must hold one JSON object, got {type(manifest).__name__}"
        raise ResultError(msg)
    _check_depth(path, manifest)
    return {_printable(key): _without_surrogates(value) for key, value in manifest.items()}


def load_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest and check every entry that analysis uses.

    Raises
    ------
    ResultError
        As :func:`read_manifest`; an entry has the wrong form; or a newer Airtune wrote it.
    """
    data = read_manifest(folder)
    version = schema_of(data)
    if version is not None and version > RESULT_SCHEMA:
        msg = (
            f"{folder}: written by a newer Airtune: result schema {version}, "
            f"this one reads up to {RESULT_SCHEMA}"
        )
        raise ResultError(msg)
    return Manifest(
        data=data,
        name=str(data.get("name", folder.name)),
        status=str(data.get("status", "unknown")),
        run_id=run_id_of(data),
        variants=tuple(_variants(folder, data)),
        seeds=tuple(_seeds(folder, data)),
        targets=_targets(folder, data),
        runs=_runs(folder, data),
    )


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        msg = f"numbers must be finite, got {text[:40]}"
        raise ValueError(msg)
    return number


def _refuse_constant(text: str) -> NoReturn:
    msg = f"numbers must be finite, got {text}"
    raise ValueError(msg)


def _check_depth(path: Path, manifest: object) -> None:
    """Refuse deep nesting, level by level, so that nothing later runs out of stack."""
    level = [manifest]
    for _ in range(MAX_DEPTH):
        inside: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inside += value.values()
            elif isinstance(value, list):
                inside += value
        level = inside
        if not level:
            return
    raise _too_deep(path)


def _without_surrogates(value: object) -> object:
    """Write halves of characters, which no table can hold, as escapes."""
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_printable(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _too_deep(path: Path) -> ResultError:
    return ResultError(f"{path}: must have at most {MAX_DEPTH} levels of nesting")


def _bad_entry(folder: Path, rule: str, got: object) -> ResultError:
    return ResultError(f"{folder / MANIFEST}: {rule}, got {got!r}")


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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        rule = "variants: must be a list of objects with name and method"
        raise _bad_entry(folder, rule, error) from None
    counts = Counter(variant.name for variant in variants)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise _bad_entry(folder, "variants: must be a list of objects of different names", twice[0])
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
        raise _bad_entry(folder, "seeds: must be a list of whole numbers", error) from None


def _targets(folder: Path, manifest: Mapping[str, Any]) -> dict[str, float]:
    try:
        return {str(k): float(v) for k, v in (manifest.get("targets") or {}).items()}
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _bad_entry(folder, "targets: must be numbers by metric", error) from None


def _runs(folder: Path, manifest: Mapping[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
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
        raise _bad_entry(folder, rule, error) from None
    return told
