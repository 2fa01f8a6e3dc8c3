"""Which tokens sparse attention sees, and how many that are; no torch here."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt


@dataclass(frozen=True, kw_only=True)
class AttentionWindow:
    """Causal attention to the nearest tokens and to the first ones of a text.

    The first tokens take what attention gives to nothing in particular: without them a model that
    was trained with dense attention writes badly (Xiao et al. 2024,
    arXiv:2309.17453 [recollected]).

    Examples
    --------
    >>> AttentionWindow(window=2, num_first=1).keys_of(4)  # itself, the one before, the first
    3
    """

    window: Annotated[int, Gt(0)] = 64
    """Nearest tokens that each token sees, itself among them."""
    num_first: Annotated[int, Ge(0)] = 4
    """First tokens of a text that all later ones see."""

    def keys_of(self, num_tokens: int) -> int:
        """Return how many tokens the last of so many sees."""
        return min(num_tokens, self.window + self.num_first)

    def attended_pairs(self, num_tokens: int) -> int:
        """Return how many pairs of tokens see one another in a text: ``T (T + 1) / 2`` if all do.

        With ``n = window + num_first``, ``n (n + 1) / 2 + (T - n) n`` from ``n`` tokens on.
        """
        most = self.window + self.num_first
        full = min(num_tokens, most)
        return full * (full + 1) // 2 + (num_tokens - full) * most

    def attended_fraction(self, num_tokens: int) -> float:
        """Return the share of the pairs that dense causal attention has, in (0, 1]."""
        return 2 * self.attended_pairs(num_tokens) / (num_tokens * (num_tokens + 1))
