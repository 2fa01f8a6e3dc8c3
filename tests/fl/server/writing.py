"""A procedure that writes beside training, as far as costs go."""

from dataclasses import dataclass, replace

from fl.training.supervised import Supervised

SHAPE = {"batch_size": 3, "prompt_tokens": 6, "new_tokens": 5}
HELD_BYTES = 1000
"""Of a model that stays in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing(Supervised):
    """Writes one batch a job before it trains."""

    def work(self, plan, start, cost):
        written = cost.generation_work(**SHAPE, tensors=start.tensors)
        return Supervised.work(self, plan, start, cost) + written

    def works(self, samples, start, cost, *, seed):
        written = cost.generation_work(**SHAPE, tensors=start.tensors)
        trained = Supervised.works(self, samples, start, cost, seed=seed)
        return [each + written for each in trained]

    def largest(self, shards, start, cost):
        largest = Supervised.largest(self, shards, start, cost)
        cache_bytes = cost.generation_bytes(**SHAPE, tensors=start.tensors)
        return replace(
            largest,
            step=largest.step.beside(frozen_bytes=HELD_BYTES, cache_bytes=cache_bytes),
            writing=cost.generation_work(**SHAPE, tensors=start.tensors),
        )


def written_by(settings, worker):
    """Return the procedure of these settings, as :func:`fl.execution.run_job.procedure_of` does."""
    return Writing(settings=settings, method=worker.method, train=worker.train)
