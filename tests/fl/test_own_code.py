"""The loader of a user's own class: what it gives, and one line for whatever is wrong."""

import multiprocessing
import pickle
import re
from typing import Protocol

import pytest

from fl.own_code import file_digest, in_one_line, load_class, names_a_class
from fl.problems import OwnCodeError


class Chooser(Protocol):
    """A protocol of the kinds that methods, schedulers and policies have."""

    is_uniform: bool

    def select(self, view: object, *, rng: object) -> list[int]:
        """Return some numbers."""


GOOD = """
from dataclasses import dataclass

@dataclass
class Mine:
    count: int = 1
    is_uniform: bool = False

    def select(self, view, *, rng):
        return [self.count] * (1 // view)
"""


def write(tmp_path, text, name="mine.py"):
    file = tmp_path / name
    file.write_text(text)
    return f"{file}:Mine"


def load(name):
    return load_class(name, key="server.policy", protocol=Chooser)


def make(name, **settings):
    return load(name).make(settings, key="server.policy", protocol=Chooser)


def test_a_class_is_loaded_once_for_a_file_and_its_content(tmp_path):
    name = write(tmp_path, GOOD)
    own, again = load(name), load(name)
    assert own.cls is again.cls
    assert own.digest == file_digest(name)
    assert own.make({"count": 3}, key="k", protocol=Chooser).select(1, rng=None) == [3]
    write(tmp_path, GOOD.replace("[self.count]", "[2 * self.count]"))
    other = load(name)
    assert other.digest == file_digest(name) != own.digest
    assert make(name, count=3).select(1, rng=None) == [6]
    assert own.cls(count=3).select(1, rng=None) == [3]


def test_two_files_of_one_name_do_not_meet(tmp_path):
    (tmp_path / "other").mkdir()
    name, other = write(tmp_path, GOOD), write(tmp_path / "other", GOOD)
    assert load(name).cls is not load(other).cls


def _in_another_process(name, data):
    load(name)
    return pickle.dumps(pickle.loads(data).count + 1)


def test_what_a_file_defines_crosses_to_a_process_that_has_loaded_it(tmp_path):
    name = write(tmp_path, GOOD)
    made = make(name, count=4)
    assert pickle.loads(pickle.dumps(made)) == made
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pickle.loads(pool.apply(_in_another_process, (name, pickle.dumps(made)))) == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n\ndef (", "mine.py:3: does not run: SyntaxError: invalid syntax"),
        ("x = 1\n1 / 0", "mine.py:2: does not run: ZeroDivisionError: division by zero"),
        ("\nimport nothing_of_this_name", "mine.py:2: does not run: ModuleNotFoundError: "),
        ("raise ValueError('two\\nlines')", "mine.py:1: does not run: ValueError: two lines"),
        ("raise SystemExit(0)", "mine.py:1: does not run: SystemExit: 0"),
        ("import sys\nsys.exit()", "mine.py:2: does not run: SystemExit"),
        ("raise KeyboardInterrupt", "mine.py:1: does not run: KeyboardInterrupt"),
        ("raise GeneratorExit", "mine.py:1: does not run: GeneratorExit"),
        ("class E(BaseException): pass\nraise E('x')", "mine.py:2: does not run: E: x"),
        (
            "class E(Exception):\n  def __str__(self): 1 / 0\nraise E",
            "mine.py:3: does not run: E",
        ),
        ("class Other: pass", "mine.py has no class 'Mine'"),
        ("Mine = 3", "mine.py has no class 'Mine'"),
        ("\nclass Mine: pass", "mine.py:2: Mine needs select(self, view, *, rng)"),
        (
            "class Mine:\n  is_uniform = True\n  def select(self, view): ...",
            "mine.py:3: Mine needs select(self, view, *, rng)",
        ),
        (
            "class Mine:\n  select = 3\n",
            "mine.py:1: Mine needs select(self, view, *, rng)",
        ),
        (
            "class Mine:\n  def select(self, view, *, rng): ...",
            "mine.py:1: Mine needs is_uniform",
        ),
        (
            "class Mine:\n"
            "  def select(self, view, *, rng): ...\n"
            "  @property\n  def is_uniform(self): raise GeneratorExit",
            "mine.py:4: is_uniform: GeneratorExit",
        ),
        (
            "class Mine:\n  select = print\n  def __init__(self):\n    raise KeyboardInterrupt",
            "mine.py:4: cannot be made with its settings: KeyboardInterrupt",
        ),
    ],
)
def test_whatever_is_wrong_with_a_file_is_one_line_with_its_place(tmp_path, text, said):
    name = write(tmp_path, text)
    with pytest.raises(OwnCodeError) as caught:
        make(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    path = re.escape(str(tmp_path))
    assert re.match(rf"(server\.policy: )?{path}/mine\.py(:\d+)?[: ]", str(caught.value))


def test_a_file_that_failed_is_run_again_when_it_is_asked_for_again(tmp_path):
    name = write(tmp_path, "1 / 0")
    for _ in range(2):
        with pytest.raises(OwnCodeError, match="ZeroDivisionError"):
            load(name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OwnCodeError, match=r"^server\.policy: no file 'nowhere\.py' \(named in"):
        load("nowhere.py:Mine")
    with pytest.raises(OwnCodeError, match="no file"):
        load(f"{tmp_path}:Mine")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cuont": 1}, "server.policy.cuont: unknown key; did you mean 'count'?"),
        ({"zzz": 1}, "server.policy.zzz: unknown key; valid here: count, is_uniform"),
        (
            {"count": "y" * 100},
            f"server.policy.count: must be a whole number, got '{'y' * 56}...",
        ),
    ],
)
def test_an_unknown_setting_is_told_like_any_other_unknown_key(tmp_path, settings, said):
    with pytest.raises(OwnCodeError) as caught:
        make(write(tmp_path, GOOD), **settings)
    assert str(caught.value) == said


