"""Records of transfers on the air: what a stretch of time at constant rates does to each field."""

import numpy as np
import pytest
import simpy

from netsim.transport.active_transfers import DOWNLINK, UPLINK, ActiveTransfers, Service
from netsim.transport.transfers import Transfer


def make_active(*of, is_full_duplex=False, now_s=2.0):
    """Transfers 10, 11, ... of 1000, 2000, ... bytes, given as (client, direction)."""
    active, env = ActiveTransfers(is_full_duplex=is_full_duplex), simpy.Environment(1.5)
    transfers = []
    for k, (client_id, direction) in enumerate(of):
        transfer = Transfer(
            env,
            transfer_id=10 + k,
            client_id=client_id,
            direction=direction,
            size_bytes=1000 * (k + 1),
            deadline_at_s=9.0,
            broadcast_id=None,
            participation_id=None,
            cancel=lambda *_: None,
        )
        transfers.append(transfer)
        active.admit(
            transfer,
            slot=client_id,
            now_s=now_s,
            bearer_id=70 + k,
            deadline_at_s=8.0,
            handovers=5,
            has_company=client_id in [client for client, _ in of[:k]],
        )
    return active, transfers


def service(rows, **columns):
    """Grants of 4 blocks and 1 Mb/s, half of the time on the air at 2 W."""
    given = {
        "rate_bps": 1e6,
        "blocks": 4.0,
        "sinr_db": 10.0,
        "airtime_fraction": 0.5,
        "airtime_w": 2.0,
        "retransmitted_fraction": 0.25,
    } | columns
    return Service(
        rows=np.array(rows),
        **{name: np.broadcast_to(value, len(rows)).astype(float) for name, value in given.items()},
    )


def test_a_new_record_has_all_to_send_and_nothing_granted():
    active, (upload, download) = make_active((3, "uplink"), (4, "downlink"))
    record = active.records
    assert len(active) == 2
    assert record["transfer_id"].tolist() == [10, 11]
    assert record["client_id"].tolist() == record["slot"].tolist() == [3, 4]
    assert record["direction"].tolist() == [UPLINK, DOWNLINK]
    assert record["bearer_id"].tolist() == [70, 71]
    assert record["remaining_bits"].tolist() == [8000.0, 16000.0]
    assert record["requested_at_s"].tolist() == [1.5, 1.5]
    assert record["ready_at_s"].tolist() == record["booked_until_s"].tolist() == [2.0, 2.0]
    assert record["deadline_at_s"].tolist() == [8.0, 8.0]
    assert record["handovers_before"].tolist() == [5, 5]
    assert np.isnan(record["started_at_s"]).all()
    assert np.isnan(record["average_rate_bps"]).all()
    assert np.isinf(record["finish_at_s"]).all()
    assert np.isinf(record["backhaul_limit_bps"]).all()
    assert not record["has_route"].any()
    assert (active.index(upload), active.index(download)) == (0, 1)


def test_service_sets_when_it_starts_and_would_end_of_the_rows_served():
    active, _ = make_active((3, "uplink"), (4, "uplink"), (5, "uplink"))
    active.serve(service([0, 2], rate_bps=[4000.0, 0.0], blocks=[2.0, 0.0]), now_s=3.0, slot_s=5e-4)
    record = active.records
    assert record["finish_at_s"].tolist() == [5.0, np.inf, np.inf]
    assert record["started_at_s"][0] == 3.0
    assert np.isnan(record["started_at_s"][1:]).all()  # a grant of no blocks is no start
    assert record["rate_bps"].tolist() == [4000.0, 0.0, 0.0]
    assert record["airtime_w"].tolist() == [2.0, 0.0, 2.0]
    assert record["retransmission_rate_hz"].tolist() == [500.0, 0.0, 500.0]
    active.serve(service([0, 2]), now_s=3.5, slot_s=5e-4)
    assert record["started_at_s"].tolist()[::2] == [3.0, 3.5]  # the first start stays


