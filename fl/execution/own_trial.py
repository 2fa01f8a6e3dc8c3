"""A trial of a method of a user's own: every hook is asked once, around a job of one step."""

from fl.execution.procedures import procedure_of
from fl.execution.run_job import run_job
from fl.execution.trial_job import MODEL_KEY, trial_job, trial_worker
from fl.methods.base import Contribution, base_of
from fl.methods.own import OwnConfig
from fl.models.backbone import Backbone
from fl.models.lora_settings import DEFAULT_LORA, LoraSettings
from fl.own_code import in_one_line
from fl.problems import OwnCodeError, during
from fl.training.batches import Examples
from fl.training.job import EvaluationJob

_SITUATION = "in a trial job of one step"


def try_own_method(
    config: OwnConfig,
    *,
    backbone: Backbone,
    examples: Examples,
    num_clients: int,
    seed: int,
    lora: LoraSettings = DEFAULT_LORA,
) -> None:
    """Let one client download, train a step, upload; aggregate, and evaluate both models.

    Parameters
    ----------
    config
        Names the file and the class.
    backbone
        Freshly loaded; of no use afterwards.
    examples
        Two texts.
    num_clients
        Clients of the federation.
    seed
        Of the method's first values.
    lora
        Of low-rank adaptations.

    Raises
    ------
    fl.problems.OwnCodeError
        One line: file and line of what does not work, and that it was in a trial.
    """
    worker = trial_worker(
        config,
        backbone=backbone,
        examples=examples,
        num_clients=num_clients,
        seed=seed,
        lora=lora,
    )
    method = worker.method
    with during(_SITUATION):
        state = method.initial_state()
        download = method.download(state, client_id=0)
        start = method.start(download, method.initial_personal(0), version=state.version)
        job = trial_job(start, worker, version=state.version)
        procedure_of(job.settings, worker).plan(job.samples, seed=job.seed)
        method.upload({**start.tensors, **start.client_outputs}, version=state.version)
        try:
            trained = run_job(job, worker)
        except OwnCodeError:
            raise
        except Exception as error:
            # The job is ours, the tensors that it trains are the method's.
            msg = f"{config.kind}: a step cannot be trained: {in_one_line(error)}"
            raise OwnCodeError(msg) from error
        personal = method.personal(trained.tensors)
        upload = method.upload(trained.tensors, version=state.version)
        if upload is not None:
            contribution = Contribution(
                client_id=0,
                payload=upload,
                weight=trained.num_samples,
                staleness=0,
                base=base_of(method, upload, start),
            )
            state = method.aggregate(state, [contribution])
        for model in (method.global_model(state), method.personal_model(state, personal)):
            if model is not None:
                run_job(
                    EvaluationJob(
                        model_key=MODEL_KEY,
                        tensors=model,
                        table="train",
                        samples=job.samples,
                        batch_size=job.settings.batch_size,
                    ),
                    worker,
                )
