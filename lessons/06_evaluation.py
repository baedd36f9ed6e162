# %% [markdown] tags=["slide"]
# # 06 · Evaluation
#
# After this lesson you will be able to report a classifier in a way that is hard to be misled by.
#
# **75 minutes to teach · about a minute to run (two, if the network must be trained first)**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - What do confusion matrix, report and ROC curve say?
# - How sure may one be of a score?
# - On *which people* does the network fail?
# - Is a probability of 90 % right nine times out of ten, and who may act on it?
#
# **Objectives** – you will
#
# 1. read a confusion matrix and a classification report in both directions;
# 2. state a score with its interval, beside the area model and the majority answer;
# 3. find the people for whom the average is not true;
# 4. choose a threshold honestly, and tell when the network had better keep silent.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import numpy as np
import pandas as pd

from leukhelpers import plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.evaluation import bootstrap
from leukhelpers.evaluation import metrics as evaluation
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments import report, storage
from leukhelpers.models import cnn, epochs

here = lesson.begin("06", dataset, profile, seed, run)
prepared = here.prepare()
note = prepared.dataset.note
trained = storage.ensure_run(here.run, prepared)
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
print("held-out people", predictions["subject"].nunique(), "in", end=" ")
print(predictions["group"].nunique(), "groups")
healthy = predictions[predictions["label"] == 0]
print("of them healthy", healthy["subject"].nunique(), "in", healthy["group"].nunique(), "groups")

# %% [markdown]
# ## What everybody shows
#
# First what the paper shows as well: curves of accuracy and loss, the confusion matrix, and the
# classification report. The curves are those of lesson 05, and the mark is the epoch that was kept.

# %% tags=["nbval-check-output", "slide"]
watched = epochs.watched_epochs(trained.history)
figure = plots.learning_curves(
    watched,
    title="Our network: loss and accuracy over the epochs",
    note=note,
    kept_epoch=epochs.kept_epoch(watched, cnn.training_settings(prepared.profile)),
)
here.show(figure, "curves", "Loss and accuracy of training and validation over the epochs.")

# %% [markdown]
# A cell is called ALL from a probability of 0.5 on; this number is the **threshold**.

# %% tags=["nbval-check-output", "slide"]
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
# there are in the test, so it does not carry over to another clinic. **Support** is the number of
# cells of the class. **F1** makes one number of precision p and recall r, 2·p·r / (p + r): low, if
# either is low. *macro avg* is the plain mean of the two rows, *weighted avg* the mean weighed by
# support.

# %% tags=["nbval-check-output", "slide"]
figure = plots.roc_curves(
    labels,
    {"cnn": probability, "area": predictions["area_probability"]},
    title=f"The network's AUROC is {scores['auroc']:.2f}; chance is 0.50",
    note=note,
)
here.show(figure, "roc", "ROC curves of the network and of the area model, with the diagonal.")

# %% [markdown] tags=["slide"]
# The curve goes through all thresholds: upwards the share of ALL that is found, to the right the
# share of HEM that is wrongly called ALL. The area under it is the AUROC of lesson 01.
#
# ## The surprise: what the average hides
#
# **It is not the cells that count, but the people.** Cells of one person tend to go wrong together.
# So draw as many *groups* of people as there are, with repetition, two thousand times,
# and compute the score each time (draws that lack a class are left out). The middle 95 % of these
# scores is the **95 % interval**. Roughly: with other people like these the score might have been
# anywhere in it. For comparison, the same with single cells:

# %% tags=["slide"]
by_cell = bootstrap.intervals(labels, probability, np.arange(len(labels)))["auroc"]
by_group = bootstrap.intervals(labels, probability, predictions["group"])["auroc"]
pd.DataFrame(
    [by_cell, by_group], columns=["low", "high"], index=["if cells were independent", "by group"]
).assign(width=lambda row: row["high"] - row["low"]).astype(float).round(3)

# %% [markdown]
# The first row is what one often sees, where there is an interval at all. The second is honest, and
# with so few people even it is only rough: with two or three groups of a class it rather
# understates our doubt.
#
# The next figure has some measures more. *Average precision* is the area under precision against
# recall; *MCC* is the correlation of truth and answer, 0 for chance; *sensitivity at 95 %
# specificity* is the share of ALL that is found if at most 5 % of HEM may be called ALL. A bar too
# short to be seen is no certainty: where two healthy groups happen to be alike, drawing them anew
# cannot show how others would differ.

# %% tags=["nbval-check-output", "slide"]
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
found = bootstrap.compare(
    labels, probability, predictions["area_probability"], predictions["group"]
)
print(f"AUROC, network minus area: {found['difference']:+.3f}")
print("95 % interval:", [found[end] and round(found[end], 3) for end in ("low", "high")])

