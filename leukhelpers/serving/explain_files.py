"""Explain the answers of an experiment to single picture files."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leukhelpers import NOTICE
from leukhelpers.data.base import stand_ins
from leukhelpers.data.pictures import read_image
from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments import storage
from leukhelpers.models import profiles, registry
from leukhelpers.serving import predict


def read_cells(
    paths: Sequence[Path], profile: profiles.Profile, name: str = "cnn"
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
    entries : list of dict
        For every file, ``file`` and, where it cannot be read, ``error``.
    """
    pictures, entries = [], []
    size, crop = profiles.picture_size(name, profile)
    for path in paths:
        entry: dict[str, Any] = {"file": str(path)}
        try:
            pictures.append(predict.cut(read_image(path), size, crop))
        except OSError as error:
            entry["error"] = error.strerror or str(error)
        except InputError as error:
            entry["error"] = str(error)
        entries.append(entry)
    empty = np.zeros((0, size, size, 3), np.uint8)
    return (np.stack(pictures) if pictures else empty), entries


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
        For networks, keys of :data:`leukhelpers.explain.attribution.METHODS`; by default
        all. Of several, those that do not fit the network are left out, with the reason.
    advance : callable, optional
        Called with a method, the number of cells done and in all.

    Returns
    -------
    list of dict
        ``file``, then ``error``, or what :func:`leukhelpers.serving.predict.answer` tells of the
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
        If the run knows more than two classes (the figure has the colors of two), or no
        method fits its model.
    """
    from leukhelpers.explain import attribution

    run = storage.read_run(run_folder)
    name, classes = storage.model_of(run.about), storage.classes_of(run.about)
    if len(classes) > 2:
        raise InputError(
            f"Explanations show what speaks for one of two classes; {run.folder.name} knows "
            f"{len(classes)}, so train one on two classes to explain it."
        )
    unknown = [method for method in methods if method not in attribution.METHODS]
    if unknown:
        raise InputError(
            f"Method {unknown[0]!r} is not known; choose from {', '.join(attribution.METHODS)}."
        )
    if methods and not registry.is_network(name):
        raise InputError(
            f"{', '.join(methods)} over pixels explain networks; {run.folder.name} holds "
            f"{MODEL_NAMES[name]}, which sees named features and no pixels: "
            "leave --method away."
        )
    array, entries = read_cells(paths, storage.profile_in(run.about), name)
    readable = [entry for entry in entries if "error" not in entry]
    if readable:
        draw = _explain_pixels if registry.is_network(name) else _explain_features
        draw(run, name, array, readable, Path(out), methods or tuple(attribution.METHODS), advance)
    return entries


def _explain_pixels(
    run: storage.Run,
    name: str,
    array: np.ndarray,
    entries: list[dict],
    out: Path,
    methods: Sequence[str],
    advance: Callable[[str, int, int], None] | None,
) -> None:
    """Draw heat maps over cells, one figure for each, and put their scores into its entry."""
    from leukhelpers.explain import attribution, deletion, localisation
    from leukhelpers.models import training
    from leukhelpers.plots import cells, saving

    model = registry.load_model(run.folder)
    served = predict.load(run.folder, ask=functools.partial(training.predict, model))
    background, maps, sums, left_out = np.load(run.folder / "background.npy"), {}, {}, {}
    for method in dict.fromkeys(methods):
        title = attribution.METHODS[method]
        progress = None if advance is None else functools.partial(advance, title)
        try:
            maps[method] = attribution.explain_pixels(
                method, model, array, background, run.about["seed"], progress
            )
            sums[method] = attribution.expected_sum(method, model, array, background)
        except InputError as error:
            left_out[method] = str(error)
    if not maps:
        raise InputError(" ".join(left_out.values()))
    scores = {
        method: deletion.deletion_insertion(
            model, array, found, background, run.about["seed"]
        ).scores
        for method, found in maps.items()
    }
    shares = {method: localisation.off_cell_share(found, array) for method, found in maps.items()}
    taken: set[str] = set()
    for row, entry in enumerate(entries):
        heads = {
            f"{attribution.METHODS[method]} (score {scores[method][row]:+.2f})": found[row]
            for method, found in maps.items()
        }
        words = _answered(served, array[row], entry)
        figure = cells.plot_maps(
            array[row],
            heads,
            f"{words}, not for clinical use",
            title=f"{Path(entry['file']).name}: what moved the network",
            note=_note_of(run),
        )
        stem = _free_name(Path(entry["file"]).stem, taken)
        alt = f"{stem}, {words}, with heat maps over the cell; not for clinical use"
        entry["figure"] = str(saving.save(figure, out, stem, alt))
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
    run: storage.Run,
    name: str,
    array: np.ndarray,
    entries: list[dict],
    out: Path,
    *others: object,
) -> None:
    """Draw the shares of a classical model's named features, one figure for each cell."""
    from leukhelpers.explain.shap_values import explain_features
    from leukhelpers.images import handmade
    from leukhelpers.plots import charts, saving

    profile, learnt = storage.profile_in(run.about), registry.load(run.folder, name)
    served = predict.load(
        run.folder,
        ask=lambda pictures: registry.predict_proba_of_pictures(learnt, pictures, profile),
    )
    _, crop = profiles.picture_size(name, profile)
    measured = handmade.measure_cells(array, crop)
    background = handmade.measure_cells(np.load(run.folder / "background.npy"), crop)
    shares = explain_features(learnt.model, measured, background, run.about["seed"])
    taken: set[str] = set()
    for row, entry in enumerate(entries):
        words = _answered(served, array[row], entry)
        of_cell = shares.values.iloc[row]
        figure = charts.feature_bars(
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
        entry["figure"] = str(saving.save(figure, out, stem, alt))
        entry["unit"] = f"{shares.unit} before calibration, positive towards {served.classes[1]}"
        most = of_cell.abs().sort_values(ascending=False).index[:12]
        entry["features"] = {feature: round(float(of_cell[feature]), 4) for feature in most}


def _answered(served: predict.Served, picture: np.ndarray, entry: dict[str, Any]) -> str:
    """Put a model's answer to one cell into its entry, as it is served, and into words."""
    answer = predict.answer_picture(served, picture)
    entry.update(answer)
    entry["calibrated_on"] = served.rule.chosen_on
    entry["notice"] = f"Not for clinical use. {served.notice}"
    if "uncalibrated" not in answer:
        return f"no probability: {answer['why']}"
    probability = predict.calibrated(served.rule, answer["uncalibrated"])
    how = "calibrated" if served.rule.chosen_on else "not calibrated"
    return f"P({served.classes[1]}) = {probability:.2f}, {how}"


def _note_of(run: storage.Run) -> str:
    drawn = ["synthetic cells"] if run.about["synthetic"] else []
    kept = [NOTICE.rstrip("."), *stand_ins(storage.classes_of(run.about))]
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
