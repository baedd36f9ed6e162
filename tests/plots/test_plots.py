"""Properties of the figures, and of saving and showing them."""

from __future__ import annotations

import base64
import functools
import io
import itertools
import json
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib import colors as mcolors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation import decisions, metrics
from leukhelpers.plots import cells as pictures
from leukhelpers.plots import charts, lettering, saving
from leukhelpers.plots.style import CLASS_COLORS, MODEL_COLORS, SPARE_COLORS, WIDTH, model_color

TITLE = "The finding"
LONG = "A long finding that needs more than one line " * 2
NOTE = "synthetic cells"


def toy_cells(n: int, size: int = 24) -> np.ndarray:
    """Draw discs on black."""
    rows, columns = np.mgrid[:size, :size] - size / 2
    disc = rows**2 + columns**2 < (size / 3) ** 2
    return np.repeat((disc[..., None] * [190, 120, 180]).astype(np.uint8)[None], n, axis=0)


def toy_predictions(n_subjects: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(n_subjects), 12)
    label = subject % 2
    names = np.where(label == ALL, "", "H") + subject.astype(str).astype(object)
    return pd.DataFrame(
        {
            "subject": names,
            "group": names,
            "label": label,
            "probability": np.clip(0.3 + 0.4 * label + rng.normal(0, 0.25, len(label)), 0, 1),
            "area_probability": np.clip(0.4 + 0.2 * label + rng.normal(0, 0.25, len(label)), 0, 1),
            "majority_probability": 0.68,
        }
    )


def toy_history(n: int = 6) -> pd.DataFrame:
    falling = np.linspace(0.7, 0.2, n)
    return pd.DataFrame(
        {
            "epoch": np.arange(1, n + 1),
            "loss": falling,
            "val_loss": 0.5 + (np.arange(n) - 2) ** 2 / 50,
            "accuracy": 1 - falling,
            "val_accuracy": 0.7 - (np.arange(n) - 2) ** 2 / 100,
        }
    )


def signed_map() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(24, 24))


def all_figures(n_subjects: int = 6) -> dict[str, Callable[..., Figure]]:
    """Return a call for each function that draws."""
    cell, table = toy_cells(1)[0], toy_predictions(n_subjects)
    labels, scores = table["label"], table["probability"]
    maps = {"Grad-CAM": np.abs(signed_map()), "SHAP (score +0.12)": signed_map()}
    runs = {"svm": [0.7, 0.8, 0.9], "another model": [0.5]}
    decided = decisions.summary(table, table)
    by_model = {"cnn": scores, "area": table["area_probability"], "another model": scores}
    shares = pd.Series(np.linspace(-0.7, 0.7, 15), [f"feature_{index}" for index in range(15)])
    return {
        "feature_bars": lambda **k: charts.feature_bars(shares, shares + 3, 0.2, "logits", **k),
        "learning_curves": lambda **k: charts.learning_curves(toy_history(), **k),
        "confusion_matrix": lambda **k: charts.confusion_matrix(
            metrics.confusion(labels, scores), **k
        ),
        "roc_curves": lambda **k: charts.roc_curves(labels, by_model, **k),
        "by_subject_bars": lambda **k: charts.by_subject_bars(metrics.by_subject(table), **k),
        "repeated_scores": lambda **k: charts.repeated_scores(runs, metric="AUROC", **k),
        "reliability_diagram": lambda **k: charts.reliability_diagram(decided, **k),
        "net_benefit_curves": lambda **k: charts.net_benefit_curves(decided, **k),
        "risk_curves": lambda **k: charts.risk_curves(decided, **k),
        "plot_maps": lambda **k: pictures.plot_maps(cell, maps, **k),
    }


FIGURES = all_figures()


@functools.cache
def drawn(name: str) -> Figure:
    """Draw a figure once for the tests that only look at it."""
    return FIGURES[name](title=LONG, note=NOTE)


PICTURES = {"plot_maps"}


@pytest.fixture
def figure() -> Figure:
    return charts.learning_curves(toy_history(), TITLE)


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def facecolors(axes: Axes) -> set[str]:
    return {mcolors.to_hex(patch.get_facecolor()) for patch in axes.patches}


# ---------------------------------------------------------------- every figure


