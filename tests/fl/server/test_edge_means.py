"""Products of LoRA at two levels: by hand on small matrices, and against one level."""

import json
from dataclasses import dataclass

import pytest
import torch

from fl.methods.averaging import AveragingMethod
from fl.methods.feddpo.config import FeddpoConfig
from fl.methods.fedit.config import FeditConfig
from fl.methods.flexlora.config import FlexloraConfig
from fl.payload import Payload
from fl.server.config import HierarchicalServer, SyncServer
from fl.server.personal import PersonalTensors
from fl.training.job import TrainJob, TrainResult
from tests.fl.fakes import NUM_POSITIONS, VOCABULARY_SIZE, federation
from tests.fl.server.scalar import StepExecutor, play, scalar_federation

SIZE = 8
"""Of the square matrix that the factors make."""


@dataclass
class GivenExecutor(StepExecutor):
    """Clients send ``value`` at place ``(at, at)`` of the matrix, wherever they begin."""

    def submit(self, job, *, flop=0):
        if not isinstance(job, TrainJob):
            return super().submit(job, flop=flop)
        self.jobs.append(job)
        return _Given(factors(*self.goals[job.client_id]), len(job.samples))


@dataclass
class _Given:
    tensors: dict
    num_samples: int

    def drop(self):
        """Hold on."""

    def result(self):
        return TrainResult(
            tensors=self.tensors,
            mean_loss=0.0,
            rms_loss=0.0,
            num_samples=self.num_samples,
            num_steps=1,
        )


def factors(at, value):
    rows, columns = torch.zeros((1, SIZE)), torch.zeros((SIZE, 1))
    rows[0, at], columns[at, 0] = 1.0, value
    return {"w.lora_A": rows, "w.lora_B": columns}


def product(tensors):
    return tensors["w.lora_B"].double() @ tensors["w.lora_A"].double()


def diagonal(*values):
    return torch.diag(torch.tensor([*values, *[0.0] * (SIZE - len(values))], dtype=torch.float64))


def played(goals, *, sites, **options):
    made = scalar_federation(
        seconds=[1.0] * len(goals), mode=HierarchicalServer, averages="products", num_rounds=1,
        **options,
    )  # fmt: skip
    made.network.site_of = sites
    made.executor = GivenExecutor(goals=goals, rate=1.0)
    initial = factors(SIZE - 1, 0.0)
    made.method = AveragingMethod(kind="given", initial=initial, shared=tuple(sorted(initial)))
    made.state = made.method.initial_state()
    made.personal = PersonalTensors(made.method)
    return made, play(made)


@pytest.mark.parametrize("edge_rounds", [1, 2])
def test_sites_send_what_they_do_not_cut(edge_rounds):
    """Rank 1. Site 0: diag(2, 0) and diag(0, 1.5), mean diag(1, 0.75); site 1: diag(0, 0.8).

    Mean diag(1/2, 0.775), cut diag(0, 0.775). Had site 0 cut, it would be diag(1/2, 0).
    """
    made, rows = played(
        [(0, 2.0), (1, 1.5), (1, 0.8), (1, 0.8)],
        sites={0: 0, 1: 0, 2: 1, 3: 1},
        edge_rounds=edge_rounds,
    )
    torch.testing.assert_close(product(made.state.tensors), diagonal(0, 0.775), rtol=0, atol=1e-6)
    assert made.state.version == 1
    assert made.state.tensors["w.lora_A"].shape == (1, SIZE)
    (row,) = rows.rounds
    down = Payload(factors(0, 1.0)).size_bytes
    stacked = Payload({"w.lora_A": torch.zeros(2, SIZE), "w.lora_B": torch.zeros(SIZE, 2)})
    assert row.relayed_bytes == 2 * down + 2 * stacked.size_bytes
    assert {each[2] for each in made.network.relays if each[1] == "uplink"} == {stacked.size_bytes}


