"""From a file to a checked scenario, and from a scenario to its variants."""

import copy
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from fl.problems import one_line
from scenarios.document import Document, assign, override, read_document
from scenarios.errors import ScenarioError
from scenarios.messages import PRESET, nearest
from scenarios.names import (
    find_method_faults,
    find_variant_fault,
    folder_name,
    method_names,
    name_methods,
    shown_values,
)
from scenarios.paths import find_path_fault, locate, resolve_paths
from scenarios.presets import apply_preset
from scenarios.rules import find_problems
from scenarios.schema import Scenario, to_data, validate
from scenarios.unions import find_foreign
from scenarios.yaml_text import Path

LIBRARY = FilePath(__file__).parent / "library"
NOT_KNOBS = (
    "name",
    "seeds",
    "methods",
    "matrix",
    "server.targets",
    "server.target_split",
    PRESET,
)
"""Keys that a study has once; neither they nor what holds them or is in them can vary."""
MAX_VARIANTS = 500
"""Most variants of a study: each is put together once before the first run."""
MAX_RUNS = 10_000
"""Most runs of a study: a day and more at ten seconds each."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One part of a study: one method with one setting of every knob."""

    name: str
    """Folder name, unique in the study."""
    label: str
    """Name in figures and tables."""
    method: str
    """Kind of its method."""
    scenario: Scenario
    """The scenario with this one method, knobs set, no matrix."""
    knobs: dict[str, Any] = field(default_factory=dict)
    """Value of every knob by dotted key."""


def load(source: str | FilePath, overrides: Sequence[str] = ()) -> Scenario:
    """Read, check and build a scenario; every problem is reported at once, with its place.

    Parameters
    ----------
    source
        Path of a scenario file, or the name of one in the library.
    overrides
        ``key.key=value`` assignments that replace or add keys before checking.

    Raises
    ------
    ScenarioError
        With one line for every problem.
    """
    return load_with_places(source, overrides)[0]


def load_with_places(
    source: str | FilePath, overrides: Sequence[str] = (), *, seeds: str | None = None
) -> tuple[Scenario, Document]:
    """Load a scenario, and keep where its keys stand for what is found later; see :func:`load`.

    ``seeds`` is the text of the option ``--seeds``: numbers with commas between them.
    """
    document = override(read_document(find(source)), list(overrides), prepare=_switch)
    if seeds is not None:
        document = override(document, [f"seeds=[{seeds}]"], option=f"--seeds {seeds}".strip())
    document = resolve_paths(name_methods(apply_preset(document)))
    scenario = validate(document)
    # expanded from the resolved values, as a run and a written scenario.yaml are
    document = dataclasses.replace(document, data=to_data(scenario))
    problems: list[str] = []
    for _ in _expand(scenario, document, problems):
        pass
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return scenario, document


def find(source: str | FilePath) -> FilePath:
    """Return the path of a scenario named by path or by library name.

    A file is one; a folder is not, so that it never hides a scenario of the library.

    Raises
    ------
    ScenarioError
        If there is neither, with where it was looked for.
    """
    if fault := find_path_fault(str(source)):
        raise ScenarioError([f"{one_line(str(source))}: {fault}"])
    path = locate(str(source), FilePath())
    if path.is_file():
        return path
    if str(source) in library():
        return LIBRARY / f"{source}.yaml"
    if path.suffix in (".yaml", ".yml") or "/" in str(source):
        fault = "is a folder, not a file" if path.is_dir() else "no such file"
        raise ScenarioError([f"{source}: {fault}, looked for {path}"])
    message = (
        f"{source}: neither a file ({path}) nor a scenario of the library; "
        f"{nearest(str(source), library())}"
    )
    raise ScenarioError([message])


def library() -> list[str]:
    """Name the scenarios that come with the project."""
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def variants(scenario: Scenario) -> list[Variant]:
    """Expand methods and matrix into variants, in the order of the file.

    Raises
    ------
    ScenarioError
        If a combination breaks a rule.
    """
    problems: list[str] = []
    document = Document(data=to_data(scenario), source=scenario.name)
    found = list(_expand(scenario, document, problems))
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return found


