"""Sample-level differential privacy of a run: what each client's jobs promise of its texts."""

from collections.abc import Sequence
from typing import Protocol

from fl.policies import POLICIES, PolicyConfig, asks_clients
from fl.privacy.accountant import Accountant
from fl.rows import PrivacyRow
from fl.training.job import JobSettings
from fl.training.sample_privacy import Clipping, SamplePrivacy, expected_texts, num_steps_of


class Ended(Protocol):
    """A participation that has ended."""

    client_id: int
    compute_s: float | None
    """Seconds of its job; ``None``: it did not come to its end."""

    @property
    def num_texts(self) -> int:
        """Training texts of the client."""

    @property
    def clipping(self) -> Clipping | None:
        """What clipping met in the job; ``None`` unless the update was received."""


def find_gap(privacy: SamplePrivacy, policy: PolicyConfig) -> str | None:
    """Return why no epsilon can be promised; ``None``: it can.

    The server must learn nothing of texts but updates. How many texts a client has is public.
    """
    if privacy.noise_multiplier == 0:
        return "there is no noise"
    entry = POLICIES.get(policy.kind)
    if entry is None:
        return "a policy of one's own may go by losses, which nothing protects"
    if entry.reads_loss or asks_clients(policy):
        return f"policy {policy.kind} is told losses or accuracies, which nothing protects"
    return None


class SampleAccounts:
    """Adds up what the steps of each client have cost.

    A job counts when its computing has ended, whether its upload arrives or not: what a client
    keeps of it goes into later updates.

    Parameters
    ----------
    privacy
        Of the jobs.
    settings
        Of the jobs, which say how many steps they make.
    policy
        Who takes part.
    """

    def __init__(
        self, privacy: SamplePrivacy, settings: JobSettings, *, policy: PolicyConfig
    ) -> None:
        self._privacy = privacy
        self._settings = settings
        self.gap = find_gap(privacy, policy)
        """Why no epsilon is promised; ``None``: it is."""
        self._accounts: dict[int, Accountant] = {}

    def rows(self, participations: Sequence[Ended], *, round_id: int) -> Sequence[PrivacyRow]:
        """Take in the participations of a round; return a row for each that was received."""
        found = []
        for each in participations:
            if each.compute_s is None:
                continue
            epsilon = self._spend(each.client_id, num_texts=each.num_texts)
            clipping = each.clipping
            if clipping is None:
                continue
            size = expected_texts(batch_size=self._settings.batch_size, num_texts=each.num_texts)
            privacy = self._privacy
            found.append(
                PrivacyRow(
                    round=round_id,
                    level="sample",
                    client_id=each.client_id,
                    neighbours="added_or_removed",
                    num_drawn=clipping.num_texts,
                    num_candidates=each.num_texts,
                    num_merged=clipping.num_texts,
                    num_clipped=clipping.num_clipped,
                    median_norm=clipping.median_norm,
                    noise_std=privacy.noise_multiplier * privacy.clip_norm / size,
                    delta=privacy.delta,
                    epsilon=epsilon,
                    gap="" if self.gap is None else f"no formal epsilon: {self.gap}",
                )
            )
        return found

    def _spend(self, client_id: int, *, num_texts: int) -> float | None:
        """Add the steps of a job of a client; return the epsilon of all its jobs so far."""
        if self.gap is not None:
            return None
        privacy, settings = self._privacy, self._settings
        account = self._accounts.setdefault(
            client_id,
            Accountant(noise_multiplier=privacy.noise_multiplier, delta=privacy.delta),
        )
        size = expected_texts(batch_size=settings.batch_size, num_texts=num_texts)
        num_steps = num_steps_of(
            batch_size=settings.batch_size,
            local_steps=settings.local_steps,
            local_epochs=settings.local_epochs,
            num_texts=num_texts,
        )
        account.add_poisson(size / num_texts, num_rounds=num_steps)
        return account.epsilon


def sample_accounts_of(settings: JobSettings, *, policy: PolicyConfig) -> SampleAccounts | None:
    """Return what accounts the jobs of a run; ``None``: they promise nothing."""
    if settings.privacy is None:
        return None
    return SampleAccounts(settings.privacy, settings, policy=policy)
