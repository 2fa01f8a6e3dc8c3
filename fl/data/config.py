"""Settings of a data set: where its texts come from and how clients share them."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from fl.metrics import Task
from fl.problems import Problem

Quoting = Literal["standard", "none"]
"""How cells of delimited text are quoted: as in RFC 4180, or not at all."""


@dataclass(frozen=True, kw_only=True)
class IidPartition:
    """Texts are dealt at random; client sizes differ by at most one."""

    kind: Literal["iid"] = "iid"
    """Name of this way to share texts."""


@dataclass(frozen=True, kw_only=True)
class DirichletPartition:
    """Each class is shared in proportions of a symmetric Dirichlet distribution over clients."""

    alpha: Annotated[float, Gt(0)] = 0.5
    """Concentration: small is skewed, large tends to iid."""
    min_texts: Annotated[int, Ge(2)] = 10
    """Fewest texts of a client; the whole partition is drawn again until all have as many."""
    kind: Literal["dirichlet"] = "dirichlet"
    """Name of this way to share texts."""


@dataclass(frozen=True, kw_only=True)
class DomainsPartition:
    """Each natural domain (submodule, topic, author) goes whole to one client."""

    kind: Literal["domains"] = "domains"
    """Name of this way to share texts."""


@dataclass(frozen=True, kw_only=True)
class SampledPartition:
    """Each client holds texts drawn out of all, whatever others hold: for more clients than texts.

    Clients train on texts that others test on, so it is of runs that train nothing.
    """

    num_texts: Annotated[int, Ge(2)]
    """Texts of each client, no two the same."""
    kind: Literal["sampled"] = "sampled"
    """Name of this way to share texts."""


PartitionConfig = IidPartition | DirichletPartition | DomainsPartition | SampledPartition
"""Any way to share texts among clients; told apart by ``kind``."""


@dataclass(frozen=True, kw_only=True)
class DocstringsData:
    """Summaries of docstrings of the installed scientific stack; the class is the library."""

    partition: PartitionConfig = field(default_factory=IidPartition)
    """How clients share the training texts; a natural domain is a submodule."""
    test_fraction: Annotated[float, Gt(0), Le(0.25)] = 0.2
    """Part of a client's own texts kept for testing its personal model, in (0, 0.25]; a client gets
    fewer where it holds fewer of the quarter of texts that ``tiny-encoder`` has not read."""
    fold: Literal["final", "tuning"] = "final"
    """``tuning`` trains and tests within training texts that no ``final`` run is ever tested on:
    there, learning rates and other settings are chosen."""
    max_train_texts: Annotated[int, Ge(1)] | None = None
    """Most training texts, over all clients; all when not given."""
    max_test_texts: Annotated[int, Ge(1)] | None = None
    """Most texts of the common test set; all when not given."""
    task: Literal["classification", "generation"] = "classification"
    """Name the library of a summary, or write the summary that belongs to a signature."""
    rejected: Literal["other_summary"] | None = None
    """Worse answer to each signature, for preferences: the summary of another function. Only with
    ``task: generation``; none when empty."""
    source: Literal["docstrings"] = "docstrings"
    """Name of this source."""


@dataclass(frozen=True, kw_only=True)
class TableData:
    """Columns of a table with one text a row, and what is done with its texts."""

    text: Annotated[str, MinLen(1)] = "text"
    """Column that holds the text, or the prompt where there is a ``response``."""
    text_pair: Annotated[str, MinLen(1)] | None = None
    """Column with the second text of a sentence pair, or with more of the prompt."""
    response: Annotated[str, MinLen(1)] | None = None
    """Column with the answer to the prompt; where it is given, a causal model learns to write it
    instead of naming a class."""
    rejected: Annotated[str, MinLen(1)] | None = None
    """Column with a worse answer to the same prompt, for preferences; only with a ``response``."""
    prompt_marks: Literal["none", "human_assistant"] = "none"
    """Marks around a prompt that are taken off: ``Human:`` before it and ``Assistant:`` after it,
    as in HH-RLHF; inner turns of a longer dialogue keep theirs."""
    label: Annotated[str, MinLen(1)] | None = None
    """Column that holds the class: whole numbers, booleans or names; ``label`` when empty. With a
    ``response``, what the texts are shared among clients by; none when empty."""
    domain: Annotated[str, MinLen(1)] | None = None
    """Column that holds the natural domain (task, topic, author), for the ``domains`` partition or
    ``keep_domains``."""
    keep_domains: tuple[Annotated[str, MinLen(1)], ...] = ()
    """Natural domains whose texts are kept, in both tables; all when empty."""
    partition: PartitionConfig = field(default_factory=IidPartition)
    """How clients share the training texts."""
    test_fraction: Annotated[float, Gt(0), Lt(1)] = 0.2
    """Part of a client's own texts kept for testing its personal model, in (0, 1)."""
    fold: Literal["final", "tuning"] = "final"
    """``tuning`` trains and tests within training texts that no ``final`` run is ever tested on:
    there, learning rates and other settings are chosen."""
    max_train_texts: Annotated[int, Ge(1)] | None = None
    """Most training texts, over all clients; all when not given."""
    max_test_texts: Annotated[int, Ge(1)] | None = None
    """Most texts of the common test set; all when not given."""

    @property
    def task(self) -> Task:
        """What a model learns from these texts."""
        return "classification" if self.response is None else "generation"


