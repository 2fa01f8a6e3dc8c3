"""What power leaves unused is divided among the others, and nothing of it is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.config.radio import NoFading
from netsim.config.world import SingleCellLayout
from netsim.mac.schedulers.round_robin import RoundRobin
from netsim.mac.unused_blocks import redistribute_unused_blocks
from tests.netsim.mac.schedulers.cells import ShannonCell
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

BLOCK = 1 / 51


def handed_on(scheduler, most, **cell):
    """Shares in a cell whose clients use no more than so much of the band."""
    most = np.asarray(most, dtype=float)
    client_id = cell.pop("client_id", None)
    ones = np.ones(len(most))
    view = ShannonCell(size_bits=ones, snr_full_linear=ones, **cell).view(client_id=client_id)
    return redistribute_unused_blocks(
        scheduler.shares,
        view,
        scheduler.shares(view),
        use=lambda held: np.minimum(held, most),
        block=BLOCK,
    )


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12))
def test_round_robin_fills_up_evenly(most):
    shares = handed_on(RoundRobin(), most)
    np.testing.assert_array_equal(shares, np.repeat(shares[:, :1], shares.shape[1], axis=1))
    share, most = shares[:, 0], np.array(most)
    assert np.all(share <= most * (1 + 1e-12))
    assert share.sum() <= 1 + 1e-12
    is_full = share >= most * (1 - 1e-9)
    # All is given out up to a block, unless everybody has enough.
    assert is_full.all() or share.sum() > 1 - BLOCK
    # Water: who is not full stands at one level, and nobody above it.
    np.testing.assert_allclose(share[~is_full], share.max(), rtol=1e-9)


def test_one_transmitter_sends_all_of_a_client():
    shares = handed_on(RoundRobin(), [0.2, 0.2, 1.0, 1.0], client_id=np.array([7, 7, 8, 9]))
    np.testing.assert_allclose(shares[:, 0], [0.1, 0.1, 0.4, 0.4])


def test_nothing_changes_where_all_is_used():
    shares = handed_on(RoundRobin(), [0.5, 0.4, 0.25, 0.25])
    np.testing.assert_array_equal(shares, 0.25)


def mean_time_s(engine, scheduler, seed):
    rng = np.random.default_rng(seed)
    places = [(float(rng.uniform(300, 700)), 0.0) for _ in range(6)]
    world = still_world(places, line_of_sight="never", layout=SingleCellLayout(radius_m=2e3))
    radio = plain_radio(engine=engine, scheduler=scheduler, fading=NoFading())
    env, network = make_network(world, radio, seed=seed)
    rows = run_all(env, [network.send(k, "uplink", 30_000) for k in range(6)])
    assert {row.status for row in rows} == {"delivered"}
    return np.mean([row.finished_at_s for row in rows])


def test_engines_agree_where_power_limits_everybody():
    times_s = [[mean_time_s(e, "round_robin", seed) for e in ("flow", "slot")] for seed in (1, 2)]
    flow_s, slot_s = np.mean(times_s, axis=0)
    assert slot_s == pytest.approx(flow_s, rel=0.03)
