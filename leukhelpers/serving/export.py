"""A trained network in the formats of elsewhere: LiteRT for phones, ONNX for any runtime.

A copy that answers otherwise is worse than none, so each is checked against the network
that it was made of, on cells that the network has not learnt from.
"""

import contextlib
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from leukhelpers import NOTICE, files
from leukhelpers.backend import keras, quiet_stderr, tf
from leukhelpers.data.base import Dataset
from leukhelpers.errors import InputError, first_line
from leukhelpers.evaluation.metrics import predicted
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments import storage
from leukhelpers.images.preprocessing import build_pixels
from leukhelpers.models import prepare, profiles, registry, training
from leukhelpers.splits import groups

FORMATS = ("litert", "onnx")
TOLERANCE = 1e-4  # of a probability, of float32 copies
AUROC_CHANGE = 0.005  # of int8 copies
SAME_ANSWERS = 0.98  # share of cells that an int8 copy must call as the network does
CALIBRATION_CELLS = 200
THREADS = 2  # of a copy that answers
_CHECKED_CELLS = 500

Ask = Callable[[np.ndarray], np.ndarray]


def to_litert(model: keras.Model, calibration: np.ndarray | None = None) -> bytes:
    """Convert a network to LiteRT, which was called TensorFlow Lite.

    Parameters
    ----------
    model : keras.Model
    calibration : array of shape (n, size, size, 3), optional
        Training cells, RGB 0 to 255. With them weights and activations become whole
        numbers of 8 bits, on scales that fit these cells; without them all stays float32.

    Returns
    -------
    bytes
        Takes one picture, float32 of shape (1, size, size, 3), values 0 to 255.
    """
    one_picture = [tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)]
    with _quiet_folder() as folder:
        model.export(folder, verbose=False, input_signature=one_picture)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        if calibration is not None:
            cells = np.asarray(calibration, np.float32)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([cell[None]] for cell in cells)
        return converter.convert()


@contextlib.contextmanager
def _quiet_folder() -> Iterator[Path]:
    """Make a folder for a conversion, and keep what the converters print from the reader."""
    with tempfile.TemporaryDirectory() as folder, quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Path(folder)


def litert(content: bytes) -> Ask:
    """Make a function that answers pictures by a LiteRT model; several threads may call it.

    Parameters
    ----------
    content : bytes
        From :func:`to_litert`.

    Returns
    -------
    callable
        Takes pictures of shape (n, size, size, 3); gives what
        :func:`leukhelpers.models.training.predict` gives.

    Raises
    ------
    InputError
        If the bytes are no such model.
    """
    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the interpreter announces that it will move
            model = tf.lite.Interpreter(model_content=content, num_threads=THREADS)
            model.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"The LiteRT model cannot be read ({first_line(error)}).") from None
    into = model.get_input_details()[0]
    # A copy for the page also has maps, with more dimensions.
    out = min(model.get_output_details(), key=lambda output: len(output["shape"]))
    one_at_a_time = threading.Lock()  # an interpreter has one set of activations

    def ask(pictures: np.ndarray) -> np.ndarray:
        answers = np.zeros((len(pictures), out["shape"][-1]))
        for row, picture in enumerate(pictures):
            with one_at_a_time:
                model.set_tensor(into["index"], np.asarray(picture, np.float32)[None])
                model.invoke()
                answers[row] = model.get_tensor(out["index"])[0]
        return _as_predicted(answers)

    return ask


def to_onnx(model: keras.Model) -> bytes:
    """Convert a network to ONNX; it takes any number of pictures, float32, 0 to 255.

    Raises
    ------
    InputError
        If the packages for it are not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"ONNX needs the package {error.name}: pip install 'leukhelpers[export]'."
        ) from None
    with _quiet_folder() as folder:
        model.export(folder / "model.onnx", format="onnx", verbose=False)
        return (folder / "model.onnx").read_bytes()


def onnx(content: bytes) -> Ask:
    """Make a function that answers pictures by an ONNX model, as :func:`litert` does."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def ask(pictures: np.ndarray) -> np.ndarray:
        return _as_predicted(session.run(None, {name: np.asarray(pictures, np.float32)})[0])

    return ask