@dataclass(frozen=True, kw_only=True)
class FilesData(TableData):
    """Tables on disk, one text a row: parquet, csv, tsv, jsonl, all but the first also as .gz."""

    train: Annotated[str, MinLen(1)]
    """File with the training texts."""
    test: Annotated[str, MinLen(1)] | None = None
    """File with the common test set; when not given, rows of ``train``: those of ``test_part``
    where ``part`` is given, else one text in five, chosen by the prompt alone."""
    part: Annotated[str, MinLen(1)] | None = None
    """Column that says which part of a file a row belongs to; all rows are read when empty."""
    train_part: Annotated[str, MinLen(1)] = "train"
    """Value of ``part`` in rows with training texts."""
    test_part: Annotated[str, MinLen(1)] = "test"
    """Value of ``part`` in rows of the common test set."""
    name: Annotated[str, MinLen(1)] | None = None
    """Name shown in manifest and figures; the training file's own name when not given."""
    quoting: Quoting | None = None
    """How cells of csv and tsv files are quoted: ``standard`` as in RFC 4180, ``none`` not at all;
    when not given, csv files are and tsv files are not."""
    source: Literal["files"] = "files"
    """Name of this source."""


@dataclass(frozen=True, kw_only=True)
class HubData(TableData):
    """A data set of the Hugging Face hub, or a local folder laid out like one."""

    name: Annotated[str, MinLen(1)]
    """Hub name (``ag_news``) or folder; also the name shown in manifest and figures."""
    subset: Annotated[str, MinLen(1)] | None = None
    """Configuration within the data set, for example ``sst2`` of ``glue``."""
    revision: Annotated[str, MinLen(1)] | None = None
    """Commit, tag or branch of the data set; only for hub names."""
    train_split: Annotated[str, MinLen(1)] = "train"
    """Split with the training texts."""
    test_split: Annotated[str, MinLen(1)] | None = "test"
    """Split with the common test set; where empty, one text in five of the training split, chosen
    by the prompt alone."""
    source: Literal["hub"] = "hub"
    """Name of this source."""


DataConfig = DocstringsData | FilesData | HubData
"""Any source of texts; told apart by ``source``."""


def find_problems(config: DataConfig, *, num_clients: int) -> list[Problem]:
    """Name every broken rule of these settings that needs no data to be seen.

    Parameters
    ----------
    config
        Settings, each field within its own bounds.
    num_clients
        Clients of the scenario, at least 1.
    """
    problems = [
        *_find_domain_problems(config),
        *_find_label_problems(config),
        *_find_answer_problems(config),
        *_find_size_problems(config, num_clients),
    ]
    if isinstance(config, FilesData):
        problems.extend(_find_part_problems(config))
        problems.extend(_find_quoting_problems(config))
    if isinstance(config, HubData) and config.train_split == config.test_split:
        message = f"must be another split than data.train_split, got {config.test_split!r} for both"
        problems.append(Problem(("data", "test_split"), message))
    return problems


