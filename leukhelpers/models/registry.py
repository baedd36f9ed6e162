"""One way to learn, answer, keep and read back, whichever model it is.

A model has a name. The name tells which pictures it takes, how it learns from the
training rows of a split, and in which file a run keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from leukhelpers import files
from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import MODEL_NAMES, PRETRAINED
from leukhelpers.images import handmade
from leukhelpers.models import classical, cnn, prepare, profiles

if TYPE_CHECKING:
    import keras

if TYPE_CHECKING:
    from leukhelpers.models.prepare import Prepared
    from leukhelpers.models.profiles import Profile
    from leukhelpers.splits.groups import Split

TUNED = "-tuned"
RANDOM = "-random"
CHOICES = (
    "cnn",
    "svm",
    "rf",
    "efficientnet-lite0",
    "efficientnet-lite0-tuned",
    "efficientnet-lite0-random",
    "resnet50",
    "vgg16",
    "efficientnetb0",
)
# What skops asks about: scikit-learn's logistic curve, and the nodes of its trees. A tree
# that was tampered with can crash the process, but brings no code.
_TRUSTED = (
    "sklearn.tree._tree.Tree",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
)
_TUNING: dict[str, Any] = {"epochs": 3, "learning_rate": 1e-4}  # fine-tuning is short


class FittedModel(NamedTuple):
    """A model that has learnt.

    Attributes
    ----------
    name : str
        One of the names that :func:`validate_model_name` takes.
    model : keras.Model or sklearn estimator
    history : pandas.DataFrame
        A row an epoch; of models that know no epochs it has no row.
    seconds : float
        Wall-clock time of the learning, features and all.
    validation_proba : numpy.ndarray, optional
        Probabilities of the validation rows, by a model of the same kind that has not
        learnt from them: what threshold and calibration are chosen by. None if the
        training rows alone are too few to learn from.
    """

    name: str
    model: Any
    history: pd.DataFrame
    seconds: float
    validation_proba: np.ndarray | None = None


def wrap_model(name: str, model: Any) -> FittedModel:
    """Put a trained model and its name together, where nobody asks how it learnt."""
    return FittedModel(name, model, pd.DataFrame({"epoch": np.zeros(0, int)}), 0.0)


def validate_model_name(name: str) -> str:
    """Give a model's name back, or refuse it with the list of those that there are.

    The four pretrained networks also go by ``-tuned`` (all their weights learn on, not
    only the last layer) or ``-random`` (they never saw ImageNet). Not by both: batch
    normalization, which fine-tuning leaves as it is, knows nothing in a random network.
    """
    if name not in MODEL_NAMES or name in ("area", "majority"):
        raise InputError(
            f"Model {name!r} cannot be trained; choose {', '.join(CHOICES)}; pretrained "
            "ones may have -tuned or -random behind (the area model and the majority answer come "
            "with each)."
        )
    return name


def is_network(name: str) -> bool:
    """Tell a neural network from a classical model on hand-made features."""
    return name not in profiles.CLASSICAL


def base_name(name: str) -> str:
    """Strip what was done to a pretrained network: ``resnet50-tuned``, ``resnet50``."""
    return name.removesuffix(TUNED).removesuffix(RANDOM)


def check_weights(names: Sequence[str]) -> None:
    """Load the weights of every pretrained network once, before hours of work depend on them.

    Raises
    ------
    InputError
        If those of one cannot be had.
    """
    for base in dict.fromkeys(map(base_name, names)):
        wanted = [name for name in names if base_name(name) == base and RANDOM not in name]
        if base in PRETRAINED and wanted:
            from leukhelpers.models import transfer  # loads TensorFlow, which no other model needs

            transfer.build_transfer(base, 32)


def with_random_weights(names: Sequence[str]) -> list[str]:
    """Put ``-random`` behind every network whose ImageNet weights cannot be had.

    Raises
    ------
    InputError
        If that network was to be fine-tuned.
    """
    found = []
    for name in names:
        try:
            check_weights([name])
        except InputError:
            if name.endswith(TUNED):
                base = base_name(name)
                raise InputError(
                    f"The ImageNet weights of {base} cannot be had here, and random ones are not "
                    f"fine-tuned: name {base}{RANDOM} instead of {name}."
                ) from None
            name = base_name(name) + RANDOM
        found.append(name)
    return found


def fit(
    name: str,
    prepared: Prepared,
    split: Split | None = None,
    callbacks: Sequence[Any] = (),
    backup: Path | None = None,
) -> FittedModel:
    """Let a model learn from the training rows of a split, from the seed of `prepared`.

    Parameters
    ----------
    name : str
        A model's name.
    prepared : Prepared
        Cells, profile and seed.
    split : Split, optional
        That of `prepared` by default. All but fine-tuned networks are fitted a second time
        on training and validation rows; classical models set their probabilities by
        cross-validation over the groups.
    callbacks : sequence of keras.callbacks.Callback
        For networks.
    backup : path, optional
        Folder in which a network in training leaves its state after each epoch, and
        from which it goes on if it was interrupted.

    Returns
    -------
    FittedModel

    Raises
    ------
    InputError
        If the name is unknown, a class is missing, or weights cannot be had.
    """
    split = split or prepared.split
    how: Callable[..., tuple[Any, pd.DataFrame, np.ndarray | None]]
    if validate_model_name(name) in profiles.CLASSICAL:
        how = _learn_classical
    else:
        how = _learn_cnn if name == "cnn" else _learn_transfer
    start = time.perf_counter()
    model, history, validation_proba = how(name, prepared, split, callbacks, backup)
    return FittedModel(name, model, history, time.perf_counter() - start, validation_proba)


def _learn_cnn(
    name: str, prepared: Prepared, split: Split, callbacks: Sequence[Any], backup: Path | None
) -> tuple[Any, pd.DataFrame, np.ndarray | None]:

    return cnn.train(prepared, split, callbacks, backup)


def _learn_classical(
    name: str, prepared: Prepared, split: Split, *_: Any
) -> tuple[Any, pd.DataFrame, np.ndarray | None]:

    labels, measured = prepared.table["label"].to_numpy(), prepare.features(prepared)
    svm = name == "svm"

    def fitted(rows: np.ndarray) -> Any:
        return classical.fit_calibrated(
            classical.build_svm() if svm else classical.build_forest(prepared.seed),
            measured.iloc[rows],
            labels[rows],
            split.groups[rows],
            prepared.seed,
        )

    validation_proba = _unless_too_few(
        lambda: _classical_answer(fitted(split.train), measured.iloc[split.validation])
    )
    model = fitted(np.concatenate([split.train, split.validation]))
    return model, pd.DataFrame({"epoch": np.zeros(0, int)}), validation_proba


def _unless_too_few(answer: Callable[[], np.ndarray]) -> np.ndarray | None:
    """Answer validation rows, unless the training rows alone are too few to learn from."""
    try:
        return answer()
    except InputError:
        return None


def _learn_transfer(
    name: str, prepared: Prepared, split: Split, callbacks: Sequence[Any], backup: Path | None
) -> tuple[Any, pd.DataFrame, np.ndarray | None]:
    from leukhelpers.models import networks, training, transfer

    training.make_deterministic(prepared.seed)
    array, labels = prepare.pictures(name, prepared), prepared.table["label"].to_numpy()
    with training.devices().scope():
        model = transfer.build_transfer(
            base_name(name),
            array.shape[1],
            "random" if RANDOM in name else "imagenet",
            prepared.seed,
            len(prepared.dataset.classes),
        )
    everybody = np.concatenate([split.train, split.validation])
    embedded = training.predict_features(transfer.feature_model(model), array, everybody)

    def fit_head(n: int) -> None:
        rows = everybody[:n]
        head = classical.fit_linear(embedded[:n], labels[rows], split.groups[rows], prepared.seed)
        networks.put_logit(model, *head)

    # Whoever is asked when to stop, or which threshold to take, must not have been learnt from.
    if name.endswith(TUNED):
        fit_head(len(split.train))
        transfer.unfreeze(model)
        profile = replace(prepared.profile, **_TUNING)
        history = training.fit(
            model,
            array,
            labels,
            split.train,
            split.validation,
            profile,
            prepared.seed,
            callbacks,
            backup,
        )
        return model, history, training.predict(model, array, split.validation)

    def answer_without_learning() -> np.ndarray:
        fit_head(len(split.train))
        return training.predict(model, array, split.validation)

    validation_proba = _unless_too_few(answer_without_learning)
    fit_head(len(everybody))
    return model, pd.DataFrame({"epoch": np.zeros(0, int)}), validation_proba


def predict_proba(learnt: FittedModel, prepared: Prepared, rows: np.ndarray) -> np.ndarray:
    """Let a model answer some rows.

    Returns
    -------
    float array of shape (m,) or (m, n_classes)
        P(ALL) of each row; of more than two classes the probability of each.
    """
    if is_network(learnt.name):
        from leukhelpers.models import training

        return training.predict(learnt.model, prepare.pictures(learnt.name, prepared), rows)
    return _classical_answer(learnt.model, prepare.features(prepared).iloc[rows])


def predict_proba_of_pictures(
    learnt: FittedModel, array: np.ndarray, profile: Profile
) -> np.ndarray:
    """Let a model answer pictures of the size that :func:`picture_size` tells."""
    if is_network(learnt.name):
        from leukhelpers.models import training

        return training.predict(learnt.model, array)
    if len(array) == 0:
        return np.zeros(0)
    _, crop = profiles.picture_size(learnt.name, profile)
    return _classical_answer(learnt.model, handmade.measure_cells(array, crop))


def _classical_answer(model: Any, measured: pd.DataFrame) -> np.ndarray:
    if len(measured) == 0:
        return np.zeros(0 if len(model.classes_) == 2 else (0, len(model.classes_)))
    answers = model.predict_proba(measured.to_numpy())
    return answers[:, 1] if answers.shape[1] == 2 else answers


def cost(learnt: FittedModel, prepared: Prepared, rows: np.ndarray) -> dict[str, Any]:
    """Count and time what a model costs.

    Returns
    -------
    dict
        ``parameters`` and ``multiply_adds`` of an image (None for models that are no
        networks), ``learn_seconds``, and ``answer_ms``: milliseconds a cell, from its
        small picture to its probability, features included, many cells at a time.
    """
    some = np.asarray(rows)[:256]
    array = np.asarray(prepare.pictures(learnt.name, prepared)[some])
    predict_proba_of_pictures(
        learnt, array[:32], prepared.profile
    )  # the first call builds the graph
    start = time.perf_counter()
    predict_proba_of_pictures(learnt, array, prepared.profile)
    costs: dict[str, Any] = {"parameters": None, "multiply_adds": None}
    if is_network(learnt.name):
        from leukhelpers.models import networks

        costs = {
            "parameters": int(learnt.model.count_params()),
            "multiply_adds": networks.multiply_adds(learnt.model),
        }
    return {
        **costs,
        "learn_seconds": learnt.seconds,
        "answer_ms": 1000 * (time.perf_counter() - start) / len(some),
    }


def save(learnt: FittedModel, folder: Path) -> None:
    """Write ``model.keras``, or ``model.skops``, which like it brings no code along."""
    if is_network(learnt.name):
        with files.whole_file(folder / "model.keras") as part:
            learnt.model.save(part)
        return
    import skops.io

    with files.whole_file(folder / "model.skops") as part:
        part.write_bytes(skops.io.dumps(learnt.model))


def load(folder: Path | str, name: str) -> FittedModel:
    """Read a run's model back; networks in Keras' safe mode, others by skops.

    Raises
    ------
    InputError
        If the file is not there, is damaged, or would bring code of its own.
    """
    folder = Path(folder)
    if is_network(name):
        return wrap_model(name, load_model(folder))
    import skops.io

    try:
        named = skops.io.get_untrusted_types(file=folder / "model.skops")
        unknown = sorted(set(named) - set(_TRUSTED))
        if unknown:
            raise InputError(f"The model in {folder} asks for {', '.join(unknown)}; refused.")
        model = skops.io.load(folder / "model.skops", trusted=list(_TRUSTED))
    except InputError:
        raise
    except Exception as error:  # skops tells of a damaged file in many ways
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"The model in {folder} cannot be loaded ({reason}).") from None
    return wrap_model(name, model)


def load_model(folder: Path | str) -> keras.Model:
    """Load a run's network in Keras' safe mode: a model file may not bring code."""
    from leukhelpers.backend import keras

    try:
        return keras.saving.load_model(Path(folder) / "model.keras", safe_mode=True)
    except Exception as error:  # a damaged archive fails in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"The network in {folder} cannot be loaded ({reason}).") from None
