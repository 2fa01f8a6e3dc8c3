"""Schedulers: how a cell divides its resource blocks among active transfers.

A scheduler is a class with one method, ``shares(view)``; see :mod:`netsim.mac.schedulers.view`. The
dict below is the registry. A user's own is named in the scenario as ``path.py:Class``.
"""

from collections.abc import Callable

from netsim.mac.schedulers.earliest_deadline import EarliestDeadline
from netsim.mac.schedulers.equal_finish import EqualFinish
from netsim.mac.schedulers.max_ci import MaxCI
from netsim.mac.schedulers.min_energy import MinEnergy
from netsim.mac.schedulers.proportional_fair import ProportionalFair
from netsim.mac.schedulers.round_robin import RoundRobin
from netsim.mac.schedulers.view import (
    CellView,
    Scheduler,
    ask,
    check_activity,
    check_shares,
    follows_fades,
    placed,
)

__all__ = [
    "SCHEDULERS",
    "CellView",
    "Scheduler",
    "SchedulerFactory",
    "ask",
    "check_activity",
    "check_shares",
    "follows_fades",
    "placed",
    "scheduler_factory",
]

SCHEDULERS: dict[str, type] = {
    "round_robin": RoundRobin,
    "proportional_fair": ProportionalFair,
    "max_ci": MaxCI,
    "earliest_deadline": EarliestDeadline,
    "equal_finish": EqualFinish,
    "min_energy": MinEnergy,
}


SchedulerFactory = Callable[[], Scheduler]
"""Makes a fresh scheduler: there is one for each cell and direction."""


def scheduler_factory(name: str, *, own: SchedulerFactory | None = None) -> SchedulerFactory:
    """Return what makes the schedulers that a scenario names.

    Parameters
    ----------
    name
        A key of :data:`SCHEDULERS`, or ``path.py:Class`` for a class of the user's own.
    own
        That class; nothing is loaded here.

    Raises
    ------
    ValueError
        If the name is unknown, or ``own`` is not given exactly where the name is of a user's class.
    """
    if name in SCHEDULERS:
        if own is not None:
            rule = "must be left out where radio.scheduler names a built-in"
            msg = f"own_scheduler: {rule}, got {own!r} beside {name!r}"
            raise ValueError(msg)
        return SCHEDULERS[name]
    if ".py:" not in name:
        msg = f"scheduler: must be one of {', '.join(SCHEDULERS)}, or path.py:Class, got {name!r}"
        raise ValueError(msg)
    if own is None:
        msg = f"own_scheduler: must be the class that radio.scheduler names, {name!r}, got None"
        raise ValueError(msg)
    return own
