"""Which studies have been put together on this machine before: what has passed is not tried again.

To put every variant together (:mod:`scenarios.check_learning`) loads torch and transformers and
trains a step with every method. What that ends in follows from the settings, the texts, the files
of the model, our code and the versions of the libraries. The digest of all of them names an empty
file: where it is there, an equal study has passed.

The folder is the one that the environment variable :data:`FOLDER_VARIABLE` names, else ``trials``
in ``$AIRTUNE_CACHE``, else ``airtune/trials`` in the user's cache folder (XDG). With the value
``off`` every study is tried. The folder can be deleted at any time, and where no file can be
written nothing is noted; neither is an error.

Not noted are studies with a method or reward of a user's own, whose code may read what we do not
know of, or with a model from the hub, which may change there.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from fl.cache_folder import default_cache_dir
from fl.methods.own import OwnConfig
from fl.rewards.config import OwnReward
from scenarios.inputs import code_digest, model_files, rewards_of
from scenarios.own_files import own_file_digests
from scenarios.shares import facts_of
from scenarios.variants import Variant

FOLDER_VARIABLE = "AIRTUNE_TRIALS"
"""Environment variable: folder of what has passed, or ``off``."""

SECTIONS = (
    "network",
    "clients",
    "data",
    "model",
    "training",
    "server",
    "rewards",
    "methods",
    "seeds",
)
"""Parts of a scenario that decide whether a variant can be put together; radio and world do not."""

PACKAGES = ("fl", "scenarios")
"""Our code that puts a study together."""
LIBRARIES = ("numpy", "peft", "safetensors", "tokenizers", "torch", "transformers")
"""Libraries that put a study together; datasets only reads texts, which have a digest."""

MOST_FILES = 1000
"""Files that are kept; those written first go first."""


class PassedTrials:
    """Notes that a study has passed, and tells whether it has before.

    Parameters
    ----------
    variants
        Of the study; their texts have been read.
    """

    def __init__(self, variants: Sequence[Variant]) -> None:
        folder, digest = _folder(), None
        if folder is not None:
            digest = _digest(variants)
        self._file = None if folder is None or digest is None else folder / digest

    def has_passed(self) -> bool:
        """Return whether an equal study has been put together on this machine."""
        try:
            return self._file is not None and self._file.is_file()
        except OSError:
            return False

    def note(self) -> None:
        """Note that the study has been put together without a fault."""
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch()
            files = sorted(self._file.parent.iterdir(), key=lambda file: file.stat().st_mtime_ns)
            for file in files[:-MOST_FILES]:
                file.unlink(missing_ok=True)
        except OSError:  # no right, no space: it is tried again the next time
            return


def _folder() -> Path | None:
    named = os.environ.get(FOLDER_VARIABLE)
    if named == "off":
        return None
    try:
        return Path(named).expanduser() if named else default_cache_dir() / "trials"
    except RuntimeError:  # a user without a home folder
        return None


def _digest(variants: Sequence[Variant]) -> str | None:
    """Return the digest of all that the trial follows from; ``None`` where not all is known."""
    digest = hashlib.sha256(code_digest(PACKAGES, LIBRARIES).encode())
    for scenario in (variant.scenario for variant in variants):
        if any(isinstance(method, OwnConfig) for method in scenario.methods):
            return None
        if any(isinstance(reward, OwnReward) for reward in rewards_of(scenario)):
            return None
        parts = [getattr(scenario, name) for name in SECTIONS]
        try:
            files = list(model_files(scenario))
        except (OSError, ValueError):  # the trial says what is wrong with them
            return None
        if None in files:
            return None
        digest.update(repr((parts, files, facts_of(scenario)["digest"])).encode())
    digest.update(repr(own_file_digests(variants)).encode())
    return digest.hexdigest()
