"""Synchronous rounds on the constant network: hand calculation, losses, common cohorts."""

import numpy as np
import pytest
import torch

from fl.execution.run_job import run_job
from fl.methods import METHODS
from fl.methods.fedit.config import FeditConfig
from fl.methods.local.config import LocalConfig
from fl.methods.pftt.config import PfttConfig
from fl.policies import RandomPolicyConfig
from fl.server.config import DeadlineServer, SyncServer, over_selected
from fl.server.modes import sync
from fl.server.modes.sync import run_rounds
from fl.training.batches import plan_batches
from fl.training.config import TrainingConfig
from tests.fl.fakes import NUM_CLASSES, SMALLEST, federation, streams
from tests.fl.server.scalar import COMPUTE_W, play, scalar_federation, values
from tests.fl.training.closed_form import lora_step_flop
from tests.fl.watching import watch_training

KINDS = sorted(METHODS)


def run(federation_):
    federation_.env.run(until=federation_.env.process(run_rounds(federation_)))
    return federation_.recorder


def job_flop_by_hand(federation_, client_id, round_id):
    settings = federation_.job_settings
    batches = plan_batches(
        federation_.shards[client_id].train,
        batch_size=settings.batch_size,
        local_steps=settings.local_steps,
        local_epochs=settings.local_epochs,
        seed=int(streams()("training", client_id, round_id).integers(2**63 - 1)),
    )
    lengths = federation_.worker.train.tokens.lengths
    return sum(
        lora_step_flop(
            batch_size=len(batch),
            num_tokens=int(lengths[batch].max()),
            hidden=32,
            feed_forward=64,
            layers=2,
            rank=8,
            num_classes=NUM_CLASSES,
        )
        for batch in batches
    )


def test_rounds_of_one_client_equal_a_hand_calculation():
    played = federation(
        FeditConfig(rank=8), num_clients=1, cohort=1, num_rounds=2, devices=["phone_mid"]
    )
    payload = played.method.download(played.state, client_id=0)
    size_bytes = len(payload.encode())
    rows = run(played)
    at_s = energy_j = 0.0
    for round_id, row, part in zip((1, 2), rows.rounds, rows.clients, strict=True):
        compute_s = job_flop_by_hand(played, 0, round_id) / 10e9
        down_s, up_s = size_bytes * 8 / 4e6, size_bytes * 8 / 1e6
        radio_j, compute_j = 0.2 * down_s + 0.5 * up_s, 3.0 * compute_s
        assert row.started_at_s == pytest.approx(at_s, rel=1e-9)
        at_s, energy_j = at_s + down_s + compute_s + up_s, energy_j + radio_j + compute_j
        assert row.finished_at_s == pytest.approx(at_s, rel=1e-9)
        assert row.energy_j == pytest.approx(energy_j, rel=1e-9)
        assert (row.uplink_bytes, row.downlink_bytes) == (size_bytes, size_bytes)
        assert (row.num_selected, row.num_received, row.num_late, row.num_failed) == (1, 1, 0, 0)
        assert part.download_s == pytest.approx(down_s, rel=1e-9)
        assert part.compute_s == pytest.approx(compute_s, rel=1e-9)
        assert part.upload_s == pytest.approx(up_s, rel=1e-9)
        assert part.compute_j == pytest.approx(compute_j, rel=1e-9)
        assert part.radio_j == pytest.approx(radio_j, rel=1e-9)
        assert (part.outcome, part.staleness) == ("received", 0)


def test_a_round_lasts_as_long_as_its_slowest_client():
    devices = ["phone_low", "laptop", "phone_mid", "laptop"]
    played = federation(FeditConfig(), cohort=4, num_rounds=1, devices=devices)
    rows = run(played)
    (row,) = rows.rounds
    parts = [part.download_s + part.compute_s + part.upload_s for part in rows.clients]
    assert row.finished_at_s == pytest.approx(max(parts), rel=1e-12)
    assert max(parts) == parts[0]
    assert [part.client_id for part in rows.clients] == [0, 1, 2, 3]


