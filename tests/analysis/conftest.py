import pytest

from analysis.load import load_results
from tests.analysis.synthetic import write_results


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Four methods, three seeds; one never meets the target, one run was killed."""
    return write_results(tmp_path_factory.mktemp("study"), cut={("fedtt_r5", 3): 9})


@pytest.fixture(scope="session")
def results(study):
    return load_results(study)
