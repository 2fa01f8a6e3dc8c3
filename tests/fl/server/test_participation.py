"""One participation on the constant network: its steps, and how it is stopped in each of them."""

from dataclasses import dataclass, replace

import pytest
import simpy
import torch

from fl.clients.throttling import TwoStateThrottling
from fl.methods.fedit.config import FeditConfig
from fl.methods.flora.config import FloraConfig
from fl.methods.local.config import LocalConfig
from fl.server.participation import Participation
from tests.fl.fakes import federation
from tests.fl.watching import watch_training

UP_BPS, DOWN_BPS = 1e6, 4e6
TRANSMIT_W, RECEIVE_W, COMPUTE_W = 0.5, 0.2, 3.0


class Played:
    """A participation of client 1 that runs, with its handles and the instants it should have."""

    def __init__(self, config=None, **options):
        settings = {"num_clients": 2, "devices": ["laptop", "phone_mid"], **options}
        self.federation = federation(config or FeditConfig(rank=8), **settings)
        self.env, self.network = self.federation.env, self.federation.network
        self.handles, self.dropped = [], []
        watch_training(self.federation, self.watch)
        download = self.federation.method.download(self.federation.state, client_id=1)
        self.size_bytes = 0 if download is None else download.size_bytes
        self.download_s = self.size_bytes * 8 / DOWN_BPS
        self.upload_s = self.size_bytes * 8 / UP_BPS

    def watch(self, job, handle):
        self.handles.append(handle)
        drop = handle.drop
        handle.drop = lambda: (self.dropped.append(job.client_id), drop())

    def begin(self, **options):
        self.part = Participation(
            self.federation, participation_id=5, client_id=1, round_id=1, **options
        )
        return self.part

    def run(self, at_s=None):
        self.env.run(until=self.part.done if at_s is None else at_s)

    def stop_at(self, at_s, outcome="enough"):
        self.run(at_s)
        self.part.stop(outcome)
        self.run()
        assert self.env.now == at_s

    @property
    def compute_s(self):
        """Seconds of its computing, from a participation that runs to its end."""
        whole = Played()
        part = whole.begin()
        whole.run()
        return part.compute_s


def booked(played, activity):
    """Seconds and joules of an activity of client 1."""
    mine = [each for each in played.network.charges if each[:2] == (1, activity)]
    seconds = sum(end_s - start_s for _, _, start_s, end_s, _ in mine)
    return seconds, sum((end_s - start_s) * watt for _, _, start_s, end_s, watt in mine)


def test_steps_last_as_long_as_bytes_and_operations_take():
    played = Played()
    part = played.begin()
    assert (part.outcome, part.version, part.is_received) == ("running", 0, False)
    played.run()
    assert part.outcome == "received"
    assert part.download_s == pytest.approx(played.download_s, rel=1e-12)
    assert part.upload_s == pytest.approx(4 * played.download_s, rel=1e-12)
    total_s = part.download_s + part.compute_s + part.upload_s
    assert played.env.now == pytest.approx(total_s, rel=1e-12)
    assert (part.downlink_bytes, part.uplink_bytes) == (played.size_bytes, played.size_bytes)
    radio_j = RECEIVE_W * part.download_s + TRANSMIT_W * part.upload_s
    assert part.radio_j == pytest.approx(radio_j, rel=1e-12)
    assert part.compute_j == pytest.approx(COMPUTE_W * part.compute_s, rel=1e-12)
    assert {each.participation_id for each in played.network.transfers} == {5}
    assert booked(played, "compute") == (
        pytest.approx(part.compute_s, rel=1e-12),
        pytest.approx(part.compute_j, rel=1e-12),
    )


def test_a_client_that_sends_nothing_only_computes():
    played = Played(LocalConfig())
    part = played.begin()
    played.run()
    assert (part.outcome, part.download_s, part.upload_s) == ("received", None, None)
    assert played.env.now == pytest.approx(part.compute_s, rel=1e-12)
    assert part.contribution() is None


def test_stopped_while_downloading():
    played = Played()
    part = played.begin()
    half_s = played.download_s / 2
    played.stop_at(half_s)
    assert part.outcome == "enough:downlink"
    (transfer,) = played.network.transfers
    assert (transfer.status, transfer.finished_at_s) == ("enough", half_s)
    assert part.radio_j == pytest.approx(RECEIVE_W * half_s, rel=1e-12)
    assert (part.download_s, part.compute_s, part.upload_s) == (None, None, None)
    assert (part.compute_j, part.downlink_bytes, played.handles) == (0, 0, [])


