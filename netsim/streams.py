"""Addressed randomness: every draw is named by (seed, purpose, ids), never by call order.

The address of a generator does not change when a client, a method or a purpose is added, so two
variants with one seed have the same world (common random numbers). The address tree is that of
``numpy.random.SeedSequence.spawn``, without its call counter.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """Purpose of a stream. Append only: a published number is never changed or reused."""

    PLACEMENT = 0
    MOBILITY = 1
    LINE_OF_SIGHT = 2
    SHADOWING = 3
    ANGULAR_SPREAD = 4
    PENETRATION = 5
    FADING = 6
    BLOCK_ERROR = 7
    BACKGROUND_LOAD = 8
    DEVICE_CLASS = 9
    PARTITION = 10
    COHORT = 11
    MODEL_INIT = 12
    METHOD_INIT = 13
    TRAINING = 14
    EVALUATION = 15
    FAULT = 16
    ACCESS = 17
    ACCESS_WAIT = 18
    DEVICE_SPEED = 19
    AVAILABILITY = 20
    BATTERY = 21
    LAST_BLOCKS = 22
    OUTAGE = 23


def stream(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """Return the generator addressed by (seed, purpose, key), independent of all other draws.

    Parameters
    ----------
    seed
        Root seed of the run, at least 0.
    purpose
        Purpose of the draws.
    *key
        Ids below the purpose, each at least 0: client, cell, round, ...
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), *key)))
