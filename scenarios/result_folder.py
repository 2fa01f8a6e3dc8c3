"""The folder of a study: claimed before its first file, held while it is written, then released.

A folder of the same study is gone on with: its finished runs stay. Another one is replaced only
where that is asked for, and only if an earlier run made it; nothing in it is removed that Airtune
did not write. While a run holds its folder, another is refused.
"""

import contextlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from analysis.errors import FolderInUseError, FolderLostError, ResultError
from analysis.folder_files import (
    MANIFEST,
    MANIFEST_DRAFT,
    RECORD,
    RESERVE,
    RESULT_SCHEMA,
    SCENARIO,
    STATES,
    add_to_record,
    files_to_replace,
    is_unused,
    mark,
    schema_of,
)
from analysis.folder_lock import FolderLock, holder_of
from analysis.manifest import read_manifest
from scenarios.earlier_runs import NOTHING, Earlier
from scenarios.error_log import NAME
from scenarios.errors import ResultFolderError, ScenarioError, is_full
from scenarios.results import writing

_RESERVE_BYTES = 1 << 16


class ResultFolder:
    """The folder of one study, locked until :meth:`release`.

    Parameters
    ----------
    path
        Where it is; a link to a folder stands for that folder.
    overwrite
        Replace what an earlier run left there.
    find_earlier
        Tells what of this study is done in such a folder, or refuses it; ``None``: any is refused.

    Raises
    ------
    ScenarioError
        If the folder is in use, holds another study and may not be replaced, or cannot be made.
    ResultFolderError
        If the disk is full, or an old file cannot be removed.
    """

    def __init__(
        self,
        path: Path,
        *,
        overwrite: bool,
        find_earlier: Callable[[Path], Earlier] | None = None,
    ) -> None:
        find_earlier = find_earlier or _refuse_any
        self.path = path
        self.run_id = uuid.uuid4().hex
        self.earlier = NOTHING
        _prepare(path, overwrite=overwrite, find_earlier=find_earlier)
        try:
            self._lock = FolderLock(path, purpose="airtune run")
        except FolderInUseError as error:
            raise ScenarioError([_in_use(error)]) from None
        except ResultError as error:
            raise ScenarioError([str(error)]) from None
        except OSError as error:
            raise _cannot_be_made(path, error) from None
        try:
            self._clear(overwrite=overwrite, find_earlier=find_earlier)
            self._remove_states()
            with writing(path / RESERVE):
                (path / RESERVE).write_bytes(bytes(_RESERVE_BYTES))
        except BaseException:
            self._lock.release()
            raise

    def record(self, names: Iterable[str]) -> None:
        """Record files, by their paths relative to the folder, before they are made."""
        with writing(self.path / RECORD):
            add_to_record(self.path, names)

    def write_scenario(self, data: Mapping[str, Any]) -> None:
        """Write the resolved scenario: every key with the value that was used."""
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        path = self.path / SCENARIO
        with writing(path), path.open("w", encoding="utf-8") as file:
            yaml.dump(data, file)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest in one step; the mark of Airtune is put in front.

        Raises
        ------
        ResultFolderError
            If it cannot be written, or the folder is no longer that of this run.
        """
        self._check()
        marked = {**mark(self.run_id), **manifest}
        text = json.dumps(marked, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        data = text.encode("utf-8", "backslashreplace")
        draft = self.path / MANIFEST_DRAFT
        with writing(self.path / MANIFEST):
            draft.write_bytes(data)
            draft.replace(self.path / MANIFEST)
            reserve = self.path / RESERVE
            if reserve.exists() and reserve.stat().st_size < 2 * len(data):
                reserve.write_bytes(bytes(4 * len(data)))

    def add_to_log(self, text: str) -> Path:
        """Add to the log of errors and return its path.

        Raises
        ------
        ResultFolderError
            As :meth:`write_manifest`.
        """
        self._check()
        path = self.path / NAME
        with writing(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return path

    def write_last_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest of a study that ended, on a full disk in the space kept for it."""
        with contextlib.suppress(OSError):
            self._check()
            (self.path / RESERVE).unlink(missing_ok=True)
        self.write_manifest(manifest)

    def states_of(self, name: str, seed: int) -> Path:
        """Return the folder for what clients of a run hold while it lasts."""
        return self.path / STATES / name / f"seed{seed}"

    def release(self) -> None:
        """Let others use the folder."""
        self._remove_states()
        self._lock.release()

    def _remove_states(self) -> None:
        """Remove what clients of an ended run held; one that was killed leaves it."""
        states = self.path / STATES
        if states.is_symlink():
            states.unlink()
        else:
            shutil.rmtree(states, ignore_errors=True)

    def _check(self) -> None:
        try:
            self._lock.check()
        except FolderLostError as error:
            raise ResultFolderError(str(error)) from None

    def _clear(self, *, overwrite: bool, find_earlier: Callable[[Path], Earlier]) -> None:
        """Remove what does not stay; looked at anew, now that nobody else writes here."""
        if is_unused(self.path):
            return
        _check_mark(self.path)
        if not overwrite:
            self.earlier = find_earlier(self.path)
        try:
            files, folders = files_to_replace(self.path)
        except ResultError as error:
            raise ScenarioError([str(error)]) from None
        stay = {self.path / variant / f"seed{seed}" for variant, seed in self.earlier.kept}
        left = [file for file in files if file.parent in stay]
        with writing(self.path):
            for file in files:
                is_manifest = file.name == MANIFEST and file.parent == self.path
                if file.parent not in stay and not is_manifest:
                    file.unlink()
            for folder in folders:
                if not any(folder == each or folder in each.parents for each in stay):
                    folder.rmdir()
            (self.path / RECORD).write_bytes(b"")
            add_to_record(self.path, [file.relative_to(self.path).as_posix() for file in left])


