"""The command ``leuk``: each subcommand calls one function of the package.

What a command reports goes to standard output, with ``--json`` as one JSON document;
progress goes to standard error. A wrong input exits with status 2 and one line.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from leukhelpers import NOTICE, files
from leukhelpers.errors import InputError, LessonError

app = typer.Typer(
    name="leuk",
    help="Leukemic or healthy? A course that tells them apart honestly. For teaching only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Draw, read and check data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

errors = Console(stderr=True, highlight=False)
output = Console(highlight=False, soft_wrap=True)
# Without a terminal a bar would leave empty lines in the log.
_QUIETLY: dict[str, Any] = {
    "console": errors,
    "transient": True,
    "disable": not errors.is_terminal,
}

DatasetOption = Annotated[
    str, typer.Option("--dataset", help="twin, cnmc, a C-NMC tree, or your own folder or CSV.")
]
ProfileOption = Annotated[str, typer.Option(help="smoke, fast or full.")]
TrainingProfileOption = Annotated[
    str | None,
    typer.Option("--profile", help="smoke, fast or full; by default fast for the twin, else full."),
]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, help="Seed of splits, weights and augmentation.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
RandomWeightsOption = Annotated[
    bool,
    typer.Option(
        "--random-weights",
        help="Take random weights for networks whose ImageNet weights cannot be downloaded.",
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--scheduler", help="Dask scheduler for hand-made features and forests."),
]
RunOption = Annotated[Path, typer.Option("--run", help="Folder of a finished run.")]


@data_app.command("twin")
def data_twin(
    out: Annotated[Path, typer.Option(help="New folder to write into.")],
    images: Annotated[int, typer.Option(help="Number of images.")] = 1200,
    subjects: Annotated[int, typer.Option(help="Number of subjects.")] = 28,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Same seed, same bytes.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Draw synthetic cells in the layout of C-NMC."""
    from leukhelpers.synthetic.twin import write_twin

    root = write_twin(out, n_images=images, n_subjects=subjects, seed=seed)
    told = {"root": str(root), "images": images, "subjects": subjects, "seed": seed}
    _report({**told, "synthetic": True}, as_json)


