"""A mixture of low-rank experts beside a linear layer, of any number, which may change.

The module of FedAMoLE (arXiv:2411.19128), as its authors' code computes it
(``zyc140345/FedAMoLE``, ``model/mole/layer.py`` [code]). Of a token ``x``, with domain experts
``(A_e, B_e)``, a shared expert ``(A_s, B_s)`` and a token projection ``T``::

    u_e = A_e x,  v = T x,  pi = softmax_e(<u_e, v> / sqrt(r))
    g_e = pi_e / sum of the k largest pi     for those k, else 0
    y = W x + s B_s A_s x + s sum_e g_e B_e A_e x,      s = alpha / r

An expert's own ``A`` embeds it for the router, so that no weight of the router depends on how many
experts there are, and its gradient comes from what the expert adds as well as from the routing.
Dropout acts on what comes into experts, not on what the router sees [code].

Every held expert is computed for every token and what the router did not choose is multiplied by
zero: for the few experts of a client that is faster than gathering tokens.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from fl.models.architecture import layer_shape
from fl.models.lora_settings import DEFAULT_LORA, LoraSettings
from fl.peft.lora import check_rank, dropped, lora_settings_of, scale_of, target_layers

DOMAIN = ("domain_A", "domain_B")
"""Parameters whose first dimension counts the domain experts."""


class LoraExperts(nn.Module):
    """The experts and the router of one linear layer; values are unset until :meth:`reset`.

    Parameters
    ----------
    in_features, out_features
        Of the layer beside which they stand.
    num_experts
        Domain experts; with none there is no router either, and the shared expert is plain LoRA.
    rank
        Rank of every expert, and length of the router's embeddings.
    alpha
        Numerator of the scale ``alpha / rank``.
    top_k
        Domain experts that a token goes through; all where fewer are held.
    settings
        Dropout, and how the scale falls with the rank.
    device, dtype
        Of the parameters.
    """

    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        num_experts: int,
        rank: int,
        alpha: float,
        top_k: int,
        settings: LoraSettings = DEFAULT_LORA,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()

        def unset(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        self.shared_A = unset(rank, in_features)
        self.shared_B = unset(out_features, rank)
        if num_experts > 0:
            self.projection = unset(rank, in_features)
            self.domain_A = unset(num_experts, rank, in_features)
            self.domain_B = unset(num_experts, out_features, rank)
        self._has_router = num_experts > 0
        self._top_k = top_k
        self._scale = scale_of(alpha, rank=rank, is_stabilised=settings.rank_stabilised)
        self.lora_dropout = settings.dropout
        """Part of the experts' input that is dropped, in training mode."""
        self.token_shape: tuple[int, ...] | None = None
        """Texts and tokens of the forward pass that runs. To be set before it: some attention uses
        a layer several times a pass, for the text and for its table of relative positions, and only
        the text counts in :attr:`balance`. ``None``: any input is the text, the last one counts."""
        self.mask: torch.Tensor | None = None
        """Tokens that count in :attr:`balance`, 1 or 0, shape of the input without its last
        dimension; all count when ``None``. To be set before a forward pass."""
        self.balance: torch.Tensor | None = None
        """Balance loss of the last forward pass, if it recorded gradients; the sum over its uses
        in a layer that several blocks share."""

    def reset(self, generator: torch.Generator) -> None:
        """Draw all first values."""
        self.reset_shared(generator)
        self.reset_domain(generator)

    def reset_shared(self, generator: torch.Generator | None) -> None:
        """Draw the shared ``A`` uniform within ``1 / sqrt(in_features)``; set ``B`` to zero."""
        _draw(self.shared_A, generator)
        nn.init.zeros_(self.shared_B)

    def reset_domain(self, generator: torch.Generator | None) -> None:
        """Draw the token projection and each domain expert's ``A`` so too; set ``B`` to zero."""
        if self._has_router:
            _draw(self.projection, generator)
            for factor in self.domain_A:
                _draw(factor, generator)
            nn.init.zeros_(self.domain_B)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return what the experts add to the layer's output; the last dimension holds features."""
        if not self._has_router:
            low = functional.linear(dropped(self, hidden), self.shared_A)
            return self._scale * functional.linear(low, self.shared_B)
        # All first factors in one product, all second ones in another.
        first = torch.cat([self.shared_A, self.projection, self.domain_A.flatten(0, 1)])
        rank = self.shared_A.shape[0]
        low = functional.linear(hidden, first)
        low = low.view(*low.shape[:-1], -1, rank)
        shared, token, experts = low[..., :1, :], low[..., 1:2, :], low[..., 2:, :]
        logits = (experts * token).sum(dim=-1) * rank**-0.5
        gates, is_chosen = route(logits, top_k=self._top_k)
        self._note_balance(hidden, logits, is_chosen)
        if self.training and self.lora_dropout:
            factors = torch.cat([self.shared_A, self.domain_A.flatten(0, 1)])
            low = functional.linear(dropped(self, hidden), factors)
            low = low.view(*low.shape[:-1], -1, rank)
            shared, experts = low[..., :1, :], low[..., 1:, :]
        mixed = torch.cat([shared, experts * gates.unsqueeze(-1)], dim=-2).flatten(-2)
        second = torch.cat([self.shared_B, self.domain_B.transpose(0, 1).flatten(1)], dim=1)
        return self._scale * functional.linear(mixed, second)

    def is_text(self, hidden: torch.Tensor) -> bool:
        """Whether an input holds the tokens of the text, and no table of positions."""
        return self.token_shape is None or tuple(hidden.shape[:-1]) == self.token_shape

    def _note_balance(
        self, hidden: torch.Tensor, logits: torch.Tensor, is_chosen: torch.Tensor
    ) -> None:
        if not torch.is_grad_enabled():
            self.balance = None
        elif self.is_text(hidden):
            loss = balance_loss(logits, is_chosen, mask=self.mask)
            before = None if self.token_shape is None else self.balance
            self.balance = loss if before is None else before + loss


