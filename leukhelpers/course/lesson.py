"""What every lesson does first, and how it leaves figures and figures' numbers behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from leukhelpers import files, plots
from leukhelpers.course import quiz
from leukhelpers.data.base import Dataset
from leukhelpers.errors import InputError
from leukhelpers.experiments import provenance, storage
from leukhelpers.models import prepare, profiles


@dataclass(frozen=True)
class Lesson:
    """The place of one lesson: its parameters, and where it reads and writes."""

    number: str
    dataset_name: str
    profile: profiles.Profile
    seed: int
    run: Path
    data: Path

    def load(self) -> Dataset:
        """Read the cells that the parameters name, and print what one must know of them.

        Raises
        ------
        InputError
            If they are of more than two classes.
        """
        dataset = prepare.load(self.dataset_name, self.profile, self.seed, self.data)
        if len(dataset.classes) > 2:
            raise InputError(
                f"This data set has {len(dataset.classes)} classes; the lessons compare two. "
                "leuk train, crossval and evaluate take any number; lesson 11 shows how."
            )
        for caution in dataset.cautions:
            print(f"Caution: {caution}")
        return dataset

    def prepare(self) -> prepare.Prepared:
        """Read the cells, make them small, and hold out a quarter of the groups."""
        prepared = prepare.prepare(self.load(), self.profile, self.seed, self.data)
        # For the report, whichever lessons the run has.
        storage.write_table(self.run / "set_aside.csv", prepared.set_aside)
        files.write_json(self.run / "cells.json", provenance.describe(prepared))
        return prepared

    def show(self, figure: Figure, name: str, alt: str) -> None:
        """Show a figure, and keep it in the run's folder under the lesson's number."""
        plots.show(figure, self.run / "figures", f"{self.number}-{name}", alt)

    def ask(self) -> None:
        """Show the lesson's multiple-choice questions, to be answered by a click."""
        quiz.show_questions(self.number)

    def record(self, **facts: Any) -> None:
        """Keep what the lesson measured, for the report; a nan becomes "not defined"."""
        values = {name: "not defined" if value != value else value for name, value in facts.items()}
        files.write_json(self.run / "facts" / f"{self.number}.json", values)


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
    text = ", ".join(f"{package} {number_}" for package, number_ in versions.items())
    print(f"Environment: {text}")
    kind = "synthetic cells, drawn by code" if dataset == "twin" else "cells read from disk"
    print(f"Data set: {name} ({kind}); profile: {profile}; seed: {seed}")
    return Lesson(number, dataset, chosen, seed, folder, home / "data")
