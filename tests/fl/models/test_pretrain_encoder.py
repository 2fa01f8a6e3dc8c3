from dataclasses import replace

import numpy as np
import torch

from fl.models import pretrain_encoder, pretrain_text
from fl.models.pretrain_encoder import (
    MaskedModel,
    Recipe,
    build_encoder,
    contrast_loss,
    draw_batches,
    mask_tokens,
    pair_texts,
    train,
)
from fl.models.pretrain_steps import draw_weights
from fl.models.tokens import tokenize_with
from tests.fl.models.conftest import SMALL, TEXTS

DOCUMENTS = [
    tuple(f"{text} Part {n} of {m}." for n in range(3)) for m, text in enumerate(TEXTS * 4)
]


def test_lone_long_paragraphs_are_cut_in_halves(monkeypatch):
    monkeypatch.setattr(pretrain_encoder, "is_reserved", lambda _: False)
    long = " ".join(f"w{n}" for n in range(13))
    texts, members = pair_texts([("one", "two", "three"), (long,), ("short one",)])
    assert members == [(0, 1, 2), (3, 4), (5,)]
    assert f"{texts[3]} {texts[4]}" == long
    assert texts[5] == "short one"


def test_no_half_equals_a_reserved_text():
    num_moved = num_whole = 0
    for n in range(200):
        long = " ".join(f"w{n}x{k}" for k in range(14))
        texts, _ = pair_texts([(long,)])
        assert " ".join(texts) == long
        if len(texts) == 1:
            num_whole += 1
            continue
        assert not any(map(pretrain_text.is_reserved, texts))
        assert abs(len(texts[0].split()) - 7) <= 3
        num_moved += len(texts[0].split()) != 7
    # A half is free with probability 0.6, so of 200 texts 0.36 keep their middle and 0.64^7 stay
    # whole; 5 standard deviations.
    assert abs(num_moved + num_whole - 0.64 * 200) < 5 * np.sqrt(0.64 * 0.36 * 200)
    assert num_whole < 200 * 0.64**7 + 5 * np.sqrt(200 * 0.64**7)


def test_one_pass_of_batches_holds_every_text():
    texts, members = pair_texts(DOCUMENTS)
    lengths = np.array([len(text.split()) for text in texts])
    recipe = replace(SMALL, batch_pairs=4)
    batches = draw_batches(members, lengths, recipe=recipe, rng=np.random.default_rng(0))
    owner = {text: document for document, own in enumerate(members) for text in own}
    num_pairs = sum((len(own) + 1) // 2 for own in members)
    drawn = [next(batches) for _ in range(num_pairs // recipe.batch_pairs)]
    pairs = [pair for batch in drawn for pair in batch]
    assert len(pairs) == num_pairs
    assert {text for pair in pairs for text in pair} == set(range(len(texts)))
    assert all(owner[a] == owner[b] for a, b in pairs)


def test_masking_hides_the_stated_share_in_the_stated_ways():
    recipe = Recipe()
    ids = torch.randint(5, 4096, (400, 50), generator=torch.Generator().manual_seed(0))
    ids[:, 0], mask = 2, torch.ones_like(ids)
    mask[:, 40:] = 0
    altered, is_hidden = mask_tokens(
        ids,
        mask,
        recipe=recipe,
        mask_token_id=4,
        num_special=5,
        generator=torch.Generator().manual_seed(1),
    )
    assert not is_hidden[:, 0].any()
    assert not is_hidden[:, 40:].any()
    assert torch.equal(altered[~is_hidden], ids[~is_hidden])
    num_free = 400 * 39

    def within(count, share, total):
        return abs(count - share * total) < 4 * (share * (1 - share) * total) ** 0.5

    num_hidden = int(is_hidden.sum())
    assert within(num_hidden, recipe.masked_fraction, num_free)
    hidden_now = altered[is_hidden]
    assert within(int((hidden_now == 4).sum()), 0.8, num_hidden)
    assert within(int((hidden_now == ids[is_hidden]).sum()), 0.1, num_hidden)


def test_contrast_loss_has_its_closed_form():
    # Orthonormal partners: each row's scores are 1/T for the partner and 0 for n - 1 others.
    size, temperature = 5, 0.5
    vectors = torch.eye(size) * 3
    expected = np.log(1 + (size - 1) * np.exp(-1 / temperature))
    loss = contrast_loss(vectors, 2 * vectors, temperature=temperature)
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-6)


def run_small(seed):
    recipe = replace(SMALL, seed=seed, steps=30, batch_pairs=6, learning_rate=1e-2)
    texts, members = pair_texts(DOCUMENTS)
    tokenizer = pretrain_text.train_tokenizer(texts, vocabulary_size=recipe.vocabulary_size)
    table = tokenize_with(tokenizer, texts, max_tokens=recipe.max_tokens, pad_token_id=0)
    model = MaskedModel(build_encoder(recipe, seed=seed))
    draw_weights(model.transform, seed=seed)
    ids, mask = table.pad_batch(np.arange(len(table)))

    def loss():
        hidden = model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        scores = model.token_scores(hidden[mask == 1])
        return torch.nn.functional.cross_entropy(scores, ids[mask == 1]).item()

    before = loss()
    train(model, table, members, recipe=recipe, mask_token_id=4, num_special=5)
    return model, before, loss()


def test_training_learns_and_is_a_function_of_its_seed():
    first, before, after = run_small(0)
    second, _, _ = run_small(0)
    other, _, _ = run_small(1)
    assert after < 0.9 * before
    for name, weight in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], weight, rtol=0, atol=0)
    name = "encoder.embeddings.word_embeddings.weight"
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])
