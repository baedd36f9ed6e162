"""The mistakes of public C-NMC notebooks, each planted, each caught or made impossible."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import train_test_split

from leukhelpers.data.cnmc import FOLDERS, PARTS, read_cnmc
from leukhelpers.data.label_map import Meaning
from leukhelpers.data.pictures import pixel_digest, read_image
from leukhelpers.data.schema import ALL, HEM, parse_name
from leukhelpers.errors import InputError
from leukhelpers.images import augmentation
from leukhelpers.images.preprocessing import check_pixels, crop_and_resize
from leukhelpers.models import profiles, training
from leukhelpers.splits import groups
from leukhelpers.splits.groups import SharedGroupError, Split

PRELIMINARY = FOLDERS["preliminary"]
NONE = np.zeros(0, dtype=int)


@pytest.fixture(scope="module")
def table(tiny_tree: Path) -> pd.DataFrame:
    """The training cells of a drawn tree."""
    return read_cnmc(tiny_tree).table


@pytest.fixture
def with_test_set(tiny_cnmc: Path, disc: Callable[..., np.ndarray]) -> Path:
    """Add twelve preliminary pictures to a drawn tree, in no order, with their CSV."""
    names = [f"UID_{s}_{n}_1_all" for s in (90, 91) for n in range(3)]
    names += [f"UID_H{s}_{n}_1_hem" for s in (92, 93) for n in range(3)]
    (tiny_cnmc / PRELIMINARY).mkdir(parents=True)
    rows = ["Patient_ID,new_names,labels"]
    for number, name in enumerate(names):
        new = (number * 7) % 12 + 1
        Image.fromarray(disc(500 + number)).save(tiny_cnmc / PRELIMINARY / f"{new}.bmp")
        rows.append(f"{name}.bmp,{new}.bmp,{int(name.endswith('all'))}")
    (tiny_cnmc / f"{PRELIMINARY}_labels.csv").write_text("\n".join(rows) + "\n")
    return tiny_cnmc


def read_in_order(root: Path, order: str, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Read a tree on a disk that lists its files in another order."""
    scan = os.scandir

    class Listing(list):
        def __enter__(self) -> Listing:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def __next__(self) -> os.DirEntry:  # os.walk takes one entry after the other
            if not self:
                raise StopIteration
            return self.pop()

    def turned(path: str) -> Listing:
        with scan(path) as found:
            entries = sorted(found, key=lambda entry: entry.name, reverse=order == "forwards")
        if order == "random":
            random.Random(1).shuffle(entries)
        return Listing(entries)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", turned)
        return read_cnmc(root, PARTS[:2]).table


class TestRandomSplitByImage:
    """Mistake: ``train_test_split`` by image, so that train and test share patients."""

    def test_it_cannot_be_built(self, table: pd.DataFrame) -> None:
        train, test = train_test_split(np.arange(len(table)), random_state=0)
        with pytest.raises(SharedGroupError, match="train and test share the group"):
            Split(groups.group_ids(table), train, NONE, test)


class TestTuningOnTheTestSet:
    """Mistake: part of the preliminary test set goes into training or tuning."""

    def test_it_is_not_opened_unless_asked_for(self, with_test_set: Path) -> None:
        assert set(read_cnmc(with_test_set).table["fold"]) == {"0", "1", "2"}

    def test_judging_on_it_still_works(self, with_test_set: Path) -> None:
        cells = read_cnmc(with_test_set, ("preliminary",)).table
        split = Split(groups.group_ids(cells), NONE, NONE, np.arange(len(cells)))
        assert len(split.test) == 12


class TestClassesNumberedByTheirSortedNames:
    """Mistake: sorted, ``["all", "hem"]`` makes all = 0, and the CSV has 1 = ALL."""

    def test_folder_name_and_csv_all_say_one(self, with_test_set: Path) -> None:
        assert Meaning().label_of("all") == ALL == 1
        assert Meaning().label_of("hem") == HEM == 0
        cells = read_cnmc(with_test_set, PARTS[:2]).table
        trained = cells[cells["fold"] != "preliminary"]
        assert (trained["path"].str.contains("/all/") == (trained["label"] == 1)).all()
        assert [parse_name(name).label for name in trained["cell_id"]] == trained["label"].tolist()
        tested = cells[cells["fold"] == "preliminary"]
        assert (tested["subject"].str.startswith("H") == (tested["label"] == 0)).all()

    def test_csv_with_swapped_numbers_is_refused(self, with_test_set: Path) -> None:
        csv = with_test_set / f"{PRELIMINARY}_labels.csv"
        head, *rows = csv.read_text().splitlines()
        swapped = [row[:-1] + str(1 - int(row[-1])) for row in rows]
        csv.write_text("\n".join([head, *swapped]) + "\n")
        with pytest.raises(InputError, match="its name differs"):
            read_cnmc(with_test_set, ("preliminary",))

    def test_numbers_for_classes_are_never_guessed(self) -> None:
        for number in ("0", "1"):
            with pytest.raises(InputError, match="is not known"):
                Meaning().label_of(number)


