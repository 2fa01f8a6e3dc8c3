"""Pages of the API reference: one for each wing of a package, with all its public modules."""

from collections import defaultdict
from pathlib import Path

from tools.import_graph import modules

PACKAGES = {
    "airtune": "what scripts and notebooks need, under one name",
    "netsim": "the wireless world: clock, radio, mobility, energy",
    "fl": "what clients and server compute: data, models, methods, policies",
    "scenarios": "scenario files, and what joins the two",
    "analysis": "statistics, tables and figures from result folders",
}


def public_modules(package: str) -> list[str]:
    """Return the names of the modules of a package that carry no leading underscore."""
    return sorted(
        name
        for name in modules(package)
        if not any(part.startswith("_") for part in name.split("."))
    )


def pages() -> dict[str, str]:
    """Return the pages by their path below the folder of the reference."""
    found, tops = {}, []
    for package, told in PACKAGES.items():
        wings: dict[str, list[str]] = defaultdict(list)
        for name in public_modules(package):
            parts = name.split(".")
            is_folder = len(parts) > 1 and (Path(*parts[:2])).is_dir()
            wings[".".join(parts[:2]) if is_folder else package].append(name)
        for wing, names in wings.items():
            lines = [f"# {wing}", ""]
            for name in names:
                lines += [] if name == wing else [f"## {name}", ""]
                lines += ["```{eval-rst}", f".. automodule:: {name}", "   :members:", "```", ""]
            if wing == package and len(wings) > 1:
                inner = sorted(each for each in wings if each != package)
                lines += ["```{toctree}", ":hidden:", "", *inner, "```", ""]
            found[f"{wing}.md"] = "\n".join(lines)
        tops.append((package, told))
    rows = [f"* [`{name}`]({name}.md): {told}" for name, told in tops]
    tree = ["```{toctree}", ":hidden:", "", *(name for name, _ in tops), "```", ""]
    head = [
        "# API reference",
        "",
        "From the docstrings. `import airtune` gives what scripts need.",
        "",
    ]
    found["index.md"] = "\n".join([*head, *rows, "", *tree])
    return found
