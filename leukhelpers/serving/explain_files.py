"""Explain the answers of an experiment to single picture files."""

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from leukhelpers import NOTICE
from leukhelpers.data.base import stand_ins
from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments import storage
from leukhelpers.explain import attribution, deletion, shap_values
from leukhelpers.images import handmade
from leukhelpers.models import profiles, registry
from leukhelpers.plots import cells, charts, saving
from leukhelpers.serving import predict

# Of each cell what goes into its entry, and its figure, which wants a title and a note.
Explained = list[tuple[dict[str, Any], Callable[..., Figure]]]


def explain_files(
    run_folder: Path | str,
    paths: Sequence[Path],
    out: Path | str,
    methods: Sequence[str] = (),
    advance: Callable[[str, int, int], None] = lambda *_: None,
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
        For networks, keys of :data:`leukhelpers.explain.attribution.METHODS`; by default all.
    advance : callable, optional
        Called with a word for the work, the number of methods done and in all.

    Returns
    -------
    list of dict
        ``file``, then ``error``, or what :func:`leukhelpers.serving.predict.look` returns of
        the picture: the calibrated probability, or why there is none.
        ``calibrated_on`` is the number of validation cells by which it was calibrated, 0 if
        it was not. ``figure``; ``unit`` of the values, before calibration. Of networks
        ``methods``: for each ``score``, see :func:`leukhelpers.explain.deletion.deletion_scores`.
        Of classical models ``features``, those that counted most.

    Raises
    ------
    InputError
        If the run knows more than two classes (the figure has the colors of two), or a method
        is not known or does not fit its model.
    """
    run = storage.read_run(run_folder)
    name, classes = storage.model_of(run.about), storage.classes_of(run.about)
    if len(classes) > 2:
        raise InputError(
            f"Only models of two classes can be explained; {run.folder.name} has "
            f"{len(classes)}, so train one on two classes to explain it."
        )
    unknown = [method for method in methods if method not in attribution.METHODS]
    if unknown:
        raise InputError(
            f"Method {unknown[0]!r} is not known; choose from {', '.join(attribution.METHODS)}."
        )
    if name == profiles.ENSEMBLE:
        raise InputError(
            f"{run.folder.name} holds the mean of a network and an SVM; train cnn or svm alone to "
            "explain it."
        )
    if methods and not registry.is_network(name):
        raise InputError(
            f"{', '.join(methods)} over pixels explain networks; {run.folder.name} holds "
            f"{MODEL_NAMES[name]}, which uses named features, not pixels: "
            "leave --method away."
        )
    fitted, profile = registry.load(run.folder, name), storage.profile_in(run.about)
    served = predict.load(
        run.folder,
        ask=lambda pictures: registry.predict_proba_of_pictures(fitted, pictures, profile),
    )
    looks = [predict.look_at_file(served, path) for path in paths]
    seen = [(entry, picture) for entry, picture in looks if picture is not None]
    if seen:
        array = np.stack([picture for _, picture in seen])
        if registry.is_network(name):
            chosen = dict.fromkeys(methods or attribution.METHODS)
            explained = _by_pixels(served, fitted.model, array, list(chosen), advance)
        else:
            explained = _by_features(served, fitted.model, array)
        _draw(served, [entry for entry, _ in seen], explained, Path(out))
    return [entry for entry, _ in looks]


def _by_pixels(
    served: predict.Served,
    model: Any,
    array: np.ndarray,
    methods: Sequence[str],
    advance: Callable[[str, int, int], None],
) -> Explained:
    """Explain cells by heat maps, and score each map."""
    background, seed = served.run.background, served.run.about["seed"]
    maps, scores = {}, {}
    for done, method in enumerate(methods):
        advance("explaining", done, len(methods))
        found = attribution.explain_pixels(method, model, array, background, seed)
        maps[method] = found
        scores[method] = deletion.deletion_scores(model, array, found, background, seed)
    explained: Explained = []
    for row, cell in enumerate(array):
        rounded = {name: {"score": round(float(score[row]), 3)} for name, score in scores.items()}
        heads = {
            f"{attribution.METHODS[name]} (score {score[row]:+.2f})": maps[name][row]
            for name, score in scores.items()
        }
        draw = functools.partial(cells.plot_maps, cell, heads)
        explained.append(({"unit": "logits", "methods": rounded}, draw))
    return explained


def _by_features(served: predict.Served, model: Any, array: np.ndarray) -> Explained:
    """Explain cells by the shares of the named features of a classical model."""
    known, measured = (
        handmade.measure_cells(pictures, served.views[0][1])
        for pictures in (served.run.background, array)
    )
    shares = shap_values.explain_features(model, measured, known, served.run.about["seed"])
    explained: Explained = []
    for row in range(len(array)):
        of_cell = shares.values.iloc[row]
        most = of_cell.abs().nlargest(charts.SHOWN).index
        detail = {"unit": shares.unit, "features": of_cell[most].round(4).to_dict()}
        bars = (of_cell, measured.iloc[row], shares.base, f"{shares.unit} before calibration")
        explained.append((detail, functools.partial(charts.feature_bars, *bars)))
    return explained


def _draw(served: predict.Served, entries: list[dict], explained: Explained, out: Path) -> None:
    """Write the figure of each cell, and complete its entry."""
    note = [NOTICE.rstrip("."), *stand_ins(served.classes)]
    if served.run.about["synthetic"]:
        note.insert(0, "trained on synthetic cells")
    taken: set[str] = set()
    for entry, (detail, draw) in zip(entries, explained, strict=True):
        stem = _free_name(Path(entry["file"]).stem, taken)
        said = f"{_in_words(served, entry)}, and its explanation; not for clinical use"
        figure = draw(title=f"{stem}: {said}", note="; ".join(note))
        entry |= {
            **detail,
            "unit": f"{detail['unit']} before calibration, positive towards {served.classes[1]}",
            "calibrated_on": served.rule.chosen_on,
            "notice": f"Not for clinical use. {served.notice}",
            "figure": str(saving.save(figure, out, stem, f"{stem}: {said}")),
        }


def _in_words(served: predict.Served, answer: dict[str, Any]) -> str:
    """Put a model's answer to one cell into words."""
    if "uncalibrated" not in answer:
        return f"no probability: {answer['why']}"
    probability = predict.calibrated(served.rule, answer["uncalibrated"])
    how = "calibrated" if served.rule.chosen_on else "not calibrated"
    return f"P({served.classes[1]}) = {probability:.2f}, {how}"


def _free_name(stem: str, taken: set[str]) -> str:
    """Give each figure a name of its own, in plain letters; two files may be called alike."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "cell"
    name, number = stem, 2
    while name.lower() in taken:  # some file systems do not heed the letter case
        name, number = f"{stem}-{number}", number + 1
    taken.add(name.lower())
    return name
