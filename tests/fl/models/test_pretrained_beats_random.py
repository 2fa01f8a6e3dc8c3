"""The shipped models against the same architectures with random weights, same budget."""

import numpy as np
import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model

from fl.data.config import DocstringsData
from fl.data.corpus import load_corpus
from fl.models.architecture import attention_targets
from fl.models.backbone import load_backbone
from fl.models.classifier import init_head
from fl.models.config import ModelConfig
from fl.models.pretrain_steps import draw_weights
from fl.models.tokens import tokenize_table
from fl.training.batches import Examples
from tests.fl.fakes import tokenize

NUM_STEPS, BATCH_SIZE, LEARNING_RATE = 300, 32, 3e-3


def fine_tune(corpus, *, tuned, is_pretrained, seed):
    """Train a head and, with ``tuned="lora"``, rank-8 LoRA; give the accuracy on the test set."""
    rng = np.random.default_rng(seed)
    backbone = load_backbone(
        ModelConfig(name="tiny-encoder"), num_classes=len(corpus.class_names), rng=rng
    )
    module = backbone.module
    if not is_pretrained:
        draw_weights(module.encoder, seed=seed)
    init_head(module, rng)
    module.requires_grad_(False)
    if tuned == "lora":
        names = attention_targets(module.encoder)
        lora = LoraConfig(r=8, lora_alpha=16, target_modules=[names.query, names.value])
        with torch.random.fork_rng():
            torch.random.default_generator.manual_seed(seed)
            inject_adapter_in_model(lora, module)
    module.head.requires_grad_(True)
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE)
    table = tokenize(corpus.train.texts, backbone)
    labels = torch.from_numpy(corpus.train.labels)
    for _ in range(NUM_STEPS):
        rows = rng.choice(len(table), BATCH_SIZE, replace=False)
        loss = torch.nn.functional.cross_entropy(module(*table.pad_batch(rows)), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return accuracy(module, tokenize(corpus.test.texts, backbone), corpus.test.labels)


def accuracy(module, table, labels):
    order = np.argsort(table.lengths, kind="stable")
    hits = 0
    with torch.no_grad():
        for rows in np.array_split(order, len(order) // 128 + 1):
            hits += (module(*table.pad_batch(rows)).argmax(dim=1).numpy() == labels[rows]).sum()
    return hits / len(order)


@pytest.mark.slow
@pytest.mark.parametrize("tuned", ["head", "lora"])
def test_pretrained_encoder_beats_random_weights(tuned):
    corpus = load_corpus(DocstringsData())
    pretrained, random = (
        [fine_tune(corpus, tuned=tuned, is_pretrained=is_pretrained, seed=seed) for seed in (0, 1)]
        for is_pretrained in (True, False)
    )
    assert min(pretrained) > max(random) + 0.1, f"pretrained {pretrained}, random {random}"


def learn_to_write(corpus, *, is_pretrained, seed):
    """Train rank-8 LoRA on signatures and summaries; give the loss of a token of the test fold."""
    rng = np.random.default_rng(seed)
    config = ModelConfig(name="tiny-decoder")
    backbone = load_backbone(config, num_classes=0, rng=rng, task="generation")
    module = backbone.module
    if not is_pretrained:
        draw_weights(module, seed=seed)
    module.requires_grad_(False)
    names = attention_targets(module.encoder)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=[names.query, names.value])
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        inject_adapter_in_model(lora, module.encoder)
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE)
    train, test = (
        Examples(tokens=tokenize_table(table, backbone), labels=table.labels)
        for table in (corpus.train, corpus.test)
    )
    for _ in range(NUM_STEPS):
        loss = module.loss(train.batch(rng.choice(len(train.tokens), BATCH_SIZE, replace=False)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    order = np.argsort(test.tokens.lengths, kind="stable")
    nats = num_tokens = 0.0
    with torch.no_grad():
        for rows in np.array_split(order, len(order) // 64 + 1):
            scores = module.score(test.batch(rows))
            nats += float(scores["nats"].sum())
            num_tokens += float(scores["tokens"].sum())
    return nats / num_tokens


@pytest.mark.slow
def test_pretrained_decoder_beats_random_weights():
    corpus = load_corpus(DocstringsData(task="generation"))
    pretrained, random = (
        [learn_to_write(corpus, is_pretrained=is_pretrained, seed=seed) for seed in (0, 1)]
        for is_pretrained in (True, False)
    )
    # Even a uniform guess over the 4,096 tokens has ln 4096 = 8.3 nats.
    assert max(pretrained) < min(random) - 1, f"pretrained {pretrained}, random {random}"
