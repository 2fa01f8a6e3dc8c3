import contextlib
import resource
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


def options(settings):
    """Give the words of a command line that change these settings."""
    return [word for each in settings for word in ("--set", each)]


@pytest.fixture(scope="session")
def small():
    return load(STUDY, list(SMALL))


@pytest.fixture
def file_limit():
    """Within the block no file of this process grows beyond so many bytes, as on a full disk."""

    @contextlib.contextmanager
    def limited(num_bytes):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
