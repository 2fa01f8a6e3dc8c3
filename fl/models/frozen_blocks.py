"""What the blocks below all trained ones make of the same texts, computed once.

A model whose last blocks alone are trained passes the same texts several times within a step: as
the reference, and in each update. Below the lowest trained block all passes are the same, so the
first keeps what comes out there, and the others begin with it. To the bit the values are those of a
whole pass.

Devices are charged for whole passes all the same: that they keep what lies below is not assumed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from fl.models.architecture import transformer_blocks
from fl.models.passes import replaced_forward


def blocks_below(module: nn.Module, trained: Sequence[str]) -> list[nn.Module]:
    """Return the blocks that come before all that is trained, first to last.

    Parameters
    ----------
    module
        Transformer, or what holds one.
    trained
        Names of the parameters that are trained.

    Returns
    -------
    list of torch.nn.Module
        Empty where something is trained that is in no block, as a token embedding, or where the
        blocks do not follow each other in one list.
    """
    names = [block.name for block in transformer_blocks(module)]
    holders = {name.rpartition(".")[0] for name in names}
    modules = dict(module.named_modules())
    (holder, *others) = holders
    if others or not isinstance(modules.get(holder), nn.ModuleList):
        return []
    if [modules[name] for name in names] != list(modules[holder].children()):
        return []
    prefixes = [f"{name}." for name in names]
    found = [
        next((place for place, prefix in enumerate(prefixes) if name.startswith(prefix)), 0)
        for name in trained
    ]
    return [modules[name] for name in names[: min(found, default=0)]]


@contextmanager
def of_the_same_texts(module: nn.Module, trained: Sequence[str]) -> Iterator[None]:
    """Let all passes within pass through the blocks below what is trained once.

    Every pass must be of the same texts. Arguments as :func:`blocks_below`.
    """
    frozen = blocks_below(module, trained)
    if not frozen:
        yield
        return
    kept: list[Any] = []  # the output of the last of them: a tensor, or a tuple with one

    def keep(run: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: object, **inputs: object) -> Any:  # noqa: ANN401
            if not kept:
                kept.append(run(*args, **inputs))
            return kept[0]

        return forward

    def skip(run: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: object, **inputs: object) -> Any:  # noqa: ANN401
            return kept[0] if kept else run(*args, **inputs)

        return forward

    with ExitStack() as stack:
        for block in frozen:
            wrap = keep if block is frozen[-1] else skip
            stack.enter_context(replaced_forward(block, wrap(block.forward)))
        yield
