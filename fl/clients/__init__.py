"""Clients: what they compute on."""
