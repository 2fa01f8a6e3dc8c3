"""The cellular network as one object, the interface of the simulator to a federation.

``CellularNetwork`` has the four calls that a federation needs (send, broadcast, link table,
energy), and the rows and positions that results and figures need. It imports no learning code.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import simpy
from jaxtyping import Float, Int

from netsim.channel.channel import Channel
from netsim.checks.rules import find_problems
from netsim.checks.trial import check_scheduler
from netsim.config import RadioConfig, WorldConfig
from netsim.config.access import NO_ACCESS
from netsim.config.radio import BackgroundUsers
from netsim.energy.energy_meter import EnergyMeter
from netsim.energy.ue_power import most_power_w
from netsim.engines.assembly import make_engine, make_models
from netsim.engines.background_warm_up import files_in_progress
from netsim.engines.engine import Models
from netsim.engines.link_states import LinkReporter, LinkTable
from netsim.engines.position_log import PositionLog, PositionRow
from netsim.mac.schedulers import SchedulerFactory, scheduler_factory
from netsim.phy.resource_grid import slot_duration_s
from netsim.phy_abstraction.air_interface import AirInterface
from netsim.rrc.connection import make_timers
from netsim.transport.access_wait import AccessWait, Wait
from netsim.transport.background_traffic import BackgroundTraffic, FileCounts
from netsim.transport.completion import make_unserved_row
from netsim.transport.relays import Relays
from netsim.transport.requests import (
    check_broadcast,
    check_client,
    check_clients,
    check_request,
)
from netsim.transport.transfers import Direction, Transfer, TransferRow
from netsim.units import dbm_to_w
from netsim.world.layout import Layout, build_layout
from netsim.world.population import FIRST_BACKGROUND_USER
from netsim.world.site_rows import CellRow, SiteRow, cell_rows, site_rows


class CellularNetwork:
    """Sites, cells and clients on a SimPy clock in seconds.

    Parameters
    ----------
    env
        Simulation clock, shared with the senders.
    world, radio
        The scenario's sections.
    num_clients
        Number of clients, ids 0 to ``num_clients - 1``; inactive clients need no computation. At
        most 2^24: higher ids are those of background users.
    seed
        Root seed of the run, at least 0.
    own_scheduler
        The class that ``radio.scheduler`` names, where it has the form ``path.py:Class``. It is
        called without arguments, once for each cell and direction.

    Raises
    ------
    ValueError
        If the sections break a rule; the message lists all of them. If ``own_scheduler`` is missing
        or not asked for.

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
        own_scheduler: SchedulerFactory | None = None,
    ) -> None:
        problems = find_problems(world, radio)
        if not 1 <= num_clients <= FIRST_BACKGROUND_USER:
            msg = f"num_clients: must be 1 to {FIRST_BACKGROUND_USER}, got {num_clients}"
            raise ValueError(msg)
        if problems:
            raise ValueError("; ".join(f"{'.'.join(p.path)}: {p.message}" for p in problems))
        make_scheduler = scheduler_factory(radio.scheduler, own=own_scheduler)
        check_scheduler(radio, make_scheduler())
        self._env = env
        self._world = world
        self._radio = radio
        self._num_clients = num_clients
        self.layout: Layout = build_layout(world.layout)
        self._channel = Channel(world, radio, self.layout, seed=seed)
        models = make_models(
            world,
            radio,
            layout=self.layout,
            channel=self._channel,
            make_scheduler=make_scheduler,
            seed=seed,
        )
        self._air = models.air
        max_radiated_w = dbm_to_w(radio.uplink_power.max_dbm)
        self.most_radio_w = most_power_w(models.ue_power, max_radiated_w=max_radiated_w)
        """Power that the radio of any client draws at most, sending, receiving or waiting [W]."""
        self._engine = make_engine(env, radio, models, seed=seed, on_end=self._finish)
        self._relays = Relays(env, models.backhaul, num_sites=len(self.layout.sites))
        self._energy = EnergyMeter(models.ledger, self._flush)
        self._reporter = LinkReporter(models, self._engine)
        self._access = self._make_access(models, seed=seed)
        self._positions = PositionLog(
            self._channel.population, self.layout, now_s=lambda: self._now_s
        )
        self._engine.links.on_change = self._note_cells
        self._num_transfers = 0
        self._num_broadcasts = 0
        self._finished: list[TransferRow] = []
        self._background: BackgroundTraffic | None = None
        if isinstance(radio.background_load, BackgroundUsers):
            self._background = BackgroundTraffic(
                env,
                radio.background_load,
                seed=seed,
                admit=lambda transfer: self._admit(transfer, 0.0),
                cancel=self._cancel,
                in_progress=partial(
                    files_in_progress,
                    world,
                    radio,
                    radio.background_load,
                    layout=self.layout,
                    make_scheduler=make_scheduler,
                    seed=seed,
                ),
            )

    @property
    def _now_s(self) -> float:
        """Simulated time [s]; simpy starts it as an integer."""
        return float(self._env.now)

    @property
    def air(self) -> AirInterface:
        """Air interface: constants of the carrier and tables of link adaptation."""
        return self._air

    @property
    def energy(self) -> EnergyMeter:
        """Energy meter of the run."""
        return self._energy

    @property
    def num_solves(self) -> int:
        """Number of solves of the engine (of slots, in the slot engine)."""
        return self._engine.num_solves

    def send(
        self,
        client_id: int,
        direction: Direction,
        size_bytes: int,
        *,
        timeout_s: float | None = None,
        participation_id: int | None = None,
        at_edge: bool = False,
    ) -> Transfer:
        """Start a transfer between server and client; it ends in simulated time.

        Parameters
        ----------
        client_id
            Client that sends or receives.
        direction
            ``uplink`` or ``downlink``.
        size_bytes
            Whole number of bytes, at least 1.
        timeout_s
            Time limit from now [s]; ``None`` is the scenario's ``transfer_timeout_s``.
        participation_id
            Work that it belongs to, for its row; without effect on the transfer.
        at_edge
            Whether it is between client and site, and does not cross the backhaul.

        Raises
        ------
        ValueError
            If there is no such client or direction, or a number is out of range.
        """
        transfer = self._make(
            client_id,
            direction,
            size_bytes,
            timeout_s=timeout_s,
            broadcast_id=None,
            participation_id=participation_id,
            at_edge=at_edge,
        )
        self._access.begin([transfer])
        return transfer

    def broadcast(
        self,
        client_ids: Sequence[int],
        size_bytes: int,
        *,
        timeout_s: float | None = None,
        participation_ids: Sequence[int] | None = None,
    ) -> list[Transfer]:
        """Send the same bytes downlink to several clients, on the same blocks within each cell.

        All clients of a cell are served at the rate of the weakest one in coverage. The result has
        one transfer per client, in the order of the ids; each has a row of its own.

        Raises
        ------
        ValueError
            As :meth:`send`, and if a client is repeated, or ``participation_ids`` has another
            length than ``client_ids``.
        """
        numbers = check_broadcast(client_ids, participation_ids)
        transfers = [
            self._make(
                client_id,
                "downlink",
                size_bytes,
                timeout_s=timeout_s,
                broadcast_id=self._num_broadcasts,
                participation_id=number,
            )
            for client_id, number in zip(client_ids, numbers, strict=True)
        ]
        self._num_broadcasts += 1
        self._access.begin(transfers)
        return transfers

    def relay(self, site_id: int, direction: Direction, size_bytes: int) -> simpy.Event:
        """Move bytes between a site and the server over the backhaul; the event fires at their end.

        They share its links with one another, and not with the transfers of clients.

        Raises
        ------
        ValueError
            If there is no such site or direction, or the size is not at least 1 byte.
        """
        return self._relays.relay(site_id, direction, size_bytes)

    @property
    def background_files(self) -> FileCounts | None:
        """Files of background users up to now; ``None`` where there are no such users."""
        return None if self._background is None else self._background.counts

    def link_table(self, client_ids: Sequence[int] | Int[np.ndarray, " client"]) -> LinkTable:
        """Return the links of these clients now, in the order asked for."""
        ids = check_clients(client_ids, num_clients=self._num_clients)
        return self._reporter.table(ids, now_s=self._now_s)

    def transfers(self) -> list[TransferRow]:
        """Return the rows of transfers that ended since the last call, in order of their end."""
        rows, self._finished = self._finished, []
        return rows

    def positions(self) -> list[PositionRow]:
        """Return the positions noted since the last call, in order of time.

        See :mod:`netsim.engines.position_log` for when a position is noted.
        """
        return self._positions.take()

    def sites(self) -> list[SiteRow]:
        """Return a row for every site, in the order of ids."""
        return site_rows(self._world, self._radio, self.layout)

    def cells(self) -> list[CellRow]:
        """Return a row for every cell, in the order of ids."""
        return cell_rows(self._world, self._radio, self.layout)

    def positions_m(self, client_ids: Sequence[int]) -> Float[np.ndarray, "client 2"]:
        """Return the present positions (x, y) of clients [m], in the order of the ids."""
        ids = check_clients(client_ids, num_clients=self._num_clients)
        return self._channel.population.positions_m(ids, at_s=self._now_s)

    def _make(
        self,
        client_id: int,
        direction: Direction,
        size_bytes: int,
        *,
        timeout_s: float | None,
        broadcast_id: int | None,
        participation_id: int | None,
        at_edge: bool = False,
    ) -> Transfer:
        limit_s = self._radio.transfer_timeout_s if timeout_s is None else timeout_s
        check_request(direction, size_bytes, timeout_s=limit_s)
        transfer = Transfer(
            self._env,
            transfer_id=self._num_transfers,
            client_id=check_client(client_id, num_clients=self._num_clients),
            direction=direction,
            size_bytes=int(size_bytes),
            deadline_at_s=self._now_s + limit_s,
            broadcast_id=broadcast_id,
            participation_id=participation_id,
            at_edge=at_edge,
            cancel=self._cancel,
        )
        self._num_transfers += 1
        return transfer

    def _make_access(self, models: Models, *, seed: int) -> AccessWait:
        config = NO_ACCESS if self._radio.access is None else self._radio.access
        connected_s = float(models.ue_power.tail_s(np.array(np.inf)))
        return AccessWait(
            self._env,
            config,
            timers=make_timers(config, self._radio.ue_power, connected_s=connected_s),
            slot_s=slot_duration_s(self._radio.subcarrier_spacing_hz),
            seed=seed,
            ledger=models.ledger,
            listen_w=models.ue_power.listen_w,
            is_on_air=self._engine.is_client_on_air,
            rates=self._reporter.rate_bps,
            admit=self._admit,
            end=self._end_unserved,
        )

    def _flush(self) -> None:
        self._access.flush()
        self._engine.flush()

    def _admit(self, transfer: Transfer, energy_j: float) -> None:
        # Unicast transfers are numbered up from 0, broadcasts down from -1.
        bearer_id = transfer.transfer_id
        if transfer.broadcast_id is not None:
            bearer_id = -1 - transfer.broadcast_id
        self._engine.admit(
            transfer,
            bearer_id=bearer_id,
            deadline_at_s=transfer.deadline_at_s,
            energy_j=energy_j,
        )

    def _cancel(self, transfer: Transfer, reason: str) -> None:
        # A transfer that is already in the backhaul is delivered.
        if self._access.is_waiting(transfer):
            self._access.cancel(transfer, reason)
        elif self._engine.is_on_air(transfer):
            self._engine.cancel(transfer, reason)

    def _end_unserved(self, wait: Wait, status: str) -> None:
        transfer = wait.transfer
        row = make_unserved_row(
            transfer,
            status,
            cell_id=self._engine.serving_cell(transfer.client_id),
            energy_j=wait.energy_j,
            now_s=self._now_s,
        )
        self._hand_over(transfer, row)

    def _note_cells(
        self, client_ids: Int[np.ndarray, " client"], cell_ids: Int[np.ndarray, " client"]
    ) -> None:
        """Note the cells of clients; background users have no rows of positions."""
        if self._background is not None:
            is_client = client_ids < FIRST_BACKGROUND_USER
            client_ids, cell_ids = client_ids[is_client], cell_ids[is_client]
        self._positions.note(client_ids, cell_ids)

    def _finish(self, transfer: Transfer, row: TransferRow, delay_s: float) -> None:
        if self._background is not None and transfer.client_id >= FIRST_BACKGROUND_USER:
            self._background.note_end(row)  # Nobody waits for it, and it has no row.
            return
        self._access.note_left_air(transfer.client_id)
        if delay_s > 0:
            arrival = self._env.timeout(delay_s)
            arrival.callbacks.append(lambda _: self._hand_over(transfer, row))
        else:
            self._hand_over(transfer, row)

    def _hand_over(self, transfer: Transfer, row: TransferRow) -> None:
        self._finished.append(row)
        self._positions.note_end(row)
        transfer.event.succeed(row)