@pytest.mark.parametrize("name", FIGURES)
def test_figure_has_its_title_on_the_left_and_its_note(name: str) -> None:
    figure = drawn(name)
    assert "".join(figure.get_suptitle().split()) == "".join(LONG.split())
    heading = next(text for text in figure.texts if text.get_text() == figure.get_suptitle())
    assert heading.get_horizontalalignment() == "left"
    assert heading.get_fontweight() == "bold"
    assert NOTE in [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("name", sorted(set(FIGURES) - PICTURES))
def test_every_panel_of_a_chart_names_its_axis(name: str) -> None:
    figure = drawn(name)
    assert all(axes.get_xlabel() for axes in figure.axes)
    if name not in {"feature_bars", "repeated_scores"}:  # named rows
        assert figure.axes[0].get_ylabel() or figure.get_supylabel()


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_neither_tiny_nor_outside_the_saved_picture(name: str) -> None:
    figure = drawn(name)
    written = [t for axes in figure.axes for t in axes.texts if t.get_text()] + figure.texts
    written += [
        t
        for axes in figure.axes
        for t in (*axes.get_xticklabels(), *axes.get_yticklabels())
        if t.get_text()
    ]
    assert min(float(t.get_fontsize()) for t in written) >= 8
    edge = figure.get_tightbbox().padded(0.02)
    for text in figure.texts:
        box = text.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        if text.get_text():
            assert edge.x0 <= box.x0 <= box.x1 <= edge.x1
            assert edge.y0 <= box.y0 <= box.y1 <= edge.y1
            assert box.x1 <= WIDTH


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_drawing_leaves_pyplot_and_the_settings_alone(name: str, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    saving.save(FIGURES[name](title=TITLE), tmp_path, "a", "alt")
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_saved_picture_is_readable_at_700_pixels(name: str, tmp_path: Path) -> None:
    path = saving.save(FIGURES[name](title=TITLE), tmp_path, "a", "alt")
    with Image.open(path) as picture:
        assert 250 < picture.width <= 900


def test_each_subject_bar_has_the_color_and_length_of_its_subject() -> None:
    table = metrics.by_subject(toy_predictions(6))
    axes = charts.by_subject_bars(table, TITLE).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == table["subject"].tolist()
    bars = {round(bar.get_y() + bar.get_height() / 2): bar for bar in axes.patches}
    for row, label, correct in zip(table.index, table["label"], table["correct"], strict=True):
        assert mcolors.to_hex(bars[row].get_facecolor()) == CLASS_COLORS[label]
        assert bars[row].get_width() == pytest.approx(correct)


@pytest.mark.slow
@pytest.mark.parametrize("n_subjects", [1, 28, 73])
@pytest.mark.parametrize("name", ["by_subject_bars"])
def test_every_subject_is_named_once_and_labels_do_not_overlap(name: str, n_subjects: int) -> None:
    figure = all_figures(n_subjects)[name](title=TITLE)
    named = []
    for axes in figure.axes:
        vertical = name == "by_subject_bars"
        labels = axes.get_yticklabels() if vertical else axes.get_xticklabels()
        named += [label.get_text() for label in labels]
        boxes = [label.get_window_extent() for label in labels]
        spans = sorted((b.y0, b.y1) if vertical else (b.x0, b.x1) for b in boxes)
        assert all(a[1] <= b[0] + 0.5 for a, b in itertools.pairwise(spans))
    assert sorted(named) == sorted(toy_predictions(n_subjects)["subject"].unique())


# ---------------------------------------------------------------- single figures


def test_confusion_matrix_writes_every_count_and_row_share() -> None:
    table = metrics.confusion(np.repeat([HEM, ALL], [1455, 678]), np.full(2133, 0.1))
    figure = charts.confusion_matrix(table, TITLE)
    whole, none = "(100.0%)", "0\n(0.0%)"
    assert texts_of(figure) == [f"1,455\n{whole}", none, f"678\n{whole}", none]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["HEM", "ALL"]


def test_confusion_matrix_without_cells_of_a_class_is_drawn() -> None:
    figure = charts.confusion_matrix(pd.DataFrame([[0, 0], [2, 3]]), TITLE)
    assert texts_of(figure)[0] == "0\n(0.0%)"


def test_repeated_scores_mark_each_run_and_the_mean_of_each_setting() -> None:
    figure = charts.repeated_scores({"svm": [0.7, 0.8], "other": [0.4]}, TITLE, "AUROC")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["SVM", "other"]
    dots = [dots.get_offsets()[:, 0].tolist() for dots in axes.collections]
    assert dots == [[0.7, 0.8], [0.4]]
    means = np.concatenate([line.get_xdata() for line in axes.lines])
    assert means[np.isfinite(means)] == pytest.approx([0.75, 0.4])


def test_roc_curves_write_the_area_of_each_model() -> None:
    table = toy_predictions(6)
    figure = charts.roc_curves(table["label"], {"cnn": table["probability"]}, TITLE)
    auroc = metrics.metrics(table["label"], table["probability"])["auroc"]
    named = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert named == [f"CNN: AUROC {auroc:.2f}", "chance: AUROC 0.50"]


def test_reliability_is_drawn_once_more_if_it_was_set_right() -> None:
    table = toy_predictions(6)
    alone = charts.reliability_diagram(decisions.summary(table, None), TITLE).axes[0]
    both = charts.reliability_diagram(decisions.summary(table, table), TITLE).axes[0]
    assert (len(alone.collections), len(both.collections)) == (1, 2)


def test_signed_maps_say_their_direction_and_positive_ones_start_at_zero() -> None:
    maps = {"SHAP": signed_map(), "Grad-CAM": np.abs(signed_map())}
    figure = pictures.plot_maps(toy_cells(1)[0], maps, TITLE)
    signed, positive = (
        [label.get_text() for label in axes.child_axes[0].get_xticklabels()]
        for axes in figure.axes[1:]
    )
    assert [text.split("\n")[1] for text in signed] == ["HEM", "logits", "ALL"]
    assert signed[0].startswith("-")
    assert positive[0] == "0"
    assert positive[1].endswith("ALL")


def test_feature_bars_show_the_largest_by_name_and_the_others_together() -> None:
    names = [f"feature_{index}" for index in range(23)]
    shares = pd.Series(np.linspace(-0.7, 0.7, 23), names)
    figure = charts.feature_bars(shares, pd.Series(2.5, names), 0.2, "logits", TITLE)
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "feature 0 = 2.5"
    assert labels[-1] == "11 other features"
    widths = [bar.get_width() for bar in axes.patches]
    assert sum(widths) == pytest.approx(shares.sum())
    assert "logits" in axes.get_xlabel()


def test_overlay_is_blue_towards_hem_vermilion_towards_all_and_clear_at_zero() -> None:
    values = np.zeros((24, 24))
    values[0], values[1] = -9, 9
    figure = pictures.plot_maps(toy_cells(1)[0], {"SHAP": values}, TITLE)
    overlay = figure.axes[1].images[1]
    hem, all_ = overlay.to_rgba(values[:2, 0])
    assert mcolors.to_hex(hem) == CLASS_COLORS[HEM]
    assert mcolors.to_hex(all_) == CLASS_COLORS[ALL]
    alpha = overlay.get_alpha()
    assert alpha[0, 0] == alpha[1, 0] > 0.8
    assert alpha[2, 0] == 0


def test_maps_of_zeros_are_drawn() -> None:
    pictures.plot_maps(toy_cells(1)[0], {"nothing": np.zeros((24, 24))}, TITLE)


# ---------------------------------------------------------------- saving and showing


def test_save_writes_the_picture_and_its_entry(figure: Figure, tmp_path: Path) -> None:
    path = saving.save(figure, tmp_path / "new", "curves", "Loss falls\n and stays low.")
    assert path == tmp_path / "new" / "curves.png"
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.info["Description"] == "Loss falls and stays low."
    entries = json.loads((tmp_path / "new" / "figures.json").read_text("utf-8"))
    assert entries == {"curves": {"title": TITLE, "alt": "Loss falls and stays low."}}


def test_saving_a_name_twice_replaces_it_and_keeps_the_others(
    figure: Figure, tmp_path: Path
) -> None:
    for name, alt in (("b", "first"), ("a", "other"), ("b", "second")):
        saving.save(figure, tmp_path, name, alt)
    entries = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert {name: entry["alt"] for name, entry in entries.items()} == {"a": "other", "b": "second"}
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {"a.png", "b.png", "figures.json"}


@pytest.mark.slow
def test_saving_from_several_threads_loses_no_entry(tmp_path: Path) -> None:
    figures = [charts.learning_curves(toy_history(), TITLE) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: saving.save(figures[i], tmp_path, f"f{i}", "alt"), range(4)))
    assert len(json.loads((tmp_path / "figures.json").read_text("utf-8"))) == 4


def test_the_same_figure_is_saved_as_the_same_bytes(figure: Figure, tmp_path: Path) -> None:
    first = saving.save(figure, tmp_path, "a", "alt").read_bytes()
    again = charts.learning_curves(toy_history(), TITLE)
    assert saving.save(again, tmp_path, "b", "alt").read_bytes() == first


@pytest.mark.parametrize("alt", ["", " \n"])
def test_a_figure_without_alt_text_is_refused(figure: Figure, tmp_path: Path, alt: str) -> None:
    for function in (saving.save, saving.show):
        with pytest.raises(InputError, match="alt text"):
            function(figure, tmp_path, "a", alt)
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", "a.png"])
def test_a_name_that_is_no_plain_file_name_is_refused(
    figure: Figure, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match="cannot name a figure"):
        saving.save(figure, tmp_path, name, "alt")


def test_a_broken_listing_is_named(figure: Figure, tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text("{", "utf-8")
    with pytest.raises(InputError, match=r"figures\.json"):
        saving.save(figure, tmp_path, "a", "alt")


def test_show_sends_picture_and_alt_text(
    figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Any, Any]] = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, raw, metadata: sent.append((data, metadata))
    )
    saving.show(figure, tmp_path, "a", "Loss falls.")
    ((data, metadata),) = sent
    assert base64.b64decode(data["image/png"]) == (tmp_path / "a.png").read_bytes()
    assert data["text/plain"] == "Loss falls."
    assert metadata == {"image/png": {"alt": "Loss falls."}}