class TestNamesSortedWithoutTheirLabels:
    """Mistake: the file names are sorted, the list of labels beside them is not."""

    @pytest.mark.parametrize("order", ["forwards", "backwards", "random"])
    def test_order_of_files_on_disk_never_moves_a_label(
        self, with_test_set: Path, order: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cells = read_in_order(with_test_set, order, monkeypatch)
        pd.testing.assert_frame_equal(cells, read_cnmc(with_test_set, PARTS[:2]).table)
        trained = cells[cells["fold"] != "preliminary"]
        assert [parse_name(name).label for name in trained["cell_id"]] == trained["label"].tolist()


class TestFilesZippedWithRowsOfTheCsv:
    """Mistake: files in the order of ``os.walk``, zipped with the rows of the CSV."""

    @pytest.mark.parametrize("order", ["forwards", "backwards", "random"])
    def test_files_are_joined_to_their_rows_by_name(
        self, with_test_set: Path, order: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        csv = with_test_set / f"{PRELIMINARY}_labels.csv"
        head, *rows = csv.read_text().splitlines()
        truth = {row.split(",")[1]: row.split(",") for row in rows}
        random.Random(2).shuffle(rows)
        csv.write_text("\n".join([head, *rows]) + "\n")
        cells = read_in_order(with_test_set, order, monkeypatch)
        cells = cells[cells["fold"] == "preliminary"]
        assert len(cells) == 12
        for cell in cells.itertuples():
            name, _, label = truth[Path(cell.path).name]
            assert cell.label == int(label)
            assert cell.subject == parse_name(Path(name).stem).subject
            assert cell.sha256 == pixel_digest(read_image(with_test_set / cell.path))


class TestResizingByNpResize:
    """Mistake: ``np.resize``, which cuts or repeats values, used to resize pictures."""

    def test_cells_on_black_are_found_missing(self, disc: Callable[..., np.ndarray]) -> None:
        planted = np.stack([np.resize(disc(seed), (96, 96, 3)) for seed in range(20)])
        with pytest.raises(InputError, match=r"20 of 20 pictures hold no cell; was np\.resize"):
            check_pixels(planted)

    @pytest.mark.parametrize(("side", "size"), [(100, 64), (130, 96), (200, 96), (48, 64)])
    def test_pictures_without_black_are_found_torn(self, side: int, size: int) -> None:
        whole = smooth_pictures(side)
        planted = np.stack([np.resize(picture, (size, size, 3)) for picture in whole])
        with pytest.raises(InputError, match=r"no row continues the one above; was np\.resize"):
            check_pixels(planted)
        check_pixels(np.stack([crop_and_resize(picture, size, side) for picture in whole]))

    def test_real_cells_resized_so_are_refused(self, shared_data: Path) -> None:
        root = shared_data / "cnmc_raw_sample" / "C-NMC_Leukemia"
        cells = [read_image(root / path) for path in read_cnmc(root).table["path"][:32]]
        check_pixels(np.stack([crop_and_resize(cell, 96, 384) for cell in cells]))
        with pytest.raises(InputError, match="hold no cell"):
            check_pixels(np.stack([np.resize(cell, (96, 96, 3)) for cell in cells]))
        inner = [cell[160:290, 160:290] for cell in cells]
        with pytest.raises(InputError, match="no row continues"):
            check_pixels(np.stack([np.resize(cell, (96, 96, 3)) for cell in inner]))


def smooth_pictures(side: int) -> np.ndarray:
    """Draw 16 pictures without black whose neighboring pixels are alike."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 200, (16, 6, 6, 3), dtype=np.uint8)
    large = (side, side)
    return np.stack([Image.fromarray(c).resize(large, Image.Resampling.BICUBIC) for c in coarse])


class TestScalingTwice:
    """Mistake: pixels divided by 255 before a model that divides by 255 itself."""

    @pytest.mark.parametrize("times", [1, 2])
    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    def test_scaled_pixels_reach_neither_training_nor_prediction(
        self, table: pd.DataFrame, times: int, kind: type
    ) -> None:
        cells = np.random.default_rng(0).integers(0, 256, (len(table), 16, 16, 3))
        planted = (cells / 255.0**times).astype(kind)
        split, settings = groups.holdout_split(table), profiles.PROFILES["smoke"]
        network = SimpleNamespace(output_shape=(None, 1))  # it is not even asked
        with pytest.raises(InputError, match="scaled to 0 … 1 already"):
            training.fit(
                network, planted, table["label"], split.train, split.validation, settings, 0
            )
        with pytest.raises(InputError, match="scaled to 0 … 1 already"):
            training.predict(network, planted)

    def test_pixels_as_they_are_pass_whole_or_as_floats(self) -> None:
        cells = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
        for kind in (np.uint8, np.int64, np.float16, np.float32):
            check_pixels(cells.astype(kind))


class TestEarlyStoppingOnTheTestSet:
    """Mistake: the test set is the validation data that stops the training."""

    def test_training_never_reads_a_test_row(
        self, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        split = groups.holdout_split(table)
        part = np.zeros(len(table), dtype=np.uint8)
        part[split.train], part[split.validation], part[split.test] = 50, 100, 200
        pixels = np.broadcast_to(part[:, None, None, None], (len(table), 16, 16, 3))
        network = Recorder()
        monkeypatch.setattr(training.keras, "Model", lambda *_: network)
        monkeypatch.setattr(augmentation, "augment_batch", _uncolored)
        settings = profiles.Profile("tiny", 0, 0, epochs=1, batch_size=8)
        training.fit(
            network, pixels, table["label"].to_numpy(), split.train, split.validation, settings, 0
        )
        assert network.learnt_from == {50}
        assert network.stopped_by == {100}
        assert network.n_stopped_by == len(split.validation)


def _uncolored(images: object, _: object) -> object:
    return keras.ops.cast(images, "float32")


class Recorder:
    """A network that learns nothing and remembers what it was shown."""

    output_shape = (None, 1)
    input = output = None
    trainable_variables = ()
    optimizer = SimpleNamespace(build=lambda variables: None)
    distribute_strategy = SimpleNamespace(scope=contextlib.nullcontext)

    def compile(self, **settings: object) -> None:
        """Learn nothing."""

    def compute_metrics(self, *answers: object) -> None:
        """Measure nothing."""

    def fit(
        self, batches: object, steps_per_epoch: int, validation_data: object, **settings: object
    ) -> None:
        shown = [batch[0].numpy() for batch in batches.take(steps_per_epoch)]  # type: ignore[attr-defined]
        watched = [batch[0].numpy() for batch in validation_data]  # type: ignore[attr-defined]
        self.learnt_from = set(np.unique(np.concatenate(shown)))
        self.stopped_by = set(np.unique(np.concatenate(watched)))
        self.n_stopped_by = sum(len(batch) for batch in watched)


# --- what else the two checks refuse ---------------------------------------------------------


def some_cells(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (n, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 8, 8, 1), (4, 8, 9, 3), (8, 8, 3), (4, 3, 8, 8)])
def test_pixels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="must have the shape"):
        check_pixels(np.full(shape, 9, np.uint8))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "not numbers"),
        (np.inf, "not numbers"),
        (-1, "reach from -1 to"),
        (256, "to 256; the model scales"),
    ],
)
def test_values_that_no_picture_has_are_refused(value: float, message: str) -> None:
    cells = some_cells()
    cells[3, 2, 1, 0] = value
    with pytest.raises(InputError, match=message):
        check_pixels(cells)
    check_pixels(cells, np.array([0, 1, 2, 4, 5]))  # only the rows that are used count
    check_pixels(cells, NONE)


@pytest.mark.parametrize("kind", [bool, object, complex])
def test_what_are_no_numbers_is_refused(kind: type) -> None:
    with pytest.raises(InputError, match="not numbers"):
        check_pixels(some_cells().astype(kind))


def test_a_few_black_pictures_pass_and_more_are_refused() -> None:
    cells = some_cells()
    cells[:4] = 0
    check_pixels(cells)
    cells[4] = 0
    with pytest.raises(InputError, match="5 of 40 pictures hold no cell"):
        check_pixels(cells)


def test_one_striped_picture_is_not_torn() -> None:
    stripes = np.zeros((1, 8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    check_pixels(stripes)


def test_only_a_sample_of_a_large_array_is_read() -> None:
    seen: list[int] = []

    class Mapped(np.ndarray):
        def __getitem__(self, rows: object) -> np.ndarray:
            seen.append(len(rows))  # type: ignore[arg-type]
            return np.asarray(self)[rows]

    cells = np.resize(some_cells(100), (5000, 8, 8, 3)).view(Mapped)
    check_pixels(cells)
    check_pixels(cells, np.arange(100, 900))
    assert seen == [256, 256]
