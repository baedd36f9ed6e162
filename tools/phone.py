"""Check in a browser that no page of the built site is wider than a phone.

    python -m tools.phone site

Modules of the package share one template: of them one page is looked at. Without Chromium nothing
is checked, and that is said.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PHONE = {"width": 390, "height": 844}  # pixels of CSS, as most phones have


def pages(site: Path) -> list[Path]:
    """List the pages to look at."""
    found = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    shared = [path for path in found if "generated" in path.parts]
    left_out = [site / "index.html", *shared[1:]]  # the first leads to another page at once
    return [path for path in found if path not in left_out]


def too_wide(site: Path, chromium: str) -> list[str]:
    """Name the pages that scroll sideways, and how wide they are."""
    found = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=PHONE)
        for path in pages(site):
            page.goto(path.resolve().as_uri(), wait_until="domcontentloaded")
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > PHONE["width"]:
                found.append(f"{path.relative_to(site)}: {width} pixels wide")
        browser.close()
    return found


def main(arguments: list[str]) -> int:
    """Print the pages that are too wide; status 1 if there is any."""
    (site,) = map(Path, arguments)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        print("No Chromium is here: the pages were not looked at on a phone's width.")
        return 0
    found = too_wide(site, chromium)
    print("\n".join(found) or "No page of the site is wider than a phone.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
