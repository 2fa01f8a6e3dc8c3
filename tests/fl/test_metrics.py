"""Metrics from sums, and the summary over clients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.metrics import DEFAULT_METRICS, METRICS, is_same_answer, over_clients


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.booleans())
def test_summary_over_clients(values, is_lower_better):
    mean, std, worst = over_clients(np.array(values), is_lower_better=is_lower_better)
    extreme, sign = (max(values), 1) if is_lower_better else (min(values), -1)
    assert sign * worst <= sign * extreme + 1e-12
    assert sign * worst >= sign * mean - 1e-12
    assert mean == pytest.approx(np.mean(values))
    assert std == pytest.approx(np.std(values), abs=1e-12)


def test_worst_tenth_is_at_least_one_client_and_rounds_up():
    def worst(values, *, is_lower_better=False):
        return over_clients(np.array(values), is_lower_better=is_lower_better)[2]

    assert worst([0.5, 0.1, 0.9]) == 0.1
    assert worst([0.5, 0.1, 0.9], is_lower_better=True) == 0.9
    assert worst(np.arange(20) / 20) == pytest.approx(0.025)
    assert worst(np.arange(21) / 21) == pytest.approx(1 / 21)


def test_every_task_has_metrics_of_its_own():
    for task, names in DEFAULT_METRICS.items():
        assert names
        assert all(METRICS[name].task == task for name in names)


def test_perplexity_is_the_exponential_of_the_loss_of_a_token():
    sums = {"nats": 6.0, "tokens": 4.0}
    assert METRICS["loss"].value(sums) == 1.5
    assert METRICS["perplexity"].value(sums) == pytest.approx(np.exp(1.5))


@pytest.mark.parametrize(
    ("written", "true", "is_same"),
    [
        ("Paris.", "paris", True),
        ("  two   words\n", "two words", True),
        ('"not_bad!"', "not_bad", True),
        ("-5", "5", False),
        ("Paris, France", "Paris", False),
        ("", "A", False),
    ],
)
def test_answers_are_the_same_but_for_case_blanks_and_end_marks(written, true, is_same):
    assert is_same_answer(written, true) == is_same
