"""Copies that were altered a little are found; other cells, however alike, are not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leukhelpers.data.cnmc import read_cnmc
from leukhelpers.data.pictures import pixel_digest, read_image
from leukhelpers.errors import InputError
from leukhelpers.images.preprocessing import crop_and_resize
from leukhelpers.splits import near_duplicates as similar
from leukhelpers.splits.groups import group_ids
from leukhelpers.splits.near_duplicates import near_duplicates
from leukhelpers.synthetic.twin import draw_cell, plan_twin

COLUMNS = ["cell_a", "subject_a", "fold_a", "cell_b", "subject_b", "fold_b", "distance"]


def jpeg(image: np.ndarray) -> np.ndarray:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=85)
    return np.asarray(Image.open(out))


def noise(image: np.ndarray) -> np.ndarray:
    change = np.random.default_rng(0).integers(-1, 2, image.shape)
    return np.clip(image + change, 0, 255).astype(np.uint8)


def brightness(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: np.clip(np.round(image * factor), 0, 255).astype(np.uint8)


ALTERED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jpeg": jpeg,
    "noise": noise,
    "brighter": brightness(1.05),
    "darker": brightness(0.95),
    **{f"moved by {n}": lambda image, n=n: np.roll(image, (n, -n), (0, 1)) for n in (1, 2, 3)},
}


def cells_of(images: list[np.ndarray]) -> tuple[np.ndarray, pd.DataFrame]:
    """Make small pictures and the columns of a cell table that are read."""
    names = [str(row) for row in range(len(images))]
    table = pd.DataFrame({"cell_id": names, "subject": [f"s{name}" for name in names], "fold": "0"})
    small = np.stack([crop_and_resize(image, 96, 384) for image in images])
    return small, table.assign(sha256=[pixel_digest(image) for image in images])


def found_pairs(images: list[np.ndarray]) -> list[tuple[str, str]]:
    found = near_duplicates(*cells_of(images))
    return sorted(zip(found["cell_a"], found["cell_b"], strict=True))


@pytest.fixture(scope="module")
def twin_images() -> list[np.ndarray]:
    """Draw 40 cells of the twin, no two of them copies."""
    plan = plan_twin(200, 12, 3).drop_duplicates("drawn_as")
    return [draw_cell(row, 3)[0] for _, row in plan.iloc[::4][:40].iterrows()]


@pytest.mark.slow
@pytest.mark.parametrize("how", ALTERED)
def test_altered_copies_of_drawn_cells_are_found_and_nothing_else(
    twin_images: list[np.ndarray], how: str
) -> None:
    originals = twin_images[:20]
    copies = [ALTERED[how](image) for image in originals]
    expected = sorted((str(row), str(row + 20)) for row in range(20))
    assert found_pairs([*originals, *copies]) == expected


def test_no_two_drawn_cells_look_alike(twin_images: list[np.ndarray]) -> None:
    assert found_pairs(twin_images) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", ALTERED)
def test_altered_copies_of_real_cells_are_found_and_nothing_else(
    shared_data: Path, how: str
) -> None:
    root = shared_data / "cnmc_raw_sample" / "C-NMC_Leukemia"
    originals = [read_image(root / path) for path in read_cnmc(root).table["path"][:24]]
    copies = [ALTERED[how](image) for image in originals]
    expected = sorted((str(row), str(row + 24)) for row in range(24))
    assert found_pairs([*originals, *copies]) == expected


def test_one_real_cell_under_two_subjects_is_found(shared_data: Path) -> None:
    folder = shared_data / "cnmc" / "C-NMC_Leukemia" / "training_data" / "fold_0" / "all"
    pairs = ["17_28_1", "20_32_1", "17_30_3", "1_4_2", "15_25_3", "1_7_2", "20_34_1", "15_1_1"]
    images = [read_image(folder / f"UID_{name}_all.png") for name in pairs]
    assert found_pairs(images) == [("0", "1"), ("2", "3"), ("4", "5")]


def test_equal_pictures_are_left_to_the_checksum(disc: Callable[..., np.ndarray]) -> None:
    assert found_pairs([disc(1), disc(1), noise(disc(1))]) == [("0", "2"), ("1", "2")]


def test_pairs_come_with_subject_fold_and_distance_closest_first(
    disc: Callable[..., np.ndarray],
) -> None:
    pixels, table = cells_of([disc(1), disc(2), disc(3), ALTERED["moved by 3"](disc(1)), disc(1)])
    pixels[4] = pixels[0]
    table.loc[4, "sha256"] = "another"
    found = near_duplicates(pixels, table)
    assert found.columns.tolist() == COLUMNS
    assert found["distance"].is_monotonic_increasing
    assert found["distance"].dtype == int
    assert found.iloc[0].tolist() == ["0", "s0", "0", "4", "s4", "0", 0]


def test_near_duplicates_are_never_joined(disc: Callable[..., np.ndarray]) -> None:
    _, table = cells_of([disc(1), noise(disc(1))])
    assert group_ids(table).tolist() == ["s0", "s1"]


def test_smaller_distance_finds_a_part_of_the_pairs(disc: Callable[..., np.ndarray]) -> None:
    images = [disc(1), jpeg(disc(1)), brightness(0.8)(disc(1)), disc(2)]
    near, all_ = (near_duplicates(*cells_of(images), distance=d) for d in (3, 40))
    pd.testing.assert_frame_equal(near, all_[all_["distance"] <= 3])


def test_order_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, (50, 7), dtype=np.uint64)
    hashes[20:30] = hashes[:10] ^ np.uint64(1)
    hashes[45] = hashes[3]
    sha256 = np.array([str(row) for row in range(50)])
    whole = np.stack(similar._close_pairs(hashes, sha256, 40))
    monkeypatch.setattr(similar, "_CHUNK", 7)
    assert np.array_equal(np.stack(similar._close_pairs(hashes, sha256, 40)), whole)
    by_hand = [
        (a, b, sum(int(x ^ y).bit_count() for x, y in zip(hashes[a], hashes[b], strict=True)))
        for a in range(50)
        for b in range(a + 1, 50)
    ]
    assert whole.T.tolist() == [list(pair) for pair in by_hand if pair[2] <= 40]
    assert whole.shape == (3, 12)


def test_hash_holds_the_bits_of_the_library(disc: Callable[..., np.ndarray]) -> None:
    (picture,), _ = cells_of([disc(5)])
    packed = similar._hashes(picture[None])
    assert packed.shape == (1, 7)
    bits = np.unpackbits(packed.view(np.uint8), axis=1)[0, :400]
    assert np.array_equal(bits, similar._hash(picture))


def test_black_pictures_are_hashed_like_any(disc: Callable[..., np.ndarray]) -> None:
    black = np.zeros((450, 450, 3), np.uint8)
    assert found_pairs([black, disc(1), np.zeros((449, 449, 3), np.uint8)]) == [("0", "2")]


def test_no_pictures_have_no_pairs() -> None:
    pixels, table = cells_of([np.zeros((450, 450, 3), np.uint8)])
    for n in (0, 1):
        found = near_duplicates(pixels[:n], table[:n])
        assert found.columns.tolist() == COLUMNS
        assert found.empty


def test_pictures_of_another_table_are_refused(disc: Callable[..., np.ndarray]) -> None:
    pixels, table = cells_of([disc(1), disc(2)])
    with pytest.raises(InputError, match="2 pictures and 1 cells"):
        near_duplicates(pixels, table[:1])


def test_millions_of_pairs_are_refused_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "_MANY_PAIRS", 1000)
    pictures = np.zeros((100, 96, 96, 3), np.uint8)
    table = pd.DataFrame({"cell_id": range(100), "subject": "1", "fold": "", "sha256": range(100)})
    with pytest.raises(InputError, match="pairs look alike"):
        near_duplicates(pictures, table)


def test_pictures_as_far_apart_as_is_allowed_still_look_alike() -> None:
    hashes = np.zeros((3, 7), np.uint64)
    hashes[1, 0], hashes[2, 6] = 0b111, 0b11111  # 3, 5 and 8 bits apart
    for distance, wanted in ((2, []), (3, [3]), (5, [3, 5]), (8, [3, 5, 8])):
        _, _, apart = similar._close_pairs(hashes, np.array(["a", "b", "c"]), distance)
        assert sorted(apart.tolist()) == wanted