def test_a_missing_setting_is_named(tmp_path):
    name = write(tmp_path, GOOD.replace("count: int = 1", "count: int"))
    with pytest.raises(OwnCodeError) as caught:
        make(name)
    assert str(caught.value) == "server.policy.count: missing; Mine needs it"


def test_what_a_method_raises_names_file_line_and_method(tmp_path):
    own = load(write(tmp_path, GOOD))
    made = own.cls()
    with pytest.raises(OwnCodeError) as caught, own.blame("select", made):
        made.select(0, rng=None)
    text = f"{own.path}:10: select: ZeroDivisionError: integer division or modulo by zero"
    assert str(caught.value) == text
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_what_is_raised_below_a_call_without_a_frame_of_the_file_names_the_definition(tmp_path):
    own = load(write(tmp_path, GOOD))
    made = own.cls()
    with pytest.raises(OwnCodeError, match=r"mine\.py:9: select: SystemExit: 3"):  # noqa: SIM117
        with own.blame("select", made):
            raise SystemExit(3)
    with pytest.raises(OwnCodeError, match=r"mine\.py:4: inherited: KeyError"):  # noqa: SIM117
        with own.blame("inherited", made):
            raise KeyError


def test_an_interrupt_while_a_method_runs_is_an_interrupt(tmp_path):
    own = load(write(tmp_path, GOOD))
    with pytest.raises(KeyboardInterrupt), own.blame("select"):
        raise KeyboardInterrupt


def test_an_answer_outside_the_contract_names_the_definition(tmp_path):
    own = load(write(tmp_path, GOOD))
    fault = own.fault("select", "must be numbers, got None", own.cls())
    assert str(fault) == f"{own.path}:9: select: must be numbers, got None"


def test_foreign_text_is_cut_to_a_line_of_three_hundred_characters():
    line = in_one_line(ValueError("x\n" * 10_000))
    assert len(line) == 300
    assert line.startswith("ValueError: x x x")
    assert line.endswith("...")


def test_a_name_is_a_file_and_a_class():
    assert names_a_class("a/b.py:Mine")
    assert not names_a_class("a/b.py")
    assert not names_a_class("b.py:2nd")
