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
    familiar.json    how training cells look, so that strangers are told: leukhelpers.familiar
    set_aside.csv    files that could not be used, and why
    card.md          all of this in words: leukhelpers.card
    card.html        the same with figures: leukhelpers.card_page

A folder without ``run.json`` is not a run: the writing was interrupted.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import psutil
from filelock import FileLock

from leukhelpers import classical, decisions, evaluation, files, groups, multiclass
from leukhelpers.cells import CLASS_NAMES, InputError
from leukhelpers.datasets import Dataset, load_dataset
from leukhelpers.epochs import Settings
from leukhelpers.files import workspace as workspace
from leukhelpers.pixels import build_pixels

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Profile:
    """How much work a run does.

    ``size`` and ``crop`` are in pixels: a ``crop``×``crop`` square out of the middle of
    the 450×450 original is averaged down to ``size``×``size``. The network of the course sees
    each cell in its own box, ``box_size`` pixels wide. After a first network
    has shown how long to train, ``refits`` are trained on everybody and joined into one.
    ``measures_weight`` is the weight of the second task, to tell the hand-made features
    from the pixels; ``blended`` the share of training pictures that are laid over another.
    """

    name: str
    twin_images: int
    twin_subjects: int
    epochs: int
    patience: int
    size: int = 96
    box_size: int = 128
    crop: int = 384
    batch_size: int = 32
    learning_rate: float = 2e-3
    refits: int = 0
    measures_weight: float = 1.0
    blended: float = 0.8


BRANCHES = 4  # answers that are averaged in the network of the course: fewer than a million numbers
_PLAIN: dict[str, Any] = {"measures_weight": 0.0, "blended": 0.0, "batch_size": 16}
PROFILES = {
    "smoke": Profile("smoke", 200, 28, epochs=2, patience=2, box_size=48, **_PLAIN),
    "fast": Profile("fast", 800, 28, epochs=12, patience=6, box_size=64, **_PLAIN),
    "full": Profile("full", 10661, 73, epochs=16, patience=5, refits=1),
}


class Prepared(NamedTuple):
    """Cells ready to learn from: pictures and table row for row, and an honest split."""

    dataset: Dataset
    profile: Profile
    seed: int
    pixels: np.ndarray
    table: pd.DataFrame
    set_aside: pd.DataFrame
    split: groups.Split
    data: Path  # folder of the caches


class Trained(NamedTuple):
    """A network, its history, and what is needed to choose a threshold for it honestly.

    Attributes
    ----------
    model : keras.Model
    history : pandas.DataFrame
        A row an epoch.
    held_back : numpy.ndarray
        Probabilities of the validation rows, by a network that has not learnt from them.
    """

    model: keras.Model
    history: pd.DataFrame
    held_back: np.ndarray


class Run(NamedTuple):
    """What a run's folder holds, the network aside (:func:`load_model`)."""

    folder: Path
    about: dict[str, Any]
    history: pd.DataFrame
    predictions: pd.DataFrame
    metrics: dict[str, Any]


def default_profile(dataset: str) -> str:
    """Name the profile of a training: ``fast`` on the synthetic cells, ``full`` on others."""
    return "fast" if dataset == "twin" else "full"


def profile_of(name: str) -> Profile:
    """Find a profile by its name; an unknown one is an :class:`InputError`."""
    if name not in PROFILES:
        raise InputError(f"Profile {name!r} is not known; choose from {', '.join(PROFILES)}.")
    return PROFILES[name]


def load(
    dataset: str | Path,
    profile: Profile,
    seed: int,
    data: Path,
    parts: Sequence[str] = ("training",),
) -> Dataset:
    """Read the cells of a run; the twin has the size that the profile asks for."""
    return load_dataset(
        dataset, data, profile.twin_images, profile.twin_subjects, seed=seed, parts=parts
    )


def prepare(dataset: Dataset, profile: Profile, seed: int, data: Path) -> Prepared:
    """Turn cells into small pictures, and hold out a quarter of the groups.

    Parameters
    ----------
    dataset : Dataset
        Labelled cells.
    profile : Profile
        Size and crop of the pictures.
    seed : int
        Seed of the split.
    data : path
        Folder for the caches.
    """
    array, table, unread = build_pixels(dataset, data / "cache", profile.size, profile.crop)
    set_aside = pd.concat([dataset.set_aside, unread], ignore_index=True)
    split = groups.holdout_split(table, seed)
    return Prepared(dataset, profile, seed, array, table, set_aside, split, data)


