# %% [markdown] tags=["slide"]
# # 12 · Many runs
#
# After this lesson you will be able to repeat a training many times. You will also be able to
# decide whether a difference between two scores is more than chance.
#
# **40 minutes to teach · about one minute to run · needs lessons 02 and 04 to 06**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - By how much does a score move if only the seed changes?
# - What does the spread between seeds not show?
# - How do you compare two models when both scores move?
#
# **Objectives**
#
# 1. Run a notebook with several seeds and measure the spread of its scores.
# 2. Repeat a cross-validation over patients, and compare two models in pairs.
# 3. Describe many trainings in one file and run them with one command.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or a folder or CSV of your own cells
profile: str = "fast"  # fast or full
seed: int = 0  # the first of three seeds; it also draws the cells and the test patients
run: str = ""  # folder for results; empty for one named after the three above

# %%
import json
import subprocess
import sys
from itertools import combinations

import keras
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import papermill
import tensorflow as tf
import yaml
from keras import layers
from sklearn.metrics import roc_auc_score

import leukhelpers as lk

tf.config.experimental.enable_op_determinism()  # the same seed gives the same numbers
lesson = lk.begin("12", dataset, profile, seed, run)
model_colors = lk.MODEL_COLORS

# %% [markdown] tags=["slide"]
# ## What the random seed changes
#
# Nearly every score in this course so far came from one seed. A **seed** fixes the random numbers
# of a program. For the network below these are the initial weights and the order of the training
# cells; in lesson 05 also the augmentation. For a random forest they are the cells and features
# that each tree gets. An SVM uses none.
#
# **Guess first:** write down a number. By how much does the AUROC of a network change if you train
# it again with another seed?
#
# We use a small network on small images, so that one training takes a second or two. Keeping every
# fourth pixel turns 96 × 96 pixels into 24 × 24.

# %% tags=["nbval-check-output"]
y, groups = lesson.y, lesson.split.groups  # the label and the patient of each cell
small = lesson.images[:, ::4, ::4]
train = np.concatenate([lesson.split.train, lesson.split.validation])
test = lesson.split.test
print("images:", small.shape)
print(f"training: {len(train)} cells of {len(np.unique(groups[train]))} patients")
print(f"test: {len(test)} cells of {len(np.unique(groups[test]))} patients")

# %% [markdown]
# Two subjects that share an image count as one patient here (lesson 02). The network has the same
# kinds of layers as in lesson 05, only fewer of them.


# %%
def build_network(size):
    """Return a small network, untrained."""
    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(1, activation="sigmoid")(x)
    return keras.Model(inputs, outputs)


# %% [markdown]
# The first `fit` of a network also compiles it. For a small network this takes as long as many
# training steps. So we do it only once. `get_state_tree` copies all that a training changes: the
# weights, and what the optimizer remembers.

# %%
network = build_network(small.shape[1])
network.compile(optimizer=keras.optimizers.Adam(2e-3), loss="binary_crossentropy")
network.optimizer.build(network.trainable_variables)  # else `fit` compiles its first step twice
untrained = network.get_state_tree(value_format="numpy_array")

# %% [markdown]
# The next function trains it from scratch and returns its AUROC on the test cells. First it undoes
# the last training, then it draws new initial weights.
#
# `set_random_seed` fixes all random numbers of Keras, NumPy and TensorFlow. It does not fix how a
# processor rounds. So on another computer the scores of the network may differ a little.


# %%
def network_auroc(images, y, train, test, seed):
    """Train the small network on some cells, and return its AUROC on others."""
    keras.utils.set_random_seed(seed)
    network.set_state_tree(untrained)
    network.set_weights(build_network(images.shape[1]).get_weights())
    network.fit(images[train], y[train], epochs=5, batch_size=32, verbose=0)
    probability = network(images[test], training=False).numpy().ravel()  # `predict`, but faster
    return float(roc_auc_score(y[test], probability))


# %%
seeds = [seed, seed + 1, seed + 2]
same_patients = pd.DataFrame(index=pd.Index(seeds, name="seed"))
same_patients["cnn"] = [network_auroc(small, y, train, test, number) for number in seeds]
same_patients.round(3)

