"""Steps of a job that a client does together with the server: traffic within a job.

A job that exchanges nothing is one piece of computing between a download and an upload. In split
training each optimiser step goes to the server and back. What of a job that needs is known from its
plan, as its cost is: for each step what the device computes before it sends, the bytes up, what the
server computes, the bytes down, and what the device computes after that. That is all that passes
the seam: a procedure that has steps of this kind says them (:class:`Exchanging`), and the
participation lets the device compute and the network carry, in turn; the job itself runs as a
whole, as any other. Each exchange is a transfer of its own, which contends with others and can be
lost; one that is lost ends the participation, and its job never runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fl.clients.work import Work
from fl.training.cost import CostModel
from fl.training.job import Start
from fl.training.procedure import Plan, Procedure


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One step of a job, shared by the device and the server."""

    before: Work
    """What the device computes before it sends."""
    uplink_bytes: int
    """What it sends, > 0."""
    server_flop: int
    """What the server computes between the two transfers."""
    server_s: float
    """How long that takes."""
    downlink_bytes: int
    """What the server sends back, > 0."""
    after: Work
    """What the device computes then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """The exchanges of a job in all."""

    uplink_bytes: int = 0
    downlink_bytes: int = 0
    server_s: float = 0.0

    @classmethod
    def of(cls, exchanges: Sequence[Exchange]) -> "Exchanged":
        """Return the sums."""
        return cls(
            uplink_bytes=sum(each.uplink_bytes for each in exchanges),
            downlink_bytes=sum(each.downlink_bytes for each in exchanges),
            server_s=sum(each.server_s for each in exchanges),
        )


@runtime_checkable
class Exchanging(Protocol):
    """A procedure whose jobs exchange something with the server in every step.

    Its ``work`` and ``largest`` are of the device alone.
    """

    def check(self, cost: CostModel) -> None:
        """Refuse a model, whose costs are charged, that cannot be shared as the settings say.

        Raises
        ------
        ValueError
            One line: setting, rule, value.
        """

    def exchanges(self, plan: Plan, start: Start, cost: CostModel) -> Sequence[Exchange]:
        """Return the steps of a plan; of ``start`` only shapes matter."""


def exchanges_of(
    procedure: Procedure, plan: Plan, start: Start, cost: CostModel
) -> Sequence[Exchange]:
    """Return the exchanges of a plan; none where the device works alone."""
    if isinstance(procedure, Exchanging):
        return procedure.exchanges(plan, start, cost)
    return ()


def client_works(exchanges: Sequence[Exchange]) -> list[Work]:
    """Return what the device computes before each exchange, and after the last one.

    What it computes after one and before the next is one piece.
    """
    befores = [*(each.before for each in exchanges), Work()]
    afters = [Work(), *(each.after for each in exchanges)]
    return [after + before for after, before in zip(afters, befores, strict=True)]
