import copy
import os
from pathlib import Path

import numpy as np
import pytest
import transformers

from fl.data.table import TextTable
from fl.models.backbone import load_backbone
from fl.models.batch import NO_LABEL
from fl.models.chat import end_of_text, read_layout
from fl.models.config import ModelConfig, find_problems
from fl.models.pretrain_text import train_writing_tokenizer
from fl.models.tokens import tokenize_answers, tokenize_table
from fl.problems import ModelError
from tests.fl.models.conftest import TEXTS

BESIDE = Path(__file__).parents[4] / "shared" / "data"
STORIES = Path(os.environ.get("AIRTUNE_DATA") or BESIDE).parent / "models" / "stories260k"
CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer():
    """A byte-level tokenizer with the marks of a dialogue."""
    found = train_writing_tokenizer(TEXTS, vocabulary_size=300)
    found.add_special_tokens(
        {"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]},
        replace_extra_special_tokens=False,
    )
    found.chat_template = CHATML
    return found


@pytest.fixture(scope="module")
def layout(tokenizer):
    return read_layout(tokenizer, name="m", is_needed=True)


def messages(prompt, answer=None):
    asked = [{"role": "user", "content": prompt}]
    return asked if answer is None else [*asked, {"role": "assistant", "content": answer}]


def laid_out(tokenizer, layout, prompt, answer, *, max_tokens=400):
    own = copy.deepcopy(tokenizer)
    own.eos_token = layout.end_token
    return tokenize_answers(
        own, [prompt], [answer], max_tokens=max_tokens, pad_token_id=0, chat=layout
    )


@pytest.mark.parametrize("prompt", ["Sum of what?", "Two\nlines: 7 + 8", "  blanks around  "])
def test_tokens_are_those_of_the_library(tokenizer, layout, prompt):
    table = laid_out(tokenizer, layout, prompt, " Of all elements. ")
    read, wrote = table.prompt_and_answer(0)
    options = {"tokenize": True, "return_dict": False}
    assert read == tokenizer.apply_chat_template(
        messages(prompt), add_generation_prompt=True, **options
    )
    whole = tokenizer.apply_chat_template(messages(prompt, "Of all elements."), **options)
    # a new line follows the last turn, which nobody writes
    assert whole[: len(read) + len(wrote)] == read + wrote
    assert tokenizer.decode(wrote) == "Of all elements.<|im_end|>"
    assert tokenizer.decode(table.question(0)) == prompt.strip()


def test_only_the_answer_and_its_end_are_learnt(tokenizer, layout):
    table = laid_out(tokenizer, layout, "Sum of what?", "Of all elements.")
    read, wrote = table.prompt_and_answer(0)
    assert table.pad_answers([0])[0].tolist() == [NO_LABEL] * len(read) + wrote


def test_a_long_prompt_loses_its_end_but_not_that_of_its_turn(tokenizer, layout):
    long = "Find the shortest path between two nodes of a graph. " * 20
    whole = laid_out(tokenizer, layout, long, "It is a path.")
    cut = laid_out(tokenizer, layout, long, "It is a path.", max_tokens=120)
    read, wrote = cut.prompt_and_answer(0)
    assert len(read) + len(wrote) == 120
    assert wrote == whole.prompt_and_answer(0)[1]
    num_asked = len(cut.question(0))
    assert 0 < num_asked < len(whole.question(0))
    assert cut.question(0) == whole.question(0)[:num_asked]
    assert tokenizer.decode(read).endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.decode(read).startswith("<|im_start|>system\nBe brief.<|im_end|>")


def test_too_little_room_is_one_line_that_says_how_much_is_needed(tokenizer, layout):
    with pytest.raises(
        ModelError, match=r"^model\.max_tokens: must be at least (\d+) .* got 8"
    ) as e:
        laid_out(tokenizer, layout, "Plot " * 50, "It." * 50, max_tokens=8)
    needed = int(str(e.value).split("at least ")[1].split()[0])
    table = laid_out(tokenizer, layout, "Plot " * 50, "It." * 50, max_tokens=needed)
    assert len(table.question(0)) == 1
    with pytest.raises(ModelError, match=r"at least"):
        laid_out(tokenizer, layout, "Plot " * 50, "It." * 50, max_tokens=needed - 2)


def test_a_tokenizer_without_a_template(tokenizer):
    plain = copy.deepcopy(tokenizer)
    plain.chat_template = None
    assert read_layout(plain, name="m", is_needed=False) is None
    with pytest.raises(ModelError, match=r"model\.chat_template: the tokenizer of 'm' has no chat"):
        read_layout(plain, name="m", is_needed=True)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('roles\nmust alternate') }}", "roles must alternate"),
        ("{{ messages[0]['content'] }} {{ messages[0]['content'] }}", "once each"),
        ("{{ messages[0]['content'] ", "TemplateSyntaxError"),
    ],
)
def test_a_template_that_cannot_be_used_is_one_line(tokenizer, template, reason):
    own = copy.deepcopy(tokenizer)
    own.chat_template = template
    with pytest.raises(ModelError, match=reason) as error:
        read_layout(own, name="m", is_needed=False)
    assert "\n" not in str(error.value)


