"""Dealing of experts: means over holders, and who is dealt what by which setting."""

import numpy as np
import pytest
import torch

from fl.methods.fedamole.config import FedamoleConfig
from fl.methods.fedamole.dealing import dealt_anew, first_memory, mean_of_holders

CONFIG = FedamoleConfig(num_domain_experts=4, clients_per_expert=1, top_k=1, max_experts=2, rank=2)


def dealt(assignment, *, experts, clients, known, version=1):
    config = FedamoleConfig(
        num_domain_experts=4, clients_per_expert=1, top_k=1, max_experts=2, rank=2,
        assignment=assignment,
    )  # fmt: skip
    memory = first_memory(config, num_layers=1, num_clients=3, seed=5)
    memory = {
        **memory,
        "experts": torch.tensor([experts]),
        "clients": torch.tensor([clients]),
        "is_known": torch.tensor(known),
    }
    after = dealt_anew(memory, config=config, seed=5, version=version)
    return memory["assignment"].numpy(), after["assignment"][0].numpy()


def test_rows_are_means_over_those_that_sent_them():
    before = torch.arange(12.0).reshape(4, 3)
    rows = [torch.tensor([0, 2]), torch.tensor([2, 1])]
    values = [torch.ones(2, 3), torch.full((2, 3), 4.0)]
    after = mean_of_holders(before, rows, values)
    assert torch.equal(after, torch.tensor([[1.0] * 3, [4.0] * 3, [2.5] * 3, [9.0, 10.0, 11.0]]))
    assert torch.equal(before, torch.arange(12.0).reshape(4, 3))


def test_the_first_deal_keeps_the_sums_in_every_layer_and_knows_nobody():
    memory = first_memory(CONFIG, num_layers=3, num_clients=3, seed=5)
    held = memory["assignment"].numpy()
    assert held.shape == (3, 4, 3)
    assert (held.sum(axis=2) == 1).all()
    assert set(held.sum(axis=1).ravel().tolist()) == {1, 2}
    assert not memory["is_known"].any()
    with pytest.raises(ValueError, match="4 experts that pick 1 clients each must leave 1 to 2"):
        first_memory(CONFIG, num_layers=1, num_clients=5, seed=5)


EXPERTS = [[9.0, 0.0], [0.0, 9.0], [0.0, 9.0], [-9.0, -9.0]]
CLIENTS = [[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]


def test_experts_go_to_the_clients_whose_embeddings_they_resemble():
    _, after = dealt("embeddings", experts=EXPERTS, clients=CLIENTS, known=[True] * 3)
    assert after.tolist() == [
        [True, False, False], [False, True, False], [False, True, False], [False, False, True],
    ]  # fmt: skip


def test_a_client_that_never_delivered_counts_as_the_mean_of_the_others():
    """Its own numbers, were they read, would win it the two experts of the second client."""
    lost = [[1.0, 0.0], [0.0, 1.0], [0.0, 50.0]]
    _, after = dealt("embeddings", experts=[*EXPERTS[:3], [0.0, 9.0]], clients=lost,
                     known=[True, True, False])  # fmt: skip
    assert after[0].tolist() == [True, False, False]
    assert after.sum(axis=0).tolist() == [1, 2, 1]


@pytest.mark.parametrize("version", [1, 2])
def test_random_deals_are_functions_of_seed_and_version_and_static_ones_stay(version):
    settings = {"experts": EXPERTS, "clients": CLIENTS, "known": [True] * 3}
    before, after = dealt("static", **settings, version=version)
    assert np.array_equal(before[0], after)
    deals = [dealt("random", **settings, version=version)[1] for _ in range(2)]
    assert np.array_equal(*deals)
    others = [dealt("random", **settings, version=version + k)[1] for k in range(1, 6)]
    assert any(not np.array_equal(deals[0], other) for other in others)
