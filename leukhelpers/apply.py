"""A trained run, applied to cells that it has never seen."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers import card, card_page, evaluation, files, groups, learning, runs, serve
from leukhelpers.cells import InputError
from leukhelpers.datasets import Dataset
from leukhelpers.datasets.base import stand_ins
from leukhelpers.datasets.images import read_image
from leukhelpers.pixels import build_pixels, crop_and_resize
from leukhelpers.serve import NOTICE


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
    card_page.write_page(folder)
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


def refuse_other_classes(run: runs.Run, dataset: Dataset) -> None:
    """Refuse cells of other classes, or of the same in another order, than a run knows."""
    classes = runs.classes_of(run.about)
    if dataset.classes != classes:
        raise InputError(
            f"The run {run.folder.name} tells {', '.join(classes)} apart (in this order), the "
            f"cells of {dataset.name} are {', '.join(dataset.classes)}; evaluate it on cells of "
            "the same classes."
        )


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
    refuse_other_classes(run, dataset)
    classes = runs.classes_of(run.about)
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


def explain_files(
    run_folder: Path | str,
    paths: Sequence[Path],
    out: Path | str,
    methods: Sequence[str] = (),
    advance: Callable[[str, int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Draw what moved a run's model, over picture files; one figure a file.

    A network is explained by its pixels, a classical model by its named features. Both are
    compared with the run's own ``background.npy``, cells that it was trained on.

    Parameters
    ----------
    run_folder : path
        A finished run.
    paths : sequence of path
    out : path
        Folder for the figures.
    methods : sequence of str
        For networks, keys of :data:`leukhelpers.explain.METHODS`; by default the quick ones.
        Of several, those that do not fit the network are left out, and why is told.
    advance : callable, optional
        Called with a method, the number of cells done and in all.

    Returns
    -------
    list of dict
        ``file``, then ``error``, or what :func:`leukhelpers.serve.answer` tells of the
        picture: the calibrated probability, or why the model keeps silent.
        ``calibrated_on`` is the number of validation cells by which it was calibrated, 0 if
        it was not. ``figure``, ``unit`` (of the shares, before calibration), and of networks
        ``methods``: for each ``score``, the area between insertion and deletion beyond a
        random order's (0: no better than chance), ``beside_the_cell``, the share there, and
        ``adds_up``, how far the sum is off, in logits. Of classical models ``features``,
        those that counted most. ``left_out`` tells which method does not fit, and why.

    Raises
    ------
    InputError
        If the run knows more than two classes (the figure has the colours of two), or no
        method fits its model.
    """
    from leukhelpers import explain

    run = runs.read_run(run_folder)
    name, classes = runs.model_of(run.about), runs.classes_of(run.about)
    if len(classes) > 2:
        raise InputError(
            f"Explanations show what speaks for one of two classes; {run.folder.name} knows "
            f"{len(classes)}, so train one on two classes to explain it."
        )
    unknown = [method for method in methods if method not in explain.METHODS]
    if unknown:
        raise InputError(
            f"Method {unknown[0]!r} is not known; choose from {', '.join(explain.METHODS)}."
        )
    if methods and not learning.is_network(name):
        raise InputError(
            f"{', '.join(methods)} over pixels explain networks; {run.folder.name} holds "
            f"{evaluation.MODEL_NAMES[name]}, which sees named features and no pixels: "
            "leave --method away."
        )
    array, told = read_cells(paths, runs.profile_in(run.about), name)
    readable = [entry for entry in told if "error" not in entry]
    if readable:
        draw = _explain_pixels if learning.is_network(name) else _explain_features
        draw(run, name, array, readable, Path(out), methods or explain.QUICK, advance)
    return told


