from __future__ import annotations

import csv
import io
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import requests

from leukhelpers import page, runs, serve
from leukhelpers.cells import InputError
from tests import hostile

PATIENCE = 120_000  # milliseconds; other tests run beside these


@pytest.fixture(scope="module")
def cell(tiny_prepared):
    return (tiny_prepared.dataset.root / tiny_prepared.table["path"].iloc[0]).read_bytes()


@pytest.fixture(scope="module")
def opened(tiny_served, port):
    before = {name: os.environ.get(name) for name in ("GRADIO_TEMP_DIR", "LEUK_HOME")}
    shown = page.launch(tiny_served, port, block=False)
    yield shown
    shown.close()
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def home(opened, port):
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def tab(browser, home):
    asked: list[str] = []
    tab = browser.new_page(viewport={"width": 1100, "height": 800}, accept_downloads=True)
    tab.set_default_timeout(PATIENCE)
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(home)
    tab.wait_for_selector("input[type=file]", state="attached")
    yield tab
    tab.close()
    elsewhere = [url for url in asked if not url.startswith((home, "data:", "blob:"))]
    assert elsewhere == []  # no telemetry, no fonts, nothing from anywhere else


def ask(home: str, paths: list[str]) -> str:
    """Ask the page as a program would, past the browser."""
    listed = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]
    api = f"{home}/gradio_api/call/answer"
    event = requests.post(api, json={"data": [listed, False]}, timeout=30).json()["event_id"]
    return requests.get(f"{api}/{event}", timeout=60).text


def test_dropped_pictures_are_answered_with_overlay_refusal_and_csv(tab, cell, tmp_path):
    (tmp_path / "a cell.bmp").write_bytes(cell)
    (tmp_path / "white.png").write_bytes(
        hostile.encoded(page.Image.new("RGB", (300, 200), (255, 255, 255)))
    )
    (tmp_path / "letter.txt").write_text("Dear Sir")
    names = ("a cell.bmp", "white.png", "letter.txt")
    tab.set_input_files("input[type=file]", [tmp_path / name for name in names])
    tab.wait_for_selector(".cells li")
    first, second, third = tab.locator(".cells li").all()
    assert "Probability of ALL" in first.inner_text()
    assert "Grad-CAM" in first.inner_html()
    assert serve.STRANGE in second.inner_text()
    assert "Probability" not in second.inner_text()
    assert "not a picture" in third.inner_text()
    with tab.expect_download() as saved:
        tab.click("a.csv")
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text("utf-8"))))
    assert [row["file"] for row in rows] == list(names)
    assert rows[0]["notice"] == serve.NOTICE
    assert rows[1]["probability_all"] == ""
    # The page takes the next picture.
    tab.set_input_files("input[type=file]", [tmp_path / "a cell.bmp"])
    tab.wait_for_function("document.querySelectorAll('.cells li').length == 1")


def test_notice_is_in_sight_on_a_phone_and_nothing_is_cut_off(browser, home, cell, tmp_path):
    (tmp_path / ("a-long-name-" * 8 + ".bmp")).write_bytes(cell)
    for scheme in ("light", "dark"):
        phone = browser.new_page(viewport={"width": 360, "height": 640}, color_scheme=scheme)
        phone.set_default_timeout(PATIENCE)
        phone.goto(home)
        phone.wait_for_selector("input[type=file]", state="attached")
        phone.set_input_files("input[type=file]", next(iter(tmp_path.iterdir())))
        phone.wait_for_selector(".cells li")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 360
        for place in (0, 10_000):
            phone.mouse.wheel(0, place)
            box = phone.get_by_text(serve.NOTICE, exact=True).last.bounding_box()
            assert 0 <= box["y"] < 640 - box["height"] + 1
        dark = phone.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, dark[4:-1].split(","))) < 128) == (scheme == "dark")
        phone.close()


def test_every_control_is_reached_and_used_by_keyboard(tab):
    reached = []
    for _ in range(6):
        tab.keyboard.press("Tab")
        active = "document.activeElement"
        reached.append(tab.evaluate(f"{active}.ariaLabel || {active}.innerText || {active}.type"))
        if "drawn cells" in reached[-1]:
            break
    assert any("upload" in str(name).lower() for name in reached)
    assert "checkbox" in reached
    assert "drawn cells" in reached[-1]
    tab.wait_for_timeout(2000)  # a page that is still being wired hears no key
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".cells li")
    assert tab.locator(".cells li").count() == len(page.examples())
    assert "synthetic" in tab.locator(".cells li").first.inner_text()


