"""A property of the files that predicts the class is named, and a chance likeness is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leukhelpers.data.base import Dataset
from leukhelpers.data.cnmc import read_cnmc
from leukhelpers.data.folder import read_own
from leukhelpers.images import file_facts
from leukhelpers.images.preprocessing import build_pixels


def draw(place: Path, store, side: int = 160, people: int = 5, cells: int = 3) -> Dataset:
    """Write discs of two classes; `store` saves a picture of a class and person."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] - side / 2
    for label in ("HEM", "ALL"):
        for person in range(people):
            folder = place / label / f"{label}{person}"
            folder.mkdir(parents=True)
            for number in range(cells):
                disc = np.hypot(x, y) < side * rng.uniform(0.25, 0.35)
                picture = rng.integers(90, 220, (side, side, 3)) * disc[..., None]
                image = Image.fromarray(picture.astype(np.uint8))
                store(image, folder / str(number), label, person)
    return read_own(place)


def as_png(image: Image.Image, file: Path, label: str, person: int) -> None:
    image.save(f"{file}.png")


def as_jpeg_of_one_class(image: Image.Image, file: Path, label: str, person: int) -> None:
    image.save(f"{file}.jpg" if label == "HEM" else f"{file}.png")


def as_jpeg_of_most_in_one_class(image: Image.Image, file: Path, label: str, person: int) -> None:
    image.save(f"{file}.jpg" if label == "ALL" and person else f"{file}.png")


def of_two_qualities(image: Image.Image, file: Path, label: str, person: int) -> None:
    image.save(f"{file}.jpg", quality=95 if label == "HEM" else 80)


def of_two_sizes(image: Image.Image, file: Path, label: str, person: int) -> None:
    (image if label == "HEM" else image.resize((150, 150))).save(f"{file}.png")


def of_two_modes(image: Image.Image, file: Path, label: str, person: int) -> None:
    (image if label == "HEM" else image.quantize(200)).save(f"{file}.png")


def of_two_compressions(image: Image.Image, file: Path, label: str, person: int) -> None:
    image.save(f"{file}.png", compress_level=9 if label == "HEM" else 0)


def of_two_depths(image: Image.Image, file: Path, label: str, person: int) -> None:
    (image if label == "HEM" else image.point(lambda value: value // 16 * 16)).save(f"{file}.png")


def once_jpeg(image: Image.Image, file: Path, label: str, person: int) -> None:
    if label == "HEM":
        image.save(f"{file}.jpg", quality=80)
        image = Image.open(f"{file}.jpg").copy()
        Path(f"{file}.jpg").unlink()
    image.save(f"{file}.png")


def by_person(image: Image.Image, file: Path, label: str, person: int) -> None:
    image.save(f"{file}.jpg" if person % 2 else f"{file}.png")


@pytest.mark.parametrize(
    ("store", "named"),
    [
        (as_jpeg_of_one_class, "% JPEG (HEM 100, ALL 0)"),
        (as_jpeg_of_most_in_one_class, "% JPEG (HEM 0, ALL 80)"),
        (of_two_qualities, "compression (HEM"),
        (of_two_sizes, "width (HEM 160, ALL 150)"),
        (of_two_modes, "% color mode P (HEM 0, ALL 100)"),
        (of_two_compressions, "compression (HEM"),
        (of_two_depths, "levels (HEM"),
        (once_jpeg, "% with a background not quite black (HEM 100, ALL 0)"),
    ],
)
def test_files_that_predict_the_class_are_named(tmp_path: Path, store, named: str) -> None:
    (caution,) = file_facts.file_cautions(draw(tmp_path, store))
    assert named in caution
    assert "save all pictures in the same way" in caution


@pytest.mark.parametrize("store", [as_png, by_person])
def test_files_alike_in_both_classes_give_no_caution(tmp_path: Path, store) -> None:
    assert file_facts.file_cautions(draw(tmp_path, store)) == []


def test_larger_cells_of_one_class_are_no_property_of_the_files(tiny_tree: Path) -> None:
    assert file_facts.file_cautions(read_cnmc(tiny_tree)) == []


def test_people_are_compared_not_cells(tmp_path: Path) -> None:
    """Two people of each class, however many cells they have, prove nothing."""
    found = draw(tmp_path, as_jpeg_of_one_class, people=2, cells=9)
    assert file_facts.file_cautions(found) == []


@pytest.mark.parametrize("side", [12, 28, 60])
def test_tiny_pictures_fill_the_crop_and_are_named(tmp_path: Path, side: int) -> None:
    found = draw(tmp_path / "cells", as_png, side)
    (caution,) = file_facts.file_cautions(found)
    assert "of cells smaller than 64 pixels" in caution
    crop = file_facts.crop_of(found, 384)
    assert crop == side
    array = build_pixels(found, tmp_path / "cache", 96, crop).array
    assert 0.15 < array.any(axis=-1).mean() < 0.45  # as in the files, not in a corner of black


def test_small_cells_in_large_pictures_are_named_too(tmp_path: Path) -> None:
    def on_black(image: Image.Image, file: Path, label: str, person: int) -> None:
        large = Image.new("RGB", (450, 450))
        large.paste(image, (200, 200))
        large.save(f"{file}.png")

    found = draw(tmp_path, on_black, side=50)
    assert "of cells smaller than 64 pixels" in file_facts.file_cautions(found)[0]
    assert file_facts.crop_of(found, 384) in range(60, 80)  # twice the largest cell


def test_people_of_several_classes_are_counted(tmp_path: Path) -> None:
    found = draw(tmp_path, as_png)
    table = found.table.assign(subject=["a", "b", "c"] * (len(found.table) // 3))
    mixed = Dataset("mixed", found.root, pd.DataFrame(table), found.set_aside)
    assert "3 of 3 subjects have cells of several classes" in file_facts.file_cautions(mixed)[-1]


def test_files_that_were_saved_again_are_looked_at_again(tmp_path: Path) -> None:
    found = draw(tmp_path, of_two_modes)
    assert file_facts.file_cautions(found)
    for file in tmp_path.rglob("*.png"):
        Image.open(file).convert("RGB").save(file)  # the pixels stay the same
    assert file_facts.file_cautions(found) == []
