"""The variants of a study: every method in every case with every setting of the matrix."""

import copy
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.knob_words import setting_words
from analysis.manifest import CASE
from fl.server import untrained
from scenarios import presets
from scenarios.document import Document, assign
from scenarios.errors import ScenarioError
from scenarios.messages import PRESET
from scenarios.names import (
    find_method_faults,
    find_variant_fault,
    folder_name,
    method_names,
    method_titles,
    shown_values,
)
from scenarios.recipes import find_knob_without_effect, put_recipe, told_recipe
from scenarios.rules import find_problems
from scenarios.schema import Scenario, to_data, validate
from scenarios.unions import find_foreign
from scenarios.yaml_text import Path

NOT_KNOBS = (
    "name",
    "seeds",
    "methods",
    "cases",
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
    """One part of a study: one method in one case with one setting of every knob."""

    name: str
    """Folder name, unique in the study."""
    label: str
    """Name in figures and tables."""
    method: str
    """Kind of its method."""
    scenario: Scenario
    """The scenario with this one method, case and knobs set, without cases and matrix."""
    knobs: dict[str, Any] = field(default_factory=dict)
    """Value of every knob by dotted key; the name of its case under ``case``, if there are any."""
    told: dict[str, Any] = field(default_factory=dict)
    """The same, as folders and figures call it."""
    places: dict[str, Path] = field(default_factory=dict)
    """Where the value of each key stands that its case or a knob sets, by dotted key."""


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """What a case and a choice of knobs set, beside the method."""

    values: dict[str, Any]
    """Value of every key that is set, by dotted key."""
    places: dict[str, Path]
    """Where each of them stands."""
    knobs: dict[str, Any]
    """As in :class:`Variant`."""
    told: dict[str, Any]
    """The same, as folders and figures call it."""

    @property
    def label(self) -> str:
        """What figures and tables write behind the name of the method."""
        return setting_words(self.told, case=CASE)


def variants(scenario: Scenario) -> list[Variant]:
    """Expand methods, cases and matrix into variants, in the order of the file.

    Raises
    ------
    ScenarioError
        If a combination breaks a rule.
    """
    problems: list[str] = []
    document = Document(data=to_data(scenario), source=scenario.name)
    found = list(expand(scenario, document, problems))
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return found


def expand(
    scenario: Scenario, document: Document, problems: list[str], *, preset: object = None
) -> Iterator[Variant]:
    """Yield every valid variant; collect what is wrong with the others.

    Parameters
    ----------
    scenario
        The study.
    document
        Its resolved data, with the place of every key.
    problems
        Receives a line for every problem.
    preset
        Name of the study's preset, if it has one; every variant must be allowed with it.
    """
    if fault := _find_size_fault(scenario):
        path = _axis_path(scenario)
        problems.append(f"{document.place(path)}: {path[0]}: {fault}")
        return
    problems.extend(_find_knob_faults(scenario, document))
    problems.extend(find_method_faults(scenario.methods, document))
    if problems:
        return
    known: dict[str, dict[str, Any]] = {}
    titles = method_titles(scenario.methods)
    for index, method_name in enumerate(method_names(scenario.methods)):
        for setting in _settings(scenario):
            name = folder_name(method_name, setting.told)
            fault = find_variant_fault(name, setting.knobs, known.get(name))
            known.setdefault(name, setting.knobs)
            if fault:
                path = _axis_path(scenario)
                problems.append(f"{document.place(path)}: {path[0]}: {fault}")
                continue
            try:
                single = validate(_single(document, index, setting))
            except ScenarioError as error:
                problems.extend(error.problems)
                continue
            broken = [
                *presets.find_problems(preset, single),
                *find_problems(single, study_methods=scenario.methods),
            ]
            for problem in broken:
                path = _original(problem.path, index)
                problems.append(placed(document, path, problem.message, setting.places))
            if broken:
                continue
            label = setting.label
            yield Variant(
                name=name,
                label=f"{titles[index]} ({label})" if label else titles[index],
                method=single.methods[0].kind,
                scenario=single,
                knobs=setting.knobs,
                told=setting.told,
                places=setting.places,
            )


def find_warnings(all_variants: Sequence[Variant]) -> list[str]:
    """Say in a line each, once, what of a study is other than one may expect.

    What methods take, and that clients are left untrained.
    """
    found = [
        line
        for variant in all_variants
        for method in variant.scenario.methods
        for line in method.find_warnings(num_clients=variant.scenario.clients.num_clients)
    ]
    for variant in all_variants:
        scenario = variant.scenario
        if scenario.training.mode != "none":
            found += untrained.find_warnings(
                scenario.server, num_clients=scenario.clients.num_clients
            )
    return list(dict.fromkeys(found))


def _settings(scenario: Scenario) -> Iterator[_Setting]:
    """Yield every case with every combination of the matrix, in the order of the file."""
    knobs = list(scenario.matrix)
    shown = {knob: shown_values(values) for knob, values in scenario.matrix.items()}
    for case in scenario.cases or [None]:
        named = {} if case is None else {CASE: case}
        of_case = {} if case is None else scenario.cases[case]
        for chosen in itertools.product(*(range(len(shown[knob])) for knob in knobs)):
            values = {k: scenario.matrix[k][i] for k, i in zip(knobs, chosen, strict=True)}
            told = {k: shown[k][i] for k, i in zip(knobs, chosen, strict=True)}
            yield _Setting(
                values=of_case | values,
                places={key: ("cases", str(case), key) for key in of_case}
                | {knob: ("matrix", knob) for knob in knobs},
                knobs=named | values,
                told=named | told,
            )


def _axis_path(scenario: Scenario) -> Path:
    """Return the key that makes many variants."""
    if scenario.matrix:
        return ("matrix", next(iter(scenario.matrix)))
    return ("cases",) if scenario.cases else ("methods",)


def _find_size_fault(scenario: Scenario) -> str | None:
    """Return why a study is too large, ``None`` if it is not; no variant is made for that."""
    num_values = [len(values) for values in scenario.matrix.values()]
    num_cases = len(scenario.cases)
    num_variants = len(scenario.methods) * max(num_cases, 1) * math.prod(num_values)
    cases = [f"{num_cases} cases"] if num_cases else []
    values = [f"{n} values" for n in num_values]
    counted = " x ".join([f"{len(scenario.methods)} methods", *cases, *values])
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
    """Find keys that may not vary or are set twice, and values and cases that stand twice."""
    cases = list(scenario.cases)
    for number, (case, keys) in enumerate(scenario.cases.items()):
        for key in keys:
            rivals = [*scenario.matrix, *(other for other in keys if other != key)]
            yield from _find_key_faults(("cases", case, key), rivals, document)
        for earlier in cases[:number]:
            if _is_same(keys, scenario.cases[earlier]):
                place = document.place(("cases", case))
                yield f"{place}: cases.{case}: is the same as cases.{earlier}, leave one out"
    for knob, values in scenario.matrix.items():
        yield from _find_key_faults(("matrix", knob), (), document)
        for index, value in enumerate(values):
            if any(_is_same(value, earlier) for earlier in values[:index]):
                place = document.place(("matrix", knob, index))
                yield f"{place}: matrix.{knob}: values must differ, got {value!r} more than once"


def _find_key_faults(path: Path, rivals: Sequence[str], document: Document) -> Iterator[str]:
    """Find what is wrong with a dotted key that varies; ``rivals`` are set together with it."""
    key, place, where = str(path[-1]), document.place(path), ".".join(map(str, path))
    if any(_is_within(key, fixed) or _is_within(fixed, key) for fixed in NOT_KNOBS):
        rule = f"must not be one of {', '.join(NOT_KNOBS)}, nor above or below one"
        yield f"{place}: {where}: {rule}"
    for rival in rivals:
        if _is_within(key, rival):
            yield f"{place}: {where}: is set by {rival} too, set it once"


def _is_within(key: str, above: str) -> bool:
    """Whether a dotted key is another one, or lies below it."""
    return f"{key}.".startswith(f"{above}.")


def _is_same(one: object, other: object) -> bool:
    """Whether two plain values are equal; true is not 1, but 1 is 1.0."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _single(document: Document, index: int, setting: _Setting) -> Document:
    """Reduce a document to one method with case and knobs set."""
    data = {key: value for key, value in document.data.items() if key not in ("cases", "matrix")}
    data["methods"] = [document.data["methods"][index]]
    data = copy.deepcopy(data)
    fixed = [tuple(key.split(".")) for key in setting.values]
    for key, value in setting.values.items():
        where = setting.places[key]
        place = document.place(where)
        try:
            path = assign(data, key, copy.deepcopy(value), prepare=switch, fixed=fixed)
        except ValueError as error:
            raise ScenarioError([f"{place}: {'.'.join(map(str, where))}: {error}"]) from None
        document = document.assigned(path, data, place)
    idle = find_knob_without_effect(data, setting.values)
    if idle is not None:
        where = setting.places[idle]
        told = told_recipe(where, data["methods"][0]["kind"])
        raise ScenarioError([f"{document.place(where)}: {told}"])
    put_recipe(data)
    return dataclasses.replace(document, data=data)


def switch(data: dict[str, Any], path: Path, value: object, fixed: Sequence[Path]) -> None:
    """Drop keys beside a tag (``kind``) that its new value does not have, except ``fixed`` ones.

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


def placed(document: Document, path: Path, message: str, places: Mapping[str, Path]) -> str:
    """Return in one line what is wrong at a path of a variant: at what set it, if anything."""
    steps = tuple(map(str, path))
    keys = (key for key in places if steps[: key.count(".") + 1] == tuple(key.split(".")))
    key = next(keys, None)
    place = document.place(path if key is None else places[key])
    return f"{place}: {'.'.join(steps)}: {message}"


def _original(path: tuple[str, ...], index: int) -> Path:
    """Translate the path of a variant's only method to its place in the file; lists by number."""
    steps = tuple(int(step) if step.isdecimal() else step for step in path)
    return ("methods", index, *steps[2:]) if steps[:1] == ("methods",) else steps
