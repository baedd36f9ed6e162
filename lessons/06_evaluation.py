# %% [markdown] tags=["slide"]
# # 06 · Evaluation
#
# After this lesson you will be able to evaluate a classifier on patients it has never seen. You
# will report the result with an interval, by patient, and beside two baselines.
#
# **60 minutes to teach, and 30 more for the optional second part · about a minute to run · needs
# lessons 00 to 02**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - Which numbers describe the errors of a classifier?
# - How much would a score change with other patients?
# - For which patients does the network fail?
#
# **Objectives**
#
# 1. Compute and read a confusion matrix, a classification report and an AUROC with scikit-learn.
# 2. Compute a 95% interval over patients in a few lines of numpy, also for a difference.
# 3. List the patients, worst first, and choose a threshold without using the test patients.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or a folder or CSV of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # results folder; empty chooses one from the three settings above

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import leukhelpers as lk

lesson = lk.begin("06", dataset, profile, seed, run)
class_colors = lk.CLASS_COLORS
model_colors = lk.MODEL_COLORS

# %% [markdown]
# ## The predictions
#
# We evaluate the network of lesson 05. You do not need to have read that lesson. The network sees
# one cell, cropped to its bounding box. It returns a number from 0 to 1: the **probability** that
# the cell is leukemic (ALL). `load_run()` reads the network and its predictions. If there is no
# network yet, it trains one first, and this takes a minute or two.

# %%
trained = lesson.load_run()

# %% [markdown]
# `predictions` has one row per cell of the test patients. These patients had no part in training,
# and no decision was based on them. There are three predictions for each cell:
#
# - `probability`: the network,
# - `area_probability`: the **area baseline**, a logistic regression on the area of the cell,
# - `majority_probability`: the **majority-class baseline**. It predicts the share of ALL cells in
#   the training set for every cell.
#
# The network has learned from the training and the validation patients, both baselines from the
# training patients only. Keep this small advantage of the network in mind.
#
# Lesson 02 showed that some images appear twice, often under the names of two subjects. One image
# must count once, so we drop the copies. (The report of the run still counts them, so its numbers
# differ slightly.)

# %%
files = lesson.table[["cell_id", "sha256"]]  # equal images have equal checksums
predictions = trained.predictions.merge(files, on="cell_id").drop_duplicates("sha256")
validation = trained.validation.merge(files, on="cell_id").drop_duplicates("sha256")
shown = ["group", "label", "probability", "area_probability", "majority_probability"]
predictions[shown].sample(5, random_state=2).round(3)

# %% [markdown]
# Subjects that share an image form one **group**, such as `20+21`. Perhaps they are one person
# under two names. Their results are not independent, so in this lesson one group counts as one
# patient. How many patients are there? The label 0 is HEM (healthy), the label 1 is ALL.

# %% tags=["nbval-check-output"]
print(f"{len(predictions)} test cells without copies")
predictions.groupby(["label", "group"]).size().to_frame("cells")

# %% [markdown]
# ## Accuracy and its traps
#
# A cell is predicted ALL if its probability is at least 0.5. This number is the **threshold**.
# **Accuracy** is the share of correct predictions.
#
# **Guess first:** will the accuracy of the network be above the majority-class baseline, which does
# not look at the cells at all? By how much?

# %% tags=["slide"]
from sklearn.metrics import accuracy_score

y = predictions["label"].to_numpy()
network = predictions["probability"].to_numpy()
area = predictions["area_probability"].to_numpy()
majority = predictions["majority_probability"].to_numpy()

by_model = {"network": network, "area baseline": area, "majority-class baseline": majority}
for name, probability in by_model.items():
    print(f"{name:23} accuracy {accuracy_score(y, probability >= 0.5):.3f}")
gain = accuracy_score(y, network >= 0.5) - accuracy_score(y, majority >= 0.5)
print(f"network minus majority-class baseline: {gain:+.3f}")

# %% [markdown]
# The difference is often small, and it can be negative. Accuracy depends on how many cells of each
# class are in the test set. Most are ALL, so "always ALL" is often correct. A network that misses
# many ALL cells can fall below it, even if it recognizes nearly all HEM cells. Look at the area
# baseline, too: with the default settings its accuracy is higher than that of the network.
#
# To see what happens in each class, count the four kinds of outcome. Each row of a **confusion
# matrix** is a true class, each column a predicted class. The right matrix divides each row by its
# sum.

# %% tags=["nbval-check-output", "slide"]
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

predicted = (network >= 0.5).astype(int)
names = ["HEM", "ALL"]
figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.6), layout="constrained")
for panel, normalize, form in zip(panels, (None, "true"), ("d", ".0%"), strict=True):
    ConfusionMatrixDisplay.from_predictions(
        y, predicted, display_labels=names, normalize=normalize, values_format=form,
        cmap="Blues", colorbar=False, ax=panel,
    )  # fmt: skip
    panel.set(xlabel="predicted class", ylabel="true class")
