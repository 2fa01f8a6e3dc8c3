"""Where the time of this machine went, and how much of its cores was used."""

import os
import resource
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PARTS = {
    "host_train_s": "training",
    "host_eval_s": "evaluation",
    "host_write_s": "writing rows",
    "host_start_s": "starting",
}
"""What the entry of a run in the manifest tells apart, and how it is called; the rest of its
``host_total_s`` is the simulation."""
SIMULATION = "simulation"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTime:
    """Host time of the runs of a study that were done now."""

    fractions: Mapping[str, float]
    """Part of it that each of :data:`PARTS` and the simulation took; they add up to 1."""
    num_cores: int
    """Cores that this process may use."""
    used_fraction: float
    """Processor time of this process and those that it started, over that of all cores."""

    def line(self) -> str:
        """Return it in words, the largest part first."""
        parts = sorted(self.fractions.items(), key=lambda item: -item[1])
        told = ", ".join(f"{100 * part:.0f} % {name}" for name, part in parts if part >= 0.005)
        cores = "the core" if self.num_cores == 1 else f"{self.num_cores} cores"
        return f"host time: {told}; {100 * self.used_fraction:.0f} % of {cores} used"


class Stopwatch:
    """Begins with the processor time that was used before."""

    def __init__(self) -> None:
        self._started_s, self._used_before_s = time.perf_counter(), _used_s()

    def read(self, entries: Iterable[Mapping[str, Any]]) -> HostTime | None:
        """Return where the time of finished runs went.

        Parameters
        ----------
        entries
            Of the manifest; ``None`` is returned if there are none.
        """
        entries = list(entries)
        total_s = sum(entry["host_total_s"] for entry in entries)
        if not total_s:
            return None
        parts = {
            name: sum(entry[key] for entry in entries) / total_s for key, name in PARTS.items()
        }
        num_cores = len(os.sched_getaffinity(0))
        passed_s = time.perf_counter() - self._started_s
        return HostTime(
            fractions={**parts, SIMULATION: max(0.0, 1.0 - sum(parts.values()))},
            num_cores=num_cores,
            used_fraction=(_used_s() - self._used_before_s) / (num_cores * passed_s),
        )


def _used_s() -> float:
    """Return the processor time of this process and of its children that have ended [s]."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in each)
