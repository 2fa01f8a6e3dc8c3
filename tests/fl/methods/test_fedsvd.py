"""FedSVD."""

import pytest
import torch

from fl.methods.fedsvd.config import FedsvdConfig
from fl.methods.fedsvd.method import split_anew
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import federation
from tests.fl.methods.updates import installed, numbers_on_roberta_base, products_before_and_after
from tests.fl.watching import watch_training


def payload_numbers(shape, version):
    d, classes, rank = shape.hidden, shape.num_classes, 8
    half, head = 2 * shape.layers * d * rank, d * classes + classes
    return half + head, 2 * half + head


def test_numbers_on_roberta_base_are_half_of_lora():
    assert numbers_on_roberta_base(FedsvdConfig(rank=8)) == 147_456


def test_a_product_of_two_by_two_is_split_as_by_hand():
    # B A = diag(3, -2): singular values 3 and 2, right vectors the axes
    rows = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    columns = torch.tensor([[1.5, 0.0], [0.0, -0.5]])
    right, left = split_anew(rows, columns)
    torch.testing.assert_close(right, torch.eye(2), rtol=0, atol=1e-6)
    torch.testing.assert_close(left, torch.tensor([[3.0, 0.0], [0.0, -2.0]]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_live", [0, 2, 5])
def test_a_split_keeps_the_product_and_makes_rows_orthonormal(num_live):
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn((5, 12), generator=generator)
    columns = torch.randn((9, 5), generator=generator)
    columns[:, num_live:] = 0.0
    right, left = split_anew(rows, columns)
    torch.testing.assert_close(left @ right, columns @ rows, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(right @ right.T, torch.eye(5), rtol=0, atol=1e-6)
    norms = left.norm(dim=0)
    assert bool((norms.diff() <= 1e-5).all())
    torch.testing.assert_close(
        norms.double(), torch.linalg.svdvals((columns @ rows).double())[:5], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("renew_every", [1, 2])
def test_averaging_is_exact_and_a_is_renewed_when_it_is_due(renew_every):
    method, _ = installed(FedsvdConfig(rank=4, renew_every=renew_every))
    state = method.initial_state()
    for version in range(3):
        before = state
        mean, product, state = products_before_and_after(method, state, version=version)
        assert mean
        for name in mean:
            torch.testing.assert_close(product[name], mean[name], rtol=1e-4, atol=1e-4)
        is_due = state.version % renew_every == 0
        for name in state.tensors:
            if name.endswith(".lora_A"):
                assert torch.equal(state.tensors[name], before.tensors[name]) != is_due
        lacks = method.download(state, client_id=0).tensors
        assert any(name.endswith(".lora_A") for name in lacks) == is_due


def test_clients_that_sit_rounds_out_begin_where_the_server_is():
    parts = federation(FedsvdConfig(renew_every=2), num_clients=4, cohort=2, num_rounds=5)
    begun = []
    watch_training(parts, lambda job, _: begun.append((parts.state.tensors, job.start.tensors)))
    parts.env.run(until=parts.env.process(run_rounds(parts)))
    assert len(begun) == 5 * 2
    for server, client in begun:
        assert all(torch.equal(client[name], tensor) for name, tensor in server.items())
