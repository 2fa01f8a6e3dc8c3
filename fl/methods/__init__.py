"""The methods: what is trained, what travels, how updates merge. One table, one line a method.

Settings are plain dataclasses, so a scenario is checked without torch; :func:`install_method`
imports the code that a run needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fl.methods.bitfit.config import BitfitConfig
from fl.methods.fdlora.config import FdloraConfig
from fl.methods.fed_sb.config import FedSbConfig
from fl.methods.fedadapter.config import FedAdapterConfig
from fl.methods.fedalt.config import FedaltConfig
from fl.methods.fedamole.config import FedamoleConfig
from fl.methods.feddpo.config import FeddpoConfig
from fl.methods.fedex_lora.config import FedexLoraConfig
from fl.methods.fedit.config import FeditConfig
from fl.methods.fedkseed.config import FedkseedConfig
from fl.methods.fedsa_lora.config import FedsaLoraConfig
from fl.methods.fedsvd.config import FedsvdConfig
from fl.methods.fedtt.config import FedttConfig
from fl.methods.fedtt_plus.config import FedttPlusConfig
from fl.methods.ffa_lora.config import FfaLoraConfig
from fl.methods.flexlora.config import FlexloraConfig
from fl.methods.flora.config import FloraConfig
from fl.methods.full.config import FullConfig
from fl.methods.head.config import HeadConfig
from fl.methods.hetlora.config import HetloraConfig
from fl.methods.local.config import LocalConfig
from fl.methods.own import OwnConfig, install_own
from fl.methods.pfit.config import PfitConfig
from fl.methods.pftt.config import PfttConfig
from fl.methods.prefix_tuning.config import PrefixTuningConfig
from fl.methods.prompt_tuning.config import PromptTuningConfig
from fl.methods.pwff.config import PwffConfig
from fl.methods.rolora.config import RoLoraConfig
from fl.methods.scaffold.config import ScaffoldConfig
from fl.methods.splitlora.config import SplitloraConfig
from fl.models.lora_settings import DEFAULT_LORA, LoraSettings

if TYPE_CHECKING:
    import torch

    from fl.methods.base import Method

MethodConfig = (
    LocalConfig
    | FullConfig
    | HeadConfig
    | FeditConfig
    | FfaLoraConfig
    | RoLoraConfig
    | FedsvdConfig
    | FedSbConfig
    | FedsaLoraConfig
    | FloraConfig
    | FedexLoraConfig
    | HetloraConfig
    | FlexloraConfig
    | FedAdapterConfig
    | BitfitConfig
    | PromptTuningConfig
    | PrefixTuningConfig
    | FdloraConfig
    | FedaltConfig
    | FedttConfig
    | FedttPlusConfig
    | PfttConfig
    | FedamoleConfig
    | FedkseedConfig
    | ScaffoldConfig
    | PfitConfig
    | PwffConfig
    | FeddpoConfig
    | SplitloraConfig
    | OwnConfig
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodEntry:
    """One method as the scenario and the command line see it."""

    config: type[Any]
    """Class of its settings."""
    title: str
    """The name as its paper writes it, for figures and tables; without "(", which opens knobs."""
    sends: str
    """What crosses the link, in a few words."""
    keeps: str
    """What never leaves the client, in a few words; texts and optimiser state never do."""
    source: str
    """Where the method comes from; its card, the README of its folder, says what was read."""
    counts_clients: bool = False
    """Whether ``install`` is told ``num_clients`` too: what the server holds depends on it."""
    weighs_rewards: bool = False
    """Whether ``install`` is told ``helpfulness_of`` too: how each client weighs the rewards."""

    @property
    def module(self) -> str:
        """Module whose ``install(config, module, *, generator)`` builds the method."""
        package = self.config.__module__.rpartition(".")[0]
        return f"{package}.method"

    @property
    def summary(self) -> str:
        """One line: what is sent, what stays, source."""
        return f"sends {self.sends}; keeps {self.keeps} ({self.source})"


METHODS: dict[str, MethodEntry] = {
    "local": MethodEntry(
        config=LocalConfig,
        title="Local",
        sends="nothing",
        keeps="LoRA, head",
        source="reference point",
    ),
    "full": MethodEntry(
        config=FullConfig,
        title="Full",
        sends="all weights",
        keeps="nothing",
        source="arXiv:1602.05629",
    ),
    "head": MethodEntry(
        config=HeadConfig, title="Head", sends="head", keeps="nothing", source="reference point"
    ),
    "fedit": MethodEntry(
        config=FeditConfig,
        title="FedIT",
        sends="LoRA A and B, head",
        keeps="nothing",
        source="arXiv:2305.05644",
    ),
    "ffa_lora": MethodEntry(
        config=FfaLoraConfig,
        title="FFA-LoRA",
        sends="LoRA B, head",
        keeps="nothing",
        source="arXiv:2403.12313",
    ),
    "rolora": MethodEntry(
        config=RoLoraConfig,
        title="RoLoRA",
        sends="LoRA B or A in turn, head",
        keeps="nothing",
        source="arXiv:2502.01755",
    ),
    "fedsvd": MethodEntry(
        config=FedsvdConfig,
        title="FedSVD",
        sends="LoRA B up, A and B down, head",
        keeps="nothing",
        source="arXiv:2505.12805",
    ),
    "fed_sb": MethodEntry(
        config=FedSbConfig,
        title="Fed-SB",
        sends="a square matrix between fixed factors, head",
        keeps="nothing",
        source="arXiv:2502.15436",
    ),
    "fedsa_lora": MethodEntry(
        config=FedsaLoraConfig,
        title="FedSA-LoRA",
        sends="LoRA A",
        keeps="LoRA B, head",
        source="arXiv:2410.01463",
    ),
    "flora": MethodEntry(
        config=FloraConfig,
        title="FLoRA",
        sends="LoRA A and B up, their stack down, head",
        keeps="nothing",
        source="arXiv:2409.05976",
    ),
    "fedex_lora": MethodEntry(
        config=FedexLoraConfig,
        title="FedEx-LoRA",
        sends="LoRA A and B, down also what averaging lost, head",
        keeps="nothing",
        source="arXiv:2410.09432",
    ),
    "hetlora": MethodEntry(
        config=HetloraConfig,
        title="HetLoRA",
        sends="LoRA A and B of its own rank, the rank, head",
        keeps="nothing",
        source="arXiv:2401.06432",
    ),
    "flexlora": MethodEntry(
        config=FlexloraConfig,
        title="FlexLoRA",
        sends="LoRA A and B of its own rank, head",
        keeps="nothing",
        source="arXiv:2402.11505",
    ),
    "fedadapter": MethodEntry(
        config=FedAdapterConfig,
        title="FedAdapter",
        sends="bottleneck adapters, norms, head",
        keeps="nothing",
        source="FedAP of SMILELab-FL/FedPETuning",
    ),
    "bitfit": MethodEntry(
        config=BitfitConfig,
        title="BitFit",
        sends="biases, head",
        keeps="nothing",
        source="FedBF of SMILELab-FL/FedPETuning",
    ),
    "prompt_tuning": MethodEntry(
        config=PromptTuningConfig,
        title="Prompt tuning",
        sends="virtual tokens, head",
        keeps="nothing",
        source="arXiv:2208.12268",
    ),
    "prefix_tuning": MethodEntry(
        config=PrefixTuningConfig,
        title="Prefix tuning",
        sends="key and value prefixes, head",
        keeps="nothing",
        source="FedPF of SMILELab-FL/FedPETuning",
    ),
    "fdlora": MethodEntry(
        config=FdloraConfig,
        title="FDLoRA",
        sends="shared LoRA A and B, head",
        keeps="a second LoRA, fusion weights",
        source="arXiv:2406.07925",
    ),
    "fedalt": MethodEntry(
        config=FedaltConfig,
        title="FedALT",
        sends="its LoRA A and B up, the mean of the others' down",
        keeps="mixer of both, head",
        source="arXiv:2503.11880",
    ),
    "fedtt": MethodEntry(
        config=FedttConfig,
        title="FedTT",
        sends="tensor-train adapters and classifier, head",
        keeps="nothing",
        source="arXiv:2410.13097",
    ),
    "fedtt_plus": MethodEntry(
        config=FedttPlusConfig,
        title="FedTT+",
        sends="some factors of each tensor train in turn, biases, head",
        keeps="nothing",
        source="arXiv:2410.13097",
    ),
    "pftt": MethodEntry(
        config=PfttConfig,
        title="PFTT",
        sends="bottleneck adapters",
        keeps="LoRA of its own rank, head",
        source="arXiv:2404.13238",
    ),
    "fedamole": MethodEntry(
        config=FedamoleConfig,
        title="FedAMoLE",
        sends="the LoRA experts dealt to a client, their router, head",
        keeps="nothing",
        source="arXiv:2411.19128",
        counts_clients=True,
    ),
    "fedkseed": MethodEntry(
        config=FedkseedConfig,
        title="FedKSeed",
        sends="indices of directions and lengths of steps up, a distance a direction down",
        keeps="nothing",
        source="arXiv:2312.06353",
    ),
    "scaffold": MethodEntry(
        config=ScaffoldConfig,
        title="SCAFFOLD",
        sends="LoRA A and B, head, control variates of all of them",
        keeps="its control variates",
        source="arXiv:1910.06378",
        counts_clients=True,
    ),
    "pfit": MethodEntry(
        config=PfitConfig,
        title="PFIT",
        sends="the last blocks",
        keeps="its weights of the rewards",
        source="arXiv:2404.13238",
        counts_clients=True,
        weighs_rewards=True,
    ),
    "pwff": MethodEntry(
        config=PwffConfig,
        title="PWFF",
        sends="bottleneck adapters",
        keeps="LoRA, its weights of the rewards",
        source="arXiv:2404.13238 version 2",
        weighs_rewards=True,
    ),
    "feddpo": MethodEntry(
        config=FeddpoConfig,
        title="FedDPO",
        sends="LoRA A and B",
        keeps="its pairs of answers",
        source="arXiv:2402.06954",
    ),
    "splitlora": MethodEntry(
        config=SplitloraConfig,
        title="SplitLoRA",
        sends="LoRA of the lower blocks; activations up and gradients down in every step",
        keeps="nothing",
        source="arXiv:2407.00952",
    ),
}


def attended_pairs_of(config: MethodConfig) -> Callable[[int], int] | None:
    """Return how many pairs of tokens attention sees in a text of so many; ``None``: all."""
    window = config.attention_window
    return None if window is None else window.attended_pairs


def install_method(
    config: MethodConfig,
    module: "torch.nn.Module",
    *,
    generator: "torch.Generator",
    num_clients: int | None = None,
    helpfulness_of: Callable[[int], float] | None = None,
    lora: LoraSettings = DEFAULT_LORA,
) -> "Method":
    """Put a method's trainable tensors into a backbone, in place, and give the method.

    Parameters
    ----------
    config
        Settings; their ``kind`` names the method.
    module
        Backbone with a linear ``head``; its weights become frozen and stay where they are.
    generator
        Source of the initial values, the same for every client.
    num_clients
        Clients of the federation, for methods whose server deals something out to them.
    helpfulness_of
        Weight of helpfulness of a client, by its id; 0.5 for all when ``None``.
    lora
        Of low-rank adaptations, if the method puts some in.

    Raises
    ------
    ValueError
        If no method has this kind, the backbone has no place for its tensors, or the number of
        clients is needed and not given.
    """
    if lora != DEFAULT_LORA:
        import_module("fl.peft.lora").set_lora_settings(module, lora)
    if isinstance(config, OwnConfig):
        return install_own(config, module, generator=generator)
    entry: MethodEntry | None = METHODS.get(config.kind)
    if entry is None:
        msg = f"kind: must be one of {', '.join(sorted(METHODS))}, got {config.kind!r}"
        raise ValueError(msg)
    told: dict[str, Any] = {}
    if entry.counts_clients:
        if num_clients is None:
            msg = f"num_clients: {config.kind} needs the number of clients"
            raise ValueError(msg)
        told["num_clients"] = num_clients
    if entry.weighs_rewards and helpfulness_of is not None:
        told["helpfulness_of"] = helpfulness_of
    return import_module(entry.module).install(config, module, generator=generator, **told)
