"""Differential privacy of a run: what is made of received updates, and what has been promised."""

from collections.abc import Sequence

from fl.codecs.top_k import TopKCodec
from fl.methods.base import NOBODY, Contribution, Method
from fl.network import Streams
from fl.policies.poisson import PoissonPolicyConfig
from fl.privacy.accountant import Accountant
from fl.privacy.client_changes import Add, plain_sum
from fl.privacy.client_level import protect
from fl.privacy.config import ClientPrivacy
from fl.rows import PrivacyRow
from fl.server.config import RoundOptions, ServerConfig

UNIFORM = ("random", "all", "poisson")
"""Policies that draw every set of so many clients alike, or each client alike."""


def find_gap(server: ServerConfig, config: ClientPrivacy, method: Method) -> str | None:
    """Return why no epsilon can be promised; ``None``: it can.

    The accountant needs sets of clients drawn alike, of a number known before; who is in the mean
    must not depend on how fast anybody is, which texts decide, too; and what clients send must not
    hang on when they were drawn before, unless all always are.
    """
    feedback = any(
        isinstance(each, TopKCodec) and each.error_feedback for each in server.uplink_codecs
    )
    first = isinstance(server, RoundOptions) and server.over_selection > 1
    is_drawn = server.policy.kind != "all"
    gaps = (
        (config.noise_multiplier == 0, "there is no noise"),
        (
            server.policy.kind not in UNIFORM,
            f"policy {server.policy.kind} does not draw clients uniformly",
        ),
        (
            server.mode != "sync",
            f"who is in time for mode {server.mode} depends on the clients' texts",
        ),
        (first, "who is first of an over-selection depends on the clients' texts"),
        (
            is_drawn and feedback,
            "error feedback carries over what clients left out when they were drawn before",
        ),
        (
            is_drawn and bool(method.self_trained),
            f"clients of {method.kind} go on from what they trained when they were drawn before",
        ),
    )
    return next((told for is_gap, told in gaps if is_gap), None)


class PrivateRounds:
    """Clips, adds noise and accounts, round by round.

    Parameters
    ----------
    config
        Of clipping, noise and delta.
    server
        Whose rounds they are.
    method
        What is merged: a mean of changes.
    streams
        Addressed randomness. Used: ``privacy`` (round).
    """

    def __init__(
        self, config: ClientPrivacy, server: ServerConfig, method: Method, *, streams: Streams
    ) -> None:
        if method.merges != "mean":
            msg = (
                f"server.privacy: {method.kind} merges what it is sent by a rule of its own, not "
                "as a mean of changes that can be clipped; got client_level, needs none"
            )
            raise ValueError(msg)
        self._config = config
        self._streams = streams
        self.gap = find_gap(server, config, method)
        """Why no epsilon is promised; ``None``: it is."""
        self._accountant = None
        if self.gap is None:
            self._accountant = Accountant(
                noise_multiplier=config.noise_multiplier, delta=config.delta
            )
        self._num_drawn = self._num_candidates = 0
        policy = server.policy
        self.probability = policy.probability if isinstance(policy, PoissonPolicyConfig) else None
        """With which each client is drawn; ``None``: a number of them is. A round of Poisson
        sampling without any update is one more of its outcomes: its noise is added all the same."""

    def note_draw(self, *, num_drawn: int, num_candidates: int) -> None:
        """Take in how many clients were selected out of how many."""
        self._num_drawn, self._num_candidates = num_drawn, num_candidates

    def protect(
        self, contributions: Sequence[Contribution], *, round_id: int, add: Add = plain_sum
    ) -> tuple[Sequence[Contribution], PrivacyRow]:
        """Return updates whose mean is private, and the row of the round; ``add`` sums changes."""
        probability = self.probability
        divisor = self._num_drawn if probability is None else probability * self._num_candidates
        made = protect(
            contributions,
            self._config,
            num_drawn=divisor,
            rng=self._streams("privacy", round_id),
            add=add,
        )
        if self._accountant is not None and probability is not None:
            self._accountant.add_poisson(probability)
        elif self._accountant is not None:
            self._accountant.add_round(num_drawn=self._num_drawn, num_clients=self._num_candidates)
        row = PrivacyRow(
            round=round_id,
            level="client",
            client_id=None,
            neighbours="replaced" if probability is None else "added_or_removed",
            num_drawn=self._num_drawn,
            num_candidates=self._num_candidates,
            num_merged=sum(each.client_id != NOBODY for each in contributions),
            num_clipped=made.num_clipped,
            median_norm=made.median_norm,
            noise_std=self._config.noise_multiplier * self._config.clip_norm / divisor,
            delta=self._config.delta,
            epsilon=None if self._accountant is None else self._accountant.epsilon,
            gap="" if self.gap is None else f"no formal epsilon: {self.gap}",
        )
        return made.contributions, row


def private_rounds_of(
    server: ServerConfig, method: Method, *, streams: Streams
) -> PrivateRounds | None:
    """Return what protects the updates of a run; ``None``: nothing does."""
    if server.privacy is None:
        return None
    return PrivateRounds(server.privacy, server, method, streams=streams)
