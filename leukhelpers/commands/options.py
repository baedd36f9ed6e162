"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Dataset = Annotated[
    str, Option("--dataset", help="twin, cnmc, a copy of C-NMC, or your own folder or CSV.")
]

Profile = Annotated[str, Option(help="smoke, fast or full.")]

TrainingProfile = Annotated[
    str | None,
    Option("--profile", help="smoke, fast or full; by default fast for the twin, else full."),
]

Seed = Annotated[
    int, Option(min=0, max=2**31 - 1, help="Seed of splits, weights and augmentation.")
]

Json = Annotated[bool, Option("--json", help="Print one JSON document.")]

RandomWeights = Annotated[
    bool,
    Option(
        "--random-weights",
        help="Take random weights for networks whose ImageNet weights cannot be downloaded.",
    ),
]

Cluster = Annotated[
    str | None, Option("--scheduler", help="Address of a Dask scheduler; else this machine.")
]

Pictures = Annotated[list[Path], Argument(help="Picture files.")]

Run = Annotated[Path, Option("--run", help="Folder of a finished run.")]

Resume = Annotated[
    bool, Option("--resume", help="Continue an interrupted run; finished parts are kept.")
]
