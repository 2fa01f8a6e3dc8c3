"""What a federation counts and refuses before it runs."""

import dataclasses

import numpy as np
import pytest

from fl.clients.devices import DeviceMemoryError
from fl.methods.fedit.config import FeditConfig
from fl.methods.full.config import FullConfig
from fl.methods.local.config import LocalConfig
from fl.methods.pftt.config import PfttConfig
from tests.fl import fakes
from tests.fl.fakes import federation, streams
from tests.fl.server.writing import HELD_BYTES, SHAPE, written_by


def test_facts_are_those_of_the_tensors():
    played = federation(PfttConfig(adapter_dim=8, rank=8))
    facts = played.facts()
    adapters, lora, head = 2 * 2 * (2 * 32 * 8 + 32 + 8), 4 * 2 * 32 * 8, 32 * 3 + 3
    assert facts.num_trainable == adapters + lora + head
    whole = sum(parameter.numel() for parameter in played.worker.module.parameters())
    assert facts.num_backbone == whole - facts.num_trainable
    assert facts.upload_bytes == facts.download_bytes
    assert 0 < facts.upload_bytes - 4 * adapters < 3000
    assert facts.peak_memory_bytes > 4 * whole
    assert federation(LocalConfig()).facts().upload_bytes == 0


def test_a_job_too_large_for_a_device_is_refused_before_the_run(monkeypatch):
    small = dataclasses.replace(fakes.DEVICES["phone_low"], memory_bytes=100_000)
    monkeypatch.setitem(fakes.DEVICES, "phone_low", small)
    with pytest.raises(DeviceMemoryError, match=r"a step of fedit on 8 texts of 12 tokens needs"):
        federation(FeditConfig(), num_clients=1, cohort=1, devices=["phone_low"])


def test_the_largest_batch_and_the_longest_text_are_those_of_any_client():
    made = federation(FeditConfig(), num_clients=3, num_texts=21)
    shards = made.shards
    assert [len(shard.train) for shard in shards] == [5, 5, 5]
    lengths = made.worker.train.tokens.lengths
    facts = made.facts()
    assert facts.largest_batch == 5  # the shards are smaller than the 8 texts of a batch
    longest = max(int(lengths[shard.train].max()) for shard in shards)
    assert facts.longest_text == longest
    step = made.cost.count(
        sorted(made.method.initial), batch_size=5, num_tokens=longest, num_asked=None,
        tensors=made.method.initial,
    )  # fmt: skip
    assert (facts.largest_step_flop, facts.peak_memory_bytes) == (step.flop, step.memory_bytes())


def test_a_device_that_holds_the_largest_step_exactly_is_enough(monkeypatch):
    need_bytes = federation(FeditConfig(), num_clients=1).facts().peak_memory_bytes
    for short_bytes in (0, 1):
        device = dataclasses.replace(
            fakes.DEVICES["phone_low"], memory_bytes=need_bytes - short_bytes
        )
        monkeypatch.setitem(fakes.DEVICES, "phone_low", device)
        if short_bytes == 0:
            federation(FeditConfig(), num_clients=1, devices=["phone_low"])
        else:
            with pytest.raises(DeviceMemoryError):
                federation(FeditConfig(), num_clients=1, devices=["phone_low"])


def test_what_jobs_write_is_counted_apart_and_what_they_hold_needs_memory(monkeypatch):
    plain = federation(FeditConfig(), task="generation", precision="fp16").facts()
    monkeypatch.setattr("fl.server.build.procedure_of", written_by)
    made = federation(FeditConfig(), task="generation", precision="fp16")
    facts, work = made.facts(), made.cost.generation_work(**SHAPE, tensors=made.method.initial)
    assert plain.prefill_flop == plain.num_decode_steps == plain.decode_bytes == 0
    assert (facts.prefill_flop, facts.num_decode_steps) == (work.flop, 4)
    assert facts.decode_flop == work.decode[0].total_flop
    assert facts.decode_bytes == work.decode[0].total_bytes("fp16")
    assert facts.peak_memory_bytes == plain.peak_memory_bytes + HELD_BYTES // 2


def test_a_class_whose_bandwidth_is_not_known_is_refused_where_jobs_write(monkeypatch):
    unknown = dataclasses.replace(
        fakes.DEVICES["phone_low"],
        memory_bandwidth_bytes_per_s=None,
        low_bandwidth_bytes_per_s=None,
        high_bandwidth_bytes_per_s=None,
    )
    monkeypatch.setitem(fakes.DEVICES, "phone_low", unknown)
    federation(FeditConfig(), task="generation", num_clients=1, devices=["phone_low"])
    monkeypatch.setattr("fl.server.build.procedure_of", written_by)
    match = r"^clients.devices.phone_low: needs memory_bandwidth_bytes_per_s, for jobs that"
    with pytest.raises(ValueError, match=match):
        federation(FeditConfig(), task="generation", num_clients=1, devices=["phone_low"])


def test_seeds_of_jobs_are_addressed_by_client_and_round():
    made = federation(FeditConfig())
    seeds = {
        (client, round_id): made.job_seed(client, round_id)
        for client in range(3)
        for round_id in range(3)
    }
    assert len(set(seeds.values())) == 9
    expected = int(streams()("training", 2, 1).integers(2**63 - 1))
    assert made.job_seed(2, 1) == expected


def test_participations_are_numbered_from_0():
    made = federation(FeditConfig())
    assert [made.new_participation_id() for _ in range(3)] == [0, 1, 2]
    assert made.num_participations == 3


def test_nothing_is_spent_at_first():
    made = federation(FeditConfig())
    assert (made.uplink_bytes, made.downlink_bytes, made.num_participations) == (0, 0, 0)
    assert (made.host_evaluation_s, made.energy_j(), made.state.version) == (0, 0, 0)


def test_energies_are_those_of_the_network_now():
    made = federation(FeditConfig())
    made.network.charge(1, "tx", started_at_s=0.0, finished_at_s=4.0, power_w=0.5)
    made.env.run(until=3.0)
    assert made.now_s == 3.0
    assert made.energy_j() == 1.5
    assert made.site_energy_j() == 0.0
    assert np.isclose(made.network.client_energy_j(np.array([1, 0]), 3.0), [1.5, 0.0]).all()


def test_precision_changes_the_memory_of_frozen_weights_and_activations():
    """Trained numbers keep four bytes, as do gradient and moments: 16 bytes each."""
    need = {p: federation(FeditConfig(), precision=p).facts() for p in ("fp32", "fp16", "int8")}
    frozen, trained = need["fp32"].num_backbone, need["fp32"].num_trainable
    activations = need["fp32"].peak_memory_bytes - 4 * frozen - 16 * trained
    assert activations > 0
    assert need["fp16"].peak_memory_bytes == 2 * frozen + 16 * trained + activations // 2
    assert need["int8"].peak_memory_bytes == frozen + 16 * trained + activations // 2
    assert need["int8"].largest_step_flop == need["fp32"].largest_step_flop


def test_bytes_of_frozen_weights_are_refused_where_nothing_is_frozen():
    with pytest.raises(
        ValueError, match=r"clients\.precision: int8 is of frozen weights, which full"
    ):
        federation(FullConfig(), precision="int8")
    federation(FullConfig(), precision="fp16")
