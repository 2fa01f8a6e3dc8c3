"""How a worker is made, as plain settings: the same recipe makes an equal one in any process."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import nn

from fl.data.config import DataConfig
from fl.data.corpus import load_corpus
from fl.execution.code_digest import code_digest, imported_modules, library_versions
from fl.execution.host import PLAIN, Host, HostError, open_device
from fl.methods import METHODS, MethodConfig, install_method
from fl.methods.base import Method
from fl.methods.own import OwnConfig
from fl.models.backbone import Backbone, load_backbone
from fl.models.config import ModelConfig
from fl.models.frozen_weights import store_half
from fl.models.passes import AS_THEY_ARE, DTYPES, Passes
from fl.models.placement import place
from fl.models.quantized import check_frozen, quantization_version, quantize_frozen
from fl.models.tokens import TokenTable
from fl.network import Streams
from fl.own_code import file_digest, file_of
from fl.rewards import load_rewards
from fl.rewards.config import RewardsConfig
from fl.rewards.reward import HelpfulnessOf, Rewards, equal_weights
from fl.training.batches import Examples
from fl.training.config import TrainingConfig
from fl.training.dropout import dropout_places
from fl.training.worker import Worker

_CODE = ("fl.execution.run_job", "fl.models.backbone")
"""Modules that run a job on a model and load the model; the method's own comes on top."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a recipe reads from disk."""

    backbone: Backbone
    """Fresh: it serves one worker only."""
    train: Examples
    """Texts that clients share."""
    test: Examples
    """Common test set."""
    rewards: Rewards | None = None
    """What scores answers, where the recipe has rewards."""


@dataclass(frozen=True, kw_only=True)
class WorkerRecipe:
    """Settings from which a worker is made; it can be pickled where ``streams`` can.

    Equal recipes make workers with equal ``model_key``, whose jobs have equal results: in this
    process, in another one, or on another machine with the same files and libraries.
    """

    method: MethodConfig
    data: DataConfig
    """Which texts; how they are shared makes no difference."""
    model: ModelConfig
    training: TrainingConfig
    num_clients: int
    """Clients of the federation."""
    rewards: RewardsConfig | None = None
    """What answers are rewarded for."""
    streams: Streams
    """Addressed randomness of the run. Used: ``model_init`` () and ``method_init`` ()."""
    host: Host = PLAIN
    """What of the machine jobs run on."""

    def load(self) -> Loaded:
        """Read the texts and the model.

        Raises
        ------
        ValueError
            One line: what is wrong with the data or the model.
        """
        corpus = load_corpus(self.data)
        backbone = load_backbone(
            self.model,
            num_classes=len(corpus.class_names),
            rng=self.streams("model_init"),
            task=self.data.task,
        )
        train, test = (Examples.of(table, backbone) for table in (corpus.train, corpus.test))
        rewards = None if self.rewards is None else load_rewards(self.rewards)
        return Loaded(backbone=backbone, train=train, test=test, rewards=rewards)

    @property
    def is_plain(self) -> bool:
        """Whether a worker that runs jobs holds its model as one that plans does."""
        training = self.training
        in_full = training.autocast is None and training.frozen_weights is None
        return training.mode == "none" or (self.host == PLAIN and in_full)

    def build(self, loaded: Loaded | None = None, *, runs_jobs: bool = True) -> Worker[Method]:
        """Make the worker.

        Parameters
        ----------
        loaded
            What :meth:`load` returns, if this process has it already.
        runs_jobs
            Whether the model is put where jobs run, in the numbers that they need. A worker that
            does not, stays on the CPU in single precision: what a step costs is counted on it.

        Raises
        ------
        ValueError
            Data, a model or a setting that do not go together.
        """
        parts = self.load() if loaded is None else loaded
        return build_worker(
            self.method,
            backbone=parts.backbone,
            train=parts.train,
            test=parts.test,
            training=self.training,
            streams=self.streams,
            num_clients=self.num_clients,
            rewards=parts.rewards,
            helpfulness_of=self._helpfulness_of(),
            host=self.host,
            runs_jobs=runs_jobs,
        )

    def _helpfulness_of(self) -> HelpfulnessOf:
        """Return how each client weighs the rewards."""
        rewards = self.rewards
        if rewards is None:
            return equal_weights
        return lambda client_id: rewards.weight_of(client_id, self.num_clients)


