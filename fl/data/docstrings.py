"""The built-in corpus: docstring summaries, to be sorted by the library that they come from.

Real English text that every installation of ``airtune[train]`` already holds. A text is the first
paragraph of a docstring, without markup and without the names that would give the answer away; its
class is the library, its natural domain the submodule. Packages are read in a fixed order at the
versions of ``constraints.txt``, so that the digest of the corpus can be reproduced.

Whether a text belongs to the training or to the test fold, and whether a client may test its
personal model on it, depends on the text alone: whoever pretrains on docstrings can leave out
every text of this corpus that anything is ever tested on, of any harvest.
"""

import gzip
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fl.cache_folder import default_cache_dir
from fl.cycle_collection import without_cycle_collection
from fl.data import harvest, prose
from fl.data.table import TextTable, text_hash
from fl.metrics import Task
from fl.problems import DataError

logger = logging.getLogger(__name__)

NAME = "docstrings"
PLACES: dict[str, tuple[str, ...]] = {
    "matplotlib": ("",),
    "networkx": ("",),
    "numpy": ("_core", "_utils", "f2py", "fft", "lib", "linalg", "ma", "polynomial", "random"),
    "pandas": ("core", "plotting", "util"),
    "scipy": (
        "cluster",
        "fft",
        "integrate",
        "interpolate",
        "linalg",
        "ndimage",
        "optimize",
        "signal",
        "sparse",
        "spatial",
        "special",
        "stats",
    ),
    "sympy": ("combinatorics", "core", "functions", "geometry", "matrices", "physics", "stats"),
    "torch": ("ao", "autograd", "cuda", "distributions", "nn", "optim", "utils"),
    "transformers": (
        "cache_utils.py",
        "data",
        "generation",
        "integrations",
        "masking_utils.py",
        "modeling_utils.py",
        "models/auto",
        "models/bert",
        "models/clip",
        "models/llama",
        "models/t5",
        "models/wav2vec2",
        "models/whisper",
        "pipelines",
        "processing_utils.py",
        "tokenization_utils_base.py",
        "trainer.py",
        "trainer_utils.py",
        "training_args.py",
        "utils",
    ),
}
"""Package, which is the class, to the parts of it that are read; all of it would take a minute."""
CLASS_NAMES = tuple(PLACES)
MIN_WORDS = 5
MAX_WORDS = 60
MAX_TEXTS_PER_CLASS = 2_000
"""Most texts of a class, both folds together, so that no library dominates."""
MIN_TEXTS_PER_DOMAIN = 10
"""Submodules with fewer texts are joined to one domain of their library."""
CONTAINER_PARTS = frozenset({"algorithms", "core"})
"""Subpackages that hold most of a library: there, the domain is one level deeper."""
FOLDS = 5
"""One text in this many belongs to the test fold."""
HELD_OUT_FOLDS = 4
"""One text in this many is held out for the tests of personal models, whatever its fold."""


def is_test_text(text: str) -> bool:
    """Return whether a cleaned text belongs to the test fold: a function of the text alone.

    Case and spacing do not count, so that a test text cannot return in another dress.
    """
    return _plain_hash(text) % FOLDS == 0


def is_held_out_text(text: str) -> bool:
    """Return whether clients may test on a cleaned text: a function of the text alone.

    Independent of :func:`is_test_text`. A text of the training fold that is held out is trained on
    by its client or tested on by it; ``tiny-encoder`` has read neither it nor the test fold.
    """
    return _plain_hash(text) // FOLDS % HELD_OUT_FOLDS == 0


def _plain_hash(text: str) -> int:
    return text_hash(" ".join(text.casefold().split()))


class Row(NamedTuple):
    """One summary and where it stands."""

    package: str
    domain: str
    text: str
    signature: str
    """That of the function it belongs to; empty for modules and classes."""


def load_docstrings(
    *,
    task: Task = "classification",
    has_rejected: bool = False,
    cache_dir: Path | None = None,
) -> tuple[str, tuple[str, ...], TextTable, TextTable]:
    """Return name, classes, training and test table; harvest once, then read the cache.

    Parameters
    ----------
    task
        Name the library of a summary; or write the summary, given the signature of its function
        (summaries of modules and classes are left out then).
    has_rejected
        Whether each signature comes with the summary of another function too.
    cache_dir
        Folder for the harvest; :func:`fl.cache_folder.default_cache_dir` when ``None``.

    Raises
    ------
    fl.problems.DataError
        A package is missing or not as expected.
    """
    file = (cache_dir or default_cache_dir()) / f"docstrings-{recipe_digest()[:16]}.jsonl.gz"
    rows = _read_cache(file)
    if rows is None:
        rows = harvest_rows()
        _write_cache(file, rows)
    if task == "generation":
        rows = [row for row in rows if row.signature]
    domain_names = tuple(sorted({row.domain for row in rows}))
    is_test = [is_test_text(row.text) for row in rows]
    train, test = (
        _build_table(
            [row for row, each in zip(rows, is_test, strict=True) if each is wanted],
            domain_names,
            task=task,
            has_rejected=has_rejected,
        )
        for wanted in (False, True)
    )
    return NAME, CLASS_NAMES, train, test


