"""What a site makes of the updates of its clients: what they go on from, and what it sends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fl.methods.averaging import by_client, weighted_mean
from fl.methods.base import Contribution, ServerState
from fl.methods.product_mean import compact, cut_products, mean_products, product_layers
from fl.payload import Payload
from fl.server.config import HierarchicalServer, of_mode
from fl.server.federation import Federation
from fl.server.participation import Participation


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeMean:
    """Mean of the updates that a site has received in one of its rounds."""

    state: ServerState
    """What its clients work from next; the version stays that of the server."""
    payload: Payload
    """What it sends the server after its last round."""
    size_bytes: int | None
    """Bytes of that as they are charged; ``None``: as many as it fetched."""
    weights: dict[int, float]
    """Training texts of the clients whose updates are in it, by client."""


def averages_products(federation: Federation) -> bool:
    """Whether products of LoRA are averaged, of which the method shares both factors."""
    method = federation.method
    is_wanted = of_mode(federation.server, HierarchicalServer).averages == "products"
    return (is_wanted or method.merges == "products") and bool(
        product_layers(method.initial_state().tensors)
    )


def average_at_edge(
    federation: Federation, state: ServerState, participations: Sequence[Participation]
) -> EdgeMean | None:
    """Average what a site has received; ``None``: nothing.

    Parameters
    ----------
    federation
        The run.
    state
        What the clients began from.
    participations
        Those of the site in this round of its own; they have ended.
    """
    parts = [each for each in participations if each.is_received]
    made = [each.contribution() for each in parts]
    received = by_client([item for item in made if item is not None])
    if not received:
        return None
    updates = [item.payload.tensors for item in received]
    weights = [item.weight for item in received]
    of_clients = {item.client_id: item.weight for item in received}
    if not averages_products(federation):
        mean = weighted_mean(updates, weights)
        after = replace(state, tensors={**state.tensors, **mean})
        return EdgeMean(
            state=after, payload=Payload(after.tensors), size_bytes=None, weights=of_clients
        )
    products = mean_products(updates, weights)
    cut = cut_products(products, spare=federation.method.initial_state().tensors)
    payload = Payload(compact(products))
    charged = [each.charged.upload for each in parts if each.charged is not None]
    shapes = [each.tensors for each in charged if each is not None]
    as_charged = Payload(compact(mean_products(shapes, weights))) if shapes else payload
    return EdgeMean(
        state=replace(state, tensors={**state.tensors, **cut}),
        payload=payload,
        size_bytes=federation.coding.relay_bytes(as_charged),
        weights=of_clients,
    )


def merge_products(
    federation: Federation, state: ServerState, contributions: Sequence[Contribution]
) -> ServerState:
    """Return the server's next state: the mean of products, cut to the rank of its LoRA.

    A rule of aggregation once the federation is given (:func:`fl.server.aggregation.merge`).
    """
    ordered = by_client(contributions)
    mean = mean_products(
        [item.payload.tensors for item in ordered], [item.weight for item in ordered]
    )
    cut = cut_products(mean, spare=federation.method.initial_state().tensors)
    return replace(state, version=state.version + 1, tensors={**state.tensors, **cut})
