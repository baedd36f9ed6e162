"""Settings of the site: `make site` builds it from the executed notebooks, as they are.

The source folder is the whole checkout, so that links between documents and notebooks
work here as they do where the repository is looked at.
"""

import html
import json
import os
import re
import sys
import textwrap
from pathlib import Path
from urllib.parse import quote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from leukhelpers import __version__  # noqa: E402

project = "Leukemic or healthy?"
author = "The leukhelpers authors"
project_copyright = "The leukhelpers authors; code MIT, text CC BY 4.0"
version = release = __version__
language = "en"

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/*.ipynb", "CONTRIBUTING.md"]
exclude_patterns = [
    ".*",
    "site",
    "docs/_*",
    "runs",
    "data",
    "tests",
    "notebooks/exercises",
    "**/.part-*",
]
templates_path = ["_templates"]

nb_execution_mode = "off"  # the notebooks were run when they were built
nb_merge_streams = True
myst_heading_anchors = 3
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings name the types, with shapes
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

# Where the site is published, with a slash at its end: for previews of links and the sitemap.
html_baseurl = os.environ.get("SITE_URL", "")
html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_extra_path = ["_extra"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's computer has it
html_sidebars = {f"docs/{page}": [] for page in ("results", "glossary", "faq")}  # with none below
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "announcement": "For teaching. Not for clinical use. The cells shown are synthetic, "
    "unless it is said that they are real.",
    "footer_start": ["copyright"],
    "footer_end": [],
}


def prepare_notebook(app: object, docname: str, source: list[str]) -> None:
    """Carry each figure's alt text over, and leave out the cell that is for Colab only."""
    if not docname.startswith("notebooks/"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        if "setup" in cell["metadata"].get("tags", []):
            cell["metadata"]["tags"] = ["remove-cell"]
        for output in cell.get("outputs", []):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if alt:  # myst-nb takes it from the cell; a cell shows one figure
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
    source[0] = json.dumps(notebook)


def skip_fields(app: object, what: str, name: str, item: object, skip: bool, _: object) -> bool:
    """Leave out the fields of named tuples, of which Python tells only their number."""
    return skip or str(getattr(item, "__doc__", "")).startswith("Alias for field number")


def add_preview(app: object, page: str, _: str, context: dict, __: object) -> None:
    """Describe a page to those who link to it: its title, its first sentences, a picture."""
    body = re.search(r"<p>(.*?)</p>", context.get("body", ""), re.DOTALL)
    text = re.sub(r"<[^>]+>|\s+", " ", body[1] if body else "")
    text = html.unescape(text).strip() or "A course on classifying blood cells honestly."
    text = textwrap.shorten(text, 200, placeholder=" …")
    about = {"og:type": "article", "og:site_name": project, "og:description": text}
    about["og:title"] = re.sub(r"<[^>]+>", "", context.get("title", "")) or project
    if html_baseurl:  # previews need whole addresses
        about["og:url"] = f"{html_baseurl}{page}.html"
        about["og:image"] = f"{html_baseurl}_images/07-shap.png"
    tags = [f'<meta property="{name}" content="{html.escape(t)}" />' for name, t in about.items()]
    tags.append(f'<meta name="description" content="{html.escape(text)}" />')
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)


def write_addresses(app: object, failed: Exception | None) -> None:
    """Write the page for wrong addresses; where the site's own is known, a sitemap as well."""
    site = Path(app.outdir)  # type: ignore[attr-defined]
    root = urlsplit(html_baseurl).path or "/"
    missing = (ROOT / "docs/_templates/404.html").read_text("utf-8")
    (site / "404.html").write_text(missing.replace("{{ root }}", root), "utf-8")
    if html_baseurl:
        pages = sorted(app.env.found_docs)  # type: ignore[attr-defined]
        lines = [f"<url><loc>{html_baseurl}{quote(page)}.html</loc></url>" for page in pages]
        space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
        sitemap = ['<?xml version="1.0" encoding="UTF-8"?>', f"<urlset {space}>", *lines]
        (site / "sitemap.xml").write_text("\n".join([*sitemap, "</urlset>", ""]), "utf-8")


def setup(app: object) -> None:
    """Listen to what Sphinx reads."""
    app.connect("html-page-context", add_preview)  # type: ignore[attr-defined]
    app.connect("build-finished", write_addresses)  # type: ignore[attr-defined]
    app.connect("source-read", prepare_notebook)  # type: ignore[attr-defined]
    app.connect("autodoc-skip-member", skip_fields)  # type: ignore[attr-defined]
