"""Properties of the metrics and of the bootstrap over groups."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sk

from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation import bootstrap, metrics, summary
from leukhelpers.evaluation.names import METRICS, MODEL_COLUMNS, SUBJECT_METRICS

Cells = tuple[np.ndarray, np.ndarray, np.ndarray]


def random_cells(seed: int, n: int, levels: int, n_groups: int) -> Cells:
    """Labels, probabilities with many ties, and groups."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    scores = rng.integers(0, levels, n) / levels
    return labels, scores, rng.integers(0, n_groups, n).astype(str)


cells = st.builds(
    random_cells,
    seed=st.integers(0, 10_000),
    n=st.integers(2, 60),
    levels=st.integers(1, 30),
    n_groups=st.integers(1, 8),
)


def resampled_metrics(
    labels: object, scores: object, groups: object, threshold: float = 0.5, seed: int = 0
) -> pd.DataFrame:
    """One row per resample, one column per metric."""
    drawn = bootstrap.resample(labels, groups, seed=seed)
    found = bootstrap.bootstrap(labels, scores, drawn, threshold)
    return pd.DataFrame({name: found[name] for name in METRICS})


def predictions_table(n_subjects: int = 12, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(n_subjects):
        label = number % 2
        n = int(rng.integers(5, 30))
        scores = {
            "probability": np.clip(0.3 + 0.4 * label + rng.normal(0, 0.2, n), 0, 1),
            "area_probability": np.clip(0.4 + 0.2 * label + rng.normal(0, 0.2, n), 0, 1),
            "majority_probability": np.full(n, 0.68),
        }
        name = str(number) if label == ALL else f"H{number}"
        parts.append(pd.DataFrame({"subject": name, "group": name, "label": label, **scores}))
    return pd.concat(parts, ignore_index=True)


# ---------------------------------------------------------------- the paper's table


@pytest.fixture
def paper() -> tuple[np.ndarray, np.ndarray]:
    """Return the paper's test set as its report names it, with one answer for every cell.

    1455 cells of the row HEM, 678 of the row ALL, and never the answer ALL.
    """
    return np.repeat([HEM, ALL], [1455, 678]), np.full(2133, 0.1)


def test_paper_report_is_that_of_one_answer_for_every_cell(
    paper: tuple[np.ndarray, np.ndarray],
) -> None:
    report = metrics.class_metrics(*paper)
    assert report["HEM"] == pytest.approx(
        {"auroc": 0.5, "precision": 0.68, "recall": 1.00, "f1": 0.81}, abs=0.005
    )
    assert report["ALL"] == {"auroc": 0.5, "precision": 0, "recall": 0, "f1": 0}


def test_paper_metrics_show_what_accuracy_hides(paper: tuple[np.ndarray, np.ndarray]) -> None:
    values = metrics.metrics(*paper)
    assert values["accuracy"] == pytest.approx(1455 / 2133)
    assert values["balanced_accuracy"] == 0.5
    assert values["auroc"] == 0.5
    assert values["mcc"] == 0.0
    assert (values["specificity"], values["sensitivity"]) == (1.0, 0.0)
    assert metrics.confusion(*paper).to_numpy().tolist() == [[1455, 0], [678, 0]]


# ---------------------------------------------------------------- agreement with scikit-learn


@given(cells, st.integers(0, 100))
def test_every_resample_has_the_metrics_of_the_cells_really_drawn(data: Cells, seed: int) -> None:
    labels, scores, groups = data
    names = np.unique(groups)
    weights = bootstrap.group_weights(len(names), 8, seed)
    resampled = resampled_metrics(labels, scores, groups, 0.4, seed)
    kept = iter(resampled.head(8).to_dict(orient="records"))
    for row in weights:
        # The slow way: copy each drawn group's cells as often as it was drawn.
        drawn = np.repeat(np.arange(len(labels)), row[np.searchsorted(names, groups)].astype(int))
        if len(np.unique(labels[drawn])) == 2:
            expected = metrics.metrics(labels[drawn], scores[drawn], 0.4)
            assert next(kept) == pytest.approx(expected)


@given(cells)
def test_weighted_formulas_equal_scikit_learn_with_sample_weights(data: Cells) -> None:
    labels, scores, groups = data
    names, codes = np.unique(groups, return_inverse=True)
    row = bootstrap.group_weights(len(names), 1, seed=1)
    weight = row[0][codes]
    assume(len(np.unique(labels[weight > 0])) == 2)
    values = resampled_metrics(labels, scores, groups, seed=1).iloc[0]
    called = scores >= 0.5
    assert values["auroc"] == pytest.approx(sk.roc_auc_score(labels, scores, sample_weight=weight))
    assert values["average_precision"] == pytest.approx(
        sk.average_precision_score(labels, scores, sample_weight=weight)
    )
    assert values["mcc"] == pytest.approx(
        sk.matthews_corrcoef(labels, called, sample_weight=weight), abs=1e-12
    )
    assert values["weighted_f1"] == pytest.approx(
        sk.f1_score(labels, called, average="weighted", sample_weight=weight, zero_division=0)
    )


@given(cells)
def test_auroc_is_the_share_of_pairs_in_order_with_ties_as_half(data: Cells) -> None:
    labels, scores, _ = data
    assume(len(np.unique(labels)) == 2)
    gap = scores[labels == ALL][:, None] - scores[labels == HEM][None]
    pairs = np.mean((gap > 0) + 0.5 * (gap == 0))
    assert metrics.metrics(labels, scores)["auroc"] == pytest.approx(pairs)


@given(cells)
def test_nothing_is_ever_nan(data: Cells) -> None:
    labels, scores, groups = data
    values = metrics.metrics(labels, scores)
    bounds = bootstrap.intervals(labels, scores, groups)
    found = [*values.values(), *(bound for pair in bounds.values() for bound in pair)]
    assert np.isfinite([number for number in found if number is not None]).all()
    for low, high in bounds.values():
        assert (low is None) == (high is None)
        assert low is None or high is None or low <= high


def test_constant_scores_are_chance_in_every_resample() -> None:
    labels = np.tile([0, 1], 20)
    groups = np.repeat(np.arange(10), 4).astype(str)
    bounds = bootstrap.intervals(labels, np.full(40, 0.7), groups)
    assert bounds["auroc"] == (0.5, 0.5)
    assert bounds["mcc"] == (0.0, 0.0)


def test_threshold_itself_is_called_all() -> None:
    assert metrics.confusion([1], [0.5]).loc["ALL", "ALL"] == 1


# ---------------------------------------------------------------- bootstrap


def test_a_group_is_drawn_as_a_whole_and_as_often_as_there_are_groups() -> None:
    weights = bootstrap.group_weights(7, 500, seed=0)
    assert weights.shape == (500, 7)
    assert (weights.sum(axis=1) == 7).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.2)


