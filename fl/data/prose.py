"""Plain English sentences out of docstrings: markup off, giveaway names off."""

import re

LIBRARY_NAMES = (
    "numpy",
    "scipy",
    "torch",
    "matplotlib",
    "networkx",
    "pandas",
    "transformers",
    "sympy",
    "sympif",  # sympify, sympifiable
    "pyplot",
    "pylab",
    "sklearn",
    "scikit",
    "huggingface",
)
"""A word that contains one of these, in any case, is removed with its dotted path."""
ALIASES = ("np", "sp", "plt", "mpl", "mpl_toolkits", "nx", "pd", "hf")
"""Words that stand for a library by custom; removed with the dotted path that follows."""

_ROLE = re.compile(r":[a-zA-Z:+-]+:`(?:[^`<]*<)?~?([^`>]+)>?`")
_LINK = re.compile(r"`([^`<]+?)\s*<[^`>]+>`_{0,2}|\[`?~?([^\]`]+)`?\]\([^)]*\)")
_URL = re.compile(r"https?://\S+|www\.\S+")
_FOOTNOTE = re.compile(r"\s*\[[\w#*]+\]_")
_MARKS = re.compile(r"[`*|~$\\]+")
_DOTTED_REFERENCE = re.compile(r"(?<![\w.])\.(?=[A-Za-z_])")
_NAMES = re.compile(
    rf"(?:\w+\.)*\w*(?:{'|'.join(LIBRARY_NAMES)})\w*(?:\.\w+)*"
    rf"|\b(?:{'|'.join(ALIASES)})\b(?:\.\w+)*"
    r"|\bhugging\s?face\b",
    re.IGNORECASE,
)
_MAY_NAME = re.compile("|".join((*LIBRARY_NAMES, *ALIASES, "hugging")), re.IGNORECASE)
"""Cheap test that passes wherever :data:`_NAMES` could match."""
_LEFTOVER = re.compile(r"\(\s*\)|\[\s*\]|''|\"\"")
_SPACE_BEFORE_MARK = re.compile(r"\s+([,.;:)\]])")
_SIGNATURE = re.compile(r"^[\w.]+\s?\(.*\)(\s*->.*)?$|^\w+ \([^)]*\):|^[\w.]+\([^)]*$")
_NO_PROSE = re.compile(r">>>|::$|^\.\. |^[-=~^+|]{3,}|\{\{|%\(")


def paragraphs(docstring: str) -> list[str]:
    """Cut a docstring at its blank lines, into paragraphs of one line each, markup kept."""
    pieces = (" ".join(piece.split()) for piece in re.split(r"\n\s*\n", docstring))
    return [piece for piece in pieces if piece]


def is_prose(paragraph: str) -> bool:
    """Return whether a paragraph is sentences: no signature, rule, directive or code example."""
    return not (_SIGNATURE.search(paragraph) or _NO_PROSE.search(paragraph))


def clean(paragraph: str) -> str:
    """Take markup, links and every name that gives a library away out of a paragraph.

    >>> clean("Return the :class:`~numpy.ndarray` *x*, see `np.sum`.")
    'Return the x, see.'
    """
    text = _ROLE.sub(r"\1", paragraph)
    text = _LINK.sub(lambda match: match[1] or match[2], text)
    text = _URL.sub("", text)
    text = _FOOTNOTE.sub("", text)
    text = _MARKS.sub("", text)
    text = _DOTTED_REFERENCE.sub("", text)
    if _MAY_NAME.search(text):
        text = _NAMES.sub("", text)
    text = _LEFTOVER.sub("", text)
    text = " ".join(text.split())
    return _SPACE_BEFORE_MARK.sub(r"\1", text)


def is_readable(text: str, *, min_words: int, max_words: int) -> bool:
    """Return whether a cleaned text has a fitting number of words and is mostly letters."""
    num_words = len(text.split())
    if not min_words <= num_words <= max_words:
        return False
    num_letters = sum(char.isalpha() for char in text)
    return num_letters >= 0.7 * len(text.replace(" ", "")) and text.isascii()