def train(
    prepared: Prepared,
    split: groups.Split | None = None,
    callbacks: Sequence[Any] = (),
    backup: Path | None = None,
) -> Trained:
    """Train the course's CNN on the training rows of a split, from a fixed seed.

    Early stopping needs people who are not learnt from, and there are few. So a first
    network shows how long one may train, and another is then trained for so long on the
    training *and* the validation rows, or several of them (``refits``). Four answers are
    joined into one network: those of one to the cell's four quarter turns, or of two to two
    turns each (:func:`leukhelpers.models.turn`). They take as many epochs as the first
    network *went through*, not as many as its best one: the steps shorten towards
    the end, and which epoch a few people like best is mostly luck (``docs/cnn-log.md``).

    Parameters
    ----------
    prepared : Prepared
        Cells, profile and seed.
    split : Split, optional
        That of `prepared` by default.
    callbacks : sequence of keras.callbacks.Callback
        Such as a line a training.
    backup : path, optional
        Folder for the state after each epoch, see :func:`leukhelpers.training.fit`.

    Returns
    -------
    Trained
        What was trained on everybody, joined with its turns; the first one itself if the
        profile asks for none. The history has a row an epoch of each ``network``, see
        :func:`leukhelpers.training.fit`; the first has the number 0, and it is the one
        that has answered the validation rows.
    """
    from leukhelpers import learning, training

    first, history = train_first(prepared, split, callbacks, backup)
    rows = (split or prepared.split).validation
    held_back = training.predict(first, learning.pictures("cnn", prepared), rows)
    if not prepared.profile.refits:
        return Trained(first, history, held_back)
    model, later = train_again(prepared, len(history), split, callbacks, backup)
    return Trained(model, pd.concat([history, later], ignore_index=True), held_back)


