"""Markdown out of plain text: escapes, headings, definition lists."""

import re
from collections.abc import Iterable

CODE_SPAN = re.compile(r"(`+[^`]+`+)")


def escaped(text: str) -> str:
    r"""Return a plain text with the signs escaped that Markdown would read; code stays as it is.

    Examples
    --------
    >>> escaped("a*b of ``x*y``")
    'a\\*b of ``x*y``'
    """
    parts = CODE_SPAN.split(text)
    parts[::2] = [re.sub(r"([*<>$|{}\[\]])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def definition(term: str, paragraphs: Iterable[str]) -> str:
    """Return an entry of a definition list.

    Parameters
    ----------
    term
        Markdown.
    paragraphs
        Markdown; lines within one may be broken.
    """
    first, *others = [paragraph.replace("\n", "\n  ") for paragraph in paragraphs]
    return "\n\n".join([f"{term}\n: {first}", *(f"  {each}" for each in others)]) + "\n"


def paragraphs(text: str) -> list[str]:
    """Cut a text at its empty lines."""
    return [part.strip() for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]
