"""What the command says: answers on standard output, complaints on standard error.

A reader that has left, or a stream that is closed, misses the rest quietly: what was computed is
not lost with its listener. A stream that cannot take the answer (a full disk) is a failure.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import IO, TextIO, cast

from rich.console import Console, RenderableType

from analysis.text_safety import shortened
from scenarios.errors import MAX_PROBLEMS, AnswerLostError

MAX_LINE = 500
"""Longest line of a complaint or note, in characters; a longer one loses its middle."""
MAX_LINES = MAX_PROBLEMS + 1
"""Complaints or notes shown at once, an error's count of its others among them; the rest is
counted."""


class MutedStream:
    """A stream that ignores all further text once it cannot be written, instead of raising.

    Parameters
    ----------
    stream
        Where the text goes.
    is_silent
        Whether it ignores all text from the start.
    """

    def __init__(self, stream: TextIO, *, is_silent: bool = False) -> None:
        self._stream = stream
        self._is_gone = is_silent

    def write(self, text: str) -> int:
        """Write if the stream still takes it."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush if the stream still takes it."""
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def _attempt(self, action: Callable[[], object]) -> None:
        if not self._is_gone:
            try:
                action()
            except (OSError, ValueError):
                self._is_gone = True
                _give_up(self._stream)


def error_console() -> Console:
    """Return a console on standard error that never fails."""
    return Console(file=cast("IO[str]", MutedStream(sys.stderr)))


def fill_closed_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    Otherwise the next file that is opened, one of results perhaps, would take the place of the
    stream, and whatever a library prints would stand in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 -- lives as long as the process


def bounded(lines: Sequence[str], *, most: int = MAX_LINES) -> list[str]:
    """Cut lines to :data:`MAX_LINE` characters, and to the ``most`` first of them.

    Examples
    --------
    >>> bounded(["a"] * 60)[-1], len(bounded(["b" * 1000])[0])
    ('and 10 more', 500)
    """
    shown = [shortened(line, MAX_LINE) for line in lines[:most]]
    left_out = len(lines) - len(shown)
    return [*shown, f"and {left_out} more"] if left_out else shown


def say(what: RenderableType) -> None:
    """Print to standard output.

    Raises
    ------
    AnswerLostError
        If it cannot be written, other than because its reader has left.
    """
    _deliver(_encodable(_rendered(what, sys.stdout), sys.stdout))


def flush_answer() -> None:
    """Hand over what others (a help text) wrote to standard output; raises as :func:`say`."""
    _deliver("")


def _deliver(text: str) -> None:
    stream = sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _give_up(stream)
    except OSError as error:
        _give_up(stream)
        msg = f"standard output: cannot be written: {error.strerror or error}"
        raise AnswerLostError(msg) from None


def complain(lines: Sequence[str], *, as_json: bool) -> None:
    """Print lines to standard error, and with ``as_json`` as an object to standard output too."""
    shown = bounded(lines)
    if as_json:
        try:
            say(json.dumps({"errors": shown}))
        except AnswerLostError as error:
            shown.append(str(error))
    stream = MutedStream(sys.stderr)
    for line in shown:
        stream.write(_encodable(f"airtune: {line}\n", sys.stderr))
    stream.flush()


def _rendered(what: RenderableType, stream: TextIO) -> str:
    """Return what is to be written, a table laid out for the width of the stream."""
    if isinstance(what, str):
        return f"{what}\n"
    console = Console(file=cast("IO[str]", MutedStream(stream, is_silent=True)))
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def _encodable(text: str, stream: TextIO) -> str:
    """Write characters as escapes that the stream's encoding lacks."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _give_up(stream: TextIO) -> None:
    """Discard the rest: the text in the buffer would fail once more when Python ends."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
