"""From what a run was made: cells, settings, machine and versions."""

import datetime
import hashlib
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from leukhelpers import files
from leukhelpers.errors import InputError
from leukhelpers.images.file_facts import file_cautions, file_facts
from leukhelpers.models import prepare
from leukhelpers.splits import groups


def environment() -> dict[str, Any]:
    """Tell the versions and the machine size that stand beside every measured number."""
    packages = ("leukhelpers", "tensorflow", "keras", "numpy", "scikit-learn", "shap")
    return {
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
        "machine": {
            "system": platform.system(),
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30),
        },
    }


def identity(prepared: prepare.Prepared) -> dict[str, Any]:
    """Tell cells, profile and seed in a form that can be compared with a file's."""
    return {
        "fingerprint": prepare.fingerprint(prepared.table),
        "profile": asdict(prepared.profile),
        "seed": prepared.seed,
    }


def split_digest(split: groups.Split) -> str:
    """Name a split by its rows, which may be others in another version of the course."""
    rows = [part.tolist() for part in (split.train, split.validation, split.test)]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def claim(note: Path, asked: dict[str, Any], otherwise: str) -> None:
    """Note what a folder's results are of; refuse a folder whose note says something else.

    Parameters
    ----------
    note : path
        The file that says it.
    asked : dict
        Such as :func:`identity`.
    otherwise : str
        The beginning of the refusal.

    Raises
    ------
    InputError
    """
    if note.is_file() and files.read_json(note) != asked:
        raise InputError(
            f"{otherwise} of other cells, model, profile, seed or folds; name another folder."
        )
    files.write_json(note, asked)


def describe(prepared: prepare.Prepared) -> dict[str, Any]:
    """Tell of which cells, how and where a run was made."""
    labels, dataset = prepared.table["label"], prepared.dataset
    counts = np.bincount(labels, minlength=len(dataset.classes)).tolist()
    return {
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "classes": list(dataset.classes),
        "cautions": [*dataset.cautions, *file_cautions(dataset)],
        "files": file_facts(dataset)["stored"].value_counts().index[:3].tolist(),
        "images": len(prepared.table),
        "subjects": int(prepared.table["subject"].nunique()),
        "groups": len(np.unique(prepared.split.groups)),
        "class_counts": dict(zip(dataset.classes, counts, strict=True)),
        "set_aside": len(prepared.set_aside),
        **identity(prepared),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **environment(),
    }
