"""Train a reward model on preference pairs with the ``RewardTrainer`` of trl.

The loss of a pair is ``-log sigmoid(better - worse)`` (Bradley-Terry). All weights train, by AdamW
without weight decay, gradients clipped at 1, at a rate that rises over the first tenth of the steps
and stays. On the CPU, one thread, in float32; no checkpoint, no log. The result depends on the
arguments and the libraries only, and the global generators are left as they were.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import transformers

from fl.global_generators import seeded_generators
from fl.models.backbone import Backbone
from fl.models.pretrained import quiet_transformers
from fl.problems import DataError
from fl.rewards.config import TrainedReward
from fl.rewards.held_out import HeldOut, summarise
from fl.rewards.pairs import Pairs
from fl.rewards.reward_model import ModelScores, PairEncoder, build_classifier

WARMUP_PART = 10
"""The rate rises over one step in this many."""
MIN_SPREAD = 1e-4
"""Least standard deviation of outputs, as a part of the largest, by which they can be standardised:
float32 then tells a thousand steps of it apart."""


def train_model(
    config: TrainedReward, pairs: Pairs, *, backbone: Backbone, key: str
) -> tuple[transformers.PreTrainedModel, int]:
    """Return a trained model, and how many pairs it was trained on: those that are not too long.

    Raises
    ------
    fl.problems.DataError
        All pairs are too long.
    FloatingPointError
        The weights are not finite any more.
    """
    rows = PairEncoder(backbone.tokenizer, config.max_tokens).fitting(pairs, key=key)
    with seeded_generators(config.seed), one_thread(), quiet_transformers():
        model = build_classifier(backbone)
        _fit(
            model,
            config,
            chosen_ids=[better.ids for better, _ in rows],
            rejected_ids=[worse.ids for _, worse in rows],
            tokenizer=backbone.tokenizer,
        )
    if not all(tensor.isfinite().all() for tensor in model.parameters()):
        msg = (
            f"{key}.learning_rate: the reward model must stay finite over {config.steps} steps, "
            f"it does not at {config.learning_rate:g}"
        )
        raise FloatingPointError(msg)
    model.train(mode=False)
    return model, len(rows)


def _fit(
    model: transformers.PreTrainedModel,
    config: TrainedReward,
    *,
    chosen_ids: Sequence[Sequence[int]],
    rejected_ids: Sequence[Sequence[int]],
    tokenizer: transformers.PreTrainedTokenizerBase,
) -> None:
    """Train a model in place."""
    # takes seconds to import
    from datasets import Dataset  # noqa: PLC0415
    from trl.trainer.reward_config import RewardConfig  # noqa: PLC0415
    from trl.trainer.reward_trainer import RewardTrainer  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        settings = RewardConfig(
            output_dir=folder,
            max_steps=config.steps,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=config.steps // WARMUP_PART,
            weight_decay=0.0,
            max_grad_norm=1.0,
            max_length=None,
            seed=config.seed,
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            eval_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = RewardTrainer(
            model=model,
            args=settings,
            train_dataset=Dataset.from_dict(
                {"chosen_ids": chosen_ids, "rejected_ids": rejected_ids}
            ),
            processing_class=tokenizer,
        )
        trainer.remove_callback(transformers.PrinterCallback)  # prints a summary at the end
        trainer.train()


def evaluate(model: ModelScores, pairs: Pairs) -> HeldOut:
    """Score held-out pairs; pairs that are too long are left out.

    Raises
    ------
    fl.problems.DataError
        All pairs are too long, or all answers score the same.
    """
    rows = model.encoder.fitting(pairs, key=model.key)
    with one_thread():
        better, worse = (model.outputs([row[side] for row in rows]) for side in (0, 1))
    found, largest = summarise(better, worse), float(np.abs([better, worse]).max())
    if not found.std > MIN_SPREAD * largest:
        msg = (
            f"{model.key}: a reward model must tell held-out answers apart; its outputs "
            f"have a standard deviation of {found.std:.3g} at values up to {largest:.3g}"
        )
        raise DataError(msg)
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread: sums are then the same whatever the process is set to."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
