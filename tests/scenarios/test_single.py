"""Putting one run together."""

from collections import Counter

from scenarios import prepare
from scenarios.single import assemble
from scenarios.variants import variants


class NoRows:
    def round(self, row, clients):
        """Keep nothing."""

    def evaluation(self, row):
        """Keep nothing."""


def test_a_run_loads_its_model_once(small, monkeypatch):
    """Texts that are not tokens yet are made so by the tokenizer of the model of the run."""
    calls = Counter()
    real = prepare.load_backbone

    def counted(*arguments, **named):
        calls["load_backbone"] += 1
        return real(*arguments, **named)

    monkeypatch.setattr(prepare, "load_backbone", counted)
    monkeypatch.setattr(prepare, "_TEXTS", {})
    (variant, *_) = variants(small)
    env, _, federation = assemble(variant, 1, recorder=NoRows())
    assert calls == {"load_backbone": 1}
    assert env.now == 0
    assert len(federation.worker.train.labels) == small.data.max_train_texts
