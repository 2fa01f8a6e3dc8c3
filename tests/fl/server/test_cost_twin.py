"""Costs of a larger architecture: equal to those of training it, with the small model's values."""

import json
from dataclasses import replace

import pytest
import torch

from fl.methods import METHODS
from fl.methods.averaging import AveragingMethod
from fl.methods.bitfit.config import BitfitConfig
from fl.methods.fedamole.config import FedamoleConfig
from fl.methods.fedamole.dealing import ASSIGNMENT
from fl.methods.fedit.config import FeditConfig
from fl.methods.fedtt.config import FedttConfig
from fl.methods.hetlora.config import HetloraConfig
from fl.methods.pftt.config import PfttConfig
from fl.problems import ModelError
from fl.server.cost_twin import TwinMaker
from fl.server.modes import run_server
from tests.fl.fakes import (
    NUM_CLASSES,
    NUM_POSITIONS,
    SMALLEST,
    VOCABULARY_SIZE,
    classifier,
    federation,
    language_model,
    task_of,
)

LAYERS, HIDDEN = 3, 64
NUM_CLIENTS = 4


@pytest.fixture
def larger(tmp_path):
    """The configuration of ``classifier(layers=3, hidden=64)``."""
    path = tmp_path / "config.json"
    sizes = {
        "model_type": "bert",
        "vocab_size": VOCABULARY_SIZE,
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "intermediate_size": 2 * HIDDEN,
        "max_position_embeddings": NUM_POSITIONS,
    }
    path.write_text(json.dumps(sizes), encoding="utf-8")
    return path


def play(made):
    made.env.run(until=made.env.process(run_server(made)))
    return made.recorder


def costs(rows):
    """All that a larger model changes; joules of the radio follow from seconds."""
    return (
        [(row.uplink_bytes, row.downlink_bytes, row.energy_j) for row in rows.rounds],
        [(row.download_s, row.compute_s, row.upload_s, row.compute_j) for row in rows.clients],
    )


def without_pruning(kind):
    config = SMALLEST[kind]
    # What a client prunes follows from trained values: of different models, different ranks.
    return replace(config, min_rank=config.rank) if kind == "hetlora" else config


def twin(name, config, *, num_clients=10):
    return TwinMaker().make(
        str(name),
        config,
        num_classes=NUM_CLASSES,
        is_generation=False,
        pooling="mean",
        num_clients=num_clients,
        max_tokens=12,
    )


CLASSIFYING = sorted(kind for kind in METHODS if task_of(SMALLEST[kind]) == "classification")
WRITING = sorted(set(METHODS) - set(CLASSIFYING))


@pytest.mark.parametrize("kind", sorted(set(CLASSIFYING) - {"fedamole"}))
def test_costs_are_those_of_training_the_larger_model(kind, larger):
    config, options = without_pruning(kind), {"num_clients": NUM_CLIENTS, "num_rounds": 2}
    charged = costs(play(federation(config, cost_as=larger, **options)))
    module = classifier(layers=LAYERS, hidden=HIDDEN)
    trained = costs(play(federation(config, module=module, **options)))
    assert charged[0] == trained[0]
    assert charged[1] == trained[1]


def test_losses_and_scores_are_those_of_the_small_model(larger):
    config = SMALLEST["pftt"]
    small, charged = play(federation(config)), play(federation(config, cost_as=larger))
    assert [row.mean for row in charged.evaluations] == [row.mean for row in small.evaluations]
    losses = [[row.train_loss for row in rows.clients] for rows in (charged, small)]
    assert losses[0] == losses[1]
    assert costs(charged)[0] != costs(small)[0]


@pytest.mark.parametrize("downlink", ["unicast", "broadcast"])
def test_broadcasts_and_lost_uploads_are_those_of_the_larger_model(larger, downlink):
    failing = {(1, "uplink"): "dropped", (2, "downlink"): "dropped"}
    options = {"failing": failing, "downlink": downlink, "cohort": 3, "num_rounds": 2}
    config = FeditConfig(rank=2)
    charged = play(federation(config, cost_as=larger, **options))
    trained = play(federation(config, module=classifier(layers=LAYERS, hidden=HIDDEN), **options))
    assert costs(charged) == costs(trained)


