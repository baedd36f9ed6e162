"""What every lesson does first, and how it leaves figures and figures' numbers behind."""

from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from leukhelpers import files
from leukhelpers.course import quiz
from leukhelpers.data.base import Dataset
from leukhelpers.errors import InputError
from leukhelpers.experiments import provenance, storage
from leukhelpers.images import features
from leukhelpers.models import prepare, profiles
from leukhelpers.plots import saving
from leukhelpers.plots.style import FAINT, SETTINGS
from leukhelpers.splits import groups


class Lesson:
    """What one lesson works on, read when it is first used.

    Attributes
    ----------
    number : str
        Such as ``"05"``.
    seed, profile : int, Profile
        As given; ``profile.epochs`` is how long the network of the course is trained.
    run, data : pathlib.Path
        Folder of the results; folder of datasets and caches.
    """

    def __init__(
        self, number: str, dataset: str, profile: profiles.Profile, seed: int, run: Path, data: Path
    ) -> None:
        self.number, self.dataset_name = number, dataset
        self.profile, self.seed, self.run, self.data = profile, seed, run, data

    @cached_property
    def dataset(self) -> Dataset:
        """The cells: ``table``, ``root``, ``classes``, ``note``; cautions are printed."""
        dataset = prepare.load(self.dataset_name, self.profile, self.seed, self.data)
        refuse_other_kinds(dataset)
        for caution in dataset.cautions:
            print(f"Caution: {caution}")
        return dataset

    @cached_property
    def prepared(self) -> prepare.Prepared:
        """Pictures, table and split, as the functions that train take them."""
        prepared = prepare.prepare(self.dataset, self.profile, self.seed, self.data)
        # For the report, whichever lessons the run has.
        storage.write_table(self.run / "set_aside.csv", prepared.set_aside)
        files.write_json(self.run / "cells.json", provenance.describe(prepared))
        return prepared

    @property
    def table(self) -> pd.DataFrame:
        """One row per cell: ``cell_id, path, label, subject, fold, sha256``."""
        return self.prepared.table

    @property
    def images(self) -> np.ndarray:
        """The middle of each original, resized: uint8, shape (n, 96, 96, 3)."""
        return self.prepared.pixels

    @cached_property
    def crops(self) -> np.ndarray:
        """Each cell cropped to its bounding box, as the network of the course sees it.

        uint8, shape (n, size, size, 3), where size is ``profile.box_size``. The size of a cell
        can no longer be seen.
        """
        return prepare.pictures("cnn", self.prepared)

    @property
    def y(self) -> np.ndarray:
        """The labels: 0 = HEM (healthy), 1 = ALL (leukemic); shape (n,)."""
        return self.table["label"].to_numpy()

    @property
    def split(self) -> groups.Split:
        """Row numbers ``train``, ``validation``, ``test``; no subject is in two of them.

        ``split.groups`` names the group of subjects of each cell, shape (n,).
        """
        return self.prepared.split

    @cached_property
    def area(self) -> np.ndarray:
        """The area of each cell, in pixels of the originals; shape (n,)."""
        return features.cell_area(self.images, self.prepared.profile.crop)

    @cached_property
    def features(self) -> pd.DataFrame:
        """The hand-crafted features of each cell, one column per feature."""
        return prepare.features(self.prepared)

    @property
    def note(self) -> str:
        """What every figure of these cells must say, such as ``synthetic cells``."""
        return "; ".join(filter(None, [self.dataset.note, "not for clinical use"]))

    def path(self, row: int) -> Path:
        """Return the file of a cell, by the number of its row."""
        return self.dataset.root / self.table["path"].iloc[row]

    def save_figure(self, figure: Figure, name: str, alt: str, note: str | None = None) -> None:
        """Display a figure, and save it in the results folder under the lesson's number.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Its title (``figure.suptitle``) states the finding. The note is added.
        name : str
            File name without extension: letters, digits, ``-``.
        alt : str
            What a reader who cannot see the figure should know.
        note : str, optional
            What is written small below it; by default :attr:`note`.
        """
        note = self.note if note is None else note
        if not any(note in text.get_text() for text in figure.texts):
            figure.text(0.99, -0.01, note, ha="right", va="top", size=8, color=FAINT)
        saving.show(figure, self.run / "figures", f"{self.number}-{name}", alt)
        plt.close(figure)

    def quiz(self) -> None:
        """Show the lesson's multiple-choice questions, to be answered by a click."""
        quiz.show_questions(self.number)

    def record(self, **facts: Any) -> None:
        """Keep what the lesson measured, for the report; a nan becomes "not defined"."""
        values = {name: "not defined" if value != value else value for name, value in facts.items()}
        files.write_json(self.run / "facts" / f"{self.number}.json", values)

    def save_run(
        self, model: Any, history: pd.DataFrame, validation_proba: np.ndarray
    ) -> storage.Run:
        """Save a trained network with everything that later lessons need.

        Its predictions for the test cells are made here, once.

        Parameters
        ----------
        model : keras.Model
        history : pandas.DataFrame
            One row per epoch: ``epoch``, ``loss``, and what else was measured.
        validation_proba : float array of shape (n_validation,)
            Predicted probabilities of ALL of the validation cells.
        """
        return storage.save_run(self.run, self.prepared, model, history, validation_proba)

    def load_run(self) -> storage.Run:
        """Read the network that lesson 05 saved; train it first where there is none.

        Returns
        -------
        Run
            ``model``, ``history``, ``predictions`` (one row per test cell: ``cell_id, subject,
            group, fold, label, probability, area_probability, majority_probability``) and
            ``validation`` (the same for the validation cells).
        """
        return storage.ensure_run(self.run, self.prepared)


