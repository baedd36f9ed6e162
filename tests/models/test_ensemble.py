"""The mean of network and SVM: on the scale of logits, kept and read back as one model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from leukhelpers.evaluation import calibration
from leukhelpers.models import cnn, ensemble, prepare, profiles, registry
from leukhelpers.splits import groups


def test_of_two_classes_the_logits_are_averaged():
    first, second = np.random.default_rng(0).uniform(0.01, 0.99, (2, 50))
    mean = expit((logit(first) + logit(second)) / 2)
    assert ensemble.average_logits([first, second]) == pytest.approx(mean)


def test_of_more_classes_the_result_is_a_probability_of_each():
    first, second = np.random.default_rng(0).dirichlet((1, 1, 1), (2, 50))
    mean = ensemble.average_logits([first, second])
    assert mean.sum(axis=1) == pytest.approx(np.ones(50))
    ratio = np.log(mean[:, 0] / mean[:, 1])
    expected = np.log(first[:, 0] / first[:, 1]) + np.log(second[:, 0] / second[:, 1])
    assert ratio == pytest.approx(expected / 2)


def test_a_certain_model_is_not_infinitely_certain():
    assert 0.5 < ensemble.average_logits([np.array([1.0]), np.array([0.5])])[0] < 1


def test_network_and_svm_are_those_that_are_trained_alone(tiny_prepared, tmp_path):
    split = next(iter(groups.grouped_folds(tiny_prepared.table, 4, 0)))
    prepared, name = tiny_prepared._replace(split=split), profiles.ENSEMBLE
    learnt = registry.fit(name, prepared)
    network, _, validation_proba = cnn.train(prepared)
    svm = registry.fit("svm", prepared)
    labels = prepared.table["label"].to_numpy()
    temperature = calibration.fit_temperature(labels[split.validation], validation_proba)
    alone = registry.FittedModel("cnn", network)
    by_network = calibration.apply_temperature(
        registry.predict_proba(alone, prepared, split.test), temperature
    )
    by_svm = registry.predict_proba(svm, prepared, split.test)
    expected = expit((logit(by_network) + logit(by_svm)) / 2)
    answers = registry.predict_proba(learnt, prepared, split.test)
    assert answers == pytest.approx(expected, abs=1e-4)
    assert len(learnt.validation_proba) == len(split.validation)

    registry.save(learnt, tmp_path)
    kept = registry.load(tmp_path, name)
    assert registry.predict_proba(kept, prepared, split.test) == pytest.approx(answers, abs=1e-6)
    cost = registry.cost(kept, prepared, split.test)
    assert cost["parameters"] == network.count_params()
    assert prepare.pictures(name, prepared).shape[1] == prepared.profile.box_size
