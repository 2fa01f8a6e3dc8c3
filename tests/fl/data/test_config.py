import pytest

from fl.data.config import (
    DirichletPartition,
    DocstringsData,
    DomainsPartition,
    FilesData,
    HubData,
    find_problems,
)

FILES = {"train": "a.csv", "test": "b.csv"}


@pytest.mark.parametrize(
    "config",
    [
        DocstringsData(),
        DocstringsData(partition=DomainsPartition()),
        FilesData(**FILES),
        FilesData(**FILES, domain="who", partition=DomainsPartition()),
        FilesData(**FILES, text_pair="second"),
        FilesData(**FILES, quoting="none"),
        FilesData(train="a.TSV.gz", test="b.jsonl", quoting="standard"),
        FilesData(**FILES, response="answer"),
        FilesData(**FILES, response="answer", label="kind", partition=DirichletPartition()),
        DocstringsData(task="generation", partition=DirichletPartition()),
        DocstringsData(task="generation", rejected="other_summary"),
        FilesData(train="a.csv"),
        FilesData(train="a.csv", test="a.csv", part="part"),
        FilesData(train="a.csv", part="part", train_part="train2"),
        FilesData(**FILES, part="part", train_part="all", test_part="all"),
        FilesData(**FILES, domain="who", keep_domains=("u",)),
        FilesData(**FILES, response="a", rejected="b", prompt_marks="human_assistant"),
        HubData(name="x", test_split=None),
        HubData(name="ag_news", max_train_texts=100, partition=DirichletPartition(min_texts=10)),
    ],
)
def test_sound_settings_have_no_problem(config):
    assert find_problems(config, num_clients=10) == []


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        (FilesData(train="a", test="a"), ("data", "test"), "another file than data.train, got 'a'"),
        (
            FilesData(train="a", part="part", test_part="train"),
            ("data", "test_part"),
            "must be another than train_part, got 'train' for both",
        ),
        (
            FilesData(train="a", test_part="dev"),
            ("data", "test_part"),
            "no effect without part, got 'dev'",
        ),
        (FilesData(train="a", keep_domains=("u",)), ("data", "domain"), "must name the column"),
        (FilesData(train="a", rejected="worse"), ("data", "rejected"), "no effect where texts are"),
        (
            FilesData(train="a", prompt_marks="human_assistant"),
            ("data", "prompt_marks"),
            "no effect where texts are classified",
        ),
        (DocstringsData(rejected="other_summary"), ("data", "rejected"), "no effect where texts"),
        (HubData(name="x", test_split="train"), ("data", "test_split"), "another split than"),
        (
            FilesData(train="a.parquet", test="b.jsonl.gz", quoting="none"),
            ("data", "quoting"),
            "has no effect on files that are neither csv nor tsv, got 'none'",
        ),
        (
            FilesData(**FILES, domain="who"),
            ("data", "domain"),
            "no effect when partition",
        ),
        (
            HubData(name="x", partition=DomainsPartition()),
            ("data", "domain"),
            "must name the",
        ),
        (
            FilesData(**FILES, response="answer", partition=DirichletPartition()),
            ("data", "label"),
            "must name the column that texts are shared by",
        ),
        (
            FilesData(**FILES, response="answer", label="kind"),
            ("data", "label"),
            "has no effect on prompts and responses when partition.kind is iid, got 'kind'",
        ),
        (
            DocstringsData(max_train_texts=19),
            ("data", "max_train_texts"),
            "10 clients = 20",
        ),
    ],
)
def test_each_broken_rule_is_named_with_its_place(config, path, message):
    (problem,) = find_problems(config, num_clients=10)
    assert problem.path == path
    assert message in problem.message


def test_all_problems_are_named_at_once():
    config = FilesData(train="a", test="a", domain="who", max_train_texts=1)
    assert len(find_problems(config, num_clients=10)) == 3


def test_a_response_makes_the_task():
    assert FilesData(**FILES).task == HubData(name="x").task == "classification"
    assert FilesData(**FILES, response="a").task == HubData(name="x", response="a").task
    assert FilesData(**FILES, response="a").task == "generation"
