import copy
import dataclasses

import numpy as np
import pytest
import torch

from fl.data.table import TextTable
from fl.models.backbone import load_backbone
from fl.models.batch import NO_LABEL
from fl.models.config import ModelConfig
from fl.models.pretrain_text import train_writing_tokenizer
from fl.models.tokens import (
    TokenTable,
    check_known,
    tokenize_answers,
    tokenize_table,
    tokenize_with,
)
from fl.problems import ModelError
from tests.fl.fakes import tokenize
from tests.fl.models import zoo
from tests.fl.models.conftest import TEXTS


@pytest.fixture(scope="module")
def backbone(bert_folder):
    config = ModelConfig(name=str(bert_folder), max_tokens=12)
    return load_backbone(config, num_classes=2, rng=np.random.default_rng(0))


def test_table_holds_what_the_tokenizer_gives(backbone):
    table = tokenize(TEXTS, backbone)
    assert len(table) == 3
    assert table.ids.dtype == np.int32
    for row, text in enumerate(TEXTS):
        own = table.ids[table.offsets[row] : table.offsets[row + 1]]
        assert own.tolist() == backbone.tokenizer(text, truncation=True, max_length=12)["input_ids"]
    assert table.lengths.max() == 12


def test_batch_is_padded_on_the_right_to_its_longest_text():
    table = TokenTable(
        ids=np.array([5, 6, 7, 8, 9, 4], dtype=np.int32),
        offsets=np.array([0, 3, 4, 6]),
        pad_token_id=0,
    )
    ids, mask = table.pad_batch([2, 1, 2])
    torch.testing.assert_close(ids, torch.tensor([[9, 4], [8, 0], [9, 4]]))
    torch.testing.assert_close(mask, torch.tensor([[1, 1], [1, 0], [1, 1]]))
    ids, mask = table.pad_batch(np.array([0, 1]))
    torch.testing.assert_close(ids, torch.tensor([[5, 6, 7], [8, 0, 0]]))
    assert mask.sum() == 4


def test_empty_requests_are_refused(backbone):
    with pytest.raises(ValueError, match="must name at least 1 text"):
        tokenize(TEXTS, backbone).pad_batch([])
    assert len(tokenize([], backbone)) == 0


PAIRS = [("Return the sum.", "Plot the signal."), ("Find the path.", "Return all of it.")]


@pytest.fixture(scope="module")
def typed(backbone):
    """A tokenizer that knows types, as BERT's does and RoBERTa's does not."""
    tokenizer = copy.deepcopy(backbone.tokenizer)
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer


def pairs_with(tokenizer, *, max_tokens=32):
    first, second = zip(*PAIRS, strict=True)
    return tokenize_with(
        tokenizer, first, pairs=second, max_tokens=max_tokens, pad_token_id=tokenizer.pad_token_id
    )


def test_pairs_have_types_where_the_tokenizer_knows_them(typed):
    table = pairs_with(typed)
    encoded = typed(*map(list, zip(*PAIRS, strict=True)))
    assert table.ids.tolist() == [each for row in encoded["input_ids"] for each in row]
    types = table.pad_types([0, 1])
    ids, mask = table.pad_batch([0, 1])
    for row, own in enumerate(encoded["token_type_ids"]):
        assert types[row, : len(own)].tolist() == own
        assert set(own) == {0, 1}
    assert not types[mask == 0].any()
    assert types.shape == ids.shape


def test_pairs_have_no_types_where_the_tokenizer_knows_none(backbone, typed):
    assert "token_type_ids" not in backbone.tokenizer.model_input_names
    table = pairs_with(backbone.tokenizer)
    assert table.type_ids is None
    assert table.pad_types([0]) is None
    assert table.ids.tolist() == pairs_with(typed).ids.tolist()


def test_single_texts_have_no_types(typed):
    assert tokenize_with(typed, TEXTS, max_tokens=12, pad_token_id=0).type_ids is None


def test_the_longer_text_of_a_pair_is_cut_first(typed):
    table = tokenize_with(
        typed,
        ["Return the sum of all elements along an axis of it, all of it."],
        pairs=["Plot it."],
        max_tokens=14,
        pad_token_id=0,
    )
    assert table.lengths.tolist() == [14]
    second = typed("Plot it.", add_special_tokens=False)["input_ids"]
    assert int(table.type_ids.sum()) == len(second) + 1
    assert table.ids[table.type_ids == 1].tolist() == [*second, typed.sep_token_id]


WRITER = train_writing_tokenizer(TEXTS, vocabulary_size=300)


def written(prompts, answers, *, max_tokens=200):
    return tokenize_answers(WRITER, prompts, answers, max_tokens=max_tokens, pad_token_id=0)


def test_answers_follow_prompt_and_new_line_and_end_the_text():
    table = written(["Sum of what?", "Plot"], ["Of all elements.", "It."])
    for row, (prompt, answer) in enumerate([("Sum of what?", "Of all elements."), ("Plot", "It.")]):
        read, wrote = table.prompt_and_answer(row)
        assert read[0] == WRITER.bos_token_id
        assert WRITER.decode(read[1:]) == f"{prompt}\n"
        assert wrote[-1] == WRITER.eos_token_id
        assert WRITER.decode(wrote[:-1]) == answer
        assert table.answer_lengths[row] == len(wrote)


def test_labels_are_the_answers_tokens_alone():
    table = written(["Sum of what?", "Plot"], ["Of all elements.", "It."])
    ids, mask = table.pad_batch([1, 0])
    labels = table.pad_answers([1, 0])
    for row, index in enumerate([1, 0]):
        read, wrote = table.prompt_and_answer(index)
        rest = ids.shape[1] - len(read) - len(wrote)
        assert labels[row].tolist() == [NO_LABEL] * len(read) + wrote + [NO_LABEL] * rest
        assert mask[row].sum() == len(read) + len(wrote)