def test_stopped_while_computing():
    played = Played()
    half_s = played.compute_s / 2
    part = played.begin()
    played.stop_at(played.download_s + half_s)
    assert part.outcome == "enough:compute"
    assert part.download_s == pytest.approx(played.download_s, rel=1e-12)
    assert (part.compute_s, part.upload_s, part.uplink_bytes) == (None, None, 0)
    assert part.compute_j == pytest.approx(COMPUTE_W * half_s, rel=1e-12)
    assert booked(played, "compute")[0] == pytest.approx(half_s, rel=1e-12)
    assert [each.direction for each in played.network.transfers] == ["downlink"]
    assert played.dropped == [1]
    assert played.federation.executor.num_computed == 0


def test_stopped_while_uploading():
    played = Played()
    compute_s, tenth_s = played.compute_s, played.upload_s / 10
    part = played.begin()
    played.stop_at(played.download_s + compute_s + tenth_s, "left")
    assert part.outcome == "left:uplink"
    assert part.compute_s == pytest.approx(compute_s, rel=1e-12)
    assert part.upload_s is None
    assert [each.status for each in played.network.transfers] == ["delivered", "left"]
    sent_j = TRANSMIT_W * tenth_s
    assert part.radio_j == pytest.approx(RECEIVE_W * part.download_s + sent_j, rel=1e-9)
    assert booked(played, "tx")[1] == pytest.approx(sent_j, rel=1e-9)
    assert played.dropped == [1]
    with pytest.raises(ValueError, match="client 1 is left:uplink"):
        part.contribution()
    row = part.row(staleness=0)
    assert row.train_loss is None
    assert row.wasted_j == part.compute_j + part.radio_j > 0


def test_stopped_before_anything_is_sent():
    played = Played()
    part = played.begin()
    part.stop("enough")
    played.run()
    assert (part.outcome, played.env.now) == ("enough:downlink", 0)
    assert played.network.transfers == played.network.charges == []


def test_stopped_twice_the_first_outcome_holds():
    played = Played()
    part = played.begin()
    played.run(played.download_s / 4)
    part.stop("first")
    part.stop("second")
    played.run()
    part.stop("third")
    assert part.outcome == "first:downlink"
    assert [each.status for each in played.network.transfers] == ["first"]


def test_stopped_after_its_end_it_stays_received():
    played = Played()
    part = played.begin()
    played.run()
    spent_j = part.radio_j + part.compute_j
    part.stop("late")
    played.env.run()
    assert part.outcome == "received"
    assert part.radio_j + part.compute_j == spent_j
    assert played.dropped == []
    assert part.contribution().weight == len(played.federation.shards[1].train)


def test_stopped_with_its_end_of_a_broadcast():
    played = Played()
    ends = played.network.broadcast([0, 1], played.size_bytes)
    part = played.begin(broadcast=ends[1])
    part.stop("enough")
    played.run()
    assert part.outcome == "enough:downlink"
    played.env.run()
    assert {each.client_id: each.status for each in played.network.transfers} == {
        0: "delivered",
        1: "enough",
    }


@dataclass
class Uncancellable:
    """A transfer whose bytes have left the air: what is in the wires arrives."""

    event: simpy.Event

    def cancel(self, reason):
        pass


@pytest.mark.parametrize(("is_there", "outcome"), [(False, "late:uplink"), (True, "received")])
def test_bytes_in_the_wires_are_waited_for_and_count_if_they_are_there(is_there, outcome):
    played = Played()
    send = played.network.send

    def send_beyond_recall(client_id, direction, size_bytes, **options):
        sent = send(client_id, direction, size_bytes, **options)
        if direction == "downlink":
            return sent
        at = sent.event if is_there else played.env.timeout(played.upload_s / 2)
        at.callbacks.append(lambda _: played.part.stop("late"))
        return Uncancellable(sent.event)

    played.network.send = send_beyond_recall
    part = played.begin()
    played.run()
    arrives_at_s = played.download_s + part.compute_s + played.upload_s
    assert played.env.now == pytest.approx(arrives_at_s, rel=1e-12)
    assert part.outcome == outcome
    assert part.uplink_bytes == played.size_bytes
    assert played.dropped == ([] if is_there else [1])


def test_stopped_as_its_download_arrives_it_does_not_compute():
    played = Played()
    send = played.network.send

    def send_and_stop(*args, **options):
        sent = send(*args, **options)
        sent.event.callbacks.append(lambda _: played.part.stop("enough"))
        return sent

    played.network.send = send_and_stop
    part = played.begin()
    played.run()
    assert part.outcome == "enough:compute"
    assert part.download_s == pytest.approx(played.download_s, rel=1e-12)
    assert (part.compute_j, played.handles) == (0, [])


