"""The network as a whole: what the server and the clients see of the wireless world.

``CellularNetwork`` has the four calls that a federation needs (send, broadcast, link states,
energy), and the rows and positions that results and pictures need. It imports no learning code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simpy
from jaxtyping import Float

from netsim.air_interface import AirInterface, make_air_interface, mean_fade
from netsim.association import Outages, edge_gain, strongest_cell
from netsim.backhaul import Backhaul, star
from netsim.channel import Channel
from netsim.config import RadioConfig, WorldConfig, find_problems, standard
from netsim.config.radio import LinkAdaptation, OuterLoopAdaptation, StarBackhaul
from netsim.engine import Engine, EngineSettings, Models
from netsim.flow import FlowEngine
from netsim.layout import Layout, build_layout
from netsim.ledger import EnergyTotal, Ledger
from netsim.metering import SiteMeter
from netsim.outer_loop import OuterLoop
from netsim.resource_grid import slot_duration_s
from netsim.sharing import Sharing
from netsim.site_energy import site_power
from netsim.slot import SlotEngine
from netsim.transfers import DIRECTIONS, NO_CELL, Direction, Transfer, TransferRow
from netsim.ue_energy import UePower
from netsim.units import linear_to_db


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """A client's link as it is now."""

    client_id: int
    cell_id: int
    """Serving cell, or the one that would serve; -1 out of coverage."""
    snr_db: float
    """Downlink signal over noise, fading included, no interference [dB]; -inf out of coverage."""
    mean_snr_db: float
    """The same without fading [dB]."""
    uplink_rate_bps: float
    """Rate with the whole band of its cell, under the interference of now; 0 out of coverage."""
    downlink_rate_bps: float
    """Likewise downlink."""


class EnergyMeter:
    """The ledger of a running network: complete up to now whenever it is read.

    Parameters
    ----------
    ledger
        Booked intervals.
    engine
        Books what is still open before an answer is given.
    """

    def __init__(self, ledger: Ledger, engine: Engine) -> None:
        self._ledger = ledger
        self._engine = engine

    def charge(
        self,
        client_id: int,
        activity: str,
        *,
        started_at_s: float,
        finished_at_s: float,
        power_w: float,
    ) -> None:
        """Book a power drawn by a client over an interval, see :class:`netsim.ledger.Ledger`."""
        self._ledger.charge(
            client_id,
            activity,
            started_at_s=started_at_s,
            finished_at_s=finished_at_s,
            power_w=power_w,
        )

    def client_energy_j(self, until_s: float) -> float:
        """Sum of what all clients spent up to an instant, not later than now."""
        return self.ledger.client_energy_j(until_s)

    def site_energy_j(self, until_s: float) -> float:
        """Sum of what all sites drew up to an instant, not later than now."""
        return self.ledger.site_energy_j(until_s)

    def totals(self, until_s: float) -> list[EnergyTotal]:
        """Seconds and joules by owner and activity up to an instant, not later than now."""
        return self.ledger.totals(until_s)

    @property
    def ledger(self) -> Ledger:
        """The ledger, booked up to now."""
        self._engine.flush()
        return self._ledger


