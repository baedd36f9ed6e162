"""A run is a folder: what was asked, the model, its history, its predictions, its metrics.

::

    run.json         what was asked, of which cells, on which machine; written last
    model.keras      the trained network; a classical model is in model.skops
    baselines.json   the area model's few numbers, and the majority answer
    cells.csv        every cell, and the part it had: train, validation or test
    history.csv      a row an epoch
    predictions.csv  a row a held-out cell: the model, the area model and the majority answer
    validation.csv   the same of the validation cells, by a model that learnt without them
    metrics.json     made from predictions.csv and validation.csv alone
    background.npy   a few training cells, with which SHAP compares
    familiar.json    how training cells look, to notice others: leukhelpers.models.ood
    set_aside.csv    files that could not be used, and why
    card.md          all of this in words: leukhelpers.experiments.model_card
    card.html        the same with figures

A folder without ``run.json`` is not a run: the writing was interrupted.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from filelock import FileLock

from leukhelpers import files
from leukhelpers.data.base import Dataset
from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.errors import InputError
from leukhelpers.experiments import predictions, provenance
from leukhelpers.models import cnn, ood, prepare, profiles, registry
from leukhelpers.splits import groups

N_BACKGROUND = 24  # cells with which SHAP compares


class Run(NamedTuple):
    """What an experiment folder holds; the model is loaded when it is asked for."""

    folder: Path
    about: dict[str, Any]
    history: pd.DataFrame
    predictions: pd.DataFrame
    metrics: dict[str, Any]

    @property
    def model(self) -> Any:
        """The trained model, read from its file."""
        return registry.load(self.folder, model_of(self.about)).model

    @property
    def validation(self) -> pd.DataFrame | None:
        """Predictions for the validation cells, by a model that was not trained on them."""
        return read_validation(self.folder)

    @property
    def background(self) -> np.ndarray:
        """A few training cells that the run keeps."""
        try:
            return np.load(self.folder / "background.npy")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"The run in {self.folder} is damaged ({error}).") from None


def save_run(
    folder: Path,
    prepared: prepare.Prepared,
    model: Any,
    history: pd.DataFrame,
    validation_proba: np.ndarray | None = None,
    name: str = "cnn",
) -> Run:
    """Let the test rows be answered, and write the run: each file whole, ``run.json`` last.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    prepared : Prepared
        Cells, profile, seed and split.
    model, history, validation_proba
        From :func:`leukhelpers.models.cnn.train`, or from :func:`leukhelpers.models.registry.fit`.
    name : str
        The model's name.

    Returns
    -------
    Run
        What was written, read back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in ("run.json", "familiar.json", "validation.csv"):  # not all runs have them
        (folder / old).unlink(missing_ok=True)
    split = prepared.split
    learnt = registry.FittedModel(name, model)
    registry.save(learnt, folder)
    baselines = predictions.fit_baselines(prepared)
    files.write_json(folder / "baselines.json", baselines)
    with files.whole_file(folder / "background.npy") as part:
        np.save(part, background_cells(prepared, name))
    if len(split.train) and len(split.validation):
        files.write_json(folder / "familiar.json", fit_familiar(prepared, name))
    answered = {"predictions": (registry.predict_proba(learnt, prepared, split.test), split.test)}
    if validation_proba is not None:
        answered["validation"] = validation_proba, split.validation
    for file, (answer, rows) in answered.items():
        answers = predictions.answers_beside(answer, baselines, prepared, rows)
        write_table(folder / f"{file}.csv", answers)
    write_table(folder / "cells.csv", _parts(prepared))
    write_table(folder / "history.csv", history)
    write_table(folder / "set_aside.csv", prepared.set_aside)
    about = {"model": name, **provenance.describe(prepared)}
    shared = ("model", "dataset", "synthetic", "classes", "cautions", "seed", "date", "machine")
    extra = {key: about[key] for key in shared} | {"profile": prepared.profile.name}
    # Metrics are made from the files, so that the files can always make them again.
    kept = read_answers(folder / "predictions.csv")
    measured: dict[str, Any] = {"on": "nothing: no subject was held out", "cells": 0}
    if len(kept):
        columns, known = predictions.columns_of_run(name), read_validation(folder)
        found = predictions.measure(kept, about["classes"], columns, known)
        measured = {"on": "held-out subjects", **found}
    files.write_json(folder / "metrics.json", {**extra, **measured})
    files.write_json(folder / "run.json", about)
    return read_run(folder)