class LoraExpertsLinear(nn.Module):
    """A frozen linear layer with experts beside it.

    ``expert_ids`` says which of all experts those in place are; nothing is computed from it.
    """

    def __init__(self, base_layer: nn.Module, experts: LoraExperts, *, num_experts: int) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.experts = experts
        if num_experts > 0:
            ids = torch.arange(num_experts, dtype=torch.int32)
            self.expert_ids = nn.Parameter(ids, requires_grad=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the layer and add what the experts say."""
        added = self.experts(hidden)
        return self.base_layer(hidden) + added


def route(logits: torch.Tensor, *, top_k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose experts for each token and weigh them.

    Parameters
    ----------
    logits
        Shape ``(..., expert)``.
    top_k
        Experts a token goes through; all where there are fewer.

    Returns
    -------
    gates, is_chosen
        Shape ``(..., expert)``: weights of sum 1 over the chosen experts, 0 for others; and who was
        chosen. The chosen part of the softmax, normalised again, is the softmax over the chosen.
    """
    chosen = logits.topk(min(top_k, logits.shape[-1]), dim=-1).indices
    is_chosen = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, chosen, value=True)
    return logits.masked_fill(~is_chosen, -math.inf).softmax(dim=-1), is_chosen


def balance_loss(
    logits: torch.Tensor, is_chosen: torch.Tensor, *, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Return ``n sum_e f_e P_e``: 1 when ``n`` experts share tokens evenly, more when they do not.

    ``f_e`` is the part of all choices that went to expert ``e``, without gradient; ``P_e`` is its
    mean softmax over tokens [code].

    Parameters
    ----------
    logits, is_chosen
        Shape ``(..., expert)``, as :func:`route` takes and gives them.
    mask
        Tokens that count, 1 or 0, shape ``(...)``; all when ``None``.
    """
    num_experts = logits.shape[-1]
    chosen = is_chosen.to(logits.dtype).flatten(0, -2)
    shares = logits.softmax(dim=-1).flatten(0, -2)
    if mask is None:
        mean_share, counts = shares.mean(dim=0), chosen.sum(dim=0)
    else:
        weights = mask.to(logits.dtype).reshape(-1, 1)
        mean_share = (weights * shares).sum(dim=0) / weights.sum()
        counts = (weights * chosen).sum(dim=0)
    return num_experts * ((counts / counts.sum()).detach() * mean_share).sum()


def add_lora_experts(
    module: nn.Module,
    *,
    targets: Sequence[str],
    num_experts: int,
    rank: int,
    alpha: float,
    top_k: int,
    generator: torch.Generator,
) -> dict[str, LoraExpertsLinear]:
    """Put experts beside every target layer, in place.

    Parameters
    ----------
    module
        Backbone; its other parameters keep their values (their names gain ``base_layer``).
    targets
        Ends of the names of the linear layers to adapt.
    num_experts
        Domain experts of each layer, at least 0.
    rank, alpha, top_k
        As :class:`LoraExperts` takes them.
    generator
        Source of the first values. Shared experts are drawn first, as LoRA draws its own: with the
        same generator they begin equal.

    Returns
    -------
    dict
        The new layers by name, in the module's order.

    Raises
    ------
    ValueError
        As :func:`fl.peft.lora.add_lora`.
    """
    places = target_layers(module, targets)
    check_rank(module, places, rank=rank)
    layers = {}
    for name in places:
        parent_name, _, leaf = name.rpartition(".")
        parent = module.get_submodule(parent_name)
        base = getattr(parent, leaf)
        out_features, in_features = layer_shape(base)
        experts = LoraExperts(
            in_features=in_features,
            out_features=out_features,
            num_experts=num_experts,
            rank=rank,
            alpha=alpha,
            top_k=top_k,
            settings=lora_settings_of(module),
            device=base.weight.device,
            dtype=base.weight.dtype,
        )
        layers[name] = LoraExpertsLinear(base, experts, num_experts=num_experts)
        setattr(parent, leaf, layers[name])
    for layer in layers.values():
        layer.experts.reset_shared(generator)
    for layer in layers.values():
        layer.experts.reset_domain(generator)
    return layers


def _draw(factor: torch.Tensor, generator: torch.Generator | None) -> None:
    nn.init.kaiming_uniform_(factor, a=math.sqrt(5), generator=generator)
