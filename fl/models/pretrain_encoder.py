"""The recipe of ``tiny-encoder``: ``python -m fl.models.pretrain tiny-encoder --out DIR``.

A small BERT-type encoder learns from docstrings outside every test split, by two objectives of our
choice on the same forward pass:

* masked language modelling: 20 % of the tokens are hidden (80 % by ``[MASK]``, 10 % by a random
  token, 10 % left as they are, the proportions of BERT), the model names them;
* contrast: two paragraphs of one docstring (or two halves of its only one) must have mean token
  vectors closer to one another than to those of the other docstrings of the batch.

The result depends on the installed packages, the seed and the number of threads only.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from torch import nn
from torch.nn import functional

from fl.models.classifier import pool
from fl.models.pretrain_steps import draw_weights, take_steps
from fl.models.pretrain_text import collect_documents, is_reserved, train_tokenizer
from fl.models.tokens import TokenTable, tokenize_with

logger = logging.getLogger(__name__)

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All numbers that decide the weights, besides the text."""

    seed: int = 0
    num_threads: int = 1
    """Threads of PyTorch; another number changes the last bits."""
    steps: int = 2_000
    batch_pairs: int = 64
    """Pairs of texts a step."""
    learning_rate: float = 1.5e-3
    """Peak, reached linearly over ``warmup_fraction`` and left linearly to 0."""
    warmup_fraction: float = 0.06
    weight_decay: float = 0.01
    masked_fraction: float = 0.2
    contrast_weight: float = 1.0
    """Weight of the contrastive loss beside the masked-token loss."""
    temperature: float = 0.1
    """Of the softmax over cosine similarities."""
    vocabulary_size: int = 4096
    hidden_size: int = 128
    num_layers: int = 2
    num_heads: int = 4
    ffn_size: int = 512
    max_tokens: int = 64
    """Positions of the model, and where longer texts are cut."""


class MaskedModel(nn.Module):
    """Encoder with the output layer of masked language modelling, tied to the embedding."""

    def __init__(self, encoder: transformers.BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        size = encoder.config.hidden_size
        self.transform = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.LayerNorm(size))
        self.bias = nn.Parameter(torch.zeros(encoder.config.vocab_size))

    def token_scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Score every token of the vocabulary at given positions; shape (position, token)."""
        embedding = self.encoder.embeddings.word_embeddings.weight
        return self.transform(hidden) @ embedding.T + self.bias


def build_encoder(recipe: Recipe, *, seed: int) -> transformers.BertModel:
    """Return the architecture of the recipe with random weights, drawn from ``seed`` alone."""
    settings = transformers.BertConfig(
        vocab_size=recipe.vocabulary_size,
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.num_layers,
        num_attention_heads=recipe.num_heads,
        intermediate_size=recipe.ffn_size,
        max_position_embeddings=recipe.max_tokens,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    encoder = transformers.BertModel(settings, add_pooling_layer=False)
    draw_weights(encoder, seed=seed)
    return encoder


def pair_texts(
    documents: Sequence[tuple[str, ...]],
) -> tuple[list[str], list[tuple[int, ...]]]:
    """Flatten documents to texts, cutting a lone paragraph of 12 words or more in two halves.

    Returns
    -------
    The texts, and for each document the indices of its own, at least one.
    """
    texts: list[str] = []
    members: list[tuple[int, ...]] = []
    for document in documents:
        pieces = _halves(document[0]) if len(document) == 1 else document
        members.append(tuple(range(len(texts), len(texts) + len(pieces))))
        texts.extend(pieces)
    return texts, members


def _halves(text: str) -> tuple[str, ...]:
    """Cut a text of 12 words or more in the middle; a shorter one stays whole.

    Where a half would equal a text that is reserved for tests, the cut moves by up to 3 words; a
    text that no such cut suits (one in twenty) stays whole.
    """
    words = text.split()
    if len(words) >= 12:
        for shift in (0, 1, -1, 2, -2, 3, -3):
            middle = len(words) // 2 + shift
            halves = (" ".join(words[:middle]), " ".join(words[middle:]))
            if not any(map(is_reserved, halves)):
                return halves
    return (text,)


def draw_batches(
    members: Sequence[tuple[int, ...]],
    lengths: np.ndarray,
    *,
    recipe: Recipe,
    rng: np.random.Generator,
) -> Iterator[list[Pair]]:
    """Yield batches of pairs without end, texts of like length together.

    Each pass over the documents pairs the texts of each at random; an odd one is paired with
    itself, which two different masks tell apart.
    """
    while True:
        pairs: list[Pair] = []
        for own in members:
            dealt = [int(text) for text in rng.permutation(own)]
            pairs.extend(
                (dealt[place], dealt[min(place + 1, len(dealt) - 1)])
                for place in range(0, len(dealt), 2)
            )
        longest = np.array([max(lengths[a], lengths[b]) for a, b in pairs])
        # Noise, so that a batch is not the same set of texts in every pass.
        order = np.argsort(longest + rng.uniform(0, 4, len(pairs)), kind="stable")
        num_batches = len(pairs) // recipe.batch_pairs
        batches = np.array_split(order, num_batches)
        for place in rng.permutation(num_batches):
            yield [pairs[row] for row in batches[place]]


def mask_tokens(
    ids: torch.Tensor,
    mask: torch.Tensor,
    *,
    recipe: Recipe,
    mask_token_id: int,
    num_special: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide some tokens; give the altered ids and where the hidden ones stand (bool)."""
    can_hide = (mask == 1) & (ids >= num_special)
    draw = torch.rand(ids.shape, generator=generator)
    is_hidden = can_hide & (draw < recipe.masked_fraction)
    how = torch.rand(ids.shape, generator=generator)
    noise = torch.randint(num_special, recipe.vocabulary_size, ids.shape, generator=generator)
    altered = torch.where(is_hidden & (how < 0.8), mask_token_id, ids)
    return torch.where(is_hidden & (how >= 0.9), noise, altered), is_hidden


