"""Train a model of any name into a folder."""

import shutil
from pathlib import Path

from leukhelpers import files
from leukhelpers.errors import InputError
from leukhelpers.experiments import model_card, provenance, storage
from leukhelpers.models import prepare, profiles, registry
from leukhelpers.splits import groups


def prepare_cells(dataset: str, profile: str | None, seed: int) -> prepare.Prepared:
    """Read cells and make them ready to learn from, with no one held out.

    The profile is given by its name; without one, the data set decides.
    """
    data = files.workspace() / "data"
    chosen = profiles.profile_of(profile or profiles.default_profile(dataset))
    cells = prepare.load(dataset, chosen, seed, data)
    return prepare.prepare(cells, chosen, seed, data, groups.no_test_split)


def train_run(
    folder: Path, prepared: prepare.Prepared, fold: int | None = None, name: str = "cnn"
) -> storage.Run:
    """Train a model and save the run.

    Parameters
    ----------
    folder : path
        The run's folder. A network in training leaves its state after each epoch in
        ``training`` there, and goes on from it if the folder holds one.
    prepared : Prepared
        Cells, profile and seed.
    fold : int, optional
        Which of four grouped folds to hold out; by default nothing is held out.
    name : str
        The model's name, see :mod:`leukhelpers.models.registry`.

    Raises
    ------
    InputError
        If the folder holds a finished run, or an interrupted training of something else.
    """
    asked_before = folder / "training" / "asked.json"  # gone as soon as all is written
    if (folder / "run.json").is_file() and not asked_before.is_file():
        raise InputError(f"{folder} holds a finished run; name a new folder.")
    if fold is None:
        split = groups.no_test_split(prepared.table, prepared.seed)
    else:
        split = list(groups.grouped_folds(prepared.table, 4, prepared.seed))[fold]
    prepared = prepared._replace(split=split)
    backup = folder / "training"
    asked = {"model": name, "fold": fold, **provenance.identity(prepared)}
    asked["split"] = provenance.split_digest(split)
    provenance.claim(backup / "asked.json", asked, f"{folder} holds an interrupted training")
    learnt = registry.fit(name, prepared, backup=backup)
    fitted = learnt.model, learnt.history, learnt.validation_proba
    run = storage.save_run(folder, prepared, *fitted, name)
    model_card.write_card(folder)
    shutil.rmtree(backup, ignore_errors=True)  # only a finished run needs it no more
    return run
