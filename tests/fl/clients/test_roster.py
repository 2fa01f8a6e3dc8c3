"""What the server knows of its clients."""

import numpy as np

from fl.clients.roster import Roster


def test_columns_before_and_after_participations():
    roster = Roster([5, 7, 1])
    assert roster.num_samples.tolist() == [5, 7, 1]
    assert roster.times_selected.tolist() == [0, 0, 0]
    assert roster.last_round.tolist() == [0, 0, 0]
    assert np.isnan(roster.last_loss).all()
    assert np.isnan(roster.last_rms_loss).all()
    assert np.isnan(roster.last_duration_s).all()
    assert roster.spent_j.tolist() == [0.0, 0.0, 0.0]
    roster.begin(1, version=3)
    assert roster.is_busy.tolist() == [False, True, False]
    roster.end(1, round_id=1, duration_s=5.0, spent_j=2.0, is_received=True, losses=(0.75, 0.8))
    # lost: the losses known are the older ones
    roster.end(1, round_id=4, duration_s=3.0, spent_j=1.5, is_received=False, losses=None)
    roster.end(2, round_id=4, duration_s=7.0, spent_j=4.0, is_received=False, losses=None)
    assert roster.is_busy[1]  # its update may be merged before it is free, or after
    roster.free(1)
    assert not roster.is_busy.any()
    assert roster.version_held.tolist() == [0, 3, 0]
    assert roster.times_selected.tolist() == [0, 2, 1]
    assert roster.last_round.tolist() == [0, 4, 4]
    assert roster.last_received.tolist() == [0, 1, 0]
    assert (roster.last_loss[1], roster.last_rms_loss[1]) == (0.75, 0.8)
    assert np.isnan(roster.last_loss[[0, 2]]).all()
    assert roster.last_duration_s[1:].tolist() == [3.0, 7.0]
    assert roster.spent_j.tolist() == [0.0, 3.5, 4.0]