def _prepare(path: Path, *, overwrite: bool, find_earlier: Callable[[Path], Earlier]) -> None:
    """Make the folder, or check without changing anything that an existing one may be taken."""
    if path.is_symlink() and not path.exists():
        raise ScenarioError([f"{path}: is a link to nothing; remove it, or use --out"])
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        if not path.is_dir():
            raise ScenarioError([f"{path}: is a file, not a folder"]) from None
    except OSError as error:
        raise _cannot_be_made(path, error) from None
    else:
        return
    try:
        holder = holder_of(path)
        if holder is not None:
            raise ScenarioError([_in_use(f"{path}: in use: {holder}")])
        if not is_unused(path):
            _check_mark(path)
            if not overwrite:
                find_earlier(path)
    except OSError as error:
        raise ScenarioError([f"{error.filename or path}: {error.strerror or error}"]) from None


def _check_mark(path: Path) -> None:
    """Refuse to replace a folder whose manifest does not say that a run of ours made it."""
    try:
        version = schema_of(read_manifest(path))
    except ResultError as error:
        raise ScenarioError([f"{error}; so it is not replaced"]) from None
    if version is None:
        message = (
            f"{path}: its {MANIFEST} lacks the mark of Airtune (or is older than the mark), "
            "so it is not replaced; move it away, or use --out to go elsewhere"
        )
        raise ScenarioError([message])
    if version > RESULT_SCHEMA:
        message = (
            f"{path}: made by a newer Airtune (result schema {version}, this one knows "
            f"{RESULT_SCHEMA}), so it is not replaced"
        )
        raise ScenarioError([message])


def _refuse_any(path: Path) -> Earlier:
    message = f"{path}: exists already; use --overwrite to replace it, or --out to go elsewhere"
    raise ScenarioError([message])


def _in_use(error: object) -> str:
    return f"{error}; wait for its end, or use --out to go elsewhere"


def _cannot_be_made(path: Path, error: OSError) -> ScenarioError | ResultFolderError:
    message = f"{error.filename or path}: cannot be made: {error.strerror or error}"
    return ResultFolderError(message) if is_full(error) else ScenarioError([message])