def recipe_digest() -> str:
    """Return the SHA-256 of all that decides the harvest: package versions and this code."""
    digest = hashlib.sha256()
    for package in CLASS_NAMES:
        digest.update(f"{package}=={harvest.package_version(package)}\n".encode())
    for module in (__file__, harvest.__file__, prose.__file__):
        digest.update(Path(str(module)).read_bytes())
    return digest.hexdigest()


def harvest_rows() -> list[Row]:
    """Read the packages: distinct texts, in order of text hash.

    A text that occurs in two packages tells nothing and is left out.
    """
    found: dict[str, Row] = {}
    ambiguous: set[str] = set()
    # a syntax tree has millions of nodes and no cycle: without, a fifth of the time is saved
    with without_cycle_collection():
        for package in CLASS_NAMES:
            for row in _summaries(package):
                key = row.text.casefold()
                if found.setdefault(key, row).package != package:
                    ambiguous.add(key)
    rows = [row for key, row in found.items() if key not in ambiguous]
    rows.sort(key=lambda row: (text_hash(row.text), row.text))
    kept: list[Row] = []
    num_of = dict.fromkeys(CLASS_NAMES, 0)
    for row in rows:
        if num_of[row.package] < MAX_TEXTS_PER_CLASS:
            num_of[row.package] += 1
            kept.append(row)
    return _join_small_domains(kept)


def _summaries(package: str) -> Iterator[Row]:
    """Return the cleaned summary of every docstring of a package that has a usable one."""
    for source in harvest.read_docstrings(package, PLACES[package]):
        summary = next(filter(prose.is_prose, prose.paragraphs(source.docstring)[:2]), None)
        if summary is None:
            continue
        text = prose.clean(summary)
        if prose.is_readable(text, min_words=MIN_WORDS, max_words=MAX_WORDS):
            yield Row(package, _domain_of(source.module), text, source.signature)


def _domain_of(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[1:2] and parts[1] in CONTAINER_PARTS else 2])


def _join_small_domains(rows: list[Row]) -> list[Row]:
    num_of: dict[str, int] = {}
    for row in rows:
        num_of[row.domain] = num_of.get(row.domain, 0) + 1
    return [
        row
        if num_of[row.domain] >= MIN_TEXTS_PER_DOMAIN
        else row._replace(domain=f"{row.package}.other")
        for row in rows
    ]


def other_summaries(summaries: Sequence[str]) -> tuple[str, ...]:
    """Return a summary of another function for each: never its own, nor one that reads the same.

    Which one depends on the summary and on the list alone.

    Raises
    ------
    fl.problems.DataError
        All read the same.
    """
    plain = [summary.casefold() for summary in summaries]
    if len(set(plain)) < 2:
        msg = f"data.rejected: needs two different summaries, got {len(set(plain))}"
        raise DataError(msg)
    found = []
    for own in plain:
        at = text_hash(f"rejected {own}") % len(plain)
        while plain[at] == own:
            at = (at + 1) % len(plain)
        found.append(summaries[at])
    return tuple(found)


def _build_table(
    rows: list[Row], domain_names: tuple[str, ...], *, task: Task, has_rejected: bool
) -> TextTable:
    label_of = {name: index for index, name in enumerate(CLASS_NAMES)}
    domain_of = {name: index for index, name in enumerate(domain_names)}
    summaries = tuple(row.text for row in rows)
    is_written = task == "generation"
    return TextTable(
        texts=tuple(row.signature for row in rows) if is_written else summaries,
        responses=summaries if is_written else None,
        rejected=other_summaries(summaries) if has_rejected else None,
        labels=np.array([label_of[row.package] for row in rows], dtype=np.int64),
        domains=np.array([domain_of[row.domain] for row in rows], dtype=np.int64),
        domain_names=domain_names,
        may_test=np.array([is_held_out_text(text) for text in summaries], dtype=np.bool_),
    )


def _read_cache(file: Path) -> list[Row] | None:
    if not file.is_file():
        return None
    try:
        with gzip.open(file, "rt", encoding="utf-8") as stream:
            return [Row(*fields) for fields in map(json.loads, stream)]
    except (OSError, EOFError, ValueError, TypeError) as error:
        logger.warning("%s cannot be read (%s); docstrings are harvested again", file, error)
        return None


def _write_cache(file: Path, rows: list[Row]) -> None:
    """Write beside the final name and rename, so that no reader sees half a file."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(draft, "wt", encoding="utf-8", compresslevel=4) as stream:
            stream.writelines(f"{json.dumps(row)}\n" for row in rows)
        draft.replace(file)
    except OSError as error:
        logger.warning("%s cannot be written (%s); set AIRTUNE_CACHE to a folder", file, error)
