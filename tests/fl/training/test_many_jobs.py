"""Jobs of many clients worked out at once, against each of them by itself."""

import numpy as np
import pytest

from fl.methods import METHODS
from fl.training.batches import plan_batches
from fl.training.config import TrainingConfig
from fl.training.many_jobs import steps_flop
from fl.training.procedure import WorksOutMany, works_of
from tests.fl.fakes import SMALLEST, federation

SIZES = [1, 2, 3, 5, 5, 5, 8, 11, 11, 30]


def clients(num_texts, *, seed=0):
    """Texts of some clients, out of all, in any order; some have equally many."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(num_texts)[:size] for size in SIZES]


def one_by_one(made, samples, start, *, seed):
    procedure = made.procedure
    return [procedure.work(procedure.plan(each, seed=seed), start, made.cost) for each in samples]


def start_of(made):
    method, state = made.method, made.method.initial_state()
    download = method.download(state, client_id=0)
    return method.start(download, method.initial_personal(0), version=0)


@pytest.mark.parametrize("length", [{"local_steps": 7}, {"local_epochs": 2}])
@pytest.mark.parametrize("kind", sorted(METHODS))
def test_every_job_is_that_of_its_client(kind, length):
    training = TrainingConfig(batch_size=4, learning_rate=5e-3, **length)
    made = federation(SMALLEST[kind], num_texts=80, training=training)
    samples, start = clients(80), start_of(made)
    for seed in (0, 9):
        found = works_of(made.procedure, samples, start, made.cost, seed=seed)
        assert list(found) == one_by_one(made, samples, start, seed=seed)


def test_supervised_jobs_are_worked_out_together_and_steps_of_one_shape_once():
    made = federation(SMALLEST["head"], num_texts=80)
    assert isinstance(made.procedure, WorksOutMany)
    counted, step_flop = [], made.cost.step_flop

    class Counting:
        def step_flop(self, trainable, **shape):
            counted.append((shape["batch_size"], shape["num_tokens"]))
            return step_flop(trainable, **shape)

    lengths = made.worker.train.tokens.lengths
    steps_flop(
        clients(80),
        layout=lambda texts: [texts[:1], texts[:1], texts],
        lengths=lengths,
        answer_lengths=None,
        start=start_of(made),
        cost=Counting(),
    )
    assert len(counted) == len(set(counted))
    assert {size for size, _ in counted} == {1, *SIZES}


@pytest.mark.parametrize("length", [(7, None), (None, 3)])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 9, 16])
def test_batches_lie_at_the_same_places_whatever_the_texts(size, length):
    texts = np.random.default_rng(size).permutation(1000)[:size].astype(np.int32)
    steps, epochs = length

    def layout(samples):
        return plan_batches(samples, batch_size=4, local_steps=steps, local_epochs=epochs, seed=12)

    places = layout(np.arange(size))
    assert [batch.tolist() for batch in layout(texts)] == [texts[at].tolist() for at in places]
