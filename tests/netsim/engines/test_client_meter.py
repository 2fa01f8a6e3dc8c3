"""One radio a client: what it draws with several transfers at once, in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.radio import RayleighFading, SiteOutage, TddDuplex
from netsim.energy.ledger import CLIENT_ACTIVITIES
from netsim.energy.tr38840_power import Tr38840Power
from netsim.energy.ue_power import one_state_at_a_time
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")

UE = Tr38840Power(bandwidth_hz=20e6)
NEAR = (100.0, 0.0)


def radio_entries(network, client_id=0):
    """What was booked for a client's radio, in the order of time."""
    entries = network.energy.ledger.client_entries()
    entries = entries.of(
        (entries.owner_id == client_id) & (entries.activity < CLIENT_ACTIVITIES.index("compute"))
    )
    return entries.of(np.argsort(entries.started_at_s, kind="stable"))


def assert_one_state_at_a_time(network, client_id=0):
    entries = radio_entries(network, client_id)
    assert (entries.started_at_s[1:] >= entries.finished_at_s[:-1]).all()


def seconds_of(network):
    entries = radio_entries(network)
    return {
        name: float(entries.seconds[entries.activity == code].sum())
        for code, name in enumerate(CLIENT_ACTIVITIES[:3])
    }


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_two_downloads_cost_the_union_of_their_times(engine):
    """TDD: three quarters of the union are received, the rest is listened to, once."""
    radio = plain_radio(engine=engine, duplex=TddDuplex(uplink_fraction=0.25))
    env, network = make_network(still_world([NEAR]), radio)
    first = network.send(0, "downlink", 1_500_000)
    env.run(until=0.1)
    second = network.send(0, "downlink", 600_000)
    rows = run_all(env, [first, second])
    assert rows[1].finished_at_s > rows[1].requested_at_s
    end_s = max(row.finished_at_s for row in rows)
    overlap_s = min(row.finished_at_s for row in rows) - 0.1
    assert overlap_s > 0.05
    tolerance = 1e-9 if engine == "flow" else 5e-3
    seconds = seconds_of(network)
    assert seconds["rx"] == pytest.approx(0.75 * end_s, rel=tolerance)
    assert seconds["idle"] == pytest.approx(0.25 * end_s, rel=3 * tolerance)
    expected_j = end_s * (0.75 * UE.receive_w(0.0) + 0.25 * UE.listen_w)
    entries = radio_entries(network)
    assert entries.energy_j.sum() == pytest.approx(expected_j, rel=tolerance)
    assert sum(row.energy_j for row in rows) == pytest.approx(entries.energy_j.sum(), rel=1e-12)
    assert_one_state_at_a_time(network)


def test_two_waiting_transfers_listen_once():
    """Their only site is down for the last of two seconds: one second of listening, not two."""
    outage = SiteOutage(site_id=0, started_at_s=1.0, finished_at_s=9.0)
    env, network = make_network(still_world([NEAR]), plain_radio(outages=(outage,)))
    rows = run_all(env, [network.send(0, "downlink", 10**9, timeout_s=2.0) for _ in range(2)])
    assert seconds_of(network) == pytest.approx({"tx": 0.0, "rx": 1.0, "idle": 1.0})
    each_j = (UE.receive_w(0.0) + UE.listen_w) / 2
    assert [row.energy_j for row in rows] == pytest.approx([each_j] * 2)


def test_up_and_down_at_once_is_the_state_that_draws_more():
    """FDD: sending hides receiving while both last; what lasts longer is paid in full after it."""
    env, network = make_network(still_world([NEAR]), plain_radio())
    (alone,) = run_all(env, [network.send(0, "uplink", 1_000_000)])
    env, network = make_network(still_world([NEAR]), plain_radio())
    rows = run_all(
        env, [network.send(0, "uplink", 1_000_000), network.send(0, "downlink", 20_000_000)]
    )
    up, down = rows
    assert up.finished_at_s == pytest.approx(alone.finished_at_s, rel=1e-12)
    assert down.finished_at_s > up.finished_at_s
    assert up.energy_j == pytest.approx(alone.energy_j, rel=1e-12)
    after_s = down.finished_at_s - up.finished_at_s
    assert down.energy_j == pytest.approx(after_s * UE.receive_w(0.0), rel=1e-9)
    assert_one_state_at_a_time(network)


def test_the_stronger_state_wins_in_either_direction():
    """A weak sender with a wide receiver open is billed as a receiver."""
    fraction = one_state_at_a_time(
        np.array([3, 3, 5]),
        np.array([1.0, 0.25, 0.5]),
        np.array([0.75, 0.9, 0.9]),
        is_uplink=np.array([True, False, False]),
    )
    np.testing.assert_allclose(fraction, [0.75, 0.25, 0.5])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    engine=st.sampled_from(["flow", "flow", "flow", "slot"]),
    is_tdd=st.booleans(),
    fades=st.booleans(),
)
def test_radio_intervals_never_overlap_and_rows_bear_them_all(seed, engine, is_tdd, fades):
    rng = np.random.default_rng(seed)
    changes = {"duplex": TddDuplex(uplink_fraction=0.4)} if is_tdd else {}
    if fades:
        changes["fading"] = RayleighFading()
    scheduler = str(rng.choice(["round_robin", "proportional_fair", "max_ci"]))
    radio = plain_radio(engine=engine, scheduler=scheduler, **changes)
    env, network = make_network(still_world([NEAR, (0.0, 150.0)]), radio, seed=seed % 1000)
    transfers = []
    for _ in range(7):
        direction = "uplink" if rng.random() < 0.5 else "downlink"
        size_bytes, client_id = int(rng.integers(1, 400_000)), int(rng.integers(2))
        transfers.append(network.send(client_id, direction, size_bytes, timeout_s=0.4))
        env.run(until=env.now + float(rng.exponential(0.02)))
        if rng.random() < 0.2:
            transfers[int(rng.integers(len(transfers)))].cancel()
    rows = [transfer.event.value for transfer in transfers if transfer.event.triggered]
    left = [transfer for transfer in transfers if not transfer.event.triggered]
    if left:
        rows += run_all(env, left)
    for client_id in range(2):
        assert_one_state_at_a_time(network, client_id)
        mine = [row for row in rows if row.client_id == client_id]
        booked_j = radio_entries(network, client_id).energy_j.sum()
        assert booked_j == pytest.approx(sum(row.energy_j for row in mine), rel=1e-9)
        # While a transfer runs its client's radio is in some state: nothing is missing either.
        busy_s, reached_s = 0.0, 0.0
        for row in sorted(mine, key=lambda row: row.requested_at_s):
            start_s = max(row.requested_at_s, reached_s)
            reached_s = max(reached_s, row.finished_at_s)
            busy_s += max(row.finished_at_s - start_s, 0.0)
        assert radio_entries(network, client_id).seconds.sum() == pytest.approx(busy_s, abs=1e-9)
