"""The last blocks of a transformer as what is trained: weights of the backbone itself."""

from torch import nn

from fl.models.architecture import transformer_blocks
from fl.problems import ModelError


def last_block_names(module: nn.Module, count: int) -> list[str]:
    """Name all parameters of the last blocks, norms and biases included, sorted.

    Norms that stand behind the last block belong to none.

    Parameters
    ----------
    module
        Transformer, bare or part of a larger module.
    count
        Blocks, at least 1.

    Raises
    ------
    fl.problems.ModelError
        There are fewer blocks, or blocks that are no modules of their own.
    """
    blocks = transformer_blocks(module)
    if count > len(blocks):
        msg = f"num_blocks: must be <= {len(blocks)}, the blocks of the model, got {count}"
        raise ModelError(msg)
    chosen = [block.name for block in blocks[-count:]]
    if "" in chosen or len(set(chosen)) < count:
        msg = f"model.name: the blocks of a {type(module).__name__} are no modules of their own"
        raise ModelError(msg)
    return sorted(
        name
        for name, _ in module.named_parameters()
        if any(name.startswith(f"{block}.") for block in chosen)
    )
