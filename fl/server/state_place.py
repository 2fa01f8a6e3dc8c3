"""Where the tensors of clients are: those used last in memory, the others in files."""

import shutil
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from fl.payload import DTYPE_NAMES, Tensors
from fl.server.state_file import DamagedStateError, read_state, write_state
from fl.server.tensor_tokens import TensorTokens

BUDGET_BYTES = 1 << 30
"""Bytes of tensors that are held in memory where there is a folder for the others [our choice:
nearly 1,000 clients with LoRA of rank 8 in a BERT-base]. The same on every machine."""
OBJECT_BYTES = 1000
"""Bytes that a tensor takes beside its numbers [measured on CPython 3.11: 0.5 to 0.8 kB]."""
_CLIENTS_A_FOLDER = 1000


class StateFileError(OSError):
    """A client's tensors cannot be written to disk, or not read back; one line."""


@dataclass(slots=True)
class _Kept:
    """Tensors in memory."""

    tensors: Tensors
    num_bytes: int
    is_written: bool
    """Whether the file of the client holds them too."""


class StatePlace:
    """Tensors by client id.

    What is read from a file equals what was written, bit by bit, and stands for the same objects
    (:class:`fl.server.tensor_tokens.TensorTokens`). Files are of safetensors, one a client, and are
    written in one step. States whose tensors have no such encoding stay in memory.

    Parameters
    ----------
    folder
        Of the files; made when the first one is written. ``None``: all stay in memory.
    budget_bytes
        Bytes of tensors in memory, the one that was used last apart, with :data:`OBJECT_BYTES` for
        each; a tensor that several clients hold counts for each.
    """

    def __init__(self, folder: Path | None = None, *, budget_bytes: int = BUDGET_BYTES) -> None:
        self.tokens = TensorTokens()
        self.held_bytes = 0
        """Bytes of tensors in memory that may be written."""
        self._folder = folder
        self._budget_bytes = budget_bytes
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        """The one that was used last at the end."""
        self._staying: dict[int, Tensors] = {}
        self._written: set[int] = set()
        """Clients whose tensors are in their files, and in these alone."""
        self._folders: set[Path] = set()
        """Those that were made."""

    def __contains__(self, client_id: int) -> bool:
        """Whether there are tensors of a client."""
        return any(client_id in each for each in (self._kept, self._staying, self._written))

    def __iter__(self) -> Iterator[int]:
        """Give the clients of which there are tensors, in no order."""
        yield from (*self._kept, *self._staying, *self._written)

    def get(self, client_id: int) -> Tensors | None:
        """Return the tensors of a client; ``None``: there are none.

        Raises
        ------
        StateFileError
            Its file cannot be read, or is not what was written.
        """
        kept = self._kept.get(client_id)
        if kept is not None:
            self._kept.move_to_end(client_id)
            return kept.tensors
        if client_id not in self._written:
            return self._staying.get(client_id)
        tensors = self._read(client_id)
        self._written.remove(client_id)
        self._keep(client_id, tensors, is_written=True)
        return tensors

    def put(self, client_id: int, tensors: Tensors) -> None:
        """Replace the tensors of a client.

        Raises
        ------
        StateFileError
            Others had to leave memory, and cannot be written.
        """
        before = self._kept.pop(client_id, None)
        if before is not None:
            self.held_bytes -= before.num_bytes
        self._written.discard(client_id)
        self._staying.pop(client_id, None)
        if self._folder is None or not all(map(_is_encoded, tensors.values())):
            self._staying[client_id] = tensors
        else:
            self._keep(client_id, tensors, is_written=False)

    def close(self) -> None:
        """Remove the files; what is in memory stays."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folders.clear()
        self._written.clear()

    def _keep(self, client_id: int, tensors: Tensors, *, is_written: bool) -> None:
        """Hold tensors in memory, and write others that have to leave it."""
        num_bytes = sum(OBJECT_BYTES + each.nbytes for each in tensors.values())
        self._kept[client_id] = _Kept(tensors, num_bytes, is_written)
        self.held_bytes += num_bytes
        while self.held_bytes > self._budget_bytes and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            leaving = self._kept[oldest]
            if not leaving.is_written:
                self._write(oldest, leaving.tensors)
            del self._kept[oldest]
            self._written.add(oldest)
            self.held_bytes -= leaving.num_bytes

    def _write(self, client_id: int, tensors: Tensors) -> None:
        path = self._path(client_id)
        told = {"tokens": list(map(self.tokens.of, tensors.values()))}
        try:
            if path.parent not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(path.parent)
            write_state(path, tensors, told)
        except OSError as error:
            reason = error.strerror or error
            msg = f"{path.parent}: the state of client {client_id} cannot be kept: {reason}"
            raise StateFileError(msg) from error

    def _read(self, client_id: int) -> Tensors:
        try:
            tensors, told = read_state(self._path(client_id))
        except (OSError, DamagedStateError) as error:
            msg = f"the state of client {client_id} cannot be read back: {error}"
            raise StateFileError(msg) from error
        for tensor, token in zip(tensors.values(), told["tokens"], strict=True):
            self.tokens.adopt(tensor, token)
        return tensors

    def _path(self, client_id: int) -> Path:
        if self._folder is None:
            msg = "folder: there is none, nothing is written"
            raise ValueError(msg)
        return self._folder / f"{client_id // _CLIENTS_A_FOLDER}" / f"{client_id}.safetensors"


def _is_encoded(tensor: torch.Tensor) -> bool:
    """Whether a tensor can be written to a file and read back."""
    is_here = not tensor.is_meta and tensor.layout == torch.strided
    return is_here and tensor.dtype in DTYPE_NAMES