def _expand(scenario: Scenario, document: Document, problems: list[str]) -> Iterator[Variant]:
    """Yield every variant that is right; collect what is wrong with the others."""
    if fault := _find_size_fault(scenario):
        path: Path = ("matrix",) if scenario.matrix else ("methods",)
        problems.append(f"{document.place(path)}: {path[0]}: {fault}")
        return
    problems.extend(_find_knob_faults(scenario, document))
    problems.extend(find_method_faults(scenario.methods, document))
    if problems:
        return
    knobs = list(scenario.matrix)
    shown = {knob: shown_values(values) for knob, values in scenario.matrix.items()}
    known: dict[str, dict[str, Any]] = {}
    for index, method_name in enumerate(method_names(scenario.methods)):
        for chosen in itertools.product(*(range(len(shown[knob])) for knob in knobs)):
            setting = {k: scenario.matrix[k][i] for k, i in zip(knobs, chosen, strict=True)}
            told = {k: shown[k][i] for k, i in zip(knobs, chosen, strict=True)}
            name = folder_name(method_name, told)
            fault = find_variant_fault(name, setting, known.get(name))
            known.setdefault(name, setting)
            if fault:
                problems.append(f"{document.place(('matrix', *knobs[:1]))}: {fault}")
                continue
            try:
                single = validate(_single(document, index, setting))
            except ScenarioError as error:
                problems.extend(error.problems)
                continue
            broken = find_problems(single, study_methods=scenario.methods)
            for problem in broken:
                path = _original(problem.path, index)
                problems.append(placed(document, path, problem.message, setting))
            if broken:
                continue
            knobs_told = ", ".join(f"{k.rpartition('.')[2]}={told[k]}" for k in knobs)
            yield Variant(
                name=name,
                label=f"{method_name} ({knobs_told})" if knobs else method_name,
                method=single.methods[0].kind,
                scenario=single,
                knobs=setting,
            )


def _find_size_fault(scenario: Scenario) -> str | None:
    """State how a study is too large; counted, not made."""
    num_values = [len(values) for values in scenario.matrix.values()]
    num_variants = len(scenario.methods) * math.prod(num_values)
    counted = " x ".join([f"{len(scenario.methods)} methods", *(f"{n} values" for n in num_values)])
    if num_variants > MAX_VARIANTS:
        return f"must give at most {MAX_VARIANTS} variants, got {counted} = {num_variants}"
    num_runs = num_variants * len(scenario.seeds)
    if num_runs > MAX_RUNS:
        return (
            f"must give at most {MAX_RUNS} runs, got {counted} = {num_variants} variants "
            f"x {len(scenario.seeds)} seeds = {num_runs}"
        )
    return None


def _find_knob_faults(scenario: Scenario, document: Document) -> Iterator[str]:
    """Find knobs that may not vary, and values of a knob that stand twice."""
    for knob, values in scenario.matrix.items():
        for fixed in NOT_KNOBS:
            if f"{knob}.".startswith(f"{fixed}.") or f"{fixed}.".startswith(f"{knob}."):
                place = document.place(("matrix", knob))
                rule = f"must not be one of {', '.join(NOT_KNOBS)}, nor above or below one"
                yield f"{place}: matrix.{knob}: {rule}"
                break
        for index, value in enumerate(values):
            if any(_is_same(value, earlier) for earlier in values[:index]):
                place = document.place(("matrix", knob, index))
                yield f"{place}: matrix.{knob}: values must differ, got {value!r} more than once"


def _is_same(one: object, other: object) -> bool:
    """Whether two plain values are equal; true is not 1, but 1 is 1.0."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _single(document: Document, index: int, setting: dict[str, Any]) -> Document:
    """Reduce a document to one method with the knobs set."""
    data = {key: value for key, value in document.data.items() if key != "matrix"}
    data["methods"] = [document.data["methods"][index]]
    data = copy.deepcopy(data)
    for knob, value in setting.items():
        place = document.place(("matrix", knob))
        try:
            fixed = [tuple(other.split(".")) for other in setting]
            path = assign(data, knob, value, prepare=_switch, fixed=fixed)
        except ValueError as error:
            raise ScenarioError([f"{place}: matrix.{knob}: {error}"]) from None
        document = document.assigned(path, data, place)
    return dataclasses.replace(document, data=data)


def _switch(data: dict[str, Any], path: Path, value: object, fixed: Sequence[Path]) -> None:
    """Drop what stands beside a tag and has no place with its new value, unless it was asked for.

    ``radio.fading.kind: rayleigh`` in place of ``rician`` takes ``k_db`` away with it.
    """
    asked = {tuple(map(str, each)) for each in fixed}
    for key in find_foreign(Scenario, data, path, value):
        beside = (*path[:-1], key)
        if tuple(map(str, beside)) not in asked:
            target: Any = data
            for step in path[:-1]:
                target = target[step]
            del target[key]


def placed(document: Document, path: Path, message: str, setting: Mapping[str, Any]) -> str:
    """Return in one line what is wrong at a path of a variant: at the knob that set it, if any."""
    steps = tuple(map(str, path))
    knobs = (knob for knob in setting if steps[: knob.count(".") + 1] == tuple(knob.split(".")))
    knob = next(knobs, None)
    place = document.place(path if knob is None else ("matrix", knob))
    return f"{place}: {'.'.join(steps)}: {message}"


def _original(path: tuple[str, ...], index: int) -> Path:
    """Translate the path of a variant's only method to its place in the file; lists by number."""
    steps = tuple(int(step) if step.isdecimal() else step for step in path)
    return ("methods", index, *steps[2:]) if steps[:1] == ("methods",) else steps
