"""The twin keeps C-NMC's files, its own truth, and its promises about what lies on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage
from skimage.measure import regionprops
from sklearn.metrics import roc_auc_score

from leukhelpers.data.schema import ALL, HEM, parse_name
from leukhelpers.errors import InputError
from leukhelpers.synthetic import drawing, twin

SMALL: dict[str, Any] = {"n_images": 48, "n_subjects": 12}


@pytest.fixture(scope="module")
def full() -> pd.DataFrame:
    return twin.plan_twin(10661, 73)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return twin.write_twin(tmp_path_factory.mktemp("twin") / "small", **SMALL)


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*.bmp"))
    }


def test_full_plan_has_the_files_of_the_real_training_set(full: pd.DataFrame) -> None:
    assert len(full) == full["path"].nunique() == full["cell_id"].nunique() == 10661
    assert full["subject"].nunique() == 73
    assert full["label"].value_counts().to_dict() == {ALL: 7272, HEM: 3389}
    assert full["fold"].value_counts().to_dict() == {"0": 3527, "1": 3581, "2": 3553}
    lower = full["cell_id"].str.contains("h3", regex=False)
    assert lower.sum() == 36
    assert set(full.loc[lower, "subject"]) == {"H3"}


def test_full_plan_repeats_the_104_pairs(full: pd.DataFrame) -> None:
    groups = full.groupby("drawn_as")["subject"].agg(["size", lambda s: "=".join(sorted(set(s)))])
    groups.columns = ["size", "subjects"]
    shared = groups[groups["size"] > 1]
    assert (shared["size"] == 2).all()
    assert Counter(shared["subjects"]) == {
        "20=21": 71,
        "51=78": 11,
        "51=75": 10,
        "H10": 5,
        "H2=H4": 3,
        "H2=H5": 2,
        "H2=H6": 1,
        "H10=H3": 1,
    }


@pytest.mark.slow
def test_full_plan_agrees_with_the_published_manifest(full: pd.DataFrame) -> None:
    shared = Path(os.environ.get("LEUK_SHARED_DATA", Path(__file__).parents[3] / "shared/data"))
    if not (shared / "cnmc/manifest.csv").is_file():
        pytest.skip("the list of published files is not on this machine")
    real = pd.read_csv(shared / "cnmc/manifest.csv")
    real = real[real["path"].str.contains("/training_data/")]
    assert set(full["path"]) == set(real["path"])
    digest_of = real.set_index("path")["sha256"]
    ours = full.groupby("drawn_as")["path"].agg(frozenset)
    theirs = digest_of.index.to_series().groupby(digest_of).agg(frozenset)
    assert set(ours) == set(theirs)


def test_names_say_what_the_plan_says(full: pd.DataFrame) -> None:
    for row in full.to_dict("records"):
        name = parse_name(Path(row["path"]).stem)
        assert (name.subject, name.label) == (row["subject"], row["label"])
        folder = f"fold_{row['fold']}/{'all' if row['label'] == ALL else 'hem'}"
        assert str(Path(row["path"]).parent).endswith(folder)


def test_default_twin_is_a_part_of_the_full_one_with_the_same_pictures(
    full: pd.DataFrame,
) -> None:
    plan = twin.plan_twin()
    assert len(plan) == 1200
    whole = full.set_index("path").loc[plan["path"]].reset_index()
    columns = plan.columns.drop("drawn_as")
    pd.testing.assert_frame_equal(plan[columns], whole[columns])
    assert plan.groupby("label")["subject"].nunique().to_dict() == {ALL: 18, HEM: 10}
    assert plan["label"].mean() == pytest.approx(0.682, abs=0.005)
    assert set(plan["fold"]) == {"0", "1", "2"}
    assert plan["cell_id"].str.contains("h3", regex=False).any()
    shared = plan.groupby("drawn_as").filter(lambda rows: rows["subject"].nunique() > 1)
    pairs = shared.groupby("drawn_as").agg(
        {"subject": lambda s: "=".join(sorted(s)), "fold": "nunique"}
    )
    counts = pairs["subject"].value_counts()
    assert counts["20=21"] >= 5
    assert counts["H2=H4"] >= 2
    assert (pairs.loc[pairs["subject"].isin(["20=21", "H10=H3"]), "fold"] == 2).all()
    assert "H10=H3" in counts


@pytest.mark.parametrize(
    ("n_images", "n_subjects"), [(8, 8), (9, 8), (100, 8), (300, 12), (2500, 28), (10660, 73)]
)
def test_every_plan_has_its_numbers(n_images: int, n_subjects: int) -> None:
    plan = twin.plan_twin(n_images, n_subjects)
    assert len(plan) == n_images
    assert plan["subject"].nunique() == n_subjects
    assert plan.groupby("label")["subject"].nunique().min() >= 4
    assert (plan["drawn_as"] <= plan.index).all()
    assert (plan.loc[plan["drawn_as"], "drawn_as"].to_numpy() == plan["drawn_as"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_subjects": 7}, "8 to 73 subjects"),
        ({"n_subjects": 74}, "8 to 73 subjects"),
        ({"n_images": 27}, "too few"),
        ({"n_images": 10662, "n_subjects": 73}, "at most 10661"),
        ({"n_images": 8000}, "at most"),
        ({"seed": -1}, "seed"),
    ],
)
def test_impossible_numbers_are_refused(arguments: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        twin.write_twin(tmp_path / "twin", **arguments)
    assert not (tmp_path / "twin").exists()


def test_classes_differ_in_every_cause_and_overlap_in_each(full: pd.DataFrame) -> None:
    fold = full[full["fold"] == "0"]
    for cause, sign in (
        ("diameter", 1),
        ("clumping", -1),
        ("nucleoli", 1),
        ("irregularity", 1),
        ("cleft", 1),
    ):
        assert 0.55 < roc_auc_score(fold["label"], sign * fold[cause]) < 0.92, cause


def test_healthy_cells_are_small_in_fold_0_and_large_in_fold_2(full: pd.DataFrame) -> None:
    size = full.groupby(["label", "fold"])["diameter"].median()
    assert size[HEM, "0"] < 0.9 * size[ALL, "0"]
    assert size[HEM, "2"] == pytest.approx(size[ALL, "2"], rel=0.05)


def test_files_on_disk_are_the_planned_ones(small: Path) -> None:
    causes = twin.read_causes(small)
    pd.testing.assert_frame_equal(causes, twin.plan_twin(**SMALL))
    assert sorted(causes["path"]) == list(digests(small))
    with Image.open(small.parent / causes["path"][0]) as image:
        assert (image.format, image.mode, image.size) == ("BMP", "RGB", (450, 450))
    assert (small.parent / causes["path"][0]).stat().st_size == 608454
    note = json.loads((small.parent / "twin.json").read_text())
    assert note["n_images"] == 48


def test_only_planned_repeats_are_byte_identical(small: Path) -> None:
    causes, files = twin.read_causes(small), digests(small)
    drawn = causes.groupby("drawn_as")["path"].agg(frozenset)
    same = pd.Series(files).groupby(list(files.values())).groups.values()
    assert {frozenset(paths) for paths in same} == set(drawn)
    assert len(drawn) < len(causes)


@pytest.mark.slow
def test_same_seed_gives_same_bytes(small: Path, tmp_path: Path) -> None:
    again = twin.write_twin(tmp_path / "again", **SMALL)
    assert digests(again) == digests(small)
    assert (again.parent / "twin.csv").read_bytes() == (small.parent / "twin.csv").read_bytes()


def test_another_seed_gives_other_pictures_under_the_same_names(small: Path) -> None:
    first, second = twin.plan_twin(**SMALL), twin.plan_twin(**SMALL, seed=1)
    assert list(first["path"]) == list(second["path"])
    assert not np.allclose(first["diameter"], second["diameter"])
    row = first.iloc[0]
    assert not np.array_equal(twin.draw_cell(row, 0)[0], twin.draw_cell(row, 1)[0])


@pytest.fixture(scope="module")
def drawn() -> list[tuple[dict, np.ndarray, dict[str, np.ndarray]]]:
    plan = twin.plan_twin(300, 28, seed=3)
    rows = plan.drop_duplicates("number").to_dict("records")[:150]
    return [(row, *twin.draw_cell(row, 3)) for row in rows]


@pytest.mark.slow
def test_masks_lie_inside_the_cell_and_all_else_is_black(drawn: list) -> None:
    for _, pixels, masks in drawn:
        assert pixels.shape == (450, 450, 3)
        assert pixels.dtype == np.uint8
        assert set(masks) == set(drawing.MASKS)
        assert (pixels.any(axis=2) == masks["cell"]).all()
        for mask in masks.values():
            assert mask.dtype == bool
            assert not (mask & ~masks["cell"]).any()
        assert not (masks["nucleoli"] & ~masks["nucleus"]).any()
        assert (masks["chromatin"] == (masks["nucleus"] & ~masks["nucleoli"])).all()
        assert masks["outline"].any()
        assert masks["nucleus"].sum() > 0.5 * (masks["cell"] & ~masks["neighbor"]).sum()


@pytest.mark.slow
def test_masks_agree_with_the_recorded_causes(drawn: list) -> None:
    rows = pd.DataFrame([row for row, _, _ in drawn])
    rows["spots"] = [masks["nucleoli"].sum() for _, _, masks in drawn]
    rows["area"] = [masks["cell"].sum() for _, _, masks in drawn]
    rows["solidity"] = [
        regionprops(masks["nucleus"].astype(np.uint8))[0].solidity for _, _, masks in drawn
    ]
    rows["strange"] = [masks["neighbor"].any() for _, _, masks in drawn]
    assert ((rows["spots"] > 0) == (rows["nucleoli"] > 0)).all()
    assert (rows["strange"] == rows["neighbor"]).mean() > 0.95
    assert not rows.loc[~rows["neighbor"], "strange"].any()
    whole = rows[~(rows["neighbor"] | rows["torn"] | rows["cut"])]
    assert np.allclose(whole["area"], np.pi / 4 * whole["diameter"] ** 2, rtol=0.02)
    deep = whole["cleft"] > 0.12
    assert (
        whole.loc[deep, "solidity"].median() < whole.loc[whole["cleft"] == 0, "solidity"].median()
    )


@pytest.mark.slow
def test_nucleoli_are_lighter_than_the_chromatin_around_them(drawn: list) -> None:
    lighter = [
        pixels[masks["nucleoli"]].mean() - pixels[masks["chromatin"] & ~masks["outline"]].mean()
        for row, pixels, masks in drawn
        if row["nucleoli"]
    ]
    assert np.mean(np.array(lighter) > 0) > 0.9


@pytest.mark.slow
def test_clumped_chromatin_has_the_coarser_texture() -> None:
    row = twin.plan_twin(100, 8).query("not neighbor and not cut and not torn").iloc[0].to_dict()
    row |= {"focus": 0.2, "nucleoli": 0, "shading": 2.0, "grain": 0.3}
    fineness = {}
    for clumping in (0.05, 0.95):
        pixels, masks = twin.draw_cell(row | {"clumping": clumping}, 0)
        gray = pixels.mean(axis=2)
        middle = ndimage.binary_erosion(masks["nucleus"], iterations=12)
        fine, coarse = (
            (ndimage.gaussian_filter(gray, low) - ndimage.gaussian_filter(gray, high))[middle].std()
            for low, high in ((1, 3), (6, 12))
        )
        fineness[clumping] = fine / coarse
    assert fineness[0.05] > 1.5 * fineness[0.95]


def test_cause_masks_are_those_of_the_drawn_cells(small: Path) -> None:
    causes = twin.read_causes(small.parent)
    wanted = list(causes["cell_id"][[5, 0]])
    masks = twin.cause_masks(small, wanted)
    for place, row in enumerate((5, 0)):
        with Image.open(small.parent / causes["path"][row]) as image:
            seen = np.asarray(image).any(axis=2)
        assert (masks["cell"][place] == seen).all()
    assert twin.cause_masks(small, [])["cell"].shape == (0, 450, 450)
    with pytest.raises(InputError, match="no cell"):
        twin.cause_masks(small, ["UID_1_1_1_all"])


def test_a_place_without_a_twin_has_no_causes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no twin"):
        twin.read_causes(tmp_path)


def test_a_finished_twin_is_reused(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin, "_write", None)  # calling it would fail
    assert twin.write_twin(small.parent, **SMALL) == small


@pytest.mark.slow
def test_other_contents_are_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="other numbers"):
        twin.write_twin(small.parent, **SMALL, seed=1)
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        twin.write_twin(tmp_path, **SMALL)
    with pytest.raises(InputError, match="not empty"):
        twin.write_twin(tmp_path / "mine.txt", **SMALL)
    assert (tmp_path / "mine.txt").read_text() == "keep"


@pytest.mark.slow
def test_a_twin_with_missing_files_is_not_taken_for_whole(tmp_path: Path) -> None:
    root = twin.write_twin(tmp_path / "twin", n_images=8, n_subjects=8)
    next(root.rglob("*.bmp")).unlink()
    with pytest.raises(InputError, match="missing"):
        twin.write_twin(tmp_path / "twin", n_images=8, n_subjects=8)


def test_an_error_on_the_way_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, calls = drawing.draw, []

    def fail(row: dict, seed: int) -> tuple:
        calls.append(row)
        if len(calls) == 5:
            raise OSError("no space left on device")
        return draw(row, seed)

    monkeypatch.setattr(drawing, "draw", fail)
    # A process of its own would draw with a function that is not replaced.
    with joblib.parallel_config("threading"), pytest.raises(OSError, match="no space"):
        twin.write_twin(tmp_path / "twin", n_images=8, n_subjects=8)
    assert 5 <= len(calls) <= 6  # the second thread may have begun one more
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.slow
def test_what_a_killed_run_left_is_drawn_anew(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"n_images": 8, "n_subjects": 8}
    left = tmp_path / ".part-twin" / "C-NMC_Leukemia"
    left.mkdir(parents=True)
    (left / "UID_11_10_1_all.bmp").write_bytes(b"half")
    root = twin.write_twin(tmp_path / "twin", **arguments)
    assert len(digests(root)) == 8
    assert not left.exists()
    # An empty folder is as good as none.
    (tmp_path / "empty").mkdir()
    assert len(digests(twin.write_twin(tmp_path / "empty", **arguments))) == 8


@pytest.mark.parametrize("name", ["generator", "n_images", "n_subjects", "seed"])
def test_a_note_that_says_another_number_or_none_is_of_another_twin(
    small: Path, tmp_path: Path, name: str
) -> None:
    note = json.loads((small.parent / "twin.json").read_text("utf-8"))
    asked = {key: note[key] for key in ("generator", "n_images", "n_subjects", "seed")}
    shutil.copytree(small.parent, tmp_path / "twin", copy_function=os.link)
    assert twin._is_there(tmp_path / "twin", asked)
    (tmp_path / "twin" / "twin.json").unlink()
    for other in ({**note, name: note[name] + 1}, {k: v for k, v in note.items() if k != name}):
        (tmp_path / "twin" / "twin.json").write_text(json.dumps(other), "utf-8")
        with pytest.raises(InputError, match="other numbers"):
            twin._is_there(tmp_path / "twin", asked)