def build_worker(
    config: MethodConfig,
    *,
    backbone: Backbone,
    train: Examples,
    test: Examples,
    training: TrainingConfig,
    streams: Streams,
    num_clients: int,
    rewards: Rewards | None = None,
    helpfulness_of: HelpfulnessOf = equal_weights,
    host: Host = PLAIN,
    runs_jobs: bool = True,
) -> Worker[Method]:
    """Install a method in a backbone, in place, and return what runs its jobs.

    The same arguments give an equal worker in any process, with the same ``model_key``. Sets the
    number of threads of torch for this process.

    Parameters
    ----------
    config
        Settings of the method.
    backbone
        Freshly loaded; it serves this method only from now on.
    train, test
        Texts that shards index, and the common test set.
    training
        Settings of local training; where they train nothing, the module keeps shapes alone.
    streams
        Addressed randomness; the method's first values come from ``method_init``.
    num_clients
        Clients of the federation.
    rewards
        What scores answers.
    helpfulness_of
        How much helpfulness counts for a client, by its id.
    host
        What of the machine jobs run on.
    runs_jobs
        As of :meth:`WorkerRecipe.build`.

    Raises
    ------
    fl.execution.host.HostError
        The device is not here, or the method does not go with a setting of the host.
    ValueError
        A setting that does not suit the backbone.
    """
    if host.checkpointing and not config.can_recompute:
        msg = f"checkpointing: does not go with {config.kind}: its layers keep things of a pass"
        raise HostError(msg)
    torch.set_num_threads(training.threads)
    if training.mode == "none":
        place(backbone.module, "meta")
    backbone.check_room(config.extra_positions, kind=config.kind)
    seed = int(streams("method_init").integers(2**63 - 1))
    method = install_method(
        config,
        backbone.module,
        generator=torch.Generator().manual_seed(seed),
        num_clients=num_clients,
        helpfulness_of=helpfulness_of,
        lora=training.lora,
    )
    backbone.module.eval()
    if training.backbone_dropout and not dropout_places(backbone.module):
        msg = (
            f"training.backbone_dropout: has no effect: {backbone.name!r} has no layer that drops "
            f"anything, got {training.backbone_dropout:g}"
        )
        raise ValueError(msg)
    key = _model_key(
        config,
        method,
        seed=seed,
        backbone=backbone,
        tables=(train, test),
        training=training,
        rewards=rewards,
        host=host,
    )
    if training.frozen_weights is not None:
        check_frozen(backbone.module, installed=frozenset(method.initial))
    passes, device = AS_THEY_ARE, torch.device("cpu")
    if runs_jobs and training.mode == "train":
        passes, device = _place(backbone.module, method, training=training, host=host)
    return Worker(
        module=backbone.module,
        method=method,
        train=replace(train, device=device),
        test=replace(test, device=device),
        tokenizer=backbone.tokenizer,
        rewards=rewards,
        helpfulness_of=helpfulness_of,
        passes=passes,
        model_key=key,
    )


def _place(
    module: nn.Module, method: Method, *, training: TrainingConfig, host: Host
) -> tuple[Passes, torch.device]:
    """Put a model where jobs run, once; return how it is passed there, and where that is."""
    open_device(host.device)
    device = torch.device(host.device)
    autocast, installed = training.autocast, frozenset(method.initial)
    dtype = torch.float32 if autocast is None else DTYPES[autocast]
    if training.frozen_weights is not None:
        kind = training.frozen_weights
        quantize_frozen(module, kind, installed=installed, device=device, dtype=dtype)
    elif autocast is not None:
        store_half(module, dtype, installed=installed)
    if device.type != "cpu":
        place(module, device)
    passes = Passes(
        autocast=training.autocast, checkpointing=host.checkpointing, compiled=host.compiled
    )
    return passes, device


def _model_key(
    config: MethodConfig,
    method: Method,
    *,
    seed: int,
    backbone: Backbone,
    tables: Sequence[Examples],
    training: TrainingConfig,
    rewards: Rewards | None,
    host: Host,
) -> str:
    """Digest what a job's result depends on beside the job itself, code and libraries included."""
    digest = hashlib.sha256()
    named = [
        backbone.digest,
        getattr(backbone.module, "pooling", None),
        config.kind,
        {key: value for key, value in asdict(config).items() if key != "label"},
        seed,
        training.threads,
        [training.autocast, host.device_kind, host.checkpointing, host.compiled],
        training.frozen_weights and [training.frozen_weights, quantization_version()],
        asdict(training.lora),
        _code_of(config),
        dict(library_versions()),
    ]
    if rewards is not None:
        named.append(rewards.digest)
    digest.update(json.dumps(named, sort_keys=True).encode())
    arrays: list[np.ndarray | None] = [
        value.detach().numpy()
        for name, value in backbone.module.named_parameters()
        if name.startswith("head.") and name not in method.initial and not value.is_meta
    ]
    for table in tables:
        arrays += [table.labels, *_arrays_of(table.tokens)]
        if table.rejected is not None:
            arrays += _arrays_of(table.rejected)
    for array in arrays:
        held = np.zeros(0) if array is None else np.ascontiguousarray(array)
        digest.update(f"{held.dtype} {held.shape}".encode())
        digest.update(held.tobytes())
    return digest.hexdigest()


def _arrays_of(tokens: TokenTable) -> list[np.ndarray | None]:
    return [tokens.ids, tokens.offsets, tokens.type_ids, tokens.answer_starts]


def _code_of(config: MethodConfig) -> list[str]:
    """Digest the code of a method, of training and of models; of a user's own file as well."""
    if not isinstance(config, OwnConfig):
        return [code_digest(*_CODE, METHODS[config.kind].module)]
    imported = imported_modules(file_of(config.kind).read_bytes())
    return [file_digest(config.kind), code_digest(*_CODE, *sorted(imported))]
