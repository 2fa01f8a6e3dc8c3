"""Positions of clients and background users as functions of time; paths are created on demand."""

import numpy as np
from jaxtyping import Float, Int

from netsim.config.world import StaticMobility, WorldConfig
from netsim.world.layout import Layout
from netsim.world.mobility import Trajectory, make_trajectory
from netsim.world.placement import Placement

MIN_SITE_DISTANCE_M = {"uma": 10.0, "umi": 10.0, "rma": 10.0, "inh": 0.0}
"""Smallest ground distance of a placed client to a site [m]: that of the outdoor models."""

FIRST_BACKGROUND_USER = 2**24
"""Id of the first background user; clients have lower ones. So the users of a seed are the same
whatever the number of clients, and draws by id are independent of those of all clients."""


class Population:
    """Positions of clients as functions of time.

    Background users stand still at uniform places, whatever clients do.

    Parameters
    ----------
    world
        Mobility model and environment.
    layout
        Sites and service area.
    seed
        Root seed of the run.
    """

    def __init__(self, world: WorldConfig, layout: Layout, *, seed: int) -> None:
        self._mobility = world.mobility
        self._layout = layout
        self._seed = seed
        self._placement = Placement(
            layout, seed=seed, min_distance_m=MIN_SITE_DISTANCE_M[world.environment]
        )
        self._path_of: dict[int, Trajectory] = {}

    @property
    def is_moving(self) -> bool:
        """Whether positions change with time."""
        return not isinstance(self._mobility, StaticMobility)

    def positions_m(
        self, client_ids: Int[np.ndarray, " client"], *, at_s: float
    ) -> Float[np.ndarray, "client 2"]:
        """Return the positions of clients at an instant [m], in the order of the ids."""
        mobility = self._mobility
        if isinstance(mobility, StaticMobility) and mobility.positions_m is None:
            return self._placement.positions_m(client_ids)
        positions_m = np.empty((len(client_ids), 2))
        for row, client_id in enumerate(client_ids.tolist()):
            positions_m[row] = self._path(client_id).position_m(at_s)
        return positions_m

    def stay_until_s(
        self,
        client_ids: Int[np.ndarray, " client"],
        *,
        at_s: float,
        lowest_m: Float[np.ndarray, "client 2"],
        highest_m: Float[np.ndarray, "client 2"],
    ) -> Float[np.ndarray, " client"]:
        """Return an instant [s] until which each client stays in a box that contains it.

        See :meth:`netsim.world.mobility.trajectory.Trajectory.stays_until_s`.
        """
        boxes = zip(client_ids.tolist(), lowest_m, highest_m, strict=True)
        return np.array(
            [
                self._path(client_id).stays_until_s(at_s, lowest_m=lowest, highest_m=highest)
                for client_id, lowest, highest in boxes
            ]
        )

    def _path(self, client_id: int) -> Trajectory:
        path = self._path_of.get(client_id)
        if path is None:
            is_client = client_id < FIRST_BACKGROUND_USER
            path = make_trajectory(
                self._mobility if is_client else StaticMobility(),
                area=self._layout.area,
                seed=self._seed,
                client_id=client_id,
                start_m=self._placement.position_m(client_id),
            )
            self._path_of[client_id] = path
        return path
