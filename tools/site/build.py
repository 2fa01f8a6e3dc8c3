"""Put the sources of the site together and build it."""

from pathlib import Path

from fl.methods import METHODS
from tools.import_graph import ROOT
from tools.site import api, cards, examples, scenario_reference
from tools.site.links import Links, file_place

PLAIN = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "fl/data/README.md": "cards/data.md",
    "fl/models/README.md": "cards/models.md",
    "fl/models/tiny_encoder/README.md": "cards/tiny_encoder.md",
    "fl/models/tiny_decoder/README.md": "cards/tiny_decoder.md",
}
"""Pages outside ``docs/``, and where they lie in the site."""
METHOD_INDEX = "fl/methods/README.md"
SCENARIO_REFERENCE = "reference/scenario"
API = "api"


def page_places(root: Path = ROOT) -> dict[str, str]:
    """Return the place of every page in the site that is a file of the repository."""
    docs = {
        (path := each.relative_to(root).as_posix()): file_place(path)
        for each in sorted((root / "docs").rglob("*.md"))
    }
    method_cards = {
        f"fl/methods/{name}/README.md": f"methods/{name}.md"
        for name in METHODS
        if (root / "fl" / "methods" / name / "README.md").is_file()
    }
    return {**docs, **PLAIN, METHOD_INDEX: "methods/index.md", **method_cards}


def assemble(source: Path, *, root: Path = ROOT) -> Links:
    """Write all sources of the site into a folder; return the links that were met.

    Files that are there and have not changed stay as they are, so that Sphinx reads only the
    others; those that belong to no page any more go.

    Raises
    ------
    ValueError
        If a link of a page leads nowhere.
    """
    places = page_places(root)
    known = {name for package in api.PACKAGES for name in api.public_modules(package)}
    links = Links(root, places, known)
    texts = {
        place: links.rewritten((root / origin).read_text(encoding="utf-8"), origin)
        for origin, place in places.items()
    }
    texts["methods/index.md"] += cards.method_list(root)
    texts["cards/policies.md"] = cards.policy_cards()
    texts["cards/modes.md"] = cards.mode_cards()
    texts["examples.md"] = examples.page(root / "docs" / "examples")
    texts |= {f"{API}/{name}": text for name, text in api.pages().items()}
    reference = scenario_reference.pages()
    texts |= {f"{SCENARIO_REFERENCE}/{name}": text for name, text in reference.items()}
    files = {place: text.encode() for place, text in texts.items()}
    files |= {file_place(path): (root / path).read_bytes() for path in links.files}
    for path in [root / "docs" / "conf.py", *_beside_pages(root / "docs")]:
        files[path.relative_to(root / "docs").as_posix()] = path.read_bytes()
    for place, content in files.items():
        _write(source / place, content)
    for path in source.rglob("*"):
        if path.is_file() and path.relative_to(source).as_posix() not in files:
            path.unlink()
    return links


def build(folder: Path, *, list_links: bool = False) -> int:
    """Build the site; a warning is an error. Return the exit code.

    Parameters
    ----------
    folder
        Where the site goes; sources lie beside it, in a folder whose name ends in ``-source``.
    list_links
        Print the addresses of other sites that pages lead to.
    """
    from sphinx.cmd.build import main  # noqa: PLC0415 -- of the extra airtune[docs]

    source = folder.with_name(f"{folder.name}-source")
    links = assemble(source)
    if list_links:
        print("\n".join(sorted(links.external)))
    read = folder.with_name(f"{folder.name}-read")
    words = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(read)]
    code: int = main([*words, str(source), str(folder)])
    if code == 0:
        print(f"site: {folder / 'index.html'}")
    return code


def _beside_pages(docs: Path) -> list[Path]:
    """Return what pages show: pictures, examples, style, notebooks."""
    folders = ("images", "examples", "site", "notebooks", "tables")
    found = [path for name in folders for path in sorted((docs / name).rglob("*"))]
    return [path for path in found if path.is_file() and path.suffix != ".pyc"]


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
