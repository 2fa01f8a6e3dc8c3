"""Where the averages of proportional fair start."""

import numpy as np
import pytest

from netsim.config.radio import RayleighFading
from tests.netsim.worlds import TWO_SITES, make_network, plain_radio, still_world

PLACES = [(100.0, 0.0), (250.0, 50.0), (500.0, 0.0), (350.0, 50.0)]


def averages_bps(engine, *, interference):
    """Average rates that the schedulers look at, a moment after all uploads have begun."""
    env, network = make_network(
        still_world(PLACES, layout=TWO_SITES),
        plain_radio(
            engine=engine,
            scheduler="proportional_fair",
            fading=RayleighFading(),
            interference=interference,
        ),
    )
    for client in range(len(PLACES)):
        network.send(client, "uplink", 1_000_000)
    env.run(until=1e-6)
    return network._engine.active.records["average_rate_bps"].copy()


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_sites_that_know_of_no_interference_start_averages_without_it(engine):
    found = averages_bps(engine, interference=True)
    np.testing.assert_allclose(found, averages_bps(engine, interference=False), rtol=2e-3)
