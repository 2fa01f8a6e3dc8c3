"""The server with a deadline: rounds that aggregate what is there when time is up."""

from collections.abc import Generator
from functools import partial
from typing import Any

import numpy as np
import simpy

from fl.server.aggregation import aggregate, record_round
from fl.server.config import DeadlineServer, of_mode, over_selected
from fl.server.federation import Federation
from fl.server.forecast import JobForecast
from fl.server.merging import discounted
from fl.server.monitor import Monitor
from fl.server.participation import Participation
from fl.server.selection import select_clients
from fl.server.starting import FirstReceived, end_unfinished, start_participations


def run_rounds(federation: Federation) -> Generator[simpy.Event, Any, None]:
    """Run all rounds as a SimPy process; ends with the last round or at the targets."""
    under_way: list[Participation] = []
    for round_id in Monitor(federation).rounds():
        yield from _run_round(federation, round_id, under_way)
    yield from end_unfinished(federation, under_way)


def _run_round(
    federation: Federation, round_id: int, under_way: list[Participation]
) -> Generator[simpy.Event, Any, None]:
    """Run one round: select, start all at once, wait until the deadline, aggregate, record.

    ``under_way`` holds who is at work since an earlier round; it is changed in place.
    """
    server = of_mode(federation.server, DeadlineServer)
    yield from federation.presence.wait_for_somebody()
    env, started_at_s, version = federation.env, federation.now_s, federation.state.version
    is_carried = server.late == "carried"
    count, num_started = over_selected(server)
    client_ids = yield from select_clients(
        federation, round_id, num_wanted=num_started, timeout_s=server.deadline_s
    )
    # Policies that ask clients have used up some of the time.
    left_s = server.deadline_s - (federation.now_s - started_at_s)
    begun = start_participations(
        federation,
        client_ids if left_s > 0 else [],
        round_id=round_id,
        timeout_s=None if is_carried else left_s,
    )
    under_way += begun
    first = FirstReceived(federation, begun, count=count)
    deadline = env.timeout(max(0.0, left_s))
    # With nobody to begin, it waits for those who are still at work.
    waited_for = [each.done for each in begun or under_way]
    yield (env.all_of(waited_for) if waited_for else deadline) | deadline | first.reached
    yield from first.end_others()
    if not is_carried:
        for each in begun:
            each.stop("late")
        yield env.all_of([each.done for each in begun])
    ended = [each for each in under_way if each.done.triggered]
    under_way[:] = [each for each in under_way if not each.done.triggered]
    aggregate(
        federation,
        ended,
        round_id=round_id,
        rule=partial(discounted, discount=server.discount) if is_carried else None,
    )
    record_round(federation, ended, round_id=round_id, started_at_s=started_at_s, version=version)


def check_start(federation: Federation) -> None:
    """Refuse a deadline within which no client can download and upload, alone in its cell.

    Rates are those of the start; where no client is in coverage then, nothing is refused.

    Raises
    ------
    ValueError
        Naming the deadline and what the fastest client needs.
    """
    server = of_mode(federation.server, DeadlineServer)
    if server.late == "carried":
        return
    ids, forecast = np.arange(len(federation.shards)), JobForecast(federation)
    links = federation.network.link_table(ids)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed_s = [
            np.where(size_bytes > 0, 8 * size_bytes / rate_bps, 0.0)
            for size_bytes, rate_bps in (
                (forecast.download_bytes(ids), links.downlink_rate_bps),
                (forecast.upload_bytes(ids), links.uplink_rate_bps),
            )
        ]
    least_s = float(np.sum(needed_s, axis=0).min())
    if server.deadline_s < least_s < np.inf:
        msg = (
            f"server.deadline_s: must be > {least_s:.3g}, the seconds in which the fastest client "
            f"downloads and uploads, alone in its cell at the start; got {server.deadline_s:g}"
        )
        raise ValueError(msg)
