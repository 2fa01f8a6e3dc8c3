"""Settings of federated policy optimisation of the last blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.metrics import Task
from fl.models.attention_window import AttentionWindow
from fl.training.policy_settings import PolicySettings


@dataclass(frozen=True, kw_only=True)
class PfitConfig(AveragingOptions):
    """The last blocks learn from rewards of what the model writes; they alone travel."""

    num_blocks: Annotated[int, Gt(0)] = 2
    """Blocks at the end of the model that are trained and sent."""
    policy: PolicySettings = field(default_factory=PolicySettings)
    """How a job samples answers and learns from their rewards."""
    proximal_weight: Annotated[float, Gt(0)] | None = 0.1
    """Penalty for distance between local and global model: ``mu`` of ``mu / 2 |w - w_start|^2``
    over the trained blocks, in the loss of every step; none when empty."""
    preference: Literal["own", "common"] = "own"
    """Whether each client weighs the two rewards by its own weight, or all by the mean of them: the
    rival with one common reward."""
    exchange: Literal["averaged", "none"] = "averaged"
    """Whether the blocks are averaged over clients, or stay with each: the rival without server."""
    attention: AttentionWindow | None = None
    """Sparse attention in all blocks; dense when empty."""
    kind: Literal["pfit"] = "pfit"

    @property
    def sends(self) -> bool:
        """Whether anything crosses the link."""
        return self.exchange == "averaged"

    @property
    def has_global_model(self) -> bool:
        """Whether the server holds a model."""
        return self.exchange == "averaged"

    @property
    def uses_rewards(self) -> bool:
        """Whether it needs rewards: yes."""
        return True

    @property
    def attention_window(self) -> AttentionWindow | None:
        """Which tokens see which; ``None``: all that stand before."""
        return self.attention

    @property
    def is_identity_at_start(self) -> bool:
        """Whether the model scores as it did without the method: where all tokens are attended."""
        return self.attention is None

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Refuse texts that are classified, and what has no effect without a server."""
        problems: list[tuple[tuple[str, ...], str]] = [
            (("policy", *path), rule) for path, rule in self.policy.find_problems()
        ]
        if task != "generation":
            rule = f"needs texts that are written (a response, or data.task generation), got {task}"
            problems.append((("kind",), rule))
        if self.exchange == "none" and self.server_optimiser.kind != "fedavg":
            rule = f"has no effect where exchange is none, got {self.server_optimiser.kind}"
            problems.append((("server_optimiser", "kind"), rule))
        if self.exchange == "none" and self.proximal_weight is not None:
            rule = (
                "has no meaning where exchange is none, as there is no global model: set it to "
                f"null, got {self.proximal_weight:g}"
            )
            problems.append((("proximal_weight",), rule))
        return problems