def train_first(
    prepared: Prepared,
    split: groups.Split | None = None,
    callbacks: Sequence[Any] = (),
    backup: Path | None = None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train one network that is stopped early by the validation rows; see :func:`train`."""
    settings = training_settings(prepared.profile)
    return _train_one(prepared, split, settings, 0, callbacks, backup)


def train_again(
    prepared: Prepared,
    epochs: int,
    split: groups.Split | None = None,
    callbacks: Sequence[Any] = (),
    backup: Path | None = None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train on training and validation rows for some epochs, and join; see :func:`train`."""
    from leukhelpers import models

    settings = replace(training_settings(prepared.profile), epochs=epochs, early_stopping=False)
    networks, histories = zip(
        *(
            _train_one(prepared, split, settings, number, callbacks, backup)
            for number in range(1, max(1, prepared.profile.refits) + 1)
        ),
        strict=True,
    )
    # A cell has no up: each network answers for the cell as it comes, and for its turns. There is
    # room for four answers: those of one network to four turns, or of two to two each.
    turns = range(max(1, BRANCHES // len(networks)))
    seen = [models.turn(network, quarters) for network in networks for quarters in turns]
    return models.join(seen), pd.concat(histories, ignore_index=True)


def _train_one(
    prepared: Prepared,
    split: groups.Split | None,
    settings: Any,
    number: int,
    callbacks: Sequence[Any],
    backup: Path | None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train the network of a number, which is added to the seed."""
    from leukhelpers import learning, models, training

    profile, seed = prepared.profile, prepared.seed + number
    training.make_deterministic(seed)
    with training.devices().scope():
        network = models.build_cnn(profile.box_size, seed, len(prepared.dataset.classes))
    history = training.fit(
        network,
        learning.pictures("cnn", prepared),
        prepared.table["label"].to_numpy(),
        split or prepared.split,
        settings,
        seed,
        callbacks,
        None if backup is None else backup / f"network{number}",
        learning.second_task(prepared) if profile.measures_weight else None,
    )
    return network, history.assign(network=number)


def training_settings(profile: Profile) -> Settings:
    """Pick from a profile what :func:`leukhelpers.training.fit` needs."""
    return Settings(
        epochs=profile.epochs,
        batch_size=profile.batch_size,
        learning_rate=profile.learning_rate,
        patience=profile.patience,
        augment=True,
        measures_weight=profile.measures_weight,
        blended=profile.blended,
    )


def fit_baselines(prepared: Prepared, split: groups.Split) -> dict[str, Any]:
    """Fit the two answers that stand beside every network: area alone, and majority.

    Returns
    -------
    dict
        ``area``, the numbers of :func:`leukhelpers.classical.fit_area`, and
        ``share_of_all`` in training; of more than two classes ``shares``, one a class.
    """
    labels, k = prepared.table["label"].to_numpy(), len(prepared.dataset.classes)
    area = classical.fit_area(prepared.pixels, labels, split, prepared.profile.crop, k)
    if k == 2:
        return {"area": area, "share_of_all": float(labels[split.train].mean())}
    shares = np.bincount(labels[split.train], minlength=k) / len(split.train)
    return {"area": area, "shares": shares.tolist()}


def predictions_of(
    model: Any,
    baselines: dict[str, Any],
    prepared: Prepared,
    rows: np.ndarray,
    name: str = "cnn",
) -> pd.DataFrame:
    """Let a model, the area model and the majority answer the same cells.

    Parameters
    ----------
    model : keras.Model or sklearn estimator
    baselines : dict
        From :func:`fit_baselines`.
    prepared : Prepared
        The cells.
    rows : numpy.ndarray of int
        The rows to answer.
    name : str
        The model's name, see :mod:`leukhelpers.learning`.

    Returns
    -------
    pandas.DataFrame
        A row a cell: ``cell_id, subject, group, fold, label, probability,
        area_probability, majority_probability``; probabilities are of ALL. Of more than
        two classes each has its own three, such as ``area_probability_<class>``.
    """
    from leukhelpers import learning

    answer = learning.answer(learning.remembered(name, model), prepared, rows)
    return answers_beside(answer, baselines, prepared, rows)


def answers_beside(
    answer: np.ndarray, baselines: dict[str, Any], prepared: Prepared, rows: np.ndarray
) -> pd.DataFrame:
    """Put the area model and the majority beside a model's answers, see :func:`predictions_of`.

    Parameters
    ----------
    answer : float array of shape (m,) or (m, n_classes)
        The model's probabilities of `rows`.
    baselines, prepared, rows
        As in :func:`predictions_of`.
    """
    cells, classes = prepared.table.iloc[rows], prepared.dataset.classes
    shares = baselines["share_of_all"] if len(classes) == 2 else baselines["shares"]
    answers = {
        "cnn": answer,
        "area": classical.predict_area(
            baselines["area"], prepared.pixels, rows, prepared.profile.crop
        ),
        "majority": np.full((len(rows), *np.shape(shares)), shares),
    }
    table = pd.DataFrame(
        {
            "cell_id": cells["cell_id"].to_numpy(),
            "subject": cells["subject"].to_numpy(),
            "group": prepared.split.groups[rows],
            "fold": cells["fold"].to_numpy(),
            "label": cells["label"].to_numpy(),
        }
    )
    for key, probabilities in answers.items():
        column = evaluation.MODEL_COLUMNS[key]
        table[column if len(classes) == 2 else multiclass.columns_of(key, classes)] = probabilities
    return table


def measure(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    columns: Mapping[str, str] | None = None,
    validation: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Sum up predictions of two classes, or of more; see the ``summary`` of either.

    Of two classes ``decisions`` tells what was chosen on validation cells, and what came
    of it: see :func:`leukhelpers.decisions.summary`.
    """
    columns = columns or evaluation.MODEL_COLUMNS
    if len(classes) > 2:
        return multiclass.summary(predictions, classes, columns=columns)
    return {
        **evaluation.summary(predictions, columns=columns),
        "decisions": decisions.summary(predictions, validation, columns),
    }


def columns_of_run(name: str) -> dict[str, str]:
    """Tell in which columns of its predictions a run of some model keeps whose answers."""
    first, *others = evaluation.MODEL_COLUMNS.items()
    return {name: first[1], **dict(others)}


def fingerprint(table: pd.DataFrame) -> str:
    """Name a set of cells by their ids, labels, subjects and pixels."""
    digest = hashlib.sha256()
    for row in table[["cell_id", "label", "subject", "sha256"]].itertuples(index=False):
        digest.update("\0".join(map(str, row)).encode() + b"\n")
    return digest.hexdigest()[:16]


def environment() -> dict[str, Any]:
    """Tell the versions and the machine size that stand beside every measured number."""
    versions = {}
    for package in ("leukhelpers", "tensorflow", "keras", "numpy", "scikit-learn", "shap"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        "versions": versions,
        "machine": {
            "system": platform.system(),
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30),
        },
    }


def describe(prepared: Prepared) -> dict[str, Any]:
    """Tell of which cells, how and where a run was made."""
    labels, dataset = prepared.table["label"], prepared.dataset
    return {
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "classes": list(dataset.classes),
        "cautions": list(dataset.cautions),
        "fingerprint": fingerprint(prepared.table),
        "images": len(prepared.table),
        "subjects": int(prepared.table["subject"].nunique()),
        "groups": len(np.unique(prepared.split.groups)),
        "class_counts": {
            name: int((labels == label).sum()) for label, name in enumerate(dataset.classes)
        },
        "set_aside": len(prepared.set_aside),
        "profile": asdict(prepared.profile),
        "seed": prepared.seed,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **environment(),
    }


def save_run(
    folder: Path | str,
    prepared: Prepared,
    model: Any,
    history: pd.DataFrame,
    held_back: np.ndarray | None = None,
    split: groups.Split | None = None,
    name: str = "cnn",
) -> Run:
    """Let the test rows be answered, and write the run: each file whole, ``run.json`` last.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    prepared : Prepared
        Cells, profile and seed.
    model, history, held_back
        From :func:`train`, or from :func:`leukhelpers.learning.learn`.
    split : Split, optional
        That of `prepared` by default.
    name : str
        The model's name.

    Returns
    -------
    Run
        What was written, read back.
    """
    from leukhelpers import learning

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").unlink(missing_ok=True)
    split = split or prepared.split
    learning.save(learning.remembered(name, model), folder)
    baselines = fit_baselines(prepared, split)
    files.write_json(folder / "baselines.json", baselines)
    with files.whole_file(folder / "background.npy") as part:
        np.save(part, background_cells(prepared, split, name=name))
    (folder / "familiar.json").unlink(missing_ok=True)
    if len(split.train) and len(split.validation):
        files.write_json(folder / "familiar.json", fit_familiar(prepared, split, name))
    (folder / "validation.csv").unlink(missing_ok=True)
    if held_back is not None:
        known = answers_beside(held_back, baselines, prepared, split.validation)
        write_table(folder / "validation.csv", known)
    for file, table in (
        ("cells.csv", _parts(prepared, split)),
        ("history.csv", history),
        ("predictions.csv", predictions_of(model, baselines, prepared, split.test, name)),
        ("set_aside.csv", prepared.set_aside),
    ):
        write_table(folder / file, table)
    about = {"model": name, **describe(prepared)}
    told_too = ("model", "dataset", "synthetic", "classes", "cautions", "seed", "date", "machine")
    told = {key: about[key] for key in told_too}
    # Metrics are made from the files, so that the files can always make them again.
    predictions = read_predictions(folder)
    measured: dict[str, Any] = {"on": "nothing: no subject was held out", "cells": 0}
    if len(predictions):
        measured = {
            "on": "held-out subjects",
            **measure(predictions, about["classes"], columns_of_run(name), read_validation(folder)),
        }
    files.write_json(
        folder / "metrics.json", {**told, "profile": prepared.profile.name, **measured}
    )
    files.write_json(folder / "run.json", about)
    return read_run(folder)


def background_cells(
    prepared: Prepared, split: groups.Split | None = None, n: int = 24, name: str = "cnn"
) -> np.ndarray:
    """Draw training cells at random, as many of each class, to compare others with.

    Returns
    -------
    numpy.ndarray
        uint8, shape (at most `n`, size, size, 3): as the model of that name sees them.
    """
    from leukhelpers import learning

    train = (split or prepared.split).train
    labels = prepared.table["label"].to_numpy()[train]
    generator = np.random.default_rng(prepared.seed)
    found = np.unique(labels)
    chosen = [generator.permutation(train[labels == x])[: n // len(found)] for x in found]
    return learning.pictures(name, prepared)[np.sort(np.concatenate(chosen))]


def fit_familiar(prepared: Prepared, split: groups.Split, name: str = "cnn") -> dict[str, Any]:
    """Learn how cells look, from training and validation pictures of the model of that name.

    Returns
    -------
    dict
        See :func:`leukhelpers.familiar.fit`.
    """
    from leukhelpers import familiar, learning

    known = [familiar.some_rows(rows) for rows in (split.train, split.validation)]
    rows = np.concatenate(known)
    return familiar.fit(learning.pictures(name, prepared)[rows], split.groups[rows])


def _parts(prepared: Prepared, split: groups.Split) -> pd.DataFrame:
    """Say of every cell in which part of the split it was."""
    part = np.full(len(prepared.table), "", dtype=object)
    for name in ("train", "validation", "test"):
        part[getattr(split, name)] = name
    cells = prepared.table[["cell_id", "label", "subject", "sha256"]]
    return cells.assign(group=split.groups, part=part)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV file whole."""
    with files.whole_file(path) as part:
        table.to_csv(part, index=False)


def read_predictions(folder: Path | str) -> pd.DataFrame:
    """Read ``predictions.csv``, with subjects and folds as text."""
    return read_answers(Path(folder) / "predictions.csv")


def read_validation(folder: Path | str) -> pd.DataFrame | None:
    """Read ``validation.csv``; None of a run that has none."""
    file = Path(folder) / "validation.csv"
    return read_answers(file) if file.is_file() else None


def read_parts(folder: Path | str) -> pd.DataFrame:
    """Read ``cells.csv``: which cell was in which part of the split."""
    return read_answers(Path(folder) / "cells.csv")


def read_answers(path: Path) -> pd.DataFrame:
    """Read a table of cells as :func:`write_table` left it, names of people as text."""
    text: dict[Hashable, type[str]] = {"cell_id": str, "subject": str, "group": str, "fold": str}
    return pd.read_csv(path, dtype=text, keep_default_na=False)


def read_run(folder: Path | str) -> Run:
    """Read a finished run.

    Raises
    ------
    InputError
        If the folder is no finished run.
    """
    folder = Path(folder)
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
            read_predictions(folder),
            files.read_json(folder / "metrics.json"),
        )
    except (OSError, ValueError) as error:
        raise InputError(f"The run in {folder} is damaged ({error}); train it again.") from None


def latest_run(folder: Path) -> Path:
    """Find the run below a folder that was finished last.

    Raises
    ------
    InputError
        If there is none.
    """
    found = sorted(folder.glob("*/run.json"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise InputError(f"{folder} holds no finished run; make one with 'make course'.")
    return found[-1].parent


def classes_of(about: dict[str, Any]) -> tuple[str, ...]:
    """Tell which classes a run knows, from its ``run.json``; older runs knew HEM and ALL."""
    classes = about.get("classes")
    return tuple(classes) if isinstance(classes, list) else CLASS_NAMES


def profile_in(about: dict[str, Any]) -> Profile:
    """Read the profile of a run from its ``run.json``.

    Raises
    ------
    InputError
        If it was written by another version of the course.
    """
    kept = about.get("profile")
    if not isinstance(kept, dict) or set(kept) != {field.name for field in fields(Profile)}:
        raise InputError("The run was made by another version of the course; train it again.")
    return Profile(**kept)


def model_of(about: dict[str, Any]) -> str:
    """Tell which model a run holds, from its ``run.json``; older runs knew one."""
    return str(about.get("model", "cnn"))


def load_model(folder: Path | str) -> keras.Model:
    """Load a run's network in Keras' safe mode: a model file may not bring code."""
    from leukhelpers.backend import keras

    try:
        return keras.saving.load_model(Path(folder) / "model.keras", safe_mode=True)
    except Exception as error:  # a damaged archive fails in many ways
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"The network in {folder} cannot be loaded ({told}).") from None


def refuse_other_run(run: Run, prepared: Prepared) -> None:
    """Refuse a run that was not made from these cells, settings and split."""
    classes = prepared.dataset.classes
    asked = ("cnn", fingerprint(prepared.table), asdict(prepared.profile), prepared.seed, classes)
    about = run.about
    found = (
        model_of(about),
        about["fingerprint"],
        about["profile"],
        about["seed"],
        classes_of(about),
    )
    wanted = _parts(prepared, prepared.split)["part"].tolist()
    if asked != found or wanted != read_parts(run.folder)["part"].tolist():
        raise InputError(
            f"{run.folder} holds a run of other cells, profile, seed or split; name another folder."
        )


def ensure_run(folder: Path | str, prepared: Prepared, say: Callable[[str], None] = print) -> Run:
    """Read a run, or make it if it is not there yet, and say which.

    Raises
    ------
    InputError
        If the folder holds a run of other cells, another profile, seed or split.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".training.lock"):  # whoever comes second waits, and reads it
        if (folder / "run.json").is_file():
            run = read_run(folder)
            refuse_other_run(run, prepared)
            say(f"Reading the trained network of {folder.name}.")
            return run
        say(
            f"No trained network in {folder.name} yet: training one "
            f"({prepared.profile.name} profile)."
        )
        return save_run(folder, prepared, *train(prepared))
