"""Broken rules of a configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule of a configuration, found before anything runs."""

    path: tuple[str, ...]
    """Key in the scenario, for example ``("radio", "bandwidth_hz")``."""
    message: str
    """Rule, value found, and what would be right; one line, no full stop."""
