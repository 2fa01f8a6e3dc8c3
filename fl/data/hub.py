"""Data sets of the Hugging Face hub, and local folders laid out like one."""

from pathlib import Path
from typing import Any

from fl.data.columns import build_tables, columns_of, keep_domains
from fl.data.config import HubData
from fl.data.table import TextTable, hold_out
from fl.problems import DataError, one_line

OFFLINE_HINT = "offline? give local files instead: data.source=files, data.train=..., data.test=..."
MAX_REASON = 200
"""Longest text of the hub's exception that a message repeats [characters]."""
HUB_TIMEOUT_S = 10.0
"""Longest wait for the hub to say that it knows a data set."""


def load_hub(config: HubData) -> tuple[str, tuple[str, ...], TextTable, TextTable]:
    """Return name, classes, training and test table of a hub data set.

    Raises
    ------
    fl.problems.DataError
        The hub is not reachable, does not know the data set, or it is not as the settings say.
    """
    splits = _download(config)
    test_split = config.test_split or config.train_split
    sides = {"train_split": config.train_split, "test_split": test_split}
    for key, split in sides.items():
        if split not in splits:
            known = ", ".join(sorted(splits))
            msg = f"data.{key}: {config.name} has no split {split!r}; its splits: {known}"
            raise DataError(msg)
    train, test = splits[config.train_split], splits[test_split]
    train_columns, test_columns = (
        columns_of(config, place=f"split {split!r} of {config.name}")
        for split in (config.train_split, test_split)
    )
    feature = train.features.get(train_columns.label)
    classes, train_table, test_table = build_tables(
        keep_domains(train.to_pandas(), train_columns, config.keep_domains),
        keep_domains(test.to_pandas(), test_columns, config.keep_domains),
        train_columns=train_columns,
        test_columns=test_columns,
        class_names=getattr(feature, "names", None),
    )
    if config.test_split is None:
        train_table, test_table = hold_out(train_table)
    name = Path(config.name).name
    name = name if config.subset is None else f"{name}-{config.subset}"
    return name, classes, train_table, test_table


def _download(config: HubData) -> Any:  # noqa: ANN401  a DatasetDict; datasets is untyped here
    import datasets  # noqa: PLC0415  two seconds to import, and only this source needs it

    is_folder = Path(config.name).expanduser().is_dir()
    place = str(Path(config.name).expanduser()) if is_folder else config.name
    if is_folder and config.revision is not None:
        msg = f"data.revision: has no effect on a local folder, got {config.revision!r}"
        raise DataError(msg)
    had_bars = not datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        if not is_folder:
            _check_reachable(config)
        loaded = datasets.load_dataset(place, config.subset, revision=config.revision)
    except Exception as error:
        reason = one_line(str(error), MAX_REASON)
        hint = "" if is_folder else f"; {OFFLINE_HINT}"
        msg = f"data.name: data set {config.name!r} cannot be loaded ({reason}){hint}"
        raise DataError(msg) from None
    finally:
        if had_bars:
            datasets.enable_progress_bars()
    return loaded


def _check_reachable(config: HubData) -> None:
    """Fail at once where neither hub nor cache has the data set, instead of after many retries."""
    import datasets  # noqa: PLC0415
    import huggingface_hub  # noqa: PLC0415

    cached = Path(datasets.config.HF_DATASETS_CACHE) / config.name.replace("/", "___")
    if not cached.is_dir():
        huggingface_hub.HfApi().dataset_info(
            config.name, revision=config.revision, timeout=HUB_TIMEOUT_S
        )