def export_run(
    run_folder: Path | str, dataset: Dataset, data: Path, out: Path | str, form: str = "litert"
) -> dict[str, Any]:
    """Write a run's network in another format, if it answers as the network does.

    Parameters
    ----------
    run_folder : path
        A finished run of a network.
    dataset : Dataset
        Labeled cells. The copies are checked on those of groups that the run has not
        learnt from; 8-bit numbers are scaled to those that it has, or, where there are
        none here, to the few training cells that the run keeps.
    data : path
        Folder for the caches.
    out : path
        Folder for ``model-float32.tflite`` and ``model-int8.tflite``, or ``model.onnx``.
    form : str
        ``litert`` or ``onnx``.

    Returns
    -------
    dict
        ``run``, ``cells`` (how many were compared), ``subjects``, ``files``: name →
        ``bytes``, ``largest_difference`` of a probability, and of two classes ``auroc``
        and ``auroc_change``; ``synthetic``; ``notice``.

    Raises
    ------
    InputError
        If the run holds no network, the format is not known, no cell is unseen, or a copy
        answers otherwise; then it is not written. Only of the int8 copy the rest does not
        suffer: ``refused`` says why there is none.
    """
    if form not in FORMATS:
        raise InputError(f"Format {form!r} is not known; choose {' or '.join(FORMATS)}.")
    run = read_network_run(run_folder)
    name = storage.model_of(run.about)
    storage.refuse_other_classes(run, dataset)
    model = registry.load_model(run.folder)
    size, crop = profiles.picture_size(name, storage.profile_in(run.about))
    array, table, _ = build_pixels(dataset, data / "cache", size, crop)
    rows = prepare.subsample(storage.unseen(run, dataset, table), _CHECKED_CELLS)
    wanted, labels = training.predict(model, array, rows), table["label"].to_numpy()[rows]
    if form == "onnx":
        copies = {"model.onnx": (to_onnx(model), onnx)}
    else:
        scale = _calibration_cells(run, array, table)
        copies = {
            "model-float32.tflite": (to_litert(model), litert),
            "model-int8.tflite": (to_litert(model, scale), litert),
        }
    written: dict[str, Any] = {}
    for file, (content, reader) in copies.items():
        exact = "int8" not in file
        written[file] = _compared(reader(content)(array[rows]), wanted, labels)
        fault = _fault(file, written[file], exact)
        if fault and exact:
            raise InputError(fault)
        if fault:  # so few levels do not do for every network
            written[file]["refused"] = fault
            continue
        with files.whole_file(Path(out) / file) as part:
            part.write_bytes(content)
        written[file] = {"bytes": len(content), **written[file]}
    return {
        "run": run.folder.name,
        "classes": list(storage.classes_of(run.about)),
        "picture": f"{size}×{size} RGB, 0 to 255",
        "cells": len(rows),
        "subjects": int(table["subject"].iloc[rows].nunique()),
        "groups": len(np.unique(groups.group_ids(table)[rows])),
        "synthetic": dataset.synthetic,
        "files": written,
        "notice": NOTICE,
    }


def read_network_run(run_folder: Path | str) -> storage.Run:
    """Read a finished run, and refuse one that holds no network."""
    run = storage.read_run(run_folder)
    name = storage.model_of(run.about)
    if not registry.is_network(name):
        raise InputError(
            f"{run.folder.name} holds {MODEL_NAMES[name]}, and only networks are exported; "
            "use leuk predict."
        )
    return run


def largest_difference(run: storage.Run, ask: Ask, wanted: np.ndarray, some: np.ndarray) -> float:
    """Compare a LiteRT copy with what the network predicts of some cells; refuse another one."""
    difference = float(np.abs(ask(some) - wanted).max())
    if not difference <= TOLERANCE:  # nor if it is no number
        raise InputError(f"The LiteRT copy of {run.folder.name} differs from the run.")
    return difference


def _calibration_cells(run: storage.Run, array: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    parts = storage.read_parts(run.folder)
    learnt = parts.loc[parts["part"] == "train", "sha256"]
    rows = np.flatnonzero(table["sha256"].isin(learnt))
    if len(rows) == 0:
        return run.background
    return array[prepare.subsample(rows, CALIBRATION_CELLS)]


def _compared(found: np.ndarray, wanted: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    comparison: dict[str, Any] = {
        "largest_difference": float(np.abs(found - wanted).max()),
        "same_answers": float(np.mean(predicted(found) == predicted(wanted))),
    }
    two_classes = wanted.ndim == 1 and len(np.unique(labels)) == 2
    if two_classes and np.isfinite(found).all():  # or it is refused anyway
        before, after = (roc_auc_score(labels, answers) for answers in (wanted, found))
        comparison |= {"auroc": float(after), "auroc_change": float(after - before)}
    return comparison


def _fault(file: str, comparison: dict[str, Any], exact: bool) -> str:
    """Say why a copy is not the network that it was made of; empty if it is."""
    difference = comparison["largest_difference"]
    # A difference that is no number is as wrong as a large one.
    if not difference <= (TOLERANCE if exact else 1):
        return f"The predictions of {file} differ from the network's by up to {difference:.2g}."
    if exact:
        return ""
    if "auroc_change" in comparison:
        change = abs(comparison["auroc_change"])
        if change > AUROC_CHANGE:
            return f"{file} ranks cells differently: its AUROC differs by {change:.3f}."
    if not comparison["same_answers"] >= SAME_ANSWERS:
        share = 1 - comparison["same_answers"]
        return f"{file} predicts another class than the network for {share:.0%} of the cells."
    return ""


def _as_predicted(answers: np.ndarray) -> np.ndarray:
    return (answers[:, 0] if answers.shape[1] == 1 else answers).astype(float)