def test_intervals_are_wider_over_groups_than_over_cells_that_resemble_one_another() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 50)
    labels = groups % 2
    shift = rng.normal(0, 1, 20)[groups]
    scores = 1 / (1 + np.exp(-(labels + shift + rng.normal(0, 0.3, 1000))))
    over_groups = resampled_metrics(labels, scores, groups.astype(str))["auroc"]
    over_cells = resampled_metrics(labels, scores, np.arange(1000).astype(str))["auroc"]
    assert over_groups.std() > 3 * over_cells.std()


def test_intervals_repeat_for_a_seed_and_do_not_depend_on_the_order_of_the_cells() -> None:
    table = predictions_table()
    shuffled = table.sample(frac=1, random_state=3)
    first, second = (
        bootstrap.intervals(t["label"], t["probability"], t["group"]) for t in (table, shuffled)
    )
    other = bootstrap.intervals(table["label"], table["probability"], table["group"], seed=1)
    # the same but for the order in which floats are added up
    pd.testing.assert_frame_equal(pd.DataFrame(first), pd.DataFrame(second), rtol=1e-9)
    assert first != other


def test_interval_is_refused_for_a_single_group_and_the_note_says_so() -> None:
    labels, scores, groups = [0, 1, 1], [0.1, 0.9, 0.4], ["20+21"] * 3
    bounds = bootstrap.intervals(labels, scores, groups)
    assert set(bounds.values()) == {(None, None)}
    assert "only one group" in bootstrap.resample(labels, groups).notes[0]
    assert metrics.metrics(labels, scores)["auroc"] == 1.0


