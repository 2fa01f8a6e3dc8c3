"""A user's own scheduler, from a Python file."""

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

from netsim.mac.schedulers.view import Scheduler, in_one_line


def load_from_file(name: str) -> Scheduler:
    """Make the scheduler named ``path.py:Class``.

    Raises
    ------
    ValueError
        If the file or the class does not exist, the file does not run, the class cannot be made
        without arguments, or it has no ``shares`` method. Foreign code that wants to end the
        program (``SystemExit``) is one that does not run. The message is one line.
    """
    path_text, _, class_name = name.rpartition(":")
    path = Path(path_text)
    if not path.is_file():
        msg = f"scheduler: no file {path_text!r} (named in {name!r})"
        raise ValueError(msg)
    cls = getattr(_load_module(path), class_name, None)
    if not isinstance(cls, type):
        msg = f"scheduler: {path_text} has no class {class_name!r}"
        raise ValueError(msg)  # noqa: TRY004 (the text of a setting is wrong, not an argument's type)
    if not callable(getattr(cls, "shares", None)):
        msg = f"scheduler: class {class_name} of {path_text} needs a method shares(self, view)"
        raise ValueError(msg)  # noqa: TRY004
    try:
        made = cls()
    except (Exception, SystemExit) as error:
        rule = f"class {class_name} of {path_text} must take no arguments and raise nothing"
        msg = f"scheduler: {rule}: {in_one_line(error)}"
        raise ValueError(msg) from error
    return cast("Scheduler", made)


def _load_module(path: Path) -> ModuleType:
    """Run the file once under a name of its own, so that two files of one name do not meet."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    module_name = f"airtune_user_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        msg = f"scheduler: {path} is not a Python file"
        raise ValueError(msg)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look their module up by name while the file still runs.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        msg = f"scheduler: {path} does not run: {in_one_line(error)}"
        raise ValueError(msg) from error
    return module
