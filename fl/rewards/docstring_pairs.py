"""Preference pairs made of the docstrings of installed packages; a prompt is a signature.

Read are the summaries of the training fold alone (see :mod:`fl.data.docstrings`): pairs to train on
come from those that ``tiny-encoder`` has read as well, held-out pairs from those that clients may
test on. No summary of the common test set is read. What is drawn for a pair depends on texts alone:
on no seed, and on no order.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fl.data.docstrings import load_docstrings
from fl.data.table import TextTable, text_hash
from fl.rewards.pairs import Pairs
from fl.rewards.rules import PRIVATE_NAME

DRAWS = {"right_summaries": 2, "private_names": 1}
"""Pairs made of each function to train on, and one held out."""
TEMPLATES = (
    "{text} Calls {name}.",
    "{text} See {name} for details.",
    "{text} This is done by {name}().",
    "{text} Uses {name} and {other} internally.",
    "{text} ({name})",
    "{name}: {text}",
    "Wrapper of {name}. {text}",
    "Same as self.{name}: {text}",
    "{before} {name} {after}",
    "{before} (by {name}) {after}",
    "Calls {name} with its arguments.",
    "{text} Results of {name} are kept in {other}.",
)
"""How a name gets into a summary, in pairs to train on; ``{before}`` and ``{after}`` are its words
up to a place and from there."""
HELD_OUT_TEMPLATES = (
    "{text} Delegates to {name}.",
    "{text} Note that {name} must be called first.",
    "Internally, {name} does this. {text}",
    "{text} Not to be confused with {other} or {name}.",
    "{before} through {name}, {after}",
    "{text} -> {name}",
    "Thin layer over self.{name}(). {text}",
)
"""The same for held-out pairs: no sentence of them is in the others."""
BETTER_FORMS = ("summary", "public names", "stripped names")
"""What the better answer is: the summary; or the worse answer with public names, or with the same
names less their underscore: what is wrong is the name, not that there is one."""
_NAME = re.compile(r"def ([A-Za-z_]\w*)")


def built_in_pairs(name: str, *, cache_dir: Path | None = None) -> tuple[Pairs, Pairs]:
    """Return the pairs to train on and the held-out pairs of a built-in set.

    Parameters
    ----------
    name
        ``right_summaries`` or ``private_names``.
    cache_dir
        Folder for the harvest; the user's cache folder when ``None``.

    Raises
    ------
    fl.problems.DataError
        A package is missing.
    """
    _, _, table, _ = load_docstrings(task="generation", cache_dir=cache_dir)
    if table.may_test is None:
        msg = "table: the docstrings must say what may be tested on"
        raise ValueError(msg)
    train, test = (table.take(np.flatnonzero(side)) for side in (~table.may_test, table.may_test))
    if name == "private_names":
        return private_names(train, TEMPLATES), private_names(test, HELD_OUT_TEMPLATES)
    return right_summaries(train, draws=DRAWS[name]), right_summaries(test)


def right_summaries(table: TextTable, *, draws: int = 1) -> Pairs:
    """Pair the summary of each function with that of another function of the table.

    Parameters
    ----------
    table
        Signatures with their summaries.
    draws
        Pairs of each function.

    Raises
    ------
    ValueError
        All functions have the same signature or summary.
    """
    functions = list(zip(table.texts, _responses(table), strict=True))
    ring = sorted((_number("summary", text), prompt, text) for prompt, text in functions)
    rows = [
        (prompt, text, _other_summary(ring, prompt, text, draw))
        for prompt, text in functions
        for draw in range(draws)
    ]
    return _pairs(rows)


def private_names(table: TextTable, templates: Sequence[str]) -> Pairs:
    """Pair the summary of each function with one that names private functions of its submodule.

    Functions whose own summary has a private name are left out, and those of submodules without
    private functions.
    """
    private, public = _names_of(table, is_private=True), _names_of(table, is_private=False)
    rows = []
    for row, (prompt, text) in enumerate(zip(table.texts, _responses(table), strict=True)):
        domain = _domain(table, row)
        if domain not in private or PRIVATE_NAME.search(text):
            continue
        template = _drawn(templates, "template", prompt, text)
        rejected = _filled(template, text, private[domain], prompt)
        names_of_form = {
            "public names": public.get(domain, ()),
            "stripped names": [name.lstrip("_") for name in private[domain]],
        }
        names = names_of_form.get(_drawn(BETTER_FORMS, "form", prompt, text), ())
        chosen = _filled(template, text, names, prompt) if names else text
        rows.append((prompt, chosen, rejected))
    return _pairs(rows)


def _pairs(rows: Sequence[tuple[str, str, str]]) -> Pairs:
    prompts, chosen, rejected = zip(*rows, strict=True) if rows else ((), (), ())
    return Pairs(prompts=prompts, chosen=chosen, rejected=rejected)


def _responses(table: TextTable) -> tuple[str, ...]:
    if table.responses is None:
        msg = "table: must have answers"
        raise ValueError(msg)
    return table.responses


def _other_summary(ring: Sequence[tuple[int, str, str]], prompt: str, text: str, draw: int) -> str:
    """Return the summary of another function, whose signature and summary both differ.

    Of a ring of all functions in the order of a hash, the first from the place that the pair draws.
    """
    first = bisect_left(ring, (_number("rejected", str(draw), prompt, text), "", ""))
    for step in range(len(ring)):
        _, signature, summary = ring[(first + step) % len(ring)]
        if signature != prompt and summary.casefold() != text.casefold():
            return summary
    msg = f"table: no function has another signature and summary than {prompt!r}"
    raise ValueError(msg)


def _names_of(table: TextTable, *, is_private: bool) -> Mapping[int, Sequence[str]]:
    """Return the names of functions by submodule, sorted; not those such as ``__init__``."""
    names: dict[int, set[str]] = {}
    for row, signature in enumerate(table.texts):
        found = _NAME.match(signature)
        if found and not found[1].startswith("__") and found[1].startswith("_") is is_private:
            names.setdefault(_domain(table, row), set()).add(found[1])
    return {domain: sorted(each) for domain, each in names.items()}


def _domain(table: TextTable, row: int) -> int:
    return 0 if table.domains is None else int(table.domains[row])


def _filled(template: str, text: str, names: Sequence[str], prompt: str) -> str:
    """Put two names into a summary as a template says; the better answer's are drawn alike."""
    words = text.split()
    place = 1 + _number("place", prompt, text) % max(1, len(words) - 1)
    return template.format(
        text=text,
        name=_drawn(names, "name", prompt, text),
        other=_drawn(names, "other", prompt, text),
        before=" ".join(words[:place]),
        after=" ".join(words[place:]),
    )


def _drawn(values: Sequence[str], *address: str) -> str:
    return values[_number(*address) % len(values)]


def _number(*address: str) -> int:
    """Return a number that texts draw: the same on every machine."""
    return text_hash("\x1f".join(address))
