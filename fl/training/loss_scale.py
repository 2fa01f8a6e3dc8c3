"""Loss scaling for float16, whose range gradients leave at both ends.

The loss is multiplied by a power of two before backward and gradients are divided by it. Where a
gradient is not finite the factor is halved and backward is done again, so that no step is lost and
a job takes as many steps as its plan says (``torch.amp.GradScaler`` leaves such steps out). It
starts anew in every job: a result is a function of the job alone. bfloat16 has the range of single
precision and needs none.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float

FIRST = 2.0**16
"""Factor of the first step, as of ``torch.amp.GradScaler``."""
LEAST = 2.0**-14
"""Below this it is not the range that makes gradients infinite."""


class LossScale:
    """Factors of one client, or of several.

    Parameters
    ----------
    num_clients
        Clients of a step, whose gradients have a client axis first; ``None``: one, without it.
    device
        Where gradients lie.
    """

    def __init__(self, num_clients: int | None = None, *, device: torch.device) -> None:
        self._is_alone = num_clients is None
        self._factors = torch.full((num_clients or 1,), FIRST, device=device)

    def keep(self, num_clients: int) -> None:
        """Let all clients but the first so many go."""
        self._factors = self._factors[:num_clients]

    def backward(
        self,
        run: Callable[[Float[torch.Tensor, " client"]], None],
        parameters: Sequence[torch.Tensor],
    ) -> None:
        """Go back, again with smaller factors while gradients are not finite.

        Parameters
        ----------
        run
            Goes back from the loss of each client times its factor; called once or more. Gradients
            add up in ``parameters``, where there are none before.
        parameters
            What is trained. Their gradients are those of the loss itself
            afterwards; those of a client whose loss is not finite are not either.
        """
        while True:
            run(self._factors)
            found = [each.grad for each in parameters if each.grad is not None]
            gradients = [each.unsqueeze(0) if self._is_alone else each for each in found]
            is_finite = torch.ones_like(self._factors, dtype=torch.bool)
            for each in gradients:
                is_finite &= each.flatten(1).isfinite().all(dim=1)
            is_hopeless = self._factors <= LEAST
            if bool((is_finite | is_hopeless).all()):
                break
            self._factors = torch.where(is_finite | is_hopeless, self._factors, self._factors / 2)
            for parameter in parameters:
                parameter.grad = None
        for each in gradients:
            each.div_(self._factors.view(-1, *[1] * (each.dim() - 1)))


def go_back(
    total: Float[torch.Tensor, ""], parameters: Sequence[torch.Tensor], scale: LossScale | None
) -> None:
    """Go back from the loss of one client; gradients add to those that are there.

    Parameters
    ----------
    total
        The loss.
    parameters
        What is trained.
    scale
        Of one client without an axis; ``None``: the loss as it is.
    """
    if scale is None:
        total.backward()  # type: ignore[no-untyped-call]
        return

    def run(factors: torch.Tensor) -> None:
        (total * factors[0]).backward(retain_graph=True)  # type: ignore[no-untyped-call]

    before = [each.grad for each in parameters]
    for each in parameters:
        each.grad = None
    scale.backward(run, parameters)
    for each, known in zip(parameters, before, strict=True):
        if known is not None:
            each.grad = known if each.grad is None else known + each.grad
