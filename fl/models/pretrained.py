"""Reading a pretrained model and its tokenizer from a folder or the hub, with nothing trusted.

No code of the model's author runs, nothing is unpickled, and a configuration that asks for an
absurd size is refused before anything of that size is built. Choices, the same for every
architecture: float32; every dropout probability 0, so that a training job is a function of its
inputs alone; attention in its plain ("eager") form, whose matrix products PyTorch's FLOP counter
sees (on a CPU it does not count the fused kernel).
"""

import contextlib
from collections.abc import Iterator
from logging import ERROR as LOG_ERRORS_ONLY
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
import transformers
from torch import nn
from torch.nn.modules import module as torch_module
from transformers import AutoModelForCausalLM
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
)
from transformers.utils import logging

from fl.metrics import Task
from fl.models.probe import last_hidden, short_text, unused_parameters
from fl.problems import ModelError, ModelNotFoundError, one_line

HUB_TIMEOUT_S = 10.0
"""Longest wait for the hub to say that it knows a model."""
MAX_LAYERS = 1000
"""Most that a configuration may give for anything called layers, far above any published model."""
MAX_MODULES = 20_000
"""Most modules of a model, far above any published one; a layer of a transformer has about 15."""
MAX_PARAMETERS = 20 * 10**9
"""Most numbers of a model: 80 GB in float32, the most that one machine trains [our choice]."""
MAX_REASON = 200
"""Longest text of an exception of transformers that a message repeats [characters]."""
NO_CAUSAL_MODEL = (
    "model.name: {name!r} is a {kind} model, which writes no text; prompts with responses need a "
    "causal model"
)

Loaded = tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]
"""Model and fast tokenizer."""


def load_pretrained(place: str, *, name: str, task: Task) -> Loaded:
    """Load a text encoder, or a causal model with its output layer, and its tokenizer.

    Weights that the hidden states do not depend on (a pooler, a head for another task) are taken
    out of what could be trained.

    Parameters
    ----------
    place
        Folder or hub id.
    name
        The model's name in the scenario, for messages.
    task
        Classification takes the encoder alone; generation the whole causal model.

    Raises
    ------
    fl.problems.ModelError
        One line: neither a folder nor reachable, no safetensors, no fast tokenizer, too large, or
        not a text encoder.
    """
    is_folder = Path(place).is_dir()
    if is_folder:
        _check_files(Path(place), name=name)
    else:
        check_reachable(place, name=name)
    # transformers draws weights before it reads them; the global generator is left as it was.
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        try:
            _check_layers(place, name=name)
            settings = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False)
            switch_dropout_off(settings)
            check_kind(settings, name=name, task=task)
            auto: Any = transformers.AutoModel if task == "classification" else AutoModelForCausalLM
            model, found = read_weights(auto, place, settings, name=name)
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        except ModelError:
            raise
        except Exception as error:  # a damaged folder fails in many ways, all of one meaning
            raise _explained(name, error, is_folder=is_folder) from None
    if not getattr(tokenizer, "is_fast", False):
        msg = f"model.name: {name!r} has no fast tokenizer (tokenizer.json)"
        raise ModelError(msg)
    with quiet_transformers():  # the first forward pass gives advice too
        missing = set(found["missing_keys"]) - _drop_unused(model, name=name)
    if missing:
        msg = (
            f"model.name: the files of {name!r} lack {len(missing)} weights of a "
            f"{settings.model_type} encoder, first {min(missing)}"
        )
        raise ModelError(msg)
    return model, tokenizer


def _check_files(folder: Path, *, name: str) -> None:
    """Refuse a folder whose weights would have to be unpickled, or that only points elsewhere."""
    if (folder / "adapter_config.json").exists():
        msg = (
            f"model.name: folder {name!r} holds an adapter of peft (adapter_config.json), not a "
            "model; merge it into its model and save that"
        )
        raise ModelError(msg)
    pickled = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if pickled and not any(folder.glob("*.safetensors")):
        msg = (
            f"model.name: folder {name!r} has {pickled[0]} and no model.safetensors; pickled "
            "weights are never read, as they can run code: save the model with "
            "save_pretrained(..., safe_serialization=True)"
        )
        raise ModelError(msg)


def check_reachable(hub_id: str, *, name: str) -> None:
    """Fail at once where the hub cannot serve this model, instead of after minutes of retries."""
    try:
        if huggingface_hub.try_to_load_from_cache(hub_id, "config.json") is None:
            huggingface_hub.HfApi().model_info(hub_id, timeout=HUB_TIMEOUT_S)
    except Exception as error:
        raise _explained(name, error, is_folder=False) from None


def _explained(name: str, error: Exception, *, is_folder: bool) -> ModelError:
    """State in one line why a model did not load."""
    reason = one_line(str(error), MAX_REASON)
    if is_folder:
        return ModelError(
            f"model.name: folder {name!r} cannot be loaded as a safetensors model: {reason}"
        )
    return ModelNotFoundError(
        f"model.name: {name!r} is neither a folder nor reachable on the hub; "
        f"give a folder, or a built-in name ({reason})"
    )


