"""Decisions: what they are worth, when a model abstains, and what its sets promise."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation import decisions, metrics
from leukhelpers.evaluation.names import MODEL_COLUMNS


def people(n_subjects: int, seed: int, columns: tuple[str, ...]) -> pd.DataFrame:
    """Cells of people who are all alike: what is promised of cells must hold for them."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), 40)
    labels = subject % 2
    told = {
        column: np.clip(0.35 + 0.3 * labels + rng.normal(0, 0.2, len(labels)), 0, 1)
        for column in columns
    }
    names = subject.astype(str)
    return pd.DataFrame({"subject": names, "group": names, "label": labels, **told})


COLUMNS = tuple(MODEL_COLUMNS.values())


def test_net_benefit_of_a_worked_example():
    # 4 cells, called ALL from 0.2 on: two right, one wrong, which weighs 0.2 / 0.8
    table = decisions.net_benefit([1, 1, 0, 0], [0.9, 0.3, 0.4, 0.1]).set_index("threshold")
    assert len(table) == 19
    assert table["model"][0.2] == pytest.approx((2 - 0.25) / 4)
    assert table["call_all"][0.2] == pytest.approx(0.5 - 0.25 * 0.5)
    assert table["call_none"][0.2] == 0.0


def test_who_calls_every_cell_all_has_the_net_benefit_of_calling_all():
    table = decisions.net_benefit([1, 0, 1, 1], np.ones(4))
    assert table["model"].tolist() == pytest.approx(table["call_all"].tolist())


def test_risk_falls_with_coverage_if_the_unsure_cells_are_the_wrong_ones():
    # the two surest are right, of the other two one is wrong
    table = decisions.risk_coverage([1, 0, 1, 0], [0.99, 0.02, 0.6, 0.7]).set_index("coverage")
    assert table["risk"][[0.5, 1.0]].tolist() == [0.0, 0.25]


def test_a_model_that_is_equally_sure_of_all_gains_nothing_by_abstaining():
    labels = np.array([1, 0, 0, 1, 1, 0, 1, 1, 1, 1])
    table = decisions.risk_coverage(labels, np.full(10, 0.7))
    assert table["risk"].tolist() == pytest.approx([0.3] * 10)


@pytest.mark.parametrize("told", [(0.0, 1.0), (0.3, 0.7), (0.1, 0.9), (0.2, 0.8)])
def test_as_sure_of_one_class_as_of_the_other_is_as_sure(told):
    labels = np.array([0] * 5 + [1] * 3 + [0] * 2)  # of ten answers two are wrong, all ALL
    table = decisions.risk_coverage(labels, np.repeat(told, 5))
    assert table["risk"].tolist() == pytest.approx([0.2] * 10)


def test_shares_that_are_none_are_refused():
    labels, told = [0, 1], [0.2, 0.7]
    for missed in (-0.1, 1.0, 10, np.nan):
        with pytest.raises(InputError, match="missed must be"):
            decisions.fit_conformal(labels, told, missed)


def test_at_full_coverage_the_risk_is_one_minus_the_accuracy():
    table = people(6, 0, COLUMNS)
    risk = decisions.risk_coverage(table["label"], table["probability"])["risk"].iloc[-1]
    accuracy = metrics.metrics(table["label"], table["probability"])["accuracy"]
    assert risk == pytest.approx(1 - accuracy)


def test_the_border_of_a_set_in_a_worked_example():
    # 19 leukemic cells: of 20, one more coming, two may be missed, so the second lowest
    told = np.append(np.linspace(0.05, 0.95, 19), 0.2)
    least = decisions.fit_conformal(np.repeat([ALL, HEM], [19, 1]), told, missed=0.1)
    assert least["ALL"] == pytest.approx(0.10)
    assert least["HEM"] == 0.0  # one cell proves nothing: HEM is always named


def test_sets_keep_their_promise_for_cells_from_the_same_lot():
    held = []
    for seed in range(40):
        known, new = people(4, 2 * seed, COLUMNS[:1]), people(4, 2 * seed + 1, COLUMNS[:1])
        least = decisions.fit_conformal(known["label"], known["probability"], 0.2)
        found = decisions.coverage(
            new["label"], decisions.prediction_sets(new["probability"], least)
        )
        held.append((found["HEM"], found["ALL"]))
    assert np.mean(held, axis=0) == pytest.approx([0.8, 0.8], abs=0.03)


def test_coverage_of_a_worked_example():
    named = np.array([[True, False], [True, True], [False, True], [False, False]])
    found = decisions.coverage([HEM, HEM, HEM, ALL], named)
    assert found == {"HEM": pytest.approx(2 / 3), "ALL": 0.0, "answered": 0.5, "right": 0.5}
    assert decisions.coverage([HEM], named[3:])["ALL"] is None
    assert decisions.coverage([HEM], named[3:])["right"] is None


def test_sets_of_one_class_only_are_refused():
    with pytest.raises(InputError, match="coverage of HEM"):
        decisions.fit_conformal([1, 1], [0.2, 0.4])


def test_summary_chooses_on_validation_and_measures_on_the_others():
    known, new = people(6, 0, COLUMNS), people(8, 1, COLUMNS)
    found = decisions.summary(new, known)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["chosen_on"] == {"cells": 240, "subjects": 6}
    own = found["models"]["cnn"]
    values = metrics.metrics(new["label"], new["probability"], own["threshold"])
    assert own["at_threshold"]["sensitivity"]["value"] == values["sensitivity"]
    assert own["at_threshold"]["sensitivity"]["low"] < values["sensitivity"]
    assert sum(own["reliability"]["cells"]) == len(new)
    assert 0.8 < own["coverage"]["ALL"] <= 1
    # nothing that is chosen depends on those by whom it is measured
    other = decisions.summary(people(8, 2, COLUMNS), known)["models"]["cnn"]
    assert (other["threshold"], other["temperature"]) == (own["threshold"], own["temperature"])


@pytest.mark.parametrize("known", [None, people(1, 0, COLUMNS)])
def test_without_validation_cells_of_both_classes_nothing_is_chosen_and_it_is_said(known):
    found = decisions.summary(people(8, 1, COLUMNS), known)
    assert found["chosen_on"] is None
    assert "no threshold was chosen" in found["notes"][0]
    assert "threshold" not in found["models"]["cnn"]
    assert len(found["models"]["area"]["net_benefit"]["threshold"]) == 19


def test_prediction_sets_are_those_of_the_validation_cells():
    known = people(6, 0, COLUMNS)
    new = people(8, 1, COLUMNS)
    new[list(COLUMNS)] **= 3  # other probabilities: sets chosen on them would be others
    found = decisions.summary(new, known)["models"]
    for model, column in MODEL_COLUMNS.items():
        least = decisions.fit_conformal(known["label"], known[column])
        assert found[model]["least"] == least
        assert least != decisions.fit_conformal(new["label"], new[column])
        named = decisions.prediction_sets(new[column], least)
        assert found[model]["coverage"] == decisions.coverage(new["label"], named)
