"""What the runs of a sweep measured, in one tidy table and one figure.

A row a run, model and metric: a run answers with its model, the area model and the majority
side by side, and has more metrics than a table could have columns that one still reads. A run
that failed has one row, without a metric, so that its absence is seen.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers import files
from leukhelpers.evaluation.names import METRIC_NAMES, MODEL_NAMES
from leukhelpers.experiments import storage, sweep_entry
from leukhelpers.experiments.grid import Entry, varying
from leukhelpers.experiments.sweep import State
from leukhelpers.plots import charts, saving


def collect(out: Path, entries: Sequence[Entry], state: State) -> pd.DataFrame:
    """Gather the results of a sweep.

    Parameters
    ----------
    out : path
        The sweep's folder.
    entries : sequence of Entry
        What was asked for, in the order of the rows.
    state : State
        How each of them ended.

    Returns
    -------
    pandas.DataFrame
        ``run`` (the key), ``task``, a column a parameter, ``state``, ``seconds``, ``error``,
        ``synthetic`` (whether the cells are drawn, where that is known), ``answered_by``,
        ``metric``, ``value``, and ``low`` and ``high``, the ends of its 95% interval where it
        has one.
    """
    rows: list[dict[str, Any]] = []
    for entry in entries:
        result = files.read_if_there(sweep_entry.locate(out, entry.key).done / "result.json")
        measured = result.get("measured", {})
        drawn = entry.parameters.get("dataset") == "twin" or None
        ended = {"seconds": None, "error": "", **state.results.get(entry.key, {})}
        about = {"run": entry.key, "task": entry.task, **entry.parameters, **ended}
        about |= {"state": state.of[entry.key], "synthetic": measured.get("synthetic", drawn)}
        plain = entry.task == "lesson" or "models" in measured  # else it was tested on no cell
        rows += [{**about, **found} for found in (plain and _measured(measured)) or [{}]]
    names = dict.fromkeys(name for entry in entries for name in entry.parameters)
    columns = ["run", "task", *names, "state", "seconds", "error", "synthetic"]
    columns += ["answered_by", "metric", "value", "low", "high"]
    kinds = {**dict.fromkeys(("seconds", "value", "low", "high"), float), "synthetic": "boolean"}
    return pd.DataFrame(rows, columns=columns).astype(kinds)


def _measured(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Give a row a metric: of each model, or of the plain numbers that a notebook left."""
    with contextlib.suppress(AttributeError, KeyError, TypeError):  # as trainings write it
        return [
            {"answered_by": model, "metric": metric, **values}
            for model, metrics in found["models"].items()
            for metric, values in metrics.items()
        ]
    numbers = {name: value for name, value in found.items() if type(value) in (int, float)}
    return [{"answered_by": "", "metric": n, "value": value} for n, value in numbers.items()]


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """Take the rows by which runs are compared: their own model's AUROC, or the first metric."""
    found = table.dropna(subset=["value"])
    if "model" in found and (found["answered_by"] != "").any():
        # With weights that cannot be had, a run's model may bear "-random" behind its name.
        own = found[["answered_by", "model"]].astype("string").replace("-random$", "", regex=True)
        found = found[own["answered_by"] == own["model"]]
    elif (found["answered_by"] == "cnn").any():
        found = found[found["answered_by"] == "cnn"]
    metrics = list(found["metric"])
    wanted = [name for name in ("auroc", "macro_auroc", *metrics) if name in metrics][:1]
    return found[found["metric"].isin(wanted)]


def spread(rows: pd.DataFrame, by: Sequence[str]) -> tuple[float, float]:
    """Compare the spread within settings, between seeds, with that between settings.

    Parameters
    ----------
    rows : pandas.DataFrame
        A row a run with its ``value``.
    by : sequence of str
        The columns that make a setting.

    Returns
    -------
    within, between : float
        Standard deviation of one run about the mean of its setting, over all settings, and
        the distance from the lowest mean to the highest. ``nan`` where there is no second run,
        or no second setting.
    """
    groups = rows.groupby(list(by) or (lambda _: "all runs"), dropna=False)["value"]
    spare, means = len(rows) - groups.ngroups, groups.mean()
    squares = ((rows["value"] - groups.transform("mean")) ** 2).sum()
    within = float(np.sqrt(squares / spare)) if spare else float("nan")
    return within, float(np.ptp(means)) if len(means) > 1 else float("nan")


def write(out: Path, table: pd.DataFrame, entries: Sequence[Entry]) -> None:
    """Write ``results.csv``, ``results.parquet`` and the figure over the grid, each whole."""
    storage.write_table(out / "results.csv", table)
    # A column of a grid may hold a number here and a name there; Parquet wants one kind.
    texts = dict.fromkeys(table.select_dtypes("object"), "string")
    with files.whole_file(out / "results.parquet") as part:
        table.astype(texts).to_parquet(part, index=False)
    draw(out, table, entries)


def draw(out: Path, table: pd.DataFrame, entries: Sequence[Entry]) -> None:
    """Draw the runs of each setting side by side; nothing where none has a number."""
    rows = headline(table)
    if rows.empty:
        return
    by = [name for name in varying(entries) if name != "seed"]
    settings: dict[str, list[float]] = {}
    for row in rows.to_dict("records"):
        row["model"] = row["answered_by"] or row.get("model")
        named = [MODEL_NAMES.get(row[name], f"{name} {row[name]}") for name in by]
        settings.setdefault(", ".join(named) or "all runs", []).append(row["value"])
    metric = METRIC_NAMES.get(rows["metric"].iloc[0], rows["metric"].iloc[0])
    title = _title(metric, *spread(rows, by))
    drawn = "synthetic cells; " if table["synthetic"].fillna(False).any() else ""
    figure = charts.repeated_scores(settings, title, metric, f"{drawn}not for clinical use")
    alt = f"{title}. A dot a run, a tick at the mean of each setting: {', '.join(settings)}."
    saving.save(figure, out / "figures", "sweep", alt)


def _title(name: str, within: float, between: float) -> str:
    """Say what a grid shows: how far one run moves, and how far settings lie apart."""
    if np.isnan(between):
        return f"{name}: runs differ by {within:.3f} (sd)" if within == within else f"{name}"
    if np.isnan(within):
        return f"{name}: settings differ by {between:.3f}; one run of each"
    return f"{name}: one setting's runs differ by {within:.3f} (sd), settings by {between:.3f}"
