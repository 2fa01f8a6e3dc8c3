"""Settings of our tuners, as peft keeps them in ``adapter_config.json``."""

from dataclasses import dataclass
from enum import StrEnum
from typing import get_args

from peft import PeftConfig

from fl.peft.places import After


class TunerType(StrEnum):
    """Names of our tuners, beside those of ``peft.PeftType``, which cannot be extended."""

    BOTTLENECK = "BOTTLENECK"
    TENSOR_TRAIN = "TENSOR_TRAIN"
    LORA_EXPERTS = "LORA_EXPERTS"


@dataclass
class SerialConfig(PeftConfig):
    """What adapters in series with a block's projections have in common."""

    adapter_dim: int = 64
    """Width of the bottleneck."""
    after: After | None = None
    """Behind which projections of a block; both when empty. Not with ``target_modules``."""
    target_modules: set[str] | list[str] | str | None = None
    """Projections that adapters follow, as for other tuners; those that ``after`` names when
    empty."""
    modules_to_save: list[str] | None = None
    """Modules that are trained whole and saved too, such as a classification head."""
    seed: int = 0
    """First values are drawn from this and the name of the layer; never from torch's generator."""

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        if self.after is not None and self.after not in get_args(After):
            msg = f"after: must be one of {', '.join(get_args(After))}, got {self.after!r}"
            raise ValueError(msg)
        check_positive("adapter_dim", self.adapter_dim)


@dataclass
class BottleneckConfig(SerialConfig):
    """Bottleneck adapters (:class:`fl.peft.bottleneck.BottleneckAdapter`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = TunerType.BOTTLENECK


@dataclass
class TensorTrainConfig(SerialConfig):
    """Tensor-train adapters (:class:`fl.peft.tensor_train_adapter.TensorTrainAdapter`)."""

    rank: int = 5
    """Inner rank of every train."""
    classifier: str | None = None
    """End of the name of a linear layer that a train takes the place of, such as
    ``classifier.dense`` of RoBERTa. Leave ``task_type`` empty then, and name the last layer in
    ``modules_to_save``: with ``SEQ_CLS`` peft trains and saves the whole head itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = TunerType.TENSOR_TRAIN
        check_positive("rank", self.rank)
        if self.classifier is not None and self.task_type == "SEQ_CLS":
            msg = (
                "classifier: must be empty with task_type SEQ_CLS, for which peft trains the whole "
                f"head; got {self.classifier!r}"
            )
            raise ValueError(msg)


def check_positive(field: str, value: int) -> None:
    """Refuse a setting below 1."""
    if value < 1:
        msg = f"{field}: must be >= 1, got {value}"
        raise ValueError(msg)
