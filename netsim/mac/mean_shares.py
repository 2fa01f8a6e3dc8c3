"""What one cell's scheduler answers on average over an interval without events.

A slot-by-slot scheduler that serves one winner at a time is, over an interval in which the channel
stands still, the mean of its answers while the averages it looks at evolve. :class:`MeanShares`
takes that mean: in closed form where the scheduler offers one, else by asking a few times. Where
fades move within the interval it is asked at several instants of it and answers for each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from netsim.mac.schedulers import CellView, Scheduler, ask, check_activity, check_shares

AVERAGE_S = 0.15
"""Time constant of the served rate that proportional fair looks at [s]; 300 slots of 0.5 ms."""

STEP_OF_AVERAGE = 0.1
"""Part by which the average of a winner may grow in one step, roughly. Mean transfer times of 20
contenders then are 1 % from those of steps of a slot."""

STEPS_TO_BALANCE = 200
"""Least times it is asked when the channel never changes, until its averages have settled."""

STEPS_TO_FOLLOW = 16
"""Least times it is asked to see whether a balance found before still holds."""

TELL_APART = 1e-6
"""Relative distance put between averages of successive transfers, to break ties.

In a real cell no two averages stay equal, so a scheduler of winners serves in turn, not side by
side: with limited power that is a difference. One that says so (``is_exclusive``) needs no help."""


_RateOf = Callable[[Float[np.ndarray, "bearer group"]], Float[np.ndarray, " bearer"]]


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
        """Tell whether the same transfers are active now."""
        return np.array_equal(self.client_id, view.client_id) and np.array_equal(
            self.requested_at_s, view.requested_at_s
        )


class MeanShares:
    """The scheduler of one cell and direction, asked for an instant or for an interval.

    Parameters
    ----------
    scheduler
        Asked for nobody else.
    name
        As in the settings, for error messages.
    slot_s
        Duration of a slot [s]: no scheduler answers more often.
    """

    def __init__(self, scheduler: Scheduler, *, name: str, slot_s: float) -> None:
        self._scheduler = scheduler
        self._slot_s = slot_s
        self._name = name
        self._is_exclusive = bool(getattr(scheduler, "is_exclusive", False))
        self._closed_form: Callable[[CellView], tuple[np.ndarray, np.ndarray] | None] | None
        self._closed_form = getattr(scheduler, "steady_state_shares", None)
        self._balance: _Balance | None = None

    def now(self, view: CellView) -> Float[np.ndarray, "bearer group"]:
        """Give the checked answer of this instant."""
        shares = ask(self._scheduler.shares, view, name=self._name)
        return check_shares(shares, view, name=self._name)

    def over(
        self,
        views: Sequence[CellView],
        *,
        duration_s: Float[np.ndarray, " instant"],
        floor_bps: Float[np.ndarray, " bearer"],
        alone_bps: Float[np.ndarray, "instant bearer"],
        backhaul_limit_bps: Float[np.ndarray, " bearer"] | float = np.inf,
    ) -> tuple[Float[np.ndarray, "instant bearer group"], Float[np.ndarray, "instant bearer"]]:
        """Give the mean answers over an interval in which only averages and fades change.

        Parameters
        ----------
        views
            At least two transfers, as the channel is at each instant. The averages are those at the
            first one.
        duration_s
            Time to the next instant, the last to the end of the interval; a single inf if the
            channel never changes.
        floor_bps
            No average falls below this.
        alone_bps
            Rate of each with the whole band.
        backhaul_limit_bps
            What is really served of each at most, whatever its share: wires may hold it up. Only
            looked at within a finite interval; in an endless one averages settle without it.

        Returns
        -------
        shares
            Mean share of each group.
        activity
            Part of the time in which anything is held, in (0, 1]; 1 for who holds nothing.
        """
        first = views[0]
        endless = not np.isfinite(duration_s[0])
        if endless and self._closed_form is not None:
            answer = ask(self._closed_form, first, name=self._name)
            if answer is not None:
                shares = check_shares(answer[0], first, name=self._name)
                return shares[None], check_activity(answer[1], shares, name=self._name)[None]
        if not self._is_exclusive:
            constant = self._if_constant(views, duration_s=duration_s, floor_bps=floor_bps)
            if constant is not None:
                return constant, np.ones(constant.shape[:2])
        rates = [
            partial(
                served_bps,
                group_rate_bps=view.group_rate_bps,
                exponent=power_exponent(view.group_rate_bps, alone, len(alone)),
                num_contenders=len(alone),
            )
            for view, alone in zip(views, alone_bps, strict=True)
        ]
        if endless:
            shares, activity = self._settle(first, rates[0], floor_bps)
            return shares[None], activity[None]
        return self._within_tick(
            views,
            rates,
            duration_s=duration_s,
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
        """Give the answers if they are the same whatever the averages, tried by asking twice."""
        answers = []
        for view, length_s in zip(views, duration_s, strict=True):
            shares = self.now(self._with_average(view, view.average_rate_bps))
            served = (shares * view.group_rate_bps).sum(axis=1)
            keep = np.exp(-length_s / AVERAGE_S)
            later = np.maximum(served + keep * (view.average_rate_bps - served), floor_bps)
            if not np.array_equal(shares, self.now(self._with_average(view, later))):
                return None
            answers.append(shares)
        return np.array(answers)

    def _within_tick(
        self,
        views: Sequence[CellView],
        rates: Sequence[_RateOf],
        *,
        duration_s: Float[np.ndarray, " instant"],
        floor_bps: Float[np.ndarray, " bearer"],
        backhaul_limit_bps: Float[np.ndarray, " bearer"] | float,
    ) -> tuple[Float[np.ndarray, "instant bearer group"], Float[np.ndarray, "instant bearer"]]:
        """Follow the averages through a finite interval."""
        average = views[0].average_rate_bps
        steps = [
            self._num_steps(len(average), least)
            for least in num_steps(
                duration_s, num_contenders=len(average), slot_s=self._slot_s
            ).tolist()
        ]
        keep = np.exp(-duration_s / steps / AVERAGE_S)
        shares = np.zeros((len(views), *views[0].group_rate_bps.shape))
        active = np.zeros(shares.shape[:2])
        for place, (view, rate_of) in enumerate(zip(views, rates, strict=True)):
            for _ in range(steps[place]):
                answer, turn, served = self._step(view, average, rate_of)
                shares[place] += answer
                active[place] += turn
                served = np.minimum(served, backhaul_limit_bps)
                average = np.maximum(served + keep[place] * (average - served), floor_bps)
        asked = np.array(steps)[:, np.newaxis]
        return shares / asked[..., np.newaxis], np.where(active > 0, active / asked, 1.0)

    def _settle(
        self, view: CellView, rate_of: _RateOf, floor_bps: Float[np.ndarray, " bearer"]
    ) -> tuple[Float[np.ndarray, "bearer group"], Float[np.ndarray, " bearer"]]:
        """Find the fixed point at which the averages are the rates served.

        By averaging answers to the rates of the mean so far (the conditional-gradient method; for
        proportional fair it maximises the sum of log rates). The point found last is the start if
        the same transfers are active, and stays if some more answers there agree with it to the
        resolution of so many answers.
        """
        kept = self._balance
        if kept is not None and kept.is_of(view):
            before = kept.shares.mean(axis=1)
            weight = min(kept.weight, STEPS_TO_BALANCE)
            kept.weight = weight
            steps = self._settle_more(kept, view, rate_of, floor_bps, STEPS_TO_FOLLOW)
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
            activity=np.full(num, 1.0 / num),
            rate_bps=rate_of(np.ones_like(start)) / num,
        )
        self._settle_more(self._balance, view, rate_of, floor_bps, STEPS_TO_BALANCE)
        return self._settled(self._balance)

    def _settle_more(
        self,
        balance: _Balance,
        view: CellView,
        rate_of: _RateOf,
        floor_bps: Float[np.ndarray, " bearer"],
        least_steps: int,
    ) -> int:
        """Add answers to the means; give how many."""
        steps = self._num_steps(len(view.client_id), least_steps)
        for _ in range(steps):
            average = np.maximum(balance.rate_bps, floor_bps)
            answer, turn, served = self._step(view, average, rate_of)
            balance.weight += 1
            balance.shares = balance.shares + (answer - balance.shares) / balance.weight
            balance.activity = balance.activity + (turn - balance.activity) / balance.weight
            balance.rate_bps = balance.rate_bps + (served - balance.rate_bps) / balance.weight
        return steps

    @staticmethod
    def _settled(
        balance: _Balance,
    ) -> tuple[Float[np.ndarray, "bearer group"], Float[np.ndarray, " bearer"]]:
        # Who was never chosen keeps the trace of the start, at the time it stands for.
        active = np.maximum(balance.activity, balance.shares.max(axis=1))
        return balance.shares, np.minimum(active, 1.0)

    def _num_steps(self, num_bearers: int, least: int) -> int:
        """Give how often to ask: whole rounds, so that transfers alike get alike.

        One that takes turns divides what is tied, which needs no rounds.
        """
        return least if self._is_exclusive else num_bearers * -(-least // num_bearers)

    def _step(
        self, view: CellView, average_bps: Float[np.ndarray, " bearer"], rate_of: _RateOf
    ) -> tuple[
        Float[np.ndarray, "bearer group"],
        Float[np.ndarray, " bearer"],
        Float[np.ndarray, " bearer"],
    ]:
        """Ask once; give the answer, the part of the time each is active, and the rates served."""
        answer = self.now(self._with_average(view, average_bps))
        if not self._is_exclusive:
            return answer, answer.any(axis=1).astype(float), rate_of(answer)
        turn = answer.max(axis=1)
        held = answer / np.where(turn > 0, turn, 1.0)[:, np.newaxis]
        return answer, turn, turn * rate_of(held)

    def _with_average(self, view: CellView, average_bps: Float[np.ndarray, " bearer"]) -> CellView:
        if not self._is_exclusive:
            average_bps = average_bps * (1.0 + TELL_APART * np.arange(len(average_bps)))
        return replace(view, average_rate_bps=average_bps)


def num_steps(
    duration_s: Float[np.ndarray, " instant"], *, num_contenders: int, slot_s: float
) -> Int[np.ndarray, " instant"]:
    """Give how often a scheduler that reacts to averages has to be asked within some times.

    Parameters
    ----------
    duration_s
        Finite times [s].
    num_contenders
        Transfers among which it chooses: the average of a winner moves the faster, the more.
    slot_s
        It is never asked more often than that [s].

    Examples
    --------
    >>> num_steps(np.array([0.05]), num_contenders=6, slot_s=0.5e-3).tolist()
    [20]
    """
    step_s = max(STEP_OF_AVERAGE * AVERAGE_S / num_contenders, slot_s)
    return np.maximum(np.ceil(duration_s / step_s * (1 - 1e-9)), 1.0).astype(np.intp)


def power_exponent(
    group_rate_bps: Float[np.ndarray, "*bearer group"],
    alone_bps: Float[np.ndarray, "*bearer"],
    num_contenders: Int[np.ndarray, " bearer"] | int,
) -> Float[np.ndarray, "*bearer"]:
    """Give the power of the width by which wider holdings yield less than in proportion.

    Parameters
    ----------
    group_rate_bps
        Rates at an equal split, by group.
    alone_bps
        Rate with the whole band.
    num_contenders
        Among how many the split is.
    """
    whole = group_rate_bps.sum(axis=-1)
    ratio = np.divide(alone_bps, whole, out=np.ones(whole.shape), where=whole > 0)
    return np.log(np.clip(ratio, 1e-9, 1.0)) / np.log(np.maximum(num_contenders, 2))


def served_bps(
    shares: Float[np.ndarray, "bearer group"],
    group_rate_bps: Float[np.ndarray, "bearer group"],
    exponent: Float[np.ndarray, " bearer"],
    num_contenders: Int[np.ndarray, " bearer"] | int,
) -> Float[np.ndarray, " bearer"]:
    """Give rates at any holding, from those at an equal split: wider holdings spread the power.

    What a holding yields less than in proportion is known for the whole band, is nothing for an
    equal split, and is taken to follow a power law in between, see :func:`power_exponent`.
    """
    wider = np.maximum(shares.mean(axis=1) * num_contenders, 1.0)
    return (shares * group_rate_bps).sum(axis=1) * wider**exponent
