"""What ``validate`` says of the data: how many texts each class has, so that a wrong one shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.text_safety import shortened
from scenarios.shares import facts_of, source_of
from scenarios.variants import Variant

MAX_CLASSES = 40
"""Most classes that are listed; of more, those with the most and the fewest training texts."""
MAX_NAME = 40
"""Longest name of a class, in characters."""


def data_facts(all_variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """Return name, digest, sizes and classes of every data set of a study, each once."""
    scenarios = {source_of(each.scenario): each.scenario for each in all_variants}
    return [facts_of(scenario) for scenario in scenarios.values()]


def summary_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return lines that show the sizes of a data set and of each of its classes.

    Parameters
    ----------
    facts
        One of :func:`data_facts`.

    Examples
    --------
    >>> facts = {"name": "films", "num_train_texts": 41, "num_test_texts": 9}
    >>> facts |= {"class_names": ["neg", "pos"], "num_test_texts_in_train": 0}
    >>> facts |= {"num_train_texts_by_class": [20, 21], "num_test_texts_by_class": [5, 4]}
    >>> summary_lines(facts)[0]
    'films: 41 training texts, 9 test texts, 0 of them in training too; 2 classes:'
    >>> summary_lines(facts)[1:]
    ['  neg  20 training  5 test', '  pos  21 training  4 test']
    """
    head = (
        f"{shortened(facts['name'], MAX_NAME)}: {facts['num_train_texts']} training texts, "
        f"{facts['num_test_texts']} test texts, "
        f"{facts['num_test_texts_in_train']} of them in training too"
    )
    personal = facts.get("personal_test_texts")
    own = [] if personal is None else [_told_personal(personal)]
    if len(facts["class_names"]) < 2:
        return [head, *own]
    train, test = facts["num_train_texts_by_class"], facts["num_test_texts_by_class"]
    names = [shortened(str(name), MAX_NAME) for name in facts["class_names"]]
    listed, num_more = _listed(train)
    width, train_width, test_width = (
        max(len(str(column[index])) for index in listed) for column in (names, train, test)
    )
    lines = [
        f"  {names[index]:{width}}  {train[index]:{train_width}} training  "
        f"{test[index]:{test_width}} test"
        for index in listed
    ]
    more = [f"  and {num_more} classes with numbers of training texts between these"]
    return [f"{head}; {len(names)} classes:", *lines, *(more if num_more else []), *own]


def _told_personal(personal: Mapping[str, int]) -> str:
    return (
        f"  personal models are tested on {personal['num_test']} texts: {personal['num_in_own']} "
        f"of them are trained on by the same client, {personal['num_in_any']} by any"
    )


def _listed(counts: Sequence[int]) -> tuple[list[int], int]:
    """Choose classes to list, in their own order, and count the others."""
    indices = list(range(len(counts)))
    if len(indices) <= MAX_CLASSES:
        return indices, 0
    by_size = sorted(indices, key=lambda index: counts[index])
    half = MAX_CLASSES // 2
    return sorted([*by_size[:half], *by_size[-half:]]), len(indices) - MAX_CLASSES
