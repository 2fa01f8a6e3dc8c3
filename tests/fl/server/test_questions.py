"""Asking for losses: what it takes, and what is answered."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.clients.availability.trace import TraceAvailability
from fl.clients.battery import BatteryConfig
from fl.clients.device import Device
from fl.clients.device_table import DEVICES
from fl.clients.devices import Devices
from fl.clients.throttling import TwoStateThrottling
from fl.policies.tifl import TiflPolicyConfig
from fl.server.modes.sync import run_rounds
from fl.server.questions import ANSWER_BYTES, ask_clients
from fl.server.selection import select_clients
from tests.fl.fakes import SMALLEST, federation
from tests.fl.server.books import check_books

CHOSEN = [2, 3]


class Asks:
    """Asks some clients, then selects two of them; keeps what it is shown."""

    def __init__(self, ids):
        self.ids, self.views = ids, []

    def ask(self, view, *, rng):
        self.views.append(view)
        return self.ids

    def select(self, view, *, rng):
        self.views.append(view)
        return CHOSEN


def made_with(config=SMALLEST["fedit"], *, asked=(1, 2, 3), **options):
    made = federation(config, num_clients=4, devices=["phone_mid"] * 4, **options)
    made.policy = Asks(list(asked))
    return made


def asked_of(made, ids, **options):
    return made.env.run(until=made.env.process(ask_clients(made, ids, **options)))


def answers_of(made, ids, **options):
    return asked_of(made, ids, **options).values


def outcomes_of(asked):
    return {each.client_id: each.outcome for each in asked.questions}


def test_the_answer_is_the_loss_of_the_model_that_it_would_train():
    made = made_with()
    answers = answers_of(made, [1, 2])
    worker, start = (
        made.worker,
        made.method.start(
            made.method.download(made.state, client_id=1), made.personal.of(1), version=0
        ),
    )
    worker.load(start.tensors)
    for client_id in (1, 2):
        texts = made.shards[client_id].train
        expected = float(worker.module.loss(worker.train.batch(texts)))
        assert answers[client_id] == pytest.approx(expected, rel=1e-6)
        assert answers[client_id] == np.float32(answers[client_id])


def test_it_takes_the_seconds_joules_and_bytes_of_download_forward_pass_and_answer():
    made = made_with()
    size = made.method.download(made.state, client_id=1).size_bytes
    texts = made.shards[1].train
    lengths = np.sort(made.worker.train.tokens.lengths[texts])
    batch = made.evaluation_batch_size
    flop = sum(
        made.cost.step_flop(
            (),
            batch_size=len(lengths[at : at + batch]),
            num_tokens=int(lengths[at : at + batch].max()),
        )
        for at in range(0, len(lengths), batch)
    )
    device = Device.of(DEVICES["phone_mid"])
    compute_s, down_s, up_s = flop / device.speed.flop_per_s, 8 * size / 4e6, 8 * ANSWER_BYTES / 1e6
    answers_of(made, [1])
    assert made.now_s == pytest.approx(down_s + compute_s + up_s, rel=1e-12)
    spent_j = 0.2 * down_s + device.compute_w * compute_s + 0.5 * up_s
    assert made.energy_j() == pytest.approx(spent_j, rel=1e-12)
    assert (made.asked.downlink_bytes, made.asked.uplink_bytes) == (size, ANSWER_BYTES)


def test_answers_reach_the_policy_after_their_time_and_who_was_asked_downloads_no_more():
    made = made_with(num_rounds=2)
    made.env.run(until=made.env.process(run_rounds(made)))
    before, after, *_ = made.policy.views
    assert (before.now_s, np.isnan(before.candidates.asked_loss).all()) == (0.0, True)
    assert after.now_s > 0
    assert np.isnan(after.candidates.asked_loss).tolist() == [True, False, False, False]
    size = made.method.download(made.state, client_id=1).size_bytes
    first, second = made.recorder.rounds
    assert [row.download_s for row in made.recorder.clients] == [0.0] * 4
    assert first.downlink_bytes == 3 * size  # of the questions
    sent = sum(each.size_bytes for each in made.network.transfers if each.direction == "uplink")
    assert first.uplink_bytes + second.uplink_bytes == sent == made.uplink_bytes
    received = sum(
        each.size_bytes for each in made.network.transfers if each.direction == "downlink"
    )
    assert first.downlink_bytes + second.downlink_bytes == received == made.downlink_bytes
    assert first.started_at_s == 0.0
    assert second.started_at_s == first.finished_at_s
    # the model has moved: it is sent again
    assert second.downlink_bytes == 3 * size


def test_who_was_not_asked_downloads():
    made = made_with(asked=[3], num_rounds=1)
    made.env.run(until=made.env.process(run_rounds(made)))
    of_two, of_three = made.recorder.clients
    assert of_two.download_s > 0.0
    assert of_three.download_s == 0.0


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
def test_who_cannot_be_reached_gives_no_answer(direction):
    made = made_with(failing={(2, direction): "outage"})
    asked = asked_of(made, [1, 2])
    assert asked.values.keys() == {1}
    assert outcomes_of(asked) == {1: "answered", 2: f"dropped:{direction}:outage"}


def test_nothing_goes_on_after_the_time_limit():
    made = made_with()
    size = made.method.download(made.state, client_id=1).size_bytes
    down_s = 8 * size / 4e6
    asked = asked_of(made, [1, 2], timeout_s=down_s + 1e-6)
    assert outcomes_of(asked) == {1: "late:compute", 2: "late:compute"}
    assert made.now_s == pytest.approx(down_s + 1e-6, rel=1e-12)
    computed_j = sum(
        p * (end - start) for _, kind, start, end, p in made.network.charges if kind == "compute"
    )
    assert computed_j == pytest.approx(
        2 * 1e-6 * Device.of(DEVICES["phone_mid"]).compute_w, rel=1e-6
    )
    assert made.asked.uplink_bytes == 0


def step_times():
    """Return when client 1 has the model, has scored its texts, and has answered [s]."""
    made = made_with()
    answers_of(made, [1])
    down, computed, up = (
        next(end_s for _, kind, _, end_s, _ in made.network.charges if kind == each)
        for each in ("rx", "compute", "tx")
    )
    return {"downlink": (0.0, down), "compute": (down, computed), "uplink": (computed, up)}


STAGES = ("downlink", "compute", "uplink")


@pytest.mark.parametrize("stage", STAGES)
def test_who_leaves_while_it_is_asked_ends_at_that_instant_and_gives_no_answer(stage, tmp_path):
    leaves_s = sum(step_times()[stage]) / 2
    path = tmp_path / "there.csv"
    rows = [f"{each},0,{leaves_s if each == 1 else 99!r}\n" for each in range(4)]
    path.write_text("client_id,from_s,to_s\n" + "".join(rows), encoding="utf-8")
    made = made_with(availability=TraceAvailability(path=str(path)))
    asked = asked_of(made, [1, 2])
    assert asked.values.keys() == {2}
    assert outcomes_of(asked) == {1: f"left:{stage}", 2: "answered"}
    left, answered = (each.row(1) for each in asked.questions)
    assert left.ended_at_s == pytest.approx(leaves_s, abs=1e-12)
    assert left.wasted_j == left.compute_j + left.radio_j > 0
    assert answered.wasted_j == 0
    ends_s = [end_s for client, _, _, end_s, _ in made.network.charges if client == 1]
    assert max(ends_s) == pytest.approx(leaves_s, abs=1e-12)
    assert made.presence.candidate_ids().tolist() == [0, 2, 3]


@pytest.mark.parametrize("stage", STAGES)
def test_a_battery_that_runs_out_while_its_client_is_asked_ends_the_question(stage):
    free, empty_s = made_with(), sum(step_times()[stage]) / 2
    answers_of(free, [1])
    (lasting_j,) = free.network.client_energy_j(np.array([1]), empty_s)
    made = made_with(battery=BatteryConfig(idle_w=0.0))
    made.presence.batteries._level_j[1] = lasting_j
    asked = asked_of(made, [1, 2])
    assert outcomes_of(asked) == {1: f"battery_empty:{stage}", 2: "answered"}
    assert asked.questions[0].row(1).wasted_j == pytest.approx(lasting_j, rel=1e-6)
    assert made.presence.candidate_ids().tolist() == [0, 2, 3]
    ends_s = [end_s for client, _, _, end_s, _ in made.network.charges if client == 1]
    assert max(ends_s) == pytest.approx(empty_s, abs=2e-9)


def test_a_question_draws_the_battery_of_a_client_that_never_took_part():
    made = made_with(battery=BatteryConfig(idle_w=0.0))
    (full_j,) = made.presence.battery_j(np.array([1]))[0]
    answers_of(made, [1])
    spent_j = made.energy_j()
    assert spent_j > 0
    assert made.presence.battery_j(np.array([1]))[0] == pytest.approx(full_j - spent_j, abs=1e-9)


@pytest.mark.parametrize("stage", STAGES)
def test_a_crash_of_the_server_ends_all_questions_and_takes_the_answers(stage):
    """Client 2 has a laptop and has answered before client 1 is half through with computing."""
    crash_s = sum(step_times()[stage]) / 2
    made = made_with()
    devices = list(made.devices)
    made.devices = Devices.of([*devices[:2], Device.of(DEVICES["laptop"]), *devices[3:]])
    made.env.timeout(crash_s).callbacks.append(lambda _: made.presence.crash_server(down_s=9.0))
    asked = asked_of(made, [1, 2])
    assert asked.values == {}
    of_two = "answer" if stage != "downlink" else stage
    assert outcomes_of(asked) == {1: f"server_crashed:{stage}", 2: f"server_crashed:{of_two}"}
    asked.record(made, 1, np.arange(4))
    assert made.asked.wasted_j == pytest.approx(made.energy_j(), rel=1e-9)
    assert made.now_s == pytest.approx(crash_s, abs=1e-12)
    assert not made.network.running
    # what the clients that were asked do afterwards does not concern a later crash
    made.presence.crash_server(down_s=9.0)


def test_nobody_is_asked_in_no_time():
    made = made_with(asked=[])
    chosen = made.env.run(until=made.env.process(select_clients(made, 1)))
    assert (chosen, made.now_s) == (CHOSEN, 0.0)


def test_cool_devices_answer_sooner():
    warm, cool = made_with(), made_with(throttling=TwoStateThrottling(cool_factor=2.0, cool_s=99.0))
    for made in (warm, cool):
        answers_of(made, [1])
    size = warm.method.download(warm.state, client_id=1).size_bytes
    sent_s = 8 * size / 4e6 + 8 * ANSWER_BYTES / 1e6
    assert cool.now_s - sent_s == pytest.approx((warm.now_s - sent_s) / 2, rel=1e-9)
    assert cool.energy_j() == pytest.approx(warm.energy_j(), rel=1e-9)
    assert cool.cool_time.left_s(1, at_s=cool.now_s) < 99.0


def test_a_method_without_exchange_answers_from_what_clients_hold():
    made = made_with(SMALLEST["local"])
    assert answers_of(made, [1]).keys() == {1}
    assert made.asked.downlink_bytes == 0


def test_asking_and_one_broadcast_for_all_exclude_each_other():
    made = made_with()
    made.server = replace(made.server, downlink="broadcast")
    with pytest.raises(ValueError, match=r"^server\.downlink: must be unicast, the policy asks"):
        made.__post_init__()


def test_answers_are_in_vain_where_nobody_is_left_to_be_selected(tmp_path):
    """All leave at the instant at which client 1, the slower one, has answered."""
    timed = made_with()
    timed.devices = Devices.of(
        [*list(timed.devices)[:2], Device.of(DEVICES["laptop"]), *list(timed.devices)[3:]]
    )
    first = asked_of(timed, [1, 2])
    path = tmp_path / "there.csv"
    between_s = (min(each.row(1).ended_at_s for each in first.questions) + timed.now_s) / 2
    rows = [f"{each},0,{between_s!r}\n{each},999,1000\n" for each in range(4)]
    path.write_text("client_id,from_s,to_s\n" + "".join(rows), encoding="utf-8")
    made = made_with(asked=[1, 2], availability=TraceAvailability(path=str(path)))
    made.devices = timed.devices
    chosen = made.env.run(until=made.env.process(select_clients(made, 4)))
    assert chosen == []
    left, abandoned = made.recorder.of_questions
    assert (left.outcome, abandoned.outcome) == ("left:compute", "abandoned:answer")
    assert abandoned.wasted_j > 0
    assert left.round == abandoned.round == 4
    wasted_j = left.wasted_j + abandoned.wasted_j
    assert made.asked.wasted_j == pytest.approx(wasted_j, rel=1e-12)
    assert made.energy_j() == pytest.approx(wasted_j, rel=1e-9)


def test_an_answer_of_a_client_that_has_left_is_not_seen():
    made = made_with()
    asked = asked_of(made, [1, 2])
    asked.record(made, 1, np.array([0, 2, 3]))
    left, seen = made.recorder.of_questions
    assert (left.outcome, seen.outcome) == ("left:answer", "answered")
    assert made.asked.wasted_j == left.wasted_j > 0


def test_a_round_counts_the_questions_in_vain_that_came_before_it():
    made = made_with(num_rounds=2, failing={(1, "downlink"): "outage"})
    made.env.run(until=made.env.process(run_rounds(made)))
    vain = [each for each in made.recorder.of_questions if each.outcome != "answered"]
    assert {(each.round, each.client_id) for each in vain} == {(1, 1), (2, 1)}
    assert [row.wasted_j for row in made.recorder.rounds] == [
        vain[0].wasted_j,
        vain[0].wasted_j + vain[1].wasted_j,
    ]


def test_accuracy_is_that_of_the_clients_own_test_texts():
    made = made_with()
    asked = asked_of(made, [1, 2], what="accuracy")
    start = made.method.start(
        made.method.download(made.state, client_id=1), made.personal.of(1), version=0
    )
    made.worker.load(start.tensors)
    for client_id in (1, 2):
        texts = made.shards[client_id].test
        with torch.no_grad():
            batch = made.worker.train.batch(texts)
            scores = made.worker.module(batch.input_ids, batch.attention_mask, batch.token_type_ids)
            right = scores.argmax(dim=-1) == batch.labels
        assert asked.values[client_id] == np.float32(right.double().mean())


def test_scoring_test_texts_takes_their_time():
    of_loss, of_accuracy = made_with(), made_with()
    asked_of(of_loss, [1])
    asked_of(of_accuracy, [1], what="accuracy")
    shard = of_loss.shards[1]
    assert len(shard.test) < len(shard.train)
    assert of_accuracy.now_s < of_loss.now_s


def test_tiers_whose_chances_adapt_ask_and_select():
    policy = TiflPolicyConfig(num_clients=2, num_tiers=2, adapt_rounds=2)
    made = federation(
        SMALLEST["head"], num_clients=4, devices=["phone_mid"] * 4, num_rounds=4, policy=policy
    )
    made.env.run(until=made.env.process(run_rounds(made)))
    asked = [(row.round, row.client_id) for row in made.recorder.of_questions]
    assert asked == [(1, each) for each in range(4)] + [(3, each) for each in range(4)]
    assert {row.outcome for row in made.recorder.of_questions} == {"answered"}
    check_books(made, asked_j=[
        sum(row.compute_j + row.radio_j for row in made.recorder.of_questions
            if row.client_id == each)
        for each in range(4)
    ])  # fmt: skip