def test_resamples_without_a_class_are_left_out_and_counted() -> None:
    table = predictions_table(8)
    weights = bootstrap.group_weights(8, 2000, seed=0)
    names = np.unique(table["group"])
    is_hem = np.char.startswith(names.astype(str), "H")
    one_class = ((weights[:, is_hem].sum(axis=1)) % 8 == 0).sum()
    assert one_class > 0
    resampled = resampled_metrics(table["label"], table["probability"], table["group"])
    assert len(resampled) == 2000 - one_class
    (note,) = bootstrap.resample(table["label"], table["group"]).notes
    assert note.startswith(f"{one_class} of 2,000 resamples")


def test_no_interval_where_most_resamples_lack_a_class() -> None:
    labels, classes = np.repeat(range(8), 2), tuple("abcdefgh")
    drawn = bootstrap.resample(labels, [f"group {n}" for n in range(16)], classes)
    assert 0 < len(drawn.weights) < bootstrap.N_RESAMPLES / 2
    assert bootstrap.interval(drawn.weights[:, 0], drawn) == (None, None)
    assert "more groups" in drawn.notes[0]


def test_no_interval_where_one_group_holds_all_cells_of_a_class() -> None:
    # Of one healthy person there is no other to draw: the interval would have no width.
    table = pd.DataFrame(
        {
            "subject": list("HHHHabcd"),
            "group": list("HHHHabcd"),
            "label": [0] * 4 + [1] * 4,
            "probability": [0.1, 0.2, 0.6, 0.3, 0.4, 0.7, 0.8, 0.9],
            "area_probability": np.linspace(0, 1, 8),
        }
    )
    found = summary.summary(table, columns={"cnn": "probability", "area": "area_probability"})
    assert found["models"]["cnn"]["specificity"] == {"value": 0.75, "low": None, "high": None}
    assert found["compared"]["area"]["low"] is None
    assert found["notes"] == ["There is only one group of HEM, so no interval can be given."]


def test_one_class_leaves_undefined_what_compares_two() -> None:
    values = metrics.metrics([1, 1, 1], [0.9, 0.2, 0.8])
    undefined = {name for name, value in values.items() if value is None}
    assert undefined == {
        "auroc",
        "average_precision",
        "balanced_accuracy",
        "specificity",
        "mcc",
        "sensitivity_at_95_specificity",
        "specificity_at_95_sensitivity",
    }
    assert values["sensitivity"] == pytest.approx(2 / 3)
    assert values["brier"] == pytest.approx((0.01 + 0.64 + 0.04) / 3)


def test_sensitivity_at_a_specificity_of_a_worked_example() -> None:
    # 20 healthy cells: one may be called ALL. Of the 4 leukemic ones 2 are above all healthy
    # ones but the highest.
    healthy = np.append(np.linspace(0.1, 0.4, 19), 0.9)
    labels = np.repeat([HEM, ALL], [20, 4])
    values = metrics.metrics(labels, np.append(healthy, [0.95, 0.5, 0.35, 0.2]))
    assert values["sensitivity_at_95_specificity"] == 0.5
    # to find all four, 13 healthy ones are called ALL, too: those from 0.2 up
    assert values["specificity_at_95_sensitivity"] == pytest.approx(1 - np.mean(healthy >= 0.2))