panels[0].set_title("cells")
panels[1].set_title("share of the row")
(healthy_right, _), (_, leukemic_right) = confusion_matrix(y, predicted, normalize="true")
figure.suptitle(f"{leukemic_right:.0%} of ALL and {healthy_right:.0%} of HEM cells are correct")
lesson.save_figure(figure, "confusion", "Confusion matrix of the test cells: counts, row shares.")

# %% [markdown]
# `classification_report` computes the usual scores from the same four numbers.

# %%
from sklearn.metrics import classification_report

print(classification_report(y, predicted, target_names=names))

# %% [markdown]
# | score | meaning |
# | --- | --- |
# | **recall** | Of the cells that *are* in this class, which share is predicted so? (a row) |
# | **precision** | Of the cells *predicted* in this class, which share is correct? (a column) |
# | **F1** | precision *p* and recall *r* in one number: 2·p·r / (p + r) |
# | **support** | How many cells of this class are there? |
# | **macro avg** | the mean over the classes; each class counts the same |
# | **weighted avg** | the mean over the classes, weighted by support |
#
# The recall of ALL is also called **sensitivity**, the recall of HEM **specificity**. Precision
# depends on the mixture of classes in the test set. So precision does not carry over to a
# clinic with another mixture. The [glossary](../docs/glossary.md) lists all terms.
#
# The mean of the recalls is the **balanced accuracy**. With two classes it is one half for every
# classifier that always predicts the same class.
#
# ### Exercise 06.1 (4 minutes)
#
# Write `balanced_accuracy(matrix)`. `matrix` is a confusion matrix of scikit-learn with any number
# of classes: rows are true classes, columns are predicted classes.


# %% tags=["nbval-check-output"]
def balanced_accuracy(matrix):
    """Return the mean of the recalls of all classes."""
    recalls = matrix.diagonal() / matrix.sum(axis=1)  # solution
    return recalls.mean()  # solution


lk.check("06.1", balanced_accuracy)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The diagonal holds the correct cells of each class. `sum(axis=1)` adds along a row, so it counts
# the cells of each *true* class. The usual mistake is `axis=0`: it adds along a column and gives
# the mean *precision*. Dividing the whole diagonal by the sum of all cells gives the accuracy.
#
# </details>

# %% [markdown]
# ## Ranking: the ROC curve
#
# The confusion matrix describes one threshold. The **ROC curve** describes all of them. It shows
# the sensitivity (upward) against the share of HEM cells that are predicted ALL (to the right). The
# area below the curve is the **AUROC** of lesson 01. Take one ALL cell and one HEM cell at random.
# How often does the ALL cell have the higher probability?

# %% tags=["nbval-check-output", "slide"]
from sklearn.metrics import roc_auc_score, roc_curve

figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.8), layout="constrained")
by_class = [network[y == 0], network[y == 1]]
left.hist(by_class, bins=np.linspace(0, 1, 11), color=class_colors, label=names)
left.axvline(0.5, color="black", linestyle=":", label="threshold")
left.margins(y=0.3)  # room for the legend
left.set(xlabel="probability by the network", ylabel="cells")
left.legend(loc="upper left", ncols=3, framealpha=1)
for name, probability in {"cnn": network, "area": area}.items():
    false_alarms, sensitivity, _ = roc_curve(y, probability)
    right.plot(false_alarms, sensitivity, color=model_colors[name])
right.plot([0, 1], [0, 1], color=model_colors["majority"], linestyle="--")
right.set(xlabel="HEM cells predicted ALL (share)", ylabel="sensitivity")
right.legend(["network", "area baseline", "majority-class baseline"])
auroc, area_auroc = roc_auc_score(y, network), roc_auc_score(y, area)
figure.suptitle(f"AUROC: network {auroc:.2f}, area baseline {area_auroc:.2f}, chance 0.50")
lesson.save_figure(figure, "roc", "Histogram of the probabilities by class; ROC curves.")

# %% [markdown]
# The AUROC only uses the *order* of the cells, so it does not depend on the threshold. A network
# can rank well and still have a low accuracy. Then the threshold is in the wrong place. This
# happens with the default settings: the network has the higher AUROC, and the area baseline has the
# higher accuracy. Look at the histogram: would another threshold separate the classes better? The
# section on the threshold below tries it.

# %% [markdown] tags=["slide"]
# ## How sure is the AUROC?
#
# The test set is small. With other patients the AUROC would be different. But how different?
#
# The **bootstrap** imitates other test sets. It draws from the test set with replacement, as many
# as there are, and computes the score again. After a thousand draws, the middle 95% of the scores
# are the **95% interval**.
#
# **What should we draw: cells or patients?** Guess which interval is wider.