# %% [markdown]
# ## One notebook, three seeds
#
# Here the loop was easy to write, because the training is a function. Most people train in a
# notebook, change the seed by hand and run all cells again. The library **papermill** does that for
# you: it runs a whole notebook with other parameters and keeps the executed copy. The notebook
# needs one cell with the tag `parameters`.
#
# Usually you have such a notebook already. Here we write a short one with three cells: settings,
# imports and training. It trains a random forest, with fewer trees than in lesson 04. Each text
# below is the code of one cell; it is not run yet.

# %%
settings = """seed = 0
cells = "cells.npz"  # where the features and labels are
result = "result.json"  # where the score goes"""

imports = """import json
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score"""

training = """data = np.load(cells)
X, y, train, test = data["X"], data["y"], data["train"], data["test"]
forest = RandomForestClassifier(100, class_weight="balanced", random_state=seed)
forest.fit(X[train], y[train])
auroc = roc_auc_score(y[test], forest.predict_proba(X[test])[:, 1])
with open(result, "w") as file:
    json.dump({"seed": seed, "rf": auroc}, file)
print("AUROC:", round(auroc, 3))"""

# %% [markdown]
# `nbformat` turns the three texts into a notebook.

# %% tags=["nbval-check-output"]
X = lesson.features.to_numpy()  # the hand-crafted features of lesson 04

new_cell = nbformat.v4.new_code_cell
notebook = nbformat.v4.new_notebook()
notebook.cells = [new_cell(text) for text in (settings, imports, training)]
notebook.cells[0].metadata["tags"] = ["parameters"]
kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
notebook.metadata["kernelspec"] = kernel  # which program runs it

folder = lesson.run.resolve() / "seeds"
folder.mkdir(parents=True, exist_ok=True)
nbformat.write(notebook, folder / "training.ipynb")
np.savez(folder / "cells.npz", X=X, y=y, train=train, test=test)
print("parameters:", ", ".join(papermill.inspect_notebook(str(folder / "training.ipynb"))))

# %% [markdown]
# `inspect_notebook` lists the parameters of a notebook. Use it: papermill only warns if you pass a
# name that the notebook does not have. With `seeds=5` in place of `seed=5` every run would have
# seed 0.
#
# Now the loop. Each round starts a new Python process, so the runs cannot influence each other.

# %% tags=["nbval-check-output", "slide"]
for number in seeds:
    papermill.execute_notebook(
        str(folder / "training.ipynb"),
        str(folder / f"seed-{number}.ipynb"),
        parameters={
            "seed": number,
            "cells": str(folder / "cells.npz"),
            "result": str(folder / f"seed-{number}.json"),
        },
        progress_bar=False,
        extra_arguments=["--log-level=CRITICAL"],  # no start-up messages of the new process
    )
    print(f"seed-{number}.ipynb is done")

# %% [markdown]
# Each executed notebook is a record of its parameters, its code and its outputs. Each also
# left its score in a small file, which pandas reads.

# %%
found = [json.loads((folder / f"seed-{number}.json").read_text("utf-8")) for number in seeds]
same_patients["rf"] = pd.DataFrame(found).set_index("seed")["rf"]
same_patients.round(3)

# %% [markdown]
# For comparison we score the models of lesson 04 that use no random numbers. `cross_val_score`
# trains and tests a model once for each pair of training rows and test rows in `cv`. Here that list
# has one pair.

# %%
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

area = lesson.area.reshape(-1, 1)
svm = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
area_baseline = make_pipeline(StandardScaler(), LogisticRegression())

for name, model, inputs in (
    ("svm", svm, X),
    ("area", area_baseline, area),
    ("majority", DummyClassifier(), X),
):
    score = cross_val_score(model, inputs, y, cv=[(train, test)], scoring="roc_auc")
    same_patients[name] = score[0]  # the same for each seed

same_patients.round(3)

# %% [markdown] tags=["slide"]
# `cnn` is the small network, `rf` the random forest. Their scores depend on the seed. Compare the
# network with `area`, the area baseline: a network this small, trained this briefly, is a weak
# model.
#
# The usual summary of such a column is mean ± standard deviation (**SD**). Many papers end here:
# "three seeds, mean and standard deviation".

# %%
same_patients.agg(["mean", "std"]).round(3)

