"""Made-up updates of clients, as the server receives them."""

import torch

from fl.methods import install_method
from fl.methods.base import Contribution, base_of
from tests.fl.fakes import classifier, roberta_base_on_meta


def installed(config, *, module=None, seed=3, num_clients=None):
    module = classifier() if module is None else module
    generator = torch.Generator().manual_seed(seed)
    method = install_method(config, module, generator=generator, num_clients=num_clients)
    return method, module


def contribution(method, state, *, client_id, num_samples, seed, version=0):
    """An update whose trained tensors are random and whose others are those of its start."""
    download = method.download(state, client_id=client_id)
    # With a schedule the client holds those shared tensors that the download leaves out.
    held = {**state.tensors, **method.initial_personal(client_id)}
    start = method.start(download, held, version=version)
    generator = torch.Generator().manual_seed(seed)
    trained = {
        name: torch.randn(start.tensors[name].shape, generator=generator)
        for name in start.trainable
    }
    payload = method.upload({**start.tensors, **trained}, version=version)
    return Contribution(
        client_id=client_id,
        payload=payload,
        weight=num_samples,
        staleness=0,
        base=base_of(method, payload, start),
    )


def lora_products(tensors):
    """``B A`` of every adapted layer, in float64."""
    return {
        name.removesuffix(".lora_A"): tensors[name.replace(".lora_A", ".lora_B")].double()
        @ factor.double()
        for name, factor in tensors.items()
        if name.endswith(".lora_A")
    }


def products_before_and_after(method, state, *, version, num_samples=(1, 3, 2)):
    """Weighted mean of the clients' products, and the products of the averaged factors."""
    made = [
        contribution(
            method, state, client_id=client_id, num_samples=count, seed=client_id, version=version
        )
        for client_id, count in enumerate(num_samples)
    ]
    after = method.aggregate(state, made)
    total, held = sum(num_samples), {**method.initial, **state.tensors}
    mean = {}
    for item in made:
        for name, product in lora_products({**held, **item.payload.tensors}).items():
            mean[name] = mean.get(name, 0) + item.weight / total * product
    return mean, lora_products({**method.initial, **after.tensors}), after


def numbers_on_roberta_base(config, *, version=0):
    """Numbers sent up by one client of a RoBERTa-base, head left out."""
    method, _ = installed(config, module=roberta_base_on_meta())
    state = method.initial_state()
    download = method.download(state, client_id=0)
    start = method.start(download, method.initial_personal(0), version=version)
    upload = method.upload(start.tensors, version=version)
    return sum(
        tensor.numel() for name, tensor in upload.tensors.items() if not name.startswith("head.")
    )
