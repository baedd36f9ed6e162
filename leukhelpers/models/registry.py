"""One way to learn, answer, keep and read back, whichever model it is.

A model has a name. The name tells which pictures it takes, how it learns from the
training rows of a split, and in which file a run keeps it.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from leukhelpers import files
from leukhelpers.errors import InputError, first_line
from leukhelpers.evaluation import calibration
from leukhelpers.evaluation.names import MODEL_NAMES, PRETRAINED
from leukhelpers.images import handmade
from leukhelpers.models import classical, cnn, ensemble, prepare, profiles

TUNED = "-tuned"
RANDOM = "-random"
LITE0 = "efficientnet-lite0"
CHOICES = (
    *("cnn", *profiles.CLASSICAL, profiles.ENSEMBLE),
    *(LITE0, LITE0 + TUNED, LITE0 + RANDOM),
    *("resnet50", "vgg16", "efficientnetb0"),
)
# What skops asks about: scikit-learn's logistic curve, and the nodes of its trees. A tree
# that was tampered with can crash the process, but brings no code.
_TRUSTED = (
    "sklearn.tree._tree.Tree",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
)
_TUNING: dict[str, Any] = {"epochs": 4, "learning_rate": 5e-4}  # fine-tuning is short
_NO_EPOCHS = pd.DataFrame({"epoch": np.zeros(0, int)})


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
    history: pd.DataFrame = _NO_EPOCHS
    seconds: float = 0.0
    validation_proba: np.ndarray | None = None


def validate_model_name(name: str) -> str:
    """Give a model's name back, or refuse it with the list of those that there are.

    The four pretrained networks also go by ``-tuned`` (all their weights learn on, not
    only the last layer) or ``-random`` (they never saw ImageNet). Not by both: batch
    normalization, which fine-tuning leaves as it is, knows nothing in a random network.
    """
    if name not in MODEL_NAMES or name in ("area", "majority"):
        raise InputError(
            f"Model {name!r} cannot be trained; choose {', '.join(CHOICES)}; pretrained "
            "ones may end in -tuned or -random (area and majority-class baselines are added "
            "with each)."
        )
    return name


def is_network(name: str) -> bool:
    """Tell a neural network from a classical model on hand-crafted features."""
    return name not in (*profiles.CLASSICAL, profiles.ENSEMBLE)


def parts(learnt: FittedModel) -> list[FittedModel]:
    """List the models that a model is made of: of an ensemble two, of others itself."""
    if learnt.name == profiles.ENSEMBLE:
        return [FittedModel("cnn", learnt.model.network), FittedModel("svm", learnt.model.svm)]
    return [learnt]


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
    for base in dict.fromkeys(base_name(name) for name in names if RANDOM not in name):
        if base in PRETRAINED:
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
                    f"The ImageNet weights of {base} are missing here, and random ones are not "
                    f"fine-tuned: name {base}{RANDOM} instead of {name}."
                ) from None
            name = base_name(name) + RANDOM
        found.append(name)
    return found


def fit(name: str, prepared: prepare.Prepared, backup: Path | None = None) -> FittedModel:
    """Let a model learn from the training rows, from the seed of `prepared`.

    Models are fitted a second time, on training and validation rows; classical models set their
    probabilities by cross-validation over the groups.

    Parameters
    ----------
    name : str
        A model's name.
    prepared : Prepared
        Cells, profile, seed and split.
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
    validation_proba: np.ndarray | None
    start = time.perf_counter()
    if validate_model_name(name) == "cnn":
        model, history, validation_proba = cnn.train(prepared, backup)
    elif name == profiles.ENSEMBLE:
        model, history, validation_proba = _learn_ensemble(prepared, backup)
    elif is_network(name):
        model, history, validation_proba = _learn_transfer(name, prepared, backup)
    else:
        model, history, validation_proba = _learn_classical(name, prepared)
    return FittedModel(name, model, history, time.perf_counter() - start, validation_proba)


