"""What a policy sees where nothing is trained: all but losses, which it is told when it reads."""

from fl.policies.view import Candidates

LOSS_COLUMNS = ("last_loss", "last_rms_loss", "asked_loss", "asked_accuracy")
"""Columns of candidates that come from training."""


class CandidatesWithoutLosses(Candidates):
    """Candidates of a run with ``training.mode: none``."""

    def __getattribute__(self, name: str) -> object:
        """Refuse columns of losses; give any other as it is."""
        if name in LOSS_COLUMNS:
            msg = f"{name}: there are no losses with training.mode none"
            raise ValueError(msg)
        return super().__getattribute__(name)
