"""A trial of a method of a user's own: every hook is asked once, around a job of one step."""

import numpy as np
import torch

from fl.execution.run_job import procedure_of, run_job
from fl.methods import install_method
from fl.methods.base import Contribution
from fl.methods.own import OwnConfig
from fl.models.backbone import Backbone
from fl.problems import OwnCodeError, during
from fl.training.batches import Examples
from fl.training.job import EvaluationJob, JobSettings, TrainJob
from fl.training.worker import Worker

_KEY = "trial"
_SEED = 1
_SITUATION = "in a trial job of one step"


def try_own_method(
    config: OwnConfig,
    *,
    backbone: Backbone,
    examples: Examples,
    settings: JobSettings,
    num_clients: int,
    seed: int,
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
    settings
        Of the job; one step.
    num_clients
        Clients of the federation.
    seed
        Of the method's first values.

    Raises
    ------
    fl.problems.OwnCodeError
        One line: file and line of what does not work, and that it was in a trial.
    """
    generator = torch.Generator().manual_seed(seed)
    method = install_method(config, backbone.module, generator=generator, num_clients=num_clients)
    backbone.module.eval()
    worker = Worker(
        module=backbone.module,
        method=method,
        train=examples,
        test=examples,
        tokenizer=backbone.tokenizer,
        model_key=_KEY,
    )
    texts = np.arange(len(examples.labels))
    with during(_SITUATION):
        state = method.initial_state()
        download = method.download(state, client_id=0)
        start = method.start(download, method.initial_personal(0), version=state.version)
        job = TrainJob(
            model_key=_KEY,
            client_id=0,
            round=1,
            version=state.version,
            start=start,
            samples=texts,
            settings=settings,
            seed=_SEED,
        )
        procedure_of(settings, worker).plan(texts, seed=_SEED)
        method.upload({**start.tensors, **start.client_outputs}, version=state.version)
        try:
            trained = run_job(job, worker)
        except OwnCodeError:
            raise
        except Exception as error:
            # The job is ours, the tensors that it trains are the method's.
            msg = f"{config.kind}: a step cannot be trained: {type(error).__name__}: {error}"
            raise OwnCodeError(" ".join(msg.split())) from error
        personal = method.personal(trained.tensors)
        upload = method.upload(trained.tensors, version=state.version)
        if upload is not None:
            began = start.tensors if method.merges == "mean" else {}
            contribution = Contribution(
                client_id=0,
                payload=upload,
                weight=trained.num_samples,
                staleness=0,
                base={name: began[name] for name in upload.tensors if name in began},
            )
            state = method.aggregate(state, [contribution])
        for model in (method.global_model(state), method.personal_model(state, personal)):
            if model is not None:
                run_job(
                    EvaluationJob(
                        model_key=_KEY, tensors=model, table="train", samples=texts, batch_size=2
                    ),
                    worker,
                )
