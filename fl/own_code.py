"""A class of the user's own, named ``path.py:Class`` in a scenario: loading, settings, messages.

Methods, schedulers and policies share this loader. A file runs once per process and content. Its
module is registered in ``sys.modules`` under a name made of its path and content, so that objects
of its classes can be pickled; a process that unpickles them loads the file first.
"""

import difflib
import hashlib
import inspect
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Protocol

from fl.own_types import argument_types, find_wrong_type
from fl.problems import OwnCodeError, one_line

OWN_KIND = "path.py:Class"
"""How messages write the name of a class in a file."""
MAX_MESSAGE = 300
"""Longest text of a foreign exception that a message repeats [characters]."""
MAX_SHOWN = 60
"""Longest text of a setting that a message repeats [characters]."""
MODULE_PREFIX = "airtune_own_"
"""How the names of modules made of users' files begin."""
_PATTERN = re.compile(r".+\.py:[A-Za-z_]\w*")


def names_a_class(name: str) -> bool:
    """Return whether text has the form ``path.py:Class``."""
    return _PATTERN.fullmatch(name) is not None


def file_of(name: str) -> Path:
    """Return the file that ``path.py:Class`` names."""
    return Path(name.rpartition(":")[0]).expanduser()


def file_digest(name: str) -> str:
    """Return the SHA-256 of the file that ``path.py:Class`` names: results depend on it."""
    return hashlib.sha256(file_of(name).read_bytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class OwnClass:
    """A class loaded from a user's file."""

    name: str
    """``path.py:Class``, as in the scenario."""
    cls: type[Any]
    digest: str
    """SHA-256 of the file as it was run."""

    @property
    def path(self) -> str:
        """The file as the scenario names it."""
        return self.name.rpartition(":")[0]

    def make(self, settings: Mapping[str, Any], *, key: str, protocol: type) -> Any:  # noqa: ANN401
        """Make an object of the class with its settings as keywords.

        Parameters
        ----------
        settings
            Arguments of the class by name.
        key
            Key of the scenario, with which messages begin.
        protocol
            What the object must offer: the public methods, properties and attributes of this class.

        Raises
        ------
        fl.problems.OwnCodeError
            One line: an unknown or missing setting, an exception of the constructor (one that ends
            the program included), or something of the protocol that the object lacks.
        """
        for setting, rule in find_wrong_settings(self.cls, settings):
            msg = f"{key}.{setting}: {rule}"
            raise OwnCodeError(msg)
        try:
            made = self.cls(**settings)
        except BaseException as error:
            line = _line_in(error, str(file_of(self.name)))
            place = self.place() if line is None else f"{self.path}:{line}"
            msg = f"{key}: {place}: cannot be made with its settings: {in_one_line(error)}"
            raise OwnCodeError(msg) from error
        self.check_offers(made, protocol, key=key)
        return made

    def check_offers(self, made: object, protocol: type, *, key: str) -> None:
        """Check that an object of this file has what a protocol asks for, callable as it says.

        Raises
        ------
        fl.problems.OwnCodeError
            One line that names the file, the line, and the first thing missing.
        """
        for part in protocol_parts(protocol):
            with self.blame(part):
                value = getattr(made, part, _MISSING)
            wanted = inspect.getattr_static(protocol, part, None)
            if not inspect.isfunction(wanted):
                if value is _MISSING:
                    msg = f"{key}: {self.place(made)}: {type(made).__name__} needs {part}"
                    raise OwnCodeError(msg)
                continue
            signature = _without_annotations(inspect.signature(wanted))
            if not callable(value) or not _takes(value, signature):
                place = self.place(made, part)
                msg = f"{key}: {place}: {type(made).__name__} needs {part}{signature}"
                raise OwnCodeError(msg)

    @contextmanager
    def blame(self, hook: str, made: object = None) -> Iterator[None]:
        """Turn what the user's code raises inside into one line that names file, line and hook.

        An interrupt from the keyboard passes: it cannot be told from one that the code raises.

        Parameters
        ----------
        hook
            Name of the method that is called.
        made
            Object whose method it is: its definition is named if no frame of the file is found.

        Raises
        ------
        fl.problems.OwnCodeError
            From whatever is raised, ``SystemExit`` and ``GeneratorExit`` included.
        """
        try:
            yield
        except (KeyboardInterrupt, OwnCodeError):
            raise
        except BaseException as error:
            line = _line_in(error, str(file_of(self.name)))
            place = self.place(made, hook) if line is None else f"{self.path}:{line}"
            msg = f"{place}: {hook}: {in_one_line(error)}"
            raise OwnCodeError(msg) from error

    def fault(self, hook: str, rule: str, made: object = None) -> OwnCodeError:
        """Return the error for an answer that breaks the contract.

        Parameters
        ----------
        hook
            Name of the method that answered.
        rule
            What is wrong with the answer, and what would be right.
        made
            Object that was asked.
        """
        return OwnCodeError(f"{self.place(made, hook)}: {hook}: {rule}")

    def place(self, made: object = None, part: str | None = None) -> str:
        """Return ``path:line`` of a method, else of the class of the object, else of the class."""
        owner = self.cls if made is None else type(made)
        found = None if part is None else inspect.getattr_static(owner, part, None)
        lines = (_line_of(each, str(file_of(self.name))) for each in (found, owner, self.cls))
        line = next((each for each in lines if each is not None), None)
        return self.path if line is None else f"{self.path}:{line}"


def load_class(name: str, *, key: str, protocol: type) -> OwnClass:
    """Load the class that ``path.py:Class`` names.

    Parameters
    ----------
    name
        File and class.
    key
        Key of the scenario, with which messages begin: ``methods``, ``radio.scheduler``, ...
    protocol
        What its objects must offer; here only that the methods exist.

    Raises
    ------
    fl.problems.OwnCodeError
        One line: no file, a file that does not run, no such class, or one without a method that is
        asked for. Whatever the file raises while it runs is a failed import, ``SystemExit``,
        ``GeneratorExit`` and ``KeyboardInterrupt`` included: an interrupt from the keyboard in this
        short time cannot be told apart.
    """
    path_text, _, class_name = name.rpartition(":")
    path = file_of(name)
    if not path.is_file():
        msg = f"{key}: no file {path_text!r} (named in {name!r})"
        raise OwnCodeError(msg)
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{key}: {path_text}: cannot be read: {error.strerror}"
        raise OwnCodeError(msg) from error
    digest = hashlib.sha256(content).hexdigest()
    cls = getattr(_module(path, path_text, content, digest, key=key), class_name, None)
    if not isinstance(cls, type):
        msg = f"{key}: {path_text} has no class {class_name!r}"
        raise OwnCodeError(msg)
    own = OwnClass(name, cls, digest)
    for part in protocol_parts(protocol):
        wanted = inspect.getattr_static(protocol, part, None)
        if inspect.isfunction(wanted) and not callable(getattr(cls, part, None)):
            signature = _without_annotations(inspect.signature(wanted))
            msg = f"{key}: {own.place()}: {class_name} needs {part}{signature}"
            raise OwnCodeError(msg)
    return own


def find_wrong_settings(cls: type, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find settings that a class does not take or of another type, and those that it lacks.

    Types are those that its arguments are annotated with; without an annotation anything goes.

    Yields
    ------
    tuple of str
        Name of the setting, and what is wrong with it.
    """
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):  # a class that does not say what it takes is asked by calling
        return
    hints = argument_types(cls)
    keywords = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = [each.name for each in parameters if each.kind in keywords]
    if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        for setting in settings:
            if setting not in known:
                close = difflib.get_close_matches(setting, known, n=1, cutoff=0.6)
                hint = f"did you mean {close[0]!r}?" if close else _valid(known)
                yield setting, f"unknown key; {hint}"
    for each in parameters:
        if each.kind in keywords and each.name in settings:
            rule = find_wrong_type(settings[each.name], hints.get(each.name, Any))
            if rule is not None:
                shown = one_line(repr(settings[each.name]), MAX_SHOWN)
                yield each.name, f"{rule}, got {shown}"
        is_missing = each.default is inspect.Parameter.empty and each.name not in settings
        if each.kind in keywords and is_missing:
            yield each.name, f"missing; {cls.__name__} needs it"


def passes_own_code(error: BaseException) -> bool:
    """Return whether code of a user's file was running when an error, or a cause of it, arose."""
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.walk_tb(seen.__traceback__)
        if any(str(f.f_globals.get("__name__")).startswith(MODULE_PREFIX) for f, _ in frames):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def in_one_line(error: BaseException) -> str:
    """Name an exception of foreign code, whose text may have many lines, or none, or be endless."""
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # the __str__ of the user's exception is broken
        text = ""
    return one_line(f"{type(error).__name__}: {text}", MAX_MESSAGE).removesuffix(":")


_MISSING = object()


def _module(path: Path, path_text: str, content: bytes, digest: str, *, key: str) -> ModuleType:
    """Return the module of a file with this content, run if it is new to this process."""
    at = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    stem = re.sub(r"\W", "_", path.stem)
    module_name = f"{MODULE_PREFIX}{stem}_{at[:8]}_{digest[:16]}"
    known = sys.modules.get(module_name)
    if known is not None:
        return known
    module = ModuleType(module_name)
    module.__file__ = str(path)
    # Dataclasses and pickling look their module up by name while the file still runs.
    sys.modules[module_name] = module
    try:
        # From the bytes of the digest: the import system could take them from a stale cache.
        exec(compile(content, str(path), "exec"), vars(module))
    except BaseException as error:
        del sys.modules[module_name]
        line = _line_in(error, str(path))
        place = path_text if line is None else f"{path_text}:{line}"
        msg = f"{key}: {place}: does not run: {in_one_line(error)}"
        raise OwnCodeError(msg) from error
    return module


def _line_in(error: BaseException, file: str) -> int | None:
    """Return the line of a file at which an exception came out of it, if it did."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == file]
    return lines[-1] if lines else None


def _line_of(defined: object, file: str) -> int | None:
    """Return the line of a function or class in a file, if it is defined there."""
    if isinstance(defined, type):
        module = sys.modules.get(defined.__module__)
        if getattr(module, "__file__", None) != file:
            return None
        try:
            return inspect.getsourcelines(defined)[1]
        except OSError:
            return None
    function = defined.fget if isinstance(defined, property) else defined
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return None if code is None or code.co_filename != file else code.co_firstlineno


def protocol_parts(protocol: type) -> list[str]:
    """Name the public methods, properties and attributes of a protocol, its base first."""
    bases = [base for base in reversed(protocol.__mro__) if base not in (Protocol, Generic, object)]
    names = [name for base in bases for name in (*vars(base), *base.__annotations__)]
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def _takes(function: Any, signature: inspect.Signature) -> bool:  # noqa: ANN401  any callable
    """Return whether a bound method can be called with the parameters of a protocol's method."""
    try:
        offered = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    _, *wanted = signature.parameters.values()
    is_keyword = inspect.Parameter.KEYWORD_ONLY
    try:
        offered.bind(
            *(None for each in wanted if each.kind is not is_keyword),
            **{each.name: None for each in wanted if each.kind is is_keyword},
        )
    except TypeError:
        return False
    return True


def _without_annotations(signature: inspect.Signature) -> inspect.Signature:
    parameters = [
        each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)


def _valid(known: list[str]) -> str:
    return f"valid here: {', '.join(known)}" if known else "the class takes none"
