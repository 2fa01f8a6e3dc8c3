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
        HubData(name="ag_news", max_train_texts=100, partition=DirichletPartition(min_texts=10)),
    ],
)
def test_sound_settings_have_no_problem(config):
    assert find_problems(config, num_clients=10) == []


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        (FilesData(train="a", test="a"), ("data", "test"), "another file than data.train, got 'a'"),
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
