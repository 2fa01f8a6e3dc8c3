"""Links of a document, for its place in the site: pages, files, modules."""

import os
import posixpath
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

FENCE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)[^\S\n]*$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
MODULE = re.compile(r"(?<![\[\w`}])`((?:airtune|netsim|fl|scenarios|analysis)[\w./]+)`(?!`)")
EXTERNAL = re.compile(r"https?://[^\s)>\"'`]+")


class Links:
    """Where the files of the repository lie in the site.

    Parameters
    ----------
    root
        Folder of the repository.
    pages
        Place of each page in the site by its path in the repository, both with ``/``.
    modules
        Modules that the API reference describes.
    """

    def __init__(self, root: Path, pages: Mapping[str, str], modules: Collection[str]) -> None:
        self._root = root
        self._pages = pages
        self._modules = frozenset(modules)
        self.files: set[str] = set()
        """Files that are no pages and that a page leads to; they go into the site as they are."""
        self.external: set[str] = set()
        """Addresses of other sites."""

    def rewritten(self, text: str, origin: str) -> str:
        """Return the text of a page with its links for the site.

        Parameters
        ----------
        text
            Markdown.
        origin
            Path of the page in the repository.

        Raises
        ------
        ValueError
            If a link leads nowhere.
        """
        self.external |= {each.rstrip(".,;") for each in EXTERNAL.findall(text)}
        parts = FENCE.split(text)
        for index in range(0, len(parts), 2):
            linked = LINK.sub(lambda found: self._link(found, origin), parts[index])
            parts[index] = MODULE.sub(self._module, linked)
        return "".join(parts)

    def _link(self, found: re.Match[str], origin: str) -> str:
        target = found[2]
        if "://" in target or target.startswith(("#", "mailto:")):
            return found[0]
        path, mark, anchor = target.partition("#")
        there = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        here = posixpath.dirname(self._pages[origin])
        if there in self._pages:
            place = self._pages[there]
        elif (self._root / there).is_file():
            self.files.add(there)
            place = file_place(there)
        else:
            msg = f"{origin}: link to {target}: there is no such file"
            raise ValueError(msg)
        return f"{found[1]}{os.path.relpath(place, here or '.')}{mark}{anchor}{found[3]}"

    def _module(self, found: re.Match[str]) -> str:
        name = found[1].removesuffix(".py").removesuffix("/").replace("/", ".")
        return f"{{py:mod}}`{name}`" if name in self._modules else found[0]


def file_place(path: str) -> str:
    """Return where a file lies in the site; those of ``docs/`` keep their place."""
    return (
        str(PurePosixPath(path).relative_to("docs"))
        if path.startswith("docs/")
        else f"files/{path}"
    )
