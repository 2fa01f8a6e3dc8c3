"""From a file to a checked scenario, and from a scenario to its variants."""

import copy
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from scenarios.document import Document, Path, assign, override, read_document
from scenarios.errors import ScenarioError
from scenarios.messages import nearest
from scenarios.presets import apply_preset
from scenarios.rules import find_problems
from scenarios.schema import Scenario, to_data, validate

LIBRARY = FilePath(__file__).parent / "library"
_NOT_A_KNOB = ("name", "seeds", "methods", "matrix")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One cell of a study: one method with one setting of every knob."""

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
    document = apply_preset(override(read_document(find(source)), list(overrides)))
    scenario = validate(document)
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
    knobs = list(scenario.matrix)
    for knob in knobs:
        if knob.split(".")[0] in _NOT_A_KNOB:
            place = document.place(("matrix", knob))
            problems.append(f"{place}: matrix.{knob}: must not be one of {', '.join(_NOT_A_KNOB)}")
    if problems:
        return
    method_names = _method_names(scenario)
    for index, method_name in enumerate(method_names):
        for values in itertools.product(*(scenario.matrix[knob] for knob in knobs)):
            setting = dict(zip(knobs, values, strict=True))
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
            suffix = "".join(f"--{knob}={value}" for knob, value in setting.items())
            shown = ", ".join(
                f"{knob.rpartition('.')[2]}={value}" for knob, value in setting.items()
            )
            yield Variant(
                name=f"{method_name}{suffix}".replace("/", "_").replace(" ", ""),
                label=f"{method_name} ({shown})" if shown else method_name,
                method=single.methods[0].kind,
                scenario=single,
                knobs=setting,
            )


def _single(document: Document, index: int, setting: dict[str, Any]) -> Document:
    """Reduce a document to one method with the knobs set."""
    data = {key: value for key, value in document.data.items() if key != "matrix"}
    data["methods"] = [document.data["methods"][index]]
    data = copy.deepcopy(data)
    overrides = dict(document.overrides)
    for knob, value in setting.items():
        try:
            path = assign(data, knob, value)
        except ValueError as error:
            place = document.place(("matrix", knob))
            raise ScenarioError([f"{place}: matrix.{knob}: {error}"]) from None
        overrides[path] = document.place(("matrix", knob))
    return dataclasses.replace(document, data=data, overrides=overrides)


def _original(path: tuple[str | int, ...], index: int) -> Path:
    """Translate the path of a variant's only method to its place in the file."""
    return ("methods", index, *path[2:]) if path[:1] == ("methods",) else path


def _place(document: Document, path: Path, setting: dict[str, Any]) -> str:
    for knob in setting:
        if tuple(map(str, path))[: knob.count(".") + 1] == tuple(knob.split(".")):
            return document.place(("matrix", knob))
    return document.place(path)


def _method_names(scenario: Scenario) -> list[str]:
    """Name methods by kind; those of one kind also by the fields in which they differ.

    Raises
    ------
    ScenarioError
        If two methods are the same in every field.
    """
    names: list[str] = []
    for index, method in enumerate(scenario.methods):
        rivals = [other for other in scenario.methods if other.kind == method.kind]
        differing = [
            item.name
            for item in dataclasses.fields(method)
            if len({repr(getattr(rival, item.name)) for rival in rivals}) > 1
        ]
        parts = [method.kind, *(f"{name}{getattr(method, name)}" for name in differing)]
        name = "-".join(parts)
        if name in names:
            where = names.index(name)
            raise ScenarioError(
                [f"{scenario.name}: methods.{index}: is the same as methods.{where}, leave one out"]
            )
        names.append(name)
    return names
