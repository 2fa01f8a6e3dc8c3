"""What an earlier start of the same study has done already, and need not be done again.

Every run has a key in the manifest: the digest of all that decides its rows. A finished run of
equal key stays as it is. One of another key is of another study: it is named, and nothing is mixed.
Seeds, methods, cases and values of knobs may be added: they change no other run.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from analysis.errors import ResultError
from analysis.folder_files import SCENARIO
from analysis.manifest import read_manifest
from scenarios.errors import ScenarioError
from scenarios.inputs import code_digest, model_files
from scenarios.own_files import file_names, own_file_digests
from scenarios.schema import to_data
from scenarios.shares import corpus_of
from scenarios.variants import Variant

PACKAGES = ("netsim", "fl", "scenarios")
"""Our code that decides rows."""
LIBRARIES = (
    "networkx", "numpy", "peft", "safetensors", "scipy", "simpy", "tokenizers", "torch",
    "transformers",
)  # fmt: skip
"""Libraries that decide rows; datasets and pandas only read texts, which have a digest."""
_ADDED = ("name", "seeds", "methods", "cases", "matrix")
"""Keys in which a study may grow."""
_MOST_NAMED = 3
"""Differences that a message names."""

Key = tuple[str, int]
"""Variant and seed of a run."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What lies in a result folder."""

    kept: Mapping[Key, Mapping[str, Any]]
    """Entries in the manifest of the finished runs that belong to this study, by run."""
    host_total_s: float
    """Host time that they and others have taken."""


NOTHING = Earlier(kept={}, host_total_s=0.0)
"""A folder without an earlier run."""


def run_keys(variants: Sequence[Variant], seeds: Sequence[int]) -> dict[Key, str]:
    """Return the digest of all that decides the rows of each run of a study.

    Parameters
    ----------
    variants
        Their texts have been read, and their files can be.
    seeds
        Of the study.
    """
    code, files, found = code_digest(PACKAGES, LIBRARIES), own_file_digests(variants), {}
    for variant in variants:
        scenario = variant.scenario
        data = to_data(scenario)
        settings = {key: value for key, value in data.items() if key not in _ADDED}
        inputs = [
            settings,
            data["methods"],
            list(model_files(scenario)),
            {name: files[name] for name in file_names(scenario)},
            corpus_of(scenario).digest,
            code,
        ]
        for seed in seeds:
            text = json.dumps([*inputs, seed], sort_keys=True)
            found[variant.name, seed] = hashlib.sha256(text.encode()).hexdigest()
    return found


def find_earlier(folder: Path, keys: Mapping[Key, str], data: Mapping[str, Any]) -> Earlier:
    """Return what of a study is done in a result folder.

    Parameters
    ----------
    folder
        A result folder of ours.
    keys
        From :func:`run_keys`.
    data
        The study as plain data, for what differs.

    Raises
    ------
    ScenarioError
        The folder holds another study: one line says in what it differs.
    """
    try:
        manifest = read_manifest(folder)
        entries = {(str(run["variant"]), int(run["seed"])): dict(run) for run in manifest["runs"]}
        host_total_s = float(manifest.get("host_total_s", 0.0))
    except ResultError as error:
        raise ScenarioError([str(error)]) from None
    except (KeyError, TypeError, ValueError):
        raise ScenarioError([_refused(folder, "a manifest without runs")]) from None
    begun = {key: run for key, run in entries.items() if run.get("status") != "waiting"}
    if any(keys.get(key) != run.get("key") for key, run in begun.items() if key in keys):
        reasons = list(_differences(folder, manifest, data))
        raise ScenarioError([_refused(folder, _told(reasons))])
    missing = [f"{variant} seed {seed}" for variant, seed in begun if (variant, seed) not in keys]
    if missing:
        raise ScenarioError([_refused(folder, f"runs that this one has not: {_told(missing)}")])
    return Earlier(
        kept={key: run for key, run in begun.items() if _is_whole(folder, key, run)},
        host_total_s=host_total_s,
    )


def file_bytes(run_folder: Path) -> dict[str, int]:
    """Return the size of every file of a run, by name."""
    return {path.name: path.stat().st_size for path in sorted(run_folder.glob("*.csv"))}


def _is_whole(folder: Path, key: Key, run: Mapping[str, Any]) -> bool:
    """Whether a run is done and its files are as it left them."""
    variant, seed = key
    return run.get("status") == "done" and run.get("file_bytes") == file_bytes(
        folder / variant / f"seed{seed}"
    )


def _refused(folder: Path, what: str) -> str:
    return (
        f"{folder}: holds another study ({what}), and results are not mixed; "
        "use --overwrite to replace it, or --out to go elsewhere"
    )


def _told(each: Sequence[str]) -> str:
    more = f" and {len(each) - _MOST_NAMED} more" if len(each) > _MOST_NAMED else ""
    return ", ".join(each[:_MOST_NAMED]) + more


def _differences(
    folder: Path, manifest: Mapping[str, Any], data: Mapping[str, Any]
) -> Iterator[str]:
    """Yield in what the study of a folder differs from another one."""
    try:
        before = YAML(typ="safe", pure=True).load(folder / SCENARIO)
    except (OSError, ValueError, YAMLError):
        before = {}
    found = dict(_changed(before, data))
    own = [key for key in found if key.partition(".")[0] not in _ADDED]
    for key in own or found:
        there, here = found[key]
        yield f"{key}: {_short(there)} there, {_short(here)} here"
    if not found:
        is_same_code = manifest.get("code") == code_digest(PACKAGES, LIBRARIES)
        yield "other texts or files" if is_same_code else "made by other code or libraries"


def _changed(
    before: object, after: object, path: str = ""
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield dotted keys whose values differ, with both values."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _changed(*pair, f"{path}.{index}")
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _changed(before.get(key), after.get(key), inner)
    elif json.dumps(before, sort_keys=True, default=str) != json.dumps(
        after, sort_keys=True, default=str
    ):
        yield path, (before, after)


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
