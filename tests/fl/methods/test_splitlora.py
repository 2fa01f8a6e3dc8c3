"""Split fine-tuning: values are those of federated LoRA, costs and traffic are cut in two."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import fl.methods.splitlora
from fl.codecs.int8 import Int8Codec
from fl.methods.base import server_part
from fl.methods.fedit.config import FeditConfig
from fl.methods.options import FedAdam
from fl.methods.splitlora.config import SplitloraConfig
from fl.models.lora_settings import LoraSettings
from fl.payload import Payload
from fl.privacy.config import ClientPrivacy
from fl.server.config import DeadlineServer, FedAsyncServer, FedBuffServer
from fl.server.modes import run_server
from fl.training.config import TrainingConfig
from scenarios.cli import main
from tests.fl.fakes import NUM_POSITIONS, VOCABULARY_SIZE, federation, roberta_base_on_meta
from tests.fl.methods.recorded import of_models
from tests.fl.methods.updates import installed

CARD = Path(fl.methods.splitlora.__file__).with_name("README.md")


def payload_numbers(shape, version):
    """One of two blocks is the client's; the head never travels."""
    numbers = 4 * shape.hidden * 8
    return numbers, numbers


def run(config, **options):
    played = federation(config, **{"num_clients": 4, "cohort": 3, "num_rounds": 3, **options})
    played.env.run(until=played.env.process(run_server(played)))
    return played


def scores(played):
    return [(row.round, row.metric, row.split, row.mean) for row in played.recorder.evaluations]


def losses(played):
    return [(row.round, row.client_id, row.train_loss) for row in played.recorder.clients]


def check_equal(one, other):
    assert scores(one) == scores(other)
    assert losses(one) == losses(other)
    assert one.state.tensors.keys() == other.state.tensors.keys()
    for name, value in one.state.tensors.items():
        assert torch.equal(value, other.state.tensors[name]), name


@pytest.mark.parametrize("task", ["classification", "generation"])
@pytest.mark.parametrize("cut_layer", [1, 2])
def test_a_run_learns_what_federated_lora_does_to_the_bit(task, cut_layer):
    split = SplitloraConfig(cut_layer=cut_layer, server_flop_per_s=1e9)
    check_equal(run(split, task=task), run(FeditConfig(), task=task))


@pytest.mark.parametrize(
    "mode",
    [
        {"mode": FedAsyncServer, "cohort": 1},
        {"mode": FedBuffServer, "buffer_size": 2, "cohort": 1},
        {"mode": DeadlineServer, "deadline_s": 1e3},
        {"downlink": "broadcast"},
    ],
)
def test_so_does_each_mode_where_updates_come_in_the_same_order(mode):
    check_equal(run(SplitloraConfig(), **mode), run(FeditConfig(), **mode))


def test_privacy_clips_and_noises_both_parts_as_one_update():
    privacy = ClientPrivacy(clip_norm=0.1, noise_multiplier=0.5, delta=1e-3)
    one, other = (run(each, privacy=privacy) for each in (SplitloraConfig(), FeditConfig()))
    check_equal(one, other)
    rows = one.recorder.of_privacy
    assert rows == other.recorder.of_privacy
    assert any(row.num_clipped for row in rows)


def test_so_do_runs_with_other_adapted_layers_dropout_and_small_passes():
    training = TrainingConfig(
        local_steps=2,
        batch_size=8,
        micro_batch_size=3,
        learning_rate=5e-3,
        max_gradient_norm=1.0,
        lora=LoraSettings(targets="all-linear", dropout=0.1),
    )
    config = SplitloraConfig()
    played = run(config, training=training)
    check_equal(played, run(FeditConfig(), training=training))
    sent = played.method.download(played.state, client_id=0).tensors
    assert any("intermediate" in name for name in sent)
    assert all(".layer.0." in name for name in sent)


def test_a_client_without_an_adapted_layer_is_refused():
    upper = LoraSettings(targets=("1.attention.self.query",))
    training = TrainingConfig(local_steps=1, batch_size=8, lora=upper)
    with pytest.raises(
        ValueError, match=r"^cut_layer: must leave the client a layer that .* got 1"
    ):
        federation(SplitloraConfig(), training=training)
    federation(SplitloraConfig(cut_layer=2), training=training)


