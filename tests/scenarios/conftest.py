from pathlib import Path

import pytest

from scenarios.load import load

STUDY = str(Path(__file__).with_name("study.yaml"))
"""A study of three methods that the library may change without."""

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
"""The study, cut to seconds; every layer is the real one."""


@pytest.fixture(scope="session")
def small():
    return load(STUDY, list(SMALL))