# %% tags=["slide"]
def bootstrap(y, probability, groups, n_resamples=1000):
    """Return the AUROC of many resamples; each draws whole groups with replacement."""
    rng = np.random.default_rng(0)
    unique = np.unique(groups)
    scores = []
    for _ in range(n_resamples):
        drawn = rng.choice(unique, size=len(unique))
        rows = np.concatenate([np.flatnonzero(groups == name) for name in drawn])
        if len(np.unique(y[rows])) == 2:  # the AUROC needs both classes
            scores.append(roc_auc_score(y[rows], probability[rows]))
    return np.array(scores)


# %% [markdown]
# If every cell is its own group, this draws cells. If `groups` holds the patients, it draws
# patients with all their cells.

# %%
groups = predictions["group"].to_numpy()
draws = {
    "cells": bootstrap(y, network, np.arange(len(y))),
    "patients": bootstrap(y, network, groups),
}
every = np.concatenate(list(draws.values()))

# %% tags=["nbval-check-output", "slide"]
widths = {}
edges = np.arange(every.min() - 0.01, every.max() + 0.015, 0.005)
figure, panel = plt.subplots(figsize=(8, 3.4), layout="constrained")
for name, color, height in (("cells", "gray", -1), ("patients", model_colors["cnn"], -2)):
    low, high = np.percentile(draws[name], [2.5, 97.5])
    widths[name] = high - low
    drawn = f"drawing {len(y)} cells" if name == "cells" else f"drawing {len(set(groups))} patients"
    panel.hist(draws[name], edges, density=True, histtype="step", color=color, label=drawn)
    panel.plot([low, high], [height, height], color=color, linewidth=5)
panel.axvline(auroc, color="black", linestyle=":", label="all test cells")
panel.set(xlabel="AUROC of the network; bars: 95% intervals", ylabel="resamples", yticks=[])
panel.legend(loc="upper left")
figure.suptitle(
    f"The interval is {widths['cells']:.2f} wide over cells, {widths['patients']:.2f} over patients"
)
lesson.save_figure(figure, "interval", "Bootstrap distributions of the AUROC, cells and patients.")

# %% [markdown]
# The cells of one patient resemble each other, and the network tends to make the same error on many
# of them. So a hundred cells of one patient carry much less information than a hundred cells of a
# hundred patients. Drawing cells ignores this, and its interval is too narrow. **Draw patients.**
#
# Even this interval is rough. With so few patients per class (see the table above), the bootstrap
# has almost nothing to draw from, and the true uncertainty is larger. More cells of the same
# patients do not help. More patients do.
#
# ## Is the network better than the area baseline?
#
# Two intervals that overlap do not answer this question. Both models predicted the *same* cells of
# the same patients. If a resample contains an easy patient, both AUROCs rise. The **paired
# difference** uses this: compute network minus area baseline in each resample, and look at the
# interval of the difference.
#
# ### Exercise 06.2 (8 minutes)
#
# Write `difference_interval(y, a, b, groups)` for two models with the probabilities `a` and `b`.
# Fill in the three places. The first, and the test for both classes, are as in `bootstrap` above.
# The difference is new.


# %% tags=["nbval-check-output"]
def difference_interval(y, a, b, groups, n_resamples=1000):
    """Return the low and high end of the 95% interval of AUROC(a) - AUROC(b)."""
    rng = np.random.default_rng(0)
    unique = np.unique(groups)
    differences = []
    for _ in range(n_resamples):
        drawn = rng.choice(unique, size=len(unique))
        # 1. Find the rows of the drawn groups.
        rows = np.concatenate([np.where(groups == name)[0] for name in drawn])  # solution
        # 2. If both classes are there, append the difference of the two AUROCs on these rows.
        if y[rows].min() < y[rows].max():  # solution
            score_a = roc_auc_score(y[rows], a[rows])  # solution
            score_b = roc_auc_score(y[rows], b[rows])  # solution
            differences.append(score_a - score_b)  # solution
    # 3. Return the 2.5th and the 97.5th percentile of the differences.
    return np.percentile(differences, [2.5, 97.5])  # solution


lk.check("06.2", difference_interval)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Both models are scored on the same rows, and the two scores are subtracted inside the loop. The
# usual mistake is to subtract the ends of two separate intervals. Such an interval is too wide,
# because it compares one model on easy patients with the other on difficult ones.
#
# </details>

# %% [markdown]
# You have now written what `lk.compare` does (with two thousand resamples). We use it for the
# answer. The left panel shows the interval of each model, the right panel that of the difference.

# %% tags=["nbval-check-output", "slide"]
found = lk.compare(y, network, area, groups)
low, high = np.array([found["low"], found["high"]], dtype=float)
auroc_interval = np.percentile(draws["patients"], [2.5, 97.5])
area_interval = np.percentile(bootstrap(y, area, groups), [2.5, 97.5])

figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 2.8), layout="constrained")
left.plot(auroc_interval, [2, 2], color=model_colors["cnn"])
left.plot(area_interval, [1, 1], color=model_colors["area"])
left.plot(auroc, 2, "o", color=model_colors["cnn"])
left.plot(area_auroc, 1, "o", color=model_colors["area"])
left.plot(0.5, 0, "o", color=model_colors["majority"])
left.set_yticks([0, 1, 2], ["majority-class\nbaseline", "area baseline", "network"])
left.set(xlabel="AUROC", ylim=(-0.6, 2.6))
right.plot([low, high], [1, 1], color="black")
right.plot(found["difference"], 1, "o", color="black")
right.axvline(0, color="black", linestyle=":")
right.set(xlabel="AUROC, network minus area baseline", yticks=[])
right.locator_params(axis="x", nbins=6)
zero = "excludes" if low > 0 or high < 0 else "contains"
figure.suptitle(f"The 95% interval of the difference, {low:+.3f} to {high:+.3f}, {zero} zero")
lesson.save_figure(figure, "difference", "AUROC of the models and the paired difference.")

# %% [markdown]
# If the interval contains zero, these patients do not show which model is better. This does not
# prove that both are equally good: the sample is too small to see a difference. If it excludes
# zero, these patients support the sign of the difference. With so few patients, even that is not
# certain.

# %% [markdown] tags=["slide"]
# ## The surprise: what the average hides
#
# A doctor decides about one patient, not about the average of all cells. So compute the share of
# correct cells for each patient, the **worst first**.
#
# **Guess:** one accuracy describes all cells together. How far is the worst patient below it?

# %% tags=["slide"]
patients = (
    predictions.assign(correct=predicted == y)
    .groupby("group")
    .agg(
        label=("label", "first"),
        cells=("label", "size"),
        correct=("correct", "mean"),
        mean_probability=("probability", "mean"),
    )
    .sort_values("correct")
)
patients.round(2)

# %% [markdown]
# The bars show the column `correct`.

# %% tags=["nbval-check-output", "slide"]
accuracy = accuracy_score(y, predicted)
colors = [class_colors[label] for label in patients["label"]]
titles = [f"{group} ({names[label]})" for group, label in patients["label"].items()]
figure, panel = plt.subplots(figsize=(8, 1.4 + 0.36 * len(patients)), layout="constrained")
panel.barh(titles, patients["correct"], color=colors)
panel.invert_yaxis()
panel.axvline(0.5, color="black", linestyle=":")
panel.axvline(accuracy, color="black")
panel.set(xlim=(0, 1), ylabel="patient")
panel.set_xlabel("share of correct cells (solid: accuracy of all cells, dotted: one half)")
worst, best = patients.iloc[0], patients.iloc[-1]
figure.suptitle(
    f"Worst patient: {worst['correct']:.0%} of the cells correct; "
    f"best: {best['correct']:.0%}; all cells: {accuracy:.0%}"
)
lesson.save_figure(figure, "by-patient", "Share of correct cells for each test patient.")

# %% [markdown]
# One accuracy hides very different patients. **For which patients does it fail?** Ask this of every
# paper that reports one number.
#
# Next, look for a pattern. Two comparisons help:
#
# - Is one *class* worse? Then the threshold is a suspect.
# - Is there a probability that separates the patients? Compare the column `mean_probability` of
#   healthy and leukemic patients.

# %% tags=["slide"]
healthy, leukemic = patients[patients["label"] == 0], patients[patients["label"] == 1]
print(f"mean over healthy patients:  {healthy['correct'].mean():.0%} of the cells correct")
print(f"mean over leukemic patients: {leukemic['correct'].mean():.0%} of the cells correct")

highest, lowest = healthy["mean_probability"].max(), leukemic["mean_probability"].min()
print(f"highest mean probability of a healthy patient: {highest:.2f}")
print(f"lowest mean probability of a leukemic patient: {lowest:.2f}")
print("The means", "separate" if highest < lowest else "do not separate", "the patients.")

# %% [markdown]
# **For which patients does the network fail?** With the default settings, for leukemic ones. Every
# leukemic patient has a lower share of correct cells than both healthy patients. So the threshold
# is a suspect: it may be too high.
#
# If the means separate the patients, a threshold between the two last numbers classifies every
# patient correctly, by the mean. Some single cells can still be wrong. Does one half lie between
# the two numbers? Then this result is fair, because we chose one half before we saw these patients.
# Any other threshold we would find only by looking at the test patients. That would not be fair, so
# we may not use it.
#
# ### Exercise 06.3 (6 minutes)
#
# A patient is predicted leukemic if *more than half* of the patient's cells are predicted ALL.
# Write `wrong_patients(cells, threshold)`: the number of patients for whom this rule is wrong.
# `cells` has the columns `group`, `label` and `probability`.


# %% tags=["nbval-check-output"]
def wrong_patients(cells, threshold):
    """Return how many patients the majority of their cells classifies wrongly."""
    votes = cells["probability"] >= threshold  # solution
    leukemic = votes.groupby(cells["group"]).mean() > 0.5  # solution
    truth = cells.groupby("group")["label"].first() == 1  # solution
    return int((leukemic != truth).sum())  # solution


