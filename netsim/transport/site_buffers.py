"""What lies between the air and the wires of a site, slot by slot: how much may be sent now."""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.transport.backhaul import Backhaul

WINDOW_S = 0.02
"""Time for which a buffer at a site lasts at the full rate of the wires [s], in both engines.

Our choice: no source was found. It decides how long a transfer that fades keeps its claim on the
wires, not whether the engines agree: they do with 5, 20 and 50 ms, see docs/validation.md.
"""


class SiteBuffers:
    """Allowances of many transfers, rows aligned with those of the active transfers.

    A download's allowance is what the wires have brought to its site and the air has not taken; an
    upload's what the wires will take at once when it comes. It grows by the max-min fair share of
    the wires and never holds more than they carry in ``WINDOW_S`` (our choice): who is slow over
    the air fills it and leaves the rest of the wires to others. Schedulers and interference know
    nothing of it, in either engine: blocks stay granted to a transfer that waits for its wires.
    :class:`netsim.transport.backhaul_flow.BackhaulFlow` has the same buffers as fluids, for the
    flow engine.

    Parameters
    ----------
    backhaul
        Routes and rates.
    """

    def __init__(self, backhaul: Backhaul) -> None:
        self._backhaul = backhaul
        self.allowance_bits = np.empty(0)
        """What each transfer may send now [bit]."""

    def append(self) -> None:
        """Add a row for a new transfer."""
        self.allowance_bits = np.append(self.allowance_bits, 0.0)

    def remove(self, is_gone: Bool[np.ndarray, " transfer"]) -> None:
        """Drop rows."""
        self.allowance_bits = self.allowance_bits[~is_gone]

    def has_route(
        self, site_id: Int[np.ndarray, " some"], *, at_s: float
    ) -> Bool[np.ndarray, " some"]:
        """Tell which sites reach the server at an instant."""
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
        """Let the wires work for a while; give how much each transfer needs to send a block.

        Parameters
        ----------
        rows
            Transfers of one direction, those of a bearer together.
        bearer
            Bearer of each transfer: members of a broadcast cross the wires once.
        first
            Place of the first transfer of each bearer in ``rows``.
        site_id
            Site of each bearer; all have a route.
        unsent_bits
            What each transfer has not sent yet.
        at_s
            Instant, for the routes.
        elapsed_s
            How long the wires work [s].

        Returns
        -------
        Float[np.ndarray, " transfer"]
            Largest allowance that each can have [bit]: nobody needs to wait for more.
        """
        routes = self._backhaul.routes(at_s)
        rate_bps = np.array([0.0 if route is None else route.rate_bps for route in routes])
        most_bits = np.minimum(WINDOW_S * rate_bps[site_id][bearer], unsent_bits)
        held_bits = np.minimum(self.allowance_bits[rows], most_bits)
        room_bits = most_bits - held_bits
        wanted_bps = np.maximum.reduceat(room_bits, first) / elapsed_s
        given_bps = self._backhaul.share_bps(wanted_bps, site_id, at_s=at_s)
        self.allowance_bits[rows] = held_bits + np.minimum(room_bits, given_bps[bearer] * elapsed_s)
        return most_bits

    def take(self, rows: Int[np.ndarray, " sender"], bits: Float[np.ndarray, " sender"]) -> None:
        """Use up allowances."""
        self.allowance_bits[rows] -= bits
