"""Whose models a personal metric is the mean of, and what a guess scores on the same texts."""

import pandas as pd

from analysis.load import Results
from analysis.stats import final_values, mean_ci
from analysis.tables import MeanColumn, Table, interval_note, mean_rows, metrics_of


def who_counts_table(results: Results) -> Table | None:
    """Compare ways to count clients in the first metric, at the end of every run.

    Returns
    -------
    Table or None
        Named ``who_counts``; a row a variant: mean over clients, over test texts, number of clients
        that have trained, mean over these, for an accuracy that of naming each client's most
        frequent training class, and, where it was measured, that of the global model as each
        client tunes it. ``None`` where no personal model was evaluated.
    """
    metrics = metrics_of(results)
    final = final_values(results.used(results.evaluations))
    tuned = final[final["split"] == "finetuned"]
    final = final[final["split"] == "personal"]
    if not metrics or not len(final[final["metric"] == metrics[0]]):
        return None
    metric = metrics[0]
    final = final[final["metric"] == metric]
    heads = {
        "mean": f"{metric} over clients",
        "text_mean": "over texts",
        "num_trained": "clients trained",
        "trained_mean": "over these",
        "prior": "most frequent class",
    }
    columns = {
        name: MeanColumn(head, _means(final, name), decimals=1 if name == "num_trained" else 3)
        for name, head in heads.items()
        if final[name].notna().any()
    }
    tuned = tuned[tuned["metric"] == metric]
    if len(tuned):
        columns["finetuned"] = MeanColumn(
            "global model, tuned by each", _means(tuned, "mean"), decimals=3
        )
    counts = _means(final, "mean")["n"]
    numbers, text = mean_rows(results, columns, counts)
    return Table(
        name="who_counts",
        title="Personal models: who counts",
        numbers=numbers,
        text=text,
        notes=(*_notes(final), interval_note(int(counts.min()))),
    )


def _notes(final: pd.DataFrame) -> tuple[str, ...]:
    counts = "Over clients each counts the same, over texts by its test texts."
    notes = [
        counts,
        f"{_range(final['n'])} clients are evaluated, whether they have trained or not.",
    ]
    untrained = final["n"] - final["num_trained"]
    if (untrained > 0).any():
        notes.append(f"Untrained at the end: {_range(untrained.dropna())} of them.")
    if "num_left_out" in final and (final["num_left_out"] > 0).any():
        notes.append(f"Left out: {_range(final['num_left_out'])} clients with few test texts.")
    if final["prior"].notna().any():
        notes.append(
            "Most frequent class: accuracy of naming that of each client's training texts, "
            "whatever the text says."
        )
    return tuple(notes)


def _range(numbers: "pd.Series[int]") -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return str(low) if low == high else f"{low} to {high}"


def _means(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    return mean_ci(rows.dropna(subset=[value]), by="variant", value=value)
