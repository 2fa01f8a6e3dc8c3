"""Settings that methods have in common; no torch here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Lt, MaxLen, MinLen

from fl.metrics import Task
from fl.models.attention_window import AttentionWindow


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """Settings of any method."""

    learning_rate: Annotated[float, Gt(0)] | None = None
    """Step size of this method alone; that of ``training`` when empty."""
    recipe: Literal["authors"] | None = None
    """``authors``: what the method's authors set in their public code fills in settings of the
    method that are left out, and stands in place of those of ``training`` for it. Not every method
    has one: its card says what it sets."""
    label: Annotated[str, MinLen(1), MaxLen(60)] | None = None
    """Name in tables, figures and folders; made of kind and differing settings when empty. In the
    name of the folder ``/`` becomes ``_`` and spaces go; no two methods may share one."""

    @property
    def sends(self) -> bool:
        """Whether anything crosses the link."""
        return True

    @property
    def has_global_model(self) -> bool:
        """Whether the server holds a whole model, head included."""
        return True

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Find settings that do not go with the rest of a scenario.

        Parameters
        ----------
        num_clients
            Clients of the scenario.
        task
            What models learn.

        Returns
        -------
        sequence of (path, message)
            Path within the settings of the method; rule, value found, and what would be right.
        """
        return ()

    def find_warnings(self, *, num_clients: int) -> Sequence[str]:
        """Say in a line each what works but takes more than one may expect.

        Parameters
        ----------
        num_clients
            Clients of the scenario.
        """
        return ()

    def for_trial(self) -> Self:
        """Return the settings with which the method is tried before a run, on a job of one step."""
        return self

    @property
    def same_download(self) -> bool:
        """Whether all clients of a round get the same bytes, so that one broadcast serves them."""
        return True

    @property
    def decides_by_values(self) -> bool:
        """Whether values of training decide what is sent or computed later, not shapes alone."""
        return False

    @property
    def merges_changes(self) -> bool:
        """Whether the server averages what it is sent, name by name.

        Then the change that a client made can be merged into later tensors than it began from.
        """
        return False

    @property
    def takes_turns(self) -> bool:
        """Whether clients of one version of the server train other tensors than those of the next.

        The tensors that rest must then be the same at all clients whose updates are merged.
        """
        return False

    @property
    def shows_activations(self) -> bool:
        """Whether the server is sent what single texts give within a job."""
        return False

    @property
    def adds_up_downloads(self) -> bool:
        """Whether clients add what they are sent to what they hold, and must agree to the bit."""
        return False

    @property
    def averages_factors(self) -> bool:
        """Whether the factors of a product are shared and averaged one by one.

        The mean of the products is then another than the product of the means.
        """
        return False

    @property
    def can_average_products(self) -> bool:
        """Whether both factors of LoRA are shared and nothing but their product matters.

        Then a server can average the products in place of the factors.
        """
        return False

    @property
    def needs_whole_batches(self) -> bool:
        """Whether the loss of a step is not the mean of losses of parts of its batch."""
        return self.compares_with_reference

    @property
    def compares_with_reference(self) -> bool:
        """Whether the loss compares the model with a reference: with rewards or pairs it does."""
        return self.uses_rewards or self.uses_pairs

    @property
    def lora_settings(self) -> Collection[str]:
        """Settings of ``training.lora`` that act on the method, by name."""
        return ()

    @property
    def takes_gradient_steps(self) -> bool:
        """Whether jobs take steps of an optimiser along gradients."""
        return True

    @property
    def has_text_gradients(self) -> bool:
        """Whether a job reads texts by nothing but gradients of the losses of single ones.

        Its update is then made of these, and of what was there before: they can be clipped.
        """
        is_of_losses = self.takes_gradient_steps and not self.compares_with_reference
        return is_of_losses and not self.shows_activations

    @property
    def needs_plain_descent(self) -> bool:
        """Whether the steps of jobs must be plain gradient descent."""
        return False

    @property
    def normalises_steps(self) -> bool:
        """Whether the server divides what clients have moved by their numbers of steps."""
        return False

    @property
    def uses_rewards(self) -> bool:
        """Whether jobs need the rewards of the scenario."""
        return False

    @property
    def uses_pairs(self) -> bool:
        """Whether jobs need, beside each answer of the data, a rejected one."""
        return False

    @property
    def attention_window(self) -> AttentionWindow | None:
        """Which tokens see which, where the method makes attention sparse."""
        return None

    @property
    def is_identity_at_start(self) -> bool:
        """Whether the model scores as it did without the method, until it is trained."""
        return True

    @property
    def extra_positions(self) -> int:
        """Positions of the model that the method takes away from texts."""
        return 0

    @property
    def can_recompute(self) -> bool:
        """Whether a block gives the same again after its pass: layers keep nothing of the pass."""
        return True


