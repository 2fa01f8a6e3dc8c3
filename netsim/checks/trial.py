"""The parts of a network that can fail on settings which break no rule, built and thrown away."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from netsim.channel.channel import Channel
from netsim.checks.effect import find_ergodic_problem
from netsim.config import RadioConfig, WorldConfig
from netsim.mac.metric_shares import check_metric
from netsim.mac.schedulers import (
    CellView,
    Scheduler,
    SchedulerFactory,
    ask,
    check_activity,
    check_shares,
    placed,
    scheduler_factory,
)
from netsim.world.layout import build_layout

TRIAL_TRANSFERS = (1, 3)
"""Transfers among which a scheduler of the user's own decides in a trial."""
_BAND_BPS, _SITE_W = 50e6, 20.0


def try_network(
    world: WorldConfig,
    radio: RadioConfig,
    *,
    seed: int,
    own_scheduler: SchedulerFactory | None = None,
) -> None:
    """Build layout and channel of a network; let a scheduler of the user's own decide once.

    The tables of link adaptation, which take seconds and cannot fail, are left out.

    Parameters
    ----------
    world, radio
        Sections that break no rule.
    seed
        Root seed of the run, at least 0.
    own_scheduler
        As of :class:`netsim.network.CellularNetwork`.

    Raises
    ------
    ValueError
        One line that says what cannot be built, or what is wrong with the decision.
    """
    channel = Channel(world, radio, build_layout(world.layout), seed=seed)
    make = scheduler_factory(radio.scheduler, own=own_scheduler)
    check_scheduler(radio, make())
    if own_scheduler is None:
        return
    for num_transfers in TRIAL_TRANSFERS:
        view = trial_view(num_transfers, channel.num_groups)
        try:
            first = _decide(make, view, name=radio.scheduler)
            second = _decide(make, view, name=radio.scheduler)
            _check_repeats(first, second, name=placed(radio.scheduler, make().shares))
        except (ValueError, RuntimeError) as error:
            what = f"a trial decision among {num_transfers}"
            msg = f"scheduler: {what}: {str(error).removeprefix(f'scheduler {radio.scheduler}: ')}"
            raise ValueError(msg) from error


def _check_repeats(first: Sequence[np.ndarray], second: Sequence[np.ndarray], *, name: str) -> None:
    """Refuse two fresh schedulers of one class that decide differently about the same view."""
    if not all(np.array_equal(one, other) for one, other in zip(first, second, strict=True)):
        msg = (
            f"scheduler {name}: must decide by its view alone, two of its kind gave different "
            "answers about the same one; nothing may be drawn at random"
        )
        raise ValueError(msg)


def check_scheduler(radio: RadioConfig, scheduler: Scheduler) -> None:
    """Check a scheduler, which may be a user's own, against the fading mode.

    Raises
    ------
    ValueError
        One line that names the broken rule.
    """
    problem = find_ergodic_problem(radio, scheduler)
    if problem is not None:
        msg = f"{'.'.join(problem.path)}: {problem.message}"
        raise ValueError(msg)


def trial_view(num_transfers: int, num_groups: int) -> CellView:
    """Return a cell in which each transfer has other rates, sizes and deadlines than the others."""
    order = np.arange(num_transfers)
    part = 1.0 / (1.0 + order)
    group_rate_bps = np.outer(part, 1.0 + 0.1 * np.cos(np.arange(num_groups)))
    group_rate_bps *= _BAND_BPS / num_groups
    return CellView(
        now_s=0.0,
        client_id=_read_only(order),
        remaining_bits=_read_only(8e5 * (1.0 + order)),
        requested_at_s=_read_only(np.zeros(num_transfers)),
        deadline_at_s=_read_only(np.where(order == 0, np.inf, 10.0 * order)),
        group_rate_bps=_read_only(group_rate_bps),
        average_rate_bps=_read_only(group_rate_bps.sum(axis=1) / num_transfers),
        rate_bps=lambda fraction: _BAND_BPS * part * np.sqrt(fraction),
        power_w=lambda fraction: _SITE_W * fraction,
    )


def _decide(make: SchedulerFactory, view: CellView, *, name: str) -> list[np.ndarray]:
    """Ask a fresh scheduler for all that it offers; return what it answers, checked."""
    scheduler = make()
    uses_rates = getattr(scheduler, "uses_rates", True)
    if not uses_rates:
        view = replace(
            view,
            group_rate_bps=_read_only(np.ones_like(view.group_rate_bps)),
            average_rate_bps=_read_only(np.ones_like(view.average_rate_bps)),
        )
    shares = ask(scheduler.shares, view, name=name)
    answers = [check_shares(shares, view, name=placed(name, scheduler.shares))]
    metric = getattr(scheduler, "metric", None)
    if metric is not None and getattr(scheduler, "is_exclusive", False):
        values = ask(metric, view.group_rate_bps, view.average_rate_bps, name=name)
        answers.append(check_metric(values, view.average_rate_bps, name=placed(name, metric)))
    closed_form = getattr(scheduler, "steady_state_shares", None)
    if closed_form is None or not uses_rates:
        return answers
    answer = ask(closed_form, view, name=name)
    if answer is not None:
        name = placed(name, closed_form)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            msg = f"scheduler {name}: steady_state_shares must return shares and activity, or None"
            raise ValueError(msg)
        mean = check_shares(answer[0], view, name=name)
        answers += [mean, check_activity(answer[1], mean, name=name)]
    return answers


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return an array that a scheduler cannot write to, as views are for reading."""
    array.flags.writeable = False
    return array
