"""Models side by side on grouped folds: each cell is answered once, by models that never saw it.

Every answer is kept as soon as it is there. Whoever names a folder can stop and go on,
or add a model to a table a day later.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from leukhelpers import files
from leukhelpers.evaluation import metrics
from leukhelpers.evaluation.names import METRIC_NAMES, MODEL_COLUMNS, MODEL_NAMES
from leukhelpers.experiments import predictions, provenance, storage
from leukhelpers.models import prepare, registry
from leukhelpers.splits import groups

# Always beside the others, since they cost next to nothing.
BASELINES = ("area", "majority")


def crossvalidate(
    prepared: prepare.Prepared,
    n_splits: int,
    say: Callable[[str], None],
    names: Sequence[str],
    out: Path,
) -> dict[str, Any]:
    """Train and measure models on the same grouped folds, the baselines beside them.

    Parameters
    ----------
    prepared : Prepared
        Cells, profile and seed.
    n_splits : int
        Number of folds.
    say : callable
        Told of each model and fold as it ends.
    names : sequence of str
        Names of models, see :mod:`leukhelpers.models.registry`.
    out : path
        Folder for the answers. What lies there from before is not learnt again.

    Returns
    -------
    dict
        ``folds``, a summary a fold; ``over_folds``, mean and sd of each metric over the
        folds by model; ``cost``, what each model costs; ``together``, the summary of all
        cells, each predicted once. Probabilities of different folds come from different
        models: the AUROC of ``together`` suffers where their scales differ.

    Raises
    ------
    InputError
        If a name is unknown, or `out` holds answers to other cells, folds or settings.
    """
    names = [registry.validate_model_name(name) for name in dict.fromkeys(names)]
    # All folds before anything is written or learnt: the last may be impossible.
    splits = list(groups.grouped_folds(prepared.table, n_splits, prepared.seed))
    _open(out, prepared, splits)
    classes = prepared.dataset.classes
    columns = {name: f"{name}_probability" for name in names}
    columns |= {name: MODEL_COLUMNS[name] for name in BASELINES}
    tables, folds = [], []
    costs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number, split in enumerate(splits):
        table = None
        for name in names:
            kept = out / f"fold{number}-{name}"
            answers, cost = _answers(prepared._replace(split=split), name, kept)
            costs[name].append(cost)
            own = [column for column in answers if column.startswith("probability")]
            renamed = answers[own].add_prefix(f"{name}_")
            table = (answers.drop(columns=own) if table is None else table).join(renamed)
            say(f"Fold {number}, {MODEL_NAMES[name]}: {_headline(table, classes, columns[name])}")
        tables.append(table)
        folds.append(predictions.measure(table, classes, columns))
    return {
        **provenance.describe(prepared),
        "folds": folds,
        "over_folds": {name: _over_folds(folds, name) for name in columns},
        "cost": {name: _mean_cost(found) for name, found in costs.items()},
        "together": predictions.measure(pd.concat(tables, ignore_index=True), classes, columns),
    }


def _open(out: Path, prepared: prepare.Prepared, splits: Sequence[groups.Split]) -> None:
    """Note what a folder's answers are of, or refuse a folder with answers to something else."""
    note = out / "crossval.json"
    if not note.is_file():
        files.refuse_used(out)
    asked = {**provenance.identity(prepared), "folds": len(splits)}
    asked["splits"] = [provenance.split_digest(split) for split in splits]
    provenance.claim(note, asked, f"{out} holds predictions")


def _answers(
    prepared: prepare.Prepared, name: str, kept: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Let one model learn and answer one fold, or read what it answered before."""
    table, costs = kept.with_suffix(".csv"), kept.with_suffix(".json")
    if not costs.is_file():
        from leukhelpers.backend import keras

        keras.backend.clear_session()
        learnt = registry.fit(name, prepared)
        rows = prepared.split.test
        answer = registry.predict_proba(learnt, prepared, rows)
        baselines = predictions.fit_baselines(prepared)
        answers = predictions.answers_beside(answer, baselines, prepared, rows)
        storage.write_table(table, answers)
        files.write_json(costs, registry.cost(learnt, prepared, rows))
    return storage.read_answers(table), files.read_json(costs)


def _headline(table: pd.DataFrame, classes: Sequence[str], column: str) -> str:
    """Say the headline metric of one model on one fold."""
    metric = "auroc" if len(classes) == 2 else "macro_auroc"
    scores = metrics.probabilities_of(table, column, classes)
    value = metrics.metrics(table["label"], scores, classes=classes)[metric]
    text = "not defined" if value is None else f"{value:.3f}"
    return f"{METRIC_NAMES[metric]} {text} on {table['subject'].nunique()} subjects"


def _over_folds(folds: list[dict[str, Any]], name: str) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over the folds of every metric that all folds have."""
    measured = [fold["models"][name] for fold in folds]
    values = [{metric: one["value"] for metric, one in found.items()} for found in measured]
    table = pd.DataFrame(values, dtype=float).dropna(axis="columns")
    return table.agg(["mean", "std"]).rename(index={"std": "sd"}).to_dict()


def _mean_cost(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Average what was timed; what was counted is the same in each fold."""
    return found[0] | pd.DataFrame(found).select_dtypes("float").mean().round(3).to_dict()
