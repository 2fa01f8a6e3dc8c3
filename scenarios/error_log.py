"""Tracebacks in files: a message is one line, what led to it is kept for who wants to read it."""

import tempfile
import traceback
from pathlib import Path

from fl.own_code import passes_own_code
from scenarios.errors import ScenarioError

NAME = "error.log"
"""File of a result folder in which the tracebacks of failed runs are kept."""
MAX_TRACEBACK = 200_000
"""Longest traceback that is kept [characters]: a message may be of any length."""


def entry(title: str, text: str) -> str:
    """Return a traceback as it stands in a log, under a title."""
    return f"== {title} ==\n{cut_off(text, MAX_TRACEBACK).rstrip()}\n\n"


def cut_off(text: str, most: int) -> str:
    """Return the first ``most`` characters of a traceback, and say so where there are more."""
    return text if len(text) <= most else f"{text[:most]}\n(cut off here)"


def own_traceback(error: BaseException) -> str | None:
    """Return the traceback of an error that code of a user's own raised; ``None`` of others."""
    if not passes_own_code(error):
        return None
    return "".join(traceback.format_exception(error))


def with_logs(error: ScenarioError) -> list[str]:
    """Return the lines of an error; those of a user's own code say where the traceback is.

    There is no result folder yet: the log is a new file in the folder for temporary files. Where
    that cannot be written, lines are left as they are.
    """
    texts = "".join(entry(line, text) for line, text in error.tracebacks.items())
    if not texts:
        return list(error.problems)
    try:
        with tempfile.NamedTemporaryFile(
            mode="w",
            encoding="utf-8",
            errors="backslashreplace",
            prefix="airtune_",
            suffix=f"_{NAME}",
            delete=False,
        ) as file:
            file.write(texts)
    except OSError:
        return list(error.problems)
    path = Path(file.name)
    return [
        f"{line}; traceback: {path}" if line in error.tracebacks else line
        for line in error.problems
    ]
