"""Results of jobs in a folder, by the digest of the job: nothing is trained twice.

Equal digests mean equal results, in any run, study or process. Files are safetensors and hold
nothing else. A file that is damaged is told of, as a warning of this module, and computed again;
where they take too much room, those that were used longest ago go.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from fl.execution.packing import (
    Packed,
    pack_evaluated,
    pack_trained,
    unpack_evaluated,
    unpack_trained,
)
from fl.execution.store_file import DamagedEntryError, read_entry, write_entry
from fl.execution.store_upkeep import evict
from fl.payload import Tensors
from fl.training.job import EvaluationJob, EvaluationResult, TrainJob, TrainResult

logger = logging.getLogger(__name__)

ROOM = 0.05
"""Part of its limit that a process writes before it looks again how much all have written."""


class StoreWriteError(OSError):
    """A result cannot be kept: the disk is full, or may not be written."""


class ResultStore:
    """Results that any process may add and read.

    Parameters
    ----------
    folder
        Where they lie; made if it is missing.
    max_bytes
        Most bytes that they take, all processes together, and :data:`ROOM` of it more for each
        process; ``None``: no limit.

    Raises
    ------
    OSError
        The folder cannot be made.
    StoreWriteError
        Of the methods: a result cannot be kept.
    """

    def __init__(self, folder: Path, *, max_bytes: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._room_bytes = 0.0

    def trained(self, job: TrainJob, run: Callable[[TrainJob], TrainResult]) -> TrainResult:
        """Return the result of a training job; one that nobody has stored is run and stored."""
        digest = job.digest()
        known = self.find_trained(job, digest)
        if known is not None:
            return known
        result = run(job)
        self.keep_trained(job, digest, result)
        return result

    def find_trained(self, job: TrainJob, digest: str) -> TrainResult | None:
        """Return the result that is kept by a digest, if there is one."""
        read = self._read(digest)
        return None if read is None else unpack_trained(job, read)

    def keep_trained(self, job: TrainJob, digest: str, result: TrainResult) -> None:
        """Keep the result of a job by a digest, which must say all that decides it."""
        self._write(digest, *pack_trained(job, result))

    def evaluated(
        self, job: EvaluationJob, run: Callable[[EvaluationJob], EvaluationResult]
    ) -> EvaluationResult:
        """Return the result of an evaluation job; one that nobody has stored is run and stored."""
        digest = job.digest()
        read = self._read(digest)
        if read is not None:
            return unpack_evaluated(read)
        result = run(job)
        self._write(digest, *pack_evaluated(result))
        return result

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}.safetensors"

    def _read(self, digest: str) -> Packed | None:
        path = self._path(digest)
        try:
            found = read_entry(path)
        except FileNotFoundError:
            return None
        except DamagedEntryError as error:
            logger.warning("%s; it is computed again", error)
            return None
        with contextlib.suppress(OSError):  # a store that may be read and not changed
            os.utime(path)  # used now: it goes later than others
        return found

    def _write(self, digest: str, tensors: Tensors, told: Mapping[str, object]) -> None:
        try:
            self._room_bytes -= write_entry(self._path(digest), tensors, told)
        except OSError as error:
            where = error.filename or self._folder
            raise StoreWriteError(error.errno, error.strerror or str(error), where) from error
        if self._max_bytes is not None and self._room_bytes <= 0:
            evict(self._folder, max_bytes=self._max_bytes)
            self._room_bytes = ROOM * self._max_bytes
