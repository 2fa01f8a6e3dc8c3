"""The parts of a network that can fail on settings which break no rule, built and thrown away."""

from netsim.channel.channel import Channel
from netsim.checks.effect import find_ergodic_problem
from netsim.config import RadioConfig, WorldConfig
from netsim.mac.schedulers import load_scheduler
from netsim.world.layout import build_layout


def try_network(world: WorldConfig, radio: RadioConfig, *, seed: int) -> None:
    """Build layout and channel of a network and load its scheduler, which may be a user's own.

    The tables of link adaptation, which take seconds and cannot fail, are left out.

    Parameters
    ----------
    world, radio
        Sections that break no rule.
    seed
        Root seed of the run, at least 0.

    Raises
    ------
    ValueError
        One line that says what cannot be built.
    """
    Channel(world, radio, build_layout(world.layout), seed=seed)
    check_scheduler(radio)


def check_scheduler(radio: RadioConfig) -> None:
    """Load the scheduler, which may be a user's own, and check it against the fading mode.

    Raises
    ------
    ValueError
        One line: what cannot be loaded, or the broken rule.
    """
    problem = find_ergodic_problem(radio, load_scheduler(radio.scheduler))
    if problem is not None:
        msg = f"{'.'.join(problem.path)}: {problem.message}"
        raise ValueError(msg)
