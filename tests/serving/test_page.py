from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import requests

from leukhelpers import NOTICE
from leukhelpers.data.pictures import MAX_BYTES
from leukhelpers.errors import InputError
from leukhelpers.experiments import storage
from leukhelpers.serving import guard, page, predict
from tests import hostile

pytestmark = pytest.mark.slow

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


def drawn_whole(tab) -> None:
    """Wait until each control of the page is there; gradio fetches them one by one."""
    for control in ("input[type=file]", "input[type=checkbox]", "text=Predict"):
        tab.wait_for_selector(control, state="attached")
    tab.wait_for_function("!document.body.innerText.includes('Loading...')")


@pytest.fixture
def tab(browser, home):
    asked: list[str] = []
    tab = browser.new_page(viewport={"width": 1100, "height": 800}, accept_downloads=True)
    tab.set_default_timeout(PATIENCE)
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(home)
    drawn_whole(tab)
    yield tab
    tab.close()
    elsewhere = [url for url in asked if not url.startswith((home, "data:", "blob:"))]
    assert elsewhere == []  # no telemetry, no fonts, nothing from anywhere else


def upload(home: str, content: bytes, name: str = "a.bmp", **headers: str) -> requests.Response:
    return requests.post(
        f"{home}/gradio_api/upload", files={"files": (name, content)}, headers=headers, timeout=30
    )


def ask(home: str, paths: list[str], **told: object) -> requests.Response:
    """Ask the page as a program would, past the browser."""
    listed = [{"path": path, "meta": {"_type": "gradio.FileData"}, **told} for path in paths]
    return requests.post(
        f"{home}/gradio_api/run/answer", json={"data": [listed, False]}, timeout=60
    )


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
    assert predict.STRANGE in second.inner_text()
    assert "Probability" not in second.inner_text()
    assert "not a picture" in third.inner_text()
    with tab.expect_download() as saved:
        tab.click("a.csv")
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text("utf-8"))))
    assert [row["file"] for row in rows] == list(names)
    assert rows[0]["notice"] == NOTICE
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
        drawn_whole(phone)
        phone.set_input_files("input[type=file]", next(iter(tmp_path.iterdir())))
        phone.wait_for_selector(".cells li")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 360
        for place in (0, 10_000):
            phone.mouse.wheel(0, place)
            box = phone.get_by_text(NOTICE, exact=True).last.bounding_box()
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
        if "synthetic cells" in reached[-1]:
            break
    assert any("upload" in str(name).lower() for name in reached)
    assert "checkbox" in reached
    assert "synthetic cells" in reached[-1]
    for _ in range(20):  # a page that is still being wired hears no key
        tab.keyboard.press("Enter")
        tab.wait_for_timeout(2000)
        if tab.locator(".cells li").count():
            break
    tab.wait_for_selector(".cells li")
    assert tab.locator(".cells li").count() == len(page.examples())
    assert "synthetic" in tab.locator(".cells li").first.inner_text()


