"""Scenario files and the runs they define; the only package that sees radio and learning.

>>> from scenarios import load, run
>>> scenario = load("quickstart", ["seeds=[1]"])
>>> scenario.seeds
(1,)
"""

# The two functions stand before the modules of the same names; those are reached by their members.
from scenarios.load import load
from scenarios.run import run

__all__ = ["load", "run"]
