"""What the runs of a sweep measured, in one tidy table and one figure.

A row a run, model and metric: a run answers with its model, the area model and the majority
side by side, and has more metrics than a table could have columns that one still reads. A run
that failed has one row, without a metric, so that its absence is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers import files, plots
from leukhelpers.evaluation.names import METRIC_NAMES, MODEL_NAMES
from leukhelpers.experiments.grid import Entry, varying
from leukhelpers.experiments.sweep import State
from leukhelpers.experiments.sweep_entry import Place

METRIC = ("answered_by", "metric", "value", "low", "high")


def collect(out: Path | str, entries: Sequence[Entry], state: State) -> pd.DataFrame:
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
        ``metric``, ``value``, and ``low`` and ``high``, the ends of its 95 % interval where it
        has one.
    """
    rows: list[dict[str, Any]] = []
    for entry in entries:
        ended = state.results.get(entry.key, {"seconds": None, "error": ""})
        about = {
            "run": entry.key,
            "task": entry.task,
            **entry.parameters,
            "state": state.of[entry.key],
            "seconds": ended["seconds"],
            "error": ended["error"],
        }
        measured: list[dict[str, Any]] = []
        synthetic = entry.parameters.get("dataset") == "twin" or None
        if state.of[entry.key] == "done":
            result = files.read_json(Place(Path(out), entry.key).done / "result.json")
            measured = _measured(result["measured"])
            synthetic = result["measured"].get("synthetic", synthetic)
        about["synthetic"] = synthetic
        rows += [about | found for found in measured or [dict.fromkeys(METRIC)]]
    names = dict.fromkeys(name for entry in entries for name in entry.parameters)
    columns = ["run", "task", *names, "state", "seconds", "error", "synthetic", *METRIC]
    table = pd.DataFrame(rows, columns=columns)
    for name in ("seconds", "value", "low", "high"):
        table[name] = table[name].astype(float)
    table["synthetic"] = table["synthetic"].astype("boolean")
    return table


def _measured(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Give a row a metric: of each model, or of the plain numbers that a notebook left."""
    if isinstance(found.get("models"), dict):
        return [
            {"answered_by": model, "metric": metric}
            | {key: values.get(key) for key in ("value", "low", "high")}
            for model, metrics in found["models"].items()
            for metric, values in metrics.items()
        ]
    return [
        {"answered_by": "", "metric": name, "value": value, "low": None, "high": None}
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """Take the rows by which runs are compared: their own model's AUROC, or the first metric."""
    found = table.dropna(subset=["value"])
    if "model" in found:
        # With weights that cannot be had, a run's model may bear "-random" behind its name.
        own = [
            str(row.answered_by).removesuffix("-random") == str(row.model).removesuffix("-random")
            for row in found.itertuples()
        ]
        found = found[np.array(own, dtype=bool)]
    elif (found["answered_by"] == "cnn").any():
        found = found[found["answered_by"] == "cnn"]
    metrics = list(dict.fromkeys(found["metric"]))
    best = next((name for name in ("auroc", "macro_auroc") if name in metrics), None)
    wanted = best or (metrics[0] if metrics else "")
    return found[found["metric"] == wanted]


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
    if not by or rows.empty:
        value = float(rows["value"].std(ddof=1)) if len(rows) > 1 else float("nan")
        return value, float("nan")
    groups = rows.groupby(list(by), dropna=False)["value"]
    spare = len(rows) - groups.ngroups
    about = rows["value"] - groups.transform("mean")
    within = float(np.sqrt((about**2).sum() / spare)) if spare else float("nan")
    means = groups.mean()
    between = float(means.max() - means.min()) if len(means) > 1 else float("nan")
    return within, between


def write(out: Path | str, table: pd.DataFrame, entries: Sequence[Entry]) -> None:
    """Write ``results.csv``, ``results.parquet`` and the figure over the grid, each whole."""
    out = Path(out)
    with files.whole_file(out / "results.csv") as part:
        table.to_csv(part, index=False)
    # A column of a grid may hold a number here and a name there; Parquet wants one kind.
    names = [name for name in table if table[name].dtype == object]
    as_text = {name: table[name].map(lambda v: None if v is None else str(v)) for name in names}
    with files.whole_file(out / "results.parquet") as part:
        table.assign(**as_text).to_parquet(part, index=False)
    draw(out, table, entries)


def draw(out: Path, table: pd.DataFrame, entries: Sequence[Entry]) -> None:
    """Draw the runs of each setting side by side; nothing where none has a number."""
    rows = headline(table)
    if rows.empty:
        return
    by = [name for name in varying(entries) if name != "seed"]
    metric = str(rows["metric"].iloc[0])
    settings: dict[str, list[float]] = {}
    for row in rows.to_dict("records"):
        label = ", ".join(_named(name, row[name]) for name in by) or "all runs"
        settings.setdefault(label, []).append(row["value"])
    within, between = spread(rows, by)
    title = metric_title(metric, within, between)
    synthetic = "synthetic cells; " if table["synthetic"].fillna(False).any() else ""
    figure = plots.repeated_scores(
        settings,
        title,
        METRIC_NAMES.get(metric, metric),
        f"{synthetic}not for clinical use",
    )
    alt = f"{title}. A dot a run, a tick at the mean of each setting: {', '.join(settings)}."
    plots.save(figure, out / "figures", "sweep", alt)


def metric_title(metric: str, within: float, between: float) -> str:
    """Say what a grid shows: how far one run moves, and how far settings lie apart."""
    name = METRIC_NAMES.get(metric, metric)
    if np.isnan(between):
        return f"{name}: runs differ by {within:.3f} (sd)" if within == within else f"{name}"
    if np.isnan(within):
        return f"{name}: settings differ by {between:.3f}; nobody asked a second seed"
    return f"{name}: one setting's runs differ by {within:.3f} (sd), settings by {between:.3f}"


def _named(name: str, value: Any) -> str:
    if name == "model":
        return MODEL_NAMES.get(value, str(value))
    return f"{name} {value}"
