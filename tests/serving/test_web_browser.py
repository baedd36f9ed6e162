"""The page in a real browser: it predicts as `leuk predict` does, and sends nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from leukhelpers import NOTICE
from leukhelpers.images.preprocessing import crop_and_resize
from leukhelpers.models import networks, registry
from leukhelpers.serving import predict, web
from leukhelpers.synthetic.twin import draw_cell, plan_twin
from tests import hostile

pytestmark = pytest.mark.slow

PATIENCE = 120_000  # milliseconds; other tests run beside these
TOLERANCE = 1e-3  # of a probability


@pytest.fixture(scope="module")
def folder(tiny_run, tmp_path_factory):
    """The page of a tiny network."""
    folder = tmp_path_factory.mktemp("page") / "page"
    web.export_web(tiny_run.folder, folder)
    return folder


@pytest.fixture(scope="module")
def home(folder):
    server = web.serve(folder, 0)
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def cell(tiny_prepared):
    return (tiny_prepared.dataset.root / tiny_prepared.table["path"].iloc[0]).read_bytes()


def opened(context, url):
    """Open the page, and wait until it is ready."""
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.goto(url)
    tab.locator("#status", has_text="Ready").wait_for()
    return tab


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    yield context
    context.close()


@pytest.fixture
def tab(context, home):
    return opened(context, home)


def run_script(tab, expression):
    """Evaluate a script as the browser's console does: the page's own policy forbids `eval`."""
    asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
    answer = tab.context.new_cdp_session(tab).send("Runtime.evaluate", asked)
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return answer["result"].get("value")


def predict_in(tab, paths):
    """Hand files to the page; return the rows of its CSV, one per file."""
    before = tab.locator("#results li").count()
    tab.set_input_files("#files", paths)
    tab.locator("#results li").nth(before + len(paths) - 1).wait_for(state="attached")
    tab.locator("#status", has_text=f"of {before + len(paths)} predicted").wait_for()
    with tab.expect_download() as saved:
        tab.click("#save")
    text = Path(saved.value.path()).read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))[before:]


def compared(tab, served, paths):
    """Predict files in both ways; return the largest difference, and how many were refused."""
    differences, refused = [0.0], 0
    expected = predict.predict_files(served, paths)
    for path, there, here in zip(paths, predict_in(tab, paths), expected, strict=True):
        assert there["file"] == path.name
        assert (there["error"] != "") == ("error" in here), there
        if "error" in here:
            continue
        assert (there["why"] == "") == (here["why"] is None), (there, here)
        assert there["answer"] == (here["answer"] or "")
        assert float(there["distance"]) == pytest.approx(here["distance"], rel=1e-3, abs=2e-4)
        refused += here["distance"] > 1
        if here["distance"] <= 1:
            probability = float(there["probability of ALL"])
            differences.append(abs(probability - here["probability_all"]))
    return max(differences), refused


@pytest.fixture(scope="module")
def two_hundred(tmp_path_factory, disc):
    """Synthetic cells in every format of the page: 160 discs, and 40 that no disc resembles."""
    place = tmp_path_factory.mktemp("cells")
    plan = plan_twin(60, 14, seed=1)
    pictures = [disc(900 + n, 40 + n % 20) for n in range(160)]
    pictures += [draw_cell(plan.iloc[n], 1)[0] for n in range(40)]
    forms = [("bmp", {}), ("png", {}), ("jpg", {"quality": 92}), ("webp", {"lossless": True})]
    paths = []
    for number, picture in enumerate(pictures):
        suffix, options = forms[number % 4]
        paths.append(place / f"cell-{number}.{suffix}")
        Image.fromarray(picture).save(paths[-1], **options)
    return paths


def test_two_hundred_synthetic_cells_are_predicted_as_by_leuk_predict(
    tab, tiny_served, two_hundred
):
    difference, refused = compared(tab, tiny_served, two_hundred)
    assert difference <= TOLERANCE
    assert 20 <= refused <= 180  # both decisions were compared


def test_real_cells_are_predicted_as_by_leuk_predict(
    context, folder, tiny_served, shared_data, tmp_path
):
    """The tiny network knows no real cells, so the limit is set to let half of them pass."""
    raw = sorted((shared_data / "cnmc_raw_sample").rglob("*.bmp"))
    fold = sorted((shared_data / "cnmc").rglob("fold_0/*/*.png"))
    paths = [*raw, *fold[:: len(fold) // 200][:200]]
    assert len(paths) > 300
    known = {**tiny_served.known}
    far = [predict.look_at_file(tiny_served, path)[0]["distance"] for path in paths]
    middle = np.sort(far)[len(far) // 3 : -len(far) // 3]
    gap = np.argmax(np.diff(middle))
    known["limit"] = known["limit"] * middle[gap : gap + 2].mean()  # at no cell's own distance
    page = shutil.copytree(folder, tmp_path / "page")
    settings = json.loads((page / "settings.json").read_text("utf-8"))
    settings["known"]["limit"] = float(known["limit"])
    (page / "settings.json").write_text(json.dumps(settings), "utf-8")
    server = web.serve(page, 0)
    try:
        tab = opened(context, f"http://127.0.0.1:{server.server_port}/")
        difference, refused = compared(tab, tiny_served._replace(known=known), paths)
    finally:
        server.shutdown()
        server.server_close()
    assert difference <= TOLERANCE
    assert 0.3 < refused / len(paths) < 0.7


@pytest.fixture
def listener():
    """A web server of somebody else, on this computer: what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/", asked=asked)
    server.shutdown()
    server.server_close()