def _check_layers(place: str, *, name: str) -> None:
    """Refuse an absurd number of layers in the bare file: a configuration lists them one by one."""
    raw, _ = transformers.PretrainedConfig.get_config_dict(place)
    for key, value in raw.items():
        if "layer" in key and isinstance(value, int) and value > MAX_LAYERS:
            msg = (
                f"model.name: {key} of {name!r} must be at most {MAX_LAYERS}, got {value:.4g} "
                "(config.json)"
            )
            raise ModelError(msg)


def read_weights(
    auto: Any,  # noqa: ANN401 -- a class of transformers that makes models by their settings
    place: str | Path,
    settings: transformers.PretrainedConfig,
    *,
    name: str,
) -> tuple[Any, dict[str, Any]]:
    """Read a model's safetensors in float32; give it with what transformers says of its weights.

    No code that lies beside the weights is run.

    Parameters
    ----------
    auto
        Class that builds and reads the model.
    place
        Folder or hub id.
    settings
        Its configuration.
    name
        Name in messages.

    Raises
    ------
    fl.problems.ModelError
        The model is too large; besides, whatever transformers raises.
    """
    with bounded_size(name):
        model, found = auto.from_pretrained(
            place,
            config=settings,
            attn_implementation="eager",
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    return model, found


@contextlib.contextmanager
def bounded_size(name: str) -> Iterator[None]:
    """Refuse a model while it is built, without its numbers yet, as soon as it is too large."""
    num_modules = num_parameters = 0

    def count_module(*_: object) -> None:
        nonlocal num_modules
        num_modules += 1
        if num_modules > MAX_MODULES:
            msg = f"model.name: {name!r} must have at most {MAX_MODULES} modules, has more"
            raise ModelError(msg)

    def count_parameter(_: nn.Module, __: str, parameter: nn.Parameter | None) -> None:
        nonlocal num_parameters
        if parameter is not None and parameter.is_meta:
            num_parameters += parameter.numel()
        if num_parameters > MAX_PARAMETERS:
            msg = (
                f"model.name: {name!r} must have at most {MAX_PARAMETERS:.3g} parameters, has more"
            )
            raise ModelError(msg)

    handles = (
        torch_module.register_module_module_registration_hook(count_module),
        torch_module.register_module_parameter_registration_hook(count_parameter),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def switch_dropout_off(settings: transformers.PretrainedConfig) -> None:
    """Set every dropout probability of a configuration to 0, in place."""
    for key, value in settings.to_dict().items():
        if isinstance(value, float) and ("dropout" in key or "layerdrop" in key):
            setattr(settings, key, 0.0)


def check_kind(settings: transformers.PretrainedConfig, *, name: str, task: Task) -> None:
    """Refuse pairs of encoder and decoder, and what writes no text where text is written."""
    if getattr(settings, "is_encoder_decoder", False):
        msg = (
            f"model.name: {name!r} is a {settings.model_type} model; "
            "an encoder or a decoder of text is needed, not a pair of both"
        )
        raise ModelError(msg)
    kind = type(settings)
    # BERT may write, but does not.
    writes = kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in MODEL_FOR_MASKED_LM_MAPPING
    if task == "generation" and not writes:
        raise ModelError(NO_CAUSAL_MODEL.format(name=name, kind=settings.model_type))


def _drop_unused(model: transformers.PreTrainedModel, *, name: str) -> set[str]:
    """Take parameters that no hidden state depends on out of a model; return their names.

    A part that a forward pass does without (a pooler) goes; of other parts the parameters become
    plain tensors, which are neither trained nor counted.
    """
    encoder: nn.Module = model.base_model
    prefix = next(path for path, each in model.named_modules() if each is encoder)

    def pass_through() -> torch.Tensor:
        with torch.enable_grad():
            return last_hidden(encoder, short_text(model))

    try:
        output = pass_through()
    except ModelError:
        raise
    except Exception as error:  # a model of something else than text fails in many ways
        reason = f"{type(error).__name__}: {one_line(str(error), MAX_REASON)}"
        msg = f"model.name: {name!r} takes no token ids: {reason}"
        raise ModelError(msg) from None
    unused = unused_parameters(encoder, output)
    for part, child in list(encoder.named_children()):
        names = {f"{part}.{each}" for each, _ in child.named_parameters()}
        if names and names <= unused:
            setattr(encoder, part, None)
            try:
                is_needed = not torch.equal(pass_through(), output)
            except (AttributeError, TypeError):
                is_needed = True
            if is_needed:
                setattr(encoder, part, child)
    for key, parameter in list(encoder.named_parameters()):
        if key in unused:
            owner = encoder.get_submodule(key.rpartition(".")[0])
            leaf = key.rpartition(".")[2]
            delattr(owner, leaf)
            owner.register_buffer(leaf, parameter.detach(), persistent=False)
    return {f"{prefix}.{key}" if prefix else key for key in unused}


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep progress bars and advice of the library off the user's screen while loading."""
    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(LOG_ERRORS_ONLY)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
