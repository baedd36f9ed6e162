"""The page that predicts in the browser: its export, its own steps, and the server."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukhelpers import NOTICE, files
from leukhelpers.backend import keras, tf
from leukhelpers.data.pictures import decode_image
from leukhelpers.errors import InputError
from leukhelpers.evaluation import calibration
from leukhelpers.images.preprocessing import crop_and_resize
from leukhelpers.models import networks, ood
from leukhelpers.serving import export, predict, web
from tests import hostile
from tools import budget, web_runtime

ROOT = Path(__file__).resolve().parents[2]
BIOME = "@biomejs/biome@2.6.8"
CROPS = [(64, 0), (32, 0), (96, 384), (300, 0)]


@pytest.fixture(scope="module")
def page(tiny_run, tmp_path_factory):
    """The page of a tiny network, and what the export returned."""
    folder = tmp_path_factory.mktemp("page") / "page"
    return folder, web.export_web(tiny_run.folder, folder)


def test_the_page_is_small_and_whole(page):
    folder, result = page
    there = [path for path in folder.rglob("*") if path.is_file()]
    assert result["files"] == len(there)
    assert sum(path.stat().st_size for path in there) < web.MAX_TRANSFER
    assert result["cautions"] == []
    assert result["largest_difference"] <= export.TOLERANCE
    listed = files.read_json(folder / "files.json")
    absent = [name for name in listed if not (folder / name).exists()]
    assert absent == []
    names = {path.relative_to(folder).as_posix() for path in there}
    assert names - set(listed) == {"sw.js", "files.json"}


def test_the_page_names_no_other_host(page):
    folder, _ = page
    own = [path for path in folder.iterdir() if path.suffix in (".html", ".js", ".css")]
    assert len(own) > 6
    assert [path.name for path in own if "//" in path.read_text("utf-8").replace("// ", "")] == []
    assert NOTICE in (folder / "index.html").read_text("utf-8")


def test_settings_are_those_that_predict_uses(page, tiny_served):
    settings = files.read_json(page[0] / "settings.json")
    rule = tiny_served.rule
    assert settings["threshold"] == rule.threshold
    assert settings["temperature"] == rule.temperature
    assert settings["conformal"] == [rule.least["HEM"], rule.least["ALL"]]
    assert len(settings["validation"]["scores"]) == rule.chosen_on
    assert settings["known"]["limit"] == tiny_served.known["limit"]
    assert (page[0] / settings["model"]).is_file()
    assert settings["strange"].endswith("; those were BMP, longer side 450 pixels")


def test_the_mean_of_the_activation_map_is_the_logit():
    for n_classes, weights in ((2, 1), (3, 3)):
        network = networks.average_rotations(networks.build_cnn(32, n_classes=n_classes))
        bias = np.linspace(0.1, 0.9, weights)
        kernel, _ = network.get_layer("logit").get_weights()
        networks.put_logit(network, kernel, bias)
        cells = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
        probability, maps = web.activation_map_model(network).predict(cells, verbose=0)
        logits = keras.Model(network.input, network.get_layer("logit").output)
        np.testing.assert_allclose(
            maps.mean(axis=(1, 2)) + bias, logits.predict(cells, verbose=0), atol=1e-5
        )
        np.testing.assert_allclose(probability, network.predict(cells, verbose=0), atol=1e-6)


def test_the_exported_model_has_a_probability_and_a_map(page):
    content = next(page[0].glob("model-*.tflite")).read_bytes()
    outputs = tf.lite.Interpreter(model_content=content).get_output_details()
    assert sorted(len(output["shape"]) for output in outputs) == [2, 4]


def test_what_is_no_network_names_leuk_predict(tiny_svm_run, tmp_path):
    with pytest.raises(InputError, match=r"holds SVM.*use leuk predict"):
        web.export_web(tiny_svm_run.folder, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_used_folder_and_a_copy_that_predicts_otherwise_are_refused(
    tiny_run, tmp_path, monkeypatch
):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        web.export_web(tiny_run.folder, tmp_path)
    monkeypatch.setattr(export, "to_litert", lambda *_: b"")
    monkeypatch.setattr(export, "litert", lambda _: lambda x: np.full(len(x), np.nan))
    with pytest.raises(InputError, match="differs from the run"):
        web.export_web(tiny_run.folder, tmp_path / "page")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_network_too_large_for_a_phone_is_told(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "MAX_TRANSFER", 1000)
    (caution,) = web.export_web(tiny_run.folder, tmp_path / "page")["cautions"]
    assert "too much for a phone" in caution


def test_the_server_hands_out_files_with_their_types_and_nothing_else(page):
    (page[0].parent / "secret.txt").write_text("the secret")
    server = web.serve(page[0], 0)
    try:

        def get(path, method="GET"):
            asked = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            asked.request(method, path)
            reply = asked.getresponse()
            return reply.status, reply.getheader("Content-Type"), reply.read()

        for path, kind in (
            ("/", "text/html"),
            ("/app.js", "text/javascript"),
            ("/page.webmanifest", "application/manifest+json"),
        ):
            status, found, _ = get(path)
            assert (status, found) == (200, kind)
        assert get("/../secret.txt")[0] == 404
        assert get("/", "POST")[0] == 501
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(InputError, match="is taken"):
            web.serve(page[0], server.server_port)
    finally:
        server.shutdown()
        server.server_close()


def test_a_document_for_notebooks_holds_every_file_and_names_no_host(page):
    document = web.one_document(page[0])
    listed = files.read_json(page[0] / "files.json")
    for name in listed:
        if Path(name).suffix in (".js", ".json", ".gz", ".tflite") and name != "sw.js":
            assert f'["{name}", ' in document, name
    policy = re.search(r'content="(default-src.*?)"', document)[1]
    assert "'self'" not in policy
    assert "http" not in policy


def test_the_runtime_is_the_one_of_its_checksums():
    assert web_runtime.faults() == []
    assert "Apache License" in (web_runtime.RUNTIME / "LICENSE").read_text("utf-8")


def test_our_own_script_is_short():
    assert 0 < budget.script_lines() <= 700


def odd_pictures(disc) -> dict[str, bytes]:
    """Files of every kind that the page decodes itself."""
    cell = disc(0)[150:330, 140:300]
    picture = Image.fromarray(cell)
    shade = Image.fromarray(cell[..., 0])
    found = {
        "rgb.bmp": hostile.encoded(picture, "BMP"),
        "rgb.png": hostile.encoded(picture),
        "gray.png": hostile.encoded(shade),
        "wide.png": hostile.encoded(picture.resize((401, 37))),
        "small.png": hostile.encoded(picture.resize((20, 31))),
        "white.png": hostile.encoded(Image.new("RGB", (90, 61), "white")),
        "beyond.png": hostile.encoded(picture.crop((60, 40, 160, 180))),
        **{f"{n}.png": hostile.encoded(Image.fromarray(disc(n, 40 + 9 * n))) for n in range(9)},
    }
    # Pictures that a lossy format has left with a background that is not quite black.
    for quality in (75, 95):
        lossy = Image.open(io.BytesIO(hostile.encoded(picture, "JPEG", quality=quality)))
        found[f"once-jpeg-{quality}.png"] = hostile.encoded(lossy)
    upside_down = bytearray(found["rgb.bmp"])
    upside_down[22:26] = (-cell.shape[0]).to_bytes(4, "little", signed=True)
    return {**found, "top-down.bmp": bytes(upside_down)}


@pytest.fixture
def cases(tmp_path, disc, tiny_served):
    """Files, and what Python makes of each."""
    listed = []
    for name, content in odd_pictures(disc).items():
        (tmp_path / name).write_bytes(content)
        image = decode_image(content)
        crops = []
        for size, crop in CROPS:
            small = crop_and_resize(image, size, crop)
            (numbers,) = ood.describe(small[None])
            sha256 = hashlib.sha256(small.tobytes()).hexdigest()
            crops.append({"size": size, "crop": crop, "sha256": sha256, "numbers": list(numbers)})
        pixels = hashlib.sha256(image.tobytes()).hexdigest()
        listed.append({"file": name, "pixels": pixels, "crops": crops})
    told = {name: words for name, (_, words) in hostile.refused(disc(0)).items() if words}
    told |= {"bomb.png": "longer or wider", "cut.png": "cut short", "cut.bmp": "cut short"}
    told |= {"turned.jpg": "left to the browser: image/jpeg", "script.svg": "not a picture"}
    told |= {"color.png": "left to the browser: image/png"}
    told |= {"palette.png": "left to the browser: image/png"}
    told |= {"palette.bmp": "left to the browser: image/bmp"}
    contents = {name: content for name, (content, _) in hostile.refused(disc(0)).items()}
    contents |= hostile.allowed(disc(0))
    contents["color.png"] = hostile.encoded(Image.fromarray(disc(0)), transparency=(0, 0, 0))
    palette = Image.fromarray(disc(0)).quantize(13)
    contents |= {
        f"palette.{kind}": hostile.encoded(palette, kind.upper()) for kind in ("png", "bmp")
    }
    for name in ("black.png", "clear.png"):  # decoded; refused later
        told.pop(name)
    for name, words in told.items():
        (tmp_path / name).write_bytes(contents[name])
        listed.append({"file": name, "error": words})
    known = tiny_served.known
    some = np.random.default_rng(0).normal(known["mean"], 3 * known["spread"], (20, 23))
    rules = []
    for least in (None, (0.4, 0.4), (0.7, 0.7), (0.3, 0.9)):
        for threshold in (0.2, 0.5, 0.9):
            named = least and {"HEM": least[0], "ALL": least[1]}
            rule = predict.Rule(1.0, threshold, named, 9)
            for probability in np.arange(0, 1.01, 0.05):
                rules.append(
                    {
                        "rule": least,
                        "threshold": threshold,
                        "probability": probability,
                        "called": rule.called(probability),
                        "calibrated": float(calibration.apply_temperature([probability], 1.7)[0]),
                    }
                )
    content = {
        "files": listed,
        "ood": {
            "known": {key: value.tolist() for key, value in known.items()},
            "described": some.tolist(),
            "far": (ood.mahalanobis(known, some) / known["limit"]).tolist(),
        },
        "rules": rules,
    }
    (tmp_path / "cases.json").write_text(json.dumps(content))
    return tmp_path


def test_the_pages_own_steps_do_what_python_does(cases):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = Path(__file__).with_name("page.test.mjs")
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(script)],
        env={**os.environ, "CASES": str(cases)},
        capture_output=True,
        text=True,
    )
    failed = [line for line in done.stdout.splitlines() if "not ok" in line or "message" in line]
    assert done.returncode == 0, "\n".join(failed) or done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_the_script_is_formatted_and_linted():
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("npm is not installed")
    if subprocess.run([npx, "--yes", BIOME, "--version"], capture_output=True).returncode:
        pytest.skip("npm could not fetch Biome")
    options = ["--indent-style=space", "--line-width=100"]
    scripts = [*web.SOURCE.glob("*.js"), Path(__file__).with_name("page.test.mjs")]
    done = subprocess.run(
        [npx, "--yes", BIOME, "ci", *options, *map(str, scripts)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
