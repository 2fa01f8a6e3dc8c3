"""Buffers between the air interface and the backhaul of a site, slot by slot."""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.slot_arrays import SlotArrays
from netsim.transport.backhaul import Backhaul

WINDOW_S = 0.02
"""Size of a buffer at a site: this long at the full rate of the backhaul [s], in both engines.

Our choice: no source was found. It decides how long a transfer in a fade keeps its share of the
backhaul, not whether the engines agree: they do with 5, 20 and 50 ms, see docs/engines.md.
"""


class SiteBuffers(SlotArrays):
    """Allowances of many transfers, rows aligned with those of the active transfers.

    The allowance of a download is what the backhaul has brought to its site and has not been sent
    over the air yet; that of an upload is what the backhaul can take at once. It grows by the
    max-min fair share of the backhaul and never exceeds what the backhaul carries in ``WINDOW_S``
    (our choice): a transfer that is slow over the air fills its buffer and leaves the rest of the
    backhaul to others. Schedulers and interference do not depend on it, in either engine: blocks
    stay granted to a transfer that waits for its backhaul.
    :class:`netsim.transport.backhaul_flow.BackhaulFlow` models the same buffers as fluids, for the
    flow engine.

    Parameters
    ----------
    backhaul
        Routes and rates.
    """

    allowance_bits: Float[np.ndarray, " transfer"]
    """What each transfer may send now [bit]."""

    def __init__(self, backhaul: Backhaul) -> None:
        super().__init__(allowance_bits=0.0)
        self._backhaul = backhaul

    def has_route(
        self, site_id: Int[np.ndarray, " some"], *, at_s: float
    ) -> Bool[np.ndarray, " some"]:
        """Return which sites reach the server at an instant."""
        routes = self._backhaul.routes(at_s)
        return np.array([route is not None for route in routes])[site_id]

    def fill(
        self,
        rows: Int[np.ndarray, " transfer"],
        *,
        bearer: Int[np.ndarray, " transfer"],
        first: Int[np.ndarray, " bearer"],
        site_id: Int[np.ndarray, " bearer"],
        unsent_bits: Float[np.ndarray, " transfer"],
        at_s: float,
        elapsed_s: float,
    ) -> Float[np.ndarray, " transfer"]:
        """Fill the buffers for a while; return the size of the buffer of each transfer.

        Parameters
        ----------
        rows
            Transfers of one direction, those of a bearer together.
        bearer
            Bearer of each transfer: members of a broadcast cross the backhaul once.
        first
            Index of the first transfer of each bearer in ``rows``.
        site_id
            Site of each bearer; all have a route.
        unsent_bits
            What each transfer has not sent yet.
        at_s
            Instant, for the routes.
        elapsed_s
            How long they are filled [s].

        Returns
        -------
        Float[np.ndarray, " transfer"]
            Largest allowance that each can have [bit]: no transfer waits for more.
        """
        route_bps = self._backhaul.route_rate_bps(at_s)[site_id]
        most_bits = np.minimum(WINDOW_S * route_bps[bearer], unsent_bits)
        held_bits = np.minimum(self.allowance_bits[rows], most_bits)
        free_bits = most_bits - held_bits
        wanted_bps = np.maximum.reduceat(free_bits, first) / elapsed_s
        given_bps = self._backhaul.share_bps(wanted_bps, site_id, at_s=at_s)
        self.allowance_bits[rows] = held_bits + np.minimum(free_bits, given_bps[bearer] * elapsed_s)
        return most_bits

    def take(self, rows: Int[np.ndarray, " sender"], bits: Float[np.ndarray, " sender"]) -> None:
        """Take bits that are sent off the allowances."""
        self.allowance_bits[rows] -= bits
