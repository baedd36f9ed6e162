"""A model card for each run: what it is for, what it was made of, what it is worth.

Every number is read from the run's files. The words and tables are in ``templates/card.md`` and
``templates/details.md``. The form follows Mitchell et al., "Model cards for model reporting",
FAT* 2019.
"""

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
from leukhelpers.experiments import report, storage
from leukhelpers.plots import charts, saving

SHOWN = (*report.HEADLINE, "sensitivity_at_95_specificity", "brier", "ece")


def write_card(folder: Path) -> None:
    """Write the card of a run: ``card.md``, and with figures ``card.html``, one file.

    Parameters
    ----------
    folder : path
        The run's folder.

    Raises
    ------
    InputError
        If the folder is no finished run.
    """
    run = storage.read_run(folder)
    text = render(run)
    files.write_text(run.folder / "card.md", text)
    # What a name or a caution holds is text: HTML in it stays text.
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = body.replace("<table>", '<div class="scroll"><table>')
    page = report.filled(
        "card.html",
        title=f"{run.folder.name} · model card",
        synthetic=False,  # the card says it, and the cautions, itself
        cautions=[],
        text=Markup(body.replace("</table>", "</table></div>")),
        figures={alt: report.embedded(saving.png(figure)) for alt, figure in figures(run)},
    )
    files.write_text(run.folder / "card.html", page)


def render(run: storage.Run) -> str:
    """Write a run's card as Markdown."""
    name = storage.model_of(run.about)
    measured = run.metrics["models"][name] if run.metrics["cells"] else {}
    kept = [path for path in run.folder.glob("model.*") if path.is_file()]
    text = report.filled(
        "card.md",
        run=run,
        about=run.about,
        metrics=run.metrics,
        name=name,
        parts=storage.read_parts(run.folder),
        shown=[key for key in SHOWN if key in measured],
        details=details(run.metrics, name),
        megabytes=sum(path.stat().st_size for path in kept) / 1e6,
    )
    return text.rstrip() + "\n"


def details(metrics: dict[str, Any], name: str) -> str:
    """Tell what stands behind the scores of a model and of those beside it, as Markdown.

    Parameters
    ----------
    metrics : dict
        From :func:`leukhelpers.evaluation.summary.summary`, with ``decisions`` or without.
    name : str
        The model whose scores these are, the first of the metrics' models.

    Returns
    -------
    str
        Tables by class and by subject, and what was chosen on validation cells; of each
        as far as it was measured.
    """
    return report.filled("details.md", metrics=metrics, name=name).strip()


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
    classes, name = storage.classes_of(run.about), storage.model_of(run.about)
    note = "; ".join([*drawn, *stand_ins(classes)])
    watched = run.history.dropna() if "val_loss" in run.history else run.history[:0]
    if len(watched):
        first, last = watched["val_loss"].iloc[[0, -1]]
        title = f"The validation loss goes from {first:.2f} to {last:.2f} in {len(watched)} epochs"
        alt = "Loss and accuracy of training and validation over the epochs."
        yield alt, charts.learning_curves(watched, title, note)
    # Curves need both classes; of three classes the card has the tables.
    if "decisions" not in run.metrics or run.predictions["label"].nunique() < 2:
        return
    labels, probability = run.predictions["label"], run.predictions["probability"]
    called, found = MODEL_NAMES[name], run.metrics["models"][name]
    share = {key: found[key]["value"] for key in ("sensitivity", "specificity", "auroc")}
    title = (
        f"Correct: {share['sensitivity']:.0%} of the {classes[1]} cells, "
        f"{share['specificity']:.0%} of the {classes[0]} cells"
    )
    counts = metrics.confusion(labels, probability, classes=classes)
    alt = f"Confusion matrix of the {called} on the held-out cells."
    yield alt, charts.confusion_matrix(counts, title, note)
    scores = {name: probability, "area": run.predictions["area_probability"]}
    title = f"AUROC of the {called}: {share['auroc']:.2f}; chance is 0.50"
    alt = f"ROC curves of {called} and area baseline, with the diagonal of chance."
    yield alt, charts.roc_curves(labels, scores, title, note)
    if run.metrics["of_subjects"]:
        people = metrics.by_subject(run.predictions)
        worst = people.iloc[0]
        title = (
            f"Subject {worst['subject']} ({classes[worst['label']]}): "
            f"{worst['correct']:.0%} of the cells correct; best: {people['correct'].max():.0%}"
        )
        alt = "Share of correct predictions for each held-out subject, worst first."
        yield alt, charts.by_subject_bars(people, title, note)
    decided = run.metrics["decisions"]
    if decided["chosen_on"] is None:
        return
    title = "Share of ALL cells at each predicted probability, before and after scaling"
    alt = "Share of ALL cells over the predicted probability, with the diagonal."
    yield alt, charts.reliability_diagram(decided, title, note, name)
    title = "A model is useful at the thresholds where its curve is the highest"
    alt = "Net benefit over the threshold, compared with predicting ALL for all cells or for none."
    yield alt, charts.net_benefit_curves(decided, title, note)
    title = "Share of wrong predictions, most confident cells first"
    alt = "Share of wrong predictions over the share of cells with a prediction."
    yield alt, charts.risk_curves(decided, title, note)
