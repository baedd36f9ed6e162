"""What commands print: results as lines, tables or JSON; progress on standard error."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import progress as bars
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Column, Table

from leukhelpers import files

errors = Console(stderr=True, highlight=False)
console = Console(highlight=False, soft_wrap=True)


def tell(message: str) -> None:
    """Say on standard error how far the work is, or what is wrong, in one line."""
    errors.print(message, markup=False, soft_wrap=True)


def as_json_text(value: Any, **options: Any) -> str:
    """Write JSON with all letters as they are, if the output has them."""
    plain = "utf" not in (sys.stdout.encoding or "").lower()
    text = json.dumps(value, ensure_ascii=plain, **options)
    return text.encode(errors="backslashreplace").decode()  # a file's name may hold any bytes


# What is too much for a line each: tables, as on the model's card.
_IN_DETAIL = ["report", "by_class", "compared", "of_subjects", "worst_first", "decisions", "notes"]


def print_result(found: dict[str, Any], as_json: bool) -> None:
    """Print what was found, as JSON or as lines and tables."""
    if as_json:
        print(as_json_text(found, indent=2, allow_nan=False))
        return
    for caution in found.get("cautions", []):
        console.print(f"Caution: {caution}", markup=False)
    for key, value in found.items():
        if key == "cautions" or key in _IN_DETAIL:
            continue
        if key == "models":
            console.print(metrics_table(found))
        elif value not in ({}, []):
            shown = as_json_text(value) if isinstance(value, dict | list) else value
            console.print(f"{key.replace('_', ' ')}: {shown}", markup=False)
    if "models" in found:
        from leukhelpers.experiments import model_card

        console.print(Markdown(model_card.details(found, next(iter(found["models"])))))
        for note in found.get("notes", []):
            console.print(note, markup=False)


def metrics_table(metrics: dict[str, Any]) -> Table | str:
    """Lay out the models beside the two baselines, with intervals."""
    from leukhelpers.experiments import report

    if "models" not in metrics:
        return "No subject was held out, so there are no scores."
    shown = report.headline(metrics)
    synthetic = ", synthetic" if metrics.get("synthetic") else ""
    title = f"{metrics['cells']} cells of {metrics['subjects']} held-out subjects{synthetic}"
    caption = "95% interval below each value" if "(" in shown.to_string() else None
    model = Column("Model", min_width=14)  # as long as "majority-class"
    table = Table(model, *shown.columns, title=title, caption=caption)
    for name, row in shown.iterrows():
        # The interval below its value: four of them side by side fill a terminal.
        cells = [cell.replace(" (", "\n").replace(" to ", "–").rstrip(")") for cell in row]
        table.add_row(str(name), *cells)
    return table


def folds_table(found: dict[str, Any]) -> Table:
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


def print_lines(entries: list[dict[str, Any]]) -> None:
    """Print a line of JSON for each entry; status 1 if one tells of an error."""
    for entry in entries:
        print(as_json_text(entry))
    if any("error" in entry for entry in entries):
        raise SystemExit(1)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each task at work; give the function that takes how far a task is."""
    with bars.Progress(console=errors, transient=True, disable=not errors.is_terminal) as shown:
        tasks: dict[str, Any] = {}

        def advance(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = shown.add_task(task)
            shown.update(tasks[task], completed=done, total=total)
            if done == total:
                shown.remove_task(tasks.pop(task))

        yield advance


def cells_as_in(run: Path, dataset: str, part: str = "training") -> Any:
    """Read cells as those of a finished run were read."""
    from leukhelpers.experiments import storage
    from leukhelpers.models import prepare

    about = storage.read_run(run).about
    data = files.workspace() / "data"
    return prepare.load(dataset, storage.profile_in(about), about["seed"], data, parts=(part,))
