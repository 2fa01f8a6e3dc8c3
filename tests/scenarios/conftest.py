import pytest

from scenarios.load import load

SMALL = (
    "name=small",
    "seeds=[1, 2]",
    "clients.num_clients=4",
    "data.max_train_texts=200",
    "data.max_test_texts=40",
    "training.local_steps=1",
    "training.batch_size=4",
    "server.num_rounds=2",
    "server.policy.num_clients=2",
)
"""The quickstart scenario, cut to seconds; every layer is the real one."""


@pytest.fixture(scope="session")
def small():
    return load("quickstart", list(SMALL))