lk.check("06.3", wrong_patients)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The mean of a column of True and False is the share of True. At a threshold of 0.5 the wrong
# patients are those whose bar in the figure ends left of the dotted line; there may be none. The
# usual mistake is to use the other rule, the mean *probability*. There, a few cells with very high
# values can outvote the others.
#
# </details>

# %% [markdown]
# ## The threshold is a choice
#
# Nobody forces us to use 0.5. A lower threshold finds more ALL cells and causes more false alarms.
# The choice must not use the test patients. It uses the **validation patients**. A network trained
# without them predicted their cells. (Afterwards the network was trained once more, on training and
# validation patients together. This second network predicted the test cells.)
#
# A common rule takes the threshold with the largest sum of sensitivity and specificity
# (Youden, 1950).


# %%
def choose_threshold(y, probability):
    """Return the threshold with the largest sensitivity + specificity."""
    false_alarms, sensitivity, thresholds = roc_curve(y, probability)
    best = np.argmax(sensitivity - false_alarms)
    return min(thresholds[best], 1.0)  # the list of roc_curve begins with infinity


y_validation = validation["label"].to_numpy()
network_validation = validation["probability"].to_numpy()
chosen = choose_threshold(y_validation, network_validation)
print(f"chosen on {validation['group'].nunique()} validation patients: {chosen:.2f}")

# %% [markdown]
# **Guess first:** the choice improves the balanced accuracy of the validation patients. Will it
# improve that of the test patients as much?

# %% tags=["slide"]
from sklearn.metrics import balanced_accuracy_score

sets = {"validation patients": (y_validation, network_validation), "test patients": (y, network)}
rows = {}
for name, (labels, probability) in sets.items():
    usual = balanced_accuracy_score(labels, probability >= 0.5)
    better = balanced_accuracy_score(labels, probability >= chosen)
    rows[name] = {"threshold 0.5": usual, "chosen": better, "change": better - usual}
change = pd.DataFrame(rows).T
change.round(3)

# %% [markdown]
# For the validation patients the chosen threshold cannot be worse than 0.5, because it was the best
# of all. Only the row of the test patients is an honest result. With the default settings they
# gain, but less than the validation patients. This depends on chance: a handful of patients made
# the choice. And even if the average rises, some patients can lose. The next table lists the test
# patients again.

# %%
after = (network >= chosen) == y
patients["correct_chosen"] = pd.Series(after).groupby(groups).mean()
patients["change"] = patients["correct_chosen"] - patients["correct"]
patients[["label", "cells", "correct", "correct_chosen", "change"]].sort_values("change").round(2)

# %% [markdown]
# A lower threshold helps leukemic patients at the expense of healthy ones. A higher threshold does
# the opposite. No threshold is best for all patients.
#
# How much did chance decide? Draw the *validation* patients with replacement, choose the threshold
# again, and measure each choice on the same test patients.

# %%
rng = np.random.default_rng(0)
groups_validation = validation["group"].to_numpy()
unique = np.unique(groups_validation)
choices = []
for _ in range(1000):
    drawn = rng.choice(unique, size=len(unique))
    rows = np.concatenate([np.flatnonzero(groups_validation == name) for name in drawn])
    if len(np.unique(y_validation[rows])) == 2:
        choices.append(choose_threshold(y_validation[rows], network_validation[rows]))
scores = np.array([balanced_accuracy_score(y, network >= choice) for choice in choices])
worse = np.mean(scores < balanced_accuracy_score(y, predicted))

# %% tags=["nbval-check-output", "slide"]
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained")
left.hist(choices, bins=np.linspace(0, 1, 26), color="gray")
left.set(xlabel="chosen threshold", ylabel="draws")
right.hist(scores, bins=25, color=model_colors["cnn"])
right.axvline(balanced_accuracy_score(y, predicted), color="black", linestyle=":")
right.set_xlabel("balanced accuracy on the test patients\n(dotted: threshold 0.5)")
figure.suptitle(
    f"{worse:.0%} of the draws choose a threshold that is worse than 0.5 for the test patients"
)
lesson.save_figure(figure, "threshold", "Thresholds that other validation patients would choose.")

# %% [markdown]
# For its *own* validation patients each choice is at least as good as 0.5. The title counts the
# choices that are *worse* than 0.5 for the test patients.
#
# The choice is not a mistake: some threshold must be used. The mistake is to report the score of
# the patients who made the choice, or to choose again after looking at the test patients. **Choose
# on some patients, report on others.**
#
# ### Exercise 06.4 (6 minutes)
#
# In screening, a missed leukemia is the worse error. A clinic asks for a sensitivity of at least
# `wanted`. Write `threshold_for_sensitivity(y, probability, wanted)`: it returns the *highest*
# threshold with that sensitivity, so that there are few false alarms.
#
# `roc_curve` drops some thresholds to make its lists shorter. Use `drop_intermediate=False`.


