"""What the formulas of the cards depend on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A BERT-like model and one client of a federation."""

    layers: int
    hidden: int
    feed_forward: int
    num_classes: int
    client_id: int
    num_clients: int
    held: tuple[int, ...] = ()
    """Domain experts that the server dealt to the client, layer by layer; for ``fedamole``."""
