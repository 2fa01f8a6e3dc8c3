"""Where what is made once a user is kept."""

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """Return ``$AIRTUNE_CACHE``, else ``airtune`` in the user's cache folder (XDG).

    Raises
    ------
    RuntimeError
        The user has no home folder.
    """
    if chosen := os.environ.get("AIRTUNE_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "airtune"
