"""The parts of a network that can fail on settings which break no rule, built and thrown away."""

from netsim.channel.channel import Channel
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
    load_scheduler(radio.scheduler)
