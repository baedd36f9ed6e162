"""Plan the twin: which files it has, and what each of its cells shall look like.

The files are those of C-NMC's training set, or a part of them, read from the package's
list of names. What makes a cell leukemic is decided here, as numbers, before anything
is drawn; so the truth about every cell is known.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from leukhelpers.data.published import read_published
from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError

N_IMAGES = 10661  # in C-NMC's training set
N_SUBJECTS = 73
MIN_SUBJECTS = 8  # four of each class; four grouped folds need 12, as some share images

# These come first when a smaller twin is planned: ALL subjects of different folds that
# share images (20 and 21, 51 and 75), healthy ones that do (H2 and H4; H3 and H10, of
# different folds), the one in lower case (H3), and for each class all three folds.
_FIRST = {
    ALL: [str(n) for n in (20, 21, 51, 45, 34, 47, 52, 75, 48, 67, 46, 26, 49, 32, 35, 68, 50, 30)],
    HEM: [f"H{n}" for n in (2, 4, 10, 24, 3, 12, 22, 23, 15, 14)],
}


def read_names() -> pd.DataFrame:
    """List the training files of C-NMC 2019.

    Returns
    -------
    pandas.DataFrame
        10,661 rows in the order of fold, class, subject, image and cell; columns
        ``path`` (in C-NMC's layout), ``cell_id``, ``label``, ``subject``, ``fold``,
        ``number`` (the row, or that of the byte-identical file that comes before it).
    """
    files = read_published()
    names = files[files["fold"].isin(["0", "1", "2"])].reset_index(drop=True)
    names["cell_id"] = names["name"]
    names["path"] = "C-NMC_Leukemia/" + names["path"]
    names["number"] = names.index.to_series().groupby(names["checksum"]).transform("min")
    return names[["path", "cell_id", "label", "subject", "fold", "number"]]


def choose_files(names: pd.DataFrame, n_images: int, n_subjects: int) -> pd.DataFrame:
    """Take a part of the training set that keeps its classes, folds and shared images.

    Parameters
    ----------
    names : pandas.DataFrame
        From :func:`read_names`.
    n_images, n_subjects : int
        How many files, of how many subjects.

    Returns
    -------
    pandas.DataFrame
        ``n_images`` of the rows, in their order. The seed has no part in the choice.

    Raises
    ------
    InputError
        If the training set has no such part.
    """
    if not MIN_SUBJECTS <= n_subjects <= N_SUBJECTS:
        raise InputError(
            f"A twin has {MIN_SUBJECTS} to {N_SUBJECTS} subjects, not {n_subjects}; "
            "choose a number between."
        )
    if n_images < n_subjects:
        raise InputError(
            f"{n_images} images are too few for {n_subjects} subjects; ask for at least one each."
        )
    counts = names.groupby(["label", "subject"]).size()
    all_share = counts[ALL].size / counts.size
    # Six healthy subjects, of whom two pairs share images, are four groups, one for each fold.
    n_all = max(4, min(round(n_subjects * all_share), n_subjects - 6))
    available = {}
    for label, number in ((ALL, n_all), (HEM, n_subjects - n_all)):
        rest = counts[label].drop(_FIRST[label]).sort_values(ascending=False, kind="stable").index
        available[label] = counts[label][[*_FIRST[label], *rest][:number]]
    most = sum(int(files.sum()) for files in available.values())
    if n_images > most:
        raise InputError(
            f"{n_subjects} subjects have at most {most} images, not {n_images}; "
            "ask for fewer images or more subjects."
        )
    share = (names["label"] == ALL).mean()
    wanted = int(
        np.clip(
            round(n_images * share),
            max(n_all, n_images - int(available[HEM].sum())),
            min(int(available[ALL].sum()), n_images - (n_subjects - n_all)),
        )
    )
    # Shared files come early in a fixed random order, both of a pair at the same place.
    order = np.random.default_rng(0).random(N_IMAGES)
    shared = names["number"].duplicated(keep=False).to_numpy()
    key = np.where(shared, 0.05, 1.0) * order[names["number"]]
    place = pd.Series(key).groupby(names["subject"]).rank(method="first")
    quota = pd.concat([_quota(available[ALL], wanted), _quota(available[HEM], n_images - wanted)])
    return names[place <= names["subject"].map(quota).fillna(0)].reset_index(drop=True)


def _quota(available: pd.Series, total: int) -> pd.Series:
    """Share out ``total`` files: a floor for every subject, the rest by what it has."""
    floor = np.minimum(available, max(1, total // (2 * len(available))))
    left = available - floor
    exact = left * ((total - floor.sum()) / max(left.sum(), 1))
    quota = floor + np.floor(exact).astype(int)
    missing = total - int(quota.sum())
    most = (exact - np.floor(exact)).sort_values(ascending=False, kind="stable").index[:missing]
    quota[most] += 1
    return quota


def plan_pictures(names: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Decide what every cell of the full twin looks like.

    Each cause (size, chromatin, nucleoli, outline) has a mean for its class, to which
    every subject and then every cell adds its own deviation, so that the classes overlap
    in each. Stain, brightness, focus and rim belong to the subject and say nothing of
    the class. Healthy cells are small in fold 0 and as large as leukemic ones in fold 2.

    Parameters
    ----------
    names : pandas.DataFrame
        From :func:`read_names`.
    seed : int
        The seed of the twin.

    Returns
    -------
    pandas.DataFrame
        ``names`` and the columns that :func:`leukhelpers.synthetic.twin.plan_twin` describes.
        Files with the same ``number`` have the same values.
    """
    rng = np.random.default_rng([seed, N_IMAGES])
    n = len(names)
    leukemic = (names["label"] == ALL).to_numpy()
    subjects = names.drop_duplicates("subject").reset_index(drop=True)
    index = pd.factorize(names["subject"])[0]
    files = np.bincount(index)

    def subject_wise() -> np.ndarray:
        """Spread subjects evenly over a normal distribution, in each fold and class.

        A subject with many cells shall not shift its class, so the mean over cells is 0.
        """
        scores = np.empty(len(subjects))
        for rows in subjects.groupby(["fold", "label"]).groups.values():
            scores[rows] = norm.ppf((rng.permutation(len(rows)) + 0.5) / len(rows))
            scores[rows] -= np.average(scores[rows], weights=files[rows])
        return scores[index]

    def cell_wise() -> np.ndarray:
        return np.clip(rng.standard_normal(n), -3.5, 3.5)

    small = ~leukemic & (names["fold"] == "0").to_numpy()
    medium = ~leukemic & (names["fold"] == "1").to_numpy()
    of_cell = cell_wise()
    log_size = np.select([small, medium], [np.log(176.5), np.log(181.0)], np.log(208.0))
    log_size += np.where(leukemic, 0.042, 0.055) * subject_wise()
    log_size += np.where(
        leukemic,
        0.082 * (of_cell - 0.10 * (of_cell**2 - 1)),
        0.110 * (of_cell + 0.22 * (of_cell**2 - 1)),
    )
    diameter = np.clip(np.exp(log_size), 125.0, 275.0)
    clumping = np.where(leukemic, 0.36, 0.64) + 0.09 * subject_wise() + 0.15 * cell_wise()
    rate = np.where(leukemic, 2.3, 0.40) * np.exp(0.35 * subject_wise())
    prominence = np.where(leukemic, 0.5, -0.5) + 0.4 * subject_wise() + 0.9 * cell_wise()
    rough = np.where(leukemic, 0.30, -0.30) + 0.25 * subject_wise() + 0.45 * cell_wise()
    cleft = rng.random(n) < np.where(leukemic, 0.42, 0.12)
    odd = subject_wise()
    size = np.log(diameter / 200.0)
    plan = {
        "diameter": diameter,
        "clumping": np.clip(clumping, 0.02, 0.98),
        "nucleoli": np.minimum(rng.poisson(rate), 4),
        "nucleolus_size": np.clip((10.0 + 1.4 * prominence) * diameter / 200.0, 4.5, 15.5),
        "nucleolus_contrast": np.clip(31.0 + 5.0 * prominence, 10.0, 42.0),
        "irregularity": np.clip(0.020 * np.exp(rough), 0.004, 0.06),
        "cleft": np.where(cleft, rng.uniform(0.06, 0.24, n), 0.0),
        "elongation": np.clip(rng.rayleigh(0.062, n) * np.exp(0.3 * cell_wise()), 0.0, 0.3),
        "rim": np.clip(2.2 + 0.4 * subject_wise() + 0.4 * cell_wise(), 0.8, 5.0),
        "rim_brightness": np.clip(1 + 0.10 * subject_wise() + 0.10 * cell_wise(), 0.6, 1.5),
        "cytoplasm": np.where(rng.random(n) < 0.5, rng.uniform(0.0, 0.12, n), 0.0),
        "brightness": 10.5 * subject_wise() + 7.5 * cell_wise() + 8.0 * size,
        "hue": 2.6 * subject_wise() + 1.5 * cell_wise(),
        "contrast": 6.5 * np.exp(0.15 * subject_wise() + 0.18 * cell_wise()),
        "shading": 8.0 * np.exp(0.15 * subject_wise() + 0.20 * cell_wise()),
        "focus": np.clip(0.5 + 0.30 * subject_wise() + 0.10 * cell_wise(), 0.0, 1.0),
        "grain": np.clip(0.66 * np.exp(0.18 * subject_wise() + 0.06 * cell_wise()), 0.3, 1.3),
        "neighbor": rng.random(n)
        < np.clip(np.where(leukemic, 0.10, 0.05) * np.exp(0.8 * odd), 0, 0.5),
        "torn": rng.random(n) < 0.14,
        "cut": rng.random(n) < 0.04,
    }
    plan["nucleolus_size"] = np.where(plan["nucleoli"] > 0, plan["nucleolus_size"], 0.0)
    plan["nucleolus_contrast"] = np.where(plan["nucleoli"] > 0, plan["nucleolus_contrast"], 0.0)
    pictures = pd.DataFrame(plan).round(6)
    same = pictures.iloc[names["number"]].reset_index(drop=True)
    return pd.concat([names.reset_index(drop=True), same], axis=1)
