"""Where results of jobs are kept between runs, and what ``airtune store`` does with them.

The folder is the one that is named, else that of the environment variable :data:`FOLDER_VARIABLE`,
else ``results`` in the user's cache folder.
"""

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fl.cache_folder import default_cache_dir
from scenarios.errors import ScenarioError
from scenarios.output import complain, say

if TYPE_CHECKING:
    from fl.execution.store_upkeep import StoreFacts

FOLDER_VARIABLE = "AIRTUNE_STORE"
"""Environment variable: folder of results, or ``off``."""
MAX_BYTES = 20_000_000_000
"""Most bytes of the store unless another limit is given."""


def store_folder(named: str | None = None) -> Path | None:
    """Return the folder of results; ``None`` where none is wanted.

    Raises
    ------
    ScenarioError
        There is no home folder to put it in.
    """
    named = named or os.environ.get(FOLDER_VARIABLE)
    if named == "off":
        return None
    try:
        return Path(named).expanduser().absolute() if named else default_cache_dir() / "results"
    except RuntimeError:
        message = "store: there is no home folder; name one with --store, or use --no-store"
        raise ScenarioError([message]) from None


def make_store(folder: str | Path) -> Path:
    """Make the folder of results of jobs, and return it whole: workers may stand elsewhere.

    Raises
    ------
    ScenarioError
        It cannot be made.
    """
    path = Path(folder).expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = (
            f"store: must be a folder that can be written, got {folder}: {error.strerror}; name "
            "another with --store, or use --no-store"
        )
        raise ScenarioError([message]) from None
    return path


def usable_store(named: str | None = None) -> Path | None:
    """Return the folder of results, made; ``None`` where none is wanted.

    Where nobody has named one and the user's cache cannot be written, a line says so and nothing is
    kept.

    Raises
    ------
    ScenarioError
        A folder that was named cannot be made.
    """
    try:
        folder = store_folder(named)
        return None if folder is None else make_store(folder)
    except ScenarioError as error:
        if named or os.environ.get(FOLDER_VARIABLE):
            raise
        told = [f"{problem}; no results are kept now" for problem in error.problems]
        complain(told, as_json=False)
        return None


def tell_store(options: argparse.Namespace) -> int:
    """Tell how many results are kept."""
    from fl.execution.store_upkeep import facts  # noqa: PLC0415 -- torch is only loaded when it is needed

    folder = _named(options)
    return _say(folder, facts(folder), "", as_json=options.json)


def verify_store(options: argparse.Namespace) -> int:
    """Read all results that are kept; fail where some are damaged."""
    from fl.execution.store_upkeep import verify  # noqa: PLC0415

    folder = _named(options)
    num_entries, problems = verify(folder)
    complain([f"{problem}; removed" for problem in problems], as_json=False)
    if options.json:
        say(json.dumps({"folder": str(folder), "num_whole": num_entries, "damaged": problems}))
    else:
        say(f"{folder}: {num_entries} results are whole, {len(problems)} were damaged")
    return 1 if problems else 0


def clear_store(options: argparse.Namespace) -> int:
    """Remove all results that are kept."""
    from fl.execution.store_upkeep import clear  # noqa: PLC0415

    folder = _named(options)
    return _say(folder, clear(folder), "removed ", as_json=options.json)


def _say(folder: Path, found: "StoreFacts", what: str, *, as_json: bool) -> int:
    if as_json:
        say(json.dumps({"folder": str(folder), **dataclasses.asdict(found)}))
    else:
        say(f"{folder}: {what}{found.num_entries} results, {found.num_bytes / 1e6:.1f} MB")
    return 0


def _named(options: argparse.Namespace) -> Path:
    folder = store_folder(options.store)
    if folder is None:
        raise ScenarioError([f"store: {FOLDER_VARIABLE} is off; name a folder with --store"])
    return folder