# %% tags=["nbval-check-output"]
def threshold_for_sensitivity(y, probability, wanted):
    """Return the highest threshold at which the sensitivity is at least `wanted`."""
    _, sensitivity, thresholds = roc_curve(y, probability, drop_intermediate=False)  # solution
    return thresholds[sensitivity >= wanted][0]  # solution


lk.check("06.4", threshold_for_sensitivity)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The thresholds of `roc_curve` fall, and the sensitivity rises with them. So the first element that
# reaches `wanted` belongs to the highest such threshold. The usual mistake is the last element: a
# threshold so low that every cell is predicted ALL. As before, call the function with validation
# patients and report the result of test patients.
#
# </details>

# %% [markdown]
# Keep the main results for the report of this run.

# %%
lesson.record(
    auroc=f"{auroc:.2f} ({auroc_interval[0]:.2f} to {auroc_interval[1]:.2f})",
    auroc_of_area_baseline=f"{area_auroc:.2f} ({area_interval[0]:.2f} to {area_interval[1]:.2f})",
    difference=f"{found['difference']:+.2f} ({low:+.2f} to {high:+.2f})",
    accuracy=round(float(accuracy), 2),
    accuracy_of_majority_class_baseline=round(float(accuracy_score(y, majority >= 0.5)), 2),
    worst_patient=f"{patients.index[0]}: {worst['correct']:.0%} of {worst['cells']:.0f} cells",
)

# %% [markdown]
# Two questions to end the first part. Run the cell and click.

# %%
lesson.quiz()

# %% [markdown]
# ## Going further
#
# This second part is optional. It takes about 30 minutes. It asks three questions about the
# probabilities themselves: are they correct, are they useful, and when should the network make no
# prediction?
#
# ### Calibration
#
# Take all cells with a probability near 0.8. If about 80% of them are ALL, the network is
# **calibrated** there. `calibration_curve` sorts the cells into bins by their probability and
# computes the share of ALL in each bin.
#
# The network was trained with class weights: each HEM cell counted more than each ALL cell, as if
# both classes were equally frequent. The test cells are mostly ALL. **Guess:** are its
# probabilities too low or too high?
#
# A wrong scale can be repaired without a new training. The **logit** of a probability *p* is
# log(*p* / (1 − *p*)). A logistic regression with the logit as its only feature, fitted on the
# validation cells, gives new probabilities (Platt, 1999). Without the intercept this is called
# *temperature scaling* (Guo, 2017).

# %%
from scipy.special import logit
from sklearn.linear_model import LogisticRegression


def to_logit(probability):
    """Return the logits as a table with one column; 0 and 1 would give infinity."""
    return logit(np.clip(probability, 1e-6, 1 - 1e-6)).reshape(-1, 1)


scaler = LogisticRegression(C=1e6).fit(to_logit(network_validation), y_validation)
rescaled = scaler.predict_proba(to_logit(network))[:, 1]
print(f"share of ALL: validation {y_validation.mean():.2f}, test {y.mean():.2f}")
print(f"mean probability on the test cells: {network.mean():.2f}, rescaled {rescaled.mean():.2f}")

# %% [markdown]
# If the mean probability of the network is below the share of ALL in the test set, its
# probabilities are too low on average. With the default settings they are. A probability is correct
# only for the mixture of classes for which it was made.
#
# The **Brier score** is the mean squared distance between probability and truth (0 or 1): lower is
# better. In the left panel, the diagonal is *perfect calibration*. A point above it means that the
# probabilities of this bin are too low. The right panel shows how many cells are in each bin: a
# point of few cells is unreliable.

# %% tags=["nbval-check-output"]
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.8), layout="constrained")
left.plot([0, 1], [0, 1], color="gray", linestyle="--", label="perfect calibration")
for name, probability, style in (("network", network, "o-"), ("rescaled", rescaled, "s:")):
    share, mean = calibration_curve(y, probability, n_bins=5)
    left.plot(mean, share, style, color=model_colors["cnn"], label=name)
left.set(xlabel="mean probability of the bin", ylabel="share of ALL in the bin")
left.legend()
shape = {"bins": np.linspace(0, 1, 6), "color": model_colors["cnn"]}
right.hist(network, alpha=0.4, **shape)
right.hist(rescaled, histtype="step", linestyle=":", **shape)
right.set(xlabel="probability (filled: network, dotted: rescaled)", ylabel="cells")
before, after = brier_score_loss(y, network), brier_score_loss(y, rescaled)
figure.suptitle(f"Brier score: {before:.2f} as predicted, {after:.2f} after rescaling")
lesson.save_figure(figure, "calibration", "Share of ALL over the probability, and cells per bin.")

# %% [markdown]
# Rescaling is a choice made on validation patients, like the threshold. It helps if their mixture
# and their difficulty are like those of the test patients, and it can do harm if they are not. It
# does not change the order of the cells, so the AUROC stays.
#
# Is a calibrated model a good model? Compare the models.

