"""What is wrong with an input: broken rules of settings, unusable data, unusable models."""

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
