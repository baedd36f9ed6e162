"""``leuk data``: draw, read and check data sets."""

import functools
import tempfile
from pathlib import Path
from typing import Annotated, Any

from rich.table import Table
from typer import Argument, Option, Typer

from leukhelpers import files
from leukhelpers.commands import options, output
from leukhelpers.errors import InputError

app = Typer(help="Draw, read and check data sets.", no_args_is_help=True)


@app.command("twin")
def data_twin(
    out: Annotated[Path, Option(help="New folder to write into.")],
    images: Annotated[int, Option(help="Number of images.")] = 1200,
    subjects: Annotated[int, Option(min=12, help="Number of subjects.")] = 28,
    seed: Annotated[int, Option(min=0, max=2**31 - 1, help="Same seed, same bytes.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Draw synthetic cells in the layout of C-NMC."""
    from leukhelpers.synthetic.twin import write_twin

    root = write_twin(out, n_images=images, n_subjects=subjects, seed=seed)
    facts = {"root": str(root), "images": images, "subjects": subjects, "seed": seed}
    output.print_result({**facts, "synthetic": True}, as_json)


@app.command("info")
def data_info(
    dataset: options.Dataset = "twin",
    profile: options.Profile = "fast",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Count images, subjects, groups, classes, folds, duplicates and unreadable files."""
    from leukhelpers.models import prepare, profiles
    from leukhelpers.splits import dataset_info

    chosen, data = profiles.profile_of(profile), files.workspace() / "data"
    cells = prepare.load(dataset, chosen, seed, data)
    found = dataset_info.inspect(cells, data, chosen.size, chosen.crop)
    if not as_json:  # too long for a screen; --json tells all
        card = found.pop("card") or {"title": "none: write card.toml beside the cells"}
        for part in (found, *found["parts"].values()):
            part.pop("subject_images", None)
        alike = found.pop("near_duplicates")
        pairs = alike.get("problem") or (
            f"{alike['pairs']} pairs, {alike['of_two_subjects']} of two subjects"
        )
        parts = found.pop("parts")
        found = {"card": card["title"], **found, "near_duplicates": pairs}
        found |= {f"part {name}": part for name, part in parts.items()}
    output.print_result(found, as_json)


@app.command("fetch")
def data_fetch(
    name: Annotated[str, Argument(help="cnmc, the only data set that is fetched.")],
    to: Annotated[Path | None, Option(help="Folder; data/cnmc if not named.")] = None,
    source: Annotated[
        Path | None, Option("--from", help="A zip or folder of it that you have already.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Download C-NMC 2019 from Kaggle, or take a copy that you have; then verify it."""
    from leukhelpers.data.cnmc import find_root
    from leukhelpers.data.download import fetch_cnmc

    if name != "cnmc":
        raise InputError(f"{name!r} cannot be fetched; the data set to fetch is called cnmc.")
    with output.progress_bars() as advance:
        listen = functools.partial(advance, "unpacking")
        place = files.workspace() / "data" / "cnmc"
        already = to or find_root(place)  # what the user put somewhere stays there
        root = fetch_cnmc(to or place, source, output.tell, listen)
    try:
        _verify(root, as_json)
    except SystemExit:
        if not already:
            aside = Path(tempfile.mkdtemp(prefix="unverified-", dir=place.parent), root.name)
            root.rename(aside)
            output.tell(f"What was fetched is no whole copy, so it is not cnmc; it is in {aside}.")
        raise


@app.command("verify")
def data_verify(
    dataset: Annotated[str, Option(help="cnmc, or the folder of a copy.")] = "cnmc",
    as_json: options.Json = False,
) -> None:
    """Compare a copy of C-NMC 2019 with the published files; status 1 if it is damaged."""
    from leukhelpers.datasets import existing_place, find_cnmc

    if dataset == "twin":
        raise InputError("The twin is synthetic; only a copy of C-NMC can be verified.")
    place = find_cnmc(files.workspace() / "data") if dataset == "cnmc" else existing_place(dataset)
    _verify(place, as_json)


def _verify(root: Path, as_json: bool) -> None:
    """Verify a copy and report; a damaged one ends with status 1."""
    from leukhelpers.data.integrity import verify

    with output.progress_bars() as advance:
        found = verify(root, functools.partial(advance, "reading"))
    if as_json:
        output.print_result(found, as_json)
    else:
        output.print_result({key: found[key] for key in ("verdict", "state", "kind")}, as_json)
        table = Table("Part", "State", "Kind", "Images", "Of", title="Parts")
        for name, part in found["parts"].items():
            table.add_row(name.replace("_", " "), *map(str, part.values()))
        output.console.print(table)
        for kind in ("changed", "missing", "extra"):
            for row in found[kind][:5]:
                output.console.print(f"{kind}: {row['path']} ({row['reason']})", markup=False)
            if len(found[kind]) > 5:
                output.console.print(f"{kind}: {len(found[kind])} in all; --json names them")
    if found["state"] not in ("whole", "part"):
        raise SystemExit(1)


@app.command("restructure")
def data_restructure(
    out: Annotated[Path, Option(help="New folder, gets a folder for each class.")],
    dataset: options.Dataset = "twin",
    profile: options.Profile = "fast",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Sort the images into one folder per class, as the paper does; subjects are kept."""
    from leukhelpers.data.export_folders import restructure
    from leukhelpers.models import prepare, profiles

    cells = prepare.load(dataset, profiles.profile_of(profile), seed, files.workspace() / "data")
    with output.progress_bars() as advance:
        found = restructure(cells, out, functools.partial(advance, "placing"))
    output.print_result(found, as_json)


@app.command("import")
def data_import(
    place: Annotated[Path, Argument(help="A folder of images, or a CSV path,label,subject.")],
    out: Annotated[Path, Option(help="Folder for cells.csv and cells.toml.")],
    classes: Annotated[
        list[str],
        Option(
            "--class",
            help="NAME=label,label: a class and the labels or folders that belong to it. Once for "
            "each class, in the order of their numbers; the first is 0.",
        ),
    ],
    subject_pattern: Annotated[
        str | None,
        Option(help=r"Regular expression, one group: the subject in a path; patient(\d+)."),
    ] = None,
    each_image_its_own_subject: Annotated[
        bool,
        Option(
            "--each-image-its-own-subject",
            help="Only if no two images are of one person; every report will say so.",
        ),
    ] = False,
    alike_subjects: Annotated[
        str,
        Option(help="same or different: subjects whose names differ only in case, zeros or signs."),
    ] = "",
    as_json: options.Json = False,
) -> None:
    """Turn a folder of your own images into a verified table of cells."""
    from leukhelpers.data.table import import_folder, parse_classes

    cache, meant = files.workspace() / "data" / "cache", parse_classes(classes)
    found = import_folder(
        place, out, meant, subject_pattern, each_image_its_own_subject, cache, alike_subjects
    )
    output.print_result(found, as_json)


@app.command("own", hidden=True)
@functools.wraps(data_import)
def data_own(**given: Any) -> None:
    """Do as ``leuk data import``, which was called so in version 1."""
    output.tell("'leuk data own' is now called 'leuk data import'.")
    data_import(**given)
