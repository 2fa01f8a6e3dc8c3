"""Coupling gain of clients to cells: path loss, shadowing, penetration loss and antenna gain.

The gain is a pure function of client and position. A moving client has the gain at the centre of
its grid square, whose side is a tenth of the shortest correlation distance. So the gain changes
only when the client enters another square, and does not depend on when it was computed before.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.channel.cell_antennas import CellAntennas
from netsim.channel.gains_ahead import SquaresAhead
from netsim.channel.line_of_sight import LineOfSightMap
from netsim.channel.pathloss import breakpoint_distance_m, path_loss_db, uma_environment_height_m
from netsim.channel.penetration import draw_building_entry, draw_car_loss_db, drawn_model
from netsim.channel.shadowing import SHADOW_CORRELATION_M, ShadowingMap
from netsim.config import standard
from netsim.config.world import (
    CorrelatedShadowing,
    IndoorOfficeLayout,
    WorldConfig,
)
from netsim.streams import Purpose, stream
from netsim.units import db_to_linear
from netsim.world.cell_values import site_heights_m
from netsim.world.layout import Layout
from netsim.world.population import Population

SQUARES_PER_CORRELATION = 10

CHUNK_CLIENTS = 1024
"""Clients whose gains are computed at once: rays of all their links take 40 MB with 57 cells."""

UMA_HIGH_UE_M = 13.0
"""UE height [m] from which the environment height of UMa is random, TR 38.901 Table 7.4.1-1."""


class _Penetration(NamedTuple):
    """Buildings and cars of clients."""

    is_indoor: Bool[np.ndarray, " client"]
    indoor_distance_m: Float[np.ndarray, "client site"]
    loss_db: Float[np.ndarray, "client site"]


class LinkBudget:
    """Gains of clients to all cells, cached per client.

    Parameters
    ----------
    world
        Environment (for an office also its kind) and antennas.
    layout
        Sites and cells.
    population
        Positions of the clients.
    seed
        Root seed of the run.
    """

    def __init__(
        self, world: WorldConfig, layout: Layout, population: Population, *, seed: int
    ) -> None:
        self._world = world
        self._layout = layout
        self._seed = seed
        self._population = population
        self._site_height_m = site_heights_m(world, layout)
        self._ue_height_m = standard.ue_height_m(world)
        self._breakpoint_m = breakpoint_distance_m(
            world.environment,
            carrier_hz=world.carrier_hz,
            bs_height_m=self._site_height_m,
            ue_height_m=self._ue_height_m,
        )
        self._antennas = CellAntennas(world, layout, seed=seed)
        num_sites = len(layout.sites)
        # Only the LOS probability of InH depends on the kind of office.
        office = world.layout.office if isinstance(world.layout, IndoorOfficeLayout) else "mixed"
        self._line_of_sight = LineOfSightMap(
            seed, world.environment, num_sites=num_sites, office=office
        )
        self._shadowing: ShadowingMap | None = None
        if isinstance(world.shadowing, CorrelatedShadowing):
            self._shadowing = ShadowingMap(
                seed,
                world.environment,
                num_sites=num_sites,
                inter_site_correlation=world.shadowing.site_correlation,
            )
        states = SHADOW_CORRELATION_M[world.environment]
        correlation_m = min(
            states["los"], states["nlos"], states["indoor"] if world.indoor_fraction > 0 else np.inf
        )
        self.square_m = correlation_m / SQUARES_PER_CORRELATION
        """Side of the grid squares of moving clients [m]."""
        self._row_of: dict[int, int] = {}
        self._last_ids = self._last_rows = np.zeros(0, dtype=np.int64)
        self._square = np.zeros((0, 2), dtype=np.int64)
        self._gain = np.zeros((0, len(layout.cells)))
        self._updated_at_s = np.zeros(0)
        self._leaves_at_s = np.zeros(0)
        self._ahead = SquaresAhead(population, square_m=self.square_m)

    def gain(
        self, client_ids: Int[np.ndarray, " client"], *, at_s: float
    ) -> Float[np.ndarray, "client cell"]:
        """Return linear coupling gains to every cell at an instant.

        They include antenna gains and exclude fast fading.

        Parameters
        ----------
        client_ids
            Clients, without repetition.
        at_s
            Simulated time [s].
        """
        rows, is_new = self._rows(client_ids)
        if not self._population.is_moving:
            if np.count_nonzero(is_new):
                positions_m = self._population.positions_m(client_ids[is_new], at_s=at_s)
                self._compute(rows[is_new], client_ids[is_new], positions_m)
            return self._gain.take(rows, axis=0)
        # Clients that are still in the square of their last update are skipped, unless the instant
        # is before that update.
        due = np.flatnonzero(
            is_new | (at_s >= self._leaves_at_s[rows]) | (at_s < self._updated_at_s[rows])
        )
        if len(due):
            missing = due[self._update(rows[due], client_ids[due], is_new[due], at_s)]
            if len(missing):
                self._compute_ahead(rows, client_ids, missing)
        return self._gain[rows]

    def holds_until_s(self, client_ids: Int[np.ndarray, " client"]) -> float:
        """Return the instant [s] until which the last gains of clients are valid; inf if static."""
        if not self._population.is_moving:
            return np.inf
        rows, _ = self._rows(client_ids)
        return float(self._leaves_at_s[rows].min(initial=np.inf))

    def _update(
        self,
        rows: Int[np.ndarray, " client"],
        client_ids: Int[np.ndarray, " client"],
        is_new: Bool[np.ndarray, " client"],
        at_s: float,
    ) -> list[int]:
        """Update the grid squares of clients, and the gains of those whose square changed.

        Return the places of those whose gain was not computed ahead.
        """
        square = self._ahead.squares(client_ids, at_s=at_s)
        self._updated_at_s[rows] = at_s
        self._leaves_at_s[rows] = self._ahead.leaves_at_s(client_ids, square, at_s=at_s)
        is_stale = is_new | (square != self._square[rows]).any(axis=1)
        self._square[rows] = square
        missing = []
        for place in np.flatnonzero(is_stale).tolist():
            gain = self._ahead.take(int(client_ids[place]), square[place])
            if gain is None:
                missing.append(place)
            else:
                self._gain[rows[place]] = gain
        return missing

    def _compute_ahead(
        self,
        rows: Int[np.ndarray, " client"],
        client_ids: Int[np.ndarray, " client"],
        missing: Int[np.ndarray, " some"],
    ) -> None:
        """Compute the gains of some clients, and if few those of all in their next squares."""
        square = self._square[rows[missing]]
        next_ids, next_square = self._ahead.following(
            client_ids, leaves_at_s=self._leaves_at_s[rows], num_cells=self._gain.shape[1]
        )
        if not len(next_ids):
            self._compute(rows[missing], client_ids[missing], self._ahead.centre_m(square))
            return
        gain = self.gain_at(
            self._ahead.centre_m(np.concatenate([square, next_square])),
            client_ids=np.concatenate([client_ids[missing], next_ids]),
        )
        self._gain[rows[missing]], next_gain = np.split(gain, [len(missing)])
        self._ahead.put(next_ids, next_square, next_gain)

    def _compute(
        self,
        rows: Int[np.ndarray, " client"],
        client_ids: Int[np.ndarray, " client"],
        position_m: Float[np.ndarray, "client 2"],
    ) -> None:
        for first in range(0, len(rows), CHUNK_CLIENTS):
            part = slice(first, first + CHUNK_CLIENTS)
            self._gain[rows[part]] = self.gain_at(position_m[part], client_ids=client_ids[part])

    def gain_at(
        self, position_m: Float[np.ndarray, "client 2"], *, client_ids: Int[np.ndarray, " client"]
    ) -> Float[np.ndarray, "client cell"]:
        """Return the gains of clients at given positions."""
        displacement_m = self._layout.displacement_m(position_m)
        distance_m = np.hypot(displacement_m[..., 0], displacement_m[..., 1])
        entry = self._penetration(client_ids)
        outdoor_m = np.maximum(distance_m - entry.indoor_distance_m, 0.0)
        is_los = self._is_los(position_m, outdoor_m)
        loss_db = self._path_loss_db(distance_m, is_los, client_ids) + entry.loss_db
        loss_db += self._shadow_db(position_m, distance_m, is_los, entry.is_indoor)
        azimuth_rad = np.arctan2(displacement_m[..., 1], displacement_m[..., 0])
        antenna = self._antennas.gain(
            azimuth_rad, distance_m, is_los=is_los, is_indoor=entry.is_indoor, client_ids=client_ids
        )
        return antenna * db_to_linear(-loss_db)[:, self._layout.cell_site_id]

    def _path_loss_db(
        self,
        distance_m: Float[np.ndarray, "client site"],
        is_los: Bool[np.ndarray, "client site"],
        client_ids: Int[np.ndarray, " client"],
    ) -> Float[np.ndarray, "client site"]:
        world = self._world
        env_height_m: float | Float[np.ndarray, "client site"] = 1.0
        if world.environment == "uma" and self._ue_height_m >= UMA_HIGH_UE_M:
            draws = [
                stream(self._seed, Purpose.LINE_OF_SIGHT, 0, client_id).random(distance_m.shape[1])
                for client_id in client_ids.tolist()
            ]
            env_height_m = uma_environment_height_m(
                distance_m, ue_height_m=self._ue_height_m, uniform=np.stack(draws)
            )
        return path_loss_db(
            world.environment,
            distance_m,
            is_los=is_los,
            carrier_hz=world.carrier_hz,
            bs_height_m=self._site_height_m,
            ue_height_m=self._ue_height_m,
            effective_env_height_m=env_height_m,
        )

    def _shadow_db(
        self,
        position_m: Float[np.ndarray, "client 2"],
        distance_m: Float[np.ndarray, "client site"],
        is_los: Bool[np.ndarray, "client site"],
        is_indoor: Bool[np.ndarray, " client"],
    ) -> Float[np.ndarray, "client site"]:
        if self._shadowing is None:
            return np.zeros(distance_m.shape)
        return self._shadowing.value_db(
            position_m,
            is_los=is_los,
            is_indoor=is_indoor,
            is_beyond_breakpoint=distance_m > self._breakpoint_m,
        )

    def _penetration(self, client_ids: Int[np.ndarray, " client"]) -> _Penetration:
        """Draw which clients are in a building or a car, and their penetration loss."""
        world, num_sites = self._world, len(self._layout.sites)
        drawn = _Penetration(
            np.zeros(len(client_ids), dtype=bool),
            np.zeros((len(client_ids), num_sites)),
            np.zeros((len(client_ids), num_sites)),
        )
        if world.indoor_fraction == 0 and world.car_fraction == 0:
            return drawn
        for row, client_id in enumerate(client_ids.tolist()):
            rng = stream(self._seed, Purpose.PENETRATION, client_id)
            draw = rng.random()
            if draw < world.indoor_fraction:
                model = drawn_model(
                    rng, world.penetration, high_loss_fraction=world.high_loss_fraction
                )
                entry = draw_building_entry(
                    rng,
                    num_sites if model == "legacy" else (),
                    environment=world.environment,
                    model=model,
                    carrier_hz=world.carrier_hz,
                )
                drawn.is_indoor[row] = True
                drawn.indoor_distance_m[row] = entry.indoor_distance_m
                drawn.loss_db[row] = entry.loss_db
            elif draw < world.indoor_fraction + world.car_fraction:
                drawn.loss_db[row] = draw_car_loss_db(rng, (), windows=world.car_windows)
        return drawn

    def _is_los(
        self, position_m: Float[np.ndarray, "client 2"], distance_m: Float[np.ndarray, "c site"]
    ) -> Bool[np.ndarray, "client site"]:
        if self._world.line_of_sight != "probability":
            return np.full(distance_m.shape, self._world.line_of_sight == "always")
        return self._line_of_sight.is_los(
            position_m, distance_2d_m=distance_m, ue_height_m=self._ue_height_m
        )

    def _rows(
        self, client_ids: Int[np.ndarray, " client"]
    ) -> tuple[Int[np.ndarray, " client"], Bool[np.ndarray, " client"]]:
        """Return the row of each client in the arrays, and whether it is new."""
        if np.array_equal(client_ids, self._last_ids):  # as for a policy that looks at all of them
            return self._last_rows, np.zeros(len(client_ids), dtype=bool)
        known = list(map(self._row_of.get, client_ids.tolist()))
        if None not in known:
            self._last_ids, self._last_rows = client_ids.copy(), np.array(known, dtype=np.int64)
            return self._last_rows, np.zeros(len(known), dtype=bool)
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
        for name in ("_square", "_gain", "_updated_at_s", "_leaves_at_s"):
            column = getattr(self, name)
            grown = np.zeros((capacity, *column.shape[1:]), dtype=column.dtype)
            grown[:old] = column
            setattr(self, name, grown)
