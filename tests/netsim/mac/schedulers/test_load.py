import pytest

from netsim.mac.schedulers import load_scheduler

GOOD = "class Mine:\n    def shares(self, view):\n        return view.group_rate_bps * 0\n"


def test_a_class_in_a_file_is_loaded(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(GOOD)
    assert type(load_scheduler(f"{path}:Mine")).__name__ == "Mine"


@pytest.mark.parametrize(
    ("text", "name", "match"),
    [
        (None, "Mine", "no file"),
        (GOOD, "Other", "no class 'Other'"),
        ("class Mine:\n    pass\n", "Mine", "needs a method shares"),
        (
            "class Mine:\n    def __init__(self, a): ...\n    def shares(self, v): ...\n",
            "Mine",
            "must take no arguments",
        ),
        ("import nothing_of_this_name\n", "Mine", "does not run: ModuleNotFoundError"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, name, match):
    path = tmp_path / "own.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=match):
        load_scheduler(f"{path}:{name}")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="round_robin"):
        load_scheduler("robin_hood")
