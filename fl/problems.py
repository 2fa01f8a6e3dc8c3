"""What is wrong with an input: broken rules, unusable data, models or code; and how it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule of a configuration, found before anything runs."""

    path: tuple[str, ...]
    """Place in the scenario, for example ``("data", "partition", "alpha")``."""
    message: str
    """Rule, value found, and what would be right; one line, no full stop."""


class DataError(ValueError):
    """The text that a scenario names cannot be used; the message is one line that says why."""


class ModelError(ValueError):
    """The model that a scenario names cannot be used; the message is one line that says why."""


class ModelNotFoundError(ModelError):
    """A model's name is neither a folder nor anything that the hub serves."""


class OwnCodeError(ValueError):
    """Code of a user's own does not work; the message is one line that says where and why."""


def one_line(text: str, most: int = 100) -> str:
    r"""Put a text on one line of at most ``most`` characters; a longer one ends in three dots.

    Examples
    --------
    >>> one_line("two\n  lines"), one_line("too long", 6)
    ('two lines', 'too...')
    """
    read = text[: 10 * most]  # a foreign text may be of any length
    line = " ".join(read.split())
    return line if len(line) <= most and len(read) == len(text) else f"{line[: most - 3]}..."


def is_whole_text(text: str) -> bool:
    """Whether a text can be written as UTF-8; half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def during(situation: str) -> Iterator[None]:
    """Add to what is told of a user's own code when it was asked: round, client.

    It becomes part of the message: a simulation clock copies exceptions without their notes.

    Raises
    ------
    OwnCodeError
        From one that is raised inside, with the situation at its end.
    """
    try:
        yield
    except OwnCodeError as error:
        msg = f"{error} ({situation})"
        raise OwnCodeError(msg) from error
