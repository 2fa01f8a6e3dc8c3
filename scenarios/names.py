"""What methods and variants are called, and the folders that their names give."""

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from analysis.folder_files import MANIFEST, SCENARIO
from analysis.knob_words import short_value
from fl.methods import METHODS, MethodConfig
from fl.methods.own import OwnConfig
from scenarios.document import Document
from scenarios.messages import plain

RESERVED = (MANIFEST, SCENARIO, "report.html", "figures", "tables")
"""What else stands in a result folder, beside the folders of its variants."""
MAX_NAME_BYTES = 200
"""Longest name of a variant's folder; file systems take 255."""
_NOT_IN_FOLDERS = r"""[<>:"/\\|?*=]"""
"""What Windows takes in no name, and ``=``, which shells and some tools take for a setting."""


def method_names(methods: Sequence[MethodConfig]) -> list[str]:
    """Name methods by label, or kind; unlabelled ones of a kind also by what differs among them."""
    return [_method_name(method, methods) for method in methods]


def method_titles(methods: Sequence[MethodConfig]) -> list[str]:
    """Name methods for figures and tables: by label, or as their papers write them.

    Unlabelled ones of a kind have their differences behind: ``FedIT, rank 4``. Where a label is
    such a name already, the method keeps the name of its folder.
    """
    names = method_names(methods)
    titles = [_method_title(method, methods) for method in methods]
    counts = Counter(titles)
    return [
        title if counts[title] == 1 else name for title, name in zip(titles, names, strict=True)
    ]


def folder_name(method_name: str, setting: Mapping[str, Any]) -> str:
    """Return the folder of a method under one setting of every knob, one that any system takes.

    Examples
    --------
    >>> folder_name("fedit", {"radio.bandwidth_hz": 10000000.0})
    'fedit--radio.bandwidth_hz_10e6'
    """
    suffix = "".join(f"--{knob}_{short_value(value)}" for knob, value in setting.items())
    name = re.sub(_NOT_IN_FOLDERS, "_", f"{method_name}{suffix}").replace(" ", "")
    return re.sub(r"(?<=.)\.$", "_", name)


def shown_values(values: Sequence[Any]) -> list[Any]:
    """Return the values of a knob as folders and figures call them.

    Sections are called by their kinds where no two are alike, paths go without what they share.
    Absolute paths are those of the file system: scenarios are loaded with nothing else, and no
    other setting begins so.
    """
    kinds = [value.get("kind") for value in values if isinstance(value, Mapping)]
    if len(kinds) == len(values) == len({str(kind) for kind in kinds if isinstance(kind, str)}):
        return kinds
    paths = [value for value in values if isinstance(value, str) and PurePath(value).is_absolute()]
    if not paths:
        return list(values)
    common = os.path.commonpath([PurePath(path).parent for path in paths])
    return [
        str(PurePath(value).relative_to(common)) if value in paths else value for value in values
    ]


def name_methods(document: Document) -> Document:
    """Write the kinds of methods as they are called here: ``FedTT+`` is ``fedtt_plus``.

    Papers and people write capitals, hyphens and signs; what is neither known nor so written stays
    as it is, and is refused later.
    """
    methods = document.data.get("methods")
    if not isinstance(methods, list):
        return document
    known = {plain(kind): kind for kind in METHODS}
    renamed = [
        {**method, "kind": known.get(plain(method["kind"]), method["kind"])}
        if isinstance(method, dict) and isinstance(method.get("kind"), str)
        else method
        for method in methods
    ]
    return dataclasses.replace(document, data={**document.data, "methods": renamed})


def find_method_faults(methods: Sequence[MethodConfig], document: Document) -> Iterator[str]:
    """Find methods whose names cannot be folders, or are those of earlier methods."""
    names = method_names(methods)
    folders = [folder_name(name, {}) for name in names]
    for index, (name, folder) in enumerate(zip(names, folders, strict=True)):
        rule = _broken_folder_rule(folder)
        if rule is not None:
            place = document.place(("methods", index, "label"))
            yield f"{place}: methods.{index}.label: {rule}, got {name[:60]!r}"
        elif folder in folders[:index]:
            yield _clash(methods, names, document, first=folders.index(folder), second=index)


def find_variant_fault(
    name: str, setting: Mapping[str, Any], rival: Mapping[str, Any] | None
) -> str | None:
    """State why a variant cannot have its folder: too long, or taken by one of these knobs."""
    if rival is not None:
        clashes = " and ".join(
            f"{knob} = {value!r} as with {rival[knob]!r}"
            for knob, value in setting.items()
            if value != rival[knob]
        )
        return f"the folder of a variant is named {name} with {clashes}; change one value"
    num_bytes = _num_bytes(name)
    if num_bytes > MAX_NAME_BYTES:
        return (
            f"the folder name of a variant must be at most {MAX_NAME_BYTES} bytes, "
            f"got {num_bytes} for {name[:60]}...; use shorter values or fewer knobs"
        )
    return None


def _method_name(method: MethodConfig, methods: Sequence[MethodConfig]) -> str:
    if method.label is not None:
        return method.label
    kind = method.name if isinstance(method, OwnConfig) else method.kind
    differing = _differences(method, methods)
    return "-".join([kind, *(f"{name}{value}" for name, value in differing.items())])


def _method_title(method: MethodConfig, methods: Sequence[MethodConfig]) -> str:
    if method.label is not None:
        return method.label
    title = method.name if isinstance(method, OwnConfig) else METHODS[method.kind].title
    differing = _differences(method, methods)
    return ", ".join([title, *(f"{k.replace('_', ' ')} {v}" for k, v in differing.items())])


def _differences(method: MethodConfig, methods: Sequence[MethodConfig]) -> dict[str, object]:
    """Return the settings in which unlabelled methods of this kind differ."""
    rivals = [other for other in methods if other.kind == method.kind and other.label is None]
    return {
        item.name: _short(getattr(method, item.name))
        for item in dataclasses.fields(method)
        if len({repr(getattr(rival, item.name)) for rival in rivals}) > 1
    }


def _short(value: object) -> object:
    """Write a setting in a name; one of several kinds by its kind."""
    return getattr(value, "kind", value)


def _broken_folder_rule(folder: str) -> str | None:
    """State which rule the folder of a method breaks; None when it breaks none."""
    if not folder or folder.startswith(".") or not folder.isprintable():
        return "must be a name that shows, of printable characters and not with '.' in front"
    if folder.casefold() in RESERVED:
        return f"must be none of {', '.join(RESERVED)}, which the result folder holds"
    if _num_bytes(folder) > MAX_NAME_BYTES:
        return f"must name a folder of at most {MAX_NAME_BYTES} bytes, not of {_num_bytes(folder)}"
    return None


def _num_bytes(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))


def _clash(
    methods: Sequence[MethodConfig],
    names: Sequence[str],
    document: Document,
    *,
    first: int,
    second: int,
) -> str:
    """State that two methods have one folder: that of the one whose label can be changed."""
    if methods[first] == methods[second]:
        place = document.place(("methods", second))
        return f"{place}: methods.{second}: is the same as methods.{first}, leave one out"
    has_only_first = methods[second].label is None and methods[first].label is not None
    index, rival = (first, second) if has_only_first else (second, first)
    taken = (
        f"is the name of methods.{rival} already"
        if names[index] == names[rival]
        else f"gives the folder of {names[rival]!r}, methods.{rival}"
    )
    place = document.place(("methods", index, "label"))
    return f"{place}: methods.{index}.label: {names[index]!r} {taken}, choose another"
