"""Metrics of more than two classes: scikit-learn's numbers, and intervals over groups."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from leukhelpers.errors import InputError
from leukhelpers.evaluation import bootstrap, metrics, summary
from leukhelpers.evaluation.names import CLASS_METRICS, METRICS_OF_MANY

CLASSES = ("healthy", "ALL", "AML", "CLL")


def some_cells(seed: int, n: int = 90, n_groups: int = 16) -> tuple[np.ndarray, ...]:
    """Cells of four classes, four groups each, answered better than by chance."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, n_groups, n)
    groups[:n_groups] = np.arange(n_groups)
    labels = groups % 4
    scores = rng.random((n, 4)).round(1) + 0.01  # rounded, so that ties occur
    scores[np.arange(n), labels] += rng.random(n)
    return labels, scores / scores.sum(axis=1, keepdims=True), groups.astype(str)


seeds = st.integers(0, 10_000)


@given(seeds)
def test_point_estimates_are_those_of_scikit_learn(seed: int) -> None:
    labels, scores, _ = some_cells(seed)
    called = scores.argmax(axis=1)
    values = metrics.metrics(labels, scores, classes=CLASSES)
    assert tuple(values) == METRICS_OF_MANY
    one_to_one = [sk.roc_auc_score(labels == k, scores[:, k]) for k in range(4)]
    assert values["macro_auroc"] == pytest.approx(np.mean(one_to_one))
    assert values["accuracy"] == sk.accuracy_score(labels, called)
    assert values["balanced_accuracy"] == sk.balanced_accuracy_score(labels, called)
    assert values["weighted_f1"] == sk.f1_score(labels, called, average="weighted")
    assert values["macro_f1"] == sk.f1_score(labels, called, average="macro")
    assert values["mcc"] == sk.matthews_corrcoef(labels, called)
    of_class = metrics.class_metrics(labels, scores, classes=CLASSES)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(labels, called, zero_division=0)
    for k, name in enumerate(CLASSES):
        assert of_class[name] == pytest.approx(
            {"auroc": one_to_one[k], "precision": precision[k], "recall": recall[k], "f1": f1[k]}
        )


@pytest.mark.slow
@given(seeds)
def test_every_resample_has_the_metrics_of_the_cells_really_drawn(seed: int) -> None:
    labels, scores, groups = some_cells(seed)
    names = np.unique(groups)
    drawn = bootstrap.resample(labels, groups, CLASSES, seed)
    resampled = bootstrap.bootstrap(labels, scores, drawn, classes=CLASSES)
    kept = 0
    for row in bootstrap.group_weights(len(names), 6, seed):
        # The slow way: copy each drawn group's cells as often as it was drawn.
        rows = np.repeat(np.arange(len(labels)), row[np.searchsorted(names, groups)])
        if len(np.unique(labels[rows])) < 4:
            continue
        cells = labels[rows], scores[rows]
        for metric, value in metrics.metrics(*cells, classes=CLASSES).items():
            assert resampled[metric][kept] == pytest.approx(value)
        of_class = metrics.class_metrics(*cells, classes=CLASSES)
        for label, name in enumerate(CLASSES):
            found = {metric: resampled[metric][kept, label] for metric in CLASS_METRICS}
            assert found == pytest.approx(of_class[name])
        kept += 1


def predictions_table(seed: int = 0, n: int = 200) -> pd.DataFrame:
    labels, scores, groups = some_cells(seed, n)
    table = pd.DataFrame({"subject": groups, "group": groups, "label": labels})
    table[metrics.probability_columns("probability", CLASSES)] = scores
    table[metrics.probability_columns("area_probability", CLASSES)] = scores[::-1]
    table[metrics.probability_columns("majority_probability", CLASSES)] = [0.4, 0.3, 0.2, 0.1]
    return table


def test_summary_has_the_shape_of_that_for_two_and_survives_json() -> None:
    table = predictions_table()
    found = summary.summary(table, classes=CLASSES)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["cells"], found["subjects"], found["groups"]) == (200, 16, 16)
    assert list(found["models"]) == list(found["by_class"]) == ["cnn", "area", "majority"]
    for values in found["models"].values():
        assert list(values) == list(METRICS_OF_MANY)
        for entry in values.values():
            assert entry["low"] <= entry["value"] <= entry["high"]
    for name in CLASSES:
        recall = found["by_class"]["cnn"][name]["recall"]
        assert recall["low"] <= recall["value"] <= recall["high"]
    assert sum(entry["cells"] for entry in found["by_class"]["cnn"].values()) == 200


