"""Half precision."""

import numpy as np

from fl.codecs.fp16 import Fp16Codec

RNG = np.random.default_rng(0)


def test_numbers_come_back_within_half_a_unit_in_the_last_place():
    values = RNG.normal(size=1000) * 10.0 ** RNG.integers(-6, 4, size=1000)
    coded = Fp16Codec().encode(values, RNG)
    assert coded.data.nbytes == 2000
    back = Fp16Codec().decode(coded, 1000)
    assert (np.abs(back - values) <= np.maximum(2.0**-11 * np.abs(values), 2.0**-25)).all()
    assert (back != values).any()


def test_what_is_too_large_becomes_the_largest_number():
    coded = Fp16Codec().encode(np.array([1e9, -1e9]), RNG)
    assert Fp16Codec().decode(coded, 2).tolist() == [65504.0, -65504.0]