# %% [markdown]
# The SVM and the two baselines have an SD of zero. That does not make them reliable models. It only
# means that they use no random numbers.
#
# **Before you read on:** are you sure now how much the AUROC of the network can change? Who was in
# the test set of each run?
#
# ## The surprise: the test patients were always the same
#
# Every run was tested on the same few patients. The spread between seeds shows how much the random
# numbers matter *for these patients*. It does not show how much the score changes with other
# patients.
#
# So we draw other patients. **Guess first:** by how much will the AUROC of the network change from
# draw to draw, with one seed?
#
# `StratifiedGroupKFold` of lesson 02 fills its folds so evenly that a new seed often gives the same
# folds. For folds that differ we make a table with one row per patient and let
# `RepeatedStratifiedKFold` shuffle its rows. Four folds, repeated twice, give eight **draws**.

# %% tags=["nbval-check-output"]
patients = pd.Series(y).groupby(groups).mean().round().astype(int)  # the class of each patient
folds = RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=seed)

draws = []
for _, chosen in folds.split(patients.index, patients):
    in_test = np.isin(groups, patients.index[chosen])
    draws.append((np.flatnonzero(~in_test), np.flatnonzero(in_test)))
    print(f"draw {len(draws)} is tested on", ", ".join(patients.index[chosen]))

# %% [markdown]
# Each model meets the same eight draws. The seed of the network and of the forest stays the same.
# (Draw 1 has the same test patients as above, so seven draws are new. The score of the network
# still differs a little, because its training cells come in another order.)

# %% tags=["slide"]
forest = RandomForestClassifier(100, class_weight="balanced", random_state=seed)
scores = pd.DataFrame(index=range(1, len(draws) + 1))
scores["cnn"] = [network_auroc(small, y, train, test, seed) for train, test in draws]
for name, model, inputs in (
    ("rf", forest, X),
    ("svm", svm, X),
    ("area", area_baseline, area),
    ("majority", DummyClassifier(), X),
):
    scores[name] = cross_val_score(model, inputs, y, cv=draws, scoring="roc_auc")

scores.rename_axis("draw").round(3)

# %% tags=["slide"]
names = {"cnn": "small network", "rf": "random forest", "svm": "SVM", "area": "area baseline"}
figure, panels = plt.subplots(1, 2, figsize=(8, 3), sharex=True, sharey=True, layout="constrained")
for panel, table in zip(panels, (same_patients, scores), strict=True):
    for row, name in enumerate(names):
        panel.scatter(table[name], [row] * len(table), color=model_colors[name], alpha=0.8)
        panel.scatter(table[name].mean(), row, color="black", marker="|", s=250)
    panel.axvline(0.5, color=model_colors["majority"], linestyle="--")
    panel.set(xlabel="AUROC", xlim=(min(0.45, scores.min().min() - 0.02), 1.0))
panels[0].set_yticks(range(len(names)), names.values())
panels[0].set_ylim(3.5, -0.5)
panels[0].set_title("same patients, three seeds")
panels[1].set_title("same seed, eight draws of patients")
by_seed, by_patients = same_patients["cnn"].std(), scores["cnn"].std()
figure.suptitle(
    f"SD of the small network: {by_seed:.3f} between seeds, {by_patients:.3f} between draws"
)
lesson.save_figure(figure, "seeds", "One dot per run: AUROCs of three seeds and of eight draws.")

# %% [markdown]
# Dots are runs, black ticks are means. The dashed line is the majority-class baseline.
#
# The two numbers in the title are the answers. Compare them with your guesses. Other patients
# change the score more than another seed does, and they change the score of every model: the SVM
# and the area baseline, too. (The SD of three runs is itself rough: the true one may be half as
# large, or six times as large. Repeat the cell with more seeds.) So report the spread between draws
# of patients, and how many patients each test set has.
#
# Compare the ticks, too. If the left one is far from the right one, the first test set was an
# unusually easy or an unusually hard one. With other test patients the order of two models may
# change. Below we measure how often.
#
# ### The same on real cells
#
# Here is the network of lesson 05, not the small one, on real cells. First it was trained with
# three seeds on fold 0 of the dataset and tested on the same patients of fold 1. Then all patients
# of both folds were divided into four test sets. This was done three times, with three seeds, and
# gives twelve more runs.

# %% tags=["nbval-check-output"]
measured = lk.measured("candidates")
real = pd.DataFrame(
    {
        "three seeds": pd.Series(measured["auroc_unseen"]["plain"]).describe(),
        "twelve sets of patients": pd.Series(measured["auroc"]["plain"]).describe(),
    }
)
real.loc[["mean", "std", "min", "max"]].round(3)

