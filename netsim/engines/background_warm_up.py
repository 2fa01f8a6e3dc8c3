"""Files of background users that are on their way when a run starts.

A network that has been up for long has files in its cells at any instant: at load r, cells that
share time equally hold r / (1 - r) of them on average (M/G/1 processor sharing, whose number of
jobs is geometric: Kleinrock, Queueing Systems 2, section 4.4, as recollected). Where cells disturb
one another, follow fades or meet limits of power no such formula holds, so the state is simulated:
the same network, without clients and outages, runs on a clock of its own for ``warm_up_s``, and
what is then unfinished is what the run starts with (our choice). It is the flow engine that runs,
so both engines start with the same files. These are draws of their own: the ones that come later do
not depend on the warm-up.
"""

from dataclasses import replace

import numpy as np
import simpy

from netsim.channel.channel import Channel
from netsim.config import RadioConfig, WorldConfig
from netsim.config.radio import BackgroundUsers
from netsim.engines.assembly import make_engine, make_models
from netsim.mac.schedulers import SchedulerFactory
from netsim.transport.background_traffic import BackgroundTraffic, FileInProgress
from netsim.transport.transfers import DIRECTIONS, Transfer
from netsim.world.layout import Layout

FIRST_WARM_UP_FILE = 2**41
"""Id of the transfer of the first file of a warm-up; those of the run count up from 2^40."""


def files_in_progress(
    world: WorldConfig,
    radio: RadioConfig,
    config: BackgroundUsers,
    *,
    layout: Layout,
    make_scheduler: SchedulerFactory,
    seed: int,
) -> list[FileInProgress]:
    """Return the files that a network is sending after a warm-up from empty, by arrival.

    Parameters
    ----------
    world, radio
        The scenario's sections.
    config
        The users, of ``radio.background_load``.
    layout
        Sites and cells.
    make_scheduler
        Makes the scheduler of a cell and direction.
    seed
        Root seed of the run.
    """
    if config.warm_up_s == 0:
        return []
    radio = replace(radio, engine="flow", outages=(), outage_rate=None)
    env = simpy.Environment()
    models = make_models(
        world,
        radio,
        layout=layout,
        channel=Channel(world, radio, layout, seed=seed),
        make_scheduler=make_scheduler,
        seed=seed,
    )
    engine = make_engine(env, radio, models, seed=seed, on_end=lambda *_: None)

    def admit(transfer: Transfer) -> None:
        engine.admit(transfer, bearer_id=transfer.transfer_id, deadline_at_s=transfer.deadline_at_s)

    BackgroundTraffic(
        env,
        config,
        seed=seed,
        admit=admit,
        cancel=engine.cancel,
        first_file=FIRST_WARM_UP_FILE,
    )
    env.run(until=config.warm_up_s)
    engine.flush()
    return [
        FileInProgress(
            transfer_id=int(record["transfer_id"]),
            client_id=int(record["client_id"]),
            direction=DIRECTIONS[int(record["direction"])],
            left_bytes=max(int(np.ceil(record["remaining_bits"] / 8.0)), 1),
            given_up_after_s=float(record["deadline_at_s"]) - config.warm_up_s,
        )
        for record in engine.active.records
        if record["deadline_at_s"] > config.warm_up_s
    ]