def test_a_stretch_of_time_in_closed_form():
    active, _ = make_active((3, "uplink"), (4, "downlink"))
    active.records["average_rate_bps"] = 3e3
    active.serve(
        service([0, 1], rate_bps=[1e3, 0.0], blocks=[4.0, 0.0], sinr_db=[10.0, 7.0]),
        now_s=2.0,
        slot_s=5e-4,
    )
    active.records["filling_bps"] = [-50.0, 40.0]
    active.records["allowance_bits"] = [100.0, 5.0]
    for _ in range(2):
        active.advance(1.0, average_s=0.5)
    record = active.records
    assert record["remaining_bits"].tolist() == [6000.0, 16000.0]
    assert record["allowance_bits"].tolist() == [0.0, 85.0]
    kept = np.exp(-4.0)
    assert record["average_rate_bps"] == pytest.approx([1e3 + 2e3 * kept, 3e3 * kept])
    assert record["granted_s"].tolist() == [2.0, 0.0]  # without blocks there is no grant
    assert record["block_s"].tolist() == [8.0, 0.0]
    assert record["sinr_db_s"].tolist() == [20.0, 0.0]
    assert record["retransmissions"].tolist() == [1000.0, 1000.0]
    assert record["airtime_s"].tolist() == [1.0, 1.0]
    assert record["airtime_j"].tolist() == [2.0, 2.0]
    active.advance(100.0, average_s=0.5)
    assert record["remaining_bits"][0] == 0.0
    assert record["allowance_bits"][0] == 0.0


def test_no_time_changes_nothing_to_the_bit_and_nobody_needs_none():
    active, _ = make_active((3, "uplink"))
    active.records["average_rate_bps"], active.records["rate_bps"] = 0.1, 0.7
    assert 0.7 + (0.1 - 0.7) != 0.1  # as the average would be worked out
    active.advance(0.0, average_s=0.5)
    assert active.records["average_rate_bps"][0] == 0.1
    empty, _ = make_active()
    empty.advance(1.0, average_s=0.5)
    assert len(empty) == 0


@pytest.mark.parametrize("is_full_duplex", [False, True])
def test_a_radio_that_sends_and_receives_at_once_is_in_one_state(is_full_duplex):
    """The download at 1 W gives way to the upload at 2 W; another client does not count."""
    active, transfers = make_active(
        (3, "uplink"), (4, "downlink"), (3, "downlink"), is_full_duplex=is_full_duplex
    )
    active.serve(
        service([0, 1, 2], airtime_fraction=[0.5, 0.8, 0.8], airtime_w=[2.0, 1.0, 1.0]),
        now_s=2.0,
        slot_s=5e-4,
    )
    active.advance(1.0, average_s=0.5)
    both = 0.4 if is_full_duplex else 0.8
    assert active.records["airtime_s"] == pytest.approx([0.5, 0.8, both])
    assert active.records["airtime_j"] == pytest.approx([1.0, 0.8, both])
    # The upload has gone: the download has the radio to itself.
    active.remove(np.array([True, False, False]))
    active.advance(1.0, average_s=0.5)
    assert active.records["airtime_s"] == pytest.approx([1.6, both + 0.8])
    assert active.index(transfers[0]) is None


def test_company_is_whoever_shares_a_client():
    of = [(3, "uplink"), (4, "downlink"), (3, "downlink"), (5, "uplink"), (4, "uplink")]
    active, _ = make_active(*of)
    chosen = np.array([False, False, True, True, False])
    assert active.with_company(chosen).tolist() == [0, 2, 3]
    active.remove(np.array([True, True, False, False, False]))
    assert active.with_company(np.array([True, False, False])).tolist() == [0]
    alone, _ = make_active((3, "uplink"), (4, "uplink"))
    assert alone.with_company(np.array([False, True])).tolist() == [1]


def test_company_lasts_while_any_client_has_two():
    active, _ = make_active((3, "uplink"), (4, "uplink"), (3, "downlink"), (4, "downlink"))
    active.remove(np.array([True, False, False, False]))
    assert active.with_company(np.array([True, False, False])).tolist() == [0, 2]


def test_who_is_removed_leaves_with_its_last_record():
    active, transfers = make_active((3, "uplink"), (4, "uplink"), (5, "uplink"), (6, "uplink"))
    active.records["booked_j"] = [1.0, 2.0, 3.0, 4.0]
    gone = active.remove(np.array([True, False, True, False]))
    assert [transfer.transfer_id for transfer, _ in gone] == [10, 12]
    assert [float(record["booked_j"]) for _, record in gone] == [1.0, 3.0]
    assert [transfer.transfer_id for transfer in active.transfers] == [11, 13]
    assert active.records["transfer_id"].tolist() == [11, 13]
    assert [active.index(transfer) for transfer in transfers] == [None, 0, None, 1]


def test_without_service_nothing_flows_and_nothing_ends():
    active, _ = make_active((3, "uplink"))
    active.serve(service([0]), now_s=2.0, slot_s=5e-4)
    active.records["filling_bps"] = 4.0
    active.clear_service()
    record = active.records[0]
    for name in ("rate_bps", "filling_bps", "blocks", "airtime_fraction", "airtime_w"):
        assert record[name] == 0.0
    assert record["retransmission_rate_hz"] == 0.0
    assert record["finish_at_s"] == np.inf
    assert record["started_at_s"] == 2.0
