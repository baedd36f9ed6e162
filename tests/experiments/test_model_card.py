"""A run's card says what its files say, and what it is not for."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from leukhelpers import files
from leukhelpers.errors import InputError
from leukhelpers.experiments import model_card, report, storage


@pytest.fixture(scope="module")
def prepared(tiny_prepared):
    return tiny_prepared


@pytest.fixture(scope="module")
def run(tiny_svm_run):
    return tiny_svm_run


def rows_of(text, first):
    """Read the table whose head begins with some words."""
    lines = text.split(f"| {first}", 1)[1].splitlines()[2:]
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_a_trained_run_has_a_card_that_begins_with_what_it_is_not_for(run):
    text = (run.folder / "card.md").read_text("utf-8")
    first, second = [line for line in text.splitlines() if line][:2]
    assert first == "# Model card: SVM, run “svm”"
    assert second.startswith("**Not for clinical use.**")
    for title in ("Intended use", "Out-of-scope use", "Data", "Results", "Cost"):
        assert f"\n## {title}\n" in text
    assert "\n### By subject\n" in text
    assert "nan" not in text
    assert "None" not in text


def test_every_number_is_that_of_the_runs_files(run):
    text = (run.folder / "card.md").read_text("utf-8")
    models = rows_of(text, "model | AUROC | weighted F1")
    assert [row[0] for row in models] == ["SVM", "area baseline", "majority-class baseline"]
    assert models[0][1] == report.format_ci(run.metrics["models"]["svm"]["auroc"])
    people = rows_of(text, "subject | class")
    assert [row[0] for row in people] == [p["subject"] for p in run.metrics["worst_first"]]
    threshold = run.metrics["decisions"]["models"]["svm"]["threshold"]
    assert rows_of(text, "model | threshold")[0][1] == f"{threshold:.2f}"
    parts = {row[0]: [int(number) for number in row[1:]] for row in rows_of(text, "part")}
    kept = storage.read_parts(run.folder)
    for part, cells in kept.groupby("part"):
        assert parts[part] == [len(cells), cells["subject"].nunique(), cells["group"].nunique()]


def test_classes_and_differences_are_those_of_the_metrics(run):
    text = (run.folder / "card.md").read_text("utf-8")
    table = rows_of(text, "model | class")
    assert len(table) == 6
    own = run.metrics["report"]["svm"]["ALL"]
    (row,) = [row for row in table if row[:2] == ["SVM", "ALL"]]
    assert row[2:4] == [str(n) for n in own["called"].values()]
    assert row[4:] == [f"{own[key]:.3f}" for key in ("precision", "recall", "f1")]
    (area, _) = rows_of(text, "SVM minus")
    difference = run.metrics["compared"]["area"]
    assert area[1] == report.format_ci({**difference, "value": difference["difference"]})


def test_a_card_is_written_again_from_the_files_alone(run, tmp_path):
    before = (run.folder / "card.md").read_text("utf-8")
    model_card.write_card(run.folder)
    assert (run.folder / "card.md").read_text("utf-8") == before
    with pytest.raises(InputError, match="no finished run"):
        model_card.write_card(tmp_path)


def test_where_nothing_was_held_out_or_chosen_the_card_says_so(run):
    nothing = run._replace(metrics={**run.metrics, "cells": 0})
    assert "there are no scores" in model_card.render(nothing)
    decided = {
        **run.metrics["decisions"],
        "chosen_on": None,
        "notes": ["No predictions were kept."],
    }
    unchosen = run._replace(metrics={**run.metrics, "decisions": decided})
    assert "No predictions were kept." in model_card.render(unchosen)


def test_synthetic_cells_and_cautions_are_told(run):
    about = {**run.about, "synthetic": True, "cautions": ["Two labs."]}
    text = model_card.render(run._replace(about=about))
    assert "**synthetic**" in text
    assert "**Caution.** Two labs." in text


def test_metrics_without_subjects_or_with_undefined_values_have_no_nan(run):
    metrics = json.loads(json.dumps(run.metrics))
    metrics["of_subjects"] = None
    metrics["models"]["svm"]["auroc"] = {"value": None, "low": None, "high": None}
    text = model_card.render(run._replace(metrics=metrics))
    assert "### By subject" not in text
    assert "### Threshold, calibration, abstention" in text
    assert rows_of(text, "model | AUROC | weighted F1")[0][1] == "–"


def test_what_was_chosen_stands_under_the_head_that_names_it(run):
    metrics = json.loads(json.dumps(run.metrics))
    found = metrics["decisions"]["models"]["svm"]
    for name, value in (("sensitivity", 0.25), ("specificity", 0.75)):
        found["at_threshold"][name] = {"value": value, "low": None, "high": None}
    found["coverage"] = {"HEM": 0.9, "ALL": 0.6, "answered": 0.8, "right": None}
    text = model_card.render(run._replace(metrics=metrics))
    head = "model | threshold | sensitivity | specificity"
    assert rows_of(text, head)[0][2:] == ["0.250", "0.750"]
    assert "(HEM / ALL) | one class in the set | of these correct |" in text
    assert rows_of(text, "model | temperature")[0][3:] == ["90% / 60%", "80%", "–"]


# ------------------------------------------------------------------ the page


def test_the_page_says_what_the_card_says_and_needs_no_other_file(run):
    text = (run.folder / "card.html").read_text("utf-8")
    assert "Not for clinical use" in text.split("<body>")[1].split("</p>")[0]
    assert f"<td>{report.format_ci(run.metrics['models']['svm']['auroc'])}</td>" in text
    assert text.count('<img src="data:image/png;base64,') == text.count("<img") == 6
    assert "http://" not in text
    assert "https://" not in text
    model_card.write_card(run.folder)
    assert (run.folder / "card.html").read_text("utf-8") == text


@pytest.mark.slow
def test_every_figure_of_the_page_says_what_it_shows(run):
    drawn = dict(model_card.figures(run))
    assert all(len(alt) > 30 for alt in drawn)
    found = run.metrics["models"]["svm"]["auroc"]["value"]
    titles = [figure.get_suptitle() for figure in drawn.values()]
    assert any(f"{found:.2f}" in title for title in titles)


@pytest.mark.slow
def test_a_network_has_its_curves_and_what_was_not_measured_has_no_figure(run):
    history = pd.DataFrame(
        {
            "epoch": [1, 2],
            **{name: [0.7, 0.6] for name in ("loss", "val_loss", "accuracy", "val_accuracy")},
        }
    )
    assert len(dict(model_card.figures(run._replace(history=history)))) == 7
    unchosen = {**run.metrics, "decisions": {**run.metrics["decisions"], "chosen_on": None}}
    assert len(dict(model_card.figures(run._replace(metrics=unchosen)))) == 3
    of_cells = {**run.metrics, "of_subjects": None}
    assert len(dict(model_card.figures(run._replace(metrics=of_cells)))) == 5
    nothing = {name: value for name, value in of_cells.items() if name != "decisions"}
    assert not dict(model_card.figures(run._replace(metrics=nothing)))


def test_a_fine_tuned_network_has_fewer_epochs_than_the_profile_and_still_a_page(run):
    about = {**run.about, "model": "efficientnet-lite0-tuned"}
    about["profile"] = {**about["profile"], "epochs": 10}
    losses = {name: [0.7, 0.6, 0.5] for name in ("loss", "val_loss", "accuracy", "val_accuracy")}
    history = pd.DataFrame({"epoch": [1, 2, 3], **losses})
    metrics = {name: value for name, value in run.metrics.items() if name != "decisions"}
    (figure,) = dict(
        model_card.figures(run._replace(about=about, history=history, metrics=metrics))
    ).values()
    assert "from 0.70 to 0.50 in 3 epochs" in figure.get_suptitle()


@pytest.mark.slow
def test_classes_of_other_cells_bear_their_own_names(run):
    about = {**run.about, "classes": ["benign", "malignant"]}
    titles = [figure.get_suptitle() for _, figure in model_card.figures(run._replace(about=about))]
    assert any("of the malignant cells" in title for title in titles)
    assert not any("leukemic" in title for title in titles)


@pytest.mark.slow
def test_text_from_outside_cannot_become_markup(run):
    about = {**run.about, "cautions": ["<script>alert(1)</script>"]}
    files.write_json(run.folder / "run.json", about)
    try:
        model_card.write_card(run.folder)
        assert "<script>" not in (run.folder / "card.html").read_text("utf-8")
    finally:
        files.write_json(run.folder / "run.json", run.about)
