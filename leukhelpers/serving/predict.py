"""From the bytes of a picture file to an answer, or to the reason why there is none.

One way for ``leuk predict`` and lesson 09; the web page does the same in the browser. A picture is
decoded within limits, cut as the model was trained on, compared with known cells, and only then
answered; near the threshold the answer is left open.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leukhelpers import NOTICE, files
from leukhelpers.data.pictures import decode_image, read_content
from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.errors import InputError
from leukhelpers.evaluation import calibration, decisions
from leukhelpers.experiments import storage
from leukhelpers.experiments.predictions import columns_of_run
from leukhelpers.images import file_facts
from leukhelpers.images.preprocessing import crop_and_resize
from leukhelpers.models import ensemble, ood, profiles, registry

WORDS = {"HEM": "Healthy", "ALL": "Leukemic"}
NEAR = "the probability is too close to the threshold"
STRANGE = "not a cell like those in the training data (out-of-distribution)"


class Rule(NamedTuple):
    """How a probability becomes an answer; all of it chosen on validation cells.

    Attributes
    ----------
    temperature : float
        By which logits are divided, see :mod:`leukhelpers.evaluation.calibration`.
    threshold : float
        The decision threshold: from this probability of the model on, a cell is called ALL.
    least : dict of str to float, or None
        How probable each class must be to be named, see
        :func:`leukhelpers.evaluation.decisions.prediction_sets`.
    chosen_on : int
        Number of validation cells; 0 if there were none to choose on.
    """

    temperature: float = 1.0
    threshold: float = 0.5
    least: Mapping[str, float] | None = None
    chosen_on: int = 0

    @property
    def borders(self) -> tuple[float, float]:
        """Between which probabilities of the model no answer is given."""
        if self.least is None:
            return self.threshold, self.threshold
        borders = (1 - self.least["HEM"], self.least["ALL"], self.threshold)
        return min(borders), max(borders)

    def called(self, probability: float) -> int | None:
        """Give the number of the class, or None where both are named, or neither, or the other."""
        called = int(probability >= self.threshold)
        if self.least is not None:
            named = decisions.prediction_sets([probability], self.least)[0]
            if named.sum() != 1 or not named[called]:
                return None
        return called


class Served(NamedTuple):
    """A run that is ready to answer; from :func:`load`."""

    run: storage.Run
    name: str
    views: list[tuple[int, int]]  # see leukhelpers.models.profiles.views
    classes: tuple[str, ...]
    rule: Rule
    known: dict[str, Any]
    notice: str
    ask: Callable[..., np.ndarray]  # takes an array of pictures for each view


def load(run_folder: Path | str, ask: Callable[..., np.ndarray] | None = None) -> Served:
    """Make a run ready to answer.

    A network answers through its LiteRT copy, which takes a small part of the time of
    ``model.predict``. The copy is made here and checked: a run may come from elsewhere, and
    what it brings is loaded in Keras' safe mode only.

    Parameters
    ----------
    run_folder : path
        A finished run.
    ask : callable, optional
        Pictures → answers of the run's model, where that is loaded already; then no copy is
        made.

    Raises
    ------
    InputError
        If the folder holds no finished run, or one without what is needed to know strangers.
    """
    run = storage.read_run(run_folder)
    profile, name = storage.profile_in(run.about), storage.model_of(run.about)
    served = Served(
        run,
        name,
        profiles.views(name, profile),
        storage.classes_of(run.about),
        _rule(run, name),
        _known(run.folder),
        " ".join([NOTICE, *run.about.get("cautions", [])]),
        ask or _quick(run, name, profile),
    )
    gray = [np.full((1, size, size, 3), 128, np.uint8) for size, _ in served.views]
    served.ask(*gray)  # the first answer is the slowest
    return served


def _known(folder: Path) -> dict[str, np.ndarray]:
    """Read how the training cells look, to recognize out-of-distribution images."""
    n = len(ood.describe(np.zeros((1, 8, 8, 3), np.uint8))[0])
    shapes = {"mean": (n,), "spread": (n,), "precision": (n, n), "limit": ()}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = files.read_json(folder / "familiar.json")
        known = {key: np.array(kept[key], float) for key in shapes}
        fits = [known[key].shape == shape for key, shape in shapes.items()]
        if all(fits) and known["limit"] > 0 and all(np.isfinite(v).all() for v in known.values()):
            return known
    raise InputError(
        f"The run in {folder} has no familiar.json, or one that is damaged or of another "
        "version; train it again."
    )


def _rule(run: storage.Run, name: str) -> Rule:
    """Choose temperature, operating point and where to be silent, on validation cells."""
    kept = run.validation
    if kept is None or len(storage.classes_of(run.about)) > 2 or kept["label"].nunique() < 2:
        return Rule()
    labels, scores = kept["label"], kept[columns_of_run(name)[name]]
    threshold = calibration.choose_threshold(labels, scores)
    least = decisions.fit_conformal(labels, scores)
    temperature = calibration.fit_temperature(labels, scores)
    return Rule(temperature, threshold, least, len(kept))


def _quick(run: storage.Run, name: str, profile: profiles.Profile) -> Callable[..., np.ndarray]:
    """Give the quickest way to ask a run's model."""
    if registry.is_network(name):
        return _quick_network(run)
    if name == profiles.ENSEMBLE:
        members = [_quick_network(run), _quick(run, "svm", profile)]
        return lambda *views: ensemble.average_logits(
            [member(pictures) for member, pictures in zip(members, views, strict=True)]
        )
    learnt = registry.load(run.folder, name)
    return lambda pictures: registry.predict_proba_of_pictures(learnt, pictures, profile)


