"""Completion in a shell, by argcomplete (extra ``airtune[completion]``): commands, options, names.

``eval "$(register-python-argcomplete airtune)"`` switches it on in bash or zsh. argcomplete reads
the parser of the command itself, so nothing has to be kept up with it, and values can be worked
out: names of the library, of what can be listed, and keys of scenarios.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Completer = Callable[..., Iterable[str]]

ASKED = "_ARGCOMPLETE"
"""Environment variable that is set while a shell asks for completions."""


def completed(action: argparse.Action, completer: Completer) -> None:
    """Say where the values of an argument come from."""
    # argcomplete looks for this attribute, which the class does not declare
    action.completer = completer  # type: ignore[attr-defined]


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and end; otherwise return at once."""
    if ASKED not in os.environ:
        return
    try:
        import argcomplete  # noqa: PLC0415 -- of the extra airtune[completion]
    except ImportError:
        return
    argcomplete.autocomplete(parser)


def scenario_files(prefix: str, **_: Any) -> Iterator[str]:  # noqa: ANN401 -- argcomplete's arguments
    """Return names of the library, and YAML files."""
    from argcomplete.completers import FilesCompleter  # noqa: PLC0415

    from scenarios.load import library  # noqa: PLC0415

    yield from library()
    yield from FilesCompleter(["yaml", "yml"])(prefix)


def listed_names(parsed_args: argparse.Namespace, **_: Any) -> Iterator[str]:  # noqa: ANN401
    """Return the names of what is listed."""
    from scenarios.catalogue import CATALOGUES  # noqa: PLC0415

    if parsed_args.what in CATALOGUES:
        yield from (entry["name"] for entry in CATALOGUES[parsed_args.what]())


def scenario_keys(prefix: str, **_: Any) -> Iterator[str]:  # noqa: ANN401
    """Return ``key.key=`` for every key of a scenario that is not a section.

    Examples
    --------
    >>> [key for key in scenario_keys("model.cost")]
    ['model.cost_as=']
    """
    from scenarios.schema import json_schema  # noqa: PLC0415

    schema = json_schema()
    found = dict.fromkeys(_keys(schema["properties"], schema["$defs"], ""))
    return (f"{key}=" for key in found if key.startswith(prefix))


def _keys(properties: Mapping[str, Any], known: Mapping[str, Any], above: str) -> Iterator[str]:
    for key, told in properties.items():
        path = f"{above}{key}"
        references = [
            each["$ref"].rpartition("/")[2]
            for each in [told, *told.get("anyOf", [])]
            if "$ref" in each
        ]
        if not references:
            yield path
        for name in references:
            yield from _keys(known[name].get("properties", {}), known, f"{path}.")