# %% [markdown]
# Compare the row *std*: other patients change the AUROC of this network much more than another seed
# does. Do not compare *min* and *max*: the more runs, the further they lie apart. The means differ
# because the training and test patients differ.
#
# ### Exercise 12.1 (6 minutes)
#
# Write `draw_patients(groups, y, seed)`. It draws a quarter of the patients of each class at random
# and returns the row numbers of all their cells. Use `train_test_split` with `stratify` on a table
# with one row per patient, such as `patients` above.


# %% tags=["nbval-check-output"]
def draw_patients(groups, y, seed):
    """Return the rows of the test cells: all cells of a quarter of the patients."""
    table = pd.Series(y).groupby(groups).mean().round()  # solution
    options = {"test_size": 0.25, "stratify": table, "random_state": seed}  # solution
    _, chosen = train_test_split(table.index, **options)  # solution
    return np.flatnonzero(np.isin(groups, chosen))  # solution


lk.check("12.1", draw_patients)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `groupby` makes one row per patient, and the mean label of a patient is its class. Then
# `train_test_split` draws *patients*. Last, `np.isin` finds all cells of those it chose. The usual
# mistake is to split the cells themselves: then one patient has cells on both sides, and the score
# is too high (lesson 02). Without `stratify` some draws have no healthy patient at all.
#
# </details>

# %% [markdown]
# ## The best of several draws scores too high
#
# Nobody publishes the worst of eight draws. What happens if you publish the best one? We take every
# way to choose one, two, four or all eight draws. Of each choice we keep the best score, and then
# we average.

# %%
best = pd.DataFrame(index=pd.Index([1, 2, 4, len(draws)], name="draws tried"))
for name in ("cnn", "svm"):
    for tries in best.index:
        choices = combinations(scores[name], tries)
        best.loc[tries, f"best score, {names[name]}"] = np.mean([max(some) for some in choices])
best.round(3)

# %% tags=["nbval-check-output"]
rises = best.diff().dropna() >= 0
print("With more draws the reported score never falls:", bool(rises.all().all()))

# %% [markdown]
# The model and the cells are the same in each row. Only the number of tries grows, and the reported
# score grows with it. The same happens with the best of several seeds, networks or thresholds.
# **Report all runs, not the best one.**
#
# ## The repair: compare in pairs
#
# Both models met the same patients in each draw. Patients who are hard for one model are often hard
# for the other. So join the scores of each draw by a line before you compare the means.

# %% tags=["slide"]
compared = ["cnn", "svm", "rf"]
figure, panel = plt.subplots(figsize=(6, 3.5), layout="constrained")
for draw in scores.index:
    panel.plot(compared, scores.loc[draw, compared], color="gray", linewidth=1, zorder=1)
for name in compared:
    panel.scatter([name] * len(scores), scores[name], color=model_colors[name], zorder=2)
panel.set_xticks(compared, [names[name] for name in compared])
panel.axhline(0.5, color=model_colors["majority"], linestyle="--")
panel.set(ylabel="AUROC on the test patients", ylim=(min(0.45, scores.min().min() - 0.02), 1.0))
over_rf = int((scores["svm"] > scores["rf"]).sum())
over_cnn = int((scores["svm"] > scores["cnn"]).sum())
figure.suptitle(
    f"The SVM is ahead of the small network in {over_cnn} of {len(scores)} draws,\n"
    f"and ahead of the forest in {over_rf} of {len(scores)}"
)
lesson.save_figure(figure, "pairs", "One line per draw joins the AUROCs of three models.")

# %% [markdown]
# Each line is one draw; the dashed line is the majority-class baseline. Lines that all rise or all
# fall mean that one model is better in each of these draws. Lines in both directions mean that it
# depends on the patients. (The small network stands only for itself: lesson 05 has a stronger one.)
#
# So subtract *draw by draw*, then average. Subtracting cancels what is hard for both models.
#
# ### Exercise 12.2 (5 minutes)
#
# Write `paired(first, second)`. Both are columns with one score per draw. Return three
# numbers about the differences `first - second`: their mean, their standard deviation (with
# `ddof=1`), and how many are above zero.


