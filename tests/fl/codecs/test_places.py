"""Places of entries as bytes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fl.codecs.places import num_bytes, pack, unpack


@given(st.data())
def test_places_come_back_from_as_many_bytes_as_were_announced(data):
    count = data.draw(st.integers(0, 300))
    places = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1)))) if count else [])
    places = places.astype(np.int64)
    packed = pack(places, count=count)
    assert packed.nbytes == num_bytes(kept=len(places), count=count)
    assert unpack(packed, kept=len(places), count=count).tolist() == places.tolist()


def test_bytes_by_hand():
    # 1000 entries take 10 bits a place; 3 places 30 bits, 4 bytes; a bit an entry 125 bytes
    assert num_bytes(kept=3, count=1000) == 4
    assert num_bytes(kept=99, count=1000) == 124
    assert num_bytes(kept=100, count=1000) == 125
    assert num_bytes(kept=900, count=1000) == 125
    assert num_bytes(kept=1, count=1) == 0
