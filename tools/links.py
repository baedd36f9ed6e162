"""Check the built site: links, alternative texts, headings, and what every page must have.

    python -m tools.links site

Only links within the site are followed. Prints one line per fault; status 1 if there is any.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Of every page; the last two are names of meta tags.
NEEDED = ("lang", "title", "viewport", "description")


class Page(HTMLParser):
    """The links of a page, its anchors, headings, and images without alternative text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.names: set[str] = set()
        self.silent: list[str] = []
        self.levels: list[int] = []
        self.has: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag has."""
        has = dict(attrs)
        self.names |= {has[key] or "" for key in ("id", "name") if key in has}
        if tag != "base":
            self.links |= {has[key] or "" for key in ("href", "src") if key in has}
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self.levels.append(int(tag[1]))
        self.has |= {tag, has.get("name") or ""} | ({"lang"} & has.keys())
        if tag == "img" and not (has.get("alt") or "").strip():
            self.silent.append((has.get("src") or "")[:80])


def faults(site: Path) -> list[str]:
    """List what is wrong with the pages of a site, a line each."""
    # What lies in _static belongs to the theme, and is no page.
    found_pages = (path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts)
    pages = {path.resolve(): Page(path) for path in found_pages}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name}: image without alternative text: {src}" for src in page.silent]
        found += [f"{name}: no {what}" for what in NEEDED if what not in page.has]
        if page.levels.count(1) != 1:
            found.append(f"{name}: {page.levels.count(1)} headings of the first level")
        for above, below in pairwise([0, *page.levels]):
            if below > above + 1:
                found.append(f"{name}: a heading of level {below} follows one of level {above}")
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
            if target.is_dir():
                target /= "index.html"
            place = unquote(parts.fragment)
            if not target.exists():
                found.append(f"{name}: broken link: {link}")
            elif place and target in pages and place not in pages[target].names:
                found.append(f"{name}: no such anchor in the page: {link}")
    return found


def main(arguments: list[str]) -> int:
    """Print the faults of a site."""
    (site,) = map(Path, arguments)
    found = faults(site)
    print("\n".join(found) or "No page of the site has a broken link or another fault.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