# %% tags=["nbval-check-output"]
def paired(first, second):
    """Return the mean and SD of the differences, and how often the first is higher."""
    difference = first - second  # solution
    return difference.mean(), difference.std(ddof=1), int((difference > 0).sum())  # solution


lk.check("12.2", paired)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Subtract first, then summarize. The mean is the same as the difference of the two means; the
# standard deviation is not. The usual mistake is to combine the two standard deviations as
# `sqrt(sd1**2 + sd2**2)`: that is right for scores from *different* patients and ignores the pairs.
# Also note that `np.std` divides by n unless you pass `ddof=1`; pandas divides by n - 1.
#
# </details>

# %%
rows = []
for other in ("rf", "cnn"):
    difference = scores["svm"] - scores[other]
    without_pairs = np.sqrt(scores["svm"].var() + scores[other].var())
    rows.append(
        {
            "comparison": f"SVM minus {names[other]}",
            "mean": difference.mean(),
            "SD of the pairs": difference.std(),
            "SD without pairs": without_pairs,
        }
    )
pairs = pd.DataFrame(rows).set_index("comparison")
pairs.round(3)

# %% [markdown]
# The mean difference is the same with and without pairs. If the SD of the pairs is the smaller one,
# pairing has removed noise that both models share.
#
# ### Is the difference more than chance?
#
# Eight draws are few, and they overlap: the same patients come back in other draws. The **standard
# error** says how far a mean may be off. For independent draws it is SD × √(1 / draws), which is
# too small here. Nadeau and Bengio (2003) add the ratio of the test part to the training part:
# SD × √(1 / draws + 1 / 3) with four folds. An approximate 95% interval is
# mean ± t × standard error; t comes from the t distribution.

# %% tags=["slide"]
from scipy import stats

n = len(draws)
widening = stats.t.ppf(0.975, n - 1) * np.sqrt(1 / n + 1 / 3)
for comparison, row in pairs.iterrows():
    half = widening * row["SD of the pairs"]
    low, high = row["mean"] - half, row["mean"] + half
    shown = low > 0 or high < 0
    verdict = "the interval excludes zero" if shown else "these draws do not show which is better"
    print(f"{comparison}: {row['mean']:+.3f} ({low:+.3f} to {high:+.3f}): {verdict}")

# %% [markdown]
# Read the interval like those of lesson 06. If zero is inside, the draws do not show which model is
# better, even if one of them won more often. Zero inside does not mean that the models are equal.
# More draws make the interval a little narrower. Beyond that, only more patients help.
#
# ## Many runs with one command
#
# Loops like these are quick to write. They are also easy to get wrong, and if the power fails,
# everything is lost. The command `leuk sweep` runs a **grid**: a text file that you keep beside the
# results. The entry `fixed` has what all runs share. The entry `grid` has a list of values for each
# name. Every combination is one run. Here `fold` is the number of the test fold in a
# cross-validation with four folds. `seed` also decides how the patients are divided into folds.

# %% tags=["nbval-check-output"]
grid = {
    "task": "train",
    "fixed": {"profile": profile, "seed": seed},
    "grid": {"model": ["svm"], "fold": [0, 1]},
}
print(yaml.safe_dump(grid, sort_keys=False))

# %% [markdown]
# Add the place of the cells, save the file, and start the command. In a terminal you would type
# `leuk sweep grid.yaml --out sweep --workers 1`.

# %%
grid["fixed"]["dataset"] = str(lesson.dataset.root) if dataset == "twin" else dataset
grid_file, out = lesson.run.resolve() / "grid.yaml", lesson.run.resolve() / "sweep"
grid_file.write_text(yaml.safe_dump(grid, sort_keys=False), "utf-8")

leuk = [sys.executable, "-m", "leukhelpers.cli"]  # the command leuk, of this environment
command = [*leuk, "sweep", str(grid_file), "--out", str(out), "--workers", "1", "--resume"]
finished = subprocess.run(command, capture_output=True, text=True)
print("finished" if finished.returncode == 0 else finished.stderr)

# %% [markdown]
# The command checks all entries before the first run starts: a typing error should cost a second,
# not a night. Without `--workers` it starts one process per core of the computer and distributes
# the runs over them. For two short runs that takes longer than it saves. A run that fails is
# recorded with its error and the others go on. `--resume` runs only what is missing.
#
# The results are in one table with one row per run, model and metric. pandas reads it.