def test_constant_scores_find_nothing_at_a_specificity_of_95() -> None:
    values = metrics.metrics([0, 1, 1], [0.6, 0.6, 0.6])
    assert values["sensitivity_at_95_specificity"] == 0.0
    assert values["specificity_at_95_sensitivity"] == 0.0


def test_brier_and_calibration_error_agree_with_their_definitions() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 300), np.append(rng.random(298), [0.0, 1.0])
    values = metrics.metrics(labels, scores)
    assert values["brier"] == pytest.approx(sk.brier_score_loss(labels, scores))
    ece = 0.0
    borders = np.linspace(0, 1, 11)
    for low, high in itertools.pairwise(borders):
        inside = (scores >= low) & ((scores < high) | (high == 1))
        ece += inside.mean() * abs(labels[inside].mean() - scores[inside].mean())
    assert values["ece"] == pytest.approx(ece)


def test_subjects_are_measured_by_the_mean_of_their_cells() -> None:
    table = predictions_table()
    found = summary.summary(table)
    mean = table.groupby("subject")["probability"].mean()
    truth = table.groupby("subject")["label"].first()
    auroc = sk.roc_auc_score(truth, mean)
    assert found["of_subjects"]["cnn"]["auroc"]["value"] == pytest.approx(auroc)
    assert set(found["of_subjects"]["area"]) == set(SUBJECT_METRICS)
    assert found["worst_first"] == metrics.by_subject(table).to_dict(orient="records")


def test_one_answer_for_every_cell_ranks_no_subject_before_another() -> None:
    # 0.7 added 3, 4, … times and divided again is not always 0.7.
    sizes = range(3, 43)
    names = [str(size) for size in sizes for _ in range(size)]
    table = pd.DataFrame({"subject": names, "group": names, "label": 0, "probability": 0.7})
    table.loc[table["subject"].astype(int) % 3 == 0, "label"] = 1
    found = summary.summary(table, columns={"cnn": "probability"})
    assert found["of_subjects"]["cnn"]["auroc"] == {
        "value": 0.5,
        "low": 0.5,
        "high": 0.5,
    }


def test_the_mean_of_a_subject_is_exact() -> None:
    table = pd.DataFrame(
        {"subject": list("aaabcd"), "group": list("aaabcd"), "label": [1, 1, 1, 0, 0, 1]}
    ).assign(probability=[1 / 3] * 3 + [1e-14, 2e-14, 3e-14])
    found = summary.summary(table, columns={"cnn": "probability"})
    assert found["of_subjects"]["cnn"]["auroc"]["value"] == 1.0
    assert {row["subject"]: row["mean_probability"] for row in found["worst_first"]} == {
        "a": 1 / 3,
        "b": 1e-14,
        "c": 2e-14,
        "d": 3e-14,
    }


def test_names_are_counted_as_they_are_grouped() -> None:
    table = pd.DataFrame(
        {"subject": [1, "1", " 1", 2], "group": ["one", "two", "two", "two"], "label": [0, 0, 0, 1]}
    ).assign(probability=[0.2, 0.6, 0.6, 0.8])
    found = summary.summary(table, columns={"cnn": "probability"})
    assert (found["subjects"], len(found["worst_first"])) == (2, 2)
    for missing in (np.nan, None, " "):
        with pytest.raises(InputError, match="some are empty"):
            bootstrap.intervals([0, 1], [0.1, 0.2], ["a", missing])


