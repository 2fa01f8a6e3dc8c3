"""Mobility models: one class per model, each a path that is a function of (seed, client, time).

:data:`TRAJECTORIES` maps the settings class of a model to its path class.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from netsim.config.world import (
    GaussMarkovMobility,
    ManhattanMobility,
    Mobility,
    RandomDirectionMobility,
    RandomWaypointMobility,
    StaticMobility,
    TraceMobility,
)
from netsim.streams import Purpose, stream
from netsim.world.area import Area
from netsim.world.mobility.gauss_markov import GaussMarkov
from netsim.world.mobility.manhattan import Manhattan
from netsim.world.mobility.random_direction import RandomDirection
from netsim.world.mobility.random_waypoint import RandomWaypoint
from netsim.world.mobility.static import Static
from netsim.world.mobility.trace import Trace
from netsim.world.mobility.trajectory import Trajectory

__all__ = ["TRAJECTORIES", "Trajectory", "make_trajectory"]

TRAJECTORIES: dict[type, Any] = {
    StaticMobility: Static,
    RandomWaypointMobility: RandomWaypoint,
    RandomDirectionMobility: RandomDirection,
    GaussMarkovMobility: GaussMarkov,
    ManhattanMobility: Manhattan,
    TraceMobility: Trace,
}


def make_trajectory(
    config: Mobility,
    *,
    area: Area,
    seed: int,
    client_id: int,
    start_m: Float[np.ndarray, " 2"],
) -> Trajectory:
    """Return the path of one client.

    Parameters
    ----------
    config
        Settings of the mobility model.
    area
        Region that the path stays in.
    seed
        Root seed of the run.
    client_id
        Client of the path.
    start_m
        Placed position at 0 s, in the area. Models whose stationary distribution is not uniform
        (random waypoint, Manhattan, trace) do not use it.
    """
    rng = stream(seed, Purpose.MOBILITY, client_id)
    return TRAJECTORIES[type(config)](
        config, area=area, start_m=start_m, client_id=client_id, rng=rng
    )
