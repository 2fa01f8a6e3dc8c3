"""One entry of the result store: a safetensors file that says what it must hold."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fl.payload import Tensors

FORMAT = "1"
"""Version of what an entry holds; one of another version is as good as none."""


class DamagedEntryError(ValueError):
    """A file of the store does not hold what was written; one line says what is wrong."""


def write_entry(path: Path, tensors: Tensors, told: Mapping[str, object]) -> int:
    """Write an entry under its name, in one step: others read at any time.

    Parameters
    ----------
    path
        Its place; the folder is made.
    tensors
        By name.
    told
        What else there is to keep, as plain data.

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    OSError
        It cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    apart = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    text = json.dumps(told)
    metadata = {"format": FORMAT, "result": text, "sha256": _checksum(apart, text)}
    handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        _save(apart, draft, metadata)
        num_bytes = Path(draft).stat().st_size
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)
    return num_bytes


def read_entry(path: Path) -> tuple[dict[str, torch.Tensor], Mapping[str, Any]]:
    """Return the tensors of an entry and what else it tells.

    Raises
    ------
    FileNotFoundError
        There is none.
    DamagedEntryError
        It is cut off, of another version, or not what was written.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is no dict
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        msg = f"{path}: is no whole safetensors file ({error})"
        raise DamagedEntryError(msg) from None
    if metadata.get("format") != FORMAT:
        msg = f"{path}: format must be {FORMAT}, got {metadata.get('format')}"
        raise DamagedEntryError(msg)
    text = metadata.get("result", "")
    if metadata.get("sha256") != _checksum(tensors, text):
        msg = f"{path}: does not hold what was written (its SHA-256 differs)"
        raise DamagedEntryError(msg)
    return tensors, json.loads(text)


def _save(tensors: Tensors, draft: str, metadata: Mapping[str, str]) -> None:
    """Write a file; the library tells of a full disk in an error of its own."""
    try:
        save_file(dict(tensors), draft, metadata=dict(metadata))
    except SafetensorError as error:
        raise _as_os_error(error, draft) from None


def _as_os_error(error: SafetensorError, path: str) -> OSError:
    """Return what the operating system said, which the library hides in its text."""
    text = str(error)
    _, separator, number = text.partition("(os error ")
    code = number.partition(")")[0]
    if separator and code.isdecimal():
        return OSError(int(code), os.strerror(int(code)), path)
    return OSError(text)


def _checksum(tensors: Tensors, text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
