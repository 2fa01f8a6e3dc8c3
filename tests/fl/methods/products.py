"""Parts that clients play by hand, and dense products, for methods that merge products."""

import torch

from fl.methods import install_method
from fl.methods.base import Contribution
from fl.methods.low_rank import lora_layers
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import classifier
from tests.fl.watching import watch_training


def installed(config, *, seed=3, module=None):
    generator = torch.Generator().manual_seed(seed)
    return install_method(config, module or classifier(), generator=generator)


def random_part(
    method, state, client_id, *, num_samples=1, personal=None, version=0, client_outputs=None
):
    """Contribution and personal tensors after a part whose trained tensors are random."""
    download = method.download(state, client_id=client_id)
    held = method.initial_personal(client_id) if personal is None else personal
    start = method.start(download, held, version=version)
    generator = torch.Generator().manual_seed(100 * (version + 1) + client_id)
    random = {
        name: torch.randn(start.tensors[name].shape, generator=generator)
        for name in start.trainable
    }
    trained = {**start.tensors, **random, **start.client_outputs, **(client_outputs or {})}
    upload = Contribution(
        client_id=client_id,
        payload=method.upload(trained, version=version),
        weight=num_samples,
        staleness=0,
    )
    return upload, method.personal(trained)


def products(tensors):
    """``B A`` of every adapted layer, in float64."""
    return {
        layer: tensors[f"{layer}.lora_B"].double() @ tensors[f"{layer}.lora_A"].double()
        for layer in lora_layers(tensors)
    }


def mean_products(contributions):
    """Sample-weighted mean of the clients' products, layer by layer."""
    total = sum(item.weight for item in contributions)
    each = [products(item.payload.tensors) for item in contributions]
    return {
        layer: sum(
            item.weight / total * product[layer]
            for item, product in zip(contributions, each, strict=True)
        )
        for layer in each[0]
    }


def play(federation):
    """Run all rounds; give the federation, with the jobs that were submitted and the states."""
    jobs = []
    watch_training(federation, lambda job, _: jobs.append((job, federation.state)))
    federation.env.run(until=federation.env.process(run_rounds(federation)))
    return jobs