def background_cells(prepared: prepare.Prepared, name: str) -> np.ndarray:
    """Draw training cells at random, as many of each class, to compare others with.

    Returns
    -------
    numpy.ndarray
        uint8, shape (at most 24, size, size, 3): as the model of that name sees them.
    """
    train = prepared.split.train
    labels = prepared.table["label"].to_numpy()[train]
    generator = np.random.default_rng(prepared.seed)
    found = np.unique(labels)
    of_each = [generator.permutation(train[labels == label]) for label in found]
    chosen = [rows[: N_BACKGROUND // len(found)] for rows in of_each]
    return prepare.pictures(name, prepared)[np.sort(np.concatenate(chosen))]


def fit_familiar(prepared: prepare.Prepared, name: str = "cnn") -> dict[str, Any]:
    """Learn how cells look, from training and validation pictures of the model of that name.

    Returns
    -------
    dict
        See :func:`leukhelpers.models.ood.fit_ood`.
    """
    split = prepared.split
    known = [prepare.subsample(rows, ood.AT_MOST) for rows in (split.train, split.validation)]
    rows = np.concatenate(known)
    return ood.fit_ood(prepare.pictures(name, prepared)[rows], split.groups[rows])


def _parts(prepared: prepare.Prepared) -> pd.DataFrame:
    """Say of every cell in which part of the split it was."""
    part = np.full(len(prepared.table), "", dtype=object)
    for name in ("train", "validation", "test"):
        part[getattr(prepared.split, name)] = name
    cells = prepared.table[["cell_id", "label", "subject", "sha256"]]
    return cells.assign(group=prepared.split.groups, part=part)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV file whole."""
    with files.whole_file(path) as part:
        table.to_csv(part, index=False)


def read_validation(folder: Path) -> pd.DataFrame | None:
    """Read ``validation.csv``; None of a run that has none."""
    file = folder / "validation.csv"
    return read_answers(file) if file.is_file() else None


def read_parts(folder: Path) -> pd.DataFrame:
    """Read ``cells.csv``: which cell was in which part of the split."""
    return read_answers(folder / "cells.csv")


def read_answers(path: Path) -> pd.DataFrame:
    """Read a table of cells as :func:`write_table` left it, names of people as text."""
    text = dict.fromkeys(("cell_id", "subject", "group", "fold"), str)
    return pd.read_csv(path, dtype=text, keep_default_na=False)


def read_run(folder: Path | str) -> Run:
    """Read a finished run.

    Raises
    ------
    InputError
        If the folder is no finished run.
    """
    folder = Path(folder).resolve()
    if not (folder / "run.json").is_file():
        raise InputError(f"{folder} is no finished run: it has no run.json.")
    for name in ("cells.csv", "baselines.json"):
        if not (folder / name).is_file():
            raise InputError(f"The run in {folder} is damaged: {name} is missing; train it again.")
    try:
        return Run(
            folder,
            files.read_json(folder / "run.json"),
            pd.read_csv(folder / "history.csv"),
            read_answers(folder / "predictions.csv"),
            files.read_json(folder / "metrics.json"),
        )
    except (OSError, ValueError) as error:
        raise InputError(f"The run in {folder} is damaged ({error}); train it again.") from None


def latest_run(folder: Path) -> Path:
    """Find the run of a network below a folder that was finished last.

    Raises
    ------
    InputError
        If there is none.
    """
    every = folder.glob("*/run.json")
    runs = [run for run in every if registry.is_network(model_of(files.read_if_there(run)))]
    last = max(runs, key=lambda file: file.stat().st_mtime, default=None)
    if last is None:
        raise InputError(f"{folder} holds no network; train one with 'leuk train'.")
    return last.parent


def classes_of(about: dict[str, Any]) -> tuple[str, ...]:
    """Tell which classes a run knows, from its ``run.json``; older runs knew HEM and ALL."""
    classes = about.get("classes")  # version 1 kept counts here
    return tuple(classes) if isinstance(classes, list) else CLASS_NAMES


def profile_in(about: dict[str, Any]) -> profiles.Profile:
    """Read the profile of a run from its ``run.json``.

    Raises
    ------
    InputError
        If it was written by another version of the course.
    """
    kept, names = about.get("profile"), [field.name for field in fields(profiles.Profile)]
    if not isinstance(kept, dict) or not set(names) <= set(kept):
        raise InputError("The run was made by another version of the course; train it again.")
    return profiles.Profile(**{name: kept[name] for name in names})


def model_of(about: dict[str, Any]) -> str:
    """Tell which model a run holds, from its ``run.json``; older runs knew one."""
    return str(about.get("model", "cnn"))


def refuse_other_run(run: Run, prepared: prepare.Prepared) -> None:
    """Refuse a run that was not made from these cells, settings and split."""
    asked = provenance.identity(prepared)
    same = (
        model_of(run.about) == "cnn"
        and classes_of(run.about) == prepared.dataset.classes
        and {key: run.about[key] for key in asked} == asked
        and read_parts(run.folder)["part"].tolist() == _parts(prepared)["part"].tolist()
    )
    if not same:
        raise InputError(
            f"{run.folder} holds a run of other cells, profile, seed or split; name another folder."
        )


def ensure_run(folder: Path, prepared: prepare.Prepared) -> Run:
    """Read a run, or make it if it is not there yet, and say which.

    Raises
    ------
    InputError
        If the folder holds a run of other cells, another profile, seed or split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".training.lock"):  # whoever comes second waits, and reads it
        if (folder / "run.json").is_file():
            run = read_run(folder)
            refuse_other_run(run, prepared)
            print(f"Reading the trained network of {folder.name}.")
            return run
        name = prepared.profile.name
        print(f"No trained network in {folder.name} yet: training one ({name} profile).")
        return save_run(folder, prepared, *cnn.train(prepared))


def unseen(run: Run, dataset: Dataset, table: pd.DataFrame) -> np.ndarray:
    """Find the rows of a table that a run has not learnt from.

    A cell counts as seen if its group holds a picture, or bears the name of a
    subject, that was in the run's training or validation part. Drawn subjects and
    real ones are never the same, though the twin uses the names of C-NMC.

    Returns
    -------
    numpy.ndarray of int

    Raises
    ------
    InputError
        If there is none.
    """
    parts = read_parts(run.folder)
    learnt = parts[parts["part"] != "test"]
    known = table["sha256"].isin(learnt["sha256"])
    if run.about["synthetic"] == dataset.synthetic:
        known |= table["subject"].isin(learnt["subject"])
    group = groups.group_ids(table)
    rows = np.flatnonzero(~np.isin(group, group[known.to_numpy()]))
    if len(rows) == 0:
        raise InputError(
            f"The run {run.folder.name} was trained on every subject of {dataset.name}; "
            "name other cells."
        )
    return rows


def refuse_other_classes(run: Run, dataset: Dataset) -> None:
    """Refuse cells of other classes, or of the same in another order, than a run knows."""
    classes = classes_of(run.about)
    if dataset.classes != classes:
        raise InputError(
            f"The run {run.folder.name} has the classes {', '.join(classes)} (in this order), the "
            f"cells of {dataset.name} are {', '.join(dataset.classes)}; evaluate it on cells of "
            "the same classes."
        )
