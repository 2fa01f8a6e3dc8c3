"""Transfers that end otherwise than by their last byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.radio import (
    BackhaulLink,
    GraphBackhaul,
    LinkCut,
    StarBackhaul,
)
from netsim.rrc.handover import CLOCK_SLACK_S
from netsim.transport.active_transfers import DOWNLINK, FIELDS, UPLINK
from netsim.transport.completion import End, end_of, make_row
from tests.netsim.worlds import (
    NEAR_0,
    dead,
    make_network,
    plain_radio,
    run_all,
    still_world,
)

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")


def with_backhaul(latency_s, *, engine="flow", **changes):
    """One client near one site."""
    radio = plain_radio(backhaul=StarBackhaul(latency_s=latency_s), engine=engine, **changes)
    return make_network(still_world([NEAR_0]), radio)


ENGINES = pytest.mark.parametrize("engine", ["flow", "slot"])


def record_of(**fields):
    """A record of 100 bytes that started at 2 s, all zero but for what is said."""
    record = np.zeros((), dtype=FIELDS)
    for name, value in (
        {"size_bytes": 100, "started_at_s": 2.0, "has_route": True} | fields
    ).items():
        record[name] = value
    return record[()]


class TestEnd:
    """What leaves the air at 5 s, half a second from the server."""

    @staticmethod
    def end(status, *, deadline_at_s, core_latency_s=0.0, **fields):
        return end_of(
            record_of(**fields),
            status,
            deadline_at_s=deadline_at_s,
            latency_s=0.5,
            core_latency_s=core_latency_s,
            now_s=5.0,
        )

    @pytest.mark.parametrize(
        ("deadline_at_s", "finished_s", "core_s", "late_s"),
        [(9.0, 5.75, 0.25, 0.0), (5.5, 5.5, 0.25, 0.25), (5.125, 5.125, 0.125, 0.625)],
    )
    def test_behind_the_backhaul_an_upload_goes_on_to_the_server(
        self, deadline_at_s, finished_s, core_s, late_s
    ):
        end = self.end(
            "delivered", deadline_at_s=deadline_at_s, core_latency_s=0.25, direction=UPLINK
        )
        assert (end.finished_at_s, end.left_at_s) == (finished_s, 5.0)
        assert (end.core_s, end.late_s) == (core_s, late_s)

    def test_the_last_bit_of_an_upload_crosses_the_backhaul(self):
        end = self.end("delivered", deadline_at_s=9.0, direction=UPLINK)
        assert (end.status, end.finished_at_s, end.late_s) == ("delivered", 5.5, 0.0)

    @pytest.mark.parametrize(
        "fields", [{"direction": DOWNLINK}, {"direction": UPLINK, "has_route": False}]
    )
    def test_a_download_or_an_upload_that_paid_no_latency_has_arrived(self, fields):
        end = self.end("delivered", deadline_at_s=9.0, **fields)
        assert (end.status, end.finished_at_s) == ("delivered", 5.0)

    def test_arriving_at_the_deadline_is_in_time(self):
        end = self.end("delivered", deadline_at_s=5.5, direction=UPLINK)
        assert (end.status, end.finished_at_s) == ("delivered", 5.5)

    def test_what_rounding_makes_late_is_in_time_and_ends_at_the_deadline(self):
        deadline_at_s = 5.5 - CLOCK_SLACK_S / 2
        end = self.end("delivered", deadline_at_s=deadline_at_s, direction=UPLINK)
        assert (end.status, end.finished_at_s) == ("delivered", deadline_at_s)

    def test_arriving_after_the_deadline_is_late_by_the_difference(self):
        end = self.end("delivered", deadline_at_s=5.25, direction=UPLINK)
        assert (end.status, end.finished_at_s, end.late_s) == ("timeout", 5.25, 0.25)

    def test_nothing_ends_before_now(self):
        late = self.end("delivered", deadline_at_s=4.0, direction=UPLINK)
        assert (late.status, late.finished_at_s, late.late_s) == ("timeout", 5.0, 1.5)
        assert self.end("timeout", deadline_at_s=4.0, direction=UPLINK).finished_at_s == 5.0

    def test_an_upload_without_hope_ends_at_its_deadline(self):
        assert self.end("timeout", deadline_at_s=5.3, direction=UPLINK).finished_at_s == 5.3

    @pytest.mark.parametrize(
        "fields", [{"direction": DOWNLINK}, {"direction": UPLINK, "is_cancelled": True}]
    )
    def test_a_download_and_what_is_cancelled_ends_now(self, fields):
        end = self.end("timeout", deadline_at_s=5.3, **fields)
        assert (end.status, end.finished_at_s, end.late_s) == ("timeout", 5.0, 0.0)


class TestRow:
    @staticmethod
    def row(
        status="timeout",
        *,
        finished_at_s=6.0,
        left_at_s=None,
        core_s=0.0,
        late_s=0.0,
        cell_id=3,
        **fields,
    ):
        end = End(
            status=status,
            finished_at_s=finished_at_s,
            left_at_s=finished_at_s if left_at_s is None else left_at_s,
            core_s=core_s,
            late_s=late_s,
        )
        return make_row(record_of(**fields), end, participation_id=4, cell_id=cell_id, handovers=7)

    @pytest.mark.parametrize(
        ("remaining_bits", "late_s", "delivered"),
        [
            (400.0, 0.0, 50),
            (401.0, 0.0, 49),
            (393.0, 0.0, 50),
            (392.0, 0.0, 51),
            (400.0, 0.5, 44),
            (800.0, 0.0, 0),
            (800.0, 0.5, 0),
            (0.0, 0.0, 99),
        ],
    )
    def test_bytes_are_whole_and_those_that_come_late_do_not_count(
        self, remaining_bits, late_s, delivered
    ):
        row = self.row(late_s=late_s, remaining_bits=remaining_bits, rate_bps=96.0)
        assert row.delivered_bytes == delivered

    def test_what_is_delivered_has_all_its_bytes(self):
        assert self.row("delivered", remaining_bits=1e-9).delivered_bytes == 100

    def test_means_over_the_time_with_blocks_and_from_start_to_finish(self):
        row = self.row(granted_s=2.0, sinr_db_s=30.0, block_s=20.0)
        assert (row.mean_sinr_db, row.num_resource_blocks) == (15.0, 5.0)

    def test_access_comes_before_blocks_and_after_the_air_and_the_queue_between(self):
        times = {"requested_at_s": 1.0, "ready_at_s": 1.5}
        row = self.row(left_at_s=5.25, core_s=0.5, block_s=20.0, **times)
        assert (row.access_s, row.queue_s) == (0.5 + 0.75, 0.5)
        assert row.num_resource_blocks == 20.0 / 3.5
        unserved = self.row(left_at_s=5.25, started_at_s=np.nan, **times)
        assert (unserved.access_s, unserved.queue_s) == (0.5 + 0.75, 3.75)
        never_ready = self.row(started_at_s=np.nan, requested_at_s=1.0, ready_at_s=7.0)
        assert (never_ready.access_s, never_ready.queue_s) == (5.0, 0.0)

    def test_without_blocks_there_is_no_mean(self):
        row = self.row(started_at_s=np.nan)
        assert (row.mean_sinr_db, row.num_resource_blocks) == (None, 0.0)
        assert row.started_at_s == row.finished_at_s == 6.0
        assert self.row(finished_at_s=2.0, block_s=1.0).num_resource_blocks == 0.0

    def test_what_the_record_says_stands_in_the_row(self):
        row = self.row(
            transfer_id=9,
            client_id=4,
            direction=DOWNLINK,
            requested_at_s=1.0,
            handovers_before=5,
            retransmissions=2.5,
            booked_j=0.75,
        )
        assert (row.transfer_id, row.participation_id) == (9, 4)
        assert (row.client_id, row.direction, row.size_bytes) == (4, "downlink", 100)
        assert (row.requested_at_s, row.started_at_s, row.finished_at_s) == (1.0, 2.0, 6.0)
        assert (row.handovers, row.retransmissions, row.energy_j) == (2, 2.5, 0.75)
        assert (row.cell_id, row.status) == (3, "timeout")
        assert [self.row(cell_id=cell_id).cell_id for cell_id in (0, -1)] == [0, -1]


class TestEndsOfUploads:
    @ENGINES
    @pytest.mark.parametrize("direction", ["uplink", "downlink"])
    @pytest.mark.parametrize("reason", ["cancelled", "timeout", "not needed"])
    def test_a_cancelled_transfer_ends_at_once(self, engine, direction, reason):
        env, network = with_backhaul(0.05, engine=engine)
        transfer = network.send(0, direction, 10**8)
        env.run(until=0.25)
        transfer.cancel(reason)
        assert transfer.event.triggered
        row = transfer.event.value
        assert (row.status, row.finished_at_s) == (reason, 0.25)
        assert 0 < row.delivered_bytes < row.size_bytes

    @ENGINES
    def test_a_timeout_comes_at_the_deadline_with_what_has_arrived(self, engine):
        env, network = with_backhaul(0.05, engine=engine)
        rate_bps = network.link_table([0]).uplink_rate_bps[0]
        (row,) = run_all(env, [network.send(0, "uplink", 10**8, timeout_s=0.3)])
        assert (row.status, row.finished_at_s) == ("timeout", 0.3)
        assert env.now == pytest.approx(0.3, abs=1e-12)
        assert row.delivered_bytes == pytest.approx(0.25 * rate_bps / 8, rel=0.03)

    def test_a_deadline_shorter_than_the_backhaul(self):
        env, network = with_backhaul(0.05)
        (row,) = run_all(env, [network.send(0, "uplink", 1, timeout_s=0.02)])
        assert (row.status, row.finished_at_s, row.delivered_bytes) == ("timeout", 0.02, 0)

    @pytest.mark.parametrize("margin_s", [-1e-6, 1e-6])
    def test_the_last_byte_counts_if_it_arrives_by_the_deadline(self, margin_s):
        env, network = with_backhaul(0.05)
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

    def test_backhaul_links_that_become_longer_make_the_last_bytes_late(self):
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
        env, network = with_backhaul(latency_s, engine=engine, outages=outages)
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
        env, network = with_backhaul(0.0)
        transfer = network.send(0, "uplink", 10**6)
        env.run(until=transfer.event if has_ended else 0.1)
        with pytest.raises(ValueError, match="reason: must not be delivered"):
            transfer.cancel("delivered")
        (row,) = run_all(env, [transfer]) if not has_ended else [transfer.event.value]
        assert (row.status, row.delivered_bytes) == ("delivered", 10**6)

    @ENGINES
    @pytest.mark.parametrize("latency_s", [0.0, 0.03])
    def test_what_is_complete_is_delivered_before_it_can_be_cancelled(self, engine, latency_s):
        env, network = with_backhaul(latency_s, engine=engine)
        (first,) = run_all(env, [network.send(0, "uplink", 10**6)])
        ends_s = first.finished_at_s - latency_s
        env, network = with_backhaul(latency_s, engine=engine)

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
