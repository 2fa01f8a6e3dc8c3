"""Traffic that is not part of the run takes resource blocks, in both engines and directions."""

import pytest

from netsim.config.radio import BackgroundShare
from netsim.phy.resource_grid import blocks_left
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world, two_sites

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")

SIZE_BYTES = 400_000
NUM_BLOCKS = 51
"""Of the carrier of ``plain_radio``."""


def duration_s(engine, direction, fraction):
    """How long a near client takes, and the bits that a slot of the highest MCS carries."""
    background = BackgroundShare(**{f"{direction}_fraction": fraction})
    env, network = make_network(
        still_world([(60.0, 0.0)]), plain_radio(engine=engine, background_load=background)
    )
    (row,) = run_all(env, [network.send(0, direction, SIZE_BYTES)])
    left = blocks_left(NUM_BLOCKS, fraction)
    assert row.num_resource_blocks == pytest.approx(left, rel=0.01)
    sizes = getattr(network.air, f"{direction}_lengths").sizes
    return row.finished_at_s - row.started_at_s, sizes.bits[-1, left]


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_times_grow_by_the_blocks_that_are_taken(engine, direction):
    """About twice at 50 % and ten times at 90 %: by the sizes of transport blocks."""
    empty_s, whole_bits = duration_s(engine, direction, 0.0)
    for fraction, about in ((0.5, 2.0), (0.9, 10.0)):
        busy_s, bits = duration_s(engine, direction, fraction)
        # Whole slots: the empty one rounds up, and so does the busy one.
        slack_s = 0.5e-3 * whole_bits / bits if engine == "slot" else 0.0
        assert busy_s == pytest.approx(empty_s * whole_bits / bits, rel=1e-6, abs=slack_s)
        assert busy_s / empty_s == pytest.approx(about, rel=0.05)


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_a_cell_radiates_the_blocks_of_both_kinds_of_traffic(engine):
    background = BackgroundShare(downlink_fraction=0.5)
    env, network = two_sites(engine=engine, background_load=background)
    network.send(0, "downlink", 10**9, timeout_s=1.0)
    joules = []
    for at_s in (1.0, 3.0):
        env.run(until=at_s)
        joules.append(
            {t.owner_id: t.energy_j for t in network.energy.totals(at_s) if t.owner == "site"
             and t.activity == "tx"}
        )  # fmt: skip
    # Site 0 has a client of the run for one second, site 1 none.
    own_w = joules[0][0]
    background_w = joules[0][1]
    assert own_w == pytest.approx(2 * background_w, rel=0.03)
    assert joules[1][0] - joules[0][0] == pytest.approx(2 * background_w, rel=0.03)


def test_transfers_disturb_other_cells_less_where_background_traffic_has_the_blocks():
    interference_w = {}
    for fraction in (0.0, 0.5):
        background = BackgroundShare(uplink_fraction=fraction)
        env, network = two_sites(background_load=background)
        network.send(0, "uplink", 10**9, timeout_s=1.0)
        env.run(until=0.5)
        interference_w[fraction] = network._engine.uplink_interference_w[1].mean()
    # The client is not at its limit of power, so a block carries as much power with fewer blocks.
    assert interference_w[0.5] / interference_w[0.0] == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("fraction", "left"), [(0.0, 51), (0.5, 26), (0.9, 5), (0.99, 1), (1.0, 0)]
)
def test_blocks_left(fraction, left):
    assert blocks_left(51, fraction) == left
