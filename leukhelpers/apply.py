"""A trained run, applied to cells that it has never seen."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers import card, evaluation, files, groups, learning, page, runs
from leukhelpers.cells import CLASS_NAMES, InputError
from leukhelpers.datasets import Dataset
from leukhelpers.datasets.base import stand_ins
from leukhelpers.datasets.images import read_image
from leukhelpers.pixels import build_pixels, crop_and_resize

NOTICE = "For teaching, not for diagnosis."


def train_run(
    folder: Path | str, prepared: runs.Prepared, fold: int | None = None, name: str = "cnn"
) -> runs.Run:
    """Train a model and save the run.

    Parameters
    ----------
    folder : path
        The run's folder. A network in training leaves its state after each epoch in
        ``training`` there, and goes on from it if the folder holds one.
    prepared : runs.Prepared
        Cells, profile and seed.
    fold : int, optional
        Which of four grouped folds to hold out; by default nothing is held out.
    name : str
        The model's name, see :mod:`leukhelpers.learning`.

    Raises
    ------
    InputError
        If the folder holds a finished run, or an interrupted training of something else.
    """
    folder = Path(folder)
    if (folder / "run.json").is_file():
        raise InputError(f"{folder} holds a finished run; name a new folder.")
    if fold is None:
        split = groups.everything_split(prepared.table, prepared.seed)
    else:
        split = list(groups.grouped_folds(prepared.table, 4, prepared.seed))[fold]
    learning.known_model(name)
    backup = folder / "training"
    _begin_training(backup, {"model": name, "fold": fold, **_identity(prepared)})
    learnt = learning.learn(name, prepared, split, backup=backup)
    told = learnt.model, learnt.history, learnt.held_back
    run = runs.save_run(folder, prepared, *told, split, name)
    card.write_card(folder)
    page.write_page(folder)
    shutil.rmtree(backup, ignore_errors=True)  # only a finished run needs it no more
    return run


def _begin_training(backup: Path, asked: dict[str, Any]) -> None:
    """Note what is being trained, or refuse to go on with the training of something else."""
    note = backup / "asked.json"
    if note.is_file() and files.read_json(note) != asked:
        raise InputError(
            f"{backup.parent} holds an interrupted training of other cells, model, profile, "
            "seed or fold; name another folder."
        )
    backup.mkdir(parents=True, exist_ok=True)
    files.write_json(note, asked)


def _identity(prepared: runs.Prepared) -> dict[str, Any]:
    """Tell cells, profile and seed in a form that can be compared with a file's."""
    return {
        "fingerprint": runs.fingerprint(prepared.table),
        "profile": asdict(prepared.profile),
        "seed": prepared.seed,
    }


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
    profile = runs.profile_in(run.about)
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
    prepared = runs.Prepared(dataset, profile, run.about["seed"], array, table, aside, split, data)
    baselines = files.read_json(run.folder / "baselines.json")
    name = runs.model_of(run.about)
    model = learning.load(run.folder, name).model
    predictions = runs.predictions_of(model, baselines, prepared, rows, name)
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
        **runs.measure(
            predictions, classes, runs.columns_of_run(name), runs.read_validation(run.folder)
        ),
    }


def _cautions(run: runs.Run) -> list[str]:
    """Read what was said of the cells that a run learnt from; older runs say nothing."""
    return list(run.about.get("cautions", []))


def read_cells(
    paths: Sequence[Path], profile: runs.Profile, name: str = "cnn"
) -> tuple[np.ndarray, list[dict]]:
    """Read picture files as a run's model wants them.

    Parameters
    ----------
    paths : sequence of path
    profile : runs.Profile
    name : str
        The model's name.

    Returns
    -------
    array : numpy.ndarray
        uint8, shape (n_readable, size, size, 3).
    told : list of dict
        For every file, ``file`` and, where it cannot be read, ``error``.
    """
    pictures, told = [], []
    size, crop = learning.picture_size(name, profile)
    for path in paths:
        entry: dict[str, Any] = {"file": str(path)}
        try:
            picture = crop_and_resize(read_image(path), size, crop)
            if not picture.any():
                raise InputError("the picture is black where the cell should be")
            pictures.append(picture)
        except OSError as error:
            entry["error"] = error.strerror or str(error)
        except InputError as error:
            entry["error"] = str(error)
        told.append(entry)
    empty = np.zeros((0, size, size, 3), np.uint8)
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
    run = runs.read_run(run_folder)
    profile, name = runs.profile_in(run.about), runs.model_of(run.about)
    array, told = read_cells(paths, profile, name)
    classes = runs.classes_of(run.about)
    answers = learning.answer_pictures(learning.load(run.folder, name), array, profile)
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
    name = runs.model_of(run.about)
    if not learning.is_network(name):
        raise InputError(
            f"Grad-CAM and SHAP over pixels explain networks; {run.folder.name} holds "
            f"{evaluation.MODEL_NAMES[name]}, which sees named features and no pixels."
        )
    classes = runs.classes_of(run.about)
    if len(classes) > 2:
        raise InputError(
            f"Explanations show what speaks for one of two classes; {run.folder.name} knows "
            f"{len(classes)}, so train one on two classes to explain it."
        )
    model = runs.load_model(run.folder)
    array, told = read_cells(paths, runs.profile_in(run.about), name)
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