# %%
models = {
    "network": network,
    "network, rescaled": rescaled,
    "area baseline": area,
    "majority-class baseline": majority,
}
pd.DataFrame(
    {
        "mean probability minus share of ALL": {k: p.mean() - y.mean() for k, p in models.items()},
        "Brier score": {k: brier_score_loss(y, p) for k, p in models.items()},
        "AUROC": {k: roc_auc_score(y, p) for k, p in models.items()},
    }
).round(3)

# %% [markdown]
# The majority-class baseline gives every cell the same probability, the share of ALL in the
# training set. If that share fits the test set, the baseline is calibrated. Its AUROC is still one
# half. A calibrated model may still be unable to separate the classes.
#
# ### Is it useful? The decision curve
#
# A threshold sets a cost. At a threshold *t*, one missed ALL cell is as bad as (1 − *t*) / *t*
# false alarms. At one half, both errors cost the same. At one fifth, one missed ALL cell costs as
# much as four false alarms. **Net benefit** (Vickers and Elkin, 2006) is the number of ALL cells
# found, minus the number of false alarms times *t* / (1 − *t*), divided by the number of *all*
# cells. "Predict ALL for every cell" and "predict
# ALL for no cell" need no model. A useful model is above both.


# %%
def net_benefit(y, probability, threshold):
    """Return the found ALL cells minus the weighted false alarms, per cell."""
    predicted = probability >= threshold
    found = np.mean(predicted & (y == 1))
    false_alarms = np.mean(predicted & (y == 0))
    return found - false_alarms * threshold / (1 - threshold)


thresholds = np.arange(0.05, 0.9, 0.01)
everything = np.ones(len(y))
benefit = pd.DataFrame(
    {
        "network": [net_benefit(y, network, t) for t in thresholds],
        "network, rescaled": [net_benefit(y, rescaled, t) for t in thresholds],
        "area baseline": [net_benefit(y, area, t) for t in thresholds],
        "every cell ALL": [net_benefit(y, everything, t) for t in thresholds],
    },
    index=thresholds,
)

# %% [markdown]
# **Guess:** does the model with the higher AUROC have the higher net benefit at every threshold?
# The figure shades each range in which the area baseline is better than the network.

# %% tags=["nbval-check-output"]
area_wins = benefit["area baseline"] > benefit["network"]
figure, panel = plt.subplots(figsize=(8, 4), layout="constrained")
for name, model, style in (
    ("network", "cnn", "-"),
    ("network, rescaled", "cnn", ":"),
    ("area baseline", "area", "-"),
    ("every cell ALL", "majority", "--"),
):
    panel.plot(thresholds, benefit[name], style, color=model_colors[model], label=name)
panel.axhline(0, color="black", linewidth=1, label="no cell ALL")
panel.fill_between(
    thresholds, benefit["network"], benefit["area baseline"], where=area_wins,
    color=model_colors["area"], alpha=0.25,
)  # fmt: skip
panel.set(xlabel="threshold", ylabel="net benefit per cell", ylim=(-0.1, None))
panel.legend(loc="lower left", framealpha=1)
figure.suptitle(f"At {area_wins.mean():.0%} of the thresholds the area baseline beats the network")
lesson.save_figure(figure, "net-benefit", "Net benefit of the models over the threshold.")

# %%
wins = thresholds[area_wins]
if len(wins):
    print(f"the area baseline beats the network at thresholds from {wins.min():.2f}", end=" ")
    print(f"to {wins.max():.2f}, at {len(wins)} of {len(thresholds)} steps")
simple = np.maximum(benefit["every cell ALL"], 0)  # the better of the two simple rules
for name in ("network", "network, rescaled"):
    below = (benefit[name] < simple).sum()
    print(f"{name}: below a rule without a model at {below} of {len(thresholds)} steps")

# %% [markdown]
# So a higher AUROC does not mean a higher net benefit everywhere. There are two reasons. First, net
# benefit uses the probabilities, not only their order, and those of the network are badly
# calibrated. The dotted line shows how much rescaling repairs here. Second, two ROC curves can
# cross: a model with the lower AUROC can be better in one range, and no calibration repairs this.
# (The area baseline was trained with class weights, too, and is not rescaled here. For a fair
# comparison, rescale it as well.) Before you use a model, find your own threshold on the axis, and
# look whether the model is above both simple rules *there*.
#
# ### When to abstain
#
# A network need not make a prediction for every cell. Sort the cells by **confidence**, the
# distance of the probability from one half. Keep the most confident ones and leave the others to an
# expert. How many errors are left?

# %% tags=["nbval-check-output"]
kept = np.arange(1, len(y) + 1)
figure, panel = plt.subplots(figsize=(8, 3.4), layout="constrained")
errors = {}
for name, probability in {"cnn": network, "area": area}.items():
    order = np.argsort(-np.abs(probability - 0.5))  # the most confident first
    wrong = ((probability >= 0.5) != y)[order]
    errors[name] = np.cumsum(wrong) / kept
    panel.plot(kept / len(y), errors[name], color=model_colors[name])