def test_stale_updates_carry_the_part_of_the_server():
    """Three clients at a time: what a late one's copy of the server's part learned is merged."""
    played = run(SplitloraConfig(), mode=FedBuffServer, buffer_size=2, num_rounds=4)
    assert any(row.staleness > 0 for row in played.recorder.clients)
    first = played.method.initial_state().tensors
    held = server_part(played.method, played.state.tensors)
    assert {"head.weight", "head.bias"} < held.keys()
    assert all(torch.isfinite(each).all() for each in held.values())
    assert not any(torch.equal(held[name], first[name]) for name in held if "_A" not in name)


def test_an_optimiser_of_the_server_moves_both_parts():
    adam = {"server_optimiser": FedAdam()}
    check_equal(run(SplitloraConfig(**adam)), run(FeditConfig(**adam)))


def test_lost_participations_leave_both_parts_alone():
    failing = {(client_id, "uplink"): "outage" for client_id in range(4)}
    played = run(SplitloraConfig(), failing=failing)
    first = played.method.initial_state().tensors
    assert all(torch.equal(first[name], each) for name, each in played.state.tensors.items())
    assert {row.outcome for row in played.recorder.clients} == {"dropped:uplink:outage"}
    assert played.executor.num_computed == 0


@pytest.mark.parametrize(("cut_layer", "blocks"), [(1, 1), (5, 5), (12, 12)])
def test_numbers_on_roberta_base(cut_layer, blocks):
    config = SplitloraConfig(cut_layer=cut_layer)
    method, _ = installed(config, module=roberta_base_on_meta())
    sent = method.download(method.initial_state(), client_id=0)
    numbers = sum(each.numel() for each in sent.tensors.values())
    assert numbers == 294_912 * blocks // 12
    held = method.at_server(method.initial)
    assert held.keys() | sent.tensors.keys() == method.initial.keys()
    assert not held.keys() & sent.tensors.keys()
    assert {"head.weight", "head.bias"} <= held.keys()


def test_the_part_of_the_server_never_travels():
    played = run(SplitloraConfig())
    for payload in (
        played.method.download(played.state, client_id=0),
        played.method.upload(played.state.tensors, version=0),
    ):
        assert all(".layer.0." in name for name in payload.tensors)
    whole = {**played.state.tensors}
    assert Payload(whole).size_bytes > payload.size_bytes


def test_clients_of_a_state_are_sent_the_same_object():
    method, _ = installed(SplitloraConfig())
    state = method.initial_state()
    first = method.download(state, client_id=0)
    assert method.download(state, client_id=1) is first
    moved = replace(state, tensors={name: each + 1 for name, each in state.tensors.items()})
    other = method.download(moved, client_id=0)
    assert all(torch.equal(other.tensors[name], each + 1) for name, each in first.tensors.items())
    assert torch.equal(method.download(state, client_id=0).tensors[name := min(first.tensors)],
                       first.tensors[name])  # fmt: skip


def test_codecs_change_what_travels_between_rounds_alone():
    """What the server holds is not coded; activations are as many bytes as without codecs."""
    plain = run(SplitloraConfig(), num_rounds=1)
    coded = run(SplitloraConfig(), num_rounds=1, uplink_codecs=(Int8Codec(),))
    held = server_part(plain.method, plain.state.tensors)
    assert all(torch.equal(each, coded.state.tensors[name]) for name, each in held.items())
    sent = [name for name in plain.state.tensors if name not in held]
    assert not all(torch.equal(plain.state.tensors[n], coded.state.tensors[n]) for n in sent)
    sizes = [
        sorted(each.size_bytes for each in of_models(played.network.transfers))
        for played in (plain, coded)
    ]
    saved = sum(sizes[0]) - sum(sizes[1])
    totals = [sum(row.uplink_bytes for row in each.recorder.rounds) for each in (plain, coded)]
    assert totals[0] - totals[1] == saved > 0


