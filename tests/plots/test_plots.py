"""Properties of the figures, and of saving and showing them."""

from __future__ import annotations

import base64
import functools
import io
import itertools
import json
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
from matplotlib.patches import Rectangle
from PIL import Image

from benchmarks.explainer_scores import CAUSES
from leukhelpers import plots
from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation import decisions, metrics
from leukhelpers.plots.cells import _overlay
from leukhelpers.plots.style import (
    CLASS_COLORS,
    MODEL_COLORS,
    SPARE_COLORS,
    WIDTH,
    model_color,
)

TITLE = "The finding"
LONG = "A long finding that needs more than one line " * 2
NOTE = "synthetic cells"
STUDY = {"as printed": {"accuracy": 0.68, "auroc": 0.5}, "mended": {"accuracy": 0.6, "auroc": 0.7}}
GUESS = {"majority answer": {"accuracy": 0.66, "auroc": 0.5}}


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


def signed_maps(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 24, 24, 3))


def all_figures(n_subjects: int = 6) -> dict[str, Callable[..., Figure]]:
    """Return a call for each function that draws."""
    cells, table = toy_cells(3), toy_predictions(n_subjects)
    labels, scores = table["label"], table["probability"]
    maps = {"Grad-CAM": np.abs(signed_maps(3)[..., 0]), "SHAP": signed_maps(3)}
    decided = decisions.summary(table, table)
    by_model = {"cnn": scores, "area": table["area_probability"], "another model": scores}
    shares = pd.Series(np.linspace(-0.7, 0.7, 15), [f"feature_{index}" for index in range(15)])
    return {
        "feature_bars": lambda **k: plots.feature_bars(shares, shares + 3, 0.2, "logits", **k),
        "plot_cells": lambda **k: plots.plot_cells(cells, ["a", "b", "c"], 2, **k),
        "learning_curves": lambda **k: plots.learning_curves(toy_history(), **k),
        "confusion_matrix": lambda **k: plots.confusion_matrix(
            metrics.confusion(labels, scores), **k
        ),
        "roc_curves": lambda **k: plots.roc_curves(labels, by_model, **k),
        "by_subject_bars": lambda **k: plots.by_subject_bars(
            metrics.by_subject(table), majority=0.5, **k
        ),
        "reliability_diagram": lambda **k: plots.reliability_diagram(decided, **k),
        "net_benefit_curves": lambda **k: plots.net_benefit_curves(decided, **k),
        "risk_curves": lambda **k: plots.risk_curves(decided, **k),
        "plot_maps": lambda **k: plots.plot_maps(cells, maps, ["a", "b", "c"], **k),
    }


FIGURES = all_figures()


@functools.cache
def drawn(name: str) -> Figure:
    """Draw a figure once for the tests that only look at it."""
    return FIGURES[name](title=LONG, note=NOTE)


PICTURES = {"plot_cells", "plot_maps"}


@pytest.fixture
def figure() -> Figure:
    return plots.learning_curves(toy_history(), TITLE)


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
    if name not in {"feature_bars", "metric_bars", "repair_steps", "split_leak"}:  # named rows
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
    plots.save(FIGURES[name](title=TITLE), tmp_path, "a", "alt")
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_saved_picture_is_readable_at_700_pixels(name: str, tmp_path: Path) -> None:
    path = plots.save(FIGURES[name](title=TITLE), tmp_path, "a", "alt")
    with Image.open(path) as picture:
        assert 250 < picture.width <= 900


def test_each_subject_bar_has_the_color_and_length_of_its_subject() -> None:
    table = metrics.by_subject(toy_predictions(6))
    bars = plots.by_subject_bars(table, TITLE).axes[0].patches
    for bar, label, correct in zip(bars, table["label"], table["correct"], strict=True):
        assert mcolors.to_hex(bar.get_facecolor()) == CLASS_COLORS[label]
        assert isinstance(bar, Rectangle)
        assert bar.get_width() == pytest.approx(correct)


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
    written = texts_of(plots.confusion_matrix(table, TITLE))
    assert {"1,455", "678", "100.0% of true HEM", "100.0% of true ALL"} <= set(written)
    assert written.count("0") == 2


def test_confusion_matrix_without_cells_of_a_class_is_drawn() -> None:
    plots.confusion_matrix(pd.DataFrame([[0, 0], [2, 3]]), TITLE)


def test_roc_curves_write_the_area_of_each_model() -> None:
    table = toy_predictions(6)
    figure = plots.roc_curves(table["label"], {"cnn": table["probability"]}, TITLE)
    auroc = metrics.metrics(table["label"], table["probability"])["auroc"]
    assert {"CNN", f"{auroc:.2f}"} <= set(texts_of(figure))


def test_reliability_is_drawn_once_more_if_it_was_set_right() -> None:
    table = toy_predictions(6)
    alone = plots.reliability_diagram(decisions.summary(table, None), TITLE).axes[0]
    both = plots.reliability_diagram(decisions.summary(table, table), TITLE).axes[0]
    assert (len(alone.collections), len(both.collections)) == (1, 2)


def test_signed_maps_say_their_direction_and_positive_ones_start_at_zero() -> None:
    figure = plots.plot_maps(
        toy_cells(1), {"SHAP": signed_maps(1), "Grad-CAM": np.abs(signed_maps(1))}, ["a"], TITLE
    )
    written = " ".join(texts_of(figure)).replace("\n", " ")
    assert "towards HEM" in written
    assert "towards ALL" in written
    assert "logits" in written
    assert "0" in texts_of(figure)


