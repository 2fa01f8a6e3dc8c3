"""From a file, or the name of one in the library, to a checked scenario."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path as FilePath

from fl.problems import one_line
from scenarios.document import Document, override, read_document
from scenarios.errors import ScenarioError
from scenarios.messages import PRESET, nearest
from scenarios.names import name_methods
from scenarios.paths import find_path_fault, locate, resolve_paths
from scenarios.presets import apply_preset
from scenarios.recipes import fill_recipes
from scenarios.schema import Scenario, to_data, validate
from scenarios.variants import expand, switch

LIBRARY = FilePath(__file__).parent / "library"


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
    document = override(read_document(find(source)), list(overrides), prepare=switch)
    if seeds is not None:
        document = override(document, [f"seeds=[{seeds}]"], option=f"--seeds {seeds}".strip())
    preset = document.data.get(PRESET)
    document = resolve_paths(fill_recipes(name_methods(apply_preset(document))))
    scenario = validate(document)
    # expanded from the resolved values, as a run and a written scenario.yaml are
    document = dataclasses.replace(document, data=to_data(scenario))
    problems: list[str] = []
    for _ in expand(scenario, document, problems, preset=preset):
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