def test_without_marks_of_its_own_an_answer_ends_with_the_end_of_text(tokenizer):
    own = copy.deepcopy(tokenizer)
    own.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    assert read_layout(own, name="m", is_needed=True).end_token == own.eos_token


@pytest.fixture(scope="module")
def chat_folder(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat")
    tokenizer.save_pretrained(folder)
    settings = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=256,
    )
    transformers.LlamaForCausalLM(settings).save_pretrained(folder)
    return folder


def load(folder, **keys):
    config = ModelConfig(name=str(folder), max_tokens=128, **keys)
    rng = np.random.default_rng(0)
    return load_backbone(config, num_classes=0, rng=rng, task="generation")


@pytest.mark.parametrize(
    ("chosen", "has_turns"), [("auto", True), ("always", True), ("never", False)]
)
def test_the_model_setting_decides(chat_folder, chosen, has_turns):
    backbone = load(chat_folder, chat_template=chosen)
    table = TextTable(texts=("Sum",), responses=("Of all.",), labels=np.zeros(1, dtype=np.int64))
    read, wrote = tokenize_table(table, backbone).prompt_and_answer(0)
    assert ("<|im_start|>" in backbone.tokenizer.decode(read)) == has_turns
    assert wrote[-1] == backbone.tokenizer.eos_token_id
    assert (backbone.tokenizer.eos_token == "<|im_end|>") == has_turns


def test_tiny_decoder_has_no_template():
    assert load("tiny-decoder").chat is None
    with pytest.raises(ModelError, match=r"'tiny-decoder' has no chat template"):
        load("tiny-decoder", chat_template="always")


def test_the_setting_has_no_effect_on_classes():
    (problem,) = find_problems(ModelConfig(name="m", chat_template="never"), task="classification")
    assert problem.path == ("model", "chat_template")
    assert not find_problems(ModelConfig(name="m", chat_template="never"), task="generation")


def test_texts_end_with_what_they_were_joined_by(tokenizer):
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert bos != eos
    assert end_of_text(tokenizer, ends=[eos, bos]) == tokenizer.bos_token
    assert end_of_text(tokenizer, ends=[eos]) == tokenizer.eos_token
    assert end_of_text(tokenizer, ends=[bos]) == tokenizer.eos_token


@pytest.mark.data
def test_a_story_teller_whose_texts_end_with_the_token_that_begins_them():
    if not STORIES.is_dir():
        pytest.skip(f"no model at {STORIES}; AIRTUNE_DATA names the data folder beside models/")
    backbone = load(STORIES)
    assert backbone.chat is None
    assert backbone.tokenizer.eos_token == "<s>"
    assert backbone.pad_token_id == backbone.tokenizer.unk_token_id
    table = TextTable(
        texts=("Once upon a time",), responses=("The end.",), labels=np.zeros(1, dtype=np.int64)
    )
    read, wrote = tokenize_table(table, backbone).prompt_and_answer(0)
    assert read[0] == wrote[-1] == backbone.tokenizer.bos_token_id