# %% [markdown]
# If the interval contains 0, these people cannot tell the two models apart. That is not a failure
# of the network; it is what is known.
#
# **And the people are not alike.** Here is each of them. Names that share pictures (the groups of
# lesson 02) stand here one by one, and a shared picture counts for each of them, in the confusion
# matrix as well: where two rows are equal, that may be why. Only the intervals know it, since they
# are drawn by group.

# %% tags=["nbval-check-output", "slide"]
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
# above gives for all cells together. Are the worst people mostly of one class? Then the threshold
# has a part in it, and another one would help them all. But look within the class, too: does one
# person still stand apart? The last column is the mean probability of ALL over the person's cells:
# is there a number with all healthy people below it and all leukemic ones above? **On which people
# does it fail?** is the question to ask of every such paper.

# %%
here.record(
    auroc=report.format_ci(summary["models"]["cnn"]["auroc"]),
    auroc_of_area_alone=report.format_ci(summary["models"]["area"]["auroc"]),
    balanced_accuracy=report.format_ci(summary["models"]["cnn"]["balanced_accuracy"]),
    balanced_accuracy_of_majority=report.format_ci(
        summary["models"]["majority"]["balanced_accuracy"]
    ),
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
# network with a fine AUROC and a bad balanced accuracy ranks well and *answers* badly.
#
# To pick the best row of this table would be cheating: these are the test people. The choice
# belongs to the **validation people**, from whom the network has not learnt. Its predictions for
# them are in the run's file `validation.csv`. The rule here: the threshold with the largest sum of
# sensitivity and specificity (Youden 1950).

# %%
decided = summary["decisions"]
own = decided["models"]["cnn"]
print("validation people by whom the thresholds were chosen:", decided["chosen_on"]["subjects"])
metrics = ["sensitivity", "specificity", "balanced_accuracy"]
compared = {}
for name, found in decided["models"].items():
    for how, at, values in (
        ("usual", summary["threshold"], summary["models"][name]),
        ("chosen", found["threshold"], found["at_threshold"]),
    ):
        measured = {metric: values[metric]["value"] for metric in metrics}
        compared[MODEL_NAMES[name], how] = {"threshold": at, **measured}
pd.DataFrame(compared).T.astype(float).round(3)

# %% [markdown]
# Each model has its own chosen threshold. Did the choice help on the test people? It may, and it
# may not: a handful of people chose it, and they may even have chosen nearly the usual number. That
# one cannot know beforehand is the point; whoever looks at both and then takes the better one has
# chosen on the test people after all.
#
# ## May one believe the probability?
#
# Take all cells of which the network says "90 %". Are nine in ten of them ALL? The **reliability
# diagram** asks that for ten steps of the probability.

# %% tags=["nbval-check-output", "slide"]
told, right = summary["models"]["cnn"]["ece"]["value"], own["calibrated"]["ece"]["value"]
figure = plots.reliability_diagram(
    decided,
    title=f"On average the probability is off by {told:.2f}; after scaling, by {right:.2f}",
    note=note,
)
here.show(
    figure,
    "reliability",
    "Share of ALL cells over the probability that the network told, before and after temperature "
    "scaling, with the diagonal.",
)

# %% [markdown]
# Points above the diagonal: there are more ALL cells than the network said. One cause is our own
# doing. In lesson 05 both classes were made to weigh the same, so the network speaks as if half of
# all cells were ALL; here it is more than half. A probability always belongs to a certain mixture
# of cells, and carries over to no clinic with another one.
#
# Boldness gives another picture: above the diagonal on the left, below it on the right. Timidity
# gives the reverse.
# **Temperature scaling** (Guo et al. 2017) divides all logits by one number, chosen on the
# validation people: above one it makes the network humbler, below one bolder. It leaves 50 % at 50
# %, so it cannot repair a wrong mixture; it cannot change the order of cells, hence no AUROC; and
# one number chosen by a few people may be as wrong as the threshold was.
#
# Two numbers measure this, of both *less* is better: the **expected calibration error**, the
# average distance from the diagonal, weighed by cells, and the **Brier score**, the mean squared
# distance between probability and truth.

# %%
rows = {}
for name, found in decided["models"].items():
    for how, values in (("as predicted", summary["models"][name]), ("scaled", found["calibrated"])):
        rows[MODEL_NAMES[name], how] = {
            "temperature": found["temperature"] if how == "scaled" else np.nan,
            "calibration error": values["ece"]["value"],
            "Brier score": values["brier"]["value"],
        }
pd.DataFrame(rows).T.astype(float).round(3)

# %% [markdown]
# Look at the majority answer. It knows nothing of any cell, and may have the *smallest* calibration
# error of all: who always says the share of ALL is right on average, though of no cell. To be
# calibrated is not to know anything. The Brier score sees through that. (Scaling may do harm: the
# validation people have another mixture.) Compare the scaled rows of network and area, too.
#
# ## What is it worth?
#
# A threshold is a price. Who acts from 20 % on says: one missed ALL cell is as bad as four false
# alarms (80 to 20). **Decision curve analysis** (Vickers and Elkin 2006) counts, at each price,
# the ALL cells found less the false alarms, each weighed by that price (at 20 % a false alarm
# counts a quarter), divided by all cells. It has to beat two rules that need no network: "call
# every cell ALL" and "call none".

# %% tags=["nbval-check-output", "slide"]
figure = plots.net_benefit_curves(
    decided, title="Where the network's curve is the highest, it is worth asking", note=note
)
here.show(
    figure,
    "net-benefit",
    "Net benefit over the threshold for network and area model, beside calling all cells ALL and "
    "calling none.",
)

# %% [markdown]
# Read it at your own price. Who fears to miss a cell stands on the left: is the network above "call
# every cell ALL" there, or only on the right?
#
# ## When it should keep silent
#
# A network need not answer every cell. Let it begin with those of which it is surest:

# %% tags=["nbval-check-output", "slide"]
risk = own["risk_coverage"]["risk"]
figure = plots.risk_curves(
    decided,
    title=f"The network: {risk[-1]:.0%} of all cells wrong, {risk[4]:.0%} of its surest half",
    note=note,
)
here.show(
    figure, "risk", "Share of wrong answers over the share of cells answered, for three models."
)

# %% [markdown]
# A curve that rises to the right belongs to a model that knows when it is unsure. Which model is
# better if all cells must be answered, and which if only the surest?
#
# And can one *promise* something? **Conformal prediction** (Vovk 2012) names, for each cell, all
# classes that are probable enough: HEM, ALL, both, or neither. How probable is enough, the
# validation cells decide, such that nine in ten of the cells of each class have their class named.
# For further cells of the *same lot* this is proven, whatever the network is worth. So on the test
# people we should find at least about 90 %, twice. (HEM is named if its probability, one minus that
# of ALL, reaches its number.)

# %%
print(f"least probability to be named: { {k: round(v, 2) for k, v in own['least'].items()} }")
covered = {MODEL_NAMES[n]: found["coverage"] for n, found in decided["models"].items()}
pd.DataFrame(covered).T.astype(float).round(2)

# %% [markdown]
# *HEM* and *ALL*: the share of the class's cells whose class was named. *answered*: cells with
# exactly one class named; in the others the network abstains. *right*: the share of right ones
# among the answered. The majority answer keeps the promise, too: it names both, and answers
# nothing.
#
# If both are near 90 % or above, the promise held here, and another handful of people may break
# it. Then see what it cost: how many cells were answered? If one is far below, nothing is wrong
# with the proof. Its condition is broken: the cells of other **people** are not the same lot. That
# break is there in every paper that promises something about single cells of other people. What
# would help is more people, not more cells.
#
# ## Exercises
#
# **06.1** From the confusion matrix below, compute the recall of HEM.
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
# its cells are called ALL (from 0.5 on)" get wrong? Use `people` or `predictions`.

# %% tags=["nbval-check-output"]
called = predictions["probability"] >= 0.5  # solution
called_all = called.groupby(predictions["subject"]).mean() > 0.5  # solution
truth = predictions.groupby("subject")["label"].first() == 1  # solution
answer = int((called_all != truth).sum())  # solution
check("06.2", answer, predictions=predictions)

# %% [markdown]
# **06.3** Suppose that the cells were real and of one hospital. Which claim may one make from this
# test? `"works for people like these, within the
# interval"`, `"works in any hospital"` or `"is better than a doctor"`?

# %% tags=["nbval-check-output"]
answer = "works for people like these, within the interval"  # solution
check("06.3", answer)

# %% [markdown]
# **06.4** To a clinician one missed ALL cell is as bad as nine false alarms. From which probability
# on should a cell be called ALL, if the probabilities can be believed?

# %% tags=["nbval-check-output"]
answer = 1 / (1 + 9)  # solution
check("06.4", answer)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - A score stands beside the majority answer and the area model, and has an interval.
# - The interval is made by resampling groups of people, because cells of one person err together.
# - Show the people one by one, the worst first.
# - Threshold, temperature and promises are chosen on validation people, and measured on others.
# - A probability belongs to the mixture of cells, and the people, that it was learnt from.
#
# **Read next:** lesson 07. On reporting: Collins et al., "TRIPOD+AI statement", *BMJ* 385 (2024).
