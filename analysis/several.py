"""Several result folders read as one study: a method, a seed or a setting that was added later.

Where the scenarios of the folders differ in a key, or one of them varies it, that key is a knob of
every variant. So the same method under two schedulers in two folders is two variants, and a method
under other seeds is one variant with more runs.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from analysis.errors import ResultError
from analysis.folder_files import SCENARIO
from analysis.load import Results, load_results
from analysis.manifest import Variant, setting_words
from analysis.rows import SCHEMAS

_NOT_SETTINGS = ("name", "seeds", "methods", "matrix", "cases", "description")
"""Keys of a scenario that say which runs there are, not what a run is like."""
_NOT_OF_RUNS = ("server.targets", "server.target_split")
"""Keys that only say what is read from the rows."""
_ABSENT = "-"


def load_several(folders: Sequence[Path | str]) -> Results:
    """Read result folders as one study.

    Parameters
    ----------
    folders
        One or more.

    Returns
    -------
    Results
        ``folder`` is the first one; notes say which folder they are of, and what differs.

    Raises
    ------
    ResultError
        A folder cannot be read; two hold the same run; or in some nothing was trained and in others
        something was.
    """
    every = [load_results(folder) for folder in folders]
    return every[0] if len(every) == 1 else _joined(every)


def _joined(every: Sequence[Results]) -> Results:
    first = every[0]
    for each in every[1:]:
        if each.is_timing_only != first.is_timing_only:
            timing, other = (each, first) if each.is_timing_only else (first, each)
            msg = f"{timing.folder}: nothing was trained, so it cannot stand beside {other.folder}"
            raise ResultError(msg)
    settings = [_settings(each) for each in every]
    knobs = _differing(settings, every)
    names = [
        {variant.name: _with_knobs(variant, knobs, own) for variant in each.variants}
        for each, own in zip(every, settings, strict=True)
    ]
    variants = {each.name: each for of_folder in names for each in of_folder.values()}
    runs = _concatenated([each.runs for each in every], names)
    twice = runs[runs.duplicated(["variant", "seed"])]
    if len(twice):
        name, seed = twice.iloc[0][["variant", "seed"]]
        msg = f"{first.folder} and another folder both hold {name}, seed {seed}; give one of them"
        raise ResultError(msg)
    manifest = dataclasses.replace(
        first.manifest,
        name=" + ".join(dict.fromkeys(each.name for each in every)),
        variants=tuple(variants.values()),
        seeds=tuple(dict.fromkeys(seed for each in every for seed in each.manifest.seeds)),
        targets={key: value for each in every for key, value in each.targets.items()},
    )
    notes = [f"{each.folder.name}: {note}" for each in every for note in each.notes]
    if knobs:
        notes.append(f"The folders differ in {', '.join(knobs)}.")
    if len({str(each.manifest.data.get("code")) for each in every}) > 1:
        notes.append("The folders were made by different versions of the code.")
    frames: dict[str, Any] = {
        kind: _concatenated([getattr(each, kind) for each in every], names) for kind in SCHEMAS
    }
    return dataclasses.replace(first, manifest=manifest, runs=runs, notes=tuple(notes), **frames)


def _concatenated(
    frames: Sequence[pd.DataFrame], names: Sequence[Mapping[str, Variant]]
) -> pd.DataFrame:
    renamed = [
        frame.assign(variant=[of_folder[name].name for name in frame["variant"]])
        for frame, of_folder in zip(frames, names, strict=True)
        if len(frame)
    ]
    return pd.concat(renamed, ignore_index=True) if renamed else frames[0]


def _settings(results: Results) -> dict[str, str]:
    """Return what a run of a folder is like: values of dotted keys, as text.

    Of a part of another kind only the kind counts: its settings have no counterpart.
    """
    path = results.folder / SCENARIO
    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError, RecursionError) as error:
        told = " ".join(str(error).split())
        msg = f"{path}: cannot be read, so it is not known what its runs are like: {told}"
        raise ResultError(msg) from None
    if not isinstance(data, dict):
        msg = f"{path}: must hold the keys of a scenario, got {type(data).__name__}"
        raise ResultError(msg)
    flat: dict[str, str] = {}
    _flatten({key: value for key, value in data.items() if key not in _NOT_SETTINGS}, "", flat)
    return {key: value for key, value in flat.items() if not key.startswith(_NOT_OF_RUNS)}


def _flatten(value: Any, path: str, found: dict[str, str]) -> None:  # noqa: ANN401 -- any YAML
    if isinstance(value, dict) and value:
        for key, part in value.items():
            _flatten(part, f"{path}.{key}" if path else str(key), found)
    else:
        found[path] = str(value)


def _differing(settings: Sequence[Mapping[str, str]], every: Sequence[Results]) -> list[str]:
    """Name the keys that folders differ in, or that one of them varies, each once."""
    keys = dict.fromkeys(key for each in settings for key in each)
    differing = {key for key in keys if len({each.get(key, _ABSENT) for each in settings}) > 1}
    varied = {
        knob: len({str(v.knobs.get(knob, _ABSENT)) for each in every for v in each.variants})
        for each in every
        for variant in each.variants
        for knob in variant.knobs
    }
    kept = [key for key in keys if key in differing and not _is_below_another(key, differing)]
    return list(dict.fromkeys([*kept, *(knob for knob, count in varied.items() if count > 1)]))


def _is_below_another(key: str, differing: set[str]) -> bool:
    """Whether a part of another kind holds the key, so that the kind says it all."""
    parent = key.rpartition(".")[0]
    while parent:
        kind = f"{parent}.kind"
        if kind in differing and kind != key:
            return True
        parent = parent.rpartition(".")[0]
    return False


def _with_knobs(variant: Variant, knobs: Sequence[str], settings: Mapping[str, str]) -> Variant:
    """Return a variant with the knobs that the folders have together."""
    told = {knob: variant.knobs.get(knob, settings.get(knob, _ABSENT)) for knob in knobs}
    added = {knob: value for knob, value in told.items() if knob not in variant.knobs}
    if not added:
        return variant
    every = {**added, **variant.knobs}
    ends = "".join(f"--{knob.rpartition('.')[2]}={value}" for knob, value in added.items())
    label = f"{variant.method_label} ({setting_words(every)})"
    return dataclasses.replace(variant, name=f"{variant.name}{ends}", label=label, knobs=every)
