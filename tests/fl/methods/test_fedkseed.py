"""FedKSeed."""

from dataclasses import replace

import pytest
import torch

from fl.execution.run_job import run_job
from fl.methods.base import Contribution
from fl.methods.fedkseed.config import FedkseedConfig, MoveLora
from fl.methods.fedkseed.method import DISTANCES, DRAWS, SLOPES, slope_probabilities
from fl.payload import Payload
from fl.training.zeroth_order import PROBABILITIES, SEEDS, STEPS
from tests.fl.fakes import SMALLEST, federation, roberta_base_on_meta
from tests.fl.methods.recorded import recorded
from tests.fl.methods.updates import installed
from tests.fl.training.jobs import job_of, worker_of


def payload_numbers(shape, version):
    num_steps, num_seeds = 4, 32
    return 2 * num_steps, num_seeds


def sent(client_id, seeds, steps, *, weight=1.0):
    payload = Payload({SEEDS: torch.tensor(seeds, dtype=torch.int16), STEPS: torch.tensor(steps)})
    return Contribution(client_id=client_id, payload=payload, weight=weight, staleness=0)


def test_bytes_of_the_paper_s_numbers_are_below_18_kb():
    """4,096 distances of 4 bytes down; 200 indices of 2 bytes and lengths of 4 up."""
    method, _ = installed(FedkseedConfig(), module=roberta_base_on_meta())
    state = method.initial_state()
    download = method.download(state, client_id=0)
    start = method.start(download, {}, version=0)
    upload = method.upload({**start.tensors, **start.client_outputs}, version=0)
    assert download.tensor_bytes == 4_096 * 4 == 16_384
    assert upload.tensor_bytes == 200 * (2 + 4) == 1_200
    assert download.size_bytes + upload.size_bytes < 18_000
    assert sum(start.tensors[name].numel() for name in start.trainable) == 124_055_040 + 768 * 4 + 4


def test_many_directions_take_wider_indices():
    for num_seeds, dtype in ((2**15, torch.int16), (2**15 + 1, torch.int32)):
        method, _ = installed(FedkseedConfig(num_seeds=num_seeds))
        start = method.start(method.download(method.initial_state(), client_id=0), {}, version=0)
        assert start.client_outputs[SEEDS].dtype == dtype


def test_distances_are_weighted_means_by_hand():
    method, _ = installed(FedkseedConfig(num_seeds=5))
    state = method.aggregate(
        method.initial_state(),
        [sent(1, [4, 0, 4], [1.0, 2.0, 3.0], weight=3.0), sent(0, [1, 4], [8.0, -4.0], weight=1.0)],
    )
    wanted = [0.75 * 2, 0.25 * 8, 0.0, 0.0, 0.75 * (1 + 3) - 0.25 * 4]
    assert state.tensors[DISTANCES].tolist() == wanted
    assert state.version == 1
    after = method.aggregate(state, [sent(2, [0], [0.5])])
    assert after.tensors[DISTANCES].tolist() == [wanted[0] + 0.5, *wanted[1:]]


def test_rebuilt_weights_are_the_mean_of_the_clients():
    """The server's distances lead to the weighted mean of where the clients walked, to rounding."""
    worker = worker_of("fedkseed")
    method, state = worker.method, worker.method.initial_state()
    for version in (0, 1):
        download = method.download(state, client_id=0)
        start = method.start(download, {}, version=version)
        jobs = [job_of(worker, client, start=start, version=version) for client in (0, 1)]
        results = [run_job(job, worker) for job in jobs]
        state = method.aggregate(
            state,
            [
                Contribution(
                    client_id=job.client_id,
                    payload=method.upload(result.tensors, version=version),
                    weight=weight,
                    staleness=0,
                )
                for job, result, weight in zip(jobs, results, (1.0, 3.0), strict=True)
            ],
        )
        found = method.global_model(state)
        assert found.keys() == method.initial.keys()
        for name, value in found.items():
            mean = 0.25 * results[0].tensors[name] + 0.75 * results[1].tensors[name]
            assert torch.allclose(value, mean, rtol=0, atol=1e-6)
            assert not torch.equal(value, start.tensors[name])


def test_a_lora_can_be_moved_instead():
    config = FedkseedConfig(num_seeds=8, num_steps=2, moves=MoveLora(rank=2))
    method, module = installed(config)
    ends = {name.rpartition(".")[2] for name in method.initial}
    assert ends == {"lora_A", "lora_B", "weight", "bias"}
    numbers = sum(value.numel() for value in method.initial.values())
    assert numbers == 2 * 2 * 2 * 2 * 32 + 3 * 32 + 3
    assert numbers < sum(each.numel() for each in module.parameters()) / 10
    played, _ = recorded("fedkseed", config=config)
    first = method.initial_state()
    assert not torch.equal(played.state.tensors[DISTANCES], first.tensors[DISTANCES])


def test_probabilities_by_hand():
    lengths = torch.tensor([0.0, 2.0, 1.0, 0.0], dtype=torch.float64)
    powers = torch.tensor([0.0, 1.0, 0.5, 0.0], dtype=torch.float64).exp()
    torch.testing.assert_close(slope_probabilities(lengths), powers / powers.sum())
    assert slope_probabilities(torch.full((4,), 0.3)).tolist() == [0.25] * 4


def test_long_steps_make_a_direction_likelier():
    method, _ = installed(FedkseedConfig(num_seeds=4, num_steps=2, sampling="by_slope"))
    state = method.initial_state()
    assert state.tensors[PROBABILITIES].tolist() == [0.25] * 4
    state = method.aggregate(state, [sent(0, [1, 2], [-6.0, 1.0]), sent(1, [1, 1], [2.0, 4.0])])
    assert state.memory[SLOPES].tolist() == [0, 12, 1, 0]
    assert state.memory[DRAWS].tolist() == [1, 4, 2, 1]
    wanted = slope_probabilities(torch.tensor([0, 3, 0.5, 0])).tolist()
    assert state.tensors[PROBABILITIES].tolist() == pytest.approx(wanted)
    download = method.download(state, client_id=3)
    assert set(download.tensors) == {DISTANCES, PROBABILITIES}
    start = method.start(download, {}, version=1)
    assert start.client_outputs[PROBABILITIES] is download.tensors[PROBABILITIES]


def test_probabilities_cross_the_link_and_decide():
    config = replace(SMALLEST["fedkseed"], sampling="by_slope")
    played, method = recorded("fedkseed", config=config)
    uniform, _ = recorded("fedkseed")
    assert not torch.equal(played.state.tensors[DISTANCES], uniform.state.tensors[DISTANCES])
    download = method.downloads[2][0]
    assert download.tensor_bytes == 2 * 32 * 4
    names = {name for items in method.contributions for name in items[0].payload.tensors}
    assert names == {SEEDS, STEPS}


def test_it_is_tried_on_one_step():
    assert FedkseedConfig().for_trial() == FedkseedConfig(num_steps=1)
    assert federation(SMALLEST["fedkseed"]).method.objective.num_steps == 4