def test_a_heavy_picture_is_shown_in_fewer_shades_and_saved_in_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw, metadata: sent.append(data))
    figure = Figure(figsize=(8, 8))
    figure.subplots().imshow(np.random.default_rng(0).random((400, 400, 3)))
    figure.suptitle("noise")
    saving.show(figure, tmp_path, "noise", "Colored noise.")
    saved = (tmp_path / "noise.png").read_bytes()
    shown = base64.b64decode(sent[0]["image/png"])
    assert len(shown) < 0.85 * len(saved)
    whole, fewer = (
        np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int) for png in (saved, shown)
    )
    assert np.abs(whole - fewer).max() <= 2
    assert len(np.unique(fewer)) <= 64 < len(np.unique(whole))
    assert fewer[0, 0].tolist() == whole[0, 0].tolist() == [255, 255, 255]


def test_models_have_colors_that_no_spare_one_repeats_whether_named_or_titled() -> None:
    own = [*MODEL_COLORS.values(), *SPARE_COLORS, *CLASS_COLORS]
    assert len(set(own)) == len(own)
    assert model_color("SVM", 0) == model_color("svm", 5) == MODEL_COLORS["svm"]
    assert model_color("another model", 1) == SPARE_COLORS[1]


# --- letters of other scripts -----------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [("正常", "白血病"), ("स्वस्थ", "रोगी"), ("ปกติ", "มะเร็ง"), ("здоровый", "больной")]
)
def test_words_of_any_script_are_drawn_or_numbered_without_a_warning(
    tmp_path: Path, names: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.barh(list(names), [1, 2])
    axes.set_title(f"More {names[1]} cells", loc="center")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saving.save(figure, tmp_path, "bars", "Two bars.")
    shown = [label.get_text() for label in axes.get_yticklabels()]
    key = capsys.readouterr().err
    for name, label in zip(names, shown, strict=True):
        assert label == name or f"{label} stands for {name}." in key
    assert axes.get_title(loc="center") == f"More {shown[1]} cells"


def test_readable_letters_leave_the_limits_of_the_axes_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0.1, 0.95], [3, 300])
    axes.set(xlim=(0.1, 0.95), yscale="log", ylim=(2.4, 378), title="\U0001f12f")
    lettering.make_readable(figure)
    assert axes.get_xlim() == (0.1, 0.95)
    assert axes.get_ylim() == (2.4, 378)


def test_letters_of_an_installed_font_are_drawn_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "font_with", lambda letter: "STIXGeneral")
    figure = Figure()
    text = figure.text(0.5, 0.5, "正常")
    lettering.make_readable(figure)
    assert text.get_text() == "正常"
    assert text.get_fontfamily() == ["DejaVu Sans", "STIXGeneral"]


@pytest.mark.parametrize("name", ["run$1_$2", "a$b$", "x^2_{", "\\alpha$"])
def test_signs_of_formulas_in_names_are_drawn_as_they_are(tmp_path: Path, name: str) -> None:
    people = pd.DataFrame(
        {"subject": [name, "H1"], "label": [1, 0], "cells": 3, "correct": [0.5, 1.0]}
    )
    figure = charts.by_subject_bars(people, f"Subject {name}", name)
    assert saving.save(figure, tmp_path, "people", name).is_file()
