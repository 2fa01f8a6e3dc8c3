"""Adds our tuners to peft when imported.

``get_peft_model``, ``save_pretrained`` and ``from_pretrained`` then know them, in programs that
have nothing to do with simulations.

.. code-block:: python

    import fl.peft.registration
    from fl.peft.tuners.config import TensorTrainConfig

    model = peft.get_peft_model(base, TensorTrainConfig(rank=5))

The layers are those that the simulator trains. peft's own ``register_peft_method`` takes only names
that its enumeration ``PeftType`` has, so the tables that it fills are filled here.
"""

from peft import PeftConfig
from peft.mapping import (
    PEFT_TYPE_TO_CONFIG_MAPPING,
    PEFT_TYPE_TO_PREFIX_MAPPING,
    PEFT_TYPE_TO_TUNER_MAPPING,
)
from peft.tuners.tuners_utils import BaseTuner

from fl.peft.tuners.config import BottleneckConfig, TensorTrainConfig, TunerType
from fl.peft.tuners.lora_experts import LoraExpertsConfig, LoraExpertsModel
from fl.peft.tuners.model import BottleneckModel, TensorTrainModel


def register_tuner(name: str, *, config: type[PeftConfig], model: type[BaseTuner]) -> None:
    """Make a tuner known to peft; a second time changes nothing.

    Parameters
    ----------
    name
        As in ``adapter_config.json``; a ``StrEnum`` member whose name is its value, in capitals.
    config
        Class of its settings; sets ``peft_type`` to ``name``.
    model
        Class that puts its layers into a base model; names of its parameters contain its
        ``prefix``.

    Raises
    ------
    ValueError
        peft has another tuner of this name or prefix.
    """
    if PEFT_TYPE_TO_TUNER_MAPPING.get(name) is model:  # type: ignore[call-overload]
        return
    is_taken = name in PEFT_TYPE_TO_CONFIG_MAPPING or name in PEFT_TYPE_TO_TUNER_MAPPING
    if is_taken or model.prefix in PEFT_TYPE_TO_PREFIX_MAPPING.values():
        msg = f"name: peft has another tuner called {name} or with the prefix {model.prefix}"
        raise ValueError(msg)
    PEFT_TYPE_TO_CONFIG_MAPPING[name] = config  # type: ignore[index]
    PEFT_TYPE_TO_TUNER_MAPPING[name] = model  # type: ignore[index]
    PEFT_TYPE_TO_PREFIX_MAPPING[name] = model.prefix  # type: ignore[index]


def register() -> None:
    """Make all our tuners known to peft."""
    register_tuner(TunerType.BOTTLENECK, config=BottleneckConfig, model=BottleneckModel)
    register_tuner(TunerType.TENSOR_TRAIN, config=TensorTrainConfig, model=TensorTrainModel)
    register_tuner(TunerType.LORA_EXPERTS, config=LoraExpertsConfig, model=LoraExpertsModel)


register()
