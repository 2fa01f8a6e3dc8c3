"""The table of server modes."""

from fl.methods.local.config import LocalConfig
from fl.server.config import SyncServer
from fl.server.modes import MODES, run_server
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import federation


def test_a_mode_is_found_by_the_name_in_its_settings():
    assert {SyncServer.mode: run_rounds} == MODES


def test_the_table_runs_the_same_rows_as_the_mode_itself():
    by_table, by_hand = federation(LocalConfig()), federation(LocalConfig())
    by_table.env.run(until=by_table.env.process(run_server(by_table)))
    by_hand.env.run(until=by_hand.env.process(run_rounds(by_hand)))
    assert len(by_table.recorder.rounds) == 3
    assert by_table.recorder == by_hand.recorder
