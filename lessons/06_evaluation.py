# %% [markdown]
# # 06 · Evaluation
#
# After this lesson you will be able to report a classifier in a way that is hard to be misled by.
#
# **45 minutes to teach · about a minute to run (two, if the network must be trained first)**

# %% [markdown]
# **Questions**
#
# - What do confusion matrix, report and ROC curve say?
# - How sure may one be of a score?
# - On *which people* does the network fail?
#
# **Objectives** – you will
#
# 1. read a confusion matrix and a classification report in both directions;
# 2. state a score with its interval, beside the area model and the majority answer;
# 3. find the people on whom the average was not earned.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import numpy as np
import pandas as pd

from leukhelpers import evaluation, lesson, plots, report, runs
from leukhelpers.cells import CLASS_NAMES
from leukhelpers.quiz import check

here = lesson.begin("06", dataset, profile, seed, run)
prepared = here.prepare()
note = prepared.dataset.note
trained = runs.ensure_run(here.run, prepared)
predictions = trained.predictions

# %% [markdown]
# The file `predictions.csv` holds one row for each cell of the held-out people, with three answers
# side by side. Everything in this lesson is made from it. The network's answers to these people are
# opened here for the first time, and nothing that follows may send us back to change the network: a
# test set that is used to choose is no test set any more.

# %%
predictions.drop(columns="fold").sample(5, random_state=2).round(3)

# %% tags=["nbval-check-output"]
print("held-out cells ", len(predictions))
print("held-out people", predictions["subject"].nunique())
print("of them healthy", predictions.loc[predictions["label"] == 0, "subject"].nunique())

# %% [markdown]
# ## What everybody shows
#
# First what the paper shows, too: the confusion matrix and the classification report.

# %% tags=["nbval-check-output"]
labels, probability = predictions["label"], predictions["probability"]
scores = evaluation.metrics(labels, probability)
figure = plots.confusion_matrix(
    evaluation.confusion(labels, probability),
    title=f"Of the leukemic cells {scores['sensitivity']:.0%} are found, "
    f"of the healthy ones {scores['specificity']:.0%}",
    note=note,
)
here.show(figure, "confusion", "Confusion matrix of the held-out cells, counts and row shares.")

# %%
evaluation.classification_report(labels, probability).round(2).fillna("")

# %% [markdown]
# Read a row of the matrix: of the truly healthy cells, how many were called what? That is
# **recall** (for ALL also *sensitivity*, for HEM *specificity*). Read a column: of the cells that
# were *called* healthy, how many are? That is **precision**. It depends on how many healthy cells
# there are in the test, so it does not carry over to another clinic.

# %% tags=["nbval-check-output"]
figure = plots.roc_curves(
    labels,
    {"cnn": probability, "area": predictions["area_probability"]},
    title=f"The network's AUROC is {scores['auroc']:.2f}; chance is 0.50",
    note=note,
)
here.show(figure, "roc", "ROC curves of the network and of the area model, with the diagonal.")

# %% [markdown]
# The curve goes through all thresholds: upwards the share of ALL that is found, to the right the
# share of HEM that is wrongly called ALL. The area under it is the AUROC of lesson 01.
#
# ## The surprise: what the average hides
#
# **It is not the cells that count, but the people.** Two hundred cells of one person go wrong
# together. So draw as many *groups* of people as there are, with repetition, two thousand times,
# and compute the score each time (draws that lack a class are left out). The middle 95 % of these
# scores is the **95 % interval**. For comparison, the same with single cells:

# %%
by_cell = evaluation.intervals(labels, probability, np.arange(len(labels)))["auroc"]
by_group = evaluation.intervals(labels, probability, predictions["group"])["auroc"]
pd.DataFrame(
    [by_cell, by_group], columns=["low", "high"], index=["if cells were independent", "by group"]
).assign(width=lambda row: row["high"] - row["low"]).astype(float).round(3)

# %% [markdown]
# The first row is what most papers print, when they print an interval at all. The second is honest,
# and with so few people even it is only rough: with two or three groups of a class it rather
# understates our doubt.
#
# The next figure has some measures more. *Weighted F1* averages, by class size, the harmonic mean
# of precision and recall; *average precision* is the area under precision against recall; *MCC* is
# the correlation of truth and answer, 0 for chance.

