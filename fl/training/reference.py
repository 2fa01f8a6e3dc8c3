"""The model that a policy is kept near: what is trained, with its first values."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fl.models.language import LanguageModel
from fl.training.local_work import LocalWork
from fl.training.worker import Worker


@contextmanager
def reference_in_place(worker: Worker[LocalWork], names: Sequence[str]) -> Iterator[None]:
    """Let the first values of some tensors stand in the model; nothing is copied."""
    before = {name: worker.parameters[name].data for name in names}
    for name in names:
        worker.parameters[name].data = worker.method.initial[name]
    try:
        yield
    finally:
        for name, value in before.items():
            worker.parameters[name].data = value


def language_model_of(worker: Worker[LocalWork]) -> LanguageModel:
    """Return the worker's model.

    Raises
    ------
    TypeError
        If it writes no text.
    """
    if not isinstance(worker.module, LanguageModel):
        msg = f"module: must be a language model, got {type(worker.module).__name__}"
        raise TypeError(msg)
    return worker.module
