"""Docstrings of settings: the text that stands under a field, in its class or in one above it."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints


def field_docs(cls: type) -> dict[str, str]:
    """Return the docstring of each field of a dataclass, inherited fields included."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            found |= _own_docs(base)
    return found


def setting_classes(root: type) -> dict[str, type]:
    """Return all dataclasses that the fields of one hold, at any depth, by name."""
    found: dict[str, type] = {}
    waiting: list[Any] = [root]
    while waiting:
        each = waiting.pop()
        if isinstance(each, type) and dataclasses.is_dataclass(each):
            if each.__name__ not in found:
                found[each.__name__] = each
                waiting += get_type_hints(each).values()
        else:
            waiting += get_args(each)
    return found


def describe(schema: Mapping[str, Any], root: type) -> None:
    """Add the descriptions of fields to the JSON schema of a dataclass, in place.

    pydantic would read them whenever a scenario is loaded, and only those that stand in the class
    itself, not those that it inherits.
    """
    classes = setting_classes(root)
    for name, definition in [(root.__name__, schema), *schema.get("$defs", {}).items()]:
        docs = field_docs(classes[name]) if name in classes else {}
        for key, told in definition.get("properties", {}).items():
            if key in docs:
                told.setdefault("description", docs[key])


def _own_docs(cls: type) -> dict[str, str]:
    """Return the docstrings under the fields of a class body."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    return dict(_pairs(tree)) if isinstance(tree, ast.ClassDef) else {}


def _pairs(tree: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        text = after.value if isinstance(after, ast.Expr) else None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            yield node.target.id, inspect.cleandoc(text.value)
