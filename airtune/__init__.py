"""Airtune for use from Python: what scripts and notebooks need, under one name.

>>> import airtune
>>> airtune.load("quickstart", ["seeds=[1]"]).seeds
(1,)

``load`` reads a scenario, ``run`` runs it, ``load_results`` reads a result folder as data frames,
``write_report`` writes its figures, tables and page, and ``figures`` holds the table of figures.
Each is read from disk when it is first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis import figures
    from analysis.load import load_results
    from analysis.report import write_report
    from scenarios.load import load
    from scenarios.run import run

__all__ = ["__version__", "figures", "load", "load_results", "run", "write_report"]
__version__ = version("airtune")

_PLACES = {
    "load": "scenarios.load",
    "run": "scenarios.run",
    "load_results": "analysis.load",
    "write_report": "analysis.report",
}


def __getattr__(name: str) -> object:
    if name == "figures":
        return import_module("analysis.figures")
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    msg = f"module 'airtune' has no attribute {name!r}; it has {', '.join(__all__)}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