def test_transfers_are_told_the_deadline_and_end_by_it_as_late():
    played = Played()
    part = played.begin(deadline_at_s=played.download_s / 2)
    played.run()  # nobody stops it
    assert part.outcome == "late:downlink"
    assert [each.status for each in played.network.transfers] == ["timeout"]
    assert played.env.now == pytest.approx(played.download_s / 2, rel=1e-12)


def test_what_the_network_ends_says_why():
    played = Played(failing={(1, "uplink"): "outage"})
    part = played.begin()
    played.run()
    assert part.outcome == "dropped:uplink:outage"
    assert played.dropped == [1]
    assert part.uplink_bytes == 0


def test_a_contribution_says_what_it_weighs_and_where_it_began():
    played = Played()
    part = played.begin()
    played.run()
    state = played.federation.state
    made = part.contribution()
    assert (made.client_id, made.weight, made.staleness) == (1, 60, 0)
    assert len(played.federation.shards[1].train) == 60
    assert made.base.keys() == made.payload.tensors.keys() == state.tensors.keys()
    assert all(torch.equal(made.base[name], state.tensors[name]) for name in state.tensors)
    trained = made.payload.tensors["head.weight"]
    assert not torch.equal(trained, made.base["head.weight"])
    played.federation.state = replace(state, version=3)
    assert part.contribution().staleness == 3


def test_what_merges_by_its_own_rule_has_no_base():
    played = Played(FloraConfig(rank=2))
    part = played.begin()
    played.run()
    assert part.contribution().base == {}


def test_a_cool_device_is_faster_and_spends_as_much():
    """Warm it takes w seconds; three times as fast for w / 6 it does half, the other half takes
    w / 2. An operation takes the same energy either way."""
    warm_s = Played().compute_s
    throttling = TwoStateThrottling(cool_factor=3.0, cool_s=warm_s / 6)
    played = Played(throttling=throttling)
    part = played.begin()
    played.run()
    assert part.compute_s == pytest.approx(warm_s * (1 / 6 + 1 / 2), rel=1e-12)
    assert part.compute_j == pytest.approx(COMPUTE_W * warm_s, rel=1e-12)
    assert booked(played, "compute") == (
        pytest.approx(part.compute_s, rel=1e-12),
        pytest.approx(part.compute_j, rel=1e-12),
    )
    left_s = played.federation.cool_time.left_s(1, at_s=played.env.now)
    assert left_s == pytest.approx(part.upload_s * throttling.cool_s / 300.0)


def test_stopped_while_cool():
    warm_s = Played().compute_s
    played = Played(throttling=TwoStateThrottling(cool_factor=3.0, cool_s=warm_s / 6))
    part = played.begin()
    played.stop_at(played.download_s + warm_s / 12)
    assert part.compute_j == pytest.approx(3 * COMPUTE_W * warm_s / 12, rel=1e-9)
    left_s = played.federation.cool_time.left_s(1, at_s=played.env.now)
    assert left_s == pytest.approx(warm_s / 12, rel=1e-9)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_precision_changes_cost_alone(precision):
    """A mid-range phone: 15 instead of 10 GFLOP/s, the same payload, the same losses."""
    found = []
    for each in ("fp32", precision):
        played = Played(precision=each)
        part = played.begin()
        played.run()
        found.append((part, part.row(staleness=0), played.size_bytes))
    (single, row, size_bytes), (other, other_row, other_size_bytes) = found
    assert other.compute_s == pytest.approx(single.compute_s * 10 / 15, rel=1e-12)
    assert other.compute_j == pytest.approx(single.compute_j * 10 / 15, rel=1e-12)
    assert (other_row.train_loss, other_size_bytes) == (row.train_loss, size_bytes)
    assert row.wasted_j == other_row.wasted_j == 0
    merged, other_merged = (part.contribution().payload.encode() for part in (single, other))
    assert merged == other_merged


def test_a_received_update_that_is_left_out_is_never_computed_and_its_joules_are_wasted():
    played = Played()
    part = played.begin()
    played.run()
    part.discard("surplus")
    row = part.row(staleness=2, round_id=7)
    assert (row.outcome, row.round, row.staleness) == ("surplus:merge", 7, 2)
    assert row.wasted_j == part.compute_j + part.radio_j > 0
    assert row.train_loss is None
    assert played.federation.executor.num_computed == 0
    with pytest.raises(ValueError, match="must be received, client 1 is surplus:merge"):
        part.contribution()
