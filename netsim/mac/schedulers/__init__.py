"""Schedulers: how a cell divides its resource blocks among active transfers.

A scheduler is a class with one method, ``shares(view)``; see :mod:`netsim.mac.schedulers.view`. The
dict below is the registry. A user's own is named in the scenario as ``path.py:Class``.
"""

from netsim.mac.schedulers.earliest_deadline import EarliestDeadline
from netsim.mac.schedulers.equal_finish import EqualFinish
from netsim.mac.schedulers.load import load_from_file
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
)

__all__ = [
    "SCHEDULERS",
    "CellView",
    "Scheduler",
    "ask",
    "check_activity",
    "check_shares",
    "follows_fades",
    "load_scheduler",
]

SCHEDULERS: dict[str, type] = {
    "round_robin": RoundRobin,
    "proportional_fair": ProportionalFair,
    "max_ci": MaxCI,
    "earliest_deadline": EarliestDeadline,
    "equal_finish": EqualFinish,
    "min_energy": MinEnergy,
}


def load_scheduler(name: str) -> Scheduler:
    """Make the scheduler that a scenario names.

    Parameters
    ----------
    name
        A key of :data:`SCHEDULERS`, or ``path.py:Class`` for a class in the user's file. The class
        is called without arguments; relative paths count from the working directory.

    Raises
    ------
    ValueError
        If the name is unknown, the file or the class does not exist, the file does not run, or
        the class has no ``shares``. The message names the place.
    """
    if name in SCHEDULERS:
        return SCHEDULERS[name]()
    if ".py:" in name:
        return load_from_file(name)
    known = ", ".join(SCHEDULERS)
    msg = f"scheduler: must be one of {known}, or path.py:Class, got {name!r}"
    raise ValueError(msg)
