"""Measure a trained model on other cells."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers import NOTICE, files
from leukhelpers.data.base import Dataset
from leukhelpers.experiments import predictions, storage
from leukhelpers.images.file_facts import file_cautions
from leukhelpers.images.preprocessing import build_pixels
from leukhelpers.models import prepare, registry
from leukhelpers.splits import groups


def evaluate_run(run_folder: Path | str, dataset: Dataset, data: Path) -> dict[str, Any]:
    """Measure a trained run on the cells of a data set that it never saw.

    Parameters
    ----------
    run_folder : path
        A finished run.
    dataset : Dataset
        Labeled cells. Those of groups that the run learnt from are left out, and
        their number is reported.
    data : path
        Folder for the caches.

    Returns
    -------
    dict
        ``dataset``, ``classes``, ``cautions`` (of the run and of these cells),
        ``left_out`` and what :func:`leukhelpers.experiments.predictions.measure` gives.

    Raises
    ------
    InputError
        If the run knows other classes, or no unseen cell is left.
    """
    run = storage.read_run(run_folder)
    storage.refuse_other_classes(run, dataset)
    classes = storage.classes_of(run.about)
    profile = storage.profile_in(run.about)
    array, table, unread = build_pixels(dataset, data / "cache", profile.size, profile.crop)
    rows = storage.unseen(run, dataset, table)
    # Nothing is learnt here, so all rows stand on the test side.
    none = np.zeros(0, dtype=int)
    split = groups.Split(groups.group_ids(table), none, none, rows)
    aside = pd.concat([dataset.set_aside, unread], ignore_index=True)
    prepared = prepare.Prepared(
        dataset, profile, run.about["seed"], array, table, aside, split, data
    )
    baselines = files.read_json(run.folder / "baselines.json")
    name = storage.model_of(run.about)
    answer = registry.predict_proba(registry.load(run.folder, name), prepared, rows)
    answers = predictions.answers_beside(answer, baselines, prepared, rows)
    cautions = [*run.about.get("cautions", []), *dataset.cautions, *file_cautions(dataset)]
    return {
        "run": run.folder.name,
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "classes": list(classes),
        # Of both: a network that learnt from such cells is judged by them, too.
        "cautions": list(dict.fromkeys(cautions)),
        "notice": NOTICE,
        "left_out": len(table) - len(rows),
        "set_aside": len(aside),
        **predictions.measure(answers, classes, predictions.columns_of_run(name), run.validation),
    }