def test_aggregate_is_the_weighted_mean_of_what_the_clients_trained():
    played = federation(FeditConfig(), num_clients=3, cohort=3, num_rounds=1, num_texts=100)
    captured = []
    watch_training(played, lambda job, _: captured.append(job))
    run(played)
    results = [run_job(job, played.worker) for job in captured]
    weights = np.array([len(job.samples) for job in captured]) / sum(
        len(job.samples) for job in captured
    )
    assert len(set(weights)) > 1
    for name, tensor in played.state.tensors.items():
        expected = sum(w * result.tensors[name] for w, result in zip(weights, results, strict=True))
        torch.testing.assert_close(tensor, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("downlink", ["unicast", "broadcast"])
def test_transfers_carry_the_number_of_their_participation(downlink):
    """Participations count from 0 through all rounds; each has one transfer in either direction."""
    played = federation(
        FeditConfig(), failing={(0, "uplink"): "outage", (1, "downlink"): "outage"},
        cohort=4, num_rounds=2, downlink=downlink,
    )  # fmt: skip
    rows = run(played)
    assert [part.participation_id for part in rows.clients] == list(range(8))
    sent = {(t.participation_id, t.direction): t.client_id for t in played.network.transfers}
    expected = {
        (part.participation_id, direction): part.client_id
        for part in rows.clients
        for direction in ("downlink", "uplink")
        if (part.client_id, direction) != (1, "uplink")
    }
    assert sent == expected
    assert len(played.network.transfers) == len(expected) == 14


@pytest.mark.parametrize("kind", KINDS)
def test_same_scenario_gives_the_same_rows(kind):
    first, second = run(federation(SMALLEST[kind])), run(federation(SMALLEST[kind]))
    assert first == second
    assert len(first.rounds) == 3
    assert {row.split for row in first.evaluations} == (
        {"global", "personal"} if SMALLEST[kind].has_global_model else {"personal"}
    )


class EagerExecutor:
    """Computes at submission, in an order of its own, and again when asked."""

    def __init__(self, worker):
        self.num_submitted = self.num_computed = 0
        self.host_training_s = 0.0
        self.runs_ahead = True
        self._worker = worker

    def submit(self, job, *, flop=0):
        run_job(job, self._worker)
        worker = self._worker

        class Handle:
            def result(self):
                return run_job(job, worker)

            def drop(self):
                pass

        return Handle()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_depend_on_when_jobs_run(kind):
    lazy, eager = federation(SMALLEST[kind]), federation(SMALLEST[kind])
    eager.executor = EagerExecutor(eager.worker)
    assert run(lazy) == run(eager)


def test_methods_are_compared_on_the_same_cohorts_and_batches():
    cohorts = {}
    for kind in KINDS:
        played = federation(SMALLEST[kind], num_rounds=4)
        jobs = []
        watch_training(played, lambda job, _, jobs=jobs: jobs.append(job))
        run(played)
        cohorts[kind] = sorted((job.round, job.client_id, job.seed) for job in jobs)
    assert all(cohort == cohorts[KINDS[0]] for cohort in cohorts.values())
    assert len({row[1] for row in cohorts[KINDS[0]]}) > 2


def test_local_sends_nothing_and_waits_for_computing_alone():
    played = federation(LocalConfig())
    rows = run(played)
    assert played.network.transfers == []
    for row in rows.rounds:
        slowest_s = max(part.compute_s for part in rows.clients if part.round == row.round)
        assert row.finished_at_s - row.started_at_s == pytest.approx(slowest_s, rel=1e-9)
        assert (row.uplink_bytes, row.downlink_bytes) == (0, 0)
    assert all(part.download_s is part.upload_s is None for part in rows.clients)
    assert played.executor.num_computed == len(rows.clients)
    assert played.state.version == 0


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"local"}))
@pytest.mark.parametrize(("direction", "submitted"), [("uplink", 12), ("downlink", 9)])
def test_a_lost_client_is_computed_for_itself_only_and_its_row_says_why(kind, direction, submitted):
    played = federation(SMALLEST[kind], cohort=4, num_rounds=3, failing={(2, direction): "outage"})
    rows = run(played)
    is_kept = direction == "uplink" and bool(played.method.self_trained)
    assert played.executor.num_submitted == submitted
    assert played.executor.num_computed == (12 if is_kept else 9)
    lost = [part for part in rows.clients if part.client_id == 2]
    assert {part.outcome for part in lost} == {f"dropped:{direction}:outage"}
    assert all(part.train_loss is None and part.upload_s is None for part in lost)
    assert all(part.radio_j > 0 for part in lost)
    assert all((part.compute_j > 0) == (direction == "uplink") for part in lost)
    assert (2 in played.personal) == is_kept
    for row in rows.rounds:
        assert (row.num_selected, row.num_received, row.num_failed, row.num_late) == (4, 3, 1, 0)
    assert played.state.version == 3


def test_a_round_without_any_update_keeps_the_model():
    failing = {(client_id, "uplink"): "link_failure" for client_id in range(4)}
    played = federation(FeditConfig(), cohort=4, num_rounds=2, failing=failing)
    before = dict(played.state.tensors)
    rows = run(played)
    assert played.executor.num_computed == 0
    assert all(played.state.tensors[name] is before[name] for name in before)
    assert [row.num_received for row in rows.rounds] == [0, 0]
    assert all(row.uplink_bytes == 0 for row in rows.rounds)
    assert len({row.mean for row in rows.evaluations if row.split == "global"}) == 1


