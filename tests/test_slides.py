"""Slides are made of the lessons' tagged cells, and need nothing else to be shown."""

from __future__ import annotations

import re

import nbformat
import pytest

from tools import build, slides


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slides, "SLIDES", folder)
        assert slides.main() == 0
    return {path.stem: path.read_text("utf-8") for path in folder.glob("*.html")}


def test_every_lesson_has_slides_and_the_first_page_leads_to_them(pages):
    names = {source.stem for source in build.sources([])}
    assert set(pages) == names | {"index"}
    assert set(re.findall(r'href="(\S+)\.html"', pages["index"])) == names


@pytest.mark.parametrize("source", build.sources([]), ids=lambda source: source.stem)
def test_slides_show_title_questions_figures_and_key_points(source, pages):
    page = pages[source.stem]
    assert page.count("<section>") >= 4
    for part in ("<h1>", "Questions", "Key points"):
        assert part in page, part
    pictures = re.findall(r"<img [^>]*>", page)
    assert pictures
    for picture in pictures:
        assert len(re.search(r'alt="([^"]*)"', picture)[1]) > 20


@pytest.mark.parametrize("source", build.sources([]), ids=lambda source: source.stem)
def test_slides_have_the_instructors_notes_and_the_minutes_of_each_section(source, pages):
    notes = re.findall(r"<aside>(.*?)</aside>", pages[source.stem], re.DOTALL)
    for part in (
        "Minutes per section",
        "Expected answers",
        "Where learners stumble",
        "ten minutes",
    ):
        assert part in notes[0]
    assert len([note for note in notes[1:] if re.search(r"</strong>: \d+ min", note)]) >= 3


def test_slides_fetch_nothing_and_say_what_they_are_for(pages):
    for name, page in pages.items():
        assert not re.search(r'(src|href)="(https?:)?//', page.replace('<a href="', "<a ")), name
        assert "synthetic" in page
        assert "not for clinical use" in page


def test_answers_to_exercises_are_on_no_slide(pages):
    assert not [name for name, page in pages.items() if "✓ Exercise" in page]


def test_a_slide_shows_what_a_cell_printed_and_escapes_it():
    stream = nbformat.v4.new_output("stream", text="a < b")
    cells = [
        nbformat.v4.new_code_cell("print()", outputs=[stream], metadata={"tags": ["slide"]}),
        nbformat.v4.new_markdown_cell("not shown"),
    ]
    shown = slides.slides_of(nbformat.v4.new_notebook(cells=cells))
    assert shown == ["<pre>a &lt; b</pre>"]
