"""Gains of moving clients in the grid squares that they enter next, computed in one call.

A call for the links of one client takes nearly as long as one for many, and clients cross the
borders of their squares one at a time. Gains are functions of client and square, so when they are
computed changes none of them.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from netsim.world.population import Population

LINKS_AHEAD = 32
"""Links at most whose gains are computed ahead in one call; with so many, nothing is saved."""

CROSSING_S = 0.01
"""Time after reaching the border of a square at which a client is taken to be in the next [s]."""

BORDER_M = 1e-6
"""Clients closer than this to the border of their square [m] count as on it (rounding)."""


class SquaresAhead:
    """The squares of clients over time, and gains in those that they enter next.

    Parameters
    ----------
    population
        Paths of the clients.
    square_m
        Side of a square [m].
    """

    def __init__(self, population: Population, *, square_m: float) -> None:
        self._population = population
        self._square_m = square_m
        self._gain: dict[tuple[int, ...], Float[np.ndarray, " cell"]] = {}

    def squares(
        self, client_ids: Int[np.ndarray, " client"], *, at_s: float
    ) -> Int[np.ndarray, "client 2"]:
        """Return the squares of clients at an instant, counted from the origin."""
        position_m = self._population.positions_m(client_ids, at_s=at_s)
        return np.floor(position_m / self._square_m).astype(np.int64)

    def centre_m(self, square: Int[np.ndarray, "client 2"]) -> Float[np.ndarray, "client 2"]:
        """Return the centres of squares [m]."""
        return (square + 0.5) * self._square_m

    def leaves_at_s(
        self,
        client_ids: Int[np.ndarray, " client"],
        square: Int[np.ndarray, "client 2"],
        *,
        at_s: float,
    ) -> Float[np.ndarray, " client"]:
        """Return an instant [s] until which each client stays in its square of an instant."""
        corner_m = square * self._square_m
        return self._population.stay_until_s(
            client_ids,
            at_s=at_s,
            lowest_m=corner_m + BORDER_M,
            highest_m=corner_m + (self._square_m - BORDER_M),
        )

    def take(
        self, client_id: int, square: Int[np.ndarray, " 2"]
    ) -> Float[np.ndarray, " cell"] | None:
        """Return the gain of a client in a square that was computed ahead, if it was."""
        return self._gain.pop((client_id, *square.tolist()), None)

    def put(
        self,
        client_ids: Int[np.ndarray, " some"],
        square: Int[np.ndarray, "some 2"],
        gain: Float[np.ndarray, "some cell"],
    ) -> None:
        """Keep gains that were computed ahead in place of those kept before."""
        keys = zip(client_ids.tolist(), *square.T.tolist(), strict=True)
        self._gain = dict(zip(keys, gain, strict=True))

    def following(
        self,
        client_ids: Int[np.ndarray, " client"],
        *,
        leaves_at_s: Float[np.ndarray, " client"],
        num_cells: int,
    ) -> tuple[Int[np.ndarray, " some"], Int[np.ndarray, "some 2"]]:
        """Return clients and squares that they enter next, as many of each as the links allow.

        Where a path turns at the border, its client may not enter the square.

        Parameters
        ----------
        client_ids
            Clients.
        leaves_at_s
            When each leaves the square in which it is [s].
        num_cells
            Links of a client.
        """
        num_each = LINKS_AHEAD // (num_cells * len(client_ids))
        ahead = [
            (client_id, square)
            for client_id, at_s in zip(client_ids.tolist(), leaves_at_s.tolist(), strict=True)
            for square in self._path(client_id, at_s, num_squares=num_each)
        ]
        ids = np.array([client_id for client_id, _ in ahead], dtype=np.int64)
        return ids, np.array([square for _, square in ahead], dtype=np.int64).reshape(-1, 2)

    def _path(
        self, client_id: int, leaves_at_s: float, *, num_squares: int
    ) -> Iterator[Int[np.ndarray, " 2"]]:
        """Yield the squares of a client from the one after this."""
        client = np.array([client_id])
        for _ in range(num_squares):
            if not np.isfinite(leaves_at_s):
                return
            at_s = leaves_at_s + CROSSING_S
            square = self.squares(client, at_s=at_s)
            yield square[0]
            leaves_at_s = float(self.leaves_at_s(client, square, at_s=at_s)[0])
