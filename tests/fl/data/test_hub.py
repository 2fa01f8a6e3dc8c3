import datasets
import numpy as np
import pandas as pd
import pytest

from fl.data.config import HubData
from fl.data.corpus import load_corpus
from fl.problems import DataError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    place = tmp_path / "letters"
    place.mkdir()
    for split, size in (("train", 6), ("test", 4)):
        table = pd.DataFrame(
            {"text": [f"{split} {n}" for n in range(size)], "label": [0, 1] * (size // 2)}
        )
        table.to_parquet(place / f"{split}-00000-of-00001.parquet")
    return place


def test_local_folder_loads_like_a_hub_data_set(folder):
    corpus = load_corpus(HubData(name=str(folder)))
    assert corpus.name == "letters"
    assert corpus.class_names == ("0", "1")
    assert corpus.train.texts == tuple(f"train {n}" for n in range(6))
    np.testing.assert_array_equal(corpus.test.labels, [0, 1, 0, 1])


def test_class_names_of_the_data_set_are_used(folder):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    for split in ("train", "test"):
        file = next(folder.glob(f"{split}*"))
        table = datasets.Dataset.from_pandas(pd.read_parquet(file), features=features)
        table.to_parquet(file)
    assert load_corpus(HubData(name=str(folder))).class_names == ("bad", "good")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"test_split": "validation"}, "data.test_split: .* no split 'validation'; .* test, train"),
        ({"text": "body"}, "data.text: split 'train' of .* no column 'body'; its columns: text, "),
        ({"revision": "main"}, "data.revision: has no effect on a local folder, got 'main'"),
        ({"subset": "nothing"}, "cannot be loaded"),
    ],
)
def test_bad_settings_are_refused_in_one_line(folder, keys, message):
    with pytest.raises(DataError, match=message) as caught:
        load_corpus(HubData(name=str(folder), **keys))
    assert "\n" not in str(caught.value)


def test_unreachable_hub_says_so_and_points_to_files(monkeypatch):
    def refuse(*_, **__):
        msg = "no route\nto the hub"
        raise ConnectionError(msg)

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", refuse)
    with pytest.raises(
        DataError, match=r"no/such.*no route to the hub.*data.source=files"
    ) as caught:
        load_corpus(HubData(name="no/such"))
    assert "\n" not in str(caught.value)


def test_without_a_test_split_a_part_of_the_training_split_is_tested_on(folder):
    texts = [f"train {n}" for n in range(60)]
    table = pd.DataFrame({"text": texts, "label": [0, 1] * 30})
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    corpus = load_corpus(HubData(name=str(folder), test_split=None))
    assert sorted((*corpus.train.texts, *corpus.test.texts)) == sorted(texts)
    assert 4 <= len(corpus.test) <= 20
    assert corpus.num_test_texts_in_train == 0
