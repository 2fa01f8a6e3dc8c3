"""Pages of what a scenario can name: the cards of methods, policies, modes and schedulers."""

import inspect
import sys
from pathlib import Path

from fl.methods import METHODS
from fl.policies import POLICIES
from fl.server.modes import MODES
from netsim.mac.schedulers import SCHEDULERS
from tools.site.markdown import definition, escaped, paragraphs

CARDS = Path("fl/methods")
SETTINGS = "../reference/scenario/server.md"


def method_list(root: Path) -> str:
    """Return the end of the page of all methods: an entry a method, with its card if it has one."""
    lines = ["", "## All methods", ""]
    lines += [
        definition(
            f"[`{name}`]({name}.md)" if (root / CARDS / name).is_dir() else f"`{name}`",
            [
                f"{escaped(entry.summary)}. Sends {escaped(entry.sends)}; keeps "
                f"{escaped(entry.keeps)}. Source: {escaped(entry.source)}."
            ],
        )
        for name, entry in METHODS.items()
    ]
    names = [name for name in METHODS if (root / CARDS / name).is_dir()]
    lines += ["```{toctree}", ":hidden:", "", *names, "```", ""]
    return "\n".join(lines)


def policy_cards() -> str:
    """Return the page of all policies: what each does, after its module."""
    lines = [
        "# Policy cards",
        "",
        "Which clients take part in a round: `server.policy`. The cards are the first paragraphs "
        f"of the modules. Settings stand in the [scenario reference]({SETTINGS}), and what a "
        "policy sees in [policies](../policies.md).",
        "",
    ]
    for name, entry in POLICIES.items():
        module = sys.modules[entry.config.__module__]
        lines += [f"## `{name}`", ""]
        lines += [f"{_sentence(entry.summary)} Source: {escaped(entry.source)}.", ""]
        lines += [each for part in _told(module) for each in (part, "")]
        lines += [f"Module `{module.__name__}`.", ""]
    return "\n".join(lines)


def mode_cards() -> str:
    """Return the page of server modes and of schedulers."""
    lines = [
        "# Mode and scheduler cards",
        "",
        "## Server modes",
        "",
        "When the server aggregates: `server.mode`. Formulas stand in [server modes]"
        f"(../server_modes.md), settings in the [scenario reference]({SETTINGS}).",
        "",
    ]
    for name, mode in MODES.items():
        text = f"{_sentence(mode.summary)} Source: {escaped(mode.source)}. Module `{mode.module}`."
        lines += [definition(f"`{name}`", [text])]
    lines += [
        "## Schedulers",
        "",
        "Who gets the resource blocks of a cell: `radio.scheduler`.",
        "",
    ]
    for name, kind in SCHEDULERS.items():
        module = inspect.getmodule(kind)
        where = "" if module is None else f"Module `{module.__name__}`."
        told = [*_cut(inspect.getdoc(kind) or ""), where]
        lines += [definition(f"`{name}`", [part for part in told if part])]
    return "\n".join(lines)


def _told(module: object) -> list[str]:
    return _cut(inspect.getdoc(module) or "")


def _cut(text: str) -> list[str]:
    """Return the paragraphs of a docstring up to its first section."""
    found = []
    for part in paragraphs(text):
        if "\n---" in part:
            break
        found.append(escaped(part.replace(":mod:", "").replace(":class:", "")))
    return found


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{escaped(text[1:])}."
