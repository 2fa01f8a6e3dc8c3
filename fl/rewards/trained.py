"""Rewards by a model: one that is trained here and kept in the cache, or one from a folder."""

import copy
import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import transformers

from fl import global_generators
from fl.cache_folder import default_cache_dir
from fl.models import backbone as backbone_module
from fl.models import pretrained
from fl.models.backbone import Backbone, load_backbone
from fl.models.config import ModelConfig
from fl.models.probe import probe
from fl.problems import ModelError
from fl.rewards import model_folder, reward_model, training
from fl.rewards.config import FolderReward, TrainedReward
from fl.rewards.held_out import HeldOut
from fl.rewards.model_folder import read_classifier, read_entry, weights_digest, write_entry
from fl.rewards.pair_sources import load_pairs
from fl.rewards.pairs import PreferencePairs
from fl.rewards.reward_model import ModelScores, PairEncoder
from fl.rewards.training import evaluate, train_model

LIBRARIES = ("accelerate", "tokenizers", "torch", "transformers", "trl")
"""Libraries whose version decides the numbers of a reward model."""
_CODE = (backbone_module, global_generators, model_folder, pretrained, reward_model, training)
"""Modules whose code decides them."""
_SETTINGS = ("steps", "batch_size", "learning_rate", "max_tokens", "seed")
"""Settings that decide them beside pairs and backbone."""


def load_trained(config: TrainedReward, *, key: str, cache_dir: Path | None = None) -> ModelScores:
    """Return a reward by a model trained on preference pairs; one in the cache is read.

    Parameters
    ----------
    config
        Settings.
    key
        Key of the reward in the scenario, with which messages begin.
    cache_dir
        Folder for reward models and harvested texts; the user's cache folder when ``None``.

    Raises
    ------
    fl.problems.DataError, fl.problems.ModelError, FloatingPointError
        One line: pairs, a backbone or settings that cannot be used.
    """
    pairs = load_pairs(config, key=key, cache_dir=cache_dir)
    backbone = _load_backbone(config, key=key)
    recipe = _recipe_digest(config, pairs, backbone)
    folder = (cache_dir or default_cache_dir()) / "rewards" / recipe[:16]
    entry = read_entry(folder, key=key)
    if entry is not None and entry[1].get("recipe") == recipe:
        (model, tokenizer), notes = entry
        encoder = PairEncoder(tokenizer, config.max_tokens)
        return _scores(
            model,
            encoder,
            key=key,
            held_out=HeldOut(**notes["held_out"]),
            num_train_pairs=notes["num_train_pairs"],
            dropped=notes["dropped"],
        )
    model, num_train_pairs = train_model(config, pairs.train, backbone=backbone, key=key)
    encoder = PairEncoder(_without_types(backbone.tokenizer), config.max_tokens)
    held_out = evaluate(ModelScores(model, encoder, "", key), pairs.test)
    num_too_long = len(pairs.train) - num_train_pairs + len(pairs.test) - held_out.num_pairs
    dropped = {**pairs.dropped, f"over {config.max_tokens} tokens": num_too_long}
    told = {"recipe": recipe, "num_train_pairs": num_train_pairs, "dropped": dropped}
    write_entry(folder, model, encoder.tokenizer, held_out=held_out, notes=told)
    return _scores(
        model,
        encoder,
        key=key,
        held_out=held_out,
        num_train_pairs=num_train_pairs,
        dropped=dropped,
    )


def load_folder(config: FolderReward, *, key: str, cache_dir: Path | None = None) -> ModelScores:
    """Return a reward by a model on disk; held-out pairs are scored where the settings name pairs.

    Raises
    ------
    fl.problems.DataError, fl.problems.ModelError
        One line: a folder or pairs that cannot be used.
    """
    folder = Path(config.path).expanduser()
    model, tokenizer = read_classifier(folder, name=config.path, key=f"{key}.path")
    base: transformers.PreTrainedModel = model.base_model  # type: ignore[assignment]
    most = probe(base).num_positions
    if most is not None and config.max_tokens > most:
        msg = (
            f"{key}.max_tokens: must be at most {most}, the positions of {config.path!r}, "
            f"got {config.max_tokens}"
        )
        raise ModelError(msg)
    encoder = PairEncoder(tokenizer, config.max_tokens)
    if config.pairs is None:
        return _scores(model, encoder, key=key, held_out=None)
    pairs = load_pairs(config, key=key, cache_dir=cache_dir)
    held_out = evaluate(ModelScores(model, encoder, "", key), pairs.test)
    num_too_long = len(pairs.test) - held_out.num_pairs
    dropped = {**pairs.dropped, f"over {config.max_tokens} tokens": num_too_long}
    return _scores(model, encoder, key=key, held_out=held_out, dropped=dropped)


def _scores(
    model: transformers.PreTrainedModel,
    encoder: PairEncoder,
    *,
    key: str,
    held_out: HeldOut | None,
    num_train_pairs: int = 0,
    dropped: dict[str, int] | None = None,
) -> ModelScores:
    """Return the reward with the digest of all that decides its scores."""
    named = [
        weights_digest(model),
        encoder.tokenizer.backend_tokenizer.to_str(),
        encoder.tokenizer.model_input_names,
        encoder.max_tokens,
        None if held_out is None else asdict(held_out),
        _code_digest(),
        _versions(),
    ]
    return ModelScores(
        model,
        encoder,
        hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest(),
        key,
        held_out=held_out,
        num_train_pairs=num_train_pairs,
        dropped=dropped or {},
    )


def _load_backbone(config: TrainedReward, *, key: str) -> Backbone:
    """Load the backbone; messages name the settings of the reward."""
    wanted = ModelConfig(name=config.backbone, max_tokens=config.max_tokens)
    try:
        # the classification head that comes with it is not used
        return load_backbone(wanted, num_classes=2, rng=np.random.default_rng(0))
    except ModelError as error:
        text = str(error).replace("model.name", f"{key}.backbone", 1)
        raise ModelError(text.replace("model.max_tokens", f"{key}.max_tokens", 1)) from None


def _without_types(
    tokenizer: transformers.PreTrainedTokenizerBase,
) -> transformers.PreTrainedTokenizerBase:
    """Return a tokenizer that says that its model takes no token types: training gives it none."""
    found = copy.deepcopy(tokenizer)
    found.model_input_names = ["input_ids", "attention_mask"]
    return found


def _recipe_digest(config: TrainedReward, pairs: PreferencePairs, backbone: Backbone) -> str:
    """Digest all that decides what training gives, code and libraries included."""
    named = [
        {name: getattr(config, name) for name in _SETTINGS},
        pairs.digest,
        backbone.digest,
        _code_digest(),
        _versions(),
    ]
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def _code_digest() -> str:
    digest = hashlib.sha256()
    for module in _CODE:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}