def test_in_a_round_that_receives_nothing_the_version_and_the_turn_hold():
    """RoLoRA trains B and A in turn: all uploads of round 2 are lost, so round 3 trains A again."""
    played = federation(SMALLEST["rolora"], cohort=4)
    failing, jobs, versions = played.network.failing, [], []
    watch_training(played, lambda job, _: jobs.append(job))
    for round_id in (1, 2, 3):
        failing.clear()
        if round_id == 2:
            failing.update({(client_id, "uplink"): "outage" for client_id in range(4)})
        before = played.state
        played.env.run(until=played.env.process(sync.run_round(played, round_id)))
        versions.append(played.state.version)
        assert (played.state is before) == (round_id == 2)
    assert versions == [1, 1, 2]
    assert [row.num_received for row in played.recorder.rounds] == [4, 0, 4]
    factors = {
        job.round: {name[-6:] for name in job.start.trainable if "lora_" in name} for job in jobs
    }
    assert factors == {1: {"lora_B"}, 2: {"lora_A"}, 3: {"lora_A"}}
    assert [job.version for job in jobs] == [0] * 4 + [1] * 8
    assert played.executor.num_computed == 8
    moved = {
        name for name, value in played.state.tensors.items() if value is not before.tensors[name]
    }
    assert {name[-6:] for name in moved if "lora_" in name} == {"lora_A"}


def test_joules_and_bytes_of_rounds_are_the_sums_of_their_parts():
    played = federation(PfttConfig(), num_rounds=5)
    rows = run(played)
    spent_j = sum(part.compute_j + part.radio_j for part in rows.clients)
    assert rows.rounds[-1].energy_j == pytest.approx(spent_j, rel=1e-9)
    up = [moved for moved in played.network.transfers if moved.direction == "uplink"]
    assert sum(row.uplink_bytes for row in rows.rounds) == sum(moved.size_bytes for moved in up)
    assert rows.evaluations[-1].uplink_bytes == played.uplink_bytes
    assert rows.evaluations[-1].energy_j == rows.rounds[-1].energy_j


@pytest.mark.parametrize(
    "settings",
    [
        {"failing": {(0, "downlink"): "outage", (2, "uplink"): "link_failure"}},
        {"mode": DeadlineServer, "deadline_s": 0.1},
        {"mode": DeadlineServer, "deadline_s": 0.05},
        {"mode": DeadlineServer, "deadline_s": 0.01},
    ],
)
def test_wasted_joules_are_those_of_participations_that_were_not_merged(settings):
    devices = ["phone_low", "phone_mid", "phone_high", "laptop"]
    played = federation(FeditConfig(), cohort=4, num_rounds=4, devices=devices, **settings)
    rows = play(played)
    in_vain = [part for part in rows.clients if part.outcome != "received"]
    assert len(in_vain) >= 4
    spent_j = sum(part.compute_j + part.radio_j for part in in_vain)
    assert spent_j > 0
    assert sum(part.wasted_j for part in rows.clients) == pytest.approx(spent_j, rel=1e-12)
    so_far_j = 0.0
    for row in rows.rounds:
        so_far_j += sum(part.wasted_j for part in rows.clients if part.round == row.round)
        assert row.wasted_j == pytest.approx(so_far_j, rel=1e-12)
        assert row.wasted_j <= row.energy_j * (1 + 1e-12)


def test_nothing_is_wasted_where_everything_is_merged():
    rows = run(federation(FeditConfig()))
    assert {part.wasted_j for part in rows.clients} == {row.wasted_j for row in rows.rounds} == {0}


def test_broadcast_gives_the_same_model_as_unicast():
    unicast = federation(FeditConfig(), downlink="unicast")
    broadcast = federation(FeditConfig(), downlink="broadcast")
    assert run(unicast) == run(broadcast)


def test_evaluations_come_when_asked_for_and_at_both_ends():
    rows = run(federation(LocalConfig(), num_rounds=5, evaluate_every=2))
    assert [row.round for row in rows.evaluations] == [0, 2, 4, 5]
    assert [row.round for row in rows.rounds] == [1, 2, 3, 4, 5]


def test_run_stops_at_its_target():
    training = TrainingConfig(local_steps=10, batch_size=16, learning_rate=5e-3)
    played = federation(
        FeditConfig(),
        cohort=4,
        num_rounds=30,
        training=training,
        targets={"accuracy": 0.85},
        target_split="global",
        stop_at_targets=True,
    )
    rows = run(played)
    means = [row.mean for row in rows.evaluations if row.split == "global"]
    assert 1 < len(rows.rounds) < 30
    assert means[-1] >= 0.85 > max(means[:-1])