@dataclass(frozen=True, kw_only=True)
class FedAvg:
    """The mean of what clients sent becomes the global model."""

    kind: Literal["fedavg"] = "fedavg"


@dataclass(frozen=True, kw_only=True)
class FedAvgM:
    """Momentum at the server, with ``d = mean - x``: ``v <- momentum v + d``, and a step along it.

    ``heavy_ball``: ``x <- x + learning_rate v``; ``nesterov``: ``x <- x + learning_rate (d +
    momentum v)``; ``averaged``: ``heavy_ball`` with ``v <- momentum v + (1 - momentum) d``, the
    running mean of the changes, whose steps do not grow with the momentum.
    """

    learning_rate: Annotated[float, Gt(0)] = 1.0
    """Length of the server's step; 1 without momentum is plain averaging."""
    momentum: Annotated[float, Gt(0), Lt(1)] = 0.9
    """Part of the last step that goes on."""
    form: Literal["heavy_ball", "nesterov", "averaged"] = "heavy_ball"
    """How ``v`` grows and is followed."""
    kind: Literal["fedavgm"] = "fedavgm"


@dataclass(frozen=True, kw_only=True)
class FedAdam:
    """Adam at the server, with the mean change of the clients in place of a gradient.

    The first moment starts at 0, the second at ``tau^2``; neither is corrected for that.
    """

    learning_rate: Annotated[float, Gt(0)] = 1e-2
    """Length of the server's step."""
    beta1: Annotated[float, Gt(0), Lt(1)] = 0.9
    """Decay of the first moment."""
    beta2: Annotated[float, Gt(0), Lt(1)] = 0.99
    """Decay of the second moment."""
    tau: Annotated[float, Gt(0)] = 1e-3
    """Added to the root of the second moment: how far the server adapts."""
    kind: Literal["fedadam"] = "fedadam"


@dataclass(frozen=True, kw_only=True)
class FedYogi:
    """FedAdam whose second moment moves by bounded steps: it falls slowly when changes get small.

    ``v <- v - (1 - beta2) d^2 sign(v - d^2)``, with ``d`` the mean change; starts as FedAdam.
    """

    learning_rate: Annotated[float, Gt(0)] = 1e-2
    """Length of the server's step."""
    beta1: Annotated[float, Gt(0), Lt(1)] = 0.9
    """Decay of the first moment."""
    beta2: Annotated[float, Gt(0), Lt(1)] = 0.99
    """One minus the part of a squared change by which the second moment moves."""
    tau: Annotated[float, Gt(0)] = 1e-3
    """Added to the root of the second moment: how far the server adapts."""
    kind: Literal["fedyogi"] = "fedyogi"


@dataclass(frozen=True, kw_only=True)
class FedAdagrad:
    """Adagrad at the server: ``v <- v + d^2`` with ``d`` the mean change; starts as FedAdam."""

    learning_rate: Annotated[float, Gt(0)] = 1e-2
    """Length of the server's first steps; later ones are shorter."""
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Decay of the first moment; 0 follows the last change alone."""
    tau: Annotated[float, Gt(0)] = 1e-3
    """Added to the root of the second moment: how far the server adapts."""
    kind: Literal["fedadagrad"] = "fedadagrad"


ServerOptimiserConfig = FedAvg | FedAvgM | FedAdam | FedYogi | FedAdagrad
"""How the server moves its tensors towards the mean of the clients'; told apart by ``kind``."""


@dataclass(frozen=True, kw_only=True)
class AveragingOptions(MethodOptions):
    """Settings of a method whose server averages like-named tensors."""

    proximal_weight: Annotated[float, Gt(0)] | None = None
    """FedProx: ``mu`` of ``mu / 2 |w - w_start|^2`` over the shared tensors, added to the loss of
    every step; none when empty."""
    server_optimiser: ServerOptimiserConfig = field(default_factory=FedAvg)
    """How the server moves towards the mean of the clients."""
    normalise_steps: bool = False
    """FedNova: what a client has moved is divided by its number of steps before the mean is taken,
    and the mean multiplied by the mean number of steps; only where numbers of steps differ."""

    @property
    def merges_changes(self) -> bool:
        """Whether the server averages what it is sent, name by name: yes."""
        return True

    @property
    def normalises_steps(self) -> bool:
        """Whether the server divides what clients have moved by their numbers of steps."""
        return self.normalise_steps
