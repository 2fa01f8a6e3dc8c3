"""What a client's link is like now: for policies that choose clients by their links."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from netsim.engines.engine import Engine, Models
from netsim.phy.effective_sinr import mean_over_groups
from netsim.rrc.association import edge_gain, strongest_cell
from netsim.units import linear_to_db
from netsim.world.layout import NO_CELL


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTable:
    """The links of some clients as they are now, one entry a client."""

    cell_id: Int[np.ndarray, " client"]
    """Serving cell, or the one that would serve; -1 out of coverage."""
    site_id: Int[np.ndarray, " client"]
    """Site of that cell; -1 out of coverage."""
    snr_db: Float[np.ndarray, " client"]
    """Downlink signal over noise, fading included, no interference [dB]; -inf out of coverage."""
    mean_snr_db: Float[np.ndarray, " client"]
    """The same without fading [dB]."""
    uplink_rate_bps: Float[np.ndarray, " client"]
    """Rate with the whole band of its cell, under the interference of now; 0 out of coverage."""
    downlink_rate_bps: Float[np.ndarray, " client"]
    """Likewise downlink."""
    uplink_w: Float[np.ndarray, " client"]
    """Power that the client would draw while it sends at that rate; 0 out of coverage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Links:
    """What rates and powers follow from, one entry a client."""

    cell_id: Int[np.ndarray, " client"]
    gain: Float[np.ndarray, "client cell"]
    received: Float[np.ndarray, " client"]
    """Gain to the serving cell; 0 out of coverage."""
    uplink_fading: Float[np.ndarray, "client group"]
    downlink_fading: Float[np.ndarray, "client group"]


