"""How much a stale update counts: the settings of ``s(tau)``, and its value.

The staleness ``tau`` of an update is the number of aggregations since its client was sent the
model. The three functions are those of FedAsync, Xie et al., arXiv:1903.03934; each is 1 at 0.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt


@dataclass(frozen=True, kw_only=True)
class ConstantDiscount:
    """``s = 1``: a stale update counts like a fresh one."""

    kind: Literal["constant"] = "constant"


@dataclass(frozen=True, kw_only=True)
class PolynomialDiscount:
    """``s = (1 + tau) ** -exponent``."""

    exponent: Annotated[float, Gt(0)] = 0.5
    """How fast an update loses weight."""
    kind: Literal["polynomial"] = "polynomial"


@dataclass(frozen=True, kw_only=True)
class HingeDiscount:
    """``s = 1`` up to ``tau = delay``, then ``1 / (slope (tau - delay) + 1)``."""

    slope: Annotated[float, Gt(0)] = 10.0
    """How fast an update loses weight after the delay."""
    delay: Annotated[int, Ge(0)] = 4
    """Staleness up to which an update counts in full."""
    kind: Literal["hinge"] = "hinge"


Discount = ConstantDiscount | PolynomialDiscount | HingeDiscount
"""What a stale update counts beside a fresh one; told apart by ``kind``."""


def discount_factor(discount: Discount, staleness: int) -> float:
    """Return ``s(tau)``, greater than 0 and at most 1.

    Parameters
    ----------
    discount
        Which function.
    staleness
        Aggregations since the client was sent the model, at least 0.

    Examples
    --------
    >>> discount_factor(PolynomialDiscount(exponent=0.5), 3)
    0.5
    >>> discount_factor(HingeDiscount(slope=10, delay=4), 5)
    0.09090909090909091
    """
    if isinstance(discount, PolynomialDiscount):
        return float((1 + staleness) ** -discount.exponent)
    if isinstance(discount, HingeDiscount) and staleness > discount.delay:
        return 1.0 / (discount.slope * (staleness - discount.delay) + 1.0)
    return 1.0
