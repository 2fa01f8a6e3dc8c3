"""Local training."""

from fl.methods.local.config import LocalConfig
from tests.fl.fakes import federation
from tests.fl.methods.updates import installed


def payload_numbers(shape, version):
    return 0, 0


def test_nothing_is_sent_and_everything_stays():
    method, _ = installed(LocalConfig())
    state = method.initial_state()
    assert method.download(state, client_id=0) is None
    start = method.start(None, method.initial_personal(0), version=0)
    assert method.upload(start.tensors, version=0) is None
    assert method.personal(start.tensors).keys() == method.initial.keys()
    assert set(start.trainable) == set(method.initial)


def test_its_facts_name_no_bytes():
    facts = federation(LocalConfig()).facts()
    assert (facts.upload_bytes, facts.download_bytes) == (0, 0)
    assert facts.num_trainable == 4 * 2 * 32 * 8 + 32 * 3 + 3