def test_intervals_of_a_summary_are_over_groups_and_not_over_subjects() -> None:
    labels, scores, subjects = some_cells(1, n=300, n_groups=64)
    groups = np.char.add("pair ", (subjects.astype(int) % 32).astype(str))
    table = pd.DataFrame({"subject": subjects, "group": groups, "label": labels})
    columns = {"cnn": "probability"}
    table[metrics.probability_columns("probability", CLASSES)] = scores
    found = summary.summary(table, columns=columns, classes=CLASSES)["models"]["cnn"]["macro_auroc"]
    bounds = []
    for whose in (groups, subjects):
        drawn = bootstrap.resample(labels, whose, CLASSES)
        resampled = bootstrap.bootstrap(labels, scores, drawn, classes=CLASSES)
        bounds.append(bootstrap.interval(resampled["macro_auroc"], drawn))
    assert bounds[0] != bounds[1]
    assert (found["low"], found["high"]) == bounds[0]


def test_rounded_probabilities_are_measured() -> None:
    labels, thirds = [0, 1, 2, 0, 1, 2], np.full((6, 3), 0.333)
    assert metrics.metrics(labels, thirds, classes=CLASSES[:3])["macro_auroc"] == 0.5


def test_majority_answer_is_the_most_frequent_class_and_ranks_nothing() -> None:
    found = summary.summary(predictions_table(), classes=CLASSES)
    assert found["models"]["majority"]["macro_auroc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert found["models"]["majority"]["balanced_accuracy"]["value"] == 0.25
    assert found["by_class"]["majority"]["healthy"]["recall"]["value"] == 1.0
    assert found["by_class"]["majority"]["AML"]["precision"]["value"] == 0.0


def test_class_without_cells_leaves_undefined_what_compares_and_the_note_says_so() -> None:
    table = predictions_table()
    found = summary.summary(table[table["label"] != 2], classes=CLASSES)
    told = found["models"]["cnn"]
    undefined = {metric for metric, entry in told.items() if entry["value"] is None}
    assert undefined == {"macro_auroc", "balanced_accuracy", "macro_f1"}
    assert {entry["low"] for entry in told.values()} == {None}
    absent = found["by_class"]["cnn"]["AML"]
    assert absent.pop("cells") == 0
    assert {entry["value"] for entry in absent.values()} == {None}
    assert found["by_class"]["cnn"]["CLL"]["auroc"]["value"] is not None
    assert found["notes"] == [
        "No cell is AML, so a score that compares the classes is undefined and no interval can be "
        "given."
    ]


def test_cells_of_one_class_are_measured_as_far_as_possible() -> None:
    table = predictions_table()
    found = summary.summary(table[table["label"] == 1], classes=CLASSES)
    assert found["models"]["cnn"]["mcc"]["value"] is None
    assert found["models"]["cnn"]["accuracy"]["value"] is not None
    assert found["by_class"]["cnn"]["ALL"]["auroc"]["value"] is None


def test_resamples_that_lack_a_class_are_counted() -> None:
    labels, _, groups = some_cells(0, n=16, n_groups=8)
    drawn = bootstrap.resample(labels, groups, CLASSES)
    (note,) = drawn.notes
    assert note.startswith(f"{2000 - len(drawn.weights):,} of 2,000 resamples lacked a class")


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 4], np.full((2, 4), 0.25), r"labels must be 0 \(healthy\) or .* not 4"),
        (
            [0, 1],
            np.full((2, 3), 1 / 3),
            r"cell and class: its shape should be \(2, 4\)",
        ),
        ([0, 1], np.full((2, 4), 0.5), "must sum to 1"),
        ([0, 1], np.full((2, 4), np.nan), "must be from 0 to 1, not nan"),
        ([0, 1], [["a"] * 4] * 2, "must be numbers"),
    ],
)
def test_bad_input_is_refused_by_name(labels: list, probabilities: object, message: str) -> None:
    for function in (metrics.metrics, metrics.class_metrics):
        with pytest.raises(InputError, match=message):
            function(labels, probabilities, classes=CLASSES)  # type: ignore[arg-type]


def test_predictions_of_other_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"lack the column\(s\) probability_MDS"):
        summary.summary(predictions_table(), classes=(*CLASSES, "MDS"))
