"""A trained run, applied to cells that it has never seen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers import evaluation, files, groups, runs
from leukhelpers.cells import CLASS_NAMES, InputError
from leukhelpers.datasets import Dataset
from leukhelpers.datasets.images import read_image
from leukhelpers.pixels import build_pixels, crop_and_resize

NOTICE = "For teaching, not for diagnosis."


def train_run(folder: Path | str, prepared: runs.Prepared, fold: int | None = None) -> runs.Run:
    """Train the course's CNN and save the run.

    Parameters
    ----------
    folder : path
        The run's folder.
    prepared : runs.Prepared
        Cells, profile and seed.
    fold : int, optional
        Which of four grouped folds to hold out; by default nothing is held out.
    """
    if fold is None:
        split = groups.everything_split(prepared.table, prepared.seed)
    else:
        split = list(groups.grouped_folds(prepared.table, 4, prepared.seed))[fold]
    model, history = runs.train(prepared, split)
    return runs.save_run(folder, prepared, model, history, split)


def unseen(run: runs.Run, dataset: Dataset, table: pd.DataFrame) -> np.ndarray:
    """Find the rows of a table that a run has not learnt from.

    A cell counts as seen if its group holds a picture, or bears the name of a
    subject, that was in the run's training or validation part. Drawn subjects and
    real ones are never the same, though the twin uses the names of C-NMC.

    Returns
    -------
    numpy.ndarray of bool, shape (n_cells,)
    """
    parts = runs.read_parts(run.folder)
    learnt = parts[parts["part"] != "test"]
    known = table["sha256"].isin(learnt["sha256"])
    if run.about["synthetic"] == dataset.synthetic:
        known |= table["subject"].isin(learnt["subject"])
    group = groups.group_ids(table)
    return ~np.isin(group, group[known.to_numpy()])


def evaluate_run(run_folder: Path | str, dataset: Dataset, data: Path) -> dict[str, Any]:
    """Measure a trained run on the cells of a data set that it never saw.

    Parameters
    ----------
    run_folder : path
        A finished run.
    dataset : Dataset
        Labelled cells. Those of groups that the run learnt from are left out, and
        their number is told.
    data : path
        Folder for the caches.

    Returns
    -------
    dict
        ``dataset``, ``left_out`` and what :func:`leukhelpers.evaluation.summary` gives.

    Raises
    ------
    InputError
        If no unseen cell is left.
    """
    run = runs.read_run(run_folder)
    profile = runs.Profile(**run.about["profile"])
    array, table, unread = build_pixels(dataset, data / "cache", profile.size, profile.crop)
    rows = np.flatnonzero(unseen(run, dataset, table))
    if len(rows) == 0:
        raise InputError(
            f"The run {run.folder.name} has learnt from every subject of {dataset.name}; "
            "evaluate it on other cells."
        )
    # Nothing is learnt here, so all rows stand on the test side.
    none = np.zeros(0, dtype=int)
    split = groups.Split(groups.group_ids(table), none, none, rows)
    aside = pd.concat([dataset.set_aside, unread], ignore_index=True)
    prepared = runs.Prepared(dataset, profile, run.about["seed"], array, table, aside, split)
    baselines = files.read_json(run.folder / "baselines.json")
    predictions = runs.predictions_of(runs.load_model(run.folder), baselines, prepared, rows)
    return {
        "run": run.folder.name,
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "notice": NOTICE,
        "left_out": len(table) - len(rows),
        "set_aside": len(aside),
        **evaluation.summary(predictions),
    }


def read_cells(paths: Sequence[Path], profile: runs.Profile) -> tuple[np.ndarray, list[dict]]:
    """Read picture files as a run's network wants them.

    Returns
    -------
    array : numpy.ndarray
        uint8, shape (n_readable, size, size, 3).
    told : list of dict
        For every file, ``file`` and, where it cannot be read, ``error``.
    """
    pictures, told = [], []
    for path in paths:
        entry: dict[str, Any] = {"file": str(path)}
        try:
            pictures.append(crop_and_resize(read_image(path), profile.size, profile.crop))
        except OSError as error:
            entry["error"] = error.strerror or str(error)
        except InputError as error:
            entry["error"] = str(error)
        told.append(entry)
    empty = np.zeros((0, profile.size, profile.size, 3), np.uint8)
    return (np.stack(pictures) if pictures else empty), told


def predict_files(run_folder: Path | str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Answer picture files: for each its probability of ALL, or why it cannot be read.

    Returns
    -------
    list of dict
        ``file``, then ``answer``, ``probability_all`` and ``notice``; or ``error``.
    """
    from leukhelpers import training

    run = runs.read_run(run_folder)
    array, told = read_cells(paths, runs.Profile(**run.about["profile"]))
    probabilities = training.predict(runs.load_model(run.folder), array)
    readable = [entry for entry in told if "error" not in entry]
    for entry, probability in zip(readable, probabilities, strict=True):
        entry["answer"] = CLASS_NAMES[int(probability >= 0.5)]
        entry["probability_all"] = round(float(probability), 6)
        entry["notice"] = NOTICE
    return told


