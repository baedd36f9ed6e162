"""Make slides of the lessons' cells that are tagged ``slide``, into ``slides/``.

    python -m tools.slides

One page per lesson, which needs neither server nor network. Arrow keys change the slide, N shows
the speaker notes, which come from ``docs/teaching``. Printing gives one slide per sheet. For a
cell with code the slide shows its output.
"""

from __future__ import annotations

import re
import sys

import jinja2
import nbformat
from markdown_it import MarkdownIt
from nbformat import NotebookNode

from leukhelpers.files import write_text
from tools import build, schedule

SLIDES = build.ROOT / "slides"
TEACHING = build.ROOT / "docs" / "teaching"
MARKDOWN = MarkdownIt("commonmark").enable("table")
PAGE = jinja2.Environment(autoescape=True).from_string("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  html { scroll-snap-type: y mandatory; font: 1.5rem/1.45 system-ui, sans-serif; color: #1d2430; }
  body { margin: 0; }
  section { min-height: 100vh; box-sizing: border-box; padding: 2rem 6vw 4rem; display: flex;
    flex-direction: column; justify-content: center; scroll-snap-align: start; }
  section > div { max-width: 100%; overflow-x: auto; }
  h1 { font-size: 1.9em; } h1, h2 { line-height: 1.2; margin: 0 0 1rem; }
  img { display: block; margin: auto; max-width: 100%; max-height: 76vh; object-fit: contain; }
  pre, code { font-family: ui-monospace, monospace; font-size: .9em; }
  pre { white-space: pre-wrap; }
  table { border-collapse: collapse; font-size: .8em; }
  th, td { padding: .25rem .7rem; border-bottom: 1px solid #d9dee5; text-align: right; }
  aside td:first-child, aside th:first-child { text-align: left; }
  footer { position: fixed; bottom: 0; left: 0; right: 0; padding: .4rem 6vw; font-size: .65em;
    background: #f6f8fa; color: #48525f; }
  aside { display: none; margin-top: 1rem; padding: .2rem 1rem; font-size: .7em;
    border-left: .3rem solid #d9dee5; }
  .notes aside { display: block; }
  @media (max-width: 40rem) { html { font-size: 1rem; } }
  @media print { section { break-after: page; min-height: 0; } }
</style>
</head>
<body>
{% for slide, note in slides %}<section><div>
{{ slide | safe }}
</div>{% if note %}<aside>{{ note | safe }}</aside>{% endif %}</section>
{% endfor %}<footer>{{ title }} · synthetic cells, unless marked as real ·
for teaching, not for clinical use · N: notes</footer>
<script>
  const slides = [...document.querySelectorAll("section")];
  for (const slide of slides) {  // shrink what does not fit, down to a limit
    for (let size = 95; size > 55 && slide.offsetHeight > innerHeight + 2; size -= 5) {
      slide.style.fontSize = size + "%";
    }
  }
  const turn = {ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1};
  addEventListener("keydown", event => {
    if (event.key.toLowerCase() === "n") document.body.classList.toggle("notes");
    if (!(event.key in turn)) return;
    event.preventDefault();
    const now = slides.findLastIndex(slide => slide.getBoundingClientRect().top < 9);
    const next = Math.min(Math.max(now + turn[event.key], 0), slides.length - 1);
    slides[next].scrollIntoView();
  });
</script>
</body>
</html>
""")


def shown(output: NotebookNode) -> str:
    """Turn one output of a cell into HTML; an image keeps its alternative text."""
    data = output.get("data", {})
    if "image/png" in data:
        alt = output.metadata.get("image/png", {}).get("alt", "")
        picture = f"data:image/png;base64,{''.join(data['image/png'].split())}"
        return jinja2.Template('<img src="{{ s }}" alt="{{ a|e }}">').render(s=picture, a=alt)
    if "text/html" in data:
        return str(data["text/html"])
    if "text/markdown" in data:
        return str(MARKDOWN.render(data["text/markdown"]))
    text = output.get("text") or data.get("text/plain", "")
    return jinja2.Template("<pre>{{ text|e }}</pre>").render(text=text)


def slides_of(notebook: NotebookNode) -> list[str]:
    """Return the tagged cells of a lesson as HTML, one slide per cell."""
    found = []
    for cell in notebook.cells:
        if "slide" not in cell.metadata.get("tags", []):
            continue
        if cell.cell_type == "markdown":
            # Slides are copied without the pages that they link to.
            found.append(
                MARKDOWN.render(re.sub(r"\[([^]]+)\]\((?!http)[^)]+\)", r"\1", cell.source))
            )
        else:
            found.append("\n".join(shown(output) for output in cell.outputs))
    return found


def notes_of(notebook: NotebookNode, page: str) -> list[str]:
    """Return the speaker notes of each slide as HTML: the minutes of the section that it opens.

    Those of the first slide are the whole page of instructor notes.
    """
    minutes = dict(re.findall(r"^\| (.+?) \| +(\d+) \|$", page, re.MULTILINE))
    found, section = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            titles = re.findall(r"^##+ (.+)$", cell.source, re.MULTILINE)
            section = next((title for title in titles if title in minutes), section)
        if "slide" in cell.metadata.get("tags", []):
            text = f"**{section}**: {minutes.pop(section)} min" if section in minutes else ""
            found.append(MARKDOWN.render(text if found else f"## {page.partition('## ')[2]}"))
    return found


def main() -> int:
    """Write one page per lesson, and an index page."""
    links = []
    for source in build.sources([]):
        title, *_ = schedule.stated(source)
        notebook = nbformat.read(build.NOTEBOOKS / f"{source.stem}.ipynb", as_version=4)
        notes = notes_of(notebook, (TEACHING / f"lesson-{title[:2]}.md").read_text("utf-8"))
        both = zip(slides_of(notebook), notes, strict=True)
        page = PAGE.render(title=title, slides=list(both))
        write_text(SLIDES / f"{source.stem}.html", page)
        links.append(f"- [{title}]({source.stem}.html)")
    contents = MARKDOWN.render("# Leukemic or healthy?\n\n" + "\n".join(links))
    index = PAGE.render(title="The lessons", slides=[(contents, "")])
    write_text(SLIDES / "index.html", index)
    print(f"{len(links)} lessons are in slides/; open slides/index.html in a browser.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
