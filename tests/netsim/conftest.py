"""Fixtures of the tests of the wireless world."""

import pytest

from tests.netsim.worlds import ignore_end_of_slot


@pytest.fixture
def fluid_to_the_end(monkeypatch):
    """Transfers of the flow engine end with their last bit; see ``ignore_end_of_slot``."""
    ignore_end_of_slot(monkeypatch)