def test_costs_of_a_larger_architecture_with_more_blocks_than_the_model_that_trains(tmp_path):
    larger = tmp_path / "config.json"
    sizes = {"num_hidden_layers": 4, "hidden_size": 64, "intermediate_size": 128}
    heads = {"num_attention_heads": 4, "max_position_embeddings": NUM_POSITIONS}
    kind = {"model_type": "bert", "vocab_size": VOCABULARY_SIZE}
    larger.write_text(json.dumps({**kind, **sizes, **heads}), encoding="utf-8")
    config = SplitloraConfig(cut_layer=3)
    played = run(config, cost_as=larger)
    assert scores(played) == scores(run(FeditConfig()))
    facts = played.facts()
    assert facts.upload_bytes > 3 * 2 * 2 * 8 * 64 * 4
    sent = [each for each in played.network.transfers if each.direction == "downlink"]
    inner = [each.size_bytes for each in sent if each.size_bytes != facts.download_bytes]
    assert {size % (64 * 4) for size in inner} == {0}
    assert played.trained_facts().upload_bytes < facts.upload_bytes
    with pytest.raises(ValueError, match=r"^cut_layer: must be <= 4, the blocks of the model, got"):
        federation(replace(config, cut_layer=5), cost_as=larger)


def test_timing_alone_takes_what_training_takes():
    trained = TrainingConfig(local_steps=2, batch_size=8, learning_rate=5e-3)
    config = SplitloraConfig(server_flop_per_s=1e9)
    one, other = (run(config, training=each) for each in (trained, replace(trained, mode="none")))
    assert one.recorder.rounds == other.recorder.rounds
    assert one.network.transfers == other.network.transfers


@cache
def example():
    (found,) = re.findall(r"```yaml\n(.*?)```", CARD.read_text(encoding="utf-8"), re.DOTALL)
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The scenario of the card, run."""
    folder = tmp_path_factory.mktemp("split")
    scenario = folder / "split.yaml"
    scenario.write_text(example(), encoding="utf-8")
    assert main(["run", str(scenario), "--out", str(folder)]) == 0
    return lambda variant, name: pd.read_csv(folder / "split" / variant / "seed1" / f"{name}.csv")


def test_the_example_of_the_card_learns_what_fedit_does(results):
    columns = ["round", "metric", "split", "mean", "std", "worst10"]
    one, other = (results(each, "evaluations")[columns] for each in ("fedit", "splitlora"))
    pd.testing.assert_frame_equal(one, other)
    assert one["mean"].iloc[-1] > one["mean"].iloc[0]


def test_the_example_takes_the_time_of_the_closed_form(results):
    """Constant rates: each transfer takes half a round trip and its bytes over the rate."""
    devices = results("splitlora", "devices").set_index("client_id")
    sent = results("splitlora", "transfers")
    for row in results("splitlora", "clients").to_dict("records"):
        mine = sent[sent["participation_id"] == row["participation_id"]]
        by_direction = dict(list(mine.groupby("direction")))
        up, down = by_direction["uplink"], by_direction["downlink"]
        assert len(up) == len(down) == 4 + 1
        up_s = (0.01 + up["size_bytes"] * 8 / 50e6).sum()
        down_s = (0.01 + down["size_bytes"] * 8 / 100e6).sum()
        assert row["upload_s"] == pytest.approx(up_s, rel=1e-9)
        speed = devices.loc[row["client_id"], "flop_per_s"]
        alone = results("fedit", "clients").set_index("participation_id")
        flop = alone.loc[row["participation_id"], "compute_s"] * speed
        server_s = (flop - row["compute_s"] * speed) / 1e12
        assert row["download_s"] == pytest.approx(down_s + server_s, rel=1e-9)
        assert 0 < row["compute_s"] < flop / speed
        # fp16: two bytes each of 8 texts, T tokens and the width of the model; 8 bytes a text up.
        inside = up.sort_values("finished_at_s")["size_bytes"].to_numpy()[:-1]
        back = down.sort_values("finished_at_s")["size_bytes"].to_numpy()[1:]
        np.testing.assert_array_equal(inside - back, 8 * 8)


def test_a_round_of_the_example_lasts_as_long_as_its_slowest_client(results):
    clients = results("splitlora", "clients")
    busy_s = clients["download_s"] + clients["compute_s"] + clients["upload_s"]
    rounds = results("splitlora", "rounds").set_index("round")
    lasts_s = rounds["finished_at_s"] - rounds["started_at_s"]
    np.testing.assert_allclose(busy_s.groupby(clients["round"]).max(), lasts_s, rtol=1e-9)
