"""Settings of the wireless world: the ``world:`` and ``radio:`` sections of a scenario."""

from netsim.config.radio import RadioConfig
from netsim.config.world import WorldConfig

__all__ = ["RadioConfig", "WorldConfig"]
