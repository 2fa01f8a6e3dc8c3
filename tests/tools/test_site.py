"""The sources of the site: every key, card, module and document is there, every link leads on."""

import importlib.util
import posixpath
import re
import subprocess
import sys

import pytest

from fl.methods import METHODS
from fl.policies import POLICIES
from fl.server.modes import MODES
from netsim.mac.schedulers import SCHEDULERS
from scenarios.schema import json_schema
from tools.import_graph import ROOT, modules
from tools.site import api, scenario_reference
from tools.site.build import assemble, page_places
from tools.site.links import Links
from tools.site.markdown import definition, escaped


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    assemble(folder)
    return folder


def texts(site):
    return {
        path.relative_to(site).as_posix(): path.read_text("utf-8") for path in site.rglob("*.md")
    }


def test_every_document_is_a_page(site):
    for origin, place in page_places().items():
        assert (site / place).is_file(), origin


def test_every_page_is_in_a_table_of_contents(site):
    pages = texts(site)
    entries = set()
    for name, text in pages.items():
        for block in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL):
            for line in block.splitlines():
                if line and not line.startswith(":"):
                    place = posixpath.join(posixpath.dirname(name), line)
                    found = [
                        each.relative_to(site).as_posix()
                        for ending in ("md", "ipynb")
                        for each in site.glob(f"{place}.{ending}")
                    ]
                    assert found, f"{name}: {line}"
                    entries.update(found)
    notebooks = {each.relative_to(site).as_posix() for each in site.rglob("*.ipynb")}
    assert notebooks
    assert {*pages, *notebooks} - entries == {"index.md"}


def test_every_link_and_picture_leads_somewhere(site):
    for name, text in texts(site).items():
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            if "://" not in target:
                assert (site / posixpath.dirname(name) / target).exists(), f"{name}: {target}"


def test_the_scenario_reference_has_every_key_of_the_schema():
    """With its description: keys of the same section at several places are told once a page."""
    pages = scenario_reference.pages()
    schema = json_schema()
    told = "\n".join(pages.values())
    entries = dict(re.findall(r"^\[?`(\w+)`(?:\]\([\w.]+\))?\n: (.*)$", pages["index.md"], re.M))
    assert list(entries) == list(schema["properties"])
    for name, definitions in schema["$defs"].items():
        for key, rules in definitions.get("properties", {}).items():
            head = escaped(rules.get("description", "")).split("\n")[0]
            assert f"`{key}`\n: " in told, f"{name}.{key}"
            assert head in told, f"{name}.{key}"


def test_a_new_key_of_the_schema_comes_into_the_reference(monkeypatch):
    schema = json_schema()
    schema["$defs"]["TrainingConfig"]["properties"]["new_key_s"] = {
        "type": "number", "exclusiveMinimum": 0, "maximum": 5, "default": 1.5,
        "description": "New < 5.",
    }  # fmt: skip
    monkeypatch.setattr(scenario_reference, "json_schema", lambda: schema)
    page = scenario_reference.pages()["training.md"]
    assert "`new_key_s`\n: number ≤ 5, \\> 0; default `1.5`\n\n  New \\< 5.\n" in page


def test_settings_of_a_kind_stand_under_its_name():
    page = scenario_reference.pages()["server.md"]
    tifl = page.partition("## `server.policy`: kind `tifl`")[2].partition("\n## ")[0]
    assert "`adapt_rounds`\n: " in tifl
    assert page.count("## `server.policy`: kind `tifl`") == 1


def test_every_card_is_there(site):
    pages = texts(site)
    for name in METHODS:
        assert f"methods/{name}.md" in pages
    for name, page in [
        *((name, "cards/policies.md") for name in POLICIES),
        *((name, "cards/modes.md") for name in [*MODES, *SCHEDULERS]),
    ]:
        assert re.search(rf"^(?:## )?`{name}`$", pages[page], re.M), name


def test_every_public_module_is_in_the_api_reference():
    text = "\n".join(api.pages().values())
    described = re.findall(r"^\.\. automodule:: (\S+)$", text, re.M)
    known = [name for package in api.PACKAGES for name in modules(package)]
    assert sorted(described) == sorted(name for name in known if "._" not in name)


def test_every_picture_of_the_documents_is_in_the_gallery_with_a_command():
    text = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    shown = dict(re.findall(r"\]\((images/\S+)\)\n\n[^\n]+\n\n```\n(\S+)", text))
    there_are = {
        path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs/images").rglob("*.png")
    }
    assert set(shown) == there_are
    assert set(shown.values()) == {"airtune", "python"}


def test_links_of_a_document_become_those_of_its_place():
    places = {"docs/a.md": "a.md", "fl/methods/x/README.md": "methods/x.md"}
    links = Links(ROOT, places, ["netsim.units"])
    text = "[x](../fl/methods/x/README.md#cost) [s](../setup.py) [u](https://a.org/b). "
    text += "`netsim/units.py`"
    with pytest.raises(ValueError, match=r"docs/a.md: link to ../setup.py: there is no such file"):
        links.rewritten(text, "docs/a.md")
    got = links.rewritten(text.replace("setup.py", "Makefile"), "docs/a.md")
    assert got == (
        "[x](methods/x.md#cost) [s](files/Makefile) [u](https://a.org/b). {py:mod}`netsim.units`"
    )
    assert links.files == {"Makefile"}
    assert links.external == {"https://a.org/b"}
    code = "```\n[x](nowhere.md) `netsim.units`\n```\n"
    assert links.rewritten(code, "docs/a.md") == code
    assert links.rewritten("[`netsim.units`](a.md)", "docs/a.md") == "[`netsim.units`](a.md)"


def test_markdown_signs_of_a_text_are_escaped_but_not_in_code():
    assert escaped("a * b < c of ``d * e``") == r"a \* b \< c of ``d * e``"
    assert definition("t", ["one\ntwo", "three"]) == "t\n: one\n  two\n\n  three\n"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("needs the extra airtune[docs]")
    done = subprocess.run(
        [sys.executable, "-m", "tools.site", tmp_path / "site"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "<math" in (tmp_path / "site" / "concepts" / "radio.html").read_text("utf-8")
