"""The mean of one cell's scheduler over an interval without events.

A scheduler answers for a slot. Over an interval in which the channel stands still, the flow engine
needs the mean of its answers while the averages that it looks at move. :class:`MeanShares` takes
that mean: in closed form where the scheduler offers one, else by asking it a few times. Where
fading changes within the interval, it is asked at several instants and answers for each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.mac.average_rate import (
    AVERAGE_S,
    RateOfShares,
    follow_averages,
    num_steps,
    power_exponent,
)
from netsim.mac.schedulers import (
    CellView,
    Scheduler,
    ask,
    check_activity,
    check_shares,
    placed,
)
from netsim.mac.schedulers.metric import TIE_BREAK
from netsim.mac.unused_blocks import (
    LimitsOverTime,
    PowerLimits,
    part_of,
    redistribute_unused_blocks,
)

STEPS_TO_BALANCE = 200
"""Least times the scheduler is asked until its averages have settled in a constant channel."""

STEPS_TO_FOLLOW = 16
"""Least times it is asked to see whether a balance found before still holds."""


@dataclass(slots=True, kw_only=True)
class _Balance:
    """Running means over the answers of an endless interval."""

    client_id: Int[np.ndarray, " bearer"]
    requested_at_s: Float[np.ndarray, " bearer"]
    weight: float
    """Number of answers that the means stand for."""
    shares: Float[np.ndarray, "bearer group"]
    activity: Float[np.ndarray, " bearer"]
    rate_bps: Float[np.ndarray, " bearer"]

    def is_of(self, view: CellView) -> bool:
        """Whether the same transfers are active now."""
        return np.array_equal(self.client_id, view.client_id) and np.array_equal(
            self.requested_at_s, view.requested_at_s
        )


class MeanShares:
    """The scheduler of one cell and direction, asked for an instant or for an interval.

    Parameters
    ----------
    scheduler
        Asked for no other cell.
    name
        As in the settings, for error messages.
    slot_s
        Duration of a slot [s]: no scheduler answers more often.
    """

    def __init__(self, scheduler: Scheduler, *, name: str, slot_s: float) -> None:
        self._scheduler = scheduler
        self._slot_s = slot_s
        self._name = name
        self._placed_name = placed(name, scheduler.shares)
        self._is_exclusive = bool(getattr(scheduler, "is_exclusive", False))
        self._closed_form: Callable[[CellView], tuple[np.ndarray, np.ndarray] | None] | None
        self._closed_form = getattr(scheduler, "steady_state_shares", None)
        self._balance: _Balance | None = None

    def now(self, view: CellView) -> Float[np.ndarray, "bearer group"]:
        """Return the checked answer of this instant."""
        shares = ask(self._scheduler.shares, view, name=self._name)
        return check_shares(shares, view, name=self._placed_name)

    def among(
        self, view: CellView, chosen: Bool[np.ndarray, " bearer"]
    ) -> Float[np.ndarray, "bearer group"]:
        """Return the checked answer about the chosen ones only; zeros for the others."""
        shares = np.zeros(view.group_rate_bps.shape)
        if chosen.any():
            shares[chosen] = self.now(part_of(view, chosen))
        return shares

    def over(
        self,
        views: Sequence[CellView],
        *,
        duration_s: Float[np.ndarray, " instant"],
        floor_bps: Float[np.ndarray, " bearer"],
        alone_bps: Float[np.ndarray, "instant bearer"],
        backhaul_limit_bps: Float[np.ndarray, " bearer"] | float = np.inf,
        limits: LimitsOverTime | None = None,
    ) -> tuple[Float[np.ndarray, "instant bearer group"], Float[np.ndarray, "instant bearer"]]:
        """Return the mean answers over an interval in which only averages and fading change.

        Parameters
        ----------
        views
            At least two transfers, as the channel is at each instant. The averages are those at the
            first one.
        duration_s
            Time to the next instant, the last to the end of the interval [s]; a single inf if the
            channel never changes.
        floor_bps
            No average falls below this.
        alone_bps
            Rate of each with the whole band.
        backhaul_limit_bps
            Largest rate that the backhaul carries of each, whatever its share. It is used within a
            finite interval only; in an endless one averages settle without it.
        limits
            What power lets the clients use, if it limits some to a part of the
            band and others are to have the rest.

        Returns
        -------
        shares
            Mean share of each group.
        activity
            Part of the time in which anything is held, in (0, 1]; 1 for who holds nothing.
        """
        first = views[0]
        is_endless = not np.isfinite(duration_s[0])
        if is_endless and self._closed_form is not None and limits is None:
            answer = ask(self._closed_form, first, name=self._name)
            if answer is not None:
                name = placed(self._name, self._closed_form)
                shares = check_shares(answer[0], first, name=name)
                return shares[None], check_activity(answer[1], shares, name=name)[None]
        in_turns = self._is_exclusive and limits is None
        if not self._is_exclusive:
            constant = self._if_constant(views, duration_s=duration_s, floor_bps=floor_bps)
            if constant is not None:
                return constant, np.ones(constant.shape[:2])
        rates = [
            RateOfShares(
                group_rate_bps=view.group_rate_bps,
                exponent=power_exponent(view.group_rate_bps, alone, len(alone)),
                num_contenders=len(alone),
                in_turns=in_turns,
            )
            for view, alone in zip(views, alone_bps, strict=True)
        ]
        if is_endless:
            limit = None if limits is None else limits.at_instant[0]
            shares, activity = self._settle(first, rates[0], floor_bps, limit)
            return shares[None], activity[None]
        num = len(floor_bps)
        least_steps = num_steps(duration_s, num_contenders=num, slot_s=self._slot_s)
        return follow_averages(
            lambda instant, average: self._now_at(
                views[instant], average, None if limits is None else limits.at_instant[instant]
            ),
            rates,
            duration_s=duration_s,
            steps=np.array([self._num_steps(num, least) for least in least_steps.tolist()]),
            average_bps=first.average_rate_bps,
            floor_bps=floor_bps,
            backhaul_limit_bps=backhaul_limit_bps,
        )

    def _if_constant(
        self,
        views: Sequence[CellView],
        *,
        duration_s: Float[np.ndarray, " instant"],
        floor_bps: Float[np.ndarray, " bearer"],
    ) -> Float[np.ndarray, "instant bearer group"] | None:
        """Return the answers if they are the same whatever the averages, found by asking twice."""
        answers = []
        for view, length_s in zip(views, duration_s, strict=True):
            shares = self._now_at(view, view.average_rate_bps)
            served = (shares * view.group_rate_bps).sum(axis=1)
            keep = np.exp(-length_s / AVERAGE_S)
            later = np.maximum(served + keep * (view.average_rate_bps - served), floor_bps)
            if not np.array_equal(shares, self._now_at(view, later)):
                return None
            answers.append(shares)
        return np.array(answers)

    def _settle(
        self,
        view: CellView,
        rate: RateOfShares,
        floor_bps: Float[np.ndarray, " bearer"],
        limits: PowerLimits | None,
    ) -> tuple[Float[np.ndarray, "bearer group"], Float[np.ndarray, " bearer"]]:
        """Return the fixed point at which the averages are the rates served.

        It is found by averaging answers to the rates of the mean so far (the conditional-gradient
        method; for proportional fair it maximises the sum of log rates). The point found last is
        the start if the same transfers are active, and stays if some more answers there agree with
        it to the resolution of so many answers.
        """
        kept = self._balance
        if kept is not None and kept.is_of(view):
            before = kept.shares.mean(axis=1)
            weight = min(kept.weight, STEPS_TO_BALANCE)
            kept.weight = weight
            steps = self._settle_more(
                kept, view, rate, floor_bps, limits=limits, least=STEPS_TO_FOLLOW
            )
            moved = np.abs(kept.shares.mean(axis=1) - before) * (weight + steps) / steps
            if moved.max() <= 2 / steps:
                return self._settled(kept)
        num = len(view.client_id)
        start = np.full(view.group_rate_bps.shape, 1.0 / num)
        self._balance = _Balance(
            client_id=view.client_id.copy(),
            requested_at_s=view.requested_at_s.copy(),
            weight=1.0,
            shares=start,
            activity=np.full(num, 1.0 / num if limits is None else 1.0),
            rate_bps=rate.rate_bps(np.ones_like(start)) / num,
        )
        self._settle_more(
            self._balance, view, rate, floor_bps, limits=limits, least=STEPS_TO_BALANCE
        )
        return self._settled(self._balance)

    def _settle_more(
        self,
        balance: _Balance,
        view: CellView,
        rate: RateOfShares,
        floor_bps: Float[np.ndarray, " bearer"],
        *,
        limits: PowerLimits | None,
        least: int,
    ) -> int:
        """Add answers to the means; return how many."""
        steps = self._num_steps(len(view.client_id), least)
        for _ in range(steps):
            answer = self._now_at(view, np.maximum(balance.rate_bps, floor_bps), limits)
            activity, served_bps = rate.served(answer)
            balance.weight += 1
            balance.shares = balance.shares + (answer - balance.shares) / balance.weight
            balance.activity = balance.activity + (activity - balance.activity) / balance.weight
            balance.rate_bps = balance.rate_bps + (served_bps - balance.rate_bps) / balance.weight
        return steps

    @staticmethod
    def _settled(
        balance: _Balance,
    ) -> tuple[Float[np.ndarray, "bearer group"], Float[np.ndarray, " bearer"]]:
        # A transfer that was never chosen keeps the trace of the start, with its activity.
        activity = np.maximum(balance.activity, balance.shares.max(axis=1))
        return balance.shares, np.minimum(activity, 1.0)

    def _num_steps(self, num_bearers: int, least: int) -> int:
        """Return how often to ask: whole rounds, so that equal transfers get equal shares.

        An exclusive scheduler divides what is tied, which needs no rounds.
        """
        return least if self._is_exclusive else num_bearers * -(-least // num_bearers)

    def _now_at(
        self,
        view: CellView,
        average_bps: Float[np.ndarray, " bearer"],
        limits: PowerLimits | None = None,
    ) -> Float[np.ndarray, "bearer group"]:
        """Return the answer at some averages, ties broken where transfers are served at once."""
        if not self._is_exclusive or limits is not None:
            average_bps = average_bps * (1.0 + TIE_BREAK * np.arange(len(average_bps)))
        view = replace(view, average_rate_bps=average_bps)
        shares = self.now(view)
        if limits is None:
            return shares
        return redistribute_unused_blocks(partial(self.among, view), shares, limits)