@data_app.command("info")
def data_info(
    dataset: DatasetOption = "twin",
    profile: ProfileOption = "fast",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Count images, subjects, groups, classes, folds, duplicates and unreadable files."""
    from leukhelpers.models import prepare
    from leukhelpers.splits import inspection

    chosen, data = prepare.profile_of(profile), files.workspace() / "data"
    cells = inspection.only_test_parts(dataset, data) or prepare.load(dataset, chosen, seed, data)
    found = inspection.inspect(cells, data, chosen.size, chosen.crop)
    if not as_json:  # too long for a screen; --json tells all
        card = found.pop("card") or {"title": "none: write card.toml beside the cells"}
        for part in (found, *found["parts"].values()):
            part.pop("subject_images", None)
        alike = found.pop("near_duplicates") or {"pairs": 0, "of_two_subjects": 0}
        told = alike.get("problem")
        told = told or f"{alike['pairs']} pairs, {alike['of_two_subjects']} of two subjects"
        parts = found.pop("parts")
        found = {"card": card["title"], **found, "near_duplicates": told}
        found |= {f"part {name}": part for name, part in parts.items()}
    _report(found, as_json)


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="cnmc, the only data set that is fetched.")],
    to: Annotated[Path | None, typer.Option(help="Folder; data/cnmc if not named.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="A zip or folder of it that you have already.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Download C-NMC 2019 from Kaggle, or take a copy that you have; then verify it."""
    from leukhelpers.data.download import fetch_cnmc

    if name != "cnmc":
        raise InputError(f"{name!r} cannot be fetched; the data set to fetch is called cnmc.")
    with _bar() as advance:
        fetched = fetch_cnmc(to or files.workspace() / "data" / "cnmc", source, _tell, advance)
    _verify(fetched.root, as_json)


@data_app.command("verify")
def data_verify(
    dataset: Annotated[str, typer.Option(help="cnmc, or the folder of a copy.")] = "cnmc",
    as_json: JsonOption = False,
) -> None:
    """Compare a copy of C-NMC 2019 with the published files; status 1 if it is damaged."""
    from leukhelpers.datasets import existing_place

    if dataset == "twin":
        raise InputError("The twin is drawn; only a copy of C-NMC can be verified.")
    root = files.workspace() / "data" / "cnmc" if dataset == "cnmc" else existing_place(dataset)
    _verify(root, as_json)


def _verify(root: Path, as_json: bool) -> None:
    """Verify a copy and report; a damaged one ends with status 1."""
    from leukhelpers.data.integrity import verify

    with _bar() as advance:
        found = verify(root, lambda done, total: advance("reading", done, total))
    if as_json:
        _report(found, as_json)
    elif found["state"] == "unknown":
        _report({"verdict": found["verdict"]}, as_json)
    else:
        _report({key: found[key] for key in ("verdict", "state", "kind", "digest")}, as_json)
        table = Table("Part", "State", "Kind", "Images", "Of", title="Parts")
        for name, part in found["parts"].items():
            images = [str(part[side]["images"]) for side in ("found", "expected")]
            table.add_row(name.replace("_", " "), part["state"], part["kind"], *images)
        output.print(table)
        for kind in ("changed", "missing", "extra"):
            _list_some(kind, found[kind])
    if found["state"] not in ("whole", "part"):
        raise SystemExit(1)


def _list_some(kind: str, entries: list[Any], at_most: int = 5) -> None:
    """Name the first few files of a kind; --json names all."""
    if entries:
        output.print(f"{kind}: {len(entries)}", markup=False)
    for entry in entries[:at_most]:
        told = entry if isinstance(entry, str) else f"{entry['path']} ({entry['reason']})"
        output.print(f"    {told}", markup=False)
    if len(entries) > at_most:
        output.print(f"    … --json names all {len(entries)}", markup=False)


@data_app.command("restructure")
def data_restructure(
    out: Annotated[Path, typer.Option(help="New folder, gets a folder for each class.")],
    dataset: DatasetOption = "twin",
    profile: ProfileOption = "fast",
    seed: SeedOption = 0,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files, do not link.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Sort the pictures into one folder a class, as the paper does; subjects are kept."""
    from leukhelpers.data.export_folders import restructure
    from leukhelpers.models import prepare

    cells = prepare.load(dataset, prepare.profile_of(profile), seed, files.workspace() / "data")
    with _bar() as advance:
        found = restructure(
            cells,
            out,
            "copy" if copy else "link",
            lambda done, total: advance("placing", done, total),
        )
    _report(found, as_json)


@data_app.command("own")
def data_own(
    place: Annotated[Path, typer.Argument(help="A folder of images, or a CSV path,label,subject.")],
    out: Annotated[Path, typer.Option(help="Folder for cells.csv and cells.toml.")],
    classes: Annotated[
        list[str],
        typer.Option(
            "--class",
            help="NAME=label,label: a class and the labels or folders that mean it. Once for "
            "each class, in the order of their numbers; the first is 0.",
        ),
    ],
    subject_pattern: Annotated[
        str | None,
        typer.Option(help=r"Regular expression, one group: the subject in a path; patient(\d+)."),
    ] = None,
    each_image_its_own_subject: Annotated[
        bool,
        typer.Option(
            "--each-image-its-own-subject",
            help="Only if no two images are of one person; every report will say so.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn a folder of your own images into a verified table of cells."""
    from leukhelpers.data.table import parse_classes, write_own

    found = write_own(
        place,
        out,
        parse_classes(classes),
        subject_pattern,
        each_image_its_own_subject,
        files.workspace() / "data" / "cache",
    )
    _report(found, as_json)


@app.command("check")
def check_setup(as_json: JsonOption = False) -> None:
    """Look whether this computer can run the course; status 1 if something is wrong."""
    from leukhelpers.course import doctor

    found = doctor.look(
        lambda finding: None if as_json else output.print(doctor.as_line(finding), markup=False)
    )
    ok = all(finding.ok for finding in found)
    if as_json:
        _report({"ok": ok, "findings": [finding._asdict() for finding in found]}, as_json)
    else:
        output.print(doctor.verdict(found))
    if not ok:
        raise SystemExit(1)


@app.command("run")
def run_course(
    dataset: DatasetOption = "twin",
    profile: ProfileOption = "fast",
    only: Annotated[str, typer.Option(help="Numbers of lessons, such as 05,06.")] = "",
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a broken run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the lessons, headless and two at a time, and write one HTML report."""
    from leukhelpers.course import run_lessons
    from leukhelpers.datasets import absolute_dataset
    from leukhelpers.experiments import card_page, model_card, report, run_notebook
    from leukhelpers.models import prepare

    prepare.profile_of(profile)
    folder = out or _new_folder(files.workspace() / "runs", dataset, profile, seed, resume)
    numbers = [number.strip().zfill(2) for number in only.split(",") if number.strip()]
    parameters = {"dataset": absolute_dataset(dataset), "profile": profile, "seed": seed}
    names = [path.stem for path in run_notebook.find_lessons(numbers)]
    _prepare(dataset, profile, seed)  # what is wrong with the data is told before a lesson runs
    results = []
    started = time.monotonic()
    with _progress() as (listen, ended):
        for result in run_lessons.run_lessons(folder, parameters, numbers, resume, listen):
            results.append(result)
            ended(result.name)
            done = f"{result.seconds:6.1f} s" if result.again else "done before"
            _tell(f"[{len(results)}/{len(names)}] {result.name}  {done}")
    wall_seconds = round(time.monotonic() - started, 1)
    results.sort()
    sheet = report.write_report(folder)
    if (folder / "run.json").is_file():  # some lessons train no network
        model_card.write_card(folder)
        card_page.write_page(folder)
    metrics_file = folder / "metrics.json"
    metrics = files.read_json(metrics_file) if metrics_file.is_file() else None
    if as_json:
        found = {
            "run": str(folder),
            "wall_seconds": wall_seconds,
            "lessons": {result.name: result.seconds for result in results},
            "metrics": metrics,
        }
        _report(found, as_json)
        return
    table = Table("Lesson", "Seconds", title="Lessons")
    for result in results:
        table.add_row(result.name, f"{result.seconds:.1f}")
    table.add_row(f"all, up to {run_lessons.AT_ONCE} at a time (wall time)", f"{wall_seconds:.1f}")
    output.print(table)
    if metrics is not None:
        for caution in metrics.get("cautions", []):
            output.print(f"Caution: {caution}", markup=False)
        output.print(_metrics_table(metrics))
    output.print(f"Report: {sheet}", markup=False)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="New folder for the run.")],
    dataset: DatasetOption = "twin",
    model: Annotated[
        str, typer.Option(help="cnn, svm, rf, efficientnet-lite0, resnet50, vgg16, …")
    ] = "cnn",
    profile: TrainingProfileOption = None,
    seed: SeedOption = 0,
    fold: Annotated[
        int | None, typer.Option(min=0, max=3, help="Hold out this one of four grouped folds.")
    ] = None,
    random_weights: RandomWeightsOption = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted training.")
    ] = False,
    scheduler: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train one model on all subjects, or on all but those of one fold."""
    from leukhelpers.experiments import train
    from leukhelpers.models import prepare

    (name,) = _known_models([model], random_weights)
    if not (resume and (out / "training" / "asked.json").is_file()):
        files.refuse_used(out)
    prepared = _prepare(dataset, profile or prepare.default_profile(dataset), seed)
    with _joblib_on(scheduler):
        run = train.train_run(out, prepared, fold, name)
    _report({"run": str(run.folder), **run.metrics}, as_json)


@app.command()
def crossval(
    dataset: DatasetOption = "twin",
    model: Annotated[
        str,
        typer.Option(
            help="One model, several with commas between, or all. SVM and forest come along."
        ),
    ] = "cnn",
    folds: Annotated[int, typer.Option(min=2, max=20, help="Number of grouped folds.")] = 4,
    profile: TrainingProfileOption = None,
    seed: SeedOption = 0,
    random_weights: RandomWeightsOption = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder that keeps each answer; named again, it goes on.")
    ] = None,
    scheduler: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure models on the same grouped folds: per fold and together."""
    from leukhelpers.experiments import crossval
    from leukhelpers.models import prepare, registry

    wanted = list(registry.CHOICES) if model == "all" else model.replace(" ", "").split(",")
    names = _known_models([*wanted, *prepare.CLASSICAL], random_weights)
    prepared = _prepare(dataset, profile or prepare.default_profile(dataset), seed)
    with _joblib_on(scheduler):
        found = crossval.crossvalidate(prepared, folds, _tell, names, out)
    if as_json:
        _report(found, as_json)
        return
    output.print(_folds_table(found))
    together = {"cautions": found["cautions"], "synthetic": found["synthetic"], **found["together"]}
    _report(together, as_json)


@app.command()
def sweep(
    grid: Annotated[Path, typer.Argument(help="YAML file: what, fixed, and grid or list.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the sweep; by default runs/<name of the grid>.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler; else this machine.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at once on this machine; one a core.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Run only what is missing or failed.")
    ] = False,
    retries: Annotated[int, typer.Option(min=0, help="Try a failed run so often again.")] = 0,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seconds after which a run is ended.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(min=0.05, help="GB of memory above which a run is ended.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a grid of lessons, trainings or cross-validations; status 1 if one failed for good."""
    from leukhelpers.experiments import sweep, sweep_table
    from leukhelpers.experiments.grid import read_grid

    if scheduler is not None and workers is not None:
        raise InputError("--workers is for this machine; a scheduler has its own workers.")
    entries = read_grid(grid)
    folder = out or files.workspace() / "runs" / grid.stem
    with _watching(entries) as listen:
        limits = (retries, timeout, memory)
        state = sweep.run_sweep(entries, folder, scheduler, workers, resume, *limits, listen)
    table = sweep_table.collect(folder, entries, state)
    try:
        sweep_table.write(folder, table, entries)
    except OSError as error:
        raise LessonError(
            f"The tables of {folder} cannot be written ({error.strerror}); the runs are kept, "
            "--resume writes the tables."
        ) from None
    counts = {name: state.count(name) for name in ("done", "failed")}
    if as_json:
        told = [
            {"run": entry.key, **entry.parameters, "state": state.of[entry.key]}
            | state.told[entry.key]
            for entry in entries
        ]
        _report({"sweep": str(folder), **counts, "runs": told}, as_json)
    else:
        output.print(_sweep_table(entries, state))
        _report({"results": str(folder / "results.csv"), **counts}, as_json)
    if counts["failed"]:
        raise SystemExit(1)


@contextmanager
def _watching(entries: Any) -> Iterator[Any]:
    """Show the runs of a sweep as they go: a table, or without a terminal a line a run."""
    from rich.live import Live

    ended: set[str] = set()

    def tell(state: Any) -> None:
        for key in [key for key in state.told if key not in ended]:
            ended.add(key)
            if state.told[key]["again"]:
                error = state.told[key]["error"]
                how = f"{state.of[key]}{f': {error}' if error else ''}"
                _tell(f"[{len(ended)}/{len(entries)}] {named[key]}  {how}")

    named = _names(entries)
    if not errors.is_terminal:
        yield tell
        return
    with Live(console=errors, transient=True, refresh_per_second=4) as live:
        yield lambda state: live.update(_sweep_table(entries, state))


def _names(entries: Any) -> dict[str, str]:
    """Name each run by what sets it apart from the others."""
    from leukhelpers.experiments.grid import varying

    names = varying(entries) or ["seed"]
    return {
        entry.key: ", ".join(f"{n} {entry.parameters[n]}" for n in names if n in entry.parameters)
        for entry in entries
    }


def _sweep_table(entries: Any, state: Any) -> Table:
    """Lay out the runs of a sweep; of many only those at work and those that failed."""
    parts = [f"{state.count(name)} {name}" for name in ("done", "running", "waiting", "failed")]
    if state.seconds_left is not None and state.count("done") != len(entries):
        parts.append(f"about {max(1, round(state.seconds_left / 60))} min left")
    table = Table("Run", "State", "Seconds", "Error", title=", ".join(parts))
    for key, name in _names(entries).items():
        if len(entries) > 24 and state.of[key] not in ("running", "failed"):
            continue
        told = state.told.get(key, {"seconds": None, "error": ""})
        seconds = "" if told["seconds"] is None else f"{told['seconds']:.1f}"
        first = told["error"].strip().splitlines()[0] if told["error"] else ""
        table.add_row(name, state.of[key], seconds, Text(first))
    return table


@app.command()
def evaluate(
    run: RunOption,
    dataset: DatasetOption = "twin",
    part: Annotated[
        str, typer.Option(help="Of a C-NMC tree: training or preliminary.")
    ] = "training",
    as_json: JsonOption = False,
) -> None:
    """Measure a trained run on cells that it never saw."""
    from leukhelpers.experiments import evaluate, storage
    from leukhelpers.models import prepare

    about = storage.read_run(run).about
    data = files.workspace() / "data"
    profile = storage.profile_in(about)
    if part not in ("training", "preliminary"):
        raise InputError(
            f"Part {part!r} has no labels or is not known; choose training or preliminary."
        )
    cells = prepare.load(dataset, profile, about["seed"], data, parts=(part,))
    _report(evaluate.evaluate_run(run, cells, data), as_json)


@app.command()
def predict(
    run: RunOption, files: Annotated[list[Path], typer.Argument(help="Picture files.")]
) -> None:
    """Print a line of JSON for each picture file; status 1 if one cannot be read."""
    from leukhelpers.files import workspace
    from leukhelpers.serving import predict

    _lines(predict.answer_files(predict.load(run, workspace() / "data" / "cache"), files))


@app.command("export")
def export_model(
    run: RunOption,
    out: Annotated[Path, typer.Option(help="Folder for the copies.")],
    form: Annotated[str, typer.Option("--format", help="litert or onnx.")] = "litert",
    dataset: DatasetOption = "twin",
    as_json: JsonOption = False,
) -> None:
    """Write a run's network for elsewhere, checked on cells that it never saw."""
    from leukhelpers.experiments import storage
    from leukhelpers.models import prepare
    from leukhelpers.serving import export

    about = storage.read_run(run).about
    data = files.workspace() / "data"
    cells = prepare.load(dataset, storage.profile_in(about), about["seed"], data)
    _report(export.export_run(run, cells, data, out, form), as_json)


@app.command("app")
def web_page(
    run: Annotated[
        Path | None, typer.Option("--run", help="Folder of a finished run; by default the latest.")
    ] = None,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Port on this machine.")] = 7860,
    browser: Annotated[bool, typer.Option("--browser", help="Open it in a browser.")] = False,
) -> None:
    """Open the web page of a run on this machine: drop pictures, see its answers."""
    from leukhelpers.experiments import storage
    from leukhelpers.serving import page, predict

    folder = run or storage.latest_run(files.workspace() / "runs")
    served = predict.load(folder, files.workspace() / "data" / "cache")
    _tell(f"{NOTICE} Open http://127.0.0.1:{port} in a browser; Ctrl+C ends it.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was uploaded is deleted, too
    page.launch(served, port, browser=browser)


@app.command()
def explain(
    run: RunOption,
    files: Annotated[list[Path], typer.Argument(help="Picture files.")],
    out: Annotated[Path, typer.Option(help="Folder for the figures.")],
    method: Annotated[
        str,
        typer.Option(
            help="For networks: shap, integrated, gradcam, partition, deep; several with commas "
            "between, or all. By default the first three."
        ),
    ] = "",
) -> None:
    """Draw what moved a model, over picture files; a line of JSON for each.

    A network is explained by its pixels, SVM and forest by their named features.
    """
    from leukhelpers.serving import explain_files

    methods = [name for name in method.replace(" ", "").split(",") if name]
    if methods == ["all"]:
        methods = ["shap", "integrated", "gradcam", "partition", "deep"]
    with _bar() as advance:
        told = explain_files.explain_files(run, files, out, methods, advance)
    _lines(told)


def main() -> None:
    """Run the command line; a wrong input becomes one sentence and status 2."""
    try:
        status = app(standalone_mode=False)
    except (InputError, LessonError) as error:
        _complain(str(error))
        raise SystemExit(2 if isinstance(error, InputError) else 1) from None
    except PermissionError as error:
        _complain(f"{error.filename} may not be written; LEUK_HOME can name another work folder.")
        raise SystemExit(2) from None
    except Exception as error:
        # Typer's own errors about options know their sentence, and an interruption may
        # come as Abort; which classes these are depends on typer's release.
        if type(error).__name__ == "Abort":
            status = 130
        elif hasattr(error, "format_message"):
            _complain(f"{error.format_message().rstrip('.')}. See 'leuk --help'.")
            raise SystemExit(2) from None
        else:
            raise
    if status == 130:
        _complain("interrupted; what was finished is kept.")
    if status:
        raise SystemExit(status)


def _complain(message: str) -> None:
    """Say what is wrong in one line, however narrow the terminal."""
    errors.print(f"leuk: {message}", markup=False, soft_wrap=True)


def _tell(message: str) -> None:
    """Tell how far the work is, on standard error."""
    errors.print(message, markup=False, soft_wrap=True)


def _prepare(dataset: str, profile: str, seed: int) -> Any:
    from leukhelpers.models import prepare

    data = files.workspace() / "data"
    chosen = prepare.profile_of(profile)
    return prepare.prepare(prepare.load(dataset, chosen, seed, data), chosen, seed, data)


def _joblib_on(scheduler: str | None) -> AbstractContextManager[None]:
    """Let joblib work on a Dask cluster, if one was named; only then Dask is imported."""
    if scheduler is None:
        return nullcontext()
    from leukhelpers.experiments.sweep import joblib_on

    return joblib_on(scheduler)


def _new_folder(runs_folder: Path, dataset: str, profile: str, seed: int, resume: bool) -> Path:
    """Name a run after its parameters; a number follows where that name is taken."""
    base = f"{Path(dataset).resolve().stem}-{profile}-seed{seed}"
    folder, number = runs_folder / base, 2
    latest = folder
    while folder.exists():
        latest = folder
        folder, number = runs_folder / f"{base}-{number}", number + 1
    return latest if resume else folder


def _known_models(names: list[str], random_weights: bool) -> list[str]:
    """Check names, and that their weights can be had; random ones only if the user agrees."""
    from leukhelpers.evaluation.names import MODEL_NAMES
    from leukhelpers.models import registry

    names = [registry.known_model(name) for name in names]
    if random_weights:
        names = registry.with_random_weights(names)
    registry.check_weights(names)
    for name in names:
        if registry.RANDOM in name:
            _tell(f"{MODEL_NAMES[name]}: this network never saw ImageNet.")
    return names


# What is too much for a line each: tables, as on the model's card.
_IN_DETAIL = ("report", "compared", "of_subjects", "worst_first", "decisions", "notes")


def _report(found: dict[str, Any], as_json: bool) -> None:
    """Print what was found, as JSON or as lines and tables."""
    if as_json:
        print(json.dumps(found, indent=2, allow_nan=False))
        return
    for caution in found.get("cautions", []):
        output.print(f"Caution: {caution}", markup=False)
    for key, value in found.items():
        if key == "cautions" or key in _IN_DETAIL:
            continue
        if key == "models":
            output.print(_metrics_table(found))
        elif key == "by_class":
            output.print(_class_table(found))
        elif not isinstance(value, dict | list):
            output.print(f"{key.replace('_', ' ')}: {value}", markup=False)
        elif value:
            output.print(f"{key.replace('_', ' ')}: {json.dumps(value)}", markup=False)
    if "models" in found:
        from leukhelpers.experiments import model_card

        output.print(Markdown(model_card.details(found, next(iter(found["models"])))))
        for note in found.get("notes", []):
            output.print(note, markup=False)


def _metrics_table(metrics: dict[str, Any]) -> Table | str:
    from leukhelpers.experiments import report

    if "models" not in metrics:
        return "No subject was held out, so nothing was measured."
    shown = report.headline(metrics)
    subjects = f"{metrics['cells']} cells of {metrics['subjects']} held-out subjects"
    synthetic = ", synthetic" if metrics.get("synthetic") else ""
    table = Table(
        "Model",
        *shown.columns,
        title=f"{subjects}{synthetic}",
        caption="below each value its 95 % interval",
    )
    for name, row in shown.iterrows():
        # The interval below its value: four of them side by side fill a terminal.
        table.add_row(
            str(name), *(cell.replace(" (", "\n").replace(" to ", "–").rstrip(")") for cell in row)
        )
    return table


def _folds_table(found: dict[str, Any]) -> Table:
    """Lay out mean and spread over the folds of a cross-validation."""
    from leukhelpers.evaluation.names import MODEL_NAMES
    from leukhelpers.experiments import report

    titles = report.titles(found["together"])
    synthetic = ", synthetic" if found["synthetic"] else ""
    title = f"mean ± sd over {len(found['folds'])} folds{synthetic}"
    table = Table("Model", *titles.values(), title=title)
    for model, measured in found["over_folds"].items():
        spreads = [measured.get(metric) for metric in titles]
        cells = ["–" if s is None else f"{s['mean']:.3f} ± {s['sd']:.3f}" for s in spreads]
        table.add_row(MODEL_NAMES[model], *cells)
    return table


def _class_table(metrics: dict[str, Any]) -> Table:
    """Lay out what was measured of each of more than two classes."""
    from leukhelpers.experiments import report

    shown = report.class_table(metrics)
    table = Table("Class", *shown.columns, title="Class by class, each against the rest")
    for name, row in shown.iterrows():
        table.add_row(str(name), *(cell.replace(" (", "\n(") for cell in row))
    return table


def _lines(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        print(json.dumps(entry))
    if any("error" in entry for entry in entries):
        raise SystemExit(1)


@contextmanager
def _bar() -> Iterator[Any]:
    """Show how much of some files is done, in bytes or in files."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=errors, transient=True, disable=not errors.is_terminal
    ) as progress:
        tasks: dict[str, Any] = {}

        def advance(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = progress.add_task(doing, total=total)
            progress.update(tasks[doing], completed=done, total=total)

        yield advance


@contextmanager
def _progress() -> Iterator[Any]:
    """Show which lessons and which of their cells are at work, and for how long."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("cell {task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=errors, transient=True, disable=not errors.is_terminal
    ) as progress:
        tasks: dict[str, Any] = {}

        def listen(lesson: str, cell: int, cells: int) -> None:
            if lesson not in tasks:
                tasks[lesson] = progress.add_task(lesson, total=cells)
            progress.update(tasks[lesson], completed=cell)

        def ended(lesson: str) -> None:
            if lesson in tasks:
                progress.remove_task(tasks.pop(lesson))

        yield listen, ended


if __name__ == "__main__":
    main()