def _explain_pixels(
    run: runs.Run,
    name: str,
    array: np.ndarray,
    entries: list[dict],
    out: Path,
    methods: Sequence[str],
    advance: Callable[[str, int, int], None] | None,
) -> None:
    """Draw heat maps over cells, one figure for each, and put their scores into its entry."""
    from leukhelpers import explain, plots, training, trust

    model = runs.load_model(run.folder)
    served = serve.load(run.folder, ask=functools.partial(training.predict, model))
    background, maps, sums, left_out = np.load(run.folder / "background.npy"), {}, {}, {}
    for method in dict.fromkeys(methods):
        title = explain.METHODS[method]
        progress = None if advance is None else functools.partial(advance, title)
        try:
            maps[method] = explain.explain_pixels(
                method, model, array, background, run.about["seed"], progress
            )
            sums[method] = explain.expected_sum(method, model, array, background)
        except InputError as error:
            left_out[method] = str(error)
    if not maps:
        raise InputError(" ".join(left_out.values()))
    scores = {
        method: trust.curves(model, array, found, background, run.about["seed"]).scores
        for method, found in maps.items()
    }
    shares = {method: trust.off_cell_share(found, array) for method, found in maps.items()}
    taken: set[str] = set()
    for row, entry in enumerate(entries):
        heads = {
            f"{explain.METHODS[method]} (score {scores[method][row]:+.2f})": found[row : row + 1]
            for method, found in maps.items()
        }
        words = _answered(served, array[row], entry)
        figure = plots.attribution_grid(
            array[row : row + 1],
            heads,
            [f"{words},\nnot for clinical use"],
            title=f"{Path(entry['file']).name}: what moved the network",
            note=_note_of(run),
        )
        stem = _free_name(Path(entry["file"]).stem, taken)
        alt = f"{stem}, {words}, with heat maps over the cell; not for clinical use"
        entry["figure"] = str(plots.save(figure, out, stem, alt))
        entry["unit"] = f"logits before calibration, positive towards {served.classes[1]}"
        entry["methods"] = {
            method: {
                "score": round(float(scores[method][row]), 3),
                "beside_the_cell": _rounded(shares[method][row]),
                "adds_up": _missed(found[row], sums[method], row),
            }
            for method, found in maps.items()
        }
        if left_out:
            entry["left_out"] = left_out


def _explain_features(
    run: runs.Run,
    name: str,
    array: np.ndarray,
    entries: list[dict],
    out: Path,
    *others: object,
) -> None:
    """Draw the shares of a classical model's named features, one figure for each cell."""
    from leukhelpers import explain, handmade, plots

    profile, learnt = runs.profile_in(run.about), learning.load(run.folder, name)
    served = serve.load(
        run.folder, ask=lambda pictures: learning.answer_pictures(learnt, pictures, profile)
    )
    _, crop = learning.picture_size(name, profile)
    measured = handmade.measure_cells(array, crop)
    background = handmade.measure_cells(np.load(run.folder / "background.npy"), crop)
    shares = explain.explain_features(learnt.model, measured, background, run.about["seed"])
    taken: set[str] = set()
    for row, entry in enumerate(entries):
        words = _answered(served, array[row], entry)
        of_cell = shares.values.iloc[row]
        figure = plots.feature_bars(
            of_cell,
            measured.iloc[row],
            shares.base,
            f"{shares.unit} before calibration",
            title=f"{Path(entry['file']).name}: {words}, and which features moved the model; "
            "not for clinical use",
            note=_note_of(run),
        )
        stem = _free_name(Path(entry["file"]).stem, taken)
        alt = f"{stem}, {words}, with the share of each feature; not for clinical use"
        entry["figure"] = str(plots.save(figure, out, stem, alt))
        entry["unit"] = f"{shares.unit} before calibration, positive towards {served.classes[1]}"
        most = of_cell.abs().sort_values(ascending=False).index[:12]
        entry["features"] = {feature: round(float(of_cell[feature]), 4) for feature in most}


def _answered(served: serve.Served, picture: np.ndarray, entry: dict[str, Any]) -> str:
    """Put a model's answer to one cell into its entry, as it is served, and into words."""
    told = serve.answer_picture(served, picture)
    entry.update(told)
    entry["calibrated_on"] = served.rule.chosen_on
    entry["notice"] = f"Not for clinical use. {served.notice}"
    if "uncalibrated" not in told:
        return f"no probability: {told['why']}"
    probability = serve.calibrated(served.rule, told["uncalibrated"])
    how = "calibrated" if served.rule.chosen_on else "not calibrated"
    return f"P({served.classes[1]}) = {probability:.2f}, {how}"


def _note_of(run: runs.Run) -> str:
    drawn = ["synthetic cells"] if run.about["synthetic"] else []
    kept = [NOTICE.rstrip("."), *stand_ins(runs.classes_of(run.about))]
    return "; ".join([*(f"learnt from {note}" for note in drawn), *kept])


def _missed(map_: np.ndarray, expected: np.ndarray | None, row: int) -> float | None:
    return None if expected is None else _rounded(map_.sum() - expected[row])


def _rounded(value: float) -> float | None:
    """Round for JSON, which knows no nan."""
    return None if np.isnan(value) else round(float(value), 3)


def _free_name(stem: str, taken: set[str]) -> str:
    """Give each figure a name of its own, though two files may be called alike."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "cell"
    name, number = stem, 2
    while name.lower() in taken:  # some file systems do not heed the letter case
        name, number = f"{stem}-{number}", number + 1
    taken.add(name.lower())
    return name
