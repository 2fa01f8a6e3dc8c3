"""Training jobs of a federation, seen as they are submitted."""

from fl.training.job import TrainJob


def watch_training(federation, seen):
    """Call ``seen(job, handle)`` for each training job that is submitted from now on."""
    submit = federation.executor.submit

    def watched(job, **options):
        handle = submit(job, **options)
        if isinstance(job, TrainJob):
            seen(job, handle)
        return handle

    federation.executor.submit = watched
