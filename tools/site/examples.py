"""The page of examples: files of ``docs/examples``, each in full."""

import ast
from pathlib import Path


def page(folder: Path) -> str:
    """Return the page; each file begins with what its docstring says."""
    lines = [
        "# Examples",
        "",
        "Classes in files of your own, named in a scenario as `path.py:Class`.",
        "",
    ]
    for path in sorted(folder.glob("*.py")):
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or path.stem
        lines += [f"## {path.name}", "", told.partition("\n")[0], ""]
        lines += [f"```{{literalinclude}} examples/{path.name}", ":language: python", "```", ""]
    return "\n".join(lines)