# %% tags=["nbval-check-output"]
results = pd.read_csv(out / "results.csv")
print("runs:", results["run"].nunique())
print(results.drop_duplicates("run")["state"].value_counts().to_string())

# %%
auroc = results[results["metric"] == "auroc"].set_index(["fold", "answered_by"])
auroc[["value", "low", "high"]].rename_axis(["fold", "model"]).round(3)

# %% [markdown]
# Each run comes with the area baseline and the majority-class baseline on the same patients. The
# column `answered_by` names the model of a row. `low` and `high` are the ends of the 95% interval
# over these patients (lesson 06). They are empty if one of the classes has only one test patient.
# The folds are usually not the draws of the tables above, so the scores differ.
#
# ### Exercise 12.3 (3 minutes)
#
# Write the entry `grid` for a longer sweep. It has the SVM and the random forest, the seeds 0, 1
# and 2, and all four folds (they count from 0). Count the runs that it describes.

# %% tags=["nbval-check-output"]
my_grid = {"model": ["svm", "rf"], "seed": [0, 1, 2], "fold": [0, 1, 2, 3]}  # solution
lk.check("12.3", my_grid)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Every combination is one run, so the numbers of values multiply: 2 × 3 × 4 = 24 runs. The usual
# mistake is a single value without brackets, such as `"fold": 3`: a grid needs a list for each
# name. (To run this grid, remove `seed` from `fixed`.)
#
# </details>

# %% [markdown]
# ## Going further
#
# - **More seeds or more folds?** If you can afford only a few runs, spend them on other patients. A
#   new seed for each draw costs nothing and includes both sources of chance.
# - **Count before you start.** The grid of exercise 12.3 has 24 runs. With `model: [cnn]` each run
#   trains the network of the course: about a minute on the synthetic dataset, many on real cells.
# - **A cluster.** With `--scheduler` the same grid runs on many computers; see
#   [docs/scale.md](../docs/scale.md).
# - **Papermill or sweep?** Papermill runs any notebook, also without this course. `leuk sweep` adds
#   the check, the parallel runs, the restart and the table; `task: lesson` runs notebooks.
#
# ## Use it on your data
#
# Papermill runs any notebook with a `parameters` cell. This loop trains the network of lesson 05 on
# your cells (the folder `my_table` of lesson 11), once per seed:
#
# ```python
# import json
# from pathlib import Path
#
# import papermill
#
# Path("runs").mkdir(exist_ok=True)
# for seed in range(5):
#     papermill.execute_notebook(
#         "05_cnn_training.ipynb",
#         f"runs/seed-{seed}.ipynb",
#         parameters={"dataset": "my_table", "seed": seed, "run": f"runs/seed-{seed}"},
#     )
#     metrics = json.loads(Path(f"runs/seed-{seed}/metrics.json").read_text("utf-8"))
#     print(seed, metrics["models"]["cnn"]["auroc"]["value"])
# ```
#
# In the lessons of this course `seed` also chooses the patients of the test set. So this loop
# measures both sources of chance together. For your own models keep the pattern of this lesson: one
# row per patient, `RepeatedStratifiedKFold` on these rows, `np.isin` to find their cells.

# %%
lesson.record(
    sd_of_the_network_between_seeds=round(float(by_seed), 3),
    sd_of_the_network_between_patients=round(float(by_patients), 3),
    svm_minus_forest=round(float(pairs["mean"].iloc[0]), 3),
    sd_of_the_pairs=round(float(pairs["SD of the pairs"].iloc[0]), 3),
)

# %% [markdown]
# Two questions to finish. Run the cell and click.

# %%
lesson.quiz()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - A spread between seeds describes the random numbers. A spread between draws of patients shows
#   how much a score depends on which patients are in training and in test. Neither says anything
#   about another laboratory.
# - The best of several runs grows with their number. Report all of them.
# - Compare models on the same draws, in pairs, with an interval that allows for overlapping draws.
# - Papermill runs one notebook with many parameters; `leuk sweep` runs a grid from a file.
#
# Terms: [glossary](../docs/glossary.md).
#
# **Read next:** [docs/scale.md](../docs/scale.md), for more runs than one computer can do. On the
# spread between seeds: Bouthillier et al., "Accounting for variance in machine learning
# benchmarks", MLSys 2021. On repeated splits: Nadeau and Bengio, "Inference for the generalization
# error", *Machine Learning* 52 (2003).
