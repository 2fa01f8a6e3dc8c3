"""The synchronous server: rounds that wait for every selected client, or for the first ones."""

from collections.abc import Generator
from typing import Any

import simpy

from fl.server.aggregation import aggregate, record_round
from fl.server.config import RoundOptions, of_mode, over_selected
from fl.server.federation import Federation
from fl.server.monitor import Monitor
from fl.server.secure_rounds import unmask
from fl.server.selection import select_clients
from fl.server.starting import FirstReceived, start_participations


def run_rounds(federation: Federation) -> Generator[simpy.Event, Any, None]:
    """Run all rounds as a SimPy process; ends with the last round or at the targets.

    Rounds count from 1; evaluation 0 is of the untrained models, and where these reach the targets
    already, no round is run. Aggregation and evaluation take no simulated time.
    """
    for round_id in Monitor(federation).rounds():
        yield from run_round(federation, round_id)


def run_round(federation: Federation, round_id: int) -> Generator[simpy.Event, Any, None]:
    """Run one round: select, start all at once, wait, aggregate, record."""
    yield from federation.presence.wait_for_somebody()
    env, started_at_s, version = federation.env, federation.now_s, federation.state.version
    count, num_started = over_selected(of_mode(federation.server, RoundOptions))
    client_ids = yield from select_clients(federation, round_id, num_wanted=num_started)
    participations = start_participations(federation, client_ids, round_id=round_id)
    done = [each.done for each in participations]
    if count is not None:
        first = FirstReceived(federation, participations, count=count)
        yield env.all_of(done) | first.reached
        yield from first.end_others()
    yield env.all_of(done)
    yield from unmask(federation, participations)
    aggregate(federation, participations, round_id=round_id)
    record_round(
        federation, participations, round_id=round_id, started_at_s=started_at_s, version=version
    )
