"""A trained run, applied to cells that it has never seen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers import files, groups, runs
from leukhelpers.cells import CLASS_NAMES, InputError
from leukhelpers.datasets import Dataset
from leukhelpers.datasets.base import stand_ins
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
        ``dataset``, ``classes``, ``cautions`` (of the run and of these cells),
        ``left_out`` and what :func:`leukhelpers.runs.measure` gives.

    Raises
    ------
    InputError
        If the run knows other classes, or no unseen cell is left.
    """
    run = runs.read_run(run_folder)
    classes = runs.classes_of(run.about)
    if dataset.classes != classes:
        raise InputError(
            f"The run {run.folder.name} tells {', '.join(classes)} apart (in this order), the "
            f"cells of {dataset.name} are {', '.join(dataset.classes)}; evaluate it on cells of "
            "the same classes."
        )
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
        "classes": list(classes),
        # Of both: a network that learnt from such cells is judged by them, too.
        "cautions": list(dict.fromkeys([*_cautions(run), *dataset.cautions])),
        "notice": NOTICE,
        "left_out": len(table) - len(rows),
        "set_aside": len(aside),
        **runs.measure(predictions, classes),
    }


def _cautions(run: runs.Run) -> list[str]:
    """Read what was said of the cells that a run learnt from; older runs say nothing."""
    return list(run.about.get("cautions", []))


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
            picture = crop_and_resize(read_image(path), profile.size, profile.crop)
            if not picture.any():
                raise InputError("the picture is black where the cell should be")
            pictures.append(picture)
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
        ``file``, then ``answer`` (the name of a class), ``probability_all`` (if the run
        knows two classes and the second is ALL), ``probabilities`` (class → probability,
        if they are not HEM and ALL) and ``notice``; or ``error``.
    """
    from leukhelpers import training

    run = runs.read_run(run_folder)
    array, told = read_cells(paths, runs.Profile(**run.about["profile"]))
    classes = runs.classes_of(run.about)
    answers = training.predict(runs.load_model(run.folder), array)
    readable = [entry for entry in told if "error" not in entry]
    for entry, answer in zip(readable, answers, strict=True):
        entry.update(_told_answer(answer, classes))
        entry["notice"] = " ".join([NOTICE, *_cautions(run)])
    return told


def _told_answer(answer: Any, classes: Sequence[str]) -> dict[str, Any]:
    """Put what a network answers to one cell into words and numbers."""
    if len(classes) == 2:
        of_each = [1 - float(answer), float(answer)]
        entry: dict[str, Any] = {"answer": classes[int(answer >= 0.5)]}
    else:
        of_each = [float(probability) for probability in answer]
        entry = {"answer": classes[int(np.argmax(answer))]}
    if tuple(classes[1:]) == CLASS_NAMES[1:]:
        entry["probability_all"] = round(of_each[1], 6)
    if tuple(classes) != CLASS_NAMES:
        rounded = [round(probability, 6) for probability in of_each]
        entry["probabilities"] = dict(zip(classes, rounded, strict=True))
    return entry


def explain_files(
    run_folder: Path | str, paths: Sequence[Path], out: Path | str
) -> list[dict[str, Any]]:
    """Draw Grad-CAM and SHAP over picture files, one figure a file.

    SHAP compares with the run's own ``background.npy``, cells that it was trained on.

    Returns
    -------
    list of dict
        As :func:`predict_files`, and ``figure``.

    Raises
    ------
    InputError
        If the run knows more than two classes: the figure has the colours of two.
    """
    from leukhelpers import explain, plots, training

    run = runs.read_run(run_folder)
    classes = runs.classes_of(run.about)
    if len(classes) > 2:
        raise InputError(
            f"Explanations show what speaks for one of two classes; {run.folder.name} knows "
            f"{len(classes)}, so train one on two classes to explain it."
        )
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
            [f"P({classes[1]}) = {probability:.2f}"],
            title=f"{Path(entry['file']).name}: what moved the network",
            note="; ".join([NOTICE.rstrip("."), *stand_ins(classes)]),
        )
        alt = f"{name}, P({classes[1]}) {probability:.2f}, with Grad-CAM and SHAP over the cell"
        entry.update(_told_answer(probability, classes))
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

    classes = prepared.dataset.classes
    headline = "auroc" if len(classes) == 2 else "macro_auroc"
    predictions, folds = [], []
    splits = groups.grouped_folds(prepared.table, n_splits, prepared.seed)
    for number, split in enumerate(splits):
        keras.backend.clear_session()
        model, _ = runs.train(prepared, split)
        baselines = runs.fit_baselines(prepared, split)
        predictions.append(runs.predictions_of(model, baselines, prepared, split.test))
        folds.append(runs.measure(predictions[-1], classes))
        auroc = folds[-1]["models"]["cnn"][headline]["value"]
        told = "not defined" if auroc is None else f"{auroc:.3f}"
        kind = headline.replace("_", " ").replace("auroc", "AUROC")
        say(f"Fold {number}: {kind} {told} on {folds[-1]['subjects']} subjects")
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
        "together": runs.measure(pd.concat(predictions, ignore_index=True), classes),
    }
