"""The recipe of ``tiny-decoder``: ``python -m fl.models.pretrain tiny-decoder --out DIR``.

A small Llama-type model learns to name the next token of text that no test split holds: of every
paragraph of the docstrings that may be read, and of the summary that follows the signature of its
function, laid out as :func:`fl.models.tokens.tokenize_answers` lays out prompts and answers. Of the
latter only the summary is asked for. The mixture is our choice.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import transformers
from jaxtyping import Int

from fl.models.batch import Batch
from fl.models.language import LanguageModel
from fl.models.pretrain_steps import draw_weights, take_steps
from fl.models.pretrain_text import Document, collect_documents, train_writing_tokenizer
from fl.models.tokens import TokenTable, tokenize_answers, tokenize_with

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All numbers that decide the weights, besides the text."""

    seed: int = 0
    num_threads: int = 1
    """Threads of PyTorch; another number changes the last bits."""
    steps: int = 3_600
    batch_texts: int = 32
    learning_rate: float = 3e-3
    """Peak, reached linearly over ``warmup_fraction`` and left linearly to 0."""
    warmup_fraction: float = 0.04
    weight_decay: float = 0.05
    vocabulary_size: int = 4096
    hidden_size: int = 128
    num_layers: int = 2
    num_heads: int = 4
    ffn_size: int = 384
    max_positions: int = 128
    """Positions of the model."""
    max_tokens: int = 64
    """Where longer texts are cut in pretraining."""


def build_decoder(recipe: Recipe, *, seed: int) -> transformers.LlamaForCausalLM:
    """Return the architecture of the recipe with random weights, drawn from ``seed`` alone.

    The output layer shares its weights with the token embedding.
    """
    settings = transformers.LlamaConfig(
        vocab_size=recipe.vocabulary_size,
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.num_layers,
        num_attention_heads=recipe.num_heads,
        intermediate_size=recipe.ffn_size,
        max_position_embeddings=recipe.max_positions,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        causal = transformers.LlamaForCausalLM(settings)
    draw_weights(causal, seed=seed)
    return causal


def build_table(
    documents: list[Document],
    tokenizer: transformers.PreTrainedTokenizerBase,
    *,
    max_tokens: int,
) -> TokenTable:
    """Return every paragraph as a text to write, then every signature with its summary."""
    paragraphs = tokenize_with(
        tokenizer,
        [text for document in documents for text in document.paragraphs],
        max_tokens=max_tokens,
        pad_token_id=tokenizer.pad_token_id,
    )
    signed = [document for document in documents if document.signature]
    summaries = tokenize_answers(
        tokenizer,
        [document.signature for document in signed],
        [document.paragraphs[0] for document in signed],
        max_tokens=max_tokens,
        pad_token_id=tokenizer.pad_token_id,
    )
    # All but the first token of a paragraph is asked for: that one stands before the text.
    starts = (np.ones(len(paragraphs), dtype=np.int32), np.asarray(summaries.answer_starts))
    return replace(
        paragraphs,
        ids=np.concatenate([paragraphs.ids, summaries.ids]),
        offsets=np.concatenate(
            [paragraphs.offsets, paragraphs.offsets[-1] + summaries.offsets[1:]]
        ),
        answer_starts=np.concatenate(starts),
    )


def draw_batches(
    lengths: Int[np.ndarray, " text"], *, batch_texts: int, rng: np.random.Generator
) -> Iterator[Int[np.ndarray, " text"]]:
    """Yield batches of texts without end, texts of like length together, each once a pass."""
    while True:
        # Noise, so that a batch is not the same set of texts in every pass.
        order = np.argsort(lengths + rng.uniform(0, 4, len(lengths)), kind="stable")
        batches = np.array_split(order, max(1, len(lengths) // batch_texts))
        for place in rng.permutation(len(batches)):
            yield batches[place]


def train(causal: transformers.LlamaForCausalLM, table: TokenTable, *, recipe: Recipe) -> None:
    """Run the recipe's steps on a model in place; logs its loss."""
    rng = np.random.default_rng(recipe.seed)
    batches = draw_batches(table.lengths, batch_texts=recipe.batch_texts, rng=rng)
    model = LanguageModel(causal)

    def step() -> dict[str, torch.Tensor]:
        rows = next(batches)
        ids, mask = table.pad_batch(rows)
        batch = Batch(input_ids=ids, attention_mask=mask, labels=table.pad_answers(rows))
        return {"next token": model.loss(batch)}

    take_steps(
        model,
        step,
        num_steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        warmup_fraction=recipe.warmup_fraction,
        weight_decay=recipe.weight_decay,
    )


def pretrain(recipe: Recipe, out: Path) -> None:
    """Collect the text, train tokenizer and model, write the model folder."""
    documents = collect_documents()
    texts = [text for document in documents for text in (document.signature, *document.paragraphs)]
    tokenizer = train_writing_tokenizer(texts, vocabulary_size=recipe.vocabulary_size)
    table = build_table(documents, tokenizer, max_tokens=recipe.max_tokens)
    logger.info("%d docstrings, %d texts, %d tokens", len(documents), len(table), len(table.ids))
    causal = build_decoder(recipe, seed=recipe.seed)
    train(causal, table, recipe=recipe)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out)
    causal.half().save_pretrained(out)  # type: ignore[no-untyped-call]
