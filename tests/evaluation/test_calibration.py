"""Probabilities are set right on validation cells, and the threshold is chosen there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn import metrics as sk

from leukhelpers.errors import InputError
from leukhelpers.evaluation import calibration, metrics


def drawn(temperature: float, n: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cells whose true log-odds are known, told by a model that multiplies them."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, n)
    labels = (rng.random(n) < expit(odds)).astype(int)
    return labels, expit(odds * temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_a_known_boldness_is_found(temperature):
    labels, told = drawn(temperature)
    found = calibration.fit_temperature(labels, told)
    assert found == pytest.approx(temperature, rel=0.05)
    before, after = (
        metrics.metrics(labels, p) for p in (told, calibration.apply_temperature(told, found))
    )
    assert after["ece"] < 0.015
    assert after["brier"] <= before["brier"] + 1e-4
    assert after["auroc"] == pytest.approx(before["auroc"])


def test_the_temperature_has_the_least_cross_entropy():
    labels, told = drawn(2.0, 400)
    found = calibration.fit_temperature(labels, told)
    loss = [
        sk.log_loss(labels, calibration.apply_temperature(told, found * by))
        for by in (0.9, 1.0, 1.1)
    ]
    assert loss[1] == min(loss)


def test_cooling_by_one_changes_nothing_and_certainty_stays_finite():
    told = np.array([0.0, 0.2, 0.9, 1.0])
    assert calibration.apply_temperature(told, 1.0) == pytest.approx(told)
    assert np.isfinite(logit(calibration.apply_temperature(told, 3.0))).all()


@pytest.mark.parametrize("told", [(0.2, 0.3, 0.6, 0.7), (0.5, 0.5, 0.5, 0.5)])
def test_where_cells_say_nothing_of_a_temperature_it_stays_at_one(told):
    # All on their right side: ever bolder would fit ever better. All at one half: no effect.
    assert calibration.fit_temperature([0, 0, 1, 1], told) == 1.0
    assert calibration.fit_temperature([0, 0, 1, 1], told[::-1]) >= 1.0


def test_a_threshold_between_neighbors_that_touch_is_the_upper_one():
    low = 0.30000000000000004
    told = [low, np.nextafter(low, 1)]
    threshold = calibration.choose_threshold([0, 1], told)
    assert metrics.metrics([0, 1], told, threshold)["balanced_accuracy"] == 1.0


def test_the_threshold_of_a_worked_example_lies_between_two_cells():
    labels = [0, 0, 0, 1, 0, 1, 1]
    told = [0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.9]
    # from 0.5 on: 3 of 3 found, 1 of 4 wrong; from 0.7 on: 2 of 3, 0 of 4
    assert calibration.choose_threshold(labels, told) == pytest.approx(0.4)


@pytest.mark.slow
def test_the_threshold_is_the_best_on_the_cells_it_was_chosen_by():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 200)
    told = np.clip(0.2 + 0.2 * labels + rng.normal(0, 0.15, 200), 0, 1)
    chosen = calibration.choose_threshold(labels, told)
    best = metrics.metrics(labels, told, chosen)["balanced_accuracy"]
    others = [metrics.metrics(labels, told, t)["balanced_accuracy"] for t in np.unique(told)]
    assert best == pytest.approx(max(others))
    assert best > metrics.metrics(labels, told, 0.5)["balanced_accuracy"]


@pytest.mark.parametrize("told", [[0.3, 0.3, 0.3, 0.3], [0.9, 0.8, 0.2, 0.1]])
def test_where_no_threshold_is_better_than_one_answer_it_stays_at_one_half(told):
    assert calibration.choose_threshold([0, 0, 1, 1], told) == 0.5


def test_reliability_of_a_worked_example():
    table = calibration.reliability([0, 1, 1, 1], [0.05, 0.91, 0.95, 1.0])
    assert table["from"].tolist() == [0.0, 0.9]
    assert table["to"].tolist() == [0.1, 1.0]
    assert table["cells"].tolist() == [1, 3]
    assert table["mean_probability"].tolist() == pytest.approx([0.05, 2.86 / 3])
    assert table["share_of_all"].tolist() == [0.0, 1.0]


def test_reliability_adds_up_to_the_calibration_error():
    labels, told = drawn(2.0, 500)
    table = calibration.reliability(labels, told)
    gaps = (table["mean_probability"] - table["share_of_all"]).abs() * table["cells"]
    assert gaps.sum() / 500 == pytest.approx(metrics.metrics(labels, told)["ece"])


@pytest.mark.parametrize("choose", [calibration.fit_temperature, calibration.choose_threshold])
def test_cells_of_one_class_or_of_another_length_are_refused(choose):
    with pytest.raises(InputError, match="both classes"):
        choose([1, 1], [0.2, 0.8])
    with pytest.raises(InputError, match="one number a cell"):
        choose([0, 1], [0.2])
    with pytest.raises(InputError, match="from 0 to 1"):
        choose([0, 1], [0.2, 2.0])
