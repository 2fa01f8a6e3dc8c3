"""What else a number may depend on: versions, commit and machine."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PACKAGES = (
    "airtune", "datasets", "matplotlib", "networkx", "numpy", "pandas", "peft", "pydantic",
    "scipy", "simpy", "tokenizers", "torch", "transformers",
)  # fmt: skip


def provenance() -> dict[str, Any]:
    """Return versions, commit and machine for the manifest."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "versions": {"python": platform.python_version(), **versions},
        "commit": _commit(),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
    }


def _commit() -> dict[str, Any] | None:
    """Commit of the source tree, or None for an installed copy."""
    root = Path(__file__).resolve().parent.parent
    try:
        revision = _git(root, "rev-parse", "HEAD")
        top = Path(_git(root, "rev-parse", "--show-toplevel"))
        is_dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"revision": revision, "is_dirty": is_dirty} if top == root else None


def _git(root: Path, *arguments: str) -> str:
    command: Sequence[str] = ("git", "-C", str(root), *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
