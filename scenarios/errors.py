"""What the scenario layer raises: bad input, and runs or answers that failed."""

import errno
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from fl.problems import one_line

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

MAX_LINE_CHARACTERS = 1_000
"""Longest message: what a user typed may be of any length."""
MAX_PROBLEMS = 49
"""Most messages that are kept; one more line counts the rest."""


class ScenarioError(ValueError):
    """The scenario cannot be run as written; ``problems`` holds one clear line each.

    Lines are cut at ``MAX_LINE_CHARACTERS``; of more than ``MAX_PROBLEMS`` the last line says how
    many more there are.

    Parameters
    ----------
    problems
        One line each.
    tracebacks
        Where code of a user's own raised: the text of the traceback, by line.
    """

    def __init__(
        self, problems: Sequence[str], *, tracebacks: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.tracebacks = {_kept(line): text for line, text in tracebacks.items()}
        kept = [_kept(line) for line in problems[:MAX_PROBLEMS]]
        if len(problems) > MAX_PROBLEMS:
            kept.append(f"and {len(problems) - MAX_PROBLEMS} more problems")
        self.problems = tuple(kept)
        super().__init__("\n".join(self.problems))


class RunFailedError(RuntimeError):
    """A run stopped on an error of the program; its finished rounds stay readable."""


def _kept(line: str) -> str:
    is_fine = len(line) <= MAX_LINE_CHARACTERS and "\n" not in line
    return line if is_fine else one_line(line, MAX_LINE_CHARACTERS)


class ResultFolderError(RunFailedError):
    """The result folder cannot be written, or is no longer that of the run; one line says why."""


class AnswerLostError(RunFailedError):
    """Standard output cannot take the answer; files that were written are complete."""


def is_full(error: BaseException) -> bool:
    """Whether a disk, a quota or a limit on file sizes is used up."""
    return isinstance(error, OSError) and error.errno in _FULL
