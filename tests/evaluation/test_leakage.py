import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from leukhelpers.evaluation import leakage
from leukhelpers.evaluation.leakage import FoldAnswers
from leukhelpers.splits import groups


def cells(n_subjects: int = 16, n_each: int = 30, seed: int = 0) -> pd.DataFrame:
    """Subjects of either class, and a number that knows the subject and not the class."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), n_each)
    label = subject % 2
    own = rng.permutation(n_subjects)[subject]
    return pd.DataFrame(
        {
            "cell_id": np.arange(len(subject)).astype(str),
            "path": "",
            "label": label,
            "subject": subject.astype(str),
            "fold": "",
            "sha256": np.arange(len(subject)).astype(str),
            "score": own + 0.1 * rng.normal(size=len(subject)),
        }
    )


def neighbors_label(table: pd.DataFrame):
    """Answer with the label of the nearest training cell: a pure memory for subjects."""

    def answer(split: groups.Split) -> np.ndarray:
        known = table.iloc[np.concatenate([split.train, split.validation])]
        asked = table["score"].to_numpy()[split.test]
        nearest = np.abs(asked[:, None] - known["score"].to_numpy()).argmin(axis=1)
        return known["label"].to_numpy()[nearest] + 0.01 * asked

    return answer


def both_ways(table: pd.DataFrame) -> tuple[list[FoldAnswers], list[FoldAnswers]]:
    learner = neighbors_label(table)
    lied = groups.image_level_groups(table)
    honest = leakage.answer_folds(groups.random_folds(table, 4), learner)
    return leakage.answer_folds(groups.random_folds(lied, 4), learner), honest


def test_every_cell_is_answered_once_whichever_way_the_folds_are_made() -> None:
    table = cells()
    for folds in both_ways(table):
        rows = np.concatenate([fold.rows for fold in folds])
        assert sorted(rows) == list(range(len(table)))


def test_a_memory_for_subjects_shows_as_a_gap_whose_interval_lies_above_zero() -> None:
    table = cells(n_subjects=100, n_each=8)
    flattered, honest = both_ways(table)
    found = leakage.split_optimism(
        table["label"].to_numpy(), table["subject"].to_numpy(), flattered, honest
    )
    assert found["gap"] == pytest.approx(found["flattered"] - found["honest"])
    assert 0 < found["low"] < found["gap"] < found["high"]


def test_the_same_answers_have_no_gap_in_any_resample() -> None:
    table = cells()
    _, honest = both_ways(table)
    found = leakage.split_optimism(
        table["label"].to_numpy(), table["subject"].to_numpy(), honest, honest
    )
    assert (found["gap"], found["low"], found["high"]) == (0, 0, 0)


def test_resampled_means_agree_with_scikit_learn_resample_by_resample() -> None:
    table = cells(n_subjects=8)
    labels, names = table["label"].to_numpy(), table["subject"].to_numpy()
    _, honest = both_ways(table)
    codes = np.unique(names, return_inverse=True)[1]
    weights = leakage.group_weights(8, 50, seed=3)
    resampled = leakage._resampled_mean(labels, codes, honest, weights)
    for row, weight in enumerate(weights):
        scores = [
            roc_auc_score(labels[fold.rows], fold.scores, sample_weight=weight[codes[fold.rows]])
            for fold in honest
            if len(set(labels[fold.rows][weight[codes[fold.rows]] > 0])) == 2
        ]
        expected = np.mean(scores) if scores else np.nan
        assert resampled[row] == pytest.approx(expected, nan_ok=True)


def test_patients_that_scatter_widen_the_interval() -> None:
    few, many = cells(8, 60), cells(64, 60)
    widths = []
    for table in (few, many):
        found = leakage.split_optimism(
            table["label"].to_numpy(), table["subject"].to_numpy(), *both_ways(table)
        )
        widths.append(found["high"] - found["low"])
    assert widths[0] > 1.5 * widths[1]
