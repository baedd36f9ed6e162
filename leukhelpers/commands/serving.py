"""Answer for single pictures: predict, explain, export, and the page."""

import signal
import tempfile
from pathlib import Path
from typing import Annotated

from typer import Option, Typer

from leukhelpers import NOTICE, files
from leukhelpers.commands import options, output

app = Typer()


@app.command()
def predict(run: options.Run, files: options.Pictures) -> None:
    """Predict image files: print one line of JSON per file; status 1 if one cannot be read."""
    from leukhelpers.serving import predict

    output.print_lines(predict.predict_files(predict.load(run), files))


@app.command("export")
def export_model(
    run: options.Run,
    out: Annotated[Path, Option(help="Folder for the copies.")],
    form: Annotated[str, Option("--format", help="litert, onnx or web.")] = "litert",
    dataset: options.Dataset = "twin",
    as_json: options.Json = False,
) -> None:
    """Export the network of a run, and test the copy on cells it was not trained on.

    The format web is a folder of static files: a page that predicts in the browser. It is compared
    with the network on cells of the run itself, so it needs no dataset.
    """
    from leukhelpers.serving import export, web

    if form == "web":
        output.print_result(web.export_web(run, out), as_json)
        return
    cells, data = output.cells_as_in(run, dataset), files.workspace() / "data"
    output.print_result(export.export_run(run, cells, data, out, form), as_json)


@app.command("app")
def web_page(
    run: Annotated[
        Path | None,
        Option("--run", help="Folder of a finished run; by default the latest network."),
    ] = None,
    port: Annotated[int, Option(min=1024, max=65535, help="Port on this machine.")] = 7860,
    browser: Annotated[bool, Option("--browser", help="Open it in a browser.")] = False,
) -> None:
    """Open the web page of a run on this computer: drop images, see the predictions."""
    from leukhelpers.experiments import storage
    from leukhelpers.serving import web

    folder = run or storage.latest_run(files.workspace() / "runs")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the exported folder is deleted, too
    with tempfile.TemporaryDirectory(prefix="leuk-page-") as page:
        web.export_web(folder, page)
        output.tell(f"{NOTICE} Open http://127.0.0.1:{port} in a browser; Ctrl+C ends it.")
        web.open_page(page, port, browser)


@app.command()
def explain(
    run: options.Run,
    files: options.Pictures,
    out: Annotated[Path, Option(help="Folder for the figures.")],
    method: Annotated[
        str,
        Option(
            help="For networks: shap, integrated, gradcam; several separated by commas. "
            "By default all."
        ),
    ] = "",
) -> None:
    """Explain predictions for image files by figures; print one line of JSON per file.

    A network is explained by its pixels, SVM and forest by their named features.
    """
    from leukhelpers.serving import explain_files

    methods = [name for name in method.replace(" ", "").split(",") if name]
    with output.progress_bars() as advance:
        entries = explain_files.explain_files(run, files, out, methods, advance)
    output.print_lines(entries)
