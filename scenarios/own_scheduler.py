"""A scheduler of the user's own: its class is loaded here, the network gets a factory of it."""

from functools import partial

from fl.own_code import load_class, names_a_class
from netsim.config import RadioConfig
from netsim.mac.schedulers import Scheduler, SchedulerFactory

KEY = "radio.scheduler"
"""Key of the scenario with which messages begin."""


def own_scheduler(radio: RadioConfig) -> SchedulerFactory | None:
    """Return a factory of the scheduler that a file defines; ``None`` where a built-in is named.

    Raises
    ------
    fl.problems.OwnCodeError
        One line: a file or class that cannot be used. The factory raises it, too, if the class
        cannot be made without arguments.
    """
    if not names_a_class(radio.scheduler):
        return None
    own = load_class(radio.scheduler, key=KEY, protocol=Scheduler)
    return partial(own.make, {}, key=KEY, protocol=Scheduler)
