"""Four bits a number."""

import numpy as np
import pytest

from fl.codecs.int4 import Int4Codec


@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
def test_two_levels_share_a_byte(count):
    values = np.random.default_rng(0).normal(size=count)
    codec = Int4Codec()
    coded = codec.encode(values, np.random.default_rng(1))
    assert coded.data.dtype == np.uint8
    assert coded.data.nbytes == codec.num_items(count) == (count + 1) // 2
    back = codec.decode(coded, count)
    assert back.shape == (count,)
    if count:
        assert np.abs(back - values).max() <= np.abs(values).max() / 7 * (1 + 1e-6)


def test_all_levels_come_back():
    values = np.arange(-7.0, 8.0)
    coded = Int4Codec().encode(values, np.random.default_rng(1))
    assert coded.scale == 1.0
    assert Int4Codec().decode(coded, 15).tolist() == values.tolist()
