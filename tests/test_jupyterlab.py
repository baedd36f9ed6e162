"""Lessons as a learner meets them: in JupyterLab, in a browser, all cells run."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import requests

from leukhelpers.course import exercises
from tools import build

pytestmark = pytest.mark.slow

PATIENCE = 240_000  # milliseconds; other tests run beside these
# Lessons of a minute or less: a wrong answer to the second exercise, a word of the hint that it
# should bring, and whether the lesson shows a progress bar.
LESSONS = ["00", "13"]

# Told by JupyterLab itself: is the notebook ready, and what came of its cells?
READY = "() => window.jupyterapp?.shell.currentWidget?.context?.isReady"
IDLE = """() => {
    const session = window.jupyterapp.shell.currentWidget.sessionContext.session;
    return session?.kernel?.status === 'idle';
}"""
DONE = """() => {
    const notebook = window.jupyterapp.shell.currentWidget;
    const cells = notebook.content.model.toJSON().cells.filter(c => c.cell_type === 'code');
    const failed = cells.some(c => c.outputs.some(o => o.output_type === 'error'));
    const ran = cells.every(c => !c.source.length || c.execution_count !== null);
    return failed || (ran && notebook.sessionContext.session.kernel.status === 'idle');
}"""
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
# A cell that is far from what is in sight is not drawn.
DRAWN = "element => element.checkVisibility({contentVisibilityAuto: true})"
CELLS = "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"


def learners_notebook(number: str, folder: Path) -> Path:
    """Copy a lesson without its solutions, and solve the first exercise only."""
    (source,) = build.sources([number])
    stubs = nbformat.read(build.NOTEBOOKS / "exercises" / f"{source.stem}.ipynb", as_version=4)
    solved = {cell["id"]: cell.source for cell in build.read_lesson(source, solved=True).cells}
    first = next(cell for cell in stubs.cells if f'lk.check("{number}.1"' in cell.source)
    assert first.source != solved[first["id"]]
    first.source = solved[first["id"]]
    target = folder / f"{source.stem}.ipynb"
    nbformat.write(stubs, target)
    return target


@pytest.fixture(scope="module")
def lab(browser: object, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """A JupyterLab of its own, with no settings, kernels or lessons but those of this test."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    root = tmp_path_factory.mktemp("lab")
    own = {
        "HOME": "home",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "LEUK_HOME": "leuk",
    }
    environment = os.environ | {name: str(root / place) for name, place in own.items()}
    notebooks, log, token = root / "notebooks", root / "log.txt", secrets.token_hex()
    notebooks.mkdir()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
        *(f"--ServerApp.root_dir={notebooks}", "--LabApp.expose_app_in_browser=True"),
        *(
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ),
    ]
    with (
        log.open("w") as told,
        subprocess.Popen(command, env=environment, stdout=told, stderr=told) as server,
    ):
        home = f"http://127.0.0.1:{port}"
        end = time.monotonic() + PATIENCE / 1000
        try:
            while not _answers(f"{home}/api?token={token}"):
                assert server.poll() is None, log.read_text("utf-8")
                assert time.monotonic() < end, log.read_text("utf-8")
            yield home, token, notebooks
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    """Tell whether a server answers, and wait a little where nobody does."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        time.sleep(0.3)
        return False


@pytest.mark.parametrize("number", LESSONS)
def test_lesson_runs_and_shows_figures_questions_and_hints(number, browser, lab, tmp_path):
    home, token, folder = lab
    lesson = learners_notebook(number, folder)
    asked: list[str] = []
    tab = browser.new_page(viewport={"width": 1300, "height": 1000})
    tab.set_default_timeout(PATIENCE)
    tab.on("request", lambda request: asked.append(request.url))
    # In a workspace of its own: no notebook of an earlier test is opened again.
    tab.goto(f"{home}/lab/workspaces/lesson-{number}/tree/{lesson.name}?token={token}")
    tab.wait_for_function(READY)
    tab.wait_for_function(IDLE)
    tab.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    tab.wait_for_function(DONE)

    outputs = [one for cell in tab.evaluate(CELLS) for one in cell.get("outputs", [])]
    assert [one for one in outputs if one["output_type"] == "error"] == []
    shown = tab.locator(".jp-Notebook .jp-OutputArea-output")

    def see(what, name):
        """Scroll there as a reader would, and take a picture."""
        what.scroll_into_view_if_needed()
        tab.wait_for_function(DRAWN, arg=what.element_handle())
        what.scroll_into_view_if_needed()  # what was drawn meanwhile may have moved it
        tab.screenshot(path=tmp_path / f"{number}-{name}.png")
        box = what.bounding_box()
        assert 0 < box["y"] < 1000
        assert box["height"] > 0

    picture = shown.locator("img").first
    tab.wait_for_function("img => img.naturalWidth > 300", arg=picture.element_handle())
    see(picture, "figure")

    assert shown.filter(has_text=re.compile(rf"✓ Exercise {number}\.1: right")).count() == 1
    see(shown.filter(has_text=re.compile(rf"[✗○] Exercise {number}\.2: \w")), "hint")

    for question in exercises.texts(number)["questions"]:
        for kind in ("wrong", "right"):
            answer, deserved = next(iter(question[kind].items()))
            exactly = re.compile(rf"^\s*{re.escape(answer)}\s*$")
            shown.locator(".MCButton", has_text=exactly).click()
            see(shown.locator(".Feedback", has_text=deserved), "question")

    tab.evaluate(SHUT_DOWN)
    tab.close()
    elsewhere = [url for url in asked if not url.startswith((home, "data:", "blob:"))]
    assert elsewhere == []  # a classroom may be without network
