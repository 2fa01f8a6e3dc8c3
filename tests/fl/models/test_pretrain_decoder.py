from dataclasses import replace

import numpy as np
import torch

from fl.models.pretrain_decoder import build_decoder, build_table, draw_batches, train
from fl.models.pretrain_text import Document, train_writing_tokenizer
from tests.fl.models.conftest import SMALL_DECODER, TEXTS

DOCUMENTS = [
    Document(
        f"def f{m}(x, y)" if m % 2 else "", tuple(f"{text} Part {n} of {m}." for n in range(3))
    )
    for m, text in enumerate(TEXTS * 4)
]
TOKENIZER = train_writing_tokenizer(TEXTS, vocabulary_size=SMALL_DECODER.vocabulary_size)


def asked(table, row):
    return TOKENIZER.decode(table.prompt_and_answer(row)[1], skip_special_tokens=True)


def test_paragraphs_are_written_whole_and_summaries_after_their_signature():
    table = build_table(DOCUMENTS, TOKENIZER, max_tokens=1_000)
    paragraphs = [text for document in DOCUMENTS for text in document.paragraphs]
    signed = [document for document in DOCUMENTS if document.signature]
    assert len(table) == len(paragraphs) + len(signed)
    for row, text in enumerate(paragraphs):
        assert table.prompt_and_answer(row)[0] == [TOKENIZER.bos_token_id]
        assert asked(table, row) == text
    for row, document in enumerate(signed, start=len(paragraphs)):
        prompt, answer = table.prompt_and_answer(row)
        assert TOKENIZER.decode(prompt, skip_special_tokens=True) == f"{document.signature}\n"
        assert answer[-1] == TOKENIZER.eos_token_id
        assert asked(table, row) == document.paragraphs[0]


def test_one_pass_of_batches_holds_every_text_once():
    lengths = np.arange(50) % 13 + 2
    batches = draw_batches(lengths, batch_texts=8, rng=np.random.default_rng(0))
    drawn = [next(batches) for _ in range(50 // 8)]
    assert sorted(np.concatenate(drawn)) == list(range(50))
    assert max(np.ptp(lengths[batch]) for batch in drawn) <= 6


def run_small(seed):
    recipe = replace(SMALL_DECODER, seed=seed, steps=30, batch_texts=6, learning_rate=1e-2)
    table = build_table(DOCUMENTS, TOKENIZER, max_tokens=recipe.max_tokens)
    causal = build_decoder(recipe, seed=seed)
    ids, mask = table.pad_batch(np.arange(len(table)))

    def loss():
        labels = torch.where(mask == 1, ids, -100)
        with torch.no_grad():
            return causal(input_ids=ids, attention_mask=mask, labels=labels).loss.item()

    before = loss()
    train(causal, table, recipe=recipe)
    return causal.state_dict(), before, loss()


def test_training_learns_and_is_a_function_of_its_seed():
    first, before, after = run_small(0)
    second, _, _ = run_small(0)
    other, _, _ = run_small(1)
    assert after < 0.8 * before
    for name, weight in first.items():
        assert weight.numpy().tobytes() == second[name].numpy().tobytes()
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])
    assert first["lm_head.weight"].data_ptr() == first["model.embed_tokens.weight"].data_ptr()
