"""The model card with its figures, as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup
from matplotlib.figure import Figure

from leukhelpers import files
from leukhelpers.data.base import stand_ins
from leukhelpers.evaluation import metrics
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments import model_card, report, storage
from leukhelpers.plots import charts, saving

NAME = "card.html"


def write_page(folder: Path | str) -> Path:
    """Write ``card.html``: what ``card.md`` says, and what the run's files show.

    Parameters
    ----------
    folder : path
        The run's folder.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    InputError
        If the folder is no finished run.
    """
    run = storage.read_run(folder)
    # What a name or a caution holds is text: HTML in it stays text.
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    body = reader.render(model_card.render(run)).replace("<table>", '<div class="scroll"><table>')
    page = report.filled(
        "card.html",
        title=f"{run.folder.name} · model card",
        synthetic=False,  # the card says it, and the cautions, itself
        cautions=[],
        text=Markup(body.replace("</table>", "</table></div>")),
        figures=[
            {"alt": alt, "source": report.embedded(saving.png(figure))}
            for alt, figure in figures(run)
        ],
    )
    files.write_text(run.folder / NAME, page)
    return run.folder / NAME


def figures(run: storage.Run) -> Iterator[tuple[str, Figure]]:
    """Draw what can be seen of a run: its training, its answers, its probabilities.

    Parameters
    ----------
    run : leukhelpers.experiments.storage.Run
        A finished run. Of more than two classes only the training is drawn.

    Yields
    ------
    str
        What the figure shows, for those who do not see it.
    matplotlib.figure.Figure
    """
    drawn = ["synthetic cells, drawn by code"] if run.about["synthetic"] else []
    note = "; ".join([*drawn, *stand_ins(storage.classes_of(run.about))])
    name = storage.model_of(run.about)
    watched = run.history.dropna() if "val_loss" in run.history else run.history[:0]
    if len(watched):
        first, last = watched["val_loss"].iloc[[0, -1]]
        title = f"The validation loss goes from {first:.2f} to {last:.2f} in {len(watched)} epochs"
        yield (
            "Loss and accuracy of training and validation over the epochs.",
            charts.learning_curves(watched, title, note),
        )
    # Curves need both classes; of three classes the card has the tables.
    if "decisions" not in run.metrics or run.predictions["label"].nunique() < 2:
        return
    yield from _of_answers(run, name, note)
    if run.metrics["decisions"]["chosen_on"] is not None:
        yield from _of_probabilities(run.metrics["decisions"], name, note)


def _of_answers(run: storage.Run, name: str, note: str) -> Iterator[tuple[str, Figure]]:
    labels, probability = run.predictions["label"], run.predictions["probability"]
    found, called = run.metrics["models"][name], MODEL_NAMES[name]
    classes = storage.classes_of(run.about)
    share = {key: found[key]["value"] for key in ("sensitivity", "specificity", "auroc")}
    figure = charts.confusion_matrix(
        metrics.confusion(labels, probability),
        title=f"Of the {classes[1]} cells {share['sensitivity']:.0%} are found, "
        f"of the {classes[0]} cells {share['specificity']:.0%}",
        note=note,
    )
    yield f"Confusion matrix of the {called} on the held-out cells.", figure
    beside = {name: probability, "area": run.predictions["area_probability"]}
    title = f"AUROC of the {called}: {share['auroc']:.2f}; chance is 0.50"
    figure = charts.roc_curves(labels, beside, title=title, note=note)
    yield f"ROC curves of {called} and area model, with the diagonal of chance.", figure
    if not run.metrics["of_subjects"]:
        return
    people = metrics.by_subject(run.predictions)
    worst = people.iloc[0]
    title = (
        f"Subject {worst['subject']} ({classes[worst['label']]}): "
        f"{worst['correct']:.0%} of the cells right; the best: {people['correct'].max():.0%}"
    )
    figure = charts.by_subject_bars(people, title=title, note=note)
    yield "Share of rightly answered cells for each held-out subject, the worst first.", figure


def _of_probabilities(
    decided: dict[str, Any], name: str, note: str
) -> Iterator[tuple[str, Figure]]:
    title = "How often a cell is ALL of which the model says so, before and after scaling"
    figure = charts.reliability_diagram(decided, title=title, note=note, model=name)
    yield "Share of ALL cells over the predicted probability, with the diagonal.", figure
    title = "Where a model's curve is the highest, it is worth asking"
    figure = charts.net_benefit_curves(decided, title=title, note=note)
    yield "Net benefit over the threshold, beside calling all cells, or none, ALL.", figure
    title = "Share of wrong answers, the surest cells first"
    figure = charts.risk_curves(decided, title=title, note=note)
    yield "Share of wrong answers over the share of cells that are answered.", figure
