"""Scenario files and the runs they define; the only package that sees radio and learning.

>>> from scenarios import load, run
>>> scenario = load("quickstart", ["seeds=[1]"])
>>> scenario.seeds
(1,)
"""
