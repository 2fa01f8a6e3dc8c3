import csv

import pytest

from fl.models.pretrain_encoder import Recipe, build_encoder
from fl.models.pretrain_text import train_tokenizer

PROMPTS = [f"{verb} the {noun}" for verb in ("plot", "read", "sort") for noun in "abcdefgh"]
SMALL = Recipe(
    vocabulary_size=160, hidden_size=16, num_layers=2, num_heads=2, ffn_size=32, max_tokens=24
)


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory):
    """A BERT-type encoder of a few thousand random weights, without a head."""
    folder = tmp_path_factory.mktemp("backbone")
    texts = [*PROMPTS, "a good answer to that", "a bad answer to this"]
    train_tokenizer(texts, vocabulary_size=SMALL.vocabulary_size).save_pretrained(folder)
    build_encoder(SMALL, seed=3).save_pretrained(folder)
    return str(folder)


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return str(path)


@pytest.fixture
def write_table(tmp_path):
    """Write rows as a csv file; the first is its header."""
    return lambda rows: write(tmp_path / "pairs.csv", rows)


@pytest.fixture(scope="session")
def good_and_bad(tmp_path_factory):
    """Pairs of which the better answer has the word good, a third of them held out."""
    rows = [
        (prompt, f"good answer {row % 5}", f"bad answer {row % 3}", "train" if row % 3 else "test")
        for row, prompt in enumerate(PROMPTS)
    ]
    path = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    return write(path, [("prompt", "chosen", "rejected", "part"), *rows])