def test_feature_bars_show_the_largest_by_name_and_the_others_together() -> None:
    names = [f"feature_{index}" for index in range(15)]
    shares = pd.Series(np.linspace(-0.7, 0.7, 15), names)
    figure = plots.feature_bars(shares, pd.Series(2.5, names), 0.2, "logits", TITLE, at_most=4)
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "feature 0 = 2.5"
    assert labels[-1] == "11 other features"
    widths = [bar.get_width() for bar in axes.patches]
    assert sum(widths) == pytest.approx(shares.sum())
    assert "logits" in axes.get_xlabel()
    with pytest.raises(InputError, match="share and a measured value"):
        plots.feature_bars(shares, pd.Series(2.5, names[::-1]), 0.2, "logits", TITLE)


def toy_causes() -> dict[str, dict[str, float | None]]:
    told = {"value": -0.2, "low": -0.3, "high": -0.1}
    keys = [f"{test}_{cause}" for cause in CAUSES for test in ("pointing", "overlap")]
    return dict.fromkeys(keys, told) | {keys[0]: dict.fromkeys(told)}


def test_overlay_is_blue_towards_hem_vermilion_towards_all_and_clear_at_zero() -> None:
    towards_hem, nothing, towards_all = _overlay(np.array([-9.0, 0, 9]), 1.0, signed=True)
    assert mcolors.to_hex(towards_hem) == CLASS_COLORS[HEM]
    assert mcolors.to_hex(towards_all) == CLASS_COLORS[ALL]
    assert towards_hem[3] == towards_all[3] > 0.8
    assert nothing[3] == 0


def test_maps_of_zeros_are_drawn() -> None:
    plots.plot_maps(toy_cells(1), {"nothing": np.zeros((1, 24, 24))}, ["a"], TITLE)


# ---------------------------------------------------------------- saving and showing


def test_save_writes_the_picture_and_its_entry(figure: Figure, tmp_path: Path) -> None:
    path = plots.save(figure, tmp_path / "new", "curves", "Loss falls\n and stays low.")
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
        plots.save(figure, tmp_path, name, alt)
    entries = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert {name: entry["alt"] for name, entry in entries.items()} == {"a": "other", "b": "second"}
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {"a.png", "b.png", "figures.json"}


@pytest.mark.slow
def test_saving_from_several_threads_loses_no_entry(tmp_path: Path) -> None:
    figures = [plots.learning_curves(toy_history(), TITLE) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: plots.save(figures[i], tmp_path, f"f{i}", "alt"), range(4)))
    assert len(json.loads((tmp_path / "figures.json").read_text("utf-8"))) == 4


def test_the_same_figure_is_saved_as_the_same_bytes(figure: Figure, tmp_path: Path) -> None:
    first = plots.save(figure, tmp_path, "a", "alt").read_bytes()
    again = plots.learning_curves(toy_history(), TITLE)
    assert plots.save(again, tmp_path, "b", "alt").read_bytes() == first


@pytest.mark.parametrize("alt", ["", " \n"])
def test_a_figure_without_alt_text_is_refused(figure: Figure, tmp_path: Path, alt: str) -> None:
    for function in (plots.save, plots.show):
        with pytest.raises(InputError, match="alt text"):
            function(figure, tmp_path, "a", alt)
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", "a.png"])
def test_a_name_that_is_no_plain_file_name_is_refused(
    figure: Figure, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match="cannot name a figure"):
        plots.save(figure, tmp_path, name, "alt")


def test_a_broken_listing_is_named(figure: Figure, tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text("{", "utf-8")
    with pytest.raises(InputError, match=r"figures\.json"):
        plots.save(figure, tmp_path, "a", "alt")


def test_show_sends_picture_and_alt_text(
    figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Any, Any]] = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, raw, metadata: sent.append((data, metadata))
    )
    plots.show(figure, tmp_path, "a", "Loss falls.")
    ((data, metadata),) = sent
    assert base64.b64decode(data["image/png"]) == (tmp_path / "a.png").read_bytes()
    assert data["text/plain"] == "Loss falls."
    assert metadata == {"image/png": {"alt": "Loss falls."}}


# ---------------------------------------------------------------- errors


def test_bad_input_is_refused_with_a_sentence() -> None:
    cells, table = toy_cells(2), toy_predictions(2)
    bad: list[Callable[[], Figure]] = [
        lambda: plots.plot_cells(cells, ["only one"], 2, TITLE),
        lambda: plots.plot_cells(cells[:0], [], 2, TITLE),
        lambda: plots.plot_maps(cells, {"SHAP": signed_maps(1)}, ["a", "b"], TITLE),
        lambda: plots.plot_maps(cells, {}, ["a", "b"], TITLE),
        lambda: plots.learning_curves(toy_history().drop(columns="val_loss"), TITLE),
        lambda: plots.learning_curves(toy_history().iloc[:0], TITLE),
        lambda: plots.confusion_matrix(pd.DataFrame([[1]]), TITLE),
        lambda: plots.roc_curves([1, 1], {"cnn": [0.1, 0.2]}, TITLE),
        lambda: plots.reliability_diagram(decisions.summary(table, None), TITLE, model="svm"),
        lambda: plots.by_subject_bars(pd.DataFrame({"subject": []}), TITLE),
    ]
    for call in bad:
        with pytest.raises(InputError, match=r"\w+ .*\.$"):
            call()


def test_a_heavy_picture_is_shown_in_fewer_shades_and_saved_in_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw, metadata: sent.append(data))
    figure = Figure(figsize=(8, 8))
    figure.subplots().imshow(np.random.default_rng(0).random((400, 400, 3)))
    figure.suptitle("noise")
    plots.show(figure, tmp_path, "noise", "Colored noise.")
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
