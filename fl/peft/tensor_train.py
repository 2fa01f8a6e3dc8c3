"""A linear layer whose matrix is a tensor train, and how it is applied without forming the matrix.

The matrix of shape ``(in, out)``, flattened row by row, is read as a tensor of modes
``k_1 ... k_J`` with ``k_1 k_2 ... k_J = in out``; entry ``(i_1, ..., i_J)`` is the product of
matrices ``G_1[i_1] ... G_J[i_J]`` with cores ``G_j`` of shape ``(r_{j-1}, k_j, r_j)`` and
``r_0 = r_J = 1``. Source: LoRETTA (Yang et al., NAACL 2024, arXiv:2402.11417), text and code
(``yifanycc/loretta``); FedTT (arXiv:2410.13097) shares author and shapes.

How it is applied is our choice: the cores of the input's modes are multiplied out to one thin
matrix, those of the output's to another, and ``x`` passes through both. Where a mode spans the
border between input and output, its core is cut there. That is less work than the matrix itself
unless ranks are large; the cheaper of the two is taken, by counted multiplications a row of ``x``
(so the choice does not depend on the batch). A train whose modes can be cut nowhere is multiplied
out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

LARGEST_MODE = 12
"""Modes are made so many that none need be larger; 12 is the largest in the lists for width 768."""

LISTED: dict[tuple[int, int], tuple[int, ...]] = {
    (1024, 64): (4, 8, 8, 8, 8, 4),
    (64, 1024): (4, 8, 8, 8, 8, 4),
    (4096, 64): (16, 16, 16, 4, 4, 4),
    (64, 4096): (4, 4, 4, 16, 16, 16),
    (5120, 64): (5, 8, 8, 16, 8, 8),
    (64, 5120): (8, 8, 16, 8, 8, 5),
}
"""Modes by (in, out), where they are published and :func:`choose_modes` would differ: 4096 from the
LoRETTA paper's table 10, 1024 and 5120 from its code (64x5120 reversed by us, so that it can be
cut; the number of parameters is the same)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where a train is cut into an input part and an output part."""

    core: int
    """Index of the last core that belongs to the input, wholly or with its first modes."""
    left: int
    """Part of this core's mode that counts rows; the rest counts columns."""
    right: int
    """Part that counts columns; 1 where modes and border align."""


def choose_modes(in_features: int, out_features: int) -> tuple[int, ...]:
    """Return the modes of a matrix: those published for its shape, else balanced and aligned.

    Otherwise our rule: each side becomes the fewest modes of which none need exceed 12, its prime
    factors dealt, largest first, to the mode that is smallest so far; the input's modes ascend, the
    output's descend, so that the border falls between two modes. For width 768 and bottleneck 64
    this gives the published lists.

    Examples
    --------
    >>> choose_modes(768, 64), choose_modes(64, 768)
    ((8, 8, 12, 8, 8), (8, 8, 12, 8, 8))
    >>> choose_modes(768, 768)
    (8, 8, 12, 12, 8, 8)
    >>> choose_modes(128, 64)
    (8, 16, 8, 8)
    """
    listed = LISTED.get((in_features, out_features))
    if listed is not None:
        return listed
    return (*_balanced(in_features), *reversed(_balanced(out_features)))


