"""Check the built site for broken links and for images without alternative text.

    python -m tools.links site

Only links within the site are followed. Prints one line per fault; status 1 if there is any.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, its anchors, and its images without alternative text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.names: set[str] = set()
        self.silent: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag has."""
        has = dict(attrs)
        self.names |= {has[key] or "" for key in ("id", "name") if key in has}
        self.links |= {has[key] or "" for key in ("href", "src") if key in has}
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
    print("\n".join(found) or "No link of the site is broken; every image has an alternative text.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
