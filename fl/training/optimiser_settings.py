"""Which optimiser a job's steps are of, as plain settings; no torch here."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Lt

ADAM_COPIES = 2
"""AdamW keeps two moments a trained number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """AdamW: Adam with decoupled weight decay, betas 0.9 and 0.999, epsilon 1e-8."""

    kind: Literal["adamw"] = "adamw"
    """Name of this optimiser."""

    @property
    def num_copies(self) -> int:
        """Numbers kept for each trained one, beside its gradient."""
        return ADAM_COPIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd:
    """Stochastic gradient descent; weight decay is added to the gradient.

    ``v <- momentum v + g``; the step is the learning rate times ``v``, or ``g + momentum v`` with
    ``nesterov``.
    """

    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Part of the last step that goes on."""
    nesterov: bool = False
    """Whether a step looks ahead along the momentum; has no effect without one."""
    kind: Literal["sgd"] = "sgd"
    """Name of this optimiser."""

    @property
    def num_copies(self) -> int:
        """Numbers kept for each trained one, beside its gradient: the momentum, if there is one."""
        return 1 if self.momentum else 0


OptimiserSettings = AdamW | Sgd
"""Any optimiser; told apart by ``kind``."""
ADAMW = AdamW()
"""What holds where nothing else is said."""