panel.set(xlabel="share of cells with a prediction", ylabel="share of wrong predictions")
panel.legend(["network", "area baseline"])
half, everyone = errors["cnn"][len(y) // 2 - 1], errors["cnn"][-1]
figure.suptitle(f"Network: {everyone:.0%} of all cells are wrong, {half:.0%} of the confident half")
lesson.save_figure(figure, "abstain", "Share of errors over the share of cells with a prediction.")

# %% [markdown]
# A curve that rises to the right belongs to a model whose confidence is informative. Read it at the
# right end if every cell needs a prediction, and further left if an expert sees the rest. The
# better model can be a different one at each place.
#
# Can we *promise* a share of errors? **Conformal prediction** (Vovk, 2012) returns a *set* of
# classes for each cell: HEM, ALL, both or none. A class is in the set if its probability reaches a
# limit. The limit of a class is chosen such that about 90% of the validation cells of this class
# have it in their set. For new cells of the same patients and the same network this share would be
# about 90%, too. But the test cells come from *other* patients.

# %%
in_set, covered = {}, {}
for label, name in enumerate(names):
    own_validation = network_validation if name == "ALL" else 1 - network_validation
    own_test = network if name == "ALL" else 1 - network  # the probability of this class
    limit = np.quantile(own_validation[y_validation == label], 0.1, method="lower")
    in_set[name] = own_test >= limit
    covered[f"{name} cells with {name} in their set"] = in_set[name][y == label].mean()
covered["cells with exactly one class"] = (in_set["HEM"] != in_set["ALL"]).mean()
pd.Series(covered).round(2).to_frame("share")

# %% [markdown]
# Compare the first two rows with the promised 90%. With the default settings, the row of HEM is
# below it. So we cannot promise a share of errors for other patients. The method is not wrong. Its
# condition is broken twice: the test cells come from other patients, and a second network, trained
# once more, predicted them. This table cannot separate the two. The last row shows how many cells
# get exactly one class. All others get both classes or none. That is no prediction, and it is the
# cost of this method.
#
# ## Use it on your data
#
# You need one CSV file with one row per image and the columns `patient`, `label` (0 or 1) and
# `probability`. Any classifier can write it. Write its path between the quotation marks. The
# function `bootstrap` is the one from above.

# %%
my_file = ""  # such as "my_predictions.csv"

if my_file:
    table = pd.read_csv(my_file, dtype={"patient": str})
    labels, probability = table["label"].to_numpy(), table["probability"].to_numpy()
    scores = bootstrap(labels, probability, table["patient"].to_numpy())
    low, high = np.percentile(scores, [2.5, 97.5])
    print(f"AUROC {roc_auc_score(labels, probability):.2f}")
    print(f"95% interval over patients: {low:.2f} to {high:.2f}")
    print(f"majority-class baseline: accuracy {max(labels.mean(), 1 - labels.mean()):.2f}")
    print(classification_report(labels, probability >= 0.5))

    table["correct"] = (probability >= 0.5) == labels
    by_patient = table.groupby("patient").agg(
        label=("label", "first"), images=("label", "size"), correct=("correct", "mean")
    )
    print(by_patient.sort_values("correct"))

# %% [markdown]
# With few patients, one test set is too small. Train one network per fold (lesson 02) and collect
# the probabilities of all patients. `build_cnn` is the function of lesson 05; add its augmentation
# and class weights. `crops`, `labels` and `patient_ids` are your images, one row per image:
#
# ```python
# from sklearn.model_selection import StratifiedGroupKFold
#
# probability = np.zeros(len(labels))
# for train, test in StratifiedGroupKFold(4).split(crops, labels, patient_ids):
#     network = build_cnn(crops.shape[1])
#     network.compile("adam", "binary_crossentropy")
#     network.fit(crops[train], labels[train], epochs=12)
#     probability[test] = network.predict(crops[test]).ravel()
# mine = pd.DataFrame({"patient": patient_ids, "label": labels, "probability": probability})
# mine.to_csv("mine.csv")
# ```
#
# The probabilities now come from four networks, and their scales differ a little. So do the
# constants of the majority-class baseline: pooled, its AUROC is not exactly 0.5. Report the mean of
# the four AUROCs as well. Read a patient's share of correct images only beside the number of
# images: with one image it is 0 or 1.
#
# If your images are in a folder, set `dataset` in the second cell to its path (lesson 11). Then
# this notebook trains the network on them, and every figure above shows your own patients.

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Report every score beside the majority-class baseline and the area baseline.
# - Draw patients, not cells, for an interval. Compare two models by their paired difference.
# - List the patients, worst first.
# - Choose thresholds on validation patients, and report the result of other patients.
# - AUROC measures the order of the cells. Accuracy and net benefit also need a good threshold and
#   calibrated probabilities.
#
# **Read next:** lesson 07. On reporting: Collins et al., "TRIPOD+AI statement", *BMJ* 385 (2024).
