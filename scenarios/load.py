"""From a file to a checked scenario, and from a scenario to its variants."""

import copy
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from fl.methods.own import OwnConfig
from scenarios.document import Document, Path, assign, override, read_document
from scenarios.errors import ScenarioError
from scenarios.messages import nearest
from scenarios.presets import apply_preset
from scenarios.rules import find_problems
from scenarios.schema import Scenario, to_data, validate
from scenarios.unions import find_foreign

LIBRARY = FilePath(__file__).parent / "library"
NOT_KNOBS = (
    "name",
    "seeds",
    "methods",
    "matrix",
    "server.targets",
    "server.target_split",
)
"""Keys that a study has once; neither they nor what holds them or is in them can vary."""
MAX_NAME_BYTES = 200
"""Longest name of a variant's folder; file systems take 255."""


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
    document = override(read_document(find(source)), list(overrides), prepare=_switch)
    document = apply_preset(document)
    scenario = validate(document)
    # expanded from the resolved values, as a run and a written scenario.yaml are
    document = dataclasses.replace(document, data=to_data(scenario))
    problems: list[str] = []
    for _ in _expand(scenario, document, problems):
        pass
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return scenario


def find(source: str | FilePath) -> FilePath:
    """Give the path of a scenario named by path or by library name."""
    path = FilePath(source)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return path
    in_library = LIBRARY / f"{source}.yaml"
    if in_library.is_file():
        return in_library
    message = (
        f"{source}: neither a file nor a scenario of the library; {nearest(str(source), library())}"
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
    problems.extend(_find_knob_faults(scenario, document))
    if problems:
        return
    knobs = list(scenario.matrix)
    known: dict[str, dict[str, Any]] = {}
    for index, method_name in enumerate(_method_names(scenario)):
        for values in itertools.product(*(scenario.matrix[knob] for knob in knobs)):
            setting = dict(zip(knobs, values, strict=True))
            name = _variant_name(method_name, setting)
            fault = _find_name_fault(name, setting, known.get(name))
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
                dotted = ".".join(map(str, path))
                problems.append(f"{_place(document, path, setting)}: {dotted}: {problem.message}")
            if broken:
                continue
            shown = ", ".join(
                f"{knob.rpartition('.')[2]}={value}" for knob, value in setting.items()
            )
            yield Variant(
                name=name,
                label=f"{method_name} ({shown})" if shown else method_name,
                method=single.methods[0].kind,
                scenario=single,
                knobs=setting,
            )


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


def _variant_name(method_name: str, setting: dict[str, Any]) -> str:
    suffix = "".join(f"--{knob}={value}" for knob, value in setting.items())
    return f"{method_name}{suffix}".replace("/", "_").replace(" ", "")


def _find_name_fault(
    name: str, setting: dict[str, Any], rival: dict[str, Any] | None
) -> str | None:
    """Say why a variant cannot have its name: too long, or taken by one of these other knobs."""
    if rival is not None:
        clashes = " and ".join(
            f"{knob} = {value!r} as with {rival[knob]!r}"
            for knob, value in setting.items()
            if value != rival[knob]
        )
        return f"matrix: the folder of a variant is named {name} with {clashes}; change one value"
    num_bytes = len(name.encode("utf-8", "surrogatepass"))
    if num_bytes > MAX_NAME_BYTES:
        return (
            f"matrix: the folder name of a variant must be at most {MAX_NAME_BYTES} bytes, "
            f"got {num_bytes} for {name[:60]}...; use shorter values or fewer knobs"
        )
    return None


def _single(document: Document, index: int, setting: dict[str, Any]) -> Document:
    """Reduce a document to one method with the knobs set."""
    data = {key: value for key, value in document.data.items() if key != "matrix"}
    data["methods"] = [document.data["methods"][index]]
    data = copy.deepcopy(data)
    overrides = dict(document.overrides)
    for knob, value in setting.items():
        try:
            fixed = [tuple(other.split(".")) for other in setting]
            path = assign(data, knob, value, prepare=_switch, fixed=fixed)
        except ValueError as error:
            place = document.place(("matrix", knob))
            raise ScenarioError([f"{place}: matrix.{knob}: {error}"]) from None
        overrides[path] = document.place(("matrix", knob))
    return dataclasses.replace(document, data=data, overrides=overrides)


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


def _original(path: tuple[str | int, ...], index: int) -> Path:
    """Translate the path of a variant's only method to its place in the file."""
    return ("methods", index, *path[2:]) if path[:1] == ("methods",) else path


def _place(document: Document, path: Path, setting: dict[str, Any]) -> str:
    for knob in setting:
        if tuple(map(str, path))[: knob.count(".") + 1] == tuple(knob.split(".")):
            return document.place(("matrix", knob))
    return document.place(path)


def _short(value: object) -> object:
    """Write a setting in a name; one of several kinds by its kind."""
    return getattr(value, "kind", value)


def _method_names(scenario: Scenario) -> list[str]:
    """Name methods by label, or kind; unlabelled ones of one kind also by what differs among them.

    Raises
    ------
    ScenarioError
        If two methods have one label, or no label and no difference.
    """
    names: list[str] = []
    for index, method in enumerate(scenario.methods):
        rivals = [
            other for other in scenario.methods if other.kind == method.kind and other.label is None
        ]
        differing = [
            item.name
            for item in dataclasses.fields(method)
            if len({repr(getattr(rival, item.name)) for rival in rivals}) > 1
        ]
        kind = method.name if isinstance(method, OwnConfig) else method.kind
        parts = [kind, *(f"{name}{_short(getattr(method, name))}" for name in differing)]
        name = method.label or "-".join(parts)
        if name in names:
            where = f"{scenario.name}: methods.{index}"
            rival = f"methods.{names.index(name)}"
            is_labelled = method.label or scenario.methods[names.index(name)].label
            problem = (
                f"{where}.label: {name!r} is the name of {rival} already, choose another"
                if is_labelled
                else f"{where}: is the same as {rival}, leave one out"
            )
            raise ScenarioError([problem])
        names.append(name)
    return names