def test_no_file_of_the_machine_can_be_read(home, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    for path in (str(secret), "/etc/hostname", f"../../..{secret}", __file__):
        got = requests.get(f"{home}/gradio_api/file={path}", timeout=10)
        assert got.status_code in (403, 404)
        assert "the secret" not in got.text
        assert "complete" not in ask(home, [path])


def test_only_this_machine_is_listened_to(home, opened, port):
    assert opened.share is False
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_uploads_are_gone_soon_after_their_answer(home, opened, cell):
    uploaded = requests.post(
        f"{home}/gradio_api/upload", files={"files": ("../../x.bmp", cell)}, timeout=10
    )
    folder = Path(opened.uploads.name).resolve()
    (path,) = uploaded.json()
    assert Path(path).resolve().is_relative_to(folder)
    assert "Probability" in ask(home, [path])
    end = time.monotonic() + 30
    while any(file.is_file() for file in folder.rglob("*")):
        assert time.monotonic() < end
        time.sleep(0.2)


def test_too_large_and_too_many_uploads_are_refused(home, cell):
    big = requests.post(
        f"{home}/gradio_api/upload",
        files={"files": ("big.bmp", bytes(serve.MAX_BYTES + 1))},
        timeout=30,
    )
    assert big.status_code == 413
    (path,) = requests.post(
        f"{home}/gradio_api/upload", files={"files": ("a.bmp", cell)}, timeout=10
    ).json()
    assert "too many" in ask(home, [path] * (page.MAX_FILES + 1))


def test_a_taken_port_is_one_sentence(tiny_served, home, port):
    with pytest.raises(InputError, match="is taken"):
        page.launch(tiny_served, port, block=False)


def test_csv_holds_the_probability_of_every_class_and_leaves_empty_text_empty():
    told = {"file": "a.png", "answer": "AML", "why": "", "probabilities": {"x": 0.1, "AML": 0.9}}
    (row,) = csv.DictReader(io.StringIO(page.as_csv([(told, None)])))
    assert (row["probability of x"], row["probability of AML"]) == ("0.1", "0.9")
    assert row["why"] == ""


def test_hostile_files_and_names_leave_no_markup_and_no_formula(tiny_served, disc):
    bad = hostile.refused(disc(0))
    named = [(name, disc_bytes) for name, (disc_bytes, _) in bad.items()]
    named += [(name, hostile.encoded(page.Image.fromarray(disc(1)))) for name in hostile.NAMES]
    found = page.answers(tiny_served, named)
    assert len(found) == len(named)
    shown = page.as_html(tiny_served, found)
    assert "<script" not in shown
    assert "<img src=x" not in shown
    assert "\u202e" not in shown
    assert "/etc/" not in shown
    rows = list(csv.DictReader(io.StringIO(page.as_csv(found))))
    assert len(rows) == len(named)
    for row in rows:
        assert not row["file"].startswith(("=", "+", "-", "@"))
        assert "\n" not in row["file"]


def test_an_unforeseen_error_is_one_sentence_on_the_page(tiny_served, tmp_path, monkeypatch):
    pytest.importorskip("gradio")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret path /home/me")

    monkeypatch.setattr(page, "answers", broken)
    shown = page.build(tiny_served, tmp_path)
    (example,) = [fn for fn in shown.fns.values() if fn.api_name == "examples"]
    told = example.fn(False)
    assert "went wrong" in told
    assert "secret" not in told


def test_nothing_outside_the_upload_folder_is_read(tmp_path):
    (tmp_path / "uploads").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    assert page._read(tmp_path / "uploads" / ".." / "mine.txt", tmp_path / "uploads")[1] == b""


def test_answers_in_words(tiny_served):
    assert page.called({"answer": "ALL"}) == "Leukemic (ALL)"
    assert page.called({"answer": "HEM"}) == "Healthy (HEM)"
    assert page.called({"answer": None}) == "No answer"
    assert page.called({"error": "x"}) == "Not read"
    assert "validation cells" in page.about(tiny_served)
    assert "not calibrated" in page.about(tiny_served._replace(rule=serve.Rule()))


def test_latest_run_is_the_one_finished_last(tmp_path):
    with pytest.raises(InputError, match="make course"):
        runs.latest_run(tmp_path)
    for number, name in enumerate(("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
        os.utime(tmp_path / name / "run.json", (number, number))
    assert runs.latest_run(tmp_path).name == "a"


def test_overlay_without_anything_to_show_says_so(tiny_served):
    picture = np.full((32, 32, 3), 90, np.uint8)
    told = {"file": "x", "answer": "HEM", "why": None, "distance": 0.5, "milliseconds": 1.0}
    assert "nothing in this cell" in page.as_html(
        tiny_served, [(told, picture)], lambda picture: None
    )