def find_cut(modes: Sequence[int], in_features: int) -> Cut | None:
    """Find where the first modes, multiplied, make up the input; ``None`` if no mode can be cut."""
    before = 1
    for core, mode in enumerate(modes):
        if in_features <= before * mode:
            left, rest = divmod(in_features, before)
            fits = rest == 0 and mode % left == 0
            return Cut(core=core, left=left, right=mode // left) if fits else None
        before *= mode
    return None


def train_numbers(modes: Sequence[int], rank: int) -> int:
    """Count the numbers in all cores: ``r (k_1 + k_J) + r^2 (k_2 + ... + k_{J-1})``.

    Examples
    --------
    >>> train_numbers((8, 8, 12, 8, 8), 5)
    780
    """
    return sum(before * mode * after for before, mode, after in core_shapes(modes, rank))


def core_shapes(modes: Sequence[int], rank: int) -> list[tuple[int, int, int]]:
    """Return the shape ``(r_{j-1}, k_j, r_j)`` of each core."""
    ranks = [1, *[rank] * (len(modes) - 1), 1]
    return [(ranks[at], mode, ranks[at + 1]) for at, mode in enumerate(modes)]


class TensorTrainLinear(nn.Module):
    """``y = x W + b`` with ``W`` as a tensor train; values are unset until :meth:`reset`.

    Parameters
    ----------
    in_features, out_features
        Shape of ``W``.
    rank
        Every inner rank. It is not clipped: a rank above the first or last mode is redundant there
        and counted nevertheless, as in the published numbers for rank 10. It must not exceed what
        any bond of the train can use.
    modes
        ``k_1 ... k_J``, their product ``in out``, at least two; :func:`choose_modes` when ``None``.

    Raises
    ------
    ValueError
        Modes that do not multiply to the size of the matrix, or a rank that no bond can use.
    """

    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        rank: int,
        modes: Sequence[int] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.modes = tuple(choose_modes(in_features, out_features) if modes is None else modes)
        self.in_features, self.out_features = in_features, out_features
        _check(self.modes, rank=rank, in_features=in_features, out_features=out_features)
        self.cores = nn.ParameterList(
            nn.Parameter(torch.empty(shape, device=device))
            for shape in core_shapes(self.modes, rank)
        )
        self.bias = nn.Parameter(torch.empty(out_features, device=device))
        self._cut = find_cut(self.modes, in_features)

    def reset(self, generator: torch.Generator) -> None:
        """Draw new values: entries of ``W`` with standard deviation ``1 / sqrt(in + out)``.

        Core ``j`` is normal with standard deviation ``s^(1/J) / sqrt(r_j)``, so that a sum of
        ``r^(J-1)`` products of ``J`` entries has ``s = (in + out)^(-1/2)``; the bias is uniform
        within ``1 / sqrt(out)`` [LoRETTA's code].
        """
        std = (self.in_features + self.out_features) ** -0.5
        bound = self.out_features**-0.5
        with torch.no_grad():
            for core in self.cores:
                core.normal_(generator=generator)
                core.mul_(std ** (1 / len(self.modes)) / math.sqrt(core.shape[2]))
            self.bias.uniform_(-bound, bound, generator=generator)

    def weight(self) -> torch.Tensor:
        """Multiply the train out to the matrix that it stands for, of shape ``(in, out)``."""
        return _merge(list(self.cores)).reshape(self.in_features, self.out_features)

    @property
    def is_contracted(self) -> bool:
        """Whether ``x`` passes through the two parts of the train, and ``W`` is never formed."""
        cost = self._multiplications()
        return cost is not None and cost < self.in_features * self.out_features

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the layer to vectors of ``in`` entries on the last axis."""
        if self._cut is None or not self.is_contracted:
            return functional.linear(hidden, self.weight().T, self.bias)
        cores, at, right = list(self.cores), self._cut.core + 1, self._cut.right
        first = _merge(cores[:at])
        rank = first.shape[-1]
        # Rank first, contiguous: products with a thin matrix are several times slower otherwise,
        # here and in the backward pass.
        first = first.reshape(self.in_features, right * rank).T.contiguous()
        low = functional.linear(hidden, first)
        second = self._output_part(cores[at:], rank)
        if right == 1:
            flat = torch.addmm(self.bias, low.reshape(-1, rank), second)
        else:
            flat = low.reshape(-1, rank) @ second
        out = flat.reshape(*hidden.shape[:-1], self.out_features)
        return out if right == 1 else out + self.bias

    def _output_part(self, cores: Sequence[torch.Tensor], rank: int) -> torch.Tensor:
        """Multiply out the cores of the output; a train that ends at the cut has none."""
        return _merge(cores).reshape(rank, -1) if cores else self.cores[0].new_ones((rank, 1))

    def _multiplications(self) -> int | None:
        """Count multiplications a row of ``x`` through the two parts."""
        if self._cut is None:
            return None
        rank = self.cores[self._cut.core].shape[2]
        right = self._cut.right
        return self.in_features * right * rank + rank * self.out_features

    def extra_repr(self) -> str:
        """Show shape, modes and how it is applied."""
        how = "contracted" if self.is_contracted else "multiplied out"
        return f"{self.in_features}, {self.out_features}, modes={self.modes}, {how}"


def _merge(cores: Sequence[torch.Tensor]) -> torch.Tensor:
    """Multiply neighbouring cores, first to last: ``(r_0 k_a ... k_b, r_b)``, modes row-major."""
    merged = cores[0].flatten(0, 1)
    for core in cores[1:]:
        merged = (merged @ core.flatten(1)).reshape(-1, core.shape[2])
    return merged


def _check(modes: Sequence[int], *, rank: int, in_features: int, out_features: int) -> None:
    size = math.prod(modes)
    if len(modes) < 2 or size != in_features * out_features:
        msg = (
            f"modes: must be at least 2 whose product is {in_features} x {out_features} = "
            f"{in_features * out_features}, got {list(modes)}"
        )
        raise ValueError(msg)
    sides = [math.prod(modes[:at]) for at in range(1, len(modes))]
    largest = max(min(side, size // side) for side in sides)
    if rank > largest:
        msg = (
            f"rank: must be <= {largest}, the largest that a {in_features} x {out_features} tensor "
            f"train of modes {list(modes)} can use, got {rank}"
        )
        raise ValueError(msg)


def _balanced(number: int) -> list[int]:
    """Split a number into the fewest factors of which none need exceed 12, ascending."""
    count = 1
    while LARGEST_MODE**count < number:
        count += 1
    modes = [1] * count
    for factor in sorted(_prime_factors(number), reverse=True):
        modes[modes.index(min(modes))] *= factor
    return sorted(mode for mode in modes if mode > 1) or [1]


def _prime_factors(number: int) -> list[int]:
    factors, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    return [*factors, number] if number > 1 else factors