def test_each_class_and_each_difference_stand_in_the_summary() -> None:
    table = predictions_table()
    found = summary.summary(table)
    truth, called = table["label"].to_numpy(), (table["probability"] >= 0.5).astype(int)
    precision, recall, f1, support = sk.precision_recall_fscore_support(truth, called)
    counts = sk.confusion_matrix(truth, called)
    for label, name in enumerate(("HEM", "ALL")):
        told = found["report"]["cnn"][name]
        assert list(told["called"].values()) == counts[label].tolist()
        assert told["support"] == support[label]
        expected = (precision[label], recall[label], f1[label])
        assert [told[key] for key in ("precision", "recall", "f1")] == pytest.approx(expected)
    assert found["report"]["majority"]["HEM"]["called"]["HEM"] == 0
    area = bootstrap.compare(truth, table["probability"], table["area_probability"], table["group"])
    assert list(found["compared"]) == ["area", "majority"]
    assert found["compared"]["area"] == {key: area[key] for key in ("difference", "low", "high")}
    assert json.loads(json.dumps(found)) == found


def test_a_subject_of_two_classes_is_told_and_nothing_of_subjects_is_measured() -> None:
    table = predictions_table()
    table.loc[0, "label"] = 1 - table.loc[0, "label"]
    found = summary.summary(table)
    assert found["of_subjects"] is None
    assert any("both classes" in note for note in found["notes"])


# ---------------------------------------------------------------- comparison, subjects, summary


def test_comparison_of_a_model_with_itself_is_exactly_zero() -> None:
    t = predictions_table()
    result = bootstrap.compare(t["label"], t["probability"], t["probability"], t["group"])
    assert (result["difference"], result["low"], result["high"]) == (0.0, 0.0, 0.0)


def test_comparison_is_antisymmetric_and_paired() -> None:
    t = predictions_table()
    a, b = t["probability"], t["area_probability"]
    there = bootstrap.compare(t["label"], a, b, t["group"])
    back = bootstrap.compare(t["label"], b, a, t["group"])
    assert there["difference"] == there["auroc_a"] - there["auroc_b"]
    assert there["difference"] == -back["difference"]
    assert there["low"] == pytest.approx(-back["high"])
    aurocs = [resampled_metrics(t["label"], p, t["group"])["auroc"] for p in (a, b)]
    assert there["high"] == pytest.approx(np.quantile(aurocs[0] - aurocs[1], 0.975))


def test_comparison_of_one_class_is_none_with_a_reason() -> None:
    result = bootstrap.compare([0, 0], [0.1, 0.2], [0.3, 0.4], ["H1", "H2"])
    assert result["difference"] is None
    assert "No cell is ALL" in result["notes"][0]


def test_by_subject_puts_the_worst_first_and_counts_every_cell() -> None:
    table = predictions_table()
    scored = metrics.by_subject(table)
    assert list(scored) == ["subject", "label", "cells", "correct", "mean_probability"]
    assert scored["correct"].is_monotonic_increasing
    assert scored["cells"].sum() == len(table)
    accuracy = metrics.metrics(table["label"], table["probability"])["accuracy"]
    assert np.average(scored["correct"], weights=scored["cells"]) == pytest.approx(accuracy)


def test_by_subject_refuses_a_subject_with_both_labels() -> None:
    table = pd.DataFrame({"subject": ["7", "7"], "label": [0, 1], "probability": [0.1, 0.9]})
    with pytest.raises(InputError, match="'7' has both labels"):
        metrics.by_subject(table)


def test_summary_survives_json_and_agrees_with_metrics() -> None:
    table = predictions_table()
    result = summary.summary(table)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["cells"], result["subjects"], result["groups"]) == (len(table), 12, 12)
    assert list(result["models"]) == ["cnn", "area", "majority"]
    for model, column in MODEL_COLUMNS.items():
        for name, value in metrics.metrics(table["label"], table[column]).items():
            shown = result["models"][model][name]
            assert shown["value"] == value
            assert shown["low"] <= value <= shown["high"]


