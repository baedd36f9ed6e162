"""The web page: drop pictures of cells, see what a run answers, or why it does not.

Safe by default. The server listens on this machine only, shares and reports nothing, hands out
and fetches no file, takes nothing from other pages (:mod:`leukhelpers.serving.guard`), deletes
each upload after its answer, and bounds bytes, pixels and count before anything is decoded. All
that it shows of a file is escaped.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import html
import io
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from leukhelpers import NOTICE
from leukhelpers.data.pictures import MAX_BYTES
from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.errors import InputError
from leukhelpers.experiments import storage
from leukhelpers.models import registry
from leukhelpers.serving import guard, predict

if TYPE_CHECKING:
    import gradio

TITLE = "Leukemic or healthy?"
MAX_FILES = 50
# An upload that was answered is deleted when it is so many seconds old: whoever drops the same
# picture at the same time shares the file, since gradio names it by its content.
KEPT = 3
ABANDONED = 120  # and one about which nobody asks, so many after it came
EMPTY = 60  # its folder goes so long after it: until then the same picture may be on its way there
_AT_ONCE = 4  # threads that answer; each may hold a decoded picture
_EXAMPLES = 6
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet begins to calculate
COLUMNS = (
    *("file", "answer", "why", "error", "probability_all", "operating_point", "distance"),
    *("milliseconds", "notice"),
)
CSS = """
:root { --leuk-yes: #9a3412; --leuk-no: #075985; --leuk-open: #57534e; }
.dark { --leuk-yes: #fdba74; --leuk-no: #7dd3fc; --leuk-open: #d6d3d1; }
#notice { position: fixed; left: 0; right: 0; bottom: 0; z-index: 1000; margin: 0; padding: 0;
  border: 0; border-radius: 0; background: #7f1d1d; opacity: 1 !important; }
#notice p { color: #fff; text-align: center; font-weight: 600; margin: 0; padding: .5rem; }
.gradio-container { padding-bottom: 4rem !important; }
.cells { list-style: none; padding: 0; margin: 0; display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
.cells li { display: flex; gap: .75rem; padding: .75rem; margin: 0; border-radius: .5rem;
  border: 1px solid var(--border-color-primary); min-width: 0; }
.cells img { width: 96px; height: 96px; background: #000; border-radius: .25rem; }
.cells .pictures { display: flex; flex-direction: column; gap: .25rem; flex: none; }
.cells .result { min-width: 0; overflow-wrap: anywhere; color: var(--body-text-color); }
.cells .result p { margin: 0 0 .2rem; }
.cells .called { font-size: 1.15rem; font-weight: 700; }
.cells .all .called { color: var(--leuk-yes); }
.cells .hem .called { color: var(--leuk-no); }
.cells .open .called { color: var(--leuk-open); }
.cells small { color: var(--body-text-color); opacity: .85; }
a.csv { display: inline-block; margin: .75rem 0; padding: .6rem 1rem; border-radius: .5rem;
  border: 1px solid currentColor; color: var(--body-text-color); }
a.csv:focus-visible, button:focus-visible { outline: 3px solid #2563eb; outline-offset: 2px; }
"""

Told = tuple[dict[str, Any], np.ndarray | None]  # an answer, and the picture that was answered


def answers(served: predict.Served, named: Sequence[tuple[str, bytes]]) -> list[Told]:
    """Answer uploads one by one; a bad one gets its sentence and the others their answers."""
    found: list[Told] = []
    for name, content in named:
        picture = None
        try:
            result, picture = predict.look(served, content)
        except InputError as error:
            result = {"error": str(error)}
        except MemoryError:
            result = {"error": "the picture is too large for this machine"}
        found.append(({"file": plain(name), **result}, picture))
    return found


def plain(name: str) -> str:
    """Make a file's name fit to be shown: its last part, printable, in one line."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    # Signs that turn the direction of writing could dress one name up as another.
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in last)
    return shown[:120] or "a file without a name"


def as_csv(found: Sequence[Told]) -> str:
    """Write answers as CSV; no cell begins as a formula of a spreadsheet does."""
    buffer = io.StringIO()
    named = dict.fromkeys(name for result, _ in found for name in result.get("probabilities") or {})
    columns = [*COLUMNS, *(f"probability of {name}" for name in named)]
    table = csv.DictWriter(buffer, columns, extrasaction="ignore", restval="")
    table.writeheader()
    for result, _ in found:
        text = {key: value for key, value in result.items() if isinstance(value, str)}
        safe = {key: f"'{value}" for key, value in text.items() if value.startswith(_FORMULA)}
        of_each = (result.get("probabilities") or {}).items()
        shares = {f"probability of {name}": share for name, share in of_each}
        table.writerow({**result, **safe, **shares})
    return buffer.getvalue()


def as_html(served: predict.Served, found: Sequence[Told], overlay: Callable | None = None) -> str:
    """Lay answers out as a list, with a link that saves them as CSV."""
    if not found:
        return "<p>No picture yet.</p>"
    content = base64.b64encode(as_csv(found).encode()).decode()
    answered = sum(result.get("answer") is not None for result, _ in found)
    items = "".join(_item(served, result, picture, overlay) for result, picture in found)
    return (
        f'<p role="status">{answered} of {len(found)} predicted. {html.escape(served.notice)}</p>'
        f'<ul class="cells">{items}</ul><a class="csv" download="predictions.csv" '
        f'href="data:text/csv;charset=utf-8;base64,{content}">Save the predictions as CSV</a>'
    )


def _item(
    served: predict.Served,
    result: dict[str, Any],
    picture: np.ndarray | None,
    overlay: Callable | None,
) -> str:
    answer = result.get("answer")
    kind = "open" if answer is None else "all" if answer == served.classes[-1] else "hem"
    lines = [f'<p class="called">{html.escape(called(result))}</p>']
    if result.get("error") or result.get("why"):
        lines.append(f"<p>{html.escape(result.get('error') or result['why'])}</p>")
    lines += [f"<p>{html.escape(line)}</p>" for line in _numbers(result)]
    lines.append(f"<small>{html.escape(result['file'])}</small>")
    shown = ""
    if picture is not None:
        shown = _image(picture, f"the cell of {result['file']}")
        if overlay is not None and result.get("why") != predict.STRANGE:
            heat = overlay(picture)
            if heat is None:
                lines.append("<p>Grad-CAM: no evidence for the second class.</p>")
            else:
                said = f"Grad-CAM: evidence for {served.classes[1]} in {result['file']}"
                shown += _image(heat, said)
    return (
        f'<li class="{kind}"><div class="pictures">{shown}</div>'
        f'<div class="result">{"".join(lines)}</div></li>'
    )


def called(result: dict[str, Any]) -> str:
    """Put an answer into words."""
    answer = result.get("answer")
    if "error" in result:
        return "Not read"
    if answer is None:
        return "No prediction"
    return f"{predict.WORDS[answer]} ({answer})" if answer in predict.WORDS else answer


def _numbers(result: dict[str, Any]) -> list[str]:
    lines = []
    if result.get("probability_all") is not None:
        lines.append(
            f"Probability of ALL {result['probability_all']:.0%}; threshold for ALL "
            f"{result['operating_point']:.0%}"
        )
    elif result.get("probabilities"):
        each = [f"{name} {share:.0%}" for name, share in result["probabilities"].items()]
        lines.append("Probability: " + ", ".join(each))
    if "milliseconds" in result:
        near = result["distance"] <= 1
        share = f"{result['distance']:.2f} of" if near else f"{result['distance']:.1f} times"
        lines.append(
            f"{share} the allowed distance from known cells; {result['milliseconds']:.0f} ms"
        )
    return lines


def _image(picture: np.ndarray, alt: str) -> str:
    content = base64.b64encode(_png(picture)).decode()
    return f'<img src="data:image/png;base64,{content}" alt="{html.escape(alt)}">'


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@cache
def examples() -> list[tuple[str, bytes]]:
    """Draw a few synthetic cells of the twin."""
    from leukhelpers.synthetic.twin import draw_cell, plan_twin

    plan = plan_twin(60, 14, seed=1)
    some = plan.groupby("label").head(_EXAMPLES // 2)
    return [
        (f"synthetic, drawn as {CLASS_NAMES[row.label]}, {number}.png", _png(draw_cell(row, 1)[0]))
        for number, (_, row) in enumerate(some.iterrows(), start=1)
    ]


def about(served: predict.Served) -> str:
    """Tell in a paragraph who answers, and from where on."""
    result = served.run.about
    drawn = "synthetic cells" if result["synthetic"] else "real cells"
    parts = storage.read_parts(served.run.folder)
    knows = parts.loc[parts["part"].isin(["train", "validation"]), "subject"].nunique()
    lines = [
        f"Model: {result.get('model', 'cnn')}, trained on {drawn} "
        f"({result['dataset']}, {knows} of its {result['subjects']} subjects)."
    ]
    rule = served.rule
    if rule.chosen_on:
        low, high = rule.borders
        at = [f"{predict.calibrated(rule, p):.0%}" for p in (low, rule.threshold, high)]
        lines.append(
            f"From a calibrated probability of {at[1]}, a cell is predicted as "
            f"{served.classes[1]}; between {at[0]} and {at[2]} there is no prediction. Chosen on "
            f"{rule.chosen_on} validation cells, with predictions of a model of the same kind that "
            "was not trained on them."
        )
    elif len(served.classes) == 2:
        lines.append("There are no validation cells, so the probabilities are not calibrated.")
    return f"<p>{html.escape(' '.join(lines))}</p>"


def build(served: predict.Served, uploads: Path) -> gradio.Blocks:
    """Lay the page out.

    Parameters
    ----------
    served : serve.Served
    uploads : path
        The only folder of which files are read.
    """
    import gradio as gr

    explains = registry.is_network(served.name) and len(served.classes) == 2
    model = cache(lambda: registry.load_model(served.run.folder))

    def overlay(picture: np.ndarray) -> np.ndarray | None:
        return predict.overlay(served, picture, model())

    def show(named: Sequence[tuple[str, bytes]], look: bool) -> str:
        try:
            found = answers(served, named)
            return as_html(served, found, overlay if look and explains else None)
        except Exception:  # whatever it was, nobody is shown a traceback, and the page goes on
            return "<p>Something went wrong with these pictures; try others.</p>"

    def answer_uploads(dropped: list[dict[str, Any]] | None, look: bool) -> tuple[str, None]:
        paths = [Path(upload["path"]) for upload in dropped or []]
        if len(paths) > MAX_FILES:
            result = f"{len(paths)} pictures are too many; drop at most {MAX_FILES} at once."
            return f"<p>{result}</p>", None
        return show([_read(path, uploads) for path in paths], look), None

    def answer_examples(look: bool) -> str:
        return show(examples(), look)

    with gr.Blocks(title=f"{TITLE} {NOTICE}", analytics_enabled=False) as page:
        gr.HTML(f"<h1>{TITLE}</h1>{about(served)}", padding=False)
        dropped = gr.File(file_count="multiple", label="Pictures of single cells", height=140)
        look = gr.Checkbox(
            explains,
            label=f"Evidence for {served.classes[1]} (Grad-CAM)",
            visible=explains,
            container=False,
        )
        example = gr.Button(f"Predict {_EXAMPLES} synthetic cells")
        results = gr.HTML(as_html(served, []), elem_id="results", padding=False)
        gr.HTML(f"<p>{NOTICE}</p>", elem_id="notice", padding=False)
        # Gradio's queue would cost each answer two more requests; unprocessed, an upload is not
        # copied once more.
        dropped.upload(
            answer_uploads,
            [dropped, look],
            [results, dropped],
            api_name="answer",
            queue=False,
            preprocess=False,
        )
        example.click(answer_examples, look, results, api_name="examples", queue=False)
    return page


def _read(path: Path, uploads: Path) -> tuple[str, bytes]:
    """Read an upload, and nothing else; no more of it than is needed to refuse it."""
    if not path.resolve().is_relative_to(uploads.resolve()):
        return path.name, b""
    try:
        with path.open("rb") as file:
            return path.name, file.read(MAX_BYTES + 1)
    except OSError:
        return path.name, b""


def sweep(folder: Path, in_use: Counter[str], answered: set[str]) -> None:
    """Delete uploads that were answered, and those about which nobody asks.

    Parameters
    ----------
    folder : path
        Where uploads lie.
    in_use, answered : collections.Counter, set
        Of paths, see :class:`leukhelpers.serving.guard.Guard`; what is gone leaves `answered`.
    """
    for place, _, names in os.walk(folder):
        for path in [os.path.join(place, name) for name in names]:
            kept = KEPT if path in answered else ABANDONED
            try:
                if path not in in_use and time.time() - os.stat(path).st_mtime >= kept:
                    _remove(path, kept)
            except OSError:  # it is gone already
                continue
        with contextlib.suppress(OSError):  # a picture lies in it
            if place != str(folder) and time.time() - os.stat(place).st_mtime >= EMPTY:
                os.rmdir(place)
    for path in list(answered):
        if not os.path.exists(path):
            answered.discard(path)


def _remove(path: str, kept: float) -> None:
    """Delete an upload, unless the same picture has just been uploaded anew.

    It has the same path then, so the old one is put aside before it is looked at once more.
    """
    aside = os.path.join(os.path.dirname(path), ".aside")
    os.replace(path, aside)
    if time.time() - os.stat(aside).st_mtime < kept:
        os.replace(aside, path)
    else:
        os.unlink(aside)


def launch(
    served: predict.Served, port: int | None = 7860, block: bool = True, browser: bool = False
) -> gradio.Blocks:
    """Serve the page on this machine, until interrupted.

    Parameters
    ----------
    served : serve.Served
    port : int or None, default 7860
        None takes the first one that is free from 7860 on.
    block : bool, default True
        False comes back at once, for a notebook; ``local_url`` of the page says where it is
        and ``close()`` ends it.
    browser : bool, default False
        Open the page in a browser.

    Raises
    ------
    InputError
        If gradio is not installed, or the port is taken.
    """
    # Read when gradio is imported; it would otherwise ask home which version is the newest.
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    uploads = tempfile.TemporaryDirectory(prefix="leuk-uploads-")
    folder = Path(uploads.name).resolve()
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    try:
        import gradio as gr
        from starlette.middleware import Middleware
    except ImportError:
        raise InputError("The page needs gradio: pip install 'leukhelpers[app]'.") from None
    page = build(served, folder)
    setattr(page, "uploads", uploads)  # noqa: B010  # deleted with the page
    in_use: Counter[str] = Counter()
    answered: set[str] = set()
    # On Colab the browser is elsewhere, and Google's proxy lets its owner in only.
    proxied = "google.colab" in sys.modules

    def sweep_on() -> None:
        while page.is_running:
            sweep(folder, in_use, answered)
            page.upload_file_set.clear()  # where gradio would keep every name for ever
            time.sleep(1)
        uploads.cleanup()

    system = ("ui-sans-serif", "system-ui", "sans-serif")
    try:
        page.launch(
            server_name="127.0.0.1",
            server_port=port,
            share=False,
            inline=False,  # a notebook would keep a frame that shows nothing once it is closed
            inbrowser=browser,
            prevent_thread_lock=True,
            quiet=True,
            app_kwargs={"middleware": [Middleware(guard.Guard, folder, in_use, answered, proxied)]},
            max_threads=_AT_ONCE,
            state_session_capacity=100,
            max_file_size=MAX_BYTES,
            allowed_paths=[],
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            ssr_mode=False,
            theme=gr.themes.Default(font=system, font_mono=("ui-monospace", "monospace")),
            css=CSS,
        )
    except OSError:
        taken = "No port from 7860 on is free" if port is None else f"Port {port} is taken"
        raise InputError(f"{taken}; name another with --port.") from None
    threading.Thread(target=sweep_on, daemon=True).start()
    if block:
        page.block_thread()
    return page
