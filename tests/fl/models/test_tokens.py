import numpy as np
import pytest
import torch

from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.models.tokens import TokenTable
from tests.fl.fakes import tokenize
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
