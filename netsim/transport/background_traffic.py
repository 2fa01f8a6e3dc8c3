"""Files of background users: who sends or receives one, when, and what becomes of it.

Arrivals are a Poisson process that depends on the seed alone: no transfer of a client changes when
the next file comes, so variants with one seed meet the same background. A file is in the buffer of
its sender at its arrival. The fixed costs of ``radio.access`` are left out: they use no blocks, and
a Poisson process whose arrivals are delayed independently is a Poisson process of the same rate.

References
----------
Traffic of this kind is FTP model 3 of 3GPP (TR 36.889; as recollected).
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import simpy

from netsim.config.radio import BackgroundUsers
from netsim.streams import Purpose, stream
from netsim.transport.transfers import Direction, Transfer, TransferRow
from netsim.world.population import FIRST_BACKGROUND_USER

FIRST_FILE = 2**40
"""Id of the transfer of the first file; those of clients count from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInProgress:
    """A file that is on its way when the run starts."""

    transfer_id: int
    """Id of its transfer."""
    client_id: int
    """Id of its user."""
    direction: Direction
    left_bytes: int
    """What has not arrived yet."""
    given_up_after_s: float
    """Time from the start of the run to when it is given up [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCounts:
    """Files of background users up to now; those that are neither are on their way."""

    started: int
    """That were on their way at the start, or have come since."""
    delivered: int
    given_up: int


class BackgroundTraffic:
    """Starts the transfers of background users from the present instant on, without end.

    Parameters
    ----------
    env
        Simulation clock in seconds.
    config
        The section.
    seed
        Root seed of the run.
    admit
        Puts a transfer on the air.
    cancel
        Ends a transfer with a reason.
    in_progress
        Gives the files that are on their way at the present instant; called when the clock runs.
    first_file
        Id of the transfer of the first file that comes; the others count up. Other ids are other
        draws.
    """

    def __init__(
        self,
        env: simpy.Environment,
        config: BackgroundUsers,
        *,
        seed: int,
        admit: Callable[[Transfer], None],
        cancel: Callable[[Transfer, str], None],
        in_progress: Callable[[], Sequence[FileInProgress]] = tuple,
        first_file: int = FIRST_FILE,
    ) -> None:
        self._env = env
        self._config = config
        self._seed = seed
        self._admit = admit
        self._cancel = cancel
        self._in_progress = in_progress
        self._first_file = first_file
        self._started = self._delivered = self._given_up = 0
        env.process(self._arrive())

    @property
    def counts(self) -> FileCounts:
        """Numbers of files up to now."""
        return FileCounts(started=self._started, delivered=self._delivered, given_up=self._given_up)

    def note_end(self, row: TransferRow) -> None:
        """Count a file that leaves the air."""
        if row.status == "delivered":
            self._delivered += 1
        else:
            self._given_up += 1

    def _arrive(self) -> Generator[simpy.Event, None, None]:
        config, file_id = self._config, self._first_file
        for each in self._in_progress():
            self._start(
                each.transfer_id,
                each.client_id,
                each.direction,
                size_bytes=each.left_bytes,
                limit_s=each.given_up_after_s,
            )
        a_user_hz = config.downlink_files_per_s + config.uplink_files_per_s
        downlink_fraction = config.downlink_files_per_s / a_user_hz
        while True:
            rng = stream(self._seed, Purpose.BACKGROUND_LOAD, file_id - FIRST_FILE)
            yield self._env.timeout(rng.exponential(1.0 / (config.num_users * a_user_hz)))
            user = int(rng.integers(config.num_users))
            direction: Direction = "downlink" if rng.random() < downlink_fraction else "uplink"
            self._start(
                file_id,
                FIRST_BACKGROUND_USER + user,
                direction,
                size_bytes=config.file_bytes,
                limit_s=config.give_up_after_s,
            )
            file_id += 1

    def _start(
        self,
        file_id: int,
        client_id: int,
        direction: Direction,
        *,
        size_bytes: int,
        limit_s: float,
    ) -> None:
        self._started += 1
        transfer = Transfer(
            self._env,
            transfer_id=file_id,
            client_id=client_id,
            direction=direction,
            size_bytes=size_bytes,
            deadline_at_s=float(self._env.now) + limit_s,
            broadcast_id=None,
            participation_id=None,
            cancel=self._cancel,
        )
        self._admit(transfer)
