"""Federated averaging of virtual tokens before the text."""
