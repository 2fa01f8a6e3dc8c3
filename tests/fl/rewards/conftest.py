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


@pytest.fixture
def write_table(tmp_path):
    """Write rows as a csv file; the first is its header."""

    def write(rows):
        path = tmp_path / "pairs.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)
        return str(path)

    return write


@pytest.fixture
def good_and_bad(write_table):
    """Pairs of which the better answer has the word good, a third of them held out."""
    rows = [
        (prompt, f"good answer {row % 5}", f"bad answer {row % 3}", "test" if row % 3 else "train")
        for row, prompt in enumerate(PROMPTS)
    ]
    swapped = [(*row[:3], {"test": "train", "train": "test"}[row[3]]) for row in rows]
    return write_table([("prompt", "chosen", "rejected", "part"), *swapped])
