"""The upper half of single precision."""

import numpy as np
import torch

from fl.codecs.bf16 import Bf16Codec

RNG = np.random.default_rng(0)


def test_numbers_come_back_as_those_of_torch():
    values = (RNG.normal(size=4000) * 10.0 ** RNG.integers(-30, 30, size=4000)).astype(np.float32)
    values = np.concatenate([values, np.array([0.0, -0.0, 1.00390625, 1.01171875], np.float32)])
    coded = Bf16Codec().encode(values.astype(np.float64), RNG)
    assert coded.data.nbytes == 2 * len(values)
    back = Bf16Codec().decode(coded, len(values))
    theirs = torch.from_numpy(values).to(torch.bfloat16).to(torch.float64).numpy()
    assert (back == theirs).all()
    assert (np.abs(back - values) <= 2.0**-8 * np.abs(values)).all()


def test_what_is_too_large_becomes_the_largest_number():
    back = Bf16Codec().decode(Bf16Codec().encode(np.array([1e39, -1e39]), RNG), 2)
    largest = torch.finfo(torch.bfloat16).max
    assert back.tolist() == [largest, -largest]
