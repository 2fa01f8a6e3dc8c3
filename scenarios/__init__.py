"""Scenario files and the runs they define; the only package that sees radio and learning."""
