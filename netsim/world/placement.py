"""Placement of clients: uniform in the service area, drawn on demand."""

import numpy as np
from jaxtyping import Float, Int

from netsim.streams import Purpose, stream
from netsim.world.layout import Layout

BLOCK_SIZE = 1024
MAX_ATTEMPTS = 1000


class Placement:
    """Uniform positions of any number of clients.

    Ids are drawn in blocks of 1024, each from its own stream: a client's position depends on the
    seed and its id only, not on the number of clients or the order of calls. Clients whose position
    is never needed take no time and no memory.

    Parameters
    ----------
    layout
        Service area and sites.
    seed
        Root seed of the run.
    min_distance_m
        Smallest ground distance of a client to a site [m], >= 0; closer positions are drawn again.
    """

    def __init__(self, layout: Layout, *, seed: int, min_distance_m: float = 0.0) -> None:
        self._layout = layout
        self._seed = seed
        self._min_distance_m = min_distance_m
        self._blocks: dict[int, Float[np.ndarray, "block 2"]] = {}

    def position_m(self, client_id: int) -> Float[np.ndarray, " 2"]:
        """Return the position of one client [m]."""
        block, row = divmod(client_id, BLOCK_SIZE)
        return self._block(block)[row].copy()

    def positions_m(self, client_ids: Int[np.ndarray, " client"]) -> Float[np.ndarray, "client 2"]:
        """Return the positions of clients [m], in the order of the ids."""
        block, row = np.divmod(np.asarray(client_ids, dtype=np.int64), BLOCK_SIZE)
        if not len(block):
            return np.empty((0, 2))
        if block.min() == block.max():
            return self._block(int(block[0])).take(row, axis=0)
        numbers, position = np.unique(block, return_inverse=True)
        drawn_m = np.stack([self._block(int(number)) for number in numbers])
        return drawn_m[position, row]

    def _block(self, block: int) -> Float[np.ndarray, "block 2"]:
        if block not in self._blocks:
            self._blocks[block] = self._draw(block)
        return self._blocks[block]

    def _draw(self, block: int) -> Float[np.ndarray, "block 2"]:
        position_m = np.empty((BLOCK_SIZE, 2))
        missing = np.arange(BLOCK_SIZE)
        for attempt in range(MAX_ATTEMPTS):
            rng = stream(self._seed, Purpose.PLACEMENT, block, attempt)
            # The whole block is drawn each time: a row must not depend on the other rows.
            drawn_m = self._layout.area.place(rng.random((BLOCK_SIZE, 3)))[missing]
            position_m[missing] = drawn_m
            if self._min_distance_m <= 0:
                return position_m
            nearest_m = self._layout.distance_m(drawn_m).min(axis=1)
            missing = missing[nearest_m < self._min_distance_m]
            if len(missing) == 0:
                return position_m
        msg = (
            f"min_distance_m: no place this far from every site was found in "
            f"{MAX_ATTEMPTS} draws, got {self._min_distance_m}"
        )
        raise ValueError(msg)
