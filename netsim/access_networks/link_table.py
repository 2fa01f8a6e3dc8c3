"""What a client's link is like now, in a network that knows rates and no signals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from netsim.access_networks.access import Access
from netsim.access_networks.medium import Medium, Member


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTable:
    """The links of some clients as they are now, one entry a client."""

    kind: str
    """Kind of the network, for messages."""
    cell_id: Int[np.ndarray, " client"]
    """Access point of the client; 0 where there is none to tell apart."""
    site_id: Int[np.ndarray, " client"]
    """The same."""
    uplink_rate_bps: Float[np.ndarray, " client"]
    """Rate that the client would have alone in the network now."""
    downlink_rate_bps: Float[np.ndarray, " client"]
    """Likewise downlink."""
    uplink_w: Float[np.ndarray, " client"]
    """Power that its modem would draw while it sends."""

    @classmethod
    def of(
        cls,
        client_ids: Int[np.ndarray, " client"],
        accesses: Sequence[Access],
        access_id: Int[np.ndarray, " client"],
        medium: Medium,
        *,
        at_s: float,
        kind: str,
    ) -> Self:
        """Return the links of some clients at an instant, in the order asked for.

        Parameters
        ----------
        client_ids
            Whose.
        accesses
            Those that differ.
        access_id
            Index of the access of every client; who has the same one has the same rates alone.
        medium
            Who shares which link.
        at_s
            The instant [s].
        kind
            Kind of the network.
        """
        cell_id = np.array([medium.cell_id(each) for each in client_ids.tolist()], dtype=np.int64)
        used, first, rows = np.unique(access_id[client_ids], return_index=True, return_inverse=True)
        alike = client_ids[first].tolist()
        uplink = [medium.alone_bps(Member(each, "uplink"), at_s) for each in alike]
        downlink = [medium.alone_bps(Member(each, "downlink"), at_s) for each in alike]
        power_w = [accesses[each].power_w["uplink"].value(at_s) for each in used.tolist()]
        return cls(
            kind=kind,
            cell_id=cell_id,
            site_id=cell_id,
            uplink_rate_bps=np.array(uplink, dtype=np.float64)[rows],
            downlink_rate_bps=np.array(downlink, dtype=np.float64)[rows],
            uplink_w=np.array(power_w, dtype=np.float64)[rows],
        )

    @property
    def snr_db(self) -> Float[np.ndarray, " client"]:
        """Refused: there is no radio signal.

        Raises
        ------
        ValueError
            Always.
        """
        msg = f"snr_db: a network of kind {self.kind} knows no signals; uplink_rate_bps is known"
        raise ValueError(msg)

    @property
    def mean_snr_db(self) -> Float[np.ndarray, " client"]:
        """Refused: there is no radio signal.

        Raises
        ------
        ValueError
            Always.
        """
        return self.snr_db