def test_nothing_leaves_the_page_even_to_a_host_that_can_be_reached(
    context, home, folder, listener, two_hundred
):
    requests = []
    context.on("request", lambda request: requests.append((request.method, request.url)))
    tab = opened(context, home)
    before = len(requests)
    predict_in(tab, two_hundred[:8])
    tab.click("#examples")
    tab.locator("#results li").nth(13).wait_for()
    own = {f"{home}{name}" for name in json.loads((folder / "files.json").read_text("utf-8"))}
    own |= {home, f"{home}files.json"}
    assert before > 8
    for method, url in requests:
        assert method == "GET"
        assert url.startswith("blob:") or url.partition("?")[0] in own | {f"{home}sw.js"}, url
    # The same page could reach the other server, if its policy did not forbid it.
    reached = run_script(
        tab,
        f"""(async () => {{
            const ways = [
              () => fetch("{listener.url}fetch", {{ mode: "no-cors" }}),
              () => fetch("{listener.url}post", {{ method: "POST", body: "cell" }}),
              () => import("{listener.url}script.js"),
              () => new Promise((done, failed) => {{
                const image = new Image();
                Object.assign(image, {{ onload: done, onerror: failed, src: "{listener.url}i" }});
              }}),
              () => new Promise((done, failed) => {{
                const socket = new WebSocket("{listener.url}".replace("http", "ws"));
                Object.assign(socket, {{ onopen: done, onerror: failed }});
              }}),
            ];
            const found = [];
            for (const way of ways) found.push(await way().then(() => true, () => false));
            navigator.sendBeacon("{listener.url}beacon", "cell");
            return found;
        }})()""",
    )
    assert reached == [False] * 5
    time.sleep(1)
    assert listener.asked == []
    other = context.new_page()
    other.goto(listener.url)  # and it can be reached
    assert "/" in listener.asked


def test_it_works_without_a_network_after_the_first_load(context, folder, cell, tmp_path):
    (tmp_path / "cell.bmp").write_bytes(cell)
    server = web.serve(folder, 0)
    tab = opened(context, f"http://127.0.0.1:{server.server_port}/")
    run_script(tab, "navigator.serviceWorker.ready.then(() => true)")
    (wanted,) = predict_in(tab, [tmp_path / "cell.bmp"])
    server.shutdown()
    server.server_close()
    context.set_offline(True)
    for address in ("", "index.html"):
        tab.goto(f"http://127.0.0.1:{server.server_port}/{address}")
        tab.locator("#status", has_text="Ready").wait_for()
    (found,) = predict_in(tab, [tmp_path / "cell.bmp"])
    assert found | {"milliseconds": ""} == wanted | {"milliseconds": ""}
    tab.click("#examples")
    tab.locator("#results li").nth(6).wait_for()


def test_it_can_be_installed_as_an_app(tab, home):
    found = tab.context.new_cdp_session(tab).send("Page.getInstallabilityErrors")
    faults = [fault["errorId"] for fault in found["installabilityErrors"]]
    assert set(faults) <= {"in-incognito"}  # as every window of this test is