def test_clients_of_a_site_go_on_from_its_cut_mean():
    made, _ = played([(0, 2.0), (1, 1.0)], sites={0: 0, 1: 0}, edge_rounds=2)
    second = [job for job in made.executor.jobs if product(job.start.tensors).any()]
    assert len(second) == 2
    for job in second:
        torch.testing.assert_close(product(job.start.tensors), diagonal(1.0), rtol=0, atol=1e-6)


def test_many_clients_of_a_site_have_it_send_the_matrix():
    """Rank 4 in all: factors of 64 numbers are no fewer than the 64 of the product."""
    made, rows = played([(at, 4.0 + at) for at in range(4)], sites=dict.fromkeys(range(4), 0))
    mean = diagonal(0, 0, 0, 7 / 4)
    torch.testing.assert_close(product(made.state.tensors), mean, rtol=0, atol=1e-6)
    dense = Payload({"w.lora_BA": torch.zeros(SIZE, SIZE)}).size_bytes
    assert rows.rounds[0].relayed_bytes == Payload(factors(0, 1.0)).size_bytes + dense


def of_real_method(config, *, mode, sites=None, **settings):
    made = federation(
        config, num_clients=4, cohort=3, num_rounds=1, num_texts=80, mode=mode, **settings
    )
    made.network.site_of = sites or dict.fromkeys(range(4), 0)
    play(made)
    return made


@pytest.mark.parametrize("sites", [None, {0: 0, 1: 1, 2: 1, 3: -1}])
@pytest.mark.parametrize("config", [FeditConfig(rank=2), FlexloraConfig(rank=2)])
def test_with_one_average_a_site_it_is_the_mean_of_products_of_one_level(config, sites):
    """That of one level is FlexLoRA, at the same rank and seed."""
    one = of_real_method(FlexloraConfig(rank=2), mode=SyncServer)
    two = of_real_method(
        config, mode=HierarchicalServer, sites=sites, edge_rounds=1, averages="products"
    )
    assert one.state.tensors.keys() == two.state.tensors.keys()
    for name, value in one.state.tensors.items():
        # a site rounds its mean to single precision
        close = (value - two.state.tensors[name]).abs().max()
        assert close <= 2e-5 * value.abs().max(), name


def test_without_the_setting_the_methods_that_average_products_still_do():
    found = [
        of_real_method(FlexloraConfig(rank=(2, 3)), mode=HierarchicalServer, averages=each)
        for each in ("tensors", "products")
    ]
    first, second = (each.state.tensors for each in found)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_site_fetches_what_the_largest_of_its_clients_needs():
    made = of_real_method(
        FlexloraConfig(rank=(2, 3)), mode=HierarchicalServer, sites=dict.fromkeys(range(4), 5)
    )
    largest = made.method.download(made.method.initial_state(), client_id=1).size_bytes
    (fetched,) = [size for _, direction, size, _ in made.network.relays if direction == "downlink"]
    assert fetched == largest


def test_bytes_are_those_of_the_larger_architecture_where_one_is_charged(tmp_path):
    """Rank 2, three clients: factors of rank 6 of matrices of 64 x 64, those of 32 x 32 too."""
    sizes = {
        "model_type": "bert",
        "vocab_size": VOCABULARY_SIZE,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": NUM_POSITIONS,
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(sizes), encoding="utf-8")
    settings = {"mode": HierarchicalServer, "averages": "products"}
    own = of_real_method(FeditConfig(rank=2), **settings)
    charged = of_real_method(FeditConfig(rank=2), cost_as=path, **settings)
    (down, up), (down_as, up_as) = (
        [size for _, _, size, _ in each.network.relays] for each in (own, charged)
    )
    # 4 layers, A and B, 32 inputs or outputs more, 4 bytes; the head, and digits of the header
    assert up_as - up == pytest.approx(4 * 2 * 6 * 32 * 4 + 3 * 32 * 4, abs=64)
    assert down_as - down == pytest.approx(4 * 2 * 2 * 32 * 4 + 3 * 32 * 4, abs=64)


def test_preferences_are_averaged_as_products_too():
    made = of_real_method(FeddpoConfig(rank=2), mode=HierarchicalServer, averages="products")
    assert made.state.version == 1
