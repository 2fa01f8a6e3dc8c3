"""Scenario files and the runs they define; the only package that sees radio and learning.

>>> from scenarios import load, run
>>> scenario = load("quickstart", ["seeds=[1]"])
>>> scenario.seeds
(1,)
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenarios.load import load
    from scenarios.run import run

__all__ = ["load", "run"]


class _Package(ModuleType):
    """The package, whose two functions are read from disk when they are first asked for.

    They have the names of the modules that they stand in, which importing one binds here: the
    functions stand before them, and the modules are reached by their members.
    """

    @property
    def load(self) -> object:
        """:func:`scenarios.load.load`."""
        from scenarios.load import load  # noqa: PLC0415 -- libraries, where they are needed

        return load

    @load.setter
    def load(self, module: ModuleType) -> None:
        del module

    @property
    def run(self) -> object:
        """:func:`scenarios.run.run`."""
        from scenarios.run import run  # noqa: PLC0415

        return run

    @run.setter
    def run(self, module: ModuleType) -> None:
        del module


sys.modules[__name__].__class__ = _Package