def test_summary_of_one_class_says_why_values_are_missing() -> None:
    table = predictions_table()
    result = summary.summary(table[table["label"] == ALL])
    assert result["models"]["cnn"]["auroc"] == {"value": None, "low": None, "high": None}
    assert "No cell is HEM" in result["notes"][0]
    json.dumps(result, allow_nan=False)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("labels", "probabilities", "named"),
    [
        ([0, 2], [0.1, 0.2], "labels must be 0"),
        ([0, -1], [0.1, 0.2], "labels must be 0"),
        (["HEM", "ALL"], [0.1, 0.2], "labels must be 0"),
        ([0, float("nan")], [0.1, 0.2], "labels must be 0"),
        ([], [], "labels must be a list"),
        ([0, 1], [0.1, 1.2], "probabilities must be from 0 to 1, not 1.2"),
        ([0, 1], [0.1, float("nan")], "probabilities must be from 0 to 1, not nan"),
        ([0, 1], ["a", "b"], "probabilities must be numbers"),
        ([0, 1], [0.1, 0.2, 0.3], "probabilities must hold one number a cell"),
        ([0, 1], [[0.1], [0.2]], "probabilities must hold one number a cell"),
    ],
)
def test_bad_input_is_refused_by_name(labels: list, probabilities: list, named: str) -> None:
    for function in (metrics.metrics, metrics.confusion, metrics.class_metrics):
        with pytest.raises(InputError, match=named):
            function(labels, probabilities)


@pytest.mark.parametrize("groups", [["a"], ["a", None], ["a", " "], [["a", "b"]]])
def test_bad_groups_are_refused_by_name(groups: list) -> None:
    with pytest.raises(InputError, match="groups must"):
        bootstrap.intervals([0, 1], [0.1, 0.2], groups)


def test_other_bad_arguments_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="threshold"):
        metrics.metrics([0, 1], [0.1, 0.2], threshold=float("nan"))
    with pytest.raises(InputError, match="b must be from 0 to 1"):
        bootstrap.compare([0, 1], [0.1, 0.2], [0.1, 7], ["a", "b"])
    with pytest.raises(InputError, match="area_probability must be"):
        summary.summary(predictions_table().assign(area_probability=np.nan))
    with pytest.raises(InputError, match=r"lack the column\(s\) group, area_probability"):
        summary.summary(predictions_table().drop(columns=["group", "area_probability"]))


def test_intervals_of_a_summary_are_over_groups_and_not_over_subjects() -> None:
    table = predictions_table()
    pairs = {name: f"pair {number // 2}" for number, name in enumerate(np.unique(table["subject"]))}
    joined = table.assign(group=table["subject"].map(pairs))
    found = summary.summary(joined)
    by_group = bootstrap.intervals(joined["label"], joined["probability"], joined["group"])
    by_subject = bootstrap.intervals(joined["label"], joined["probability"], joined["subject"])
    assert by_group["auroc"] != by_subject["auroc"]
    shown = found["models"]["cnn"]["auroc"]
    assert (shown["low"], shown["high"]) == by_group["auroc"]
    compared = bootstrap.compare(
        joined["label"], joined["probability"], joined["area_probability"], joined["group"]
    )
    assert found["compared"]["area"]["low"] == compared["low"]


def test_a_cell_is_the_second_class_from_the_threshold_on():
    assert metrics.predicted(np.array([0.2, 0.5, 1.0])).tolist() == [0, 1, 1]
    assert metrics.predicted(np.array([0.2, 0.5, 1.0]), threshold=1.0).tolist() == [0, 0, 1]
    assert metrics.predicted(np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])).tolist() == [1, 0]
    for wrong in (-0.1, 1.1):
        with pytest.raises(InputError, match="threshold must be from 0 to 1"):
            metrics.predicted(np.array([0.2]), threshold=wrong)


def test_both_of_two_classes_have_the_same_auroc_however_small_the_probabilities():
    found = metrics.class_metrics([0, 0, 1, 1], [1e-20, 1e-18, 1e-19, 1e-17])
    assert [values["auroc"] for values in found.values()] == [0.75, 0.75]
