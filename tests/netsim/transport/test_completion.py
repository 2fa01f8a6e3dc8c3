"""Transfers that end otherwise than by their last byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.radio import (
    BackhaulLink,
    GraphBackhaul,
    LinkCut,
    StarBackhaul,
)
from tests.netsim.worlds import (
    NEAR_0,
    dead,
    make_network,
    plain_radio,
    run_all,
    still_world,
)


def with_wires(latency_s, *, engine="flow", **changes):
    """One client near one site."""
    radio = plain_radio(backhaul=StarBackhaul(latency_s=latency_s), engine=engine, **changes)
    return make_network(still_world([NEAR_0]), radio)


ENGINES = pytest.mark.parametrize("engine", ["flow", "slot"])


class TestEndsOfUploads:
    @ENGINES
    @pytest.mark.parametrize("direction", ["uplink", "downlink"])
    @pytest.mark.parametrize("reason", ["cancelled", "timeout", "not needed"])
    def test_a_cancelled_transfer_ends_at_once(self, engine, direction, reason):
        env, network = with_wires(0.05, engine=engine)
        transfer = network.send(0, direction, 10**8)
        env.run(until=0.25)
        transfer.cancel(reason)
        assert transfer.event.triggered
        row = transfer.event.value
        assert (row.status, row.finished_at_s) == (reason, 0.25)
        assert 0 < row.delivered_bytes < row.size_bytes

    @ENGINES
    def test_a_timeout_comes_at_the_deadline_with_what_has_arrived(self, engine):
        env, network = with_wires(0.05, engine=engine)
        rate_bps = network.link_table([0]).uplink_rate_bps[0]
        (row,) = run_all(env, [network.send(0, "uplink", 10**8, timeout_s=0.3)])
        assert (row.status, row.finished_at_s) == ("timeout", 0.3)
        assert env.now == pytest.approx(0.3, abs=1e-12)
        assert row.delivered_bytes == pytest.approx(0.25 * rate_bps / 8, rel=0.03)

    def test_a_deadline_shorter_than_the_wires(self):
        env, network = with_wires(0.05)
        (row,) = run_all(env, [network.send(0, "uplink", 1, timeout_s=0.02)])
        assert (row.status, row.finished_at_s, row.delivered_bytes) == ("timeout", 0.02, 0)

    @pytest.mark.parametrize("margin_s", [-1e-6, 1e-6])
    def test_the_last_byte_counts_if_it_arrives_by_the_deadline(self, margin_s):
        env, network = with_wires(0.05)
        rate_bps = network.link_table([0]).uplink_rate_bps[0]
        need_s = 8e6 / rate_bps + 0.05
        (row,) = run_all(env, [network.send(0, "uplink", 10**6, timeout_s=need_s + margin_s)])
        if margin_s > 0:
            assert row.status == "delivered"
            assert row.finished_at_s == pytest.approx(need_s, rel=1e-12)
        else:
            assert row.status == "timeout"
            assert row.finished_at_s == need_s + margin_s
            assert row.delivered_bytes == int((8e6 + margin_s * rate_bps) / 8)

    def test_wires_that_become_longer_make_the_last_bytes_late(self):
        """No route is shorter than another at the start, so only the end can know."""
        links = (
            BackhaulLink(ends=("site-0", "server"), latency_s=0.001),
            BackhaulLink(ends=("site-0", "hub"), latency_s=0.1),
            BackhaulLink(ends=("hub", "server"), latency_s=0.1),
        )
        cut = LinkCut(ends=("site-0", "server"), started_at_s=0.1, finished_at_s=9.0)
        radio = plain_radio(backhaul=GraphBackhaul(links=links, cuts=(cut,)))
        env, network = make_network(still_world([NEAR_0]), radio)
        rate_bps = network.link_table([0]).uplink_rate_bps[0]
        size_bytes = int(0.3 * rate_bps / 8)
        (row,) = run_all(env, [network.send(0, "uplink", size_bytes, timeout_s=0.4)])
        assert (row.status, row.finished_at_s) == ("timeout", 0.4)
        assert env.now == pytest.approx(0.4, abs=1e-12)
        assert row.delivered_bytes == pytest.approx(0.2 * rate_bps / 8, abs=2)

    @settings(max_examples=30, deadline=None)
    @given(
        latency_s=st.floats(0.0, 0.2),
        timeout_s=st.floats(0.01, 0.6),
        size_bytes=st.integers(1, 4_000_000),
        is_dead=st.booleans(),
        engine=st.sampled_from(["flow", "flow", "slot"]),
    )
    def test_no_upload_ends_after_its_deadline(
        self, latency_s, timeout_s, size_bytes, is_dead, engine
    ):
        outages = (dead(0, 0.0, 0.1),) if is_dead else ()
        env, network = with_wires(latency_s, engine=engine, outages=outages)
        (row,) = run_all(env, [network.send(0, "uplink", size_bytes, timeout_s=timeout_s)])
        # The slot engine sees a deadline at the end of its slot.
        grain_s = 0.0 if engine == "flow" else 0.5e-3
        assert row.finished_at_s <= timeout_s + grain_s
        assert env.now == pytest.approx(row.finished_at_s, abs=1e-12)
        assert (row.status == "delivered") == (row.delivered_bytes == size_bytes)
        if row.status == "delivered":
            assert row.finished_at_s <= timeout_s
        else:
            assert row.finished_at_s >= timeout_s


class TestCancelling:
    @pytest.mark.parametrize("has_ended", [False, True])
    def test_nobody_claims_to_have_delivered(self, has_ended):
        env, network = with_wires(0.0)
        transfer = network.send(0, "uplink", 10**6)
        env.run(until=transfer.event if has_ended else 0.1)
        with pytest.raises(ValueError, match="reason: must not be delivered"):
            transfer.cancel("delivered")
        (row,) = run_all(env, [transfer]) if not has_ended else [transfer.event.value]
        assert (row.status, row.delivered_bytes) == ("delivered", 10**6)

    @ENGINES
    @pytest.mark.parametrize("latency_s", [0.0, 0.03])
    def test_what_is_complete_is_delivered_before_it_can_be_cancelled(self, engine, latency_s):
        env, network = with_wires(latency_s, engine=engine)
        (first,) = run_all(env, [network.send(0, "uplink", 10**6)])
        ends_s = first.finished_at_s - latency_s
        env, network = with_wires(latency_s, engine=engine)

        def impatient():
            # Asked for before the network's own timer, so it acts before it.
            yield env.timeout(ends_s)
            transfer.cancel()

        env.process(impatient())
        transfer = network.send(0, "uplink", 10**6)
        (row,) = run_all(env, [transfer])
        assert row.status == "delivered"
        assert row.delivered_bytes == 10**6
        assert row.finished_at_s == pytest.approx(first.finished_at_s, rel=1e-12)

    def test_cancelling_one_ends_others_that_are_complete(self):
        env, network = make_network(still_world([NEAR_0, (0.0, 100.0)]), plain_radio())
        (alone, _) = run_all(env, [network.send(k, "uplink", 10**6) for k in range(2)])
        env, network = make_network(still_world([NEAR_0, (0.0, 100.0)]), plain_radio())

        def impatient():
            yield env.timeout(alone.finished_at_s)
            transfers[1].cancel()

        env.process(impatient())
        transfers = [network.send(k, "uplink", 10**6) for k in range(2)]
        rows = run_all(env, transfers)
        assert [row.status for row in rows] == ["delivered", "delivered"]
        assert [row.finished_at_s for row in rows] == [alone.finished_at_s] * 2
