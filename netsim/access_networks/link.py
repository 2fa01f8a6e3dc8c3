"""One link and its transfers: when the next of them ends, and what each has spent until now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import simpy

from netsim.access_networks.medium import Grant, Member
from netsim.access_networks.step_function import StepFunction
from netsim.transport.transfers import Transfer

_SLACK_BITS = 1e-6
_RELATIVE_SLACK = 1e-12
"""What rounding may leave of a transfer that has ended."""


@dataclass(slots=True, eq=False)
class Flow:
    """A running transfer: what is left of it, and what it has spent."""

    transfer: Transfer
    latency_s: float
    """One-way latency to the server [s]."""
    remaining_bits: float
    started_at_s: float | None = None
    """When it was put on its link."""
    left_at_s: float | None = None
    """When it left its link, or its wait for it."""
    energy_j: float = 0.0
    grant: Grant = field(default_factory=lambda: Grant(0.0, 0.0))

    @property
    def has_left(self) -> bool:
        """Whether it has left its link, or has ended without ever having been on it."""
        return self.left_at_s is not None

    @property
    def member(self) -> Member:
        """The transfer as its link sees it."""
        return Member(self.transfer.client_id, self.transfer.direction)

    @property
    def is_complete(self) -> bool:
        """Whether all bits have crossed the link, but for rounding."""
        slack_bits = _SLACK_BITS + _RELATIVE_SLACK * 8.0 * self.transfer.size_bytes
        return self.remaining_bits <= slack_bits


class Link:
    """A link whose transfers have constant parts of its rate until one comes or goes.

    Parameters
    ----------
    env
        Simulation clock in seconds.
    rate_bps
        Rate of the link over time.
    share
        What each transfer has, given all of them.
    book
        Books what transfers have spent between two instants.
    on_complete
        Told of a transfer whose last bit has crossed the link; it is no longer on it then.
    """

    def __init__(
        self,
        env: simpy.Environment,
        *,
        rate_bps: StepFunction,
        share: Callable[[Sequence[Member]], list[Grant]],
        book: Callable[[Sequence[Flow], float, float], None],
        on_complete: Callable[[Flow], None],
    ) -> None:
        self._env = env
        self._rate_bps = rate_bps
        self._share = share
        self._book = book
        self._on_complete = on_complete
        self._flows: list[Flow] = []
        self._settled_at_s = float(env.now)
        self._num_plans = 0

    def add(self, flow: Flow) -> None:
        """Put a transfer on the link."""
        self.settle()
        self._flows.append(flow)
        self._plan()

    def remove(self, flow: Flow) -> None:
        """Take a transfer off the link."""
        self.settle()
        self._flows.remove(flow)
        self._plan()

    def settle(self) -> None:
        """Move the bits, and book what was spent, up to now."""
        start_s, now_s = self._settled_at_s, float(self._env.now)
        self._settled_at_s = now_s
        if not self._flows or now_s <= start_s:
            return
        moved_bits = self._rate_bps.integral(start_s, now_s)
        for flow in self._flows:
            flow.remaining_bits = max(flow.remaining_bits - flow.grant.rate * moved_bits, 0.0)
        self._book(self._flows, start_s, now_s)

    def _plan(self) -> None:
        """Share the link anew; wait for the transfers that end first."""
        self._num_plans += 1
        if not self._flows:
            return
        for flow, grant in zip(
            self._flows, self._share([flow.member for flow in self._flows]), strict=True
        ):
            flow.grant = grant
        # Bits of the link that must pass until each transfer ends.
        needs = [flow.remaining_bits / flow.grant.rate for flow in self._flows]
        least = min(needs)
        first = [
            flow
            for flow, need in zip(self._flows, needs, strict=True)
            if need <= least * (1 + _RELATIVE_SLACK)
        ]
        now_s = float(self._env.now)
        ends_at_s = self._rate_bps.when_reached(now_s, least)
        if ends_at_s == float("inf"):
            return
        plan = self._num_plans
        self._env.timeout(ends_at_s - now_s).callbacks.append(lambda _: self._complete(first, plan))

    def _complete(self, flows: Sequence[Flow], plan: int) -> None:
        """End transfers as planned, unless the plan has been replaced."""
        if plan != self._num_plans:
            return
        self.settle()
        for flow in flows:
            flow.remaining_bits = 0.0
            self._flows.remove(flow)
        self._plan()
        for flow in flows:
            self._on_complete(flow)