def test_target_that_the_start_reaches_ends_the_run_before_round_1():
    start = run(federation(FeditConfig(), num_rounds=1)).evaluations[0]
    assert (start.round, start.split) == (0, "global")
    rows = run(
        federation(
            FeditConfig(),
            targets={"accuracy": start.mean},
            target_split="global",
            stop_at_targets=True,
        )
    )
    assert rows.rounds == []
    assert {row.round for row in rows.evaluations} == {0}


@pytest.mark.parametrize("target", [0.01, 0.6, 0.85, 0.999])
def test_last_round_of_a_stopped_run_is_evaluated(target):
    training = TrainingConfig(local_steps=10, batch_size=16, learning_rate=5e-3)
    settings = {"cohort": 4, "num_rounds": 10, "training": training, "evaluate_every": 3}
    free = run(federation(FeditConfig(), **settings))
    stopped = run(
        federation(
            FeditConfig(),
            **settings,
            targets={"accuracy": target},
            target_split="global",
            stop_at_targets=True,
        )
    )
    means = {row.round: row.mean for row in free.evaluations if row.split == "global"}
    assert list(means) == [0, 3, 6, 9, 10]
    expected = next((round_id for round_id, mean in means.items() if mean >= target), 10)
    assert [row.round for row in stopped.rounds] == list(range(1, expected + 1))
    assert stopped.evaluations[-1].round == expected


@pytest.mark.parametrize("kind", KINDS)
def test_one_backbone_serves_all_clients(kind):
    played = federation(SMALLEST[kind], num_clients=20, cohort=5, num_rounds=3, num_texts=400)
    backbone = {id(parameter) for parameter in played.worker.module.parameters()}
    run(played)
    assert {id(parameter) for parameter in played.worker.module.parameters()} == backbone
    installed_bytes = sum(tensor.nbytes for tensor in played.method.initial.values())
    trained = [client_id for client_id in played.client_ids if client_id in played.personal]
    held = {
        tensor.data_ptr(): tensor.nbytes
        for tensors in [played.state.tensors, *map(played.personal.of, trained)]
        for tensor in tensors.values()
    }
    assert len(trained) <= 15
    # A server that deals out experts holds more of them than a client, and one client more than
    # another.
    first = played.method.initial_state().tensors.values()
    server_bytes = max(installed_bytes, sum(tensor.nbytes for tensor in first))
    most = 2 if kind == "fedamole" else 1
    server_bytes += 8 * len(trained)  # how a client weighs rewards
    assert sum(held.values()) <= server_bytes + most * len(trained) * installed_bytes


def test_of_more_than_are_wanted_the_first_count_and_the_rest_is_stopped():
    """ceil(1.5 x 2) = 3 clients of 1, 2 and 5 s begin; the round ends with the second, at 2 s."""
    played = scalar_federation(
        seconds=[1, 2, 5], goals=[2.0, 4.0, 9.0], cohort=2, over_selection=1.5, num_rounds=2
    )
    found = values(played)
    rows = play(played)
    assert [row.finished_at_s for row in rows.rounds] == pytest.approx([2, 4], abs=1e-9)
    assert [(row.num_selected, row.num_received) for row in rows.rounds] == [(3, 2)] * 2
    assert found == [3.0, 3.0]
    rest = [part for part in rows.clients if part.client_id == 2]
    assert [part.outcome for part in rest] == ["surplus:compute"] * 2
    assert all(part.compute_j == pytest.approx(2 * COMPUTE_W) for part in rest)
    assert played.executor.num_computed == 4


def test_updates_that_come_at_the_same_instant_as_the_last_wanted_are_left_out():
    played = scalar_federation(seconds=[1] * 4, cohort=2, over_selection=2.0, num_rounds=1)
    found = values(played)
    rows = play(played)
    outcomes = [part.outcome for part in rows.clients]
    assert outcomes == ["received", "received", "surplus:merge", "surplus:merge"]
    assert found == [1.5]
    assert played.executor.num_computed == 2


def test_over_selection_without_enough_updates_takes_what_there_is():
    failing = {(0, "uplink"): "outage", (1, "uplink"): "outage"}
    played = scalar_federation(
        seconds=[1, 2, 3], goals=[2.0, 4.0, 9.0], cohort=2, over_selection=1.5, failing=failing
    )
    found = values(played)
    rows = play(played)
    assert [row.finished_at_s for row in rows.rounds] == pytest.approx([3, 6, 9], abs=1e-9)
    assert found == [9.0] * 3


def test_clients_to_begin_are_rounded_up_from_the_product_meant():
    policy = RandomPolicyConfig(num_clients=50)
    config = SyncServer(num_rounds=1, policy=policy, over_selection=1.1)
    assert 1.1 * 50 > 55
    assert over_selected(config) == (50, 55)