class CellularNetwork:
    """Sites, cells and clients on a SimPy clock in seconds.

    Parameters
    ----------
    env
        Clock, shared with whoever sends.
    world, radio
        The scenario's sections.
    num_clients
        Clients that exist, ids 0 to ``num_clients - 1``; those that do nothing cost nothing.
    seed
        Root seed of the run, at least 0.

    Raises
    ------
    ValueError
        If the sections break a rule; the message lists all of them.

    Examples
    --------
    >>> env = simpy.Environment()
    >>> from netsim.config.world import SingleCellLayout
    >>> world = WorldConfig(environment="uma", layout=SingleCellLayout(), carrier_hz=3.5e9)
    >>> radio = RadioConfig(bandwidth_hz=20e6, subcarrier_spacing_hz=30e3)
    >>> network = CellularNetwork(env, world, radio, num_clients=10, seed=1)
    >>> row = env.run(until=network.send(0, "uplink", 100_000).event)
    >>> row.status, row.delivered_bytes
    ('delivered', 100000)
    """

    def __init__(
        self,
        env: simpy.Environment,
        world: WorldConfig,
        radio: RadioConfig,
        *,
        num_clients: int,
        seed: int,
    ) -> None:
        problems = find_problems(world, radio)
        if num_clients < 1:
            msg = f"num_clients: must be >= 1, got {num_clients}"
            raise ValueError(msg)
        if problems:
            raise ValueError("; ".join(f"{'.'.join(p.path)}: {p.message}" for p in problems))
        self._env = env
        self._radio = radio
        self._num_clients = num_clients
        self.layout: Layout = build_layout(world.layout)
        self._channel = Channel(world, radio, self.layout, seed=seed)
        self._air = make_air_interface(world, radio, channel=self._channel)
        self._outages = Outages(radio.outages, self.layout.cell_site_id)
        self._min_gain = edge_gain(radio.link_failure, self._air)
        self._engine, ledger = self._make_engine(world, radio, seed=seed)
        self._energy = EnergyMeter(ledger, self._engine)
        self._num_transfers = 0
        self._num_broadcasts = 0
        self._finished: list[TransferRow] = []

    def _make_engine(
        self, world: WorldConfig, radio: RadioConfig, *, seed: int
    ) -> tuple[Engine, Ledger]:
        energy = radio.energy
        ue_power = UePower(
            bandwidth_hz=radio.bandwidth_hz,
            watt_per_pu=energy.watt_per_pu,
            amplifier_efficiency=energy.amplifier_efficiency,
            inactivity_s=energy.inactivity_s,
            drx_cycle_s=energy.drx_cycle_s,
            drx_on_s=energy.drx_on_s,
            release_s=energy.release_s,
        )
        sites = [
            site_power(
                standard.site_class(world, radio),
                num_cells=len(site.cell_ids),
                sleep_after_s=energy.site_sleep_after_s,
            )
            for site in self.layout.sites
        ]
        ledger = Ledger(ue_power=ue_power, site_power=sites)
        slope = np.array([site.radiation_w(np.array(1.0)) for site in sites], dtype=float)
        models = Models(
            channel=self._channel,
            air=self._air,
            sharing=Sharing(radio.scheduler),
            outages=self._outages,
            backhaul=make_backhaul(radio, num_sites=len(sites)),
            layout=self.layout,
            handover=radio.handover,
            link_failure=radio.link_failure,
            ledger=ledger,
            ue_power=ue_power,
            site_meter=SiteMeter(ledger, slope),
        )
        settings = EngineSettings(
            tick_s=radio.channel_tick_s,
            slot_s=slot_duration_s(radio.subcarrier_spacing_hz),
            seed=seed,
            knowledge_delay_slots=radio.knowledge_delay_slots,
            outer_loop=_make_outer_loop(radio.link_adaptation),
        )
        make = {"flow": FlowEngine, "slot": SlotEngine}[radio.engine]
        engine = make(self._env, models, settings=settings, on_end=self._finish)
        return engine, ledger

    @property
    def _now_s(self) -> float:
        """The clock; simpy starts it as a whole number."""
        return float(self._env.now)

    @property
    def air(self) -> AirInterface:
        """Constants of the band."""
        return self._air

    @property
    def energy(self) -> EnergyMeter:
        """The joules of this run."""
        return self._energy

    @property
    def num_solves(self) -> int:
        """Times that the engine has solved the network (slots, in the slot engine)."""
        return self._engine.num_solves

    @property
    def num_active(self) -> int:
        """Transfers on the air now."""
        return len(self._engine.active)

    def send(
        self,
        client_id: int,
        direction: Direction,
        size_bytes: int,
        *,
        timeout_s: float | None = None,
    ) -> Transfer:
        """Start to move bytes between server and client; gives at once, ends in simulated time.

        Parameters
        ----------
        client_id
            Who sends or receives.
        direction
            ``uplink`` or ``downlink``.
        size_bytes
            Whole bytes, at least 1.
        timeout_s
            Counts from now; ``None`` is the scenario's ``transfer_timeout_s``.

        Raises
        ------
        ValueError
            If there is no such client or direction, or a number is out of range.
        """
        transfer = self._make(client_id, direction, size_bytes, timeout_s, None)
        self._admit(transfer)
        return transfer

    def broadcast(
        self, client_ids: Sequence[int], size_bytes: int, *, timeout_s: float | None = None
    ) -> list[Transfer]:
        """Send the same bytes downlink to many clients, on the same blocks within each cell.

        All members in a cell are served at the rate of the weakest that can be reached. One
        transfer a client comes back, in the order asked for; each leaves a row of its own.

        Raises
        ------
        ValueError
            As :meth:`send`, and if a client is named twice.
        """
        if len(set(client_ids)) != len(client_ids):
            msg = f"client_ids: must be distinct, got {list(client_ids)}"
            raise ValueError(msg)
        group = self._num_broadcasts
        transfers = [
            self._make(client_id, "downlink", size_bytes, timeout_s, group)
            for client_id in client_ids
        ]
        self._num_broadcasts += 1
        for transfer in transfers:
            self._admit(transfer)
        return transfers

    def link_states(self, client_ids: Sequence[int]) -> list[LinkState]:
        """Tell the links of these clients now, in the order asked for."""
        ids = np.array(
            [self._checked_client(client_id) for client_id in client_ids], dtype=np.int64
        )
        if not len(ids):
            return []
        unique, place = np.unique(ids, return_inverse=True)
        at_s = self._engine.channel_time_s(self._now_s)
        gain = self._channel.gain(unique, at_s=at_s)
        cell_id = self._serving_cells(unique, gain)
        fading = self._channel.fading(unique, cell_id, at_s=at_s)
        received = np.where(cell_id >= 0, gain[np.arange(len(unique)), np.maximum(cell_id, 0)], 0.0)
        snr = self._air.site_block_w * received / self._air.ue_noise_w
        columns = zip(
            unique.tolist(),
            cell_id.tolist(),
            linear_to_db(snr * fading.mean(axis=1)).tolist(),
            linear_to_db(snr).tolist(),
            self._uplink_rate_alone(received, cell_id, fading).tolist(),
            self._downlink_rate_alone(gain, received, cell_id, fading).tolist(),
            strict=True,
        )
        states = [
            LinkState(
                client_id=client_id,
                cell_id=cell,
                snr_db=snr_db,
                mean_snr_db=mean_snr_db,
                uplink_rate_bps=uplink_bps,
                downlink_rate_bps=downlink_bps,
            )
            for client_id, cell, snr_db, mean_snr_db, uplink_bps, downlink_bps in columns
        ]
        return [states[k] for k in place.tolist()]

    def transfers(self) -> list[TransferRow]:
        """Hand over the rows of transfers that ended since the last call, in order of their end."""
        rows, self._finished = self._finished, []
        return rows

    def positions_m(self, client_ids: Sequence[int]) -> Float[np.ndarray, "client 2"]:
        """Give the places (x, y) of clients now [m], in the order asked for."""
        ids = np.array(
            [self._checked_client(client_id) for client_id in client_ids], dtype=np.int64
        )
        return self._channel.population.positions_m(ids, at_s=self._now_s)

    def _serving_cells(
        self, client_ids: np.ndarray, gain: Float[np.ndarray, "client cell"]
    ) -> np.ndarray:
        """Give the cell that serves each client, or would."""
        is_alive = self._outages.is_alive(self._now_s)
        cell_id = strongest_cell(gain, is_alive=is_alive, min_gain=self._min_gain)
        links = self._engine.links
        for place, client_id in enumerate(client_ids.tolist()):
            slot = links.slot_of(client_id)
            if slot is not None and links.cell_id[slot] != NO_CELL:
                cell_id[place] = links.cell_id[slot]
        return cell_id

    def _uplink_rate_alone(
        self, received: np.ndarray, cell_id: np.ndarray, fading: np.ndarray
    ) -> Float[np.ndarray, " client"]:
        air = self._air
        reached = cell_id >= 0
        band = np.where(reached, float(air.num_blocks), 0.0)
        density_w = air.density_w(np.where(reached, received, 1.0))
        noise_w = air.site_noise_w + self._engine.uplink_interference_w[np.maximum(cell_id, 0)]
        sinr_per_w = (received[:, None] * fading / noise_w).mean(axis=1)
        blocks = air.used_blocks(band, density_w=density_w, sinr_per_w=sinr_per_w)
        block_w = air.block_power_w(density_w, blocks)
        sinr = air.effective_sinr((block_w * received)[:, None] * fading / noise_w)
        fade = mean_fade(fading)
        rate, _ = air.outcome(sinr, blocks, fade=fade, element_rate_hz=air.uplink_element_rate_hz)
        return rate

    def _downlink_rate_alone(
        self, gain: np.ndarray, received: np.ndarray, cell_id: np.ndarray, fading: np.ndarray
    ) -> Float[np.ndarray, " client"]:
        air = self._air
        cross = gain.copy()
        reached = np.flatnonzero(cell_id >= 0)
        cross[reached, cell_id[reached]] = 0.0
        noise_w = air.ue_noise_w + air.downlink_interference_w(cross, self._engine.radiated)
        sinr = air.effective_sinr(air.site_block_w * received[:, None] * fading / noise_w)
        blocks = np.where(cell_id >= 0, float(air.num_blocks), 0.0)
        fade = mean_fade(fading)
        rate, _ = air.outcome(sinr, blocks, fade=fade, element_rate_hz=air.downlink_element_rate_hz)
        return rate

    def _checked_client(self, client_id: int) -> int:
        if not 0 <= client_id < self._num_clients:
            msg = f"client_id: must be 0 to {self._num_clients - 1}, got {client_id}"
            raise ValueError(msg)
        return int(client_id)

    def _make(
        self,
        client_id: int,
        direction: Direction,
        size_bytes: int,
        timeout_s: float | None,
        broadcast_id: int | None,
    ) -> Transfer:
        if direction not in DIRECTIONS:
            msg = f"direction: must be uplink or downlink, got {direction!r}"
            raise ValueError(msg)
        if not (1 <= size_bytes < np.inf and int(size_bytes) == size_bytes):
            msg = f"size_bytes: must be a whole number >= 1, got {size_bytes}"
            raise ValueError(msg)
        limit_s = self._radio.transfer_timeout_s if timeout_s is None else timeout_s
        if not 0 < limit_s < np.inf:
            msg = f"timeout_s: must be > 0 and finite, got {limit_s}"
            raise ValueError(msg)
        transfer = Transfer(
            self._env,
            transfer_id=self._num_transfers,
            client_id=self._checked_client(client_id),
            direction=direction,
            size_bytes=int(size_bytes),
            deadline_at_s=self._now_s + limit_s,
            broadcast_id=broadcast_id,
            cancel=self._cancel,
        )
        self._num_transfers += 1
        return transfer

    def _admit(self, transfer: Transfer) -> None:
        # Own transfers count up from 0, broadcasts down from -1: a bearer has one number.
        bearer_id = transfer.transfer_id
        if transfer.broadcast_id is not None:
            bearer_id = -1 - transfer.broadcast_id
        self._engine.admit(transfer, bearer_id=bearer_id, deadline_at_s=transfer.deadline_at_s)

    def _cancel(self, transfer: Transfer, reason: str) -> None:
        # What has left the air and is in the wires arrives whatever the client wants now.
        if self._engine.is_on_air(transfer):
            self._engine.cancel(transfer, reason)

    def _finish(self, transfer: Transfer, row: TransferRow, delay_s: float) -> None:
        if delay_s > 0:
            arrival = self._env.timeout(delay_s)
            arrival.callbacks.append(lambda _: self._hand_over(transfer, row))
        else:
            self._hand_over(transfer, row)

    def _hand_over(self, transfer: Transfer, row: TransferRow) -> None:
        self._finished.append(row)
        transfer.event.succeed(row)


def _make_outer_loop(settings: LinkAdaptation) -> OuterLoop | None:
    if not isinstance(settings, OuterLoopAdaptation):
        return None
    return OuterLoop(target_block_error=settings.target_block_error, step_up_db=settings.step_up_db)


def make_backhaul(radio: RadioConfig, *, num_sites: int) -> Backhaul:
    """Give the wires between sites and server."""
    config = radio.backhaul
    if isinstance(config, StarBackhaul):
        links = star(num_sites, latency_s=config.latency_s, rate_bps=config.rate_bps)
    else:
        links = config.links
    return Backhaul(links, num_sites=num_sites, cuts=config.cuts)
