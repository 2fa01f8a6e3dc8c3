"""Every method on a language model: it learns to write, or the schema refuses it in one line."""

import math

import pytest

from fl.methods import METHODS
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import SMALLEST, federation, language_model

KINDS = sorted(METHODS)


def problems_of(config, *, task="generation"):
    return config.find_problems(num_clients=4, task=task)


WRITING = [kind for kind in KINDS if not problems_of(SMALLEST[kind])]


def test_most_methods_write():
    assert len(WRITING) > len(KINDS) / 2


WITHOUT_PLACE = {("bitfit", "llama")}
"""What a model has no tensors for; that shows only when both are put together."""


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_method_writes_or_is_refused_in_one_line(kind, architecture):
    if kind not in WRITING:
        for path, message in problems_of(SMALLEST[kind]):
            assert all(part in SMALLEST[kind].__dataclass_fields__ for part in path[:1])
            assert message
            assert "\n" not in message
        return
    module = language_model(architecture)
    if (kind, architecture) in WITHOUT_PLACE:
        with pytest.raises(ValueError, match=r"^model\.name: .* has none$"):
            federation(SMALLEST[kind], task="generation", module=module)
        return
    built = federation(SMALLEST[kind], num_rounds=2, task="generation", module=module)
    before = built.method.initial
    assert not any(name.startswith("head.") for name in before)
    built.env.run(built.env.process(run_rounds(built)))
    rows = built.recorder
    assert len(rows.rounds) == 2
    losses = [row.train_loss for row in rows.clients]
    assert losses
    assert all(math.isfinite(loss) for loss in losses)
    # of methods that learn from rewards it is minus the reward
    assert SMALLEST[kind].uses_rewards or all(loss > 0 for loss in losses)
    splits = {"personal", "global"} if SMALLEST[kind].has_global_model else {"personal"}
    assert {(row.metric, row.split) for row in rows.evaluations} == {
        (metric, split) for metric in ("loss", "perplexity") for split in splits
    }
    of = {(row.round, row.metric, row.split): row.mean for row in rows.evaluations}
    assert all(math.isfinite(value) and value > 0 for value in of.values())
    assert of[0, "loss", "personal"] != of[2, "loss", "personal"], "nothing was learned"


CLASSIFYING = {
    "fedamole": {"head": "personal"},
    "fedtt": {"classifier": "linear"},
    "fedtt_plus": {"classifier": "tensor_train"},
    "pftt": {"head": "shared"},
}
"""Settings that speak of the head of a classifier."""


@pytest.mark.parametrize("kind", sorted(CLASSIFYING))
def test_settings_of_a_classifier_are_refused_where_texts_are_written(kind):
    config = type(SMALLEST[kind])(**CLASSIFYING[kind])
    ((path, message),) = problems_of(config)
    assert path == tuple(CLASSIFYING[kind])
    assert str(*CLASSIFYING[kind].values()) in message
    assert not problems_of(config, task="classification")


def test_no_setting_of_a_head_is_forgotten():
    """Whoever adds one finds it missing here."""
    words = ("head", "classifier")
    named = {
        (kind, name)
        for kind in KINDS
        for name in SMALLEST[kind].__dataclass_fields__
        if any(word in name for word in words)
    }
    assert named == {(kind, key) for kind, keys in CLASSIFYING.items() for key in keys}
