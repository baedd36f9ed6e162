"""Train, cross-validate, sweep and evaluate."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

from rich.table import Table
from rich.text import Text
from typer import Argument, Option, Typer

from leukhelpers import files
from leukhelpers.commands import options, output
from leukhelpers.errors import InputError

app = Typer()


@app.command()
def train(
    out: Annotated[Path, Option(help="New folder for the run.")],
    dataset: options.Dataset = "twin",
    model: Annotated[
        str, Option(help="cnn, svm, rf, efficientnet-lite0, resnet50, vgg16, …")
    ] = "cnn",
    profile: options.TrainingProfile = None,
    seed: options.Seed = 0,
    fold: Annotated[
        int | None, Option(min=0, max=3, help="Which of four grouped folds to hold out.")
    ] = None,
    random_weights: options.RandomWeights = False,
    resume: options.Resume = False,
    scheduler: options.Cluster = None,
    as_json: options.Json = False,
) -> None:
    """Train one model on all subjects, or on all but those of one fold."""
    from leukhelpers.experiments import train

    (name,) = _known_models([model], random_weights)
    if not (resume and (out / "training" / "asked.json").is_file()):
        files.refuse_used(out)
    prepared = train.prepare_cells(dataset, profile, seed)
    with _joblib_on(scheduler):
        run = train.train_run(out, prepared, fold, name)
    output.print_result({"run": str(run.folder), **run.metrics}, as_json)


@app.command()
def crossval(
    dataset: options.Dataset = "twin",
    model: Annotated[
        str,
        Option(
            help="One model, several separated by commas, or all. SVM and random forest are added."
        ),
    ] = "cnn",
    folds: Annotated[int, Option(min=2, max=20, help="Number of grouped folds.")] = 4,
    profile: options.TrainingProfile = None,
    seed: options.Seed = 0,
    random_weights: options.RandomWeights = False,
    out: Annotated[
        Path | None, Option(help="Folder for the predictions; an existing one is continued.")
    ] = None,
    scheduler: options.Cluster = None,
    as_json: options.Json = False,
) -> None:
    """Cross-validate models on the same grouped folds: per fold and together."""
    from leukhelpers.experiments import crossval, train
    from leukhelpers.models import profiles, registry

    wanted = list(registry.CHOICES) if model == "all" else model.replace(" ", "").split(",")
    names = _known_models([*wanted, *profiles.CLASSICAL], random_weights)
    prepared = train.prepare_cells(dataset, profile, seed)
    with _joblib_on(scheduler), tempfile.TemporaryDirectory() as unnamed:
        found = crossval.crossvalidate(prepared, folds, output.tell, names, out or Path(unnamed))
    if as_json:
        output.print_result(found, as_json)
        return
    output.console.print(output.folds_table(found))
    together = {"cautions": found["cautions"], "synthetic": found["synthetic"], **found["together"]}
    output.print_result(together, as_json)


@app.command()
def sweep(
    grid: Annotated[Path, Argument(help="YAML file: task, fixed, and grid or list.")],
    out: Annotated[
        Path | None, Option(help="Folder of the sweep; by default runs/<name of the grid>.")
    ] = None,
    scheduler: options.Cluster = None,
    workers: Annotated[
        int | None, Option(min=1, help="Parallel runs here; by default one per core.")
    ] = None,
    resume: options.Resume = False,
    retries: Annotated[int, Option(min=0, help="How often a failed run is repeated.")] = 0,
    timeout: Annotated[float | None, Option(min=1, help="Time limit per run, in seconds.")] = None,
    memory: Annotated[float | None, Option(min=0.05, help="Memory limit per run, in GB.")] = None,
    as_json: options.Json = False,
) -> None:
    """Run a grid of lessons, trainings or cross-validations; status 1 if a run failed."""
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
    sweep_table.write(folder, table, entries)
    counts = {name: state.count(name) for name in ("done", "failed")}
    if as_json:
        rows = [
            {"run": entry.key, **entry.parameters, "state": state.of[entry.key]}
            | state.results[entry.key]
            for entry in entries
        ]
        output.print_result({"sweep": str(folder), **counts, "runs": rows}, as_json)
    else:
        output.console.print(_sweep_table(entries, state))
        output.print_result({"results": str(folder / "results.csv"), **counts}, as_json)
    if counts["failed"]:
        raise SystemExit(1)


@contextmanager
def _watching(entries: Any) -> Iterator[Any]:
    """Show a line for each run of a sweep that ends, and a bar for all of them."""
    names = _names(entries)
    ended: set[str] = set()
    with output.progress_bars() as advance:

        def report(state: Any) -> None:
            for key in [key for key in state.results if key not in ended]:
                ended.add(key)
                if state.results[key]["again"]:
                    how = ": ".join(filter(None, (state.of[key], state.results[key]["error"])))
                    output.tell(f"[{len(ended)}/{len(entries)}] {names[key]}  {how}")
            advance("sweep", len(ended), len(entries))

        yield report


def _names(entries: Any) -> dict[str, str]:
    """Name each run by what sets it apart from the others."""
    from leukhelpers.experiments.grid import varying

    names = varying(entries) or ["seed"]
    return {
        entry.key: ", ".join(f"{n} {entry.parameters[n]}" for n in names if n in entry.parameters)
        for entry in entries
    }


def _sweep_table(entries: Any, state: Any) -> Table:
    """Lay out the runs of a sweep; of many only those that failed."""
    title = ", ".join(f"{state.count(name)} {name}" for name in ("done", "failed"))
    table = Table("Run", "State", "Seconds", "Error", title=title)
    for key, name in _names(entries).items():
        if len(entries) <= 24 or state.of[key] == "failed":
            result = state.results[key]
            first = "".join(result["error"].strip().splitlines()[:1])
            table.add_row(name, state.of[key], f"{result['seconds']:.1f}", Text(first))
    return table


@app.command()
def evaluate(
    run: options.Run,
    dataset: options.Dataset = "twin",
    part: Annotated[str, Option(help="Of a C-NMC tree: training or preliminary.")] = "training",
    as_json: options.Json = False,
) -> None:
    """Evaluate a trained run on cells that it was not trained on."""
    from leukhelpers.experiments import evaluate

    if part not in ("training", "preliminary"):
        raise InputError(
            f"Part {part!r} has no labels or is not known; choose training or preliminary."
        )
    cells = output.cells_as_in(run, dataset, part)
    output.print_result(evaluate.evaluate_run(run, cells, files.workspace() / "data"), as_json)


def _joblib_on(scheduler: str | None) -> AbstractContextManager[None]:
    """Let joblib work on a Dask cluster, if one was named; only then Dask is imported."""
    if scheduler is None:
        return nullcontext()
    from leukhelpers.experiments.sweep import joblib_on

    return joblib_on(scheduler)


def _known_models(names: list[str], random_weights: bool) -> list[str]:
    """Check names, and that their weights can be had; random ones only if the user agrees."""
    from leukhelpers.models import registry

    names = [registry.validate_model_name(name) for name in names]
    if random_weights:
        return registry.with_random_weights(names)
    registry.check_weights(names)
    return names