# %% tags=["nbval-check-output"]
summary = trained.metrics
figure = plots.metric_bars(
    summary, title="Every score beside the area model and the majority answer", note=note
)
here.show(figure, "scores", "Metrics of network, area model and majority answer with intervals.")

# %%
report.headline(summary)

# %% [markdown]
# Is the network better than the area alone? Two intervals that overlap do not answer that. Both
# models answered the *same* cells, so one asks for the interval of the **difference**:

# %%
found = evaluation.compare(
    labels, probability, predictions["area_probability"], predictions["group"]
)
print(f"AUROC, network minus area: {found['difference']:+.3f}")
print("95 % interval:", [found[end] and round(found[end], 3) for end in ("low", "high")])

# %% [markdown]
# If the interval contains 0, these people cannot tell the two models apart. That is not a failure
# of the network; it is what is known.
#
# **And the people are not alike.** Here is each of them.

# %% tags=["nbval-check-output"]
people = evaluation.by_subject(predictions)
worst = people.iloc[0]
figure = plots.by_subject_bars(
    people,
    title=f"Subject {worst['subject']} ({CLASS_NAMES[worst['label']]}): "
    f"{worst['correct']:.0%} of the cells right; the best: "
    f"{people['correct'].max():.0%}",
    note=note,
)
here.show(figure, "by-subject", "Share of rightly answered cells for each held-out subject.")

# %%
people.round(2)

# %% [markdown]
# A doctor does not meet the average cell. Compare the first rows with the accuracy that the report
# above gives for all cells together. Are the worst people mostly of one class? Then it is the
# threshold, or a whole class, that fails, not single persons. **On which people does it fail?** is
# the question to ask of every such paper.

# %%
here.record(
    auroc=report.told(summary["models"]["cnn"]["auroc"]),
    auroc_of_area_alone=report.told(summary["models"]["area"]["auroc"]),
    balanced_accuracy=report.told(summary["models"]["cnn"]["balanced_accuracy"]),
    balanced_accuracy_of_majority=report.told(summary["models"]["majority"]["balanced_accuracy"]),
    worst_subject=f"{worst['subject']}: {worst['correct']:.0%} of {worst['cells']} cells",
)

# %% [markdown]
# ## The threshold is a choice
#
# So far a cell was called ALL from a probability of 0.5 on. Nobody has to take that number. Here is
# what other thresholds do to the two kinds of error.

# %%
thresholds = [0.2, 0.35, 0.5, 0.65, 0.8]
rows = {at: evaluation.metrics(labels, probability, threshold=at) for at in thresholds}
pd.DataFrame(rows).T[["sensitivity", "specificity", "balanced_accuracy"]].astype(float).round(2)

# %% [markdown]
# The AUROC stays the same for all of them; it judges the order of the cells, not the threshold. A
# network with a fine AUROC and a bad balanced accuracy ranks well and *answers* badly. To choose
# the threshold on these test people would be cheating; it belongs to the validation people.
#
# ## Exercises
#
# **06.1** From the confusion matrix below, compute the recall of HEM, to two digits.
#
# | | called HEM | called ALL |
# |---|---|---|
# | **is HEM** | 30 | 20 |
# | **is ALL** | 10 | 90 |

# %% tags=["nbval-check-output"]
answer = 30 / (30 + 20)  # solution
check("06.1", answer)

# %% [markdown]
# **06.2** How many held-out people would a rule "call the person leukemic if more than half of
# the cells are called ALL" get wrong? Use `people` or `predictions`.

# %% tags=["nbval-check-output"]
called = predictions["probability"] >= 0.5  # solution
called_all = called.groupby(predictions["subject"]).mean() > 0.5  # solution
truth = predictions.groupby("subject")["label"].first() == 1  # solution
answer = int((called_all != truth).sum())  # solution
check("06.2", answer, predictions=predictions)

# %% [markdown]
# **06.3** Which claim may one make from this test? `"works for people like these, within the
# interval"`, `"works in any hospital"` or `"is better than a doctor"`?

# %% tags=["nbval-check-output"]
answer = "works for people like these, within the interval"  # solution
check("06.3", answer)

# %% [markdown]
# ## Key points
#
# - A score stands beside the majority answer and the area model, and has an interval.
# - The interval is made by resampling groups of people, because cells of one person err together.
# - Show the people one by one, the worst first.
#
# **Read next:** lesson 07. On reporting: Collins et al., "TRIPOD+AI statement", *BMJ* 385 (2024).
