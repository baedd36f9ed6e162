from collections import Counter
from pathlib import Path

import pytest

from leukhelpers import files
from leukhelpers.data import cards
from leukhelpers.data.base import Dataset, set_aside_frame
from leukhelpers.data.published import read_published
from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError
from leukhelpers.splits import dataset_info
from leukhelpers.synthetic import plan as twin_plan
from leukhelpers.synthetic.twin import plan_twin

WHOLE = """
title = "Ours"
what = "Cells."
source = "Our laboratory"
license = "CC0"
citation = "none"
known_faults = []
not_for = ["diagnosis"]
"""


def card_file(folder: Path, text: str) -> Path:
    file = folder / "card.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["cnmc", "twin"])
def test_the_cards_of_the_course_are_whole_and_forbid_clinical_use(name, tmp_path):
    card = cards.read_card(cards.cards_folder() / f"{name}.toml")
    assert any("clinical" in entry for entry in card["not_for"])
    assert card["known_faults"]
    (tmp_path / "training_data").mkdir()
    shown = cards.data_card(dataset_in(tmp_path, synthetic=name == "twin"))
    for text in (card["title"], card["license"], *card["known_faults"], *card["not_for"]):
        assert text in shown


def as_counted(table, subject="subject"):
    """Count a plan of files as ``dataset_info.count`` counts a cell table."""
    named = table.assign(sha256=table["drawn_as"].astype(str))
    found = dataset_info.count(named)
    return {
        **{key: found[key] for key in ("images", "subjects", "groups", "duplicate_pairs")},
        **found["classes"],
    }


@pytest.mark.parametrize(("profile", "size"), [("fast", (800, 28)), ("full", (10661, 73))])
def test_the_twins_card_counts_what_is_drawn(profile, size):
    assert cards.read_card(cards.cards_folder() / "twin.toml")["counts"][profile] == as_counted(
        plan_twin(*size, seed=3)
    )


def test_the_card_of_cnmc_counts_what_its_published_names_say():
    names = twin_plan.read_names()
    assert cards.read_card(cards.cards_folder() / "cnmc.toml")["counts"]["training"] == {
        **cards.read_card(cards.cards_folder() / "twin.toml")["counts"]["full"],
        "images": len(names),
    }
    small = sum(cell_id.startswith("UID_h") for cell_id in names["cell_id"])
    assert f"written h3 in {small} file names" in " ".join(
        cards.read_card(cards.cards_folder() / "cnmc.toml")["known_faults"]
    )


def test_the_card_of_cnmc_counts_its_test_sets_as_published():
    counts = cards.read_card(cards.cards_folder() / "cnmc.toml")["counts"]
    files = read_published()
    for part in ("preliminary", "final"):
        own = files[files["fold"] == part]
        assert counts[part]["images"] == len(own)
        assert counts[part]["duplicate_pairs"] == int(own["checksum"].duplicated().sum())
    own = files[files["fold"] == "preliminary"]
    assert counts["preliminary"]["subjects"] == own["subject"].nunique()
    assert counts["preliminary"]["ALL"] == (own["label"] == ALL).sum()
    assert counts["preliminary"]["HEM"] == (own["label"] == HEM).sum()


def test_the_pairs_in_the_card_of_cnmc_are_those_of_the_plan():
    plan = plan_twin(10661, 73)
    twins = plan[plan["drawn_as"] != plan.index]
    first = plan.loc[twins["drawn_as"]]
    others = Counter(
        subjects=int((twins["subject"].to_numpy() != first["subject"].to_numpy()).sum()),
        folds=int((twins["fold"].to_numpy() != first["fold"].to_numpy()).sum()),
    )
    fault = cards.read_card(cards.cards_folder() / "cnmc.toml")["known_faults"][0]
    assert f"{len(twins)} pairs" in fault
    assert f"{others['subjects']} of them under two subject ids" in fault
    assert f"{others['folds']} of them in two folds" in fault


def dataset_in(folder: Path, synthetic: bool = False) -> Dataset:
    return Dataset("some", folder, plan_twin(60, 8), set_aside_frame([]), synthetic=synthetic)


def test_a_data_set_finds_its_card(tmp_path):
    assert cards.card_of(dataset_in(tmp_path)) is None
    assert cards.card_of(dataset_in(tmp_path, synthetic=True))["title"].startswith("The synthetic")
    card_file(tmp_path, WHOLE)
    assert cards.card_of(dataset_in(tmp_path))["title"] == "Ours"
    (tmp_path / "training_data").mkdir()
    assert cards.card_of(dataset_in(tmp_path))["title"].startswith("C-NMC")


def test_counts_with_gaps_are_shown_with_a_dash(tmp_path):
    text = WHOLE + "[counts.a]\nimages = 1200\n[counts.b]\nsubjects = 3\n"
    card_file(tmp_path, text)
    shown = cards.data_card(dataset_in(tmp_path))
    assert "| a | 1,200 | – |" in shown
    assert "| b | – | 3 |" in shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title = ", "cannot be read"),
        (WHOLE.replace('license = "CC0"', ""), "'license'"),
        (WHOLE.replace('license = "CC0"', "license = 3"), "'license'"),
        (WHOLE.replace("known_faults = []", 'known_faults = "none"'), "'known_faults'"),
        (WHOLE.replace("known_faults = []", "known_faults = [1]"), "'known_faults'"),
        (WHOLE + "counts = 3\n", "counts"),
        (WHOLE + "[counts]\na = 3\n", "counts"),
        (WHOLE + '[counts.a]\nimages = "3"\n', "counts"),
    ],
)
def test_a_card_with_something_missing_says_what(tmp_path, text, told):
    with pytest.raises(InputError, match=told):
        cards.read_card(card_file(tmp_path, text))


def test_a_missing_card_and_a_missing_folder_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"none\.toml"):
        cards.read_card(tmp_path / "none.toml")
    monkeypatch.setattr(files, "__file__", str(tmp_path / "a" / "files.py"))
    with pytest.raises(InputError, match="No cards are installed"):
        cards.cards_folder()
