"""The web page: a folder of static files that predicts in the browser, and a server for it.

The page's own files are in ``leukhelpers/web/``. An export adds the network, as a LiteRT model with
the class activation map as second output, and what was chosen on validation cells as JSON. No
picture is uploaded: the server hands out files, and takes nothing.
"""

import base64
import functools
import hashlib
import html
import http.server
import json
import re
import shutil
import threading
import time
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from leukhelpers import NOTICE, files
from leukhelpers.backend import keras
from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.errors import InputError
from leukhelpers.experiments import storage
from leukhelpers.experiments.predictions import columns_of_run
from leukhelpers.models import registry, training
from leukhelpers.serving import export, predict
from leukhelpers.synthetic.twin import draw_cell, plan_twin

SOURCE = Path(__file__).resolve().parent.parent / "web"
MAX_TRANSFER = 6_000_000  # bytes; a page for a phone should not be larger
_COLORS = 32  # of the heat map
# What a page in one document may read: itself, and no host at all.
_DOCUMENT_POLICY = (
    "default-src 'none'; script-src blob: 'unsafe-inline' 'wasm-unsafe-eval'; "
    "style-src 'unsafe-inline'; connect-src blob:; img-src data: blob:"
)
# The page's scripts, each after those that it imports.
_MODULES = (
    *("decode.js", "ood.js", "background.js", "prepare.js", "rule.js", "runtime/wasm-utils.js"),
    *("runtime/litert.js", "runtime/litert_wasm_compat_internal.js", "model.js", "app.js"),
    "inline.js",
)
_TYPES = {".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm"}
_TYPES |= {".webmanifest": "application/manifest+json"}
_EXAMPLES = 3  # synthetic cells of each class


def activation_map_model(model: keras.Model) -> keras.Model:
    """Give a network its class activation map as a second output.

    Parameters
    ----------
    model : keras.Model
        Ends with feature maps, the layer ``mean`` and the dense layer ``logit``.

    Returns
    -------
    keras.Model
        Outputs: the probabilities of `model`, and maps of shape (n, height, width, n_outputs),
        the feature maps weighted as in the logit. The mean of a map plus the bias is the logit.

    Notes
    -----
    Zhou et al., "Learning deep features for discriminative localization", CVPR 2016.
    """
    maps = model.get_layer("mean").input
    return keras.Model(model.input, [model.output, maps @ model.get_layer("logit").kernel])


def export_web(run_folder: Path | str, out: Path | str) -> dict[str, Any]:
    """Write a run's network as a web page that predicts in the browser.

    Parameters
    ----------
    run_folder : path
        A finished run of a network.
    out : path
        Folder for the page, a new or an empty one. Any web server can hand it out.

    Returns
    -------
    dict
        ``run``; ``folder``; ``classes``; ``files`` and ``bytes``, how many there are;
        ``largest_difference`` of a probability from the network's, on training cells;
        ``synthetic``; ``cautions``; ``notice``.

    Raises
    ------
    InputError
        If the run holds no network, `out` is used, or the copy predicts otherwise.
    """
    run, out = export.read_network_run(run_folder), Path(out)
    files.refuse_used(out)
    model = registry.load_model(run.folder)
    content = export.to_litert(activation_map_model(model))
    served = predict.load(run_folder, ask=export.litert(content))
    some = run.background
    predicted = training.predict(model, some)
    difference = export.largest_difference(run, served.ask, predicted, some)
    with files.new_folder(out) as folder:
        shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
        digest = hashlib.sha256(content).hexdigest()[:12]
        (folder / f"model-{digest}.tflite").write_bytes(content)
        about = settings(served) | {
            "model": f"model-{digest}.tflite",
            "examples": _write_examples(folder / "examples"),
        }
        # Another version is another name, so that browsers do not mix the files of two.
        sources = [path.read_bytes() for path in sorted(SOURCE.rglob("*")) if path.is_file()]
        everything = b"".join([json.dumps(about).encode(), *sources])
        about["version"] = hashlib.sha256(everything).hexdigest()[:12]
        (folder / "settings.json").write_text(json.dumps(about), "utf-8")
        written = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in written]
        names.remove("sw.js")  # browsers keep it by themselves
        files.write_json(folder / "files.json", ["./", *names])
        size = sum(path.stat().st_size for path in written)
    too_large = f"The page has {size / 1e6:.0f} MB, too much for a phone; export the model cnn."
    return {
        "run": run.folder.name,
        "folder": str(out),
        "classes": list(served.classes),
        "files": len(written) + 1,
        "bytes": size,
        "largest_difference": difference,
        "synthetic": run.about["synthetic"],
        "cautions": [too_large] if size > MAX_TRANSFER else [],
        "notice": NOTICE,
    }