def test_no_file_of_the_machine_can_be_read(home, cell, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    (mine,) = upload(home, cell).json()  # not even what was just handed in
    for path in (str(secret), "/etc/passwd", "/etc/hostname", __file__, mine):
        for way in ("file=", "file/", "proxy=", "stream/", "upload/../file=", "upload/..%2ffile="):
            asked = requests.Request("GET", f"{home}/gradio_api/x").prepare()
            asked.url = f"{home}/gradio_api/{way}{path}"  # as it stands; no dots are resolved
            got = requests.Session().send(asked, timeout=10)
            assert got.status_code in (403, 404)
            assert len(got.text) < 200
    above = f"{Path(mine).parent}/../../../../.."
    gone = f"{Path(mine).parent}/gone.bmp"
    for path in (str(secret), "/etc/passwd", f"{above}{secret}", gone, "a\0b", "a" * 5000, "", "."):
        got = ask(home, [mine, path])
        assert got.status_code == 403
        assert got.text == "This upload is no longer available; send the file again."


@pytest.fixture
def listener():
    """A web server of somebody else, here: whether anybody asked it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(0.5)
        yield other


def nobody_asked(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return True
    return False


def test_addresses_are_never_fetched(home, cell, listener):
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/a.bmp"
    (mine,) = upload(home, cell).json()
    for way in ("file=", "proxy=", "run/../file="):
        asked = requests.Request("GET", home).prepare()
        asked.url = f"{home}/gradio_api/{way}{address}"
        got = requests.Session().send(asked, timeout=10)
        assert (got.status_code, got.text) == (403, "This address is not available.")
    sentence = "URLs are not fetched; upload the file itself."
    for path in (address, "https://example.org/a", "ftp://x/a", "//x/a", "\\\\x\\a", "HTTP://x/a"):
        got = ask(home, [mine, path])
        assert (got.status_code, got.text) == (403, sentence)
    assert ask(home, [mine], url=address).status_code == 403
    assert "Probability" in ask(home, [mine], url=f"{home}/gradio_api/file={mine}").text
    assert nobody_asked(listener)


def test_other_pages_and_other_names_of_this_machine_are_refused(home, port, cell):
    for origin in (
        "https://example.org",
        "null",
        f"http://127.0.0.1:{port + 1}",
        f"http://x:{port}",
    ):
        got = upload(home, cell, Origin=origin)
        assert (got.status_code, got.text) == (403, "Requests from other web pages are refused.")
    assert upload(home, cell, Origin=home).status_code == 200
    assert upload(home, cell, Origin=f"http://localhost:{port}", Host=f"localhost:{port}").ok
    for host in ("example.org", f"example.org:{port}", "127.0.0.1.example.org", "[", ""):
        got = requests.get(home, headers={"Host": host}, timeout=10)
        assert got.status_code in (400, 403)
        assert "Probability" not in got.text


def test_what_the_page_does_not_ask_is_refused_in_a_sentence(home):
    ways = ("queue/join", "call/answer", "component_server", "process_recording", "reset", "cancel")
    for way in (f"gradio_api/{way}" for way in ways):
        got = requests.post(f"{home}/{way}", json={}, timeout=10)
        assert (got.status_code, got.text) == (403, "This address is not available.")
    assert requests.post(home, data="x", timeout=10).text == "This address accepts no data."
    for way in ("monitoring", "config", "login", "gradio_api/info", "gradio_api/heartbeat/x"):
        assert requests.get(f"{home}/{way}", timeout=10).status_code == 403
    run = f"{home}/gradio_api/run/answer"
    for content in (b"not json", b"[" * 100_000, b'{"data":', b"\xff"):
        got = requests.post(run, data=content, timeout=10)
        assert (got.status_code, got.text) == (400, "The request cannot be read.")
    got = requests.post(run, data=b" " * (guard.MAX_QUESTION + 1), timeout=10)
    assert (got.status_code, got.text) == (413, "The request is too long.")


def test_more_questions_than_can_wait_are_refused(home, cell, monkeypatch):
    (mine,) = upload(home, cell).json()
    monkeypatch.setattr(guard, "MAX_WAITING", 0)
    got = ask(home, [mine])
    assert (got.status_code, got.text) == (503, "Too many requests at once; try again in a moment.")


@pytest.mark.parametrize("proxied", [False, True])
def test_only_through_colabs_proxy_other_names_are_no_reason_to_refuse(proxied, tmp_path):
    headers = [(b"host", b"x-colab.example"), (b"origin", b"https://x-colab.example")]
    scope = {"method": "GET", "path": "/", "headers": headers}
    asked, sent = [], []

    async def app(scope: dict, receive: object, send: object) -> None:
        asked.append(scope["type"])

    async def send(message: dict) -> None:
        sent.append(message.get("status", message["type"]))

    guarded = guard.Guard(app, tmp_path, Counter(), set(), proxied)
    for kind in ("http", "websocket"):  # in a thread, since Playwright's loop runs in this one
        ask = threading.Thread(
            target=asyncio.run, args=(guarded({**scope, "type": kind}, None, send),)
        )
        ask.start()
        ask.join()
    assert asked == ["http"] * proxied
    assert sent == [403, "http.response.body"] * (not proxied) + ["websocket.close"]
    question = json.dumps({"data": [{"path": "/a", "url": "https://x-colab.example/file=/a"}]})
    assert guard.named_uploads(question.encode(), "http") == ["/a"]
    with pytest.raises(guard.RefusedError):
        guard.named_uploads(question.encode(), "http://127.0.0.1:7860/")


def test_only_this_machine_is_listened_to_and_nothing_is_shared_or_reported(home, opened, port):
    assert opened.share is False
    assert opened.share_url is None
    assert opened.analytics_enabled is False
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_uploads_are_gone_soon_after_their_answer_and_others_stay(home, opened, cell, disc):
    folder = Path(opened.uploads.name).resolve()
    (other,) = upload(home, hostile.encoded(page.Image.fromarray(disc(7)))).json()
    (path,) = upload(home, cell, "../../x.bmp").json()
    assert Path(path).resolve().is_relative_to(folder)
    assert "Probability" in ask(home, [path]).text
    end = time.monotonic() + 30
    while Path(path).exists():
        assert time.monotonic() < end
        time.sleep(0.2)
    assert Path(other).is_file()
    os.utime(other, (0, 0))  # nobody has asked about it for long
    while Path(other).exists():
        assert time.monotonic() < end
        time.sleep(0.2)
    os.utime(Path(other).parent, (0, 0))  # and its folder has been empty for long
    while Path(other).parent.exists():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_uploads_of_waiting_questions_are_not_swept(home, opened, cell, monkeypatch):
    (path,) = upload(home, cell).json()
    begun, go_on = threading.Event(), threading.Event()
    answers = page.answers

    def slow(served: predict.Served, named: list[tuple[str, bytes]]) -> object:
        begun.set()
        go_on.wait(30)
        return answers(served, named)

    monkeypatch.setattr(page, "answers", slow)
    told: list[str] = []
    asking = threading.Thread(target=lambda: told.append(ask(home, [path]).text))
    asking.start()
    assert begun.wait(30)
    os.utime(path, (0, 0))  # uploaded long ago
    time.sleep(2.5)  # the sweeper comes every second
    assert Path(path).is_file()
    go_on.set()
    asking.join()
    assert "Probability" in told[0]


def test_a_picture_that_comes_again_just_as_it_is_swept_stays(tmp_path, monkeypatch):
    path = tmp_path / "of these pixels" / "a.bmp"
    path.parent.mkdir()
    path.write_bytes(b"old")
    os.utime(path, (0, 0))
    replace = os.replace

    def meanwhile(source: str, target: str) -> None:
        if source == str(path):
            path.write_bytes(b"new")
        replace(source, target)

    monkeypatch.setattr(os, "replace", meanwhile)
    page.sweep(tmp_path, page.Counter(), {str(path)})
    assert path.read_bytes() == b"new"
    monkeypatch.setattr(os, "replace", replace)
    os.utime(path, (0, 0))
    answered = {str(path)}
    page.sweep(tmp_path, page.Counter(), answered)
    assert not answered
    # Gradio makes the folder of a picture a moment before it moves the picture there.
    assert path.parent.is_dir()
    assert not path.exists()
    os.utime(path.parent, (0, 0))
    page.sweep(tmp_path, page.Counter(), answered)
    assert not path.parent.exists()


def test_too_large_and_too_many_uploads_are_refused(home, cell):
    big = upload(home, bytes(MAX_BYTES + 1))
    assert big.status_code == 413
    (path,) = upload(home, cell).json()
    assert "too many" in ask(home, [path] * (page.MAX_FILES + 1)).text


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
    answered = sum(told.get("answer") is not None for told, _ in found)
    assert f">{answered} of {len(named)} predicted." in shown
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
    assert page.called({"answer": None}) == "No prediction"
    assert page.called({"error": "x"}) == "Not read"
    assert "validation cells" in page.about(tiny_served)
    parts = storage.read_parts(tiny_served.run.folder)
    held_out = parts.loc[parts["part"] == "test", "subject"].nunique()
    assert f"{14 - held_out} of its 14 subjects" in page.about(tiny_served)
    assert "not calibrated" in page.about(tiny_served._replace(rule=predict.Rule()))


def test_latest_run_is_the_one_finished_last(tmp_path):
    with pytest.raises(InputError, match="make course"):
        storage.latest_run(tmp_path)
    for number, name in enumerate(("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
        os.utime(tmp_path / name / "run.json", (number, number))
    assert storage.latest_run(tmp_path).name == "a"


def test_overlay_without_anything_to_show_says_so(tiny_served):
    picture = np.full((32, 32, 3), 90, np.uint8)
    told = {"file": "x", "answer": "HEM", "why": None, "distance": 0.5, "milliseconds": 1.0}
    assert "no evidence for" in page.as_html(tiny_served, [(told, picture)], lambda picture: None)