def refuse_other_kinds(dataset: Dataset) -> None:
    """Refuse cells that the lessons are not written for: of more classes, or of mixed people."""
    if len(dataset.classes) > 2:
        raise InputError(
            f"This data set has {len(dataset.classes)} classes; the lessons compare two. "
            "leuk train, crossval and evaluate take any number; lesson 11 shows how."
        )
    if (dataset.table.groupby("subject")["label"].nunique() > 1).any():
        raise InputError(
            "Some people have cells of both classes; the lessons need one class per person. "
            "leuk train, crossval and evaluate take such cells, too."
        )


def measured(name: str) -> dict[str, Any]:
    """Read what a benchmark measured, and print on which cells and where that is written.

    Parameters
    ----------
    name : str
        Of a JSON file in ``benchmarks/results``; it comes with the installed package.

    Returns
    -------
    dict
        The file's content; ``dataset``, ``date``, ``seed`` and ``machine`` say of what.

    Raises
    ------
    InputError
        If there is no such file.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> shares = lk.measured("variance_shares")
    Measured on real cells: ...
    >>> shares["seed"]
    0
    """
    file = files.shipped("measured", "benchmarks/results") / f"{name}.json"
    if not file.is_file():
        raise InputError(f"There is no measured result {name!r} in this installation.")
    found = files.read_json(file)
    machine = found["machine"]
    kind = "synthetic" if found.get("synthetic") else "real"
    print(
        f"Measured on {kind} cells: {found['dataset']}, seed {found['seed']}, "
        f"{found['date'][:10]}, {machine['cores']} cores, {machine['memory_gb']} GB "
        f"(benchmarks/results/{name}.json)"
    )
    return found


def begin(
    number: str, dataset: str = "twin", profile: str = "fast", seed: int = 0, run: str = ""
) -> Lesson:
    """Check a lesson's parameters and print two lines: the versions, and the data.

    Parameters
    ----------
    number : str
        The lesson's number, such as ``"05"``.
    dataset, profile, seed
        The lesson's parameters.
    run : str
        The run's folder; empty for one that is named after the other parameters.

    Raises
    ------
    InputError
        If a parameter is not of its kind.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> lesson = lk.begin("05", dataset="twin", profile="smoke", run="results")
    Environment: ...
    Dataset: twin (synthetic cells, drawn by code); profile: smoke; seed: 0
    >>> lesson.images.shape, lesson.crops.shape
    ((200, 96, 96, 3), (200, 48, 48, 3))
    """
    for name, value in (("dataset", dataset), ("profile", profile), ("run", run)):
        if not isinstance(value, str):
            raise InputError(f"{name} must be text in quotation marks, not {value!r}.")
    chosen = profiles.profile_of(profile)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise InputError(f"seed must be a whole number from 0 up, not {seed!r}.")
    home = files.workspace()
    name = Path(dataset).name or "cells"
    folder = Path(run) if run else home / "runs" / f"lessons-{name}-{profile}-seed{seed}"
    versions = provenance.environment()["versions"]
    print("Environment:", ", ".join(f"{name} {version}" for name, version in versions.items()))
    kind = "synthetic cells, drawn by code" if dataset == "twin" else "cells read from disk"
    print(f"Dataset: {name} ({kind}); profile: {profile}; seed: {seed}")
    plt.rcParams.update(SETTINGS)
    return Lesson(number, dataset, chosen, seed, folder, home / "data")
