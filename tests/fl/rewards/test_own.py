"""A reward in a file of the user's own: the printed example, and faults in one line."""

import re
from pathlib import Path

import pytest

from fl.problems import OwnCodeError
from fl.rewards import load_reward
from fl.rewards.config import OwnReward

EXAMPLE = Path(__file__).parents[3] / "docs/examples/own_reward.py"
PROMPTS = ["def mean(values, axis)", "def total(values)"]
RESPONSES = ["The mean of values along an axis", "Nothing"]


def own(kind, **settings):
    return load_reward(OwnReward(kind=kind, settings=settings), "rewards.safety")


def written(folder, body, init=""):
    file = folder / "own.py"
    file.write_text(
        f"class Own:\n    def scores(self, prompts, responses):\n        {body}\n{init}"
    )
    return f"{file}:Own"


def test_the_example_runs_as_printed():
    lines = EXAMPLE.read_text().splitlines()
    assert len([line for line in lines if line and not line.startswith("#")]) <= 12
    made = own(f"{EXAMPLE}:NamesItsArguments")
    assert made.scores(PROMPTS, RESPONSES).tolist() == [1.0, 0.0]
    assert own(f"{EXAMPLE}:NamesItsArguments", part=2.0).scores(PROMPTS, RESPONSES)[0] == 0.5
    assert made.memory_bytes == made.flop(num_texts=2, num_tokens=9) == 0


def test_the_page_prints_the_example():
    page = (EXAMPLE.parents[1] / "rewards.md").read_text(encoding="utf-8")
    (printed,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert printed.strip() in EXAMPLE.read_text(encoding="utf-8")


def test_what_it_costs_is_what_it_says(tmp_path):
    more = (
        "    memory_bytes = 40\n\n"
        "    def flop(self, *, num_texts, num_tokens):\n        return num_texts * num_tokens\n"
    )
    made = own(written(tmp_path, "return [0.0, 0.0]", more))
    assert (made.memory_bytes, made.flop(num_texts=2, num_tokens=9)) == (40, 18)


def test_the_digest_is_of_file_and_settings(tmp_path):
    first = own(f"{EXAMPLE}:NamesItsArguments").digest
    assert first == own(f"{EXAMPLE}:NamesItsArguments").digest
    assert first != own(f"{EXAMPLE}:NamesItsArguments", part=0.5).digest
    assert own(written(tmp_path, "return 1")).digest != own(written(tmp_path, "return 2")).digest


def test_global_generators_give_the_same_each_time(tmp_path):
    body = "import numpy as np; return np.random.normal(size=len(responses))"
    made = own(written(tmp_path, body))
    assert (made.scores(PROMPTS, RESPONSES) == made.scores(PROMPTS, RESPONSES)).all()


def test_unknown_settings_are_named():
    with pytest.raises(OwnCodeError, match=r"^rewards\.safety\.prt: unknown key; did you mean 'pa"):
        own(f"{EXAMPLE}:NamesItsArguments", prt=2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('x')", r"^rewards\.safety: .*own\.py:3: scores: KeyError: 'x'$"),
        (
            "return [1.0]",
            r"^rewards\.safety: .*own\.py:2: scores: must give one number for each of 2 answers, "
            r"got shape \(1,\)$",
        ),
        ("return 3.0", r"got 3\.0$"),
        ("return ['a', 'b']", r"own\.py:2: scores: ValueError: could not convert"),
        ("return None", r"scores: (TypeError|must give one number)"),
        (
            "return [1.0, float('nan')]",
            r"^rewards\.safety: .*own\.py:2: scores: must be finite, got nan for 'Nothing'$",
        ),
        ("return [float('-inf'), 1.0]", r"must be finite, got -inf for 'The mean of values along"),
    ],
)
def test_faults_are_told_in_one_line(tmp_path, body, message):
    made = own(written(tmp_path, body))
    with pytest.raises(OwnCodeError, match=message) as caught:
        made.scores(PROMPTS, RESPONSES)
    assert "\n" not in str(caught.value)


def test_costs_that_are_no_numbers_are_told(tmp_path):
    made = own(written(tmp_path, "return [0.0, 0.0]", "    memory_bytes = -1\n"))
    with pytest.raises(OwnCodeError, match=r"^rewards\.safety: .*memory_bytes: must be a whole"):
        _ = made.memory_bytes


def test_a_class_without_scores_is_refused(tmp_path):
    (tmp_path / "own.py").write_text("class Own:\n    pass\n")
    with pytest.raises(OwnCodeError, match=r"Own needs scores\(self, prompts, responses\)"):
        own(f"{tmp_path}/own.py:Own")