def _quick_network(run: storage.Run) -> Callable[[np.ndarray], np.ndarray]:
    """Give the LiteRT copy of a run's network, compared with it."""
    from leukhelpers.models import training
    from leukhelpers.serving import export

    model, some = registry.load_model(run.folder), run.background
    ask = export.litert(export.to_litert(model))
    export.largest_difference(run, ask, training.predict(model, some), some)
    return ask


def look(served: Served, content: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """Answer one picture file, and return what the model saw of it.

    Parameters
    ----------
    served : Served
    content : bytes
        The file.

    Returns
    -------
    result : dict
        Can be written as JSON. ``answer``: the name of a class, or None; ``why``: why there
        is no answer, or None; ``distance``: from the known cells, above 1 the picture is
        refused and what follows is None or left out; ``probability_all``: calibrated, if the
        run tells ALL from another class; ``uncalibrated``: as the model gave it;
        ``operating_point``: calibrated, too; ``probabilities``: class → probability, if the
        classes are not HEM and ALL; ``milliseconds``; ``notice``.
    picture : uint8 array of shape (size, size, 3)

    Raises
    ------
    InputError
        If there is no picture to answer, see :func:`leukhelpers.data.pictures.decode_image`, or
        it is black where the cell should be.
    """
    start = time.perf_counter()
    image = decode_image(content)
    pictures = [crop_and_resize(image, size, crop) for size, crop in served.views]
    if not all(picture.any() for picture in pictures):
        raise InputError("the image is black where the cell should be")
    result = _answer(served, pictures)
    milliseconds = round(1000 * (time.perf_counter() - start), 2)
    return {**result, "milliseconds": milliseconds, "notice": served.notice}, pictures[0]


def _answer(served: Served, pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    two, tells_all = len(served.classes) == 2, served.classes[1:] == CLASS_NAMES[1:]
    distance = float(ood.distance(served.known, pictures[0][None])[0] / served.known["limit"])
    result: dict[str, Any] = {"answer": None, "why": None, "distance": round(distance, 4)}
    if tells_all:
        result["probability_all"] = None
    if two:
        result["operating_point"] = round(calibrated(served.rule, served.rule.threshold), 6)
    if not distance <= 1:
        return result | {"why": STRANGE}
    raw = served.ask(*(picture[None] for picture in pictures))[0]
    called = served.rule.called(float(raw)) if two else int(np.argmax(raw))
    if called is None:
        result["why"] = NEAR
    else:
        result["answer"] = served.classes[called]
    if two:
        result["uncalibrated"] = round(float(raw), 6)
        second = calibrated(served.rule, float(raw))
        raw = np.array([1 - second, second])
        if tells_all:
            result["probability_all"] = round(second, 6)
    if served.classes != CLASS_NAMES:
        shares = [round(float(share), 6) for share in raw]
        result["probabilities"] = dict(zip(served.classes, shares, strict=True))
    return result


def calibrated(rule: Rule, probability: float) -> float:
    """Turn a probability of the model into a calibrated one."""
    return float(calibration.apply_temperature(np.array([probability]), rule.temperature)[0])


def predict_files(served: Served, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Answer picture files: for each ``file``, then what :func:`look` returns, or ``error``."""
    return [look_at_file(served, path)[0] for path in paths]


def look_at_file(served: Served, path: Path) -> tuple[dict[str, Any], np.ndarray | None]:
    """Do for a file what :func:`look` does for its content; of a bad one tell the ``error``."""
    entry, picture = {"file": str(path)}, None
    try:
        content = read_content(path)
        result, picture = look(served, content)
        stored, known = file_facts.stored_as(content), served.run.about.get("files", [])
        if result["why"] == STRANGE and known and stored not in known:
            result["why"] += f"; the file is {stored}; those in training were {' or '.join(known)}"
        entry |= result
    except IsADirectoryError:
        entry["error"] = f"this is a folder; name its pictures, such as {path / '*'}"
    except OSError as error:
        entry["error"] = error.strerror or str(error)
    except InputError as error:
        entry["error"] = str(error)
    return entry, picture
