"""Files of background users: who sends or receives one, and when.

Arrivals are a Poisson process that depends on the seed alone: no transfer of a client changes when
the next file comes, so variants with one seed meet the same background. A file is in the buffer of
its sender at its arrival. The fixed costs of ``radio.access`` are left out: they use no blocks, and
a Poisson process whose arrivals are delayed independently is a Poisson process of the same rate.

The network is empty of files when the run starts, and fills within a few times the mean transfer
time of a file.

References
----------
Traffic of this kind is FTP model 3 of 3GPP (TR 36.889; as recollected).
"""

from collections.abc import Callable, Generator

import simpy

from netsim.config.radio import BackgroundUsers
from netsim.streams import Purpose, stream
from netsim.transport.transfers import Direction, Transfer
from netsim.world.population import FIRST_BACKGROUND_USER

FIRST_FILE = 2**40
"""Id of the transfer of the first file; those of clients count from 0."""


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
    """

    def __init__(
        self,
        env: simpy.Environment,
        config: BackgroundUsers,
        *,
        seed: int,
        admit: Callable[[Transfer], None],
        cancel: Callable[[Transfer, str], None],
    ) -> None:
        self._env = env
        self._config = config
        self._seed = seed
        self._admit = admit
        self._cancel = cancel
        env.process(self._arrive())

    def _arrive(self) -> Generator[simpy.Event, None, None]:
        config, file_id = self._config, FIRST_FILE
        a_user_hz = config.downlink_files_per_s + config.uplink_files_per_s
        downlink_fraction = config.downlink_files_per_s / a_user_hz
        while True:
            rng = stream(self._seed, Purpose.BACKGROUND_LOAD, file_id - FIRST_FILE)
            yield self._env.timeout(rng.exponential(1.0 / (config.num_users * a_user_hz)))
            user = int(rng.integers(config.num_users))
            direction: Direction = "downlink" if rng.random() < downlink_fraction else "uplink"
            self._admit(self._make(file_id, user, direction))
            file_id += 1

    def _make(self, file_id: int, user: int, direction: Direction) -> Transfer:
        return Transfer(
            self._env,
            transfer_id=file_id,
            client_id=FIRST_BACKGROUND_USER + user,
            direction=direction,
            size_bytes=self._config.file_bytes,
            deadline_at_s=float(self._env.now) + self._config.give_up_after_s,
            broadcast_id=None,
            participation_id=None,
            cancel=self._cancel,
        )