def explain_files(
    run_folder: Path | str, paths: Sequence[Path], out: Path | str
) -> list[dict[str, Any]]:
    """Draw Grad-CAM and SHAP over picture files, one figure a file.

    SHAP compares with the run's own ``background.npy``, cells that it was trained on.

    Returns
    -------
    list of dict
        ``file``, then ``probability_all`` and ``figure``; or ``error``.
    """
    from leukhelpers import explain, plots, training

    run = runs.read_run(run_folder)
    model = runs.load_model(run.folder)
    array, told = read_cells(paths, runs.Profile(**run.about["profile"]))
    readable = [entry for entry in told if "error" not in entry]
    if not readable:
        return told
    background = np.load(run.folder / "background.npy")
    probabilities = training.predict(model, array)
    maps = {
        "Grad-CAM": explain.grad_cam(model, array),
        "SHAP": explain.shap_gradient(model, array, background).sum(axis=-1),
    }
    out = Path(out)
    taken: set[str] = set()
    for row, entry in enumerate(readable):
        probability = float(probabilities[row])
        name = _free_name(Path(entry["file"]).stem, taken)
        figure = plots.attribution_grid(
            array[row : row + 1],
            {method: values[row : row + 1] for method, values in maps.items()},
            [f"P(ALL) = {probability:.2f}"],
            title=f"{Path(entry['file']).name}: what moved the network",
            note=NOTICE,
        )
        alt = f"{name}, P(ALL) {probability:.2f}, with Grad-CAM and SHAP laid over the cell"
        entry["probability_all"] = round(probability, 6)
        entry["figure"] = str(plots.save(figure, out, name, alt))
    return told


def _free_name(stem: str, taken: set[str]) -> str:
    """Give each figure a name of its own, though two files may be called alike."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "cell"
    name, number = stem, 2
    while name.lower() in taken:  # some file systems do not heed the letter case
        name, number = f"{stem}-{number}", number + 1
    taken.add(name.lower())
    return name


def crossvalidate(prepared: runs.Prepared, n_splits: int = 4, say: Any = print) -> dict[str, Any]:
    """Train and measure the CNN on grouped folds, the baselines beside it.

    Parameters
    ----------
    prepared : runs.Prepared
        Cells, profile and seed.
    n_splits : int
        Number of folds.
    say : callable
        Told of each fold as it ends.

    Returns
    -------
    dict
        ``folds``, a summary a fold; ``mean`` and ``sd`` of each metric over the folds
        by model; ``together``, the summary of all cells, each predicted once.
    """
    from leukhelpers.backend import keras

    predictions, folds = [], []
    splits = groups.grouped_folds(prepared.table, n_splits, prepared.seed)
    for number, split in enumerate(splits):
        keras.backend.clear_session()
        model, _ = runs.train(prepared, split)
        baselines = runs.fit_baselines(prepared, split)
        predictions.append(runs.predictions_of(model, baselines, prepared, split.test))
        folds.append(evaluation.summary(predictions[-1]))
        auroc = folds[-1]["models"]["cnn"]["auroc"]["value"]
        say(f"Fold {number}: AUROC {auroc:.3f} on {folds[-1]['subjects']} subjects")
    by_model: dict[str, Any] = {}
    for model_name in folds[0]["models"]:
        metrics = folds[0]["models"][model_name]
        values = {
            metric: [fold["models"][model_name][metric]["value"] for fold in folds]
            for metric in metrics
        }
        by_model[model_name] = {
            metric: {"mean": float(np.mean(found)), "sd": float(np.std(found, ddof=1))}
            for metric, found in values.items()
            if None not in found
        }
    return {
        **runs.describe(prepared),
        "folds": folds,
        "over_folds": by_model,
        "together": evaluation.summary(pd.concat(predictions, ignore_index=True)),
    }