def test_the_copied_folder_works_on_a_server_without_packages(context, folder, cell, tmp_path):
    (tmp_path / "cell.bmp").write_bytes(cell)
    copied = shutil.copytree(folder, tmp_path / "copied")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bare = [sys.executable, "-I", "-S", "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(bare, cwd=copied, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(port)
            tab = opened(context, f"http://127.0.0.1:{port}/")
            (found,) = predict_in(tab, [tmp_path / "cell.bmp"])
            assert found["error"] == ""
        finally:
            server.terminate()


def wait_for(port):
    for _ in range(600):
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("no server")


def test_in_a_notebook_the_page_is_one_document_that_asks_nobody(
    context, home, folder, tab, two_hundred, monkeypatch
):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    web.show(folder)
    wanted = predict_in(tab, two_hundred[:4])
    requests = []
    context.on("request", lambda request: requests.append(request.url))
    notebook = context.new_page()
    notebook.set_default_timeout(PATIENCE)
    notebook.set_content(shown[0]["text/html"])
    page = notebook.frame_locator("iframe")
    page.locator("#status", has_text="Ready").wait_for()
    page.locator("#examples").click()
    page.locator("#results li").nth(5).wait_for()
    page.locator("#files").set_input_files(two_hundred[:4])
    page.locator("#results li").nth(9).wait_for()
    for row, item in zip(wanted, page.locator("#results li").all()[6:], strict=True):
        assert row["file"] in item.inner_text()
        if row["probability of ALL"]:
            assert f"ALL {float(row['probability of ALL']):.0%}" in item.inner_text()
    assert [url for url in requests if not url.startswith(("blob:", "about:", "data:"))] == []


def test_every_hostile_file_gets_its_sentence_and_the_page_goes_on(tab, disc, cell, tmp_path):
    refused = hostile.refused(disc(0))
    # What no browser tells, or tells in other words; gray and color-mapped files are read.
    words = {
        "bomb.png": "longer or wider",
        "cut.png": "cut short",
        "cut.bmp": "cut short",
        "one.png": "not a cell",
        "script.svg": "not a picture",
    }
    paths = []
    for name, (content, _) in refused.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    extra = {
        "cut.jpg": (hostile.encoded(Image.fromarray(disc(0)), "JPEG")[:4000], "cut short"),
        "cut.webp": (hostile.encoded(Image.fromarray(disc(0)), "WEBP")[:900], "cut short"),
        "moving.webp": (
            hostile.encoded(
                Image.fromarray(disc(0)),
                "WEBP",
                save_all=True,
                append_images=[Image.fromarray(disc(1))],
            ),
            "several frames",
        ),
        "noise.jpg": (b"\xff\xd8\xff\xe0" + bytes(500), "damaged"),
        "huge.bmp": (bytes(20_000_001), "too large"),
    }
    for name, (content, _) in extra.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    (tmp_path / "a cell.bmp").write_bytes(cell)
    *rows, good = predict_in(tab, [*paths, tmp_path / "a cell.bmp"])
    expected = {name: words.get(name, told) for name, (_, told) in (refused | extra).items()}
    for path, row in zip(paths, rows, strict=True):
        told = row["error"] or row["why"]
        assert expected[path.name] in told, path.name
        assert "\n" not in told
    assert good["error"] == ""
    assert float(good["distance"]) <= 1


def test_odd_files_that_hold_a_cell_are_predicted_as_by_leuk_predict(
    tab, tiny_served, disc, tmp_path
):
    odd = hostile.allowed(disc(0))
    picture = Image.fromarray(disc(0))
    odd["color.png"] = hostile.encoded(picture, transparency=(0, 0, 0))
    odd["see-through.webp"] = hostile.encoded(picture.convert("RGBA"), "WEBP", lossless=True)
    odd["lossy.webp"] = hostile.encoded(picture, "WEBP", quality=90)
    odd["progressive.jpg"] = hostile.encoded(picture, "JPEG", progressive=True, quality=95)
    odd["profile.jpg"] = hostile.encoded(picture, "JPEG", icc_profile=bytes(200), quality=95)
    odd["gray.jpg"] = hostile.encoded(picture.convert("L"), "JPEG")
    paths = []
    for name, content in odd.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    difference, _ = compared(tab, tiny_served, paths)
    assert difference <= TOLERANCE


def test_names_are_shown_as_text_and_keep_their_direction(tab, cell, tmp_path):
    names = [name for name in hostile.NAMES if name and "/" not in name]
    for name in names:
        (tmp_path / name).write_bytes(cell)
    predict_in(tab, [tmp_path / name for name in names])
    assert tab.locator("#results img, #results script").count() == 0
    shown = tab.locator("#results bdi").all_inner_texts()
    assert len(shown) == len(names)
    assert any("<img src=x onerror=alert(1)>.png" in name for name in shown)
    assert not any("\u202e" in name for name in shown)
    assert run_script(tab, "getComputedStyle(document.querySelector('bdi')).unicodeBidi") in (
        "isolate",
        "plaintext",
    )


def test_csv_holds_no_formula(tab, cell, tmp_path):
    (tmp_path / "=HYPERLINK(1).bmp").write_bytes(cell)
    (row,) = predict_in(tab, [tmp_path / "=HYPERLINK(1).bmp"])
    assert row["file"] == "'=HYPERLINK(1).bmp"
    assert NOTICE in row["notice"]


def test_the_threshold_moves_predictions_and_rates(tab, cell, tmp_path):
    (tmp_path / "cell.bmp").write_bytes(cell)
    before = predict_in(tab, [tmp_path / "cell.bmp"])[0]
    rates = {}
    for value in (1, 99):
        tab.locator("#threshold").fill(str(value))
        text = tab.inner_text("#point")
        rates[value] = [int(n) for n in re.findall(r"(?:sensitivity|specificity) (\d+)%", text)]
        assert f"From {value}% on" in text
    assert rates[1][0] >= rates[99][0]
    assert rates[1][1] <= rates[99][1]
    tab.click("#clear")
    assert tab.locator("#results li").count() == 0
    after = predict_in(tab, [tmp_path / "cell.bmp"])[0]
    assert after["probability of ALL"] == before["probability of ALL"]
    assert float(after["threshold"]) == pytest.approx(0.99, abs=1e-3)


def test_near_the_threshold_there_is_no_prediction_and_the_reason_is_named(
    context, folder, tiny_served, disc, tmp_path
):
    """The least probability of each class is set so that no cell can have a prediction."""
    Image.fromarray(disc(0)).save(tmp_path / "cell.png")
    page = shutil.copytree(folder, tmp_path / "page")
    settings = json.loads((page / "settings.json").read_text("utf-8"))
    settings["conformal"] = [0.0, 0.0]
    (page / "settings.json").write_text(json.dumps(settings), "utf-8")
    server = web.serve(page, 0)
    try:
        tab = opened(context, f"http://127.0.0.1:{server.server_port}/")
        (row,) = predict_in(tab, [tmp_path / "cell.png"])
        shown = tab.locator("#results li").inner_text()
    finally:
        server.shutdown()
        server.server_close()
    unsure = tiny_served._replace(rule=tiny_served.rule._replace(least={"HEM": 0.0, "ALL": 0.0}))
    (expected,) = predict.predict_files(unsure, [tmp_path / "cell.png"])
    assert expected["answer"] is None
    assert row["answer"] == ""
    assert row["why"] == expected["why"] == "the probability is too close to the threshold"
    assert row["probability of ALL"] != ""
    assert "No prediction" in shown
    assert row["why"] in shown.lower()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_heat_map_shows_evidence_for_all_where_there_is_some(
    context, tiny_run, disc, tmp_path, monkeypatch, sign
):
    """With the other sign of the weights, evidence for ALL is where it was for HEM."""
    network = registry.load_model(tiny_run.folder)
    kernel, bias = network.get_layer("logit").get_weights()
    networks.put_logit(network, sign * kernel, sign * bias)
    monkeypatch.setattr(registry, "load_model", lambda _: network)
    Image.fromarray(disc(0)).save(tmp_path / "cell.png")
    web.export_web(tiny_run.folder, tmp_path / "page")
    (view,) = predict.load(tiny_run.folder).views
    cell = crop_and_resize(disc(0), *view)[None].astype(np.float32)
    _, maps = web.activation_map_model(network).predict(cell, verbose=0)
    server = web.serve(tmp_path / "page", 0)
    try:
        tab = opened(context, f"http://127.0.0.1:{server.server_port}/")
        predict_in(tab, [tmp_path / "cell.png"])
        share_with_heat = run_script(
            tab,
            """(() => {
                const [cell, heat] = [...document.querySelectorAll("#results canvas")].map((c) =>
                    c.getContext("2d").getImageData(0, 0, c.width, c.height).data);
                return cell.filter((value, i) => value !== heat[i]).length / cell.length;
            })()""",
        )
    finally:
        server.shutdown()
        server.server_close()
    assert (share_with_heat > 0.01) == (maps.max() > 0)


def test_progress_is_shown_while_many_pictures_are_predicted(tab, two_hundred):
    run_script(
        tab,
        """globalThis.seen = []; new MutationObserver(() => {
            const { hidden, value, max } = document.getElementById("progress");
            globalThis.seen.push([hidden, value, max]);
        }).observe(document.getElementById("progress"), { attributes: true }); true""",
    )
    predict_in(tab, two_hundred[:60])
    seen = run_script(tab, "globalThis.seen")
    values = [value for hidden, value, most in seen if not hidden and most == 60]
    assert len(set(values)) >= 5
    assert values == sorted(values)
    assert tab.locator("#progress").is_hidden()


def test_pictures_are_dropped_and_pasted(tab, cell):
    script = f"""
        const file = new File([new Uint8Array({list(cell)})], "NAME.bmp");
        const data = new DataTransfer();
        data.items.add(file);
    """
    events = {
        "dropped": 'new DragEvent("drop", {dataTransfer: data, bubbles: true})',
        "pasted": 'new ClipboardEvent("paste", {clipboardData: data, bubbles: true})',
    }
    for number, (name, event) in enumerate(events.items()):
        made = script.replace("NAME", name)
        run_script(tab, f"{{{made} document.body.dispatchEvent({event}); }}")
        tab.locator("#results li").nth(number).wait_for()
        assert f"{name}.bmp" in tab.locator("#results li").nth(number).inner_text()


def test_every_control_is_reached_and_used_by_keyboard(tab):
    reached = []
    for _ in range(8):
        tab.keyboard.press("Tab")
        reached.append(run_script(tab, "document.activeElement.id"))
    assert [name for name in reached if name][:4] == ["files", "examples", "threshold", "heat"]
    tab.focus("#examples")
    tab.keyboard.press("Enter")
    tab.locator("#results li").nth(5).wait_for()
    tab.focus("#threshold")
    value = tab.input_value("#threshold")
    tab.keyboard.press("ArrowRight")
    assert float(tab.input_value("#threshold")) == float(value) + 1
    tab.focus("#heat")
    tab.keyboard.press("Space")
    assert tab.locator("#results .heat").first.is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_notice_is_in_sight_and_nothing_is_cut_off(
    browser, home, cell, tmp_path, scheme
):
    (tmp_path / ("a-long-name-" * 8 + ".bmp")).write_bytes(cell)
    phone = browser.new_context(
        viewport={"width": 360, "height": 640}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    tab = opened(phone, home)
    predict_in(tab, list(tmp_path.iterdir()))
    assert run_script(tab, "document.documentElement.scrollWidth") <= 360
    assert tab.get_by_text("Take a photograph").is_visible()
    for place in (0, 10_000):
        run_script(tab, f"scrollTo(0, {place})")
        box = tab.locator("#notice").bounding_box()
        assert 0 <= box["y"] <= 640 - box["height"] + 1
    color = run_script(tab, "getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", color))) < 128) == (scheme == "dark")
    phone.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The checks of accessibility of axe-core, fetched by npm."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("npm is not installed")
    command = [npm, "install", "--silent", "--no-audit", "--prefix", str(folder), "axe-core@4"]
    if subprocess.run(command, capture_output=True, timeout=300).returncode:
        pytest.skip("npm could not fetch axe-core")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_axe_finds_no_fault(browser, home, axe, scheme, width):
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    tab = opened(context, home)
    tab.click("#examples")
    tab.locator("#results li").nth(5).wait_for()
    run_script(tab, f"{axe}; true")
    found = run_script(tab, "axe.run().then(({violations}) => JSON.stringify(violations))")
    faults = [(fault["id"], [n["html"] for n in fault["nodes"]]) for fault in json.loads(found)]
    assert faults == []
    context.close()


def test_leuk_app_opens_the_page_and_leaves_nothing_behind(context, tiny_run, tmp_path, port):
    command = [sys.executable, "-m", "leukhelpers.cli", "app", "--run", str(tiny_run.folder)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*command, "--port", str(port)], env=environment, stderr=subprocess.PIPE, text=True
    ) as app:
        wait_for(port)
        opened(context, f"http://127.0.0.1:{port}/")
        app.terminate()
        _, errors = app.communicate(timeout=60)
    assert app.returncode == 130
    assert "Traceback" not in errors
    assert list(tmp_path.glob("leuk-page-*")) == []