def _find_domain_problems(config: DataConfig) -> list[Problem]:
    if isinstance(config, DocstringsData):
        return []
    is_by_domain = isinstance(config.partition, DomainsPartition)
    if is_by_domain and config.domain is None:
        message = "must name the column of the natural domain when partition.kind is domains"
        return [Problem(("data", "domain"), message)]
    if config.keep_domains and config.domain is None:
        message = "must name the column of the natural domain where keep_domains names some"
        return [Problem(("data", "domain"), message)]
    if config.domain is not None and not is_by_domain and not config.keep_domains:
        message = (
            f"has no effect when partition.kind is {config.partition.kind}, got {config.domain!r}; "
            "leave it out or set partition.kind to domains"
        )
        return [Problem(("data", "domain"), message)]
    return []


def _find_label_problems(config: DataConfig) -> list[Problem]:
    if isinstance(config, DocstringsData) or config.response is None:
        return []
    is_by_label = isinstance(config.partition, DirichletPartition)
    if is_by_label and config.label is None:
        message = "must name the column that texts are shared by when partition.kind is dirichlet"
        return [Problem(("data", "label"), message)]
    if config.label is not None and not is_by_label:
        message = (
            f"has no effect on prompts and responses when partition.kind is "
            f"{config.partition.kind}, got {config.label!r}; leave it out"
        )
        return [Problem(("data", "label"), message)]
    return []


def _find_answer_problems(config: DataConfig) -> list[Problem]:
    """Find settings of prompts and answers where there are none."""
    if config.task == "generation":
        return []
    found = [] if config.rejected is None else [("rejected", config.rejected)]
    if not isinstance(config, DocstringsData) and config.prompt_marks != "none":
        found.append(("prompt_marks", config.prompt_marks))
    rule = "has no effect where texts are classified, got {}; leave it out"
    return [Problem(("data", key), rule.format(repr(value))) for key, value in found]


def _find_part_problems(config: FilesData) -> list[Problem]:
    """Find tables that would hold the same rows, and parts that nothing asks for."""
    is_one_file = config.test is None or config.test == config.train
    if config.part is None:
        found = {
            key: f"has no effect without part, got {getattr(config, key)!r}; leave it out"
            for key, default in (("train_part", "train"), ("test_part", "test"))
            if getattr(config, key) != default
        }
        if config.test == config.train:
            found["test"] = (
                f"must be another file than data.train, got {config.test!r} for both; leave it out "
                "and one text in five is the test set, or name a column with part"
            )
    elif is_one_file and config.train_part == config.test_part:
        found = {"test_part": f"must be another than train_part, got {config.test_part!r} for both"}
    else:
        found = {}
    return [Problem(("data", key), message) for key, message in found.items()]


def _find_quoting_problems(config: FilesData) -> list[Problem]:
    files = [path for path in (config.train, config.test) if path is not None]
    names = [path.lower().removesuffix(".gz") for path in files]
    if config.quoting is None or any(name.endswith((".csv", ".tsv")) for name in names):
        return []
    message = f"has no effect on files that are neither csv nor tsv, got {config.quoting!r}"
    return [Problem(("data", "quoting"), message)]


def _find_size_problems(config: DataConfig, num_clients: int) -> list[Problem]:
    partition = config.partition
    if isinstance(partition, SampledPartition):
        return []
    fewest = partition.min_texts if isinstance(partition, DirichletPartition) else 2
    if config.max_train_texts is None or config.max_train_texts >= fewest * num_clients:
        return []
    message = (
        f"must be at least {fewest} texts x {num_clients} clients = {fewest * num_clients}, "
        f"got {config.max_train_texts}"
    )
    return [Problem(("data", "max_train_texts"), message)]
