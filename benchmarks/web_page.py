"""Measure in Chromium whether the page predicts as `leuk predict` does, and how fast it is.

    python -m benchmarks.web_page --run RUN --synthetic RUN --real REAL --raw SAMPLE

The networks: of ``--run``, trained on real cells, and of ``--synthetic``, trained on synthetic
ones. REAL is a dataset of real cells, SAMPLE a folder of BMP files as they are published. Writes
``benchmarks/results/web_page.json``; ``python -m benchmarks.serving page`` puts it into words.
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.serving import WEB_RESULTS
from leukhelpers import files
from leukhelpers.experiments import provenance
from leukhelpers.serving import predict, web
from leukhelpers.synthetic.twin import draw_cell, plan_twin

LOADS = 5
CELLS = 200
SEED = 2
ROUNDS = 10
JPEG_QUALITY = 92


@contextmanager
def opened(browser: Browser, folder: Path) -> Iterator[Page]:
    """Open a page in a fresh browser context."""
    server = web.serve(folder, 0)
    context = browser.new_context()
    try:
        tab = context.new_page()
        tab.set_default_timeout(300_000)
        tab.goto(f"http://127.0.0.1:{server.server_port}/")
        tab.locator("#status", has_text="Ready").wait_for()
        yield tab
    finally:
        context.close()
        server.shutdown()
        server.server_close()


def predict_in(tab: Page, paths: list[Path]) -> list[dict[str, str]]:
    """Hand files to the page; return the rows of its CSV."""
    tab.click("#clear") if tab.locator("#clear").is_enabled() else None
    tab.set_input_files("#files", paths)
    tab.locator("#status", has_text=f"of {len(paths)} predicted").wait_for()
    with tab.expect_download() as saved:
        tab.click("#save")
    text = Path(saved.value.path()).read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def parity(tab: Page, served: predict.Served, paths: list[Path]) -> dict[str, Any]:
    """Compare the page with `leuk predict` on the same files."""
    differences, other = [], 0
    both = zip(predict_in(tab, paths), predict.predict_files(served, paths), strict=True)
    for there, here in both:
        far = here["distance"] > 1
        other += (there["why"].startswith("not a cell")) != far
        if not far and there["probability of ALL"]:
            probability = float(there["probability of ALL"])
            differences.append(abs(probability - here["probability_all"]))
    return {
        "cells": len(paths),
        "predicted": len(differences),
        "largest_difference": max(differences, default=0.0),
        "other_decisions": other,
    }


def memory_mb(tab: Page) -> float:
    """Measure the process of the page after a garbage collection."""
    session = tab.context.new_cdp_session(tab)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    session.detach()
    children = psutil.Process().children(recursive=True)
    pages = [child for child in children if "--type=renderer" in child.cmdline()]
    return max(page.memory_info().rss for page in pages) / 1e6


def measure(run: Path, synthetic: Path, real: Path, raw: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        folder = Path(place)
        pages = {"real": folder / "real", "synthetic": folder / "synthetic"}
        about = web.export_web(run, pages["real"])
        web.export_web(synthetic, pages["synthetic"])
        served = {"real": predict.load(run), "synthetic": predict.load(synthetic)}
        drawn = []
        plan = plan_twin(2 * CELLS, 28, seed=SEED).drop_duplicates("number").head(CELLS)
        for number, (_, row) in enumerate(plan.iterrows()):
            drawn.append(folder / f"synthetic-{number}.bmp")
            Image.fromarray(draw_cell(row, SEED)[0]).save(drawn[-1])
        every = sorted(real.rglob("*.png"))
        cells = every[:: len(every) // CELLS][:CELLS]
        published = sorted(raw.rglob("*.bmp"))
        lossy = []
        for path in cells:
            lossy.append(folder / f"{path.stem}.jpg")
            Image.open(path).convert("RGB").save(lossy[-1], quality=JPEG_QUALITY)
        program = shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        ready = []
        for _ in range(LOADS):
            start = time.perf_counter()
            with opened(browser, pages["real"]):
                ready.append(time.perf_counter() - start)
        with opened(browser, pages["synthetic"]) as tab:
            compared = {"synthetic cells": parity(tab, served["synthetic"], drawn)}
        with opened(browser, pages["real"]) as tab:
            compared["real cells (PNG)"] = parity(tab, served["real"], cells)
            compared[f"the same as JPEG, quality {JPEG_QUALITY}"] = parity(
                tab, served["real"], lossy
            )
            compared["real cells as published (BMP)"] = parity(tab, served["real"], published)
            small = [path for path in published if Image.open(path).size == (450, 450)]
            taken = [float(row["milliseconds"]) for row in predict_in(tab, small)]
            bmps = []
            for number in range(CELLS):
                bmps.append(folder / f"cell-{number}.bmp")
                shutil.copyfile(small[number % len(small)], bmps[-1])
            start = time.perf_counter()
            predict_in(tab, bmps)
            at_once = time.perf_counter() - start
            tab.click("#clear")
            before = memory_mb(tab)
            for _ in range(ROUNDS):
                predict_in(tab, bmps)
            tab.click("#clear")
            after = memory_mb(tab)
        version = browser.version
        browser.close()
    return {
        "parity": compared,
        "speed": {
            "loads": LOADS,
            "ready_s": statistics.median(ready),
            "pictures": len(taken),
            "one_ms": statistics.median(taken),
            "two_hundred_s": at_once,
        },
        "memory": {"pictures": ROUNDS * CELLS, "before_mb": before, "after_mb": after},
        "seed": SEED,
        "bytes": about["bytes"],
        "load": psutil.getloadavg()[1],
        "browser": f"Chromium {version.partition('.')[0]}",
        "date": time.strftime("%Y-%m-%d"),
        "machine": provenance.environment()["machine"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("run", "synthetic", "real", "raw"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    asked = parser.parse_args()
    found = measure(asked.run, asked.synthetic, asked.real, asked.raw)
    files.write_json(WEB_RESULTS, found)


if __name__ == "__main__":
    main()
