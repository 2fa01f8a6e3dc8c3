"""What the server knows of its clients."""

import numpy as np

from fl.clients.roster import Roster


def test_columns_before_and_after_participations():
    roster = Roster([5, 7, 1])
    assert roster.num_samples.tolist() == [5, 7, 1]
    assert roster.times_selected.tolist() == [0, 0, 0]
    assert roster.last_round.tolist() == [0, 0, 0]
    assert np.isnan(roster.last_loss).all()
    roster.end(1, round_id=1, loss=0.75)
    roster.end(1, round_id=4, loss=None)  # lost: the loss known is the older one
    roster.end(2, round_id=4, loss=None)
    assert roster.times_selected.tolist() == [0, 2, 1]
    assert roster.last_round.tolist() == [0, 4, 4]
    assert roster.last_loss[1] == 0.75
    assert np.isnan(roster.last_loss[[0, 2]]).all()
