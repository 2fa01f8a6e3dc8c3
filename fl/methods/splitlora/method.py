"""Split fine-tuning on LoRA: what travels between rounds is the client's part of the adaptation."""

from dataclasses import dataclass, field

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method, ServerState
from fl.methods.splitlora.config import NUMBER_BYTES, SplitloraConfig
from fl.models.architecture import transformer_blocks
from fl.payload import Payload, Tensors
from fl.peft.lora import install_lora
from fl.training.job import Start
from fl.training.objective import SplitLoss


@dataclass(frozen=True, kw_only=True)
class SplitMethod(AveragingMethod):
    """An averaging method whose server holds a part of every job.

    Implements :class:`fl.methods.base.HoldsAtServer`. All shared tensors are averaged; those of the
    client alone travel.
    """

    of_client: tuple[str, ...]
    """Names of the shared tensors of the client, sorted."""
    _sent: list[tuple[Tensors, Payload]] = field(
        init=False, repr=False, compare=False, default_factory=list
    )

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return the client's part of the shared tensors: of one state the same object."""
        if not self._sent or self._sent[0][0] is not state.tensors:
            self._sent[:] = [(state.tensors, Payload(self._pick(state.tensors, self.of_client)))]
        return self._sent[0][1]

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at both parts; where the server's is not given, at its first values."""
        received = download.tensors if download is not None else {}
        tensors = {**self.initial, **personal, **received}
        return Start(tensors=tensors, trainable=self._all_trained)

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return the client's part."""
        return Payload(self._pick(trained, self.of_client))

    def at_server(self, tensors: Tensors) -> Tensors:
        """Return the server's part."""
        of_client = set(self.of_client)
        names = [name for name in self.shared if name not in of_client and name in tensors]
        return self._pick(tensors, names)


def install(config: SplitloraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value projections; that of the first blocks is the client's.

    Raises
    ------
    ValueError
        If no adapted layer is in these blocks.
    """
    initial = install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator)
    blocks = tuple(f"{each.name}." for each in transformer_blocks(module)[: config.cut_layer])
    of_client = tuple(name for name in initial if name.startswith(blocks))
    if not of_client:
        msg = (
            "cut_layer: must leave the client a layer that training.lora.targets adapts, got "
            f"{config.cut_layer}"
        )
        raise ValueError(msg)
    return SplitMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(initial),
        of_client=of_client,
        options=config,
        objective=SplitLoss(
            cut_layer=config.cut_layer,
            number_bytes=NUMBER_BYTES[config.activations],
            server_flop_per_s=config.server_flop_per_s,
        ),
    )
