"""Models that learn from a table: the area baseline, an SVM, a random forest, a last layer.

Nothing here loads TensorFlow, so what trains no network starts in a second.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError
from leukhelpers.images.features import cell_area
from leukhelpers.splits.groups import Split


def class_weights(
    labels: np.ndarray, n_classes: int = 2, part: str = "training"
) -> dict[int, float]:
    """Weigh the classes so that each counts alike in the loss.

    Parameters
    ----------
    labels : int array of shape (n,)
        0 for HEM, 1 for ALL; with more classes 0 to ``n_classes - 1``.
    n_classes : int, default 2
        Number of classes.
    part : str
        Which rows of a split these are, for the error to name.

    Returns
    -------
    dict
        For two classes ``{0: n / (2 * count of HEM), 1: n / (2 * count of ALL)}``.

    Raises
    ------
    InputError
        If a class is missing or a label is unknown.
    """
    found = np.unique(labels)
    if not np.array_equal(found, np.arange(n_classes)):
        two = n_classes == 2
        wanted = "Both classes, HEM and ALL," if two else f"All {n_classes} classes"
        names = [CLASS_NAMES[x] if two and x in (HEM, ALL) else f"class {x}" for x in found]
        raise InputError(
            f"The {part} rows cannot be used. {wanted} are needed, "
            f"but there is {', '.join(names) or 'none'}; "
            f"choose a split with groups of {'both' if two else 'all'} classes."
        )
    weights = compute_class_weight("balanced", classes=found, y=np.asarray(labels))
    return dict(enumerate(map(float, weights)))


def build_area() -> Pipeline:
    """Build the baseline that sees one number, the cell's area.

    Returns
    -------
    sklearn.pipeline.Pipeline
        A scaler and a logistic regression (multinomial for more than two classes) in
        which all classes weigh the same; untrained. Feed it areas of shape (n, 1).
    """
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))


def fit_area(
    pixels: np.ndarray, labels: np.ndarray, split: Split, crop: int, n_classes: int = 2
) -> dict[str, Any]:
    """Train the area baseline on the training rows.

    Parameters
    ----------
    pixels : uint8 array of shape (n, size, size, 3)
        Cells on black, row for row with `labels`; may be a memory map.
    labels : int array of shape (n,)
        0 for HEM, 1 for ALL; with more classes 0 to ``n_classes - 1``.
    split : leukhelpers.splits.groups.Split
        Its ``train`` rows are used.
    crop : int
        Edge of the square cut from the original image, in its pixels.
    n_classes : int, default 2
        Number of classes.

    Returns
    -------
    dict
        All that the model has learnt: ``mean`` and ``scale`` of the area (pixels of
        the original), ``weight`` and ``bias`` of the logistic regression; of more than
        two classes the last two are lists, one number a class.

    Raises
    ------
    InputError
        If the training rows lack a class.
    """
    train_labels = np.asarray(labels)[split.train]
    class_weights(train_labels, n_classes)
    fitted = build_area().fit(cell_area(pixels, crop, split.train)[:, None], train_labels)
    scaler, regression = (step for _, step in fitted.steps)
    return {
        "mean": float(scaler.mean_[0]),
        "scale": float(scaler.scale_[0]),
        "weight": regression.coef_.squeeze().tolist(),
        "bias": regression.intercept_.squeeze().tolist(),
    }


def predict_area(
    learnt: dict[str, Any], pixels: np.ndarray, rows: np.ndarray, crop: int
) -> np.ndarray:
    """Predict the probability of ALL, or of each class, from the cell's area alone.

    Parameters
    ----------
    learnt : dict
        From :func:`fit_area`.
    pixels : uint8 array of shape (n, size, size, 3)
        Cells on black; may be a memory map.
    rows : int array of shape (m,)
        The rows to predict.
    crop : int
        Edge of the square cut from the original image, in its pixels.

    Returns
    -------
    float array of shape (m,) or (m, n_classes)
        P(ALL) of each row; of more than two classes the probability of each.
    """
    weight, bias = np.array(learnt["weight"]), np.array(learnt["bias"])
    areas = cell_area(pixels, crop, rows)[:, None]
    logits = weight * (areas - learnt["mean"]) / learnt["scale"] + bias
    return softmax(logits, axis=1) if weight.ndim else expit(logits[:, 0])


def build_svm() -> Pipeline:
    """Build a support vector machine with a radial kernel, on standardised features.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Untrained; both classes weigh the same. Cortes and Vapnik 1995.
    """
    return make_pipeline(StandardScaler(), SVC(C=3.0, class_weight="balanced"))


def build_forest(seed: int = 0) -> RandomForestClassifier:
    """Build a random forest of 400 trees; untrained. Breiman 2001.

    Parameters
    ----------
    seed : int, default 0
        Seed of the resampling of cells and features.
    """
    return RandomForestClassifier(
        400, min_samples_leaf=3, class_weight="balanced_subsample", random_state=seed
    )


def fit_calibrated(
    model: Any, measured: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, seed: int = 0
) -> Any:
    """Train a classical model; give a margin the scale of a probability.

    A forest votes, and the share of votes is its probability. A support vector machine
    knows distances only. They become probabilities by a logistic curve (Platt 1999) on
    distances of cells that were left out with their whole group: the distances of cells
    that the machine has learnt from are too large.

    Parameters
    ----------
    model : estimator
        From :func:`build_svm` or :func:`build_forest`.
    measured : pandas.DataFrame
        Features, a row a cell.
    labels : int array of shape (n,)
    groups : array of shape (n,)
        The group of each cell.
    seed : int, default 0
        Seed of the folds.

    Returns
    -------
    estimator
        Has ``predict_proba``.

    Raises
    ------
    InputError
        If a class has fewer than two groups, or no grouped folds have every class.
    """
    folds = _inner_folds(labels, groups, seed)
    values = measured.to_numpy()
    if isinstance(model, RandomForestClassifier):
        model.set_params(n_jobs=-1)
        return model.fit(values, labels).set_params(n_jobs=None)
    calibrated = CalibratedClassifierCV(model, method="sigmoid", cv=folds, ensemble=False)
    with warnings.catch_warnings():
        # The pipeline balances its classes itself; the weights are for the curve.
        warnings.filterwarnings("ignore", message=".*sample_weight.*")
        calibrated.fit(values, labels, sample_weight=compute_sample_weight("balanced", labels))
    return calibrated.set_params(cv=None)  # which rows were in which fold is nobody's business


def fit_linear(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a logistic regression on the features of a network, for its last layer.

    How strongly the weights are held down is chosen by cross-validation over groups.

    Parameters
    ----------
    features : float array of shape (n, n_features)
    labels : int array of shape (n,)
    groups : array of shape (n,)
    seed : int, default 0
        Seed of the folds.

    Returns
    -------
    weights : float array of shape (n_features, n_outputs)
        For the features as they come; one output for two classes, else one a class.
    bias : float array of shape (n_outputs,)

    Raises
    ------
    InputError
        If a class has fewer than two groups, or no grouped folds have every class.
    """
    scaler = StandardScaler().fit(features)
    search = GridSearchCV(
        LogisticRegression(class_weight="balanced", tol=1e-3, max_iter=500),
        {"C": np.logspace(-4, -1, 4)},
        scoring="neg_log_loss",
        cv=_inner_folds(labels, groups, seed),
    )
    regression = search.fit(scaler.transform(features), labels).best_estimator_
    weights = regression.coef_.T / scaler.scale_[:, None]
    return weights, regression.intercept_ - scaler.mean_ @ weights


def _inner_folds(
    labels: np.ndarray, groups: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut training rows into grouped folds, at most four, each with every class."""
    table = pd.DataFrame({"label": labels, "group": groups})
    fewest = int(table.groupby("label")["group"].nunique().min())
    if table["label"].nunique() < 2 or fewest < 2:
        raise InputError("Each class needs at least 2 groups to learn from; use more subjects.")
    for n_folds in range(min(4, fewest), 1, -1):
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        found = list(folds.split(labels, labels, groups))
        # Scikit-learn does not promise this where people have cells of several classes.
        if all(table["label"].nunique() == len(np.unique(labels[rows])) for rows in sum(found, ())):
            return found
    raise InputError("No grouped folds have cells of every class; use more subjects.")
