"""``leuk doctor``, ``leuk run`` and ``leuk grade``: the course itself."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from leukhelpers import files
from leukhelpers.commands import options, output
from leukhelpers.errors import InputError

app = Typer()


@app.command()
def doctor(as_json: options.Json = False) -> None:
    """Check whether this computer can run the course; status 1 if something is wrong."""
    from leukhelpers.course import doctor as setup

    if as_json:
        found = [finding._asdict() for finding in setup.look()]
        ok = all(finding["ok"] for finding in found)
        output.print_result({"ok": ok, "findings": found}, as_json)
    else:
        ok = not setup.main()
    if not ok:
        raise SystemExit(1)


@app.command("check", hidden=True)
def check(as_json: options.Json = False) -> None:
    """Do as ``leuk doctor``, which was called so in version 1."""
    output.tell("'leuk check' is now called 'leuk doctor'.")
    doctor(as_json)


@app.command("run")
def run_course(
    dataset: options.Dataset = "twin",
    profile: options.Profile = "fast",
    only: Annotated[str, Option(help="Numbers of lessons, such as 05,06.")] = "",
    seed: options.Seed = 0,
    out: Annotated[Path | None, Option(help="Folder of the run.")] = None,
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Run the lessons, headless and two at a time, and write one HTML report."""
    # For `jsonschema` this is an optional check of addresses, which takes seconds to load.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from leukhelpers.course import lesson, run_lessons
    from leukhelpers.datasets import absolute_dataset
    from leukhelpers.experiments import model_card, report, run_notebook, train
    from leukhelpers.splits import groups

    folder = out or _new_folder(files.workspace() / "runs", dataset, profile, seed, resume)
    numbers = [number.strip().zfill(2) for number in only.split(",") if number.strip()]
    parameters = {"dataset": absolute_dataset(dataset), "profile": profile, "seed": seed}
    names = [path.stem for path in run_notebook.find_lessons(numbers)]
    cells = train.prepare_cells(dataset, profile, seed)
    lesson.refuse_other_kinds(cells.dataset)  # faults of the data show before a lesson runs
    groups.holdout_split(cells.table)
    results = []
    started = time.monotonic()
    with output.progress_bars() as listen:
        for result in run_lessons.run_lessons(folder, parameters, numbers, resume, listen):
            results.append(result)
            done = f"{result.seconds:6.1f} s" if result.again else "done before"
            output.tell(f"[{len(results)}/{len(names)}] {result.name}  {done}")
    found = {
        "run": str(folder),
        "report": str(report.write_report(folder)),
        "wall_seconds": round(time.monotonic() - started, 1),
        "lessons": {result.name: result.seconds for result in sorted(results)},
    }
    if (folder / "run.json").is_file():  # some lessons train no network
        model_card.write_card(folder)
    metrics = files.read_if_there(folder / "metrics.json")
    if as_json:
        output.print_result(found | {"metrics": metrics or None}, as_json)
        return
    output.print_result({"cautions": metrics.get("cautions", []), **found}, as_json)
    if metrics:
        output.console.print(output.metrics_table(metrics))


def _new_folder(runs_folder: Path, dataset: str, profile: str, seed: int, resume: bool) -> Path:
    """Name a run after its parameters; a number follows where that name is taken."""
    base = f"{Path(dataset).resolve().stem}-{profile}-seed{seed}"
    folders = [runs_folder / base]
    while folders[-1].exists():
        folders.append(runs_folder / f"{base}-{len(folders) + 1}")
    return folders[-2] if resume and len(folders) > 1 else folders[-1]


@app.command()
def grade(
    folder: Annotated[Path, Argument(help="Notebooks that learners handed in.")],
    out: Annotated[Path, Option(help="New CSV file: learner by exercise.")] = Path("grades.csv"),
    run: Annotated[
        bool, Option("--run", help="Execute each notebook first; without it, none is.")
    ] = False,
    timeout: Annotated[float, Option(min=1, help="Seconds per notebook.")] = 600,
    memory: Annotated[float, Option(min=0.5, help="GB of memory per process.")] = 8,
) -> None:
    """Read which exercises of handed-in notebooks passed; status 1 if a file is broken."""
    from leukhelpers.course import grade as grading

    if os.path.lexists(out):
        raise InputError(f"{out} is there already; name a new file with --out.")
    if run and not grading.can_cut_network():
        output.tell("This system cannot cut the network off: the notebooks run with it.")
    entries = []
    for entry in grading.grade(folder, run, timeout, memory):
        entries.append(entry)
        for note in entry["notes"]:
            output.tell(f"{entry['file']}: {note}")
    table = grading.to_table(entries)
    grading.write_table(table, out)
    output.console.print(table.drop(columns="notes").fillna("").to_string(), markup=False)
    output.print_result({"table": str(out)}, False)
    if any(entry["broken"] for entry in entries):
        raise SystemExit(1)