def _learn_classical(
    name: str, prepared: prepare.Prepared
) -> tuple[Any, pd.DataFrame, np.ndarray | None]:
    labels, measured = prepared.table["label"].to_numpy(), prepare.features(prepared)
    split = prepared.split

    def fitted(rows: np.ndarray) -> Any:
        model = classical.build_svm() if name == "svm" else classical.build_forest(prepared.seed)
        cells = measured.iloc[rows], labels[rows], split.groups[rows]
        return classical.fit_calibrated(model, *cells, prepared.seed)

    validation_proba = None
    with suppress(InputError):  # the training rows alone may be too few to learn from
        validation_proba = _classical_answer(fitted(split.train), measured.iloc[split.validation])
    model = fitted(np.concatenate([split.train, split.validation]))
    return model, _NO_EPOCHS, validation_proba


def _learn_ensemble(
    prepared: prepare.Prepared, backup: Path | None
) -> tuple[ensemble.Ensemble, pd.DataFrame, np.ndarray | None]:
    """Train network and SVM; the network's logits get a temperature, chosen on validation rows."""
    from leukhelpers.models import networks

    network, history, by_network = cnn.train(prepared, backup)
    svm, _, by_svm = _learn_classical("svm", prepared)
    validation = prepared.table["label"].to_numpy()[prepared.split.validation]
    if len(prepared.dataset.classes) == 2 and len(np.unique(validation)) == 2:
        temperature = calibration.fit_temperature(validation, by_network)
        by_network = calibration.apply_temperature(by_network, temperature)
        last = network.get_layer("logit").get_weights()
        networks.put_logit(network, *(weights / temperature for weights in last))
    both = None if by_svm is None else ensemble.average_logits([by_network, by_svm])
    return ensemble.Ensemble(network, svm), history, both


def _learn_transfer(
    name: str, prepared: prepare.Prepared, backup: Path | None
) -> tuple[Any, pd.DataFrame, np.ndarray | None]:
    from leukhelpers.models import networks, training, transfer

    split, seed = prepared.split, prepared.seed
    tuning = replace(prepared.profile, **_TUNING)
    training.make_deterministic(seed)
    array, labels = prepare.pictures(name, prepared), prepared.table["label"].to_numpy()
    with training.devices().scope():
        weights, k = "random" if RANDOM in name else "imagenet", len(prepared.dataset.classes)
        model = transfer.build_transfer(base_name(name), array.shape[1], weights, seed, k)
    everybody = np.concatenate([split.train, split.validation])
    embedded = training.predict_features(transfer.feature_model(model), array, everybody)
    start, histories, validation_proba = model.get_weights(), [_NO_EPOCHS], None
    # First without the validation rows, to answer those; then with them, for the model itself.
    for n, watched in [(len(split.train), split.validation), (len(everybody), everybody[:0])]:
        rows, kept = everybody[:n], backup and backup / str(n)
        # the training rows alone may be too few to learn from
        with suppress(InputError) if len(watched) else nullcontext():
            model.set_weights(start)
            cells = embedded[:n], labels[rows], split.groups[rows]
            networks.put_logit(model, *classical.fit_linear(*cells, seed))
            if name.endswith(TUNED):
                transfer.unfreeze(model)
                fitted = training.fit(model, array, labels, rows, watched, tuning, seed, (), kept)
                histories.append(fitted.assign(network=len(histories) - 1))
            if len(watched):
                validation_proba = training.predict(model, array, watched)
    return model, pd.concat(histories, ignore_index=True), validation_proba


def predict_proba(learnt: FittedModel, prepared: prepare.Prepared, rows: np.ndarray) -> np.ndarray:
    """Let a model answer some rows.

    Returns
    -------
    float array of shape (m,) or (m, n_classes)
        P(ALL) of each row; of more than two classes the probability of each.
    """
    if learnt.name == profiles.ENSEMBLE:
        answers = [predict_proba(part, prepared, rows) for part in parts(learnt)]
        return ensemble.average_logits(answers)
    if is_network(learnt.name):
        from leukhelpers.models import training

        return training.predict(learnt.model, prepare.pictures(learnt.name, prepared), rows)
    return _classical_answer(learnt.model, prepare.features(prepared).iloc[rows])


