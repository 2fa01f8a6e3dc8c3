"""Which variants of a study are compared with which: those that differ in one thing alone.

What is compared is the method, or one knob: a key of the scenario that the study varies. Two
variants are rivals where all else is the same: the other knobs, and the method if a knob is
compared.
"""

import itertools
from collections.abc import Sequence

from analysis.errors import ResultError
from analysis.load import Results
from analysis.manifest import Variant

METHOD = "method"
"""What is compared where methods are."""

Pair = tuple[Variant, Variant]


def method_name(variant: Variant) -> str:
    """Name a variant without its knobs, as the study names its methods."""
    return variant.name.partition("--")[0]


def known_axes(variants: Sequence[Variant]) -> list[str]:
    """Return what variants differ in: ``method``, and knobs with more than one value."""
    knobs = dict.fromkeys(knob for variant in variants for knob in variant.knobs)
    axes = [METHOD, *knobs]
    return [axis for axis in axes if len({value_of(each, axis) for each in variants}) > 1]


def value_of(variant: Variant, axis: str) -> str:
    """Return a variant's method, or its value of a knob as text; empty where it has none."""
    if axis == METHOD:
        return method_name(variant)
    return str(variant.knobs.get(axis, ""))


def rival_pairs(results: Results, *, by: str | None, baseline: str | None) -> list[Pair]:
    """Return the pairs of variants to compare, of those with results.

    Parameters
    ----------
    results
        A study.
    by
        ``method``, a knob, or the last part of a knob's key. ``None``: what ``baseline`` is a value
        of, else the method if there are several, else the last knob.
    baseline
        The value that others are compared with, which comes second in each pair: a method by its
        kind, name or label, or a value of the knob; or the name of one variant, with which all
        others are compared whatever they differ in. ``None``: all pairs of rivals.

    Raises
    ------
    ResultError
        No such knob or value, or nothing to compare.
    """
    have = [each for each in results.variants if (results.runs["variant"] == each.name).any()]
    axes = known_axes(have)
    if not axes:
        named = ", ".join(each.name for each in have)
        msg = f"{results.folder}: nothing to compare: only {named} has results"
        raise ResultError(msg)
    axis = _axis(results, have, axes, by=by, baseline=baseline)
    if axis is None:
        (rival,) = [each for each in have if baseline in (each.name, each.label)]
        return [(each, rival) for each in have if each is not rival]
    groups: dict[tuple[object, ...], list[Variant]] = {}
    for each in have:
        groups.setdefault(_setting(each, axis), []).append(each)
    pairs: list[Pair] = []
    for group in groups.values():
        if baseline is None:
            pairs += itertools.combinations(group, 2)
        else:
            second = next((each for each in group if _is_value(each, axis, baseline)), None)
            if second is not None:
                pairs += [(each, second) for each in group if each is not second]
    if not pairs:
        told = axis if baseline is None else f"{axis} {baseline}"
        msg = f"{results.folder}: nothing to compare with {told}: no variants differ in it alone"
        raise ResultError(msg)
    return pairs


def _axis(
    results: Results,
    have: Sequence[Variant],
    axes: Sequence[str],
    *,
    by: str | None,
    baseline: str | None,
) -> str | None:
    """Return what is compared; ``None``: all variants with the one that the baseline names."""
    if by is not None:
        found = [axis for axis in axes if by in (axis, axis.rpartition(".")[2])]
        if len(found) != 1:
            msg = f"{results.folder}: --by: must be one of {', '.join(axes)}, got {by!r}"
            raise ResultError(msg)
        if baseline is not None and not any(_is_value(each, found[0], baseline) for each in have):
            raise _unknown(results, have, found, baseline)
        return found[0]
    if baseline is None:
        return axes[0] if axes[0] == METHOD else axes[-1]
    matching = [axis for axis in axes if any(_is_value(each, axis, baseline) for each in have)]
    if matching:
        return matching[0]
    if any(baseline in (each.name, each.label) for each in have):
        return None
    raise _unknown(results, have, axes, baseline)


def _is_value(variant: Variant, axis: str, wanted: str) -> bool:
    if axis == METHOD:
        return wanted in (method_name(variant), variant.method, variant.method_label)
    return value_of(variant, axis) == wanted


def _setting(variant: Variant, axis: str) -> tuple[object, ...]:
    """Return all that variants must share to be rivals on an axis."""
    others = sorted((knob, str(value)) for knob, value in variant.knobs.items() if knob != axis)
    return tuple(others) if axis == METHOD else (method_name(variant), *others)


def _unknown(
    results: Results, have: Sequence[Variant], axes: Sequence[str], baseline: str
) -> ResultError:
    values = dict.fromkeys(
        value for axis in axes for each in have if (value := value_of(each, axis))
    )
    return ResultError(
        f"{results.folder}: --baseline: must be one of {', '.join(values)}, got {baseline!r}"
    )
