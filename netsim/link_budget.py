"""Coupling gain between clients and cells: path loss, shadowing, walls and antennas together.

The gain is a pure function of client and position. A moving client's gain is that of the grid
square it stands in, a tenth of the shortest correlation distance wide, so it is computed again only
when the client enters another square, and does not depend on when anybody asked.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.config import standard
from netsim.config.world import CorrelatedShadowing, OmniAntenna, WorldConfig
from netsim.layout import Layout
from netsim.line_of_sight import LineOfSightMap
from netsim.pathloss import breakpoint_distance_m, path_loss_db
from netsim.population import Population
from netsim.shadowing import SHADOW_CORRELATION_M, ShadowingMap
from netsim.units import db_to_linear

SQUARES_PER_CORRELATION = 10


class LinkBudget:
    """Gains of clients to all cells, kept for clients that were asked for.

    Parameters
    ----------
    world
        Environment and antennas.
    layout
        Sites and cells.
    population
        Where clients are.
    seed
        Root seed of the run.
    """

    def __init__(
        self, world: WorldConfig, layout: Layout, population: Population, *, seed: int
    ) -> None:
        self._world = world
        self._layout = layout
        self._population = population
        self._site_height_m = standard.site_height_m(world)
        self._ue_height_m = standard.ue_height_m(world)
        num_sites = len(layout.sites)
        self._line_of_sight = LineOfSightMap(seed, world.environment, num_sites=num_sites)
        self._shadowing: ShadowingMap | None = None
        if isinstance(world.shadowing, CorrelatedShadowing):
            self._shadowing = ShadowingMap(
                seed,
                world.environment,
                num_sites=num_sites,
                inter_site_correlation=world.shadowing.site_correlation,
            )
        correlation_m = min(SHADOW_CORRELATION_M[world.environment].values())
        self.square_m = correlation_m / SQUARES_PER_CORRELATION
        """Side of the grid squares of moving clients [m]."""
        self._row_of: dict[int, int] = {}
        self._square = np.zeros((0, 2), dtype=np.int64)
        self._gain = np.zeros((0, len(layout.cells)))

    def gain(
        self, client_ids: Int[np.ndarray, " client"], *, at_s: float
    ) -> Float[np.ndarray, "client cell"]:
        """Give linear coupling gains (below 1: a loss) to every cell at an instant.

        Antenna gains are part of it, fast fading is not.

        Parameters
        ----------
        client_ids
            Whose, without repetition.
        at_s
            Simulated time; clients that do not move have the same gain at all times.
        """
        rows, is_new = self._rows(client_ids)
        if self._population.is_moving:
            position_m = self._population.positions_m(client_ids, at_s=at_s)
            square = np.floor(position_m / self.square_m).astype(np.int64)
            is_stale = is_new | (square != self._square[rows]).any(axis=1)
            centre_m = (square[is_stale] + 0.5) * self.square_m
            self._square[rows[is_stale]] = square[is_stale]
        else:
            is_stale = is_new
            centre_m = self._population.positions_m(client_ids[is_stale], at_s=at_s)
        if is_stale.any():
            self._gain[rows[is_stale]] = self.gain_at(centre_m, client_ids=client_ids[is_stale])
        return self._gain[rows]

    def gain_at(
        self, position_m: Float[np.ndarray, "client 2"], *, client_ids: Int[np.ndarray, " client"]
    ) -> Float[np.ndarray, "client cell"]:
        """Give the gains that clients would have at these positions."""
        displacement_m = self._layout.displacement_m(position_m)
        distance_m = np.hypot(displacement_m[..., 0], displacement_m[..., 1])
        is_indoor = np.zeros(len(client_ids), dtype=bool)
        loss_db = self._site_loss_db(position_m, distance_m, is_indoor)
        return db_to_linear(self._antenna_db(displacement_m) - loss_db[:, self._site_of_cell])

    @property
    def _site_of_cell(self) -> Int[np.ndarray, " cell"]:
        return self._layout.cell_site_id

    def _site_loss_db(
        self,
        position_m: Float[np.ndarray, "client 2"],
        distance_m: Float[np.ndarray, "client site"],
        is_indoor: Bool[np.ndarray, " client"],
    ) -> Float[np.ndarray, "client site"]:
        world = self._world
        is_los = self._is_los(position_m, distance_m)
        heights = {"bs_height_m": self._site_height_m, "ue_height_m": self._ue_height_m}
        loss_db = path_loss_db(
            world.environment, distance_m, is_los=is_los, carrier_hz=world.carrier_hz, **heights
        )
        if self._shadowing is None:
            return loss_db
        breakpoint_m = breakpoint_distance_m(
            world.environment, carrier_hz=world.carrier_hz, **heights
        )
        return loss_db + self._shadowing.value_db(
            position_m,
            is_los=is_los,
            is_indoor=is_indoor,
            is_beyond_breakpoint=distance_m > breakpoint_m,
        )

    def _is_los(
        self, position_m: Float[np.ndarray, "client 2"], distance_m: Float[np.ndarray, "c site"]
    ) -> Bool[np.ndarray, "client site"]:
        if self._world.line_of_sight != "probability":
            return np.full(distance_m.shape, self._world.line_of_sight == "always")
        return self._line_of_sight.is_los(
            position_m, distance_2d_m=distance_m, ue_height_m=self._ue_height_m
        )

    def _antenna_db(
        self, displacement_m: Float[np.ndarray, "client site 2"]
    ) -> Float[np.ndarray, "client cell"]:
        antenna = standard.antenna(self._world)
        shape = (len(displacement_m), len(self._layout.cells))
        if isinstance(antenna, OmniAntenna):
            return np.full(shape, antenna.gain_dbi)
        raise NotImplementedError

    def _rows(
        self, client_ids: Int[np.ndarray, " client"]
    ) -> tuple[Int[np.ndarray, " client"], Bool[np.ndarray, " client"]]:
        """Give the row of each client, and which are new."""
        rows = np.empty(len(client_ids), dtype=np.intp)
        is_new = np.zeros(len(client_ids), dtype=bool)
        for place, client_id in enumerate(client_ids.tolist()):
            row = self._row_of.get(client_id)
            if row is None:
                row = self._row_of[client_id] = len(self._row_of)
                is_new[place] = True
            rows[place] = row
        self._reserve(len(self._row_of))
        return rows, is_new

    def _reserve(self, num_rows: int) -> None:
        old = len(self._square)
        if num_rows <= old:
            return
        capacity = max(num_rows, 2 * old, 64)
        for name in ("_square", "_gain"):
            column = getattr(self, name)
            grown = np.zeros((capacity, column.shape[1]), dtype=column.dtype)
            grown[:old] = column
            setattr(self, name, grown)
