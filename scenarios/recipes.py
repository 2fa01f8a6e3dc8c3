"""Recipes of methods in a scenario: what they fill in, and what they put in place of it."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from fl.methods.recipes import RECIPES
from scenarios.document import Document
from scenarios.errors import ScenarioError
from scenarios.yaml_text import Path

RECIPE = "recipe"
"""Key of a method that asks for one."""


def fill_recipes(document: Document) -> Document:
    """Put the settings of recipes under those that methods of a document have themselves.

    Raises
    ------
    ScenarioError
        A method that asks for a recipe has none.
    """
    methods = document.data.get("methods")
    if not isinstance(methods, list):
        return document
    filled, problems = [], []
    for index, method in enumerate(methods):
        if not isinstance(method, dict) or method.get(RECIPE) is None:
            filled.append(method)
            continue
        recipe = RECIPES.get(str(method.get("kind")))
        if recipe is None:
            path = ("methods", index, RECIPE)
            problems.append(
                f"{document.place(path)}: methods.{index}.{RECIPE}: {method.get('kind')} has none, "
                f"its authors' values are not known here; leave it out (there are recipes of "
                f"{', '.join(RECIPES)})"
            )
            continue
        filled.append({**recipe.method, **method})
    if problems:
        raise ScenarioError(problems)
    return dataclasses.replace(document, data={**document.data, "methods": filled})


def put_recipe(data: dict[str, Any]) -> None:
    """Put the training settings of the recipe of the one method of a variant into its data."""
    recipe = _recipe_of(data)
    if recipe:
        data["training"] = _merged(data.get("training") or {}, recipe)


def find_knob_without_effect(data: Mapping[str, Any], knobs: Iterable[str]) -> str | None:
    """Return the first knob that the recipe of the one method of a variant overrides."""
    recipe = _recipe_of(data)
    for knob in knobs:
        section, _, key = knob.partition(".")
        if section == "training" and recipe and _has(recipe, key.split(".")):
            return knob
    return None


def told_recipe(path: Path, kind: str) -> str:
    """Return in one line that a knob has no effect on a method with a recipe."""
    return f"{'.'.join(map(str, path))}: has no effect on {kind}, whose recipe sets it"


def _recipe_of(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the training settings that the method's recipe sets; nothing without one."""
    (method,) = data["methods"]
    is_asked = isinstance(method, dict) and method.get(RECIPE) is not None
    recipe = RECIPES.get(str(method.get("kind"))) if is_asked else None
    return {} if recipe is None else recipe.training


def _has(values: Mapping[str, Any], keys: list[str]) -> bool:
    first, *rest = keys
    if first not in values:
        return False
    inner = values[first]
    return not rest or not isinstance(inner, Mapping) or _has(inner, rest)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings key by key, the second wins; one of another kind stands in place of it."""
    merged = dict(under)
    for key, value in over.items():
        before = merged.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(before, Mapping)
            and before.get("kind") == value.get("kind")
        ):
            merged[key] = _merged(before, value)
        else:
            merged[key] = value
    return merged
