"""Eight bits a number."""

import numpy as np

from fl.codecs.int8 import Int8Codec


def test_levels_times_step_come_back_within_a_step():
    values = np.random.default_rng(0).normal(size=1000)
    codec = Int8Codec()
    coded = codec.encode(values, np.random.default_rng(1))
    assert coded.data.dtype == np.int8
    assert coded.data.nbytes == codec.num_items(1000) == 1000
    back = codec.decode(coded, 1000)
    step = np.abs(values).max() / 127
    assert np.abs(back - values).max() <= step * (1 + 1e-6)
    # the largest number stays what it is
    assert abs(back[np.abs(values).argmax()]) == np.abs(back).max()
    assert len(np.unique(back)) > 150


def test_randomness_is_that_of_the_generator():
    values = np.random.default_rng(0).normal(size=50)
    one, same, other = (
        Int8Codec().encode(values, np.random.default_rng(seed)).data.tolist() for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other
