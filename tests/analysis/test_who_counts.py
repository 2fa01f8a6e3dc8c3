"""Who a personal metric is the mean of."""

import dataclasses

import pytest

from analysis.who_counts import who_counts_table
from tests.analysis.synthetic import NUM_CLIENTS


def test_every_way_to_count_has_a_column(results):
    table = who_counts_table(results)
    heads = ["accuracy over clients", "over texts", "clients trained", "over these"]
    assert [each for each in heads if each not in table.text.columns] == []
    row = table.numbers.iloc[0]
    assert row["text_mean_mean"] == pytest.approx(row["mean_mean"] + 0.01)
    assert row["num_trained_mean"] == NUM_CLIENTS - 1
    assert row["trained_mean_mean"] > row["mean_mean"]
    assert row["prior_mean"] == pytest.approx(0.4)
    assert any(note.startswith(f"{NUM_CLIENTS} clients are evaluated") for note in table.notes)
    assert "Untrained at the end: 1 of them." in table.notes


def test_no_table_without_models_of_clients(results):
    of_server = results.evaluations.assign(split="global")
    assert who_counts_table(dataclasses.replace(results, evaluations=of_server)) is None
