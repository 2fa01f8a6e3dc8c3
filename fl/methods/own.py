"""A method of a user's own, from a Python file named in the scenario as ``path.py:Class``."""

import hashlib
import re
import runpy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Predicate

from fl.methods.options import MethodOptions
from fl.problems import MethodError

if TYPE_CHECKING:
    from fl.methods.base import Method


OWN_KIND = "path.py:Class"
"""How messages write the kind of a method in a file."""
_PATTERN = re.compile(r".+\.py:[A-Za-z_]\w*")


def names_a_class(kind: str) -> bool:
    """Tell whether text names a class in a file."""
    return _PATTERN.fullmatch(kind) is not None


@dataclass(frozen=True, kw_only=True)
class OwnConfig(MethodOptions):
    """A class in a file; ``settings`` are its arguments.

    The class is made with the settings as keywords. It has ``install(module, *, generator)``, which
    puts tensors into the model and gives a :class:`fl.methods.base.Method`, as the functions
    ``install`` of the methods here do.
    """

    kind: Annotated[str, Predicate(names_a_class)]
    """File and class: ``path.py:Class``."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of the class."""

    @property
    def name(self) -> str:
        """Name of the class: tables and folders call the method so."""
        return self.label or self.kind.rpartition(":")[2]


def load_own(config: OwnConfig) -> Any:  # noqa: ANN401  a class of the user's own
    """Make the object that a file and its settings describe.

    Raises
    ------
    fl.problems.MethodError
        One line: no file, no such class, a file that does not run, or a class that cannot be made
        with these settings or has no ``install``.
    """
    path_text, _, class_name = config.kind.rpartition(":")
    path = Path(path_text).expanduser()
    if not path.is_file():
        msg = f"methods: no file {path_text!r} (named in {config.kind!r})"
        raise MethodError(msg)
    try:
        found = runpy.run_path(str(path), run_name=f"airtune_user_{path.stem}")
    except (Exception, SystemExit) as error:
        msg = f"methods: {path_text} does not run: {_in_one_line(error)}"
        raise MethodError(msg) from error
    cls = found.get(class_name)
    if not isinstance(cls, type):
        msg = f"methods: {path_text} has no class {class_name!r}"
        raise MethodError(msg)
    if not callable(getattr(cls, "install", None)):
        msg = (
            f"methods: class {class_name} of {path_text} needs install(self, module, *, generator)"
        )
        raise MethodError(msg)
    try:
        return cls(**config.settings)
    except (Exception, SystemExit) as error:
        msg = f"methods: {config.kind} cannot be made with its settings: {_in_one_line(error)}"
        raise MethodError(msg) from error


def file_digest(config: OwnConfig) -> str:
    """SHA-256 of the file: results depend on what stands in it."""
    return hashlib.sha256(
        Path(config.kind.rpartition(":")[0]).expanduser().read_bytes()
    ).hexdigest()


def install_own(config: OwnConfig, module: Any, *, generator: Any) -> "Method":  # noqa: ANN401
    """Let a user's own method put its tensors into a model.

    Raises
    ------
    fl.problems.MethodError
        One line that says what is wrong with the file or its class.
    """
    made = load_own(config)
    try:
        method: Method = made.install(module, generator=generator)
    except (Exception, SystemExit) as error:
        msg = f"methods: install of {config.kind} fails: {_in_one_line(error)}"
        raise MethodError(msg) from error
    missing = [name for name in PARTS if not hasattr(method, name)]
    if missing:
        msg = (
            f"methods: install of {config.kind} must give a method, see fl.methods.base; "
            f"{type(method).__name__} has no {', '.join(missing)}"
        )
        raise MethodError(msg)
    return method


PARTS = (
    "kind",
    "same_download",
    "initial",
    "row_groups",
    "initial_state",
    "initial_personal",
    "download",
    "start",
    "penalty",
    "finish_batches",
    "finish",
    "upload",
    "personal",
    "aggregate",
    "global_model",
    "personal_model",
)
"""What every method has; a test compares this with the Protocol."""


def _in_one_line(error: BaseException) -> str:
    """Name an error of foreign code, which may speak in many lines or in none."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