@pytest.mark.parametrize("kind", ["fedit", *WRITING])
def test_written_texts_cost_what_they_cost_the_larger_model(kind, tmp_path):
    path = tmp_path / "config.json"
    sizes = {
        "model_type": "llama",
        "vocab_size": VOCABULARY_SIZE,
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 2 * HIDDEN,
        "max_position_embeddings": NUM_POSITIONS,
    }
    path.write_text(json.dumps(sizes), encoding="utf-8")
    config, options = SMALLEST[kind], {"task": "generation"}
    charged = play(federation(config, cost_as=path, **options))
    larger_model = language_model(layers=LAYERS, hidden=HIDDEN)
    trained = play(federation(config, module=larger_model, **options))
    assert costs(charged) == costs(trained)


def test_facts_are_of_the_larger_model_and_those_of_the_trained_one_stay(larger):
    made = federation(FeditConfig(rank=2), cost_as=larger)
    direct = federation(FeditConfig(rank=2), module=classifier(layers=LAYERS, hidden=HIDDEN))
    assert made.facts() == direct.facts()
    assert made.trained_facts() == federation(FeditConfig(rank=2)).facts()


def test_ranks_that_clients_prune_are_those_of_the_small_model(larger):
    # A penalty that outweighs the task shrinks every tail.
    config = HetloraConfig(rank=4, gamma=0.5, penalty_weight=1e3)
    made = federation(config, cost_as=larger, cohort=2, num_clients=2, num_rounds=2)
    play(made)
    ranks = [made.method.rank_of(made.state, client_id) for client_id in range(2)]
    assert max(ranks) < 4
    shapes = [
        tensor.shape[0]
        for client_id in range(2)
        for name, tensor in made.twin.charge(client_id).download.tensors.items()
        if name.endswith("lora_A")
    ]
    assert shapes == [rank for rank in ranks for _ in range(2 * LAYERS)]


def test_experts_are_dealt_as_in_the_small_model(larger):
    made = federation(FedamoleConfig(), cost_as=larger, num_clients=10, cohort=3, num_rounds=2)
    play(made)
    dealt = made.state.memory[ASSIGNMENT].sum(dim=1)  # (layer, client): 2 blocks, 2 layers each
    for client_id in range(10):
        tensors = made.twin.charge(client_id).download.tensors
        held = [len(each) for name, each in tensors.items() if name.endswith("domain_A")]
        # Six layers to four: 0 0 1 2 2 3.
        assert held == [int(dealt[layer, client_id]) for layer in (0, 0, 1, 2, 2, 3)]


@pytest.mark.parametrize(
    ("config", "numbers"),
    [
        (FeditConfig(rank=8), 294_912),
        (FedttConfig(rank=5, classifier="linear"), 57_408),
        (PfttConfig(adapter_dim=64), 2_379_264),
    ],
)
def test_known_numbers_on_roberta_base(config, numbers):
    assert numbers_without_head(twin("roberta-base", config).charge(0).upload.tensors) == numbers


def test_known_numbers_of_fedamole_on_llama():
    made = twin("llama-3.2-1b", FedamoleConfig(), num_clients=10)
    sent = [
        numbers_without_head(made.charge(client_id).download.tensors) for client_id in range(10)
    ]
    # 30 experts that choose 2 of 10 clients: 6 each on average.
    assert sum(sent) == 10 * 6_488_064


def numbers_without_head(tensors):
    return sum(
        each.numel()
        for name, each in tensors.items()
        if not name.startswith("head.") and not name.endswith("expert_ids")
    )


def test_a_method_that_cannot_be_installed_is_refused_in_one_line():
    with pytest.raises(ModelError) as caught:
        twin("llama-3.2-1b", BitfitConfig())
    assert str(caught.value) == (
        "model.cost_as: 'llama-3.2-1b' does not work with bitfit: bitfit trains the biases of the "
        "backbone; LlamaModel has none"
    )


def test_texts_beyond_the_positions_are_refused(larger):
    with pytest.raises(ModelError, match=r"has 32 positions, texts and virtual tokens .* up to 92"):
        twin(larger, replace(SMALLEST["prompt_tuning"], num_virtual_tokens=80))


def test_an_average_of_shapes_computes_nothing(larger):
    method = twin(larger, FeditConfig(rank=2)).method
    assert isinstance(method, AveragingMethod)
    made = twin(larger, FeditConfig(rank=2))
    made.aggregate([made.charge(0), made.charge(1)], leader=made.method.initial_state())
    assert all(
        each.device == torch.device("meta") for each in made.charge(0).download.tensors.values()
    )