class LinkReporter:
    """Tells the links of clients, whether they have transfers or not.

    Parameters
    ----------
    models
        Channel, band and outages.
    engine
        Knows who is connected to which cell, and the interference.
    """

    def __init__(self, models: Models, engine: Engine) -> None:
        self._channel = models.channel
        self._air = models.air
        self._ue_power = models.ue_power
        self._outages = models.outages
        self._cell_site_id = models.layout.cell_site_id
        self._min_gain = edge_gain(models.link_failure, models.air)
        self._engine = engine
        self._is_constant = not (
            self._channel.is_varying or self._air.is_interfering or self._outages.may_fail
        )
        self._known_bps: dict[bool, dict[int, float]] = {True: {}, False: {}}

    def table(self, client_ids: Int[np.ndarray, " client"], *, now_s: float) -> LinkTable:
        """Return the links of these clients now, in the order asked for."""
        if not len(client_ids):
            none, nothing = np.empty(0, dtype=np.int64), np.empty(0)
            return LinkTable(
                cell_id=none,
                site_id=none,
                snr_db=nothing,
                mean_snr_db=nothing,
                uplink_rate_bps=nothing,
                downlink_rate_bps=nothing,
                uplink_w=nothing,
            )
        unique, place = np.unique(client_ids, return_inverse=True)
        links = self._links(unique, now_s=now_s)
        cell_id, received, downlink_fading = links.cell_id, links.received, links.downlink_fading
        snr = self._air.cell_block_w[cell_id] * received / self._air.ue_noise_w
        is_covered = cell_id != NO_CELL
        uplink_bps, radiated_w = self._uplink_alone(links)
        on_air_bps = uplink_bps / self._air.uplink_fraction
        uplink_w = self._ue_power.transmit_w(radiated_w, on_air_bps)
        site_id = np.where(is_covered, self._cell_site_id[np.maximum(cell_id, 0)], NO_CELL)
        return LinkTable(
            cell_id=cell_id[place],
            site_id=site_id[place],
            snr_db=linear_to_db(snr * downlink_fading.mean(axis=1))[place],
            mean_snr_db=linear_to_db(snr)[place],
            uplink_rate_bps=uplink_bps[place],
            downlink_rate_bps=self._downlink_alone(links)[place],
            uplink_w=np.where(is_covered, uplink_w, 0.0)[place],
        )

    def rate_bps(
        self, client_ids: Int[np.ndarray, " client"], *, is_uplink: bool, now_s: float
    ) -> Float[np.ndarray, " client"]:
        """Return the rates of :meth:`table` in one direction [bit/s], in the order asked for."""
        if not self._is_constant:
            return self._rate_now_bps(client_ids, is_uplink=is_uplink, now_s=now_s)
        known_bps, ids = self._known_bps[is_uplink], client_ids.tolist()
        missing = [client_id for client_id in ids if client_id not in known_bps]
        if missing:
            rate_bps = self._rate_now_bps(np.array(missing), is_uplink=is_uplink, now_s=now_s)
            known_bps.update(zip(missing, rate_bps.tolist(), strict=True))
        return np.array([known_bps[client_id] for client_id in ids])

    def _rate_now_bps(
        self, client_ids: Int[np.ndarray, " client"], *, is_uplink: bool, now_s: float
    ) -> Float[np.ndarray, " client"]:
        unique, place = np.unique(client_ids, return_inverse=True)
        links = self._links(unique, now_s=now_s)
        rate_bps = self._uplink_alone(links)[0] if is_uplink else self._downlink_alone(links)
        return rate_bps[place]

    def _links(self, client_ids: Int[np.ndarray, " client"], *, now_s: float) -> _Links:
        """Return what the links of clients are like; ids are ascending."""
        at_s = self._engine.channel_time_s(now_s)
        gain = self._channel.gain(client_ids, at_s=at_s)
        cell_id = self._serving_cells(client_ids, gain, now_s=now_s)
        fading = self._channel.fading_over(client_ids, cell_id, at_s=np.array([at_s]))
        own = gain[np.arange(len(client_ids)), np.maximum(cell_id, 0)]
        return _Links(
            cell_id=cell_id,
            gain=gain,
            received=np.where(cell_id >= 0, own, 0.0),
            uplink_fading=fading.uplink[0],
            downlink_fading=fading.downlink[0],
        )

    def _serving_cells(
        self,
        client_ids: Int[np.ndarray, " client"],
        gain: Float[np.ndarray, "client cell"],
        *,
        now_s: float,
    ) -> Int[np.ndarray, " client"]:
        """Return the cell that serves each client, or would; ids are ascending."""
        is_alive = self._outages.is_alive(now_s)
        cell_id = strongest_cell(
            self._air.at_one_power(gain), is_alive=is_alive, min_gain=self._min_gain
        )
        links = self._engine.links
        slots = links.slots
        connected = slots[links.cell_id[slots] != NO_CELL]
        place = np.searchsorted(client_ids, links.client_id[connected])
        place = np.minimum(place, len(client_ids) - 1)
        is_asked = client_ids[place] == links.client_id[connected]
        cell_id[place[is_asked]] = links.cell_id[connected[is_asked]]
        return cell_id

    def _uplink_alone(
        self, links: _Links
    ) -> tuple[Float[np.ndarray, " client"], Float[np.ndarray, " client"]]:
        """Return the rate [bit/s] in the whole band, and the power radiated for it [W]."""
        air, cell_id = self._air, links.cell_id
        received, fading = links.received, links.uplink_fading
        reached = cell_id >= 0
        band = np.where(reached, float(air.uplink_blocks), 0.0)
        density_w = air.uplink_power.density_w(np.where(reached, received, 1.0))
        noise_w = air.site_noise_w + self._engine.uplink_interference_w[np.maximum(cell_id, 0)]
        combined = air.site_array_gain * received
        sinr_per_w = (combined[:, None] * fading / noise_w).mean(axis=1)
        density_w = air.uplink_power.full_density_w(density_w, sinr_per_w)
        blocks = air.uplink_power.used_whole_blocks(
            band, density_w=density_w, sinr_per_w=sinr_per_w
        )
        block_w = air.uplink_power.radiated_w(
            air.uplink_power.block_power_w(density_w, blocks), sinr_per_w
        )
        sinr = air.effective_sinr((block_w * combined)[:, None] * fading / noise_w)
        fade = mean_over_groups(fading)
        rate, _ = air.outcome(sinr, blocks, fade=fade, is_uplink=True)
        return rate, block_w * blocks

    def _downlink_alone(self, links: _Links) -> Float[np.ndarray, " client"]:
        """Return the rate in the whole band [bit/s]."""
        air, cell_id = self._air, links.cell_id
        received, fading = links.received, links.downlink_fading
        noise_w: Float[np.ndarray, "*client group"] | float = air.ue_noise_w
        radiated = self._engine.radiated
        if air.is_interfering and radiated.any():
            cross = links.gain.copy()
            reached = np.flatnonzero(cell_id >= 0)
            cross[reached, cell_id[reached]] = 0.0
            noise_w = noise_w + air.downlink_interference_w(cross, radiated)
        block_w = air.cell_block_w[cell_id]  # out of coverage nothing is received
        sinr = air.effective_sinr(block_w[:, None] * received[:, None] * fading / noise_w)
        blocks = np.where(cell_id >= 0, float(air.downlink_blocks), 0.0)
        fade = mean_over_groups(fading)
        rate, _ = air.outcome(sinr, blocks, fade=fade, is_uplink=False)
        return rate
