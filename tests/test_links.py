"""No link inside the repository or its site leads nowhere, and every picture has words."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tools import build, links

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (".", "docs", "docs/teaching", "docs/handouts", "data", ".github")
DOCUMENTS = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))
NOTEBOOKS = sorted(build.NOTEBOOKS.rglob("*.ipynb"))
MARKDOWN = MarkdownIt("commonmark").enable("table")


def words(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text("utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def tokens(path: Path) -> list[Token]:
    return [child for token in MARKDOWN.parse(words(path)) for child in token.children or ()]


def headings(path: Path) -> set[str]:
    """Name the headings as GitHub and the site do."""
    titles = re.findall(r"^#+ (.+)$", words(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", title.strip().lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize("path", [*DOCUMENTS, *NOTEBOOKS], ids=lambda path: path.name)
def test_links_lead_to_a_file_and_a_heading_that_are_there(path):
    for token in tokens(path):
        link = str(token.attrs.get("href") or token.attrs.get("src") or "")
        if not link or ":" in link:
            continue
        place, _, heading = unquote(link).partition("#")
        target = path.parent / place if place else path
        assert target.exists(), f"{path.name}: {link}"
        if heading and target.suffix in {".md", ".ipynb"}:
            assert heading in headings(target), f"{path.name}: {link}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_pictures_in_documents_have_an_alternative_text(path):
    pictures = [token for token in tokens(path) if token.type == "image"]
    assert not [picture.attrs["src"] for picture in pictures if len(picture.content) < 20]


HEAD = '<html lang="en"><title>A</title><meta name="viewport"><meta name="description"><h1>A</h1>'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_text(f'{HEAD}<h2 id="top">B</h2><a href="../">up</a>')
    (tmp_path / "index.html").write_text(
        f"{HEAD}"
        '<a href="docs/index.html#top">in</a> <a href="https://example.org/gone">out</a> '
        '<img src="data:image/png;base64,AA" alt="A cell."> <a href="docs/">folder</a>'
    )
    return tmp_path


def test_a_sound_site_has_no_fault(site, capsys):
    assert links.main([str(site)]) == 0
    assert "No page" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ('<a href="gone.html">x</a>', "broken link: gone.html"),
        ('<a href="index.html#gone">x</a>', "no such anchor in the page: index.html#gone"),
        ('<img src="index.html" alt=" ">', "image without alternative text: index.html"),
        ("<h3>B</h3>", "a heading of level 3 follows one of level 1"),
        ("<h1>B</h1>", "2 headings of the first level"),
    ],
)
def test_each_fault_of_a_site_is_told(wrong, told, site, capsys):
    page = site / "docs" / "more.html"
    page.write_text(HEAD + wrong)
    assert links.main([str(site)]) == 1
    assert capsys.readouterr().out.strip() == f"docs/more.html: {told}"


def test_a_page_without_what_every_page_needs_is_told(site, capsys):
    (site / "docs" / "more.html").write_text("<h1>A</h1>")
    assert links.main([str(site)]) == 1
    told = capsys.readouterr().out.split("\n")
    assert told[:-1] == [f"docs/more.html: no {what}" for what in links.NEEDED]
