"""What every client has one of: indices as of a list."""

import pytest

from fl.by_client import ByClient


class Squares(ByClient[int]):
    def __len__(self):
        return 5

    def of_client(self, client_id):
        assert 0 <= client_id < 5
        return client_id**2


def test_it_is_indexed_as_a_list_is():
    squares, expected = Squares(), [0, 1, 4, 9, 16]
    assert list(squares) == expected
    for index in (0, 4, -1, -5):
        assert squares[index] == expected[index]
    for part in (slice(None), slice(1, 4), slice(None, None, -2), slice(7, 9)):
        assert squares[part] == expected[part]
    assert 9 in squares
    for index in (5, -6):
        with pytest.raises(IndexError):
            squares[index]