@pytest.mark.parametrize(
    ("num_prompt", "num_answer", "kept"),
    [
        (4, 4, (4, 4)),  # room for both
        (20, 4, (8, 4)),  # the prompt gives way
        (4, 20, (4, 8)),  # a short prompt stays, the answer is cut
        (20, 20, (6, 6)),  # half and half
        (20, 6, (6, 6)),
    ],
)
def test_a_long_text_is_cut_by_the_stated_rule(num_prompt, num_answer, kept):
    # One byte is one token here; beside them stand <s>, the new line and </s>.
    tokenizer = train_writing_tokenizer([], vocabulary_size=259)
    prompt, answer = "x" * (num_prompt - 2), "y" * (num_answer - 1)
    table = tokenize_answers(tokenizer, [prompt], [answer], max_tokens=12, pad_token_id=0)
    read, wrote = table.prompt_and_answer(0)
    assert (len(read), len(wrote)) == kept
    assert tokenizer.decode(read, skip_special_tokens=True) == f"{prompt[: kept[0] - 2]}\n"
    whole = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert wrote == whole[: kept[1]]


def test_what_parts_a_cut_prompt_from_its_answer_stays_where_it_is_one_token_with_the_end():
    # Ends of sentences and new lines are learned as one token.
    tokenizer = train_writing_tokenizer(["Plot it.\n"] * 20, vocabulary_size=270)
    ending = tokenizer("it.\n", add_special_tokens=False)["input_ids"]
    assert len(ending) < 4
    prompt = "Sum of all the elements of what? Plot it."
    whole = tokenize_answers(tokenizer, [prompt], ["It."], max_tokens=99, pad_token_id=0)
    read, _ = whole.prompt_and_answer(0)
    assert tokenizer.decode(read[1:]) == f"{prompt}\n"
    for max_tokens in range(12, len(whole.ids)):
        table = tokenize_answers(
            tokenizer, [prompt], ["It."], max_tokens=max_tokens, pad_token_id=0
        )
        cut, answer = table.prompt_and_answer(0)
        assert len(cut) + len(answer) == max_tokens
        told = tokenizer.decode(cut[1:])
        assert told.endswith("\n")
        assert told.startswith(prompt[:4])
        assert table.question(0) == cut[1:]


def test_prompts_without_token_and_classes_without_answer_are_refused(backbone):
    with pytest.raises(ValueError, match=r"prompt and answer must each .* none in 'a'"):
        written(["a"], [""])
    table = tokenize(TEXTS, backbone)
    assert table.answer_lengths is None
    for ask in (lambda: table.pad_answers([0]), lambda: table.prompt_and_answer(0)):
        with pytest.raises(ValueError, match="texts that are classified have no answer"):
            ask()


def test_a_table_with_responses_joins_prompt_and_pair(llama_folder):
    config = ModelConfig(name=str(llama_folder), max_tokens=24)
    causal = load_backbone(config, num_classes=0, rng=np.random.default_rng(0), task="generation")
    labels = np.zeros(2, dtype=np.int64)
    keys = {"texts": ("Return", "Plot"), "responses": ("the sum.", "it."), "labels": labels}
    table = tokenize_table(TextTable(**keys, pairs=("all", "")), causal)
    joined = tokenize_table(TextTable(**{**keys, "texts": ("Return\nall", "Plot")}), causal)
    assert table.ids.tolist() == joined.ids.tolist()
    assert table.answer_starts.tolist() == joined.answer_starts.tolist()


def test_a_tokenizer_that_does_not_know_the_texts_is_refused():
    """Words without a token become [UNK], which trains without complaint and learns nothing."""
    tokenizer = zoo.tokenizer()
    known = " ".join(zoo.WORDS[:9])
    check_known(tokenizer, [known], name="m")
    check_known(tokenizer, [], name="m")
    check_known(tokenizer, ["   "], name="m")
    # 2 of 20 characters are unknown, then 3 of 21.
    check_known(tokenizer, ["return return return xx"], name="m")
    message = (
        r"^model\.name: the tokenizer of 'm' knows 86 % of the characters of 1 texts, "
        r"at least 90 % are needed; is tokenizer\.json "
    )
    with pytest.raises(ModelError, match=message):
        check_known(tokenizer, ["return return return xxx"], name="m")


def test_a_tokenizer_that_leaves_characters_out_is_refused(backbone):
    """A vocabulary of bytes without an unknown token may drop what it lacks."""
    tokenizer = zoo.tokenizer()
    tokenizer.backend_tokenizer.model = type(tokenizer.backend_tokenizer.model)(
        {"[UNK]": 1}, unk_token="[UNK]"
    )
    texts = TextTable(texts=("return the sum",) * 3, labels=np.zeros(3, dtype=np.int64))
    emptied = dataclasses.replace(backbone, tokenizer=tokenizer)
    with pytest.raises(ModelError, match="knows 0 % of the characters of 3 texts"):
        tokenize_table(texts, emptied)


def test_ids_beyond_the_embedding_are_refused(backbone):
    facts = dataclasses.replace(backbone.facts, vocabulary_size=20)
    small = dataclasses.replace(backbone, facts=facts)
    texts = TextTable(texts=tuple(TEXTS), labels=np.zeros(3, dtype=np.int64))
    largest = int(tokenize_table(texts, backbone).ids.max())
    assert largest >= 20
    message = (
        rf"gives token ids up to {largest} \(.*\), the model has embeddings for ids below 20; "
    )
    with pytest.raises(ModelError, match=message):
        tokenize_table(texts, small)
