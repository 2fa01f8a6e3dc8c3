"""Settings of the documentation site; its sources are put together by ``tools.site``."""

from docutils.nodes import SkipNode, math, math_block
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import airtune

project = "Airtune"
author = "The Airtune developers"
version = release = airtune.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["**/__pycache__"]
# names of parameters in docstrings that are names of fields elsewhere, too
suppress_warnings = ["ref.python"]

# notebooks are kept without outputs and run anew, where an error ends the build
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_output_stderr = "remove"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"show-inheritance": False}
napoleon_google_docstring = False
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_title = f"Airtune {release}"
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_theme_options = {
    "navigation_with_keys": True,
    "show_toc_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
project_copyright = author


def _inline(translator: HTML5Translator, node: math) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def _block(translator: HTML5Translator, node: math_block) -> None:
    translator.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise SkipNode


def setup(app: Sphinx) -> None:
    """Show formulas as MathML, which browsers draw themselves: a page needs no network."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