def settings(served: predict.Served) -> dict[str, Any]:
    """Collect what the page must know beside the network; can be written as JSON."""
    import matplotlib

    rule, (size, crop) = served.rule, served.views[0]
    validation, kept = None, served.run.validation
    kinds = served.run.about.get("files", [])
    if rule.chosen_on and kept is not None:
        scores = kept[columns_of_run(served.name)[served.name]]
        validation = {"labels": kept["label"].tolist(), "scores": scores.tolist()}
    words = {name: f"{word} ({name})" for name, word in predict.WORDS.items()}
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 1, _COLORS))[:, :3]
    return {
        "size": size,
        "crop": crop,
        "classes": served.classes,
        "labels": [words.get(name, name) for name in served.classes],
        "temperature": rule.temperature,
        "threshold": rule.threshold,
        "conformal": rule.least and [rule.least[name] for name in CLASS_NAMES],
        "validation": validation,
        "known": {key: values.tolist() for key, values in served.known.items()},
        "colors": (255 * colors).astype(int).tolist(),
        "about": _about(served),
        "strange": predict.STRANGE + (f"; those were {' or '.join(kinds)}" if kinds else ""),
        "notice": served.notice,
    }


def _about(served: predict.Served) -> str:
    """Say in a paragraph what the network was trained on, and how it was calibrated."""
    about, rule = served.run.about, served.rule
    parts = storage.read_parts(served.run.folder)
    known = parts.loc[parts["part"].isin(["train", "validation"]), "subject"].nunique()
    cells = "synthetic cells" if about["synthetic"] else "real cells"
    text = (
        f"Model: {served.name}, trained on {cells} ({about['dataset']}, {known} of its "
        f"{about['subjects']} subjects)."
    )
    if rule.chosen_on:
        low, high = (predict.calibrated(rule, border) for border in rule.borders)
        text += (
            f" Threshold and calibration were chosen on {rule.chosen_on} validation cells. Between "
            f"a probability of {low:.0%} and {high:.0%} there is no prediction."
        )
    elif len(served.classes) == 2:
        text += " There are no validation cells, so the probabilities are not calibrated."
    return text


def _write_examples(folder: Path) -> list[str]:
    """Draw a few synthetic cells, and return the names of their files."""
    folder.mkdir()
    some = plan_twin(60, 14, seed=1).groupby("label").head(_EXAMPLES)
    names = []
    for number, (_, row) in enumerate(some.iterrows(), start=1):
        names.append(f"synthetic-{CLASS_NAMES[row.label]}-{number}.png")
        Image.fromarray(draw_cell(row, 1)[0]).save(folder / names[-1], optimize=True)
    return names


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Hand out the files of a folder, with the types that browsers insist on."""

    protocol_version = "HTTP/1.1"
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | _TYPES

    def end_headers(self) -> None:
        """Add that a changed file is read again, and that types are not guessed."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def serve(folder: Path | str, port: int) -> http.server.ThreadingHTTPServer:
    """Hand out a folder on this computer only, in a thread of its own.

    Parameters
    ----------
    folder : path
        From :func:`export_web`.
    port : int
        0 takes one that is free.

    Returns
    -------
    http.server.ThreadingHTTPServer
        Its ``server_port`` is the port; ``shutdown()`` ends it.

    Raises
    ------
    InputError
        If the port is taken.
    """
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        raise InputError(f"Port {port} is taken; name another with --port.") from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def one_document(folder: Path | str) -> str:
    """Put a page into one HTML document, for browsers that cannot reach this computer.

    Parameters
    ----------
    folder : path
        From :func:`export_web`.
    """
    folder = Path(folder)
    names = [name for name in files.read_json(folder / "files.json") if name != "./"]
    scripts = sorted((name for name in names if name.endswith(".js")), key=_MODULES.index)
    others = [name for name in names if Path(name).suffix in (".json", ".gz", ".tflite", ".png")]
    kinds = dict.fromkeys(scripts, "text/javascript")
    kinds |= dict.fromkeys(others, "application/octet-stream")
    encoded = {name: base64.b64encode((folder / name).read_bytes()).decode() for name in kinds}
    content = [(name, kind, encoded[name]) for name, kind in kinds.items()]
    text = (folder / "index.html").read_text("utf-8")
    text = re.sub('(?<=content=")default-src[^"]*', _DOCUMENT_POLICY, text)
    style = f"<style>{(folder / 'page.css').read_text('utf-8')}</style>"
    text = re.sub(r'<link rel="stylesheet".*?>', lambda _: style, text)
    text = re.sub(r'<link rel=".*?>|<script.*?</script>', "", text)
    start = (folder / "inline.js").read_text("utf-8")
    inlined = f'<script type="application/json" id="inlined">{json.dumps(content)}</script>'
    return text.replace("</body>", f"{inlined}<script>{start}</script></body>")


def show(folder: Path | str, height: int = 900) -> None:
    """Show a page in a notebook, also on Google Colab and Kaggle.

    Parameters
    ----------
    folder : path
        From :func:`export_web`.
    height : int
        Of the frame, in pixels.
    """
    from IPython.display import display

    page = html.escape(one_document(folder))
    frame = f'<iframe srcdoc="{page}" width="100%" height="{height}"></iframe>'
    display({"text/html": frame}, raw=True)


def open_page(folder: Path | str, port: int, browser: bool) -> None:
    """Serve a page until interrupted, and open it in a browser if asked."""
    server = serve(folder, port)
    if browser:
        webbrowser.open(f"http://127.0.0.1:{port}/")
    try:
        while True:
            time.sleep(1)  # Windows interrupts no wait without end
    finally:
        server.shutdown()
