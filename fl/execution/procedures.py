"""From what a method optimises to the procedure that plans, charges and runs its jobs."""

from typing import cast

from fl.models.shape_only import num_positions
from fl.training.job import JobSettings
from fl.training.local_work import AlignsPolicy, LocalWork
from fl.training.objective import (
    Phases,
    PolicyReward,
    PreferencePairs,
    SingleObjective,
    SplitLoss,
    ZerothOrder,
)
from fl.training.policy_optimisation import PolicyOptimisation
from fl.training.preference import PreferenceOptimisation
from fl.training.private_supervised import PrivateSupervised
from fl.training.procedure import Procedure
from fl.training.split_supervised import SplitSupervised
from fl.training.supervised import Supervised
from fl.training.two_phases import Phase, TwoPhases
from fl.training.worker import Worker
from fl.training.zeroth_order import ZerothOrderSteps


def procedure_of(settings: JobSettings, worker: Worker[LocalWork]) -> Procedure:
    """Return what training jobs with these settings do.

    Parameters
    ----------
    settings
        Of the jobs.
    worker
        Its method says what is optimised.
    """
    objective = worker.method.objective
    if isinstance(objective, Phases):
        return TwoPhases(
            first=_phase(objective.first, settings, worker),
            second=_phase(objective.second, settings, worker),
            second_trainable=objective.second_trained,
        )
    return _phase(objective, settings, worker)


def _phase(objective: SingleObjective, settings: JobSettings, worker: Worker[LocalWork]) -> Phase:
    if isinstance(objective, PolicyReward):
        return PolicyOptimisation(
            settings=settings,
            policy=objective.policy,
            method=cast("AlignsPolicy", worker.method),
            train=worker.train,
            num_positions=num_positions(worker.module),
            rewards=worker.rewards,
        )
    if isinstance(objective, PreferencePairs):
        return PreferenceOptimisation(
            settings=settings,
            num_steps=objective.num_steps,
            kl_weight=objective.kl_weight,
            method=worker.method,
            train=worker.train,
        )
    if isinstance(objective, ZerothOrder):
        return ZerothOrderSteps(settings=settings, objective=objective, train=worker.train)
    if isinstance(objective, SplitLoss):
        return SplitSupervised(
            settings=settings, method=worker.method, train=worker.train, split=objective
        )
    if settings.privacy is not None:
        return PrivateSupervised(
            settings=settings, method=worker.method, train=worker.train, privacy=settings.privacy
        )
    return Supervised(settings=settings, method=worker.method, train=worker.train)
