from __future__ import annotations

import re

import pandas as pd
import pytest

from benchmarks import (
    experiments_page,
    findings,
    reference,
    results_page,
    scale,
    serving,
)
from leukhelpers import files
from leukhelpers.data import cards


def kept_results() -> list[dict]:
    return [files.read_json(path) for path in (results_page.RESULT, results_page.UNSEEN_RESULT)]


def test_readme_states_exactly_what_the_kept_results_say():
    readme = (reference.ROOT / "README.md").read_text("utf-8")
    shown = readme.split(results_page.BEGIN)[1].split(results_page.END)[0]
    assert shown == results_page.headline(*kept_results())
    for name in ("majority", "area", "SVM", "CNN", "95% intervals"):
        assert name in shown


def test_the_cost_of_the_course_is_that_of_all_its_lessons():
    cost = files.read_json(reference.RESULTS / "course_cost.json")
    lessons = {path.stem for path in (reference.ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert set(cost["lesson_seconds"]) == lessons


def test_page_of_results_states_exactly_what_was_kept_and_shows_only_curves():
    page = results_page.PAGE.read_text("utf-8")
    assert page == results_page.render(*kept_results())
    assert "Not for clinical use" in page.splitlines()[2]
    assert "synthetic" in page
    shown = {path.stem for path in results_page.FIGURES.glob("*.png")}
    assert shown == {"roc", "reliability"}
    assert all(f"results/{name}.png" in page for name in shown)


def test_page_of_experiments_states_exactly_what_was_kept():
    kept = files.read_json(experiments_page.RESULT)
    page = experiments_page.PAGE.read_text("utf-8")
    assert page == experiments_page.render(kept)
    assert "Not for clinical use" in page.splitlines()[2]
    for row in kept["candidates"]:
        assert f"| {row['candidate']} |" in page


def test_page_of_findings_states_what_was_kept_and_the_numbers_still_bear_the_sentences():
    kept = files.read_json(findings.RESULT)
    assert findings.PAGE.read_text("utf-8") == findings.render(kept)
    assert set(kept["findings"]) == set(findings.FINDINGS)
    for sentence, one in kept["findings"].items():
        holds = findings.FINDINGS[sentence][1]
        assert one["holds"] == {seed: holds(*found) for seed, found in one["values"].items()}
        assert all(one["holds"].values()) or "usually" in sentence, sentence


def test_page_of_the_served_run_states_exactly_what_was_kept():
    page = serving.PAGE.read_text("utf-8")
    kept = [files.read_json(path) for path in (serving.RESULTS, serving.WEB_RESULTS)]
    assert page == serving.text(*kept)
    for beside in ("not for clinical use", "area baseline", "majority-class baseline"):
        assert beside in page


def test_page_of_many_cells_states_exactly_what_was_kept():
    page = scale.PAGE.read_text("utf-8")
    workers = files.read_json(scale.WORKERS) if scale.WORKERS.is_file() else None
    shown = page.split(scale.BEGIN)[1].split(scale.END)[0]
    assert shown == scale.render(files.read_json(scale.CELLS), workers)
    for kind in ("By hand", "SLURM", "Kubernetes", "Cloud"):
        (said,) = (line for line in page.splitlines() if line.startswith(f"**{kind}**"))
        assert "tested" in said


def test_predictions_of_all_folds_are_put_side_by_side(tmp_path):
    for fold in range(2):
        for name in ("cnn", "rf"):
            table = pd.DataFrame(
                {
                    "cell_id": [f"{fold}-{cell}" for cell in range(4)],
                    "subject": ["1", "1", "H2", "H2"],
                    "group": ["1", "1", "H2", "H2"],
                    "fold": "0",
                    "label": [1, 1, 0, 0],
                    "probability": 0.1 * fold + 0.01 * len(name),
                    "area_probability": 0.5,
                    "majority_probability": 0.6,
                }
            )
            table.to_csv(tmp_path / f"fold{fold}-{name}.csv", index=False)
    answers = results_page.predictions(tmp_path, ["rf", "cnn"])
    assert len(answers) == 8
    assert answers["rf"].tolist() == pytest.approx([0.02] * 4 + [0.12] * 4)
    assert answers["cnn"].tolist() == pytest.approx([0.03] * 4 + [0.13] * 4)
    assert set(answers["area"]) == {0.5}


def test_cross_validation_of_the_twin_is_not_kept_as_one_of_real_cells(tmp_path):
    files.write_json(tmp_path / "found.json", {"synthetic": True, "images": 3527})
    with pytest.raises(SystemExit, match="no cross-validation of fold 0"):
        results_page.keep(tmp_path / "found.json", tmp_path)


def test_figures_folder_holds_what_the_reference_run_recorded():
    told = files.read_json(reference.ROOT / "figures" / "figures.json")
    assert {f"{name}.png" for name in told} == {
        path.name for path in (reference.ROOT / "figures").glob("*.png")
    }


def test_run_on_real_cells_cannot_be_kept_as_synthetic(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "RESULTS", tmp_path / "results")
    files.write_json(tmp_path / "metrics.json", {"synthetic": False})
    files.write_json(tmp_path / "run.json", {"images": 3527})
    with pytest.raises(SystemExit, match="synthetic"):
        reference.keep("twin", tmp_path)
    assert not (tmp_path / "results").exists()


def test_no_figure_of_real_cells_is_tracked():
    told = files.read_json(reference.RESULTS / "reference_twin.json")
    assert told["synthetic"] is True
    assert re.match(r"\d{4}-\d\d-\d\d", told["date"])


def test_twin_page_states_what_the_kept_measurements_say(monkeypatch, tmp_path):
    kept = (reference.ROOT / "docs" / "twin.md").read_text("utf-8")
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    reference.write_twin_page()
    assert (tmp_path / "docs" / "twin.md").read_text("utf-8") == kept
    assert "**synthetic**" in kept


def test_every_statistic_of_the_twin_is_within_its_stated_tolerance():
    rows = reference.statistics(files.read_json(reference.RESULTS / "twin_beside_real.json"))
    assert [row.name for row in rows if not row.within] == []
    names = " ".join(row.name for row in rows)
    for kind in ("area of a cell", "red, mean", "standard deviation between", "SVM, random", "CNN"):
        assert kind in names


def test_a_twin_that_drifts_away_would_be_noticed():
    found = files.read_json(reference.RESULTS / "twin_beside_real.json")
    found["twin"]["HEM"]["color"]["g"]["mean"] += 9
    found["twin"]["auroc"]["SVM, subjects apart"]["mean"] -= 0.2
    outside = [row.name for row in reference.statistics(found) if not row.within]
    assert outside == ["HEM, green, mean (0 to 255)", "AUROC, SVM, subjects apart"]


def test_the_card_of_cnmc_states_the_near_duplicates_that_were_measured():
    found = files.read_json(reference.RESULTS / "near_duplicates.json")
    fault = next(
        f
        for f in cards.read_card(cards.cards_folder() / "cnmc.toml")["known_faults"]
        if "look alike" in f
    )
    assert f"{found['pairs']} such pairs" in fault
    assert f"{found['of_two_subjects']} of them under two subject ids" in fault
    assert f"({', '.join(found['subjects'])})" in fault