def contrast_loss(first: torch.Tensor, second: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """Cross entropy of finding each text's partner in the batch, both ways (InfoNCE)."""
    similarity = (
        functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T / temperature
    )
    partner = torch.arange(len(first))
    return (
        functional.cross_entropy(similarity, partner)
        + functional.cross_entropy(similarity.T, partner)
    ) / 2


def train(
    model: MaskedModel,
    table: TokenTable,
    members: Sequence[tuple[int, ...]],
    *,
    recipe: Recipe,
    mask_token_id: int,
    num_special: int,
) -> None:
    """Run the recipe's steps on a model in place; logs its losses."""
    rng = np.random.default_rng(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    batches = draw_batches(members, table.lengths, recipe=recipe, rng=rng)

    def step() -> dict[str, torch.Tensor]:
        pairs = next(batches)
        ids, mask = table.pad_batch([a for a, _ in pairs] + [b for _, b in pairs])
        altered, is_hidden = mask_tokens(
            ids,
            mask,
            recipe=recipe,
            mask_token_id=mask_token_id,
            num_special=num_special,
            generator=generator,
        )
        hidden = model.encoder(input_ids=altered, attention_mask=mask).last_hidden_state
        masked = functional.cross_entropy(model.token_scores(hidden[is_hidden]), ids[is_hidden])
        vectors = pool(hidden, mask, pooling="mean")
        contrast = contrast_loss(
            vectors[: len(pairs)], vectors[len(pairs) :], temperature=recipe.temperature
        )
        return {"masked": masked, "contrast": recipe.contrast_weight * contrast}

    take_steps(
        model,
        step,
        num_steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        warmup_fraction=recipe.warmup_fraction,
        weight_decay=recipe.weight_decay,
    )


def pretrain(recipe: Recipe, out: Path) -> None:
    """Collect the text, train tokenizer and encoder, write the model folder."""
    documents = [document.paragraphs for document in collect_documents()]
    texts, members = pair_texts(documents)
    logger.info("%d docstrings, %d texts", len(documents), len(texts))
    tokenizer = train_tokenizer(texts, vocabulary_size=recipe.vocabulary_size)
    pad_token_id, mask_token_id = tokenizer.pad_token_id, tokenizer.mask_token_id
    table = tokenize_with(tokenizer, texts, max_tokens=recipe.max_tokens, pad_token_id=pad_token_id)
    model = MaskedModel(build_encoder(recipe, seed=recipe.seed))
    draw_weights(model.transform, seed=recipe.seed + 1)
    train(
        model,
        table,
        members,
        recipe=recipe,
        mask_token_id=mask_token_id,
        num_special=len(tokenizer.all_special_ids),
    )
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out)
    model.encoder.half().save_pretrained(out)  # type: ignore[no-untyped-call]
