"""Words of a user or of a file as plain text in every medium: one function a medium.

Labels, names and messages may hold anything. None of it is read as a formula, as markup or as a
control sequence where it is shown.
"""

import html
import re
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories without a shape of their own: controls, surrogates, line separators."""
_JOINERS = "\u200c\u200d"
"""Hidden characters that some scripts need."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the start of a formula, full-width forms included."""

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "`": r"\textasciigrave{}",
        "'": r"\textquotesingle{}",
        '"': r"\symbol{34}",
        "±": r"$\pm$",
        "≥": r"$\geq$",
        "≤": r"$\leq$",
        "“": "``",
        "”": "''",
        "[": r"{[}",
        "]": r"{]}",
    }
)
_MARKDOWN = re.compile(r"([\\`*_|~$])")

MAX_FIGURE_CHARACTERS = 60
"""Longest text of one label on a figure; a longer one is shortened in the middle."""
_MAX_FILE_CHARACTERS = 100


def visible(text: str) -> str:
    r"""Write characters that have no shape as escapes, so that the text stays on one line.

    Examples
    --------
    >>> visible("a\nb\x1b[2J")
    'a\\nb\\x1b[2J'
    """
    return "".join(
        ascii(c)[1:-1] if unicodedata.category(c) in _HIDDEN and c not in _JOINERS else c
        for c in text
    )


def shortened(text: str, limit: int) -> str:
    """Make text visible and cut its middle so that it has at most ``limit`` characters.

    Examples
    --------
    >>> shortened("0123456789", 7)
    '012…789'
    """
    # a cut before the escapes, as well: a text of megabytes is not escaped to be thrown away
    shown = visible(_without_middle(text, 8 * limit))
    return _without_middle(shown, limit)


def csv_text(text: str) -> str:
    r"""Keep a spreadsheet from reading a cell as a formula: an apostrophe goes in front.

    Controls (tabs, line ends) are written as escapes, so that a row is one line.

    Examples
    --------
    >>> csv_text("=1+1"), csv_text("fedit"), csv_text("\ta")
    ("'=1+1", 'fedit', '\\ta')
    """
    shown = visible(text)
    return f"'{shown}" if shown.startswith(_FORMULA_STARTS) else shown


def html_text(text: str) -> str:
    """Write text for HTML, also inside quoted attributes."""
    return html.escape(visible(text))


def latex_text(text: str) -> str:
    r"""Write text for LaTeX; blanks and line ends become single blanks.

    Examples
    --------
    >>> latex_text(r"$\frac{1}{$")
    '\\$\\textbackslash{}frac\\{1\\}\\{\\$'
    """
    escaped = visible(" ".join(text.split())).translate(_LATEX)
    return re.sub("-(?=-)", "-{}", escaped)


def latex_comment(text: str) -> str:
    """Write text for one comment line of LaTeX, after its percent sign."""
    return visible(" ".join(text.split()))


def markdown_text(text: str) -> str:
    r"""Write text for Markdown, table cells included; blanks and line ends become single blanks.

    Examples
    --------
    >>> markdown_text("a|b <i> $x$")
    'a\\|b &lt;i&gt; \\$x\\$'
    """
    plain = visible(" ".join(text.split())).replace("&", "&amp;")
    escaped = _MARKDOWN.sub(r"\\\1", plain.replace("<", "&lt;").replace(">", "&gt;"))
    return escaped.replace("](", r"]\(")


def figure_text(text: str) -> str:
    """Write text for a figure, shortened; figures are drawn with math text switched off."""
    return shortened(text, MAX_FIGURE_CHARACTERS)


def file_name(text: str) -> str:
    """Return a file name, without ending, that stands for a text: never a path, never hidden.

    Examples
    --------
    >>> file_name("to_accuracy_0.8"), file_name("../x"), file_name("a b")
    ('to_accuracy_0.8', '___x', 'a_b')
    """
    safe = re.sub(r"[^\w.=-]", "_", text)[:_MAX_FILE_CHARACTERS].encode("utf-8", "replace")
    return re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), safe.decode("utf-8")) or "_"


def _without_middle(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = limit // 2
    tail = limit - head - 1
    return f"{text[:head]}…{text[len(text) - tail :]}"