def predict_proba_of_pictures(
    learnt: FittedModel, array: np.ndarray, profile: profiles.Profile
) -> np.ndarray:
    """Let a model answer pictures of the size that :func:`picture_size` tells."""
    if is_network(learnt.name):
        from leukhelpers.models import training

        return training.predict(learnt.model, array)
    _, crop = profiles.picture_size(learnt.name, profile)
    return _classical_answer(learnt.model, handmade.measure_cells(array, crop))


def _classical_answer(model: Any, measured: pd.DataFrame) -> np.ndarray:
    if len(measured) == 0:
        return np.zeros(0 if len(model.classes_) == 2 else (0, len(model.classes_)))
    answers = model.predict_proba(measured.to_numpy())
    return answers[:, 1] if answers.shape[1] == 2 else answers


def cost(learnt: FittedModel, prepared: prepare.Prepared, rows: np.ndarray) -> dict[str, Any]:
    """Count and time what a model costs.

    Returns
    -------
    dict
        ``parameters`` and ``multiply_adds`` of an image (None for models that are no
        networks), ``learn_seconds``, and ``answer_ms``: milliseconds a cell, from its
        small picture to its probability, features included, many cells at a time.
    """
    some = np.asarray(rows)[:256]
    answer_ms = 0.0
    parameters, multiply_adds = None, None
    for part in parts(learnt):
        array = np.asarray(prepare.pictures(part.name, prepared)[some])
        # The first call builds the graph.
        predict_proba_of_pictures(part, array[:32], prepared.profile)
        start = time.perf_counter()
        predict_proba_of_pictures(part, array, prepared.profile)
        answer_ms += 1000 * (time.perf_counter() - start) / len(some)
        if is_network(part.name):
            from leukhelpers.models import networks

            parameters = int(part.model.count_params())
            multiply_adds = networks.multiply_adds(part.model)
    return {
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "learn_seconds": learnt.seconds,
        "answer_ms": answer_ms,
    }


def save(learnt: FittedModel, folder: Path) -> None:
    """Write ``model.keras``, or ``model.skops``, which like it brings no code along, or both."""
    for member in parts(learnt):
        if is_network(member.name):
            with files.whole_file(folder / "model.keras") as part:
                member.model.save(part)
        else:
            import skops.io

            with files.whole_file(folder / "model.skops") as part:
                part.write_bytes(skops.io.dumps(member.model))


def load(folder: Path | str, name: str) -> FittedModel:
    """Read a run's model back; networks in Keras' safe mode, others by skops.

    Raises
    ------
    InputError
        If the file is not there, is damaged, or would bring code of its own.
    """
    if name == profiles.ENSEMBLE:
        network, svm = (load(folder, part).model for part in ("cnn", "svm"))
        return FittedModel(name, ensemble.Ensemble(network, svm))
    if is_network(name):
        return FittedModel(name, load_model(folder))
    import skops.io

    file = Path(folder) / "model.skops"
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(file=file)) - set(_TRUSTED))
        model = None if unknown else skops.io.load(file, trusted=list(_TRUSTED))
    except Exception as error:  # skops tells of a damaged file in many ways
        raise InputError(f"The model in {folder} cannot be loaded ({first_line(error)}).") from None
    if unknown:
        raise InputError(f"The model in {folder} asks for {', '.join(unknown)}; refused.")
    return FittedModel(name, model)


def load_model(folder: Path | str) -> Any:
    """Load a run's network in Keras' safe mode: a model file may not bring code."""
    from leukhelpers.backend import keras

    try:
        return keras.saving.load_model(Path(folder) / "model.keras", safe_mode=True)
    except Exception as error:  # a damaged archive fails in many ways
        reason = first_line(error)
        raise InputError(f"The network in {folder} cannot be loaded ({reason}).") from None
