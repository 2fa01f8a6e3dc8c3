"""Settings of training the head alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fl.methods.options import AveragingOptions
from fl.metrics import Task


@dataclass(frozen=True, kw_only=True)
class HeadConfig(AveragingOptions):
    """The classification head is trained and averaged, the backbone stays as it is."""

    kind: Literal["head"] = "head"

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Find a task without a head."""
        if task == "classification":
            return ()
        return [(("kind",), f"must train something where texts are written, got {self.kind}")]
