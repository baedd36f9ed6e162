"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Dataset = Annotated[
    str, typer.Option("--dataset", help="twin, cnmc, a copy of C-NMC, or your own folder or CSV.")
]

Profile = Annotated[str, typer.Option(help="smoke, fast or full.")]

TrainingProfile = Annotated[
    str | None,
    typer.Option("--profile", help="smoke, fast or full; by default fast for the twin, else full."),
]

Seed = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, help="Seed of splits, weights and augmentation.")
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

RandomWeights = Annotated[
    bool,
    typer.Option(
        "--random-weights",
        help="Take random weights for networks whose ImageNet weights cannot be downloaded.",
    ),
]

Cluster = Annotated[
    str | None,
    typer.Option("--scheduler", help="Address of a Dask scheduler; else this machine."),
]

Run = Annotated[Path, typer.Option("--run", help="Folder of a finished run.")]

Resume = Annotated[
    bool, typer.Option("--resume", help="Continue an interrupted run; finished parts are kept.")
]
