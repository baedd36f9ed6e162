# %% [markdown] tags=["slide"]
# # 02 · Splits and leakage
#
# After this lesson you will be able to split images so that no patient is in both the training and
# the test set. You will also measure how much a leaking split adds to a score.
#
# **60 minutes to teach · under a minute to run · needs lessons 00 and 01**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - How can you check that a published split keeps patients apart?
# - How do you split by patient with scikit-learn?
# - How much does the way of splitting change a score?
#
# **Objectives**
#
# 1. Compare images by a checksum of their pixels.
# 2. Join subjects into groups, and split by group with `StratifiedGroupKFold`.
# 3. Measure the difference between two ways of splitting, with a 95% interval.

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
from PIL import Image

import leukhelpers as lk

lesson = lk.begin("02", dataset, profile, seed, run)
table = lesson.table.copy()
images, y = lesson.images, lesson.y  # uint8 (n, 96, 96, 3); 0 = HEM (healthy), 1 = ALL
print(f"{len(table)} cells of {table['subject'].nunique()} subjects")

# %% [markdown]
# ## Check the published folds by name
#
# A model learns from the **training set**. The **test set** contains other cells and gives the
# score. In **cross-validation** the cells are divided into parts, called **folds**. Each fold is
# the test set once, and the model learns from the other folds. **Leakage** means that information
# about the test set reaches the training. The [glossary](../docs/glossary.md) explains these terms.
#
# Cells of one patient resemble each other. A fair test therefore uses patients that the model has
# not seen. The challenge published its training cells in three folds, and no patient should be in
# two of them. *Patient* means every person whose cells were photographed, also a healthy one. A
# **subject** is the code of a patient in the file names. We count the folds of each subject.

# %% tags=["nbval-check-output"]
folds_of_subject = table.groupby("subject")["fold"].nunique()
print("subjects in more than one fold:", (folds_of_subject > 1).sum())

# %% [markdown] tags=["slide"]
# By their names, the folds are clean. But names can be wrong. Pixels are better evidence.
#
# **Guess first:** how many of these cells have a copy in the table, that is, another file with
# exactly the same pixels? Write down a number.
#
# ## Compare pixels, not names
#
# A **checksum** turns any amount of data into a short code. SHA-256 is a common one. Equal data
# have equal codes, and it is practically impossible that different data share a code. Comparing
# 64 characters is much faster than comparing all pixels of all pairs of images.

# %%
import hashlib


def pixel_hash(file):
    """Return the SHA-256 of the decoded pixels of an image file."""
    pixels = np.asarray(Image.open(file).convert("RGB"))
    return hashlib.sha256(pixels.tobytes()).hexdigest()


print(pixel_hash(lesson.path(0)))

# %% [markdown]
# Why not the checksum of the file? One image can be stored in several formats. The next cell saves
# the same image twice in memory, as BMP and as PNG.

# %% tags=["nbval-check-output"]
import io

image = Image.open(lesson.path(0)).convert("RGB")
bmp, png = io.BytesIO(), io.BytesIO()
image.save(bmp, "BMP")
image.save(png, "PNG")
print("equal files: ", bmp.getvalue() == png.getvalue())
print("equal pixels:", pixel_hash(bmp) == pixel_hash(png))

# %% [markdown]
# Now we compute the checksum of every cell. `duplicated(keep=False)` marks all rows whose value
# occurs more than once.

# %% tags=["nbval-check-output"]
table["hash"] = [pixel_hash(lesson.path(row)) for row in range(len(table))]
copies = table[table.duplicated("hash", keep=False)]
names_per_image = table.groupby("hash")["subject"].nunique()
print("cells with a copy:                    ", len(copies))
print("images with two or more subject names:", (names_per_image > 1).sum())

# %% [markdown]
# Was your guess close? The next cell lists the subjects and the folds of the copies. It has one
# row per combination of subjects.

# %% tags=["nbval-check-output", "slide"]
shared = (
    copies.sort_values("subject")
    .groupby("hash")
    .agg(subjects=("subject", " and ".join), folds=("fold", " and ".join))
)
shared.value_counts().rename("images").to_frame()

# %% [markdown]
# In the synthetic dataset most of these images have two subject names, and most are in two folds.
# For example, subjects 20 and 21 share images across folds 0 and 2. A model that learns from one
# copy and is tested on the other has already seen the correct label. Only copies within one
# subject, such as those of H10, do no harm to a split by subject.
#
# The figure shows one pair, brightened for display. (A dataset without such a pair skips it.)

# %% tags=["slide"]
if (names_per_image > 1).any():
    pair = np.flatnonzero(table["hash"] == names_per_image.idxmax())[:2]
    first = np.asarray(Image.open(lesson.path(pair[0])).convert("RGB"))
    second = np.asarray(Image.open(lesson.path(pair[1])).convert("RGB"))
    difference = np.abs(first.astype(int) - second).astype(np.uint8)
    figure, panels = plt.subplots(1, 3, figsize=(8, 3.2), layout="constrained")
    for panel, picture in zip(panels, (first, second, difference), strict=True):
        panel.imshow(lk.brighten(picture))
        panel.axis("off")
    for panel, row in zip(panels[:2], pair, strict=True):
        panel.set_title(f"subject {table['subject'][row]}, fold {table['fold'][row]}")
    panels[2].set_title(f"difference: {difference.max()} everywhere")
    figure.suptitle("Two subjects, one image: every pixel is equal")
    lesson.save_figure(figure, "pair", "One cell under two subject names, and their difference: 0.")

# %% [markdown]
# ### Is this true for the real cells?
#
# The synthetic dataset imitates the published one. `lk.read_published()` returns the list of all
# published files with the checksum of each. It contains no pixels. These are checksums of files:
# equal files have equal pixels. The same code finds the copies in the real training folds.

# %% tags=["nbval-check-output", "slide"]
published = lk.read_published()
training = published[published["fold"].isin(["0", "1", "2"])]
real_copies = training[training.duplicated("checksum", keep=False)]
real_shared = (
    real_copies.sort_values("subject")
    .groupby("checksum")
    .agg(subjects=("subject", " and ".join), folds=("fold", " and ".join))
)
print(f"{len(training):,} published training files, {len(real_copies)} of them have a copy")
real_shared.value_counts().rename("images").to_frame()

# %% [markdown]
# So the real folds leak as well. Most of the copies belong to subjects 20 and 21, who are in
# different folds. They may be one patient under two names. The published files do not show why.
#
# ### Exercise 02.1 (5 minutes)
#
# Write `copied_cells(table, column)`. It returns the number of *cells* whose image also appears
# with another value in `column`. With `"subject"` it counts the cells that share an image with
# another subject. With `"fold"` it counts the cells with a copy in another fold. The images are in
# the column `"hash"`. Hint: `transform("nunique")` works like `nunique()`, but returns one value
# per row.


# %% tags=["nbval-check-output"]
def copied_cells(table, column):
    """Return the number of cells whose image also has another value in `column`."""
    n_values = table.groupby("hash")[column].transform("nunique")  # solution
    return int((n_values > 1).sum())  # solution


lk.check("02.1", copied_cells)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `groupby("hash")` collects the copies of an image. `transform("nunique")` writes the number of
# different values next to each cell, so the sum counts cells. The usual mistake is `nunique()`
# without `transform`: it has one row per image, and the sum counts images. Another one is
# `duplicated("hash")`: it also counts copies that have the same value in `column`.
#
# </details>

# %% [markdown] tags=["slide"]
# ## Join subjects into groups
#
# Subjects who share an image must stay on the same side of a split. It is not enough to look at
# pairs. In this small example an edge connects a subject with an image:
#
# ```text
# P ── a ── Q ── b ── R        S ── c
# ```
#
# P and R share no image. But P must stay with Q, and Q must stay with R. So P, Q and R form one
# **group**, and S forms another. In graph theory a group is a **connected component**: all nodes
# that can be reached from each other along edges. SciPy finds the components of a graph.
#
# The function below numbers the subjects and the images with `pd.factorize`. The numbers of the
# images start after those of the subjects, so that each node has its own number. `coo_array` stores
# one edge per cell.

# %% tags=["nbval-check-output"]
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def join_subjects(table):
    """Return a group number per cell; subjects that share an image are in one group."""
    subject, subjects = pd.factorize(table["subject"])
    image, hashes = pd.factorize(table["hash"])
    n_nodes = len(subjects) + len(hashes)
    edges = (np.ones(len(table)), (subject, len(subjects) + image))
    graph = coo_array(edges, shape=(n_nodes, n_nodes))
    _, group_of_node = connected_components(graph, directed=False)
    return group_of_node[subject]


toy = pd.DataFrame({"subject": list("PQQRS"), "hash": list("aabbc")})
print(toy.assign(group=join_subjects(toy)).to_string(index=False))

# %% [markdown]
# The function works on the toy example. Now we use it on the cells.

# %% tags=["nbval-check-output", "slide"]
group = join_subjects(table)
print("subjects:", table["subject"].nunique(), " groups:", len(np.unique(group)))
members = table.assign(group=group).drop_duplicates(["group", "subject"])
names = members.sort_values("subject").groupby("group")["subject"].agg(" + ".join)
print("joined: ", sorted(names[names.str.contains("+", regex=False)]))

# %% [markdown]
# We do the same for the published list of the real training set.

# %% tags=["nbval-check-output"]
real_group = join_subjects(training.rename(columns={"checksum": "hash"}))
print("subjects:", training["subject"].nunique(), " groups:", len(np.unique(real_group)))

# %% [markdown]
# The published training set has fewer groups than subjects, and so has the synthetic dataset. From
# here on we split by group.
#
# ## Let the code refuse a split that leaks
#
# A split is honest if no group has cells on both sides. This can be tested in one line.
#
# ### Exercise 02.2 (5 minutes)
#
# Write `shared_groups(group, train, test)`. `group` holds the group of each cell. `train` and
# `test` are arrays of row numbers. The function returns a sorted list of the groups that have cells
# in both parts; the list is empty if the split is honest.


# %% tags=["nbval-check-output"]
def shared_groups(group, train, test):
    """Return a sorted list of the groups that have cells in both parts."""
    return sorted(set(group[train]) & set(group[test]))  # solution


lk.check("02.2", shared_groups)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `group[train]` are the groups of the training cells. The operator `&` keeps what is in both sets.
# `np.intersect1d(group[train], group[test])` does the same. The usual mistake is to compare `train`
# and `test` themselves: they are row numbers, and no split has a row in both parts.
#
# </details>

# %% [markdown]
# A test that you must remember is easy to forget. In this course, a split is an object that runs
# this test whenever it is created. `lesson.split` is such an object. `replace` creates a copy with
# other row numbers. We try to use the last published fold as the test set.

# %% tags=["nbval-check-output", "slide"]
from dataclasses import replace

in_last_fold = (table["fold"] == table["fold"].max()).to_numpy()
rest, last = np.flatnonzero(~in_last_fold), np.flatnonzero(in_last_fold)
no_rows = np.array([], dtype=int)
try:
    replace(lesson.split, train=rest, validation=no_rows, test=last)
    print("Accepted: the two parts share no group.")
except lk.SharedGroupError as error:
    print("SharedGroupError:", error)

# %% [markdown]
# The error names the groups that are in both parts. It is an error and not a warning, because
# nothing that follows from such a split can be trusted.
#
# ## Repair the published folds
#
# The folds can still be used. We move each group as a whole into the fold that holds most of its
# cells. In statistics, the most frequent value is called the **mode**.

# %% tags=["nbval-check-output", "slide"]
repaired = table["fold"].groupby(group).transform(lambda fold: fold.mode()[0])
for name, fold in (("published", table["fold"]), ("repaired", repaired)):
    folds_per_image = table.assign(fold=fold).groupby("hash")["fold"].nunique()
    print(name, fold.value_counts().sort_index().to_dict())
    print("  images that are in two folds:", (folds_per_image > 1).sum())

# %% [markdown]
# The first line of each pair shows the number of cells per fold. After the repair no image is in
# two folds. The folds are now less equal in size, because whole groups have moved.
#
# ### Exercise 02.3 (3 minutes)
#
# How many *subjects* changed their fold? Compute the number from `table` and `repaired`. (A dataset
# with one fold has 0.)

# %% tags=["nbval-check-output"]
moved = table.loc[repaired != table["fold"], "subject"].nunique()  # solution
lk.check("02.3", moved, table=table)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `repaired != table["fold"]` marks the cells whose fold changed. `nunique` counts each of their
# subjects once. The usual mistake is to count the cells. Few subjects move, because a group stays
# where most of its cells already are.
#
# </details>

# %% [markdown]
# ## Three splitters of scikit-learn
#
# Often there are no published folds. Scikit-learn has several **splitters**, which create folds:
#
# - `StratifiedKFold` assigns single images. Each fold has about the same share of both classes.
# - `GroupKFold` keeps each group in one fold and makes the folds about equally large.
# - `StratifiedGroupKFold` keeps each group in one fold and also balances the classes.
#
# A splitter returns pairs of row numbers. For each pair we count the groups on both sides.

# %% tags=["slide"]
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

by_image = StratifiedKFold(4, shuffle=True, random_state=seed)
by_group = StratifiedGroupKFold(4)  # balances the folds itself


def describe(name, pairs):
    """Print size, share of ALL and shared groups of each fold."""
    for train, test in pairs:
        shared = np.intersect1d(group[train], group[test])
        print(f"{name:21s}{len(test):5d} cells, {y[test].mean():.0%} ALL, {len(shared)} shared")


describe("StratifiedKFold", by_image.split(images, y))
describe("GroupKFold", GroupKFold(4).split(images, y, groups=group))
describe("StratifiedGroupKFold", by_group.split(images, y, groups=group))

# %% [markdown]
# With `StratifiedKFold`, every test fold shares nearly all groups with the training set. With the
# other two it shares none. `GroupKFold` ignores the classes, so the share of ALL differs from fold
# to fold. `StratifiedGroupKFold` keeps it closer. So it is the usual choice for patients.
#
# **A trap:** all splitters accept an argument `groups`. `StratifiedKFold` ignores it and only
# prints a warning.
#
# ## Measure the leak: split by image and by group
#
# Now we test the same models on the same cells in two ways: by image and by group. Only the
# splitter changes. **Guess first:** by how much will the score change?
#
# The models use seven simple features: the area of the cell, and the mean and the spread of its
# three colors. The background of every image is black, so a pixel belongs to the cell if any
# channel is above zero.

# %%
rows = []
for image in images:
    inside = image[image.max(axis=-1) > 0]  # the pixels of the cell, shape (n, 3)
    rows.append([len(inside), *inside.mean(axis=0), *inside.std(axis=0)])
X = np.array(rows)
print("shape of the features:", X.shape)

# %% [markdown]
# The first model is a **support vector machine** (SVM). It looks for a border between the classes.
# `StandardScaler` brings the features to one scale, and `class_weight="balanced"` gives both
# classes the same weight. Lesson 04 explains the model.
#
# `cross_val_score` trains it once per fold and returns one score per fold. The score is the
# **AUROC**: the share of pairs of an ALL and a HEM cell in which the ALL cell gets the higher
# prediction. 1.00 is perfect, 0.5 is chance.

# %% tags=["slide"]
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

svm = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
image_scores = cross_val_score(svm, X, y, cv=by_image, scoring="roc_auc")
group_scores = cross_val_score(svm, X, y, groups=group, cv=by_group, scoring="roc_auc")
print("split by image:", image_scores.round(2), " mean", image_scores.mean().round(2))
print("split by group:", group_scores.round(2), " mean", group_scores.mean().round(2))

# %% [markdown]
# The mean by image is higher, although the model, the features and the cells are the same. With the
# default settings, the scores by group also differ more from fold to fold. Each test fold contains
# only a few patients, and one difficult patient changes the score. This spread is real uncertainty.
# The split by image hides it. (The difference between the means is measured below, with an
# interval.)
#
# ### Why is the score by image higher?
#
# A possible explanation: the model recognizes the patient. All cells of a patient have the same
# label, so a recognized patient reveals the class. We can test this. The next cell trains the
# same model to predict the *subject*. For comparison, `DummyClassifier` always predicts the most
# frequent subject. The score is the accuracy, the share of correct predictions.

# %% tags=["slide"]
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import KFold

subject, single_cells = table["subject"], KFold(4, shuffle=True, random_state=seed)
recognizer = make_pipeline(StandardScaler(), SVC(C=3))  # accuracy counts cells: no class weights
baseline = cross_val_score(DummyClassifier(), X, subject, cv=single_cells).mean()
print(f"most frequent subject:      {baseline:.0%}")
for name, features in (("area alone", X[:, :1]), ("all seven features", X)):
    accuracy = cross_val_score(recognizer, features, subject, cv=single_cells).mean()
    print(f"SVM with {name:19s}{accuracy:.0%}")

# %% [markdown]
# With all seven features the model recognizes patients far better than the baseline. This supports
# the explanation: the color of the stain differs from patient to patient (lesson 01). With the area
# alone it is about as good as the baseline. Exact copies of test cells in the training set can also
# raise the score by image, because a copy has the same class. (They do not help to recognize the
# subject: most copies carry the name of another one.)
#
# ### Two models and a baseline
#
# Does this depend on the model? We add a **random forest**. It averages many decision trees, and
# each tree asks a few yes-or-no questions about the features. We also add the **area baseline**: a
# logistic regression, which turns the cell area into a probability. `cross_val_predict` returns one
# prediction per cell, made by the model that was not trained on its fold. We need these predictions
# to compute an interval. The argument `cv` also takes a list of pairs of row numbers.

# %%
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

area = make_pipeline(StandardScaler(), LogisticRegression())
forest = RandomForestClassifier(50, class_weight="balanced", random_state=seed)
folds = {"image": list(by_image.split(X, y)), "group": list(by_group.split(X, y, groups=group))}
scores = {}  # the higher a score, the more the cell looks like ALL
for way, pairs in folds.items():
    scores["svm", way] = cross_val_predict(svm, X, y, cv=pairs, method="decision_function")
    proba = cross_val_predict(forest, X, y, cv=pairs, method="predict_proba")
    scores["rf", way] = proba[:, 1]  # the column of ALL
    proba = cross_val_predict(area, X[:, :1], y, cv=pairs, method="predict_proba")
    scores["area", way] = proba[:, 1]

# %% [markdown]
# A difference between two scores needs an **interval**: other patients would give another number.
# The **bootstrap** imitates other patients. It draws as many groups as there are, with replacement,
# and computes the difference again. The middle 95% of many such differences form the interval. Both
# scores use the same drawn groups, so the comparison is **paired**: if a patient is difficult for
# both, both scores fall, and the difference stays about the same. Lesson 06 treats the bootstrap in
# detail.

# %%
from sklearn.metrics import roc_auc_score

rows_of_group = [np.flatnonzero(group == number) for number in np.unique(group)]


def draw_aurocs(n_resamples=400):
    """Return a table with one row per draw of groups and one AUROC per model and split."""
    rng = np.random.default_rng(seed)
    aurocs = []
    for _ in range(n_resamples):
        drawn = rng.integers(len(rows_of_group), size=len(rows_of_group))
        rows = np.concatenate([rows_of_group[number] for number in drawn])
        if len(np.unique(y[rows])) == 2:  # AUROC needs both classes
            values = {key: roc_auc_score(y[rows], score[rows]) for key, score in scores.items()}
            aurocs.append(values)
    return pd.DataFrame(aurocs)


draws = draw_aurocs()


def compare(first, second):
    """Return the AUROC of the first minus that of the second, with a 95% interval over groups."""
    low, high = np.percentile(draws[first] - draws[second], [2.5, 97.5])
    difference = roc_auc_score(y, scores[first]) - roc_auc_score(y, scores[second])
    return {"difference": difference, "low": low, "high": high}


# %% [markdown]
# First we compare the two ways of splitting for each model.

# %% tags=["slide"]
rows = []
for name in ("svm", "rf", "area"):
    aurocs = {f"by {way}": roc_auc_score(y, scores[name, way]) for way in ("image", "group")}
    rows.append({"model": name, **aurocs, **compare((name, "image"), (name, "group"))})
leak = pd.DataFrame(rows).set_index("model")
leak.round(3)

# %% [markdown]
# The column *difference* is the **optimism of the image-level split**. It is computed before
# rounding. These AUROCs rank all cells together, so they can differ slightly from the means over
# folds above.

# %% tags=["slide"]
titles = {"svm": "SVM", "rf": "random forest", "area": "area baseline"}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
for place, (name, row) in enumerate(leak.iterrows()):
    color = lk.MODEL_COLORS[name]
    left.plot(row[["by group", "by image"]], [place, place], color=color)
    left.plot(row["by group"], place, "o", color=color)
    left.plot(row["by image"], place, "s", color=color, markerfacecolor="white")
    right.plot(row[["low", "high"]], [place, place], color=color)
    right.plot(row["difference"], place, "D", color=color)
left.set(xlabel="AUROC (circle: by group, square: by image)", ylim=(2.5, -0.5))
left.set_yticks(range(3), [titles[name] for name in leak.index])
right.axvline(0, color="gray", linewidth=1)
right.set(xlabel="difference, with 95% interval")
right.locator_params(axis="x", nbins=6)
svm_row = leak.loc["svm"]
figure.suptitle(
    f"Splitting by image changes the AUROC of the SVM by {svm_row['difference']:+.2f} "
    f"(95% interval {svm_row['low']:+.2f} to {svm_row['high']:+.2f})"
)
lesson.save_figure(figure, "leak", "AUROC of three models by image and by group, with intervals.")

# %% [markdown]
# Read each interval like this. If it lies above zero, the split by image makes this model look
# better than it is. If it contains zero, these patients do not show a difference; they do not prove
# that there is none.
#
# The area baseline is a control: one number says little about the patient, and a logistic
# regression cannot memorize single cells. So the way of splitting should make little difference to
# it. The SVM and the forest also use color and can memorize, and their differences are larger. This
# control does not show which of the two reasons matters more.
#
# A leak can also change a conclusion. Are the two models better than the area baseline? The next
# cell compares them with it, first by image and then by group.

# %% tags=["slide"]
rows = []
for way in ("image", "group"):
    for name in ("svm", "rf"):
        above = compare((name, way), ("area", way))
        shown = above["low"] > 0
        rows.append({"split": f"by {way}", "model": name, **above, "better than area": shown})
pd.DataFrame(rows).set_index(["split", "model"]).round(3)

# %% [markdown]
# The last column is True if the whole interval lies above zero. With the default settings this is
# the case for the SVM when the split is by image. By group, neither model is shown to be better
# than the area baseline: on unseen patients, seven features may be worth no more than one. The
# majority-class baseline has an AUROC of 0.5 either way.
#
# Do real cells show the same? The course ran these comparisons on the first published fold. The
# first three rows compare the two ways of splitting. The other rows compare a model with the area
# baseline. `AUROC` belongs to the model and split in the first two columns. `other AUROC` belongs
# to what it is compared with.

# %% tags=["nbval-check-output", "slide"]
real = lk.measured("split_leak")
comparisons = pd.DataFrame(real["comparisons"])
comparisons = comparisons.rename(columns={"auroc_a": "AUROC", "auroc_b": "other AUROC"})
comparisons.set_index(["model", "split", "compared_with", "its_split"]).round(3)

# %% [markdown]
# On the real cells the intervals of the first two rows lie above zero. So the split by image makes
# both models look better than they are. It also changes the conclusion. By image, both models beat
# the area baseline clearly. By group, neither is shown to beat it.
#
# The intervals have a limit: the models are not trained again for each draw. The chance in the
# training is not included.
#
# ## Choose a splitter
#
# Read this table from top to bottom, and take every line whose answer is *yes*.
#
# | question about your data | if yes |
# | --- | --- |
# | Do some patients have several images? | `StratifiedGroupKFold` with `groups=patient` |
# | Do patients share images, or are they relatives? | join them first, then `groups=group` |
# | Should the model work in a new hospital? | `LeaveOneGroupOut` with `groups=hospital` |
# | Should it work on future patients? | train on earlier patients, test on later ones |
# | Are there published folds? | repair them, then `LeaveOneGroupOut` with `groups=repaired` |
# | Has a class fewer groups than you want folds? | use fewer folds, report an interval |
# | Do you choose settings by a score? | `GridSearchCV(..., cv=by_group)`, on training cells only |
# | Is every line above *no*? | `StratifiedKFold` is enough |
#
# `GridSearchCV` needs the groups, too: `search.fit(X[train], y[train], groups=group[train])`, where
# `train` holds the rows of the training cells.
#
# ### Exercise 02.4 (6 minutes)
#
# A colleague cuts each image into two halves, to have twice as many. The table `tiles` has one row
# per half, with the columns `tile_id`, `cell_id`, `subject`, `group` and `label`. Write
# `make_folds(tiles)`. It returns a list of four pairs `(train, test)` of row numbers. Choose the
# column that must stay together, and keep both classes in each test fold.


# %% tags=["nbval-check-output"]
def make_folds(tiles):
    """Return a list of four (train, test) pairs of row numbers."""
    splitter = StratifiedGroupKFold(4)  # solution
    return list(splitter.split(tiles, tiles["label"], groups=tiles["group"]))  # solution


lk.check("02.4", make_folds)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Two halves of a cell, two cells of a patient, and two patients with a common image all belong
# together. The column `group` covers all three. There are four usual mistakes.
#
# - `groups=tiles["cell_id"]` keeps the halves together, but not the patient.
# - `groups=tiles["subject"]` ignores shared images.
# - `StratifiedKFold` ignores `groups`.
# - `split` returns a generator, which can be read only once. `list` keeps the pairs.
#
# </details>

# %% [markdown]
# ## The split that this course uses
#
# From here on, all lessons use `lesson.split`. A quarter of the groups of each class is the test
# set. A quarter of the remaining groups is the **validation set**, with which we choose settings,
# for example when to stop training. The groups are assigned at random with the seed. (The
# comparisons above used all cells, so its test patients are not entirely new to us.)

# %% tags=["nbval-check-output", "slide"]
part = np.full(len(table), "validation")
part[lesson.split.train] = "training"
part[lesson.split.test] = "test"
cells = table.assign(part=part, group=group)
counts = cells.groupby("part").agg(cells=("hash", "size"), groups=("group", "nunique"))
counts["HEM groups"] = cells[y == 0].groupby("part")["group"].nunique()
counts["% of groups"] = (100 * counts["groups"] / counts["groups"].sum()).round().astype(int)
counts["% of cells"] = (100 * counts["cells"] / counts["cells"].sum()).round().astype(int)
counts.loc[["training", "validation", "test"]]

# %% [markdown]
# The last two columns differ, because some patients have many cells and some have few. A group is
# never cut, so a quarter of the groups is rarely a quarter of the cells.

# %%
lesson.record(
    cells_with_a_copy=len(copies),
    subjects=int(table["subject"].nunique()),
    groups=len(np.unique(group)),
    **{f"{name}_AUROC_by_image": round(row["by image"], 3) for name, row in leak.iterrows()},
    **{f"{name}_AUROC_by_group": round(row["by group"], 3) for name, row in leak.iterrows()},
    **{f"{name}_optimism": round(row["difference"], 3) for name, row in leak.iterrows()},
)

# %% [markdown]
# ## Going further
#
# **Images that are nearly equal.** A checksum changes completely if one pixel changes. A
# **perceptual hash** describes what an image looks like, and similar images have similar codes. The
# distance between two codes is the number of bits that differ. The package `imagehash` computes it.

# %% tags=["nbval-check-output"]
import imagehash

original = Image.open(lesson.path(0)).convert("RGB")
brighter = original.point(lambda value: min(value + 5, 255) if value else 0)
other = Image.open(lesson.path(len(table) - 1)).convert("RGB")
for name, picture in (("slightly brighter", brighter), ("another cell", other)):
    equal = np.array_equal(np.asarray(original), np.asarray(picture))
    bits = imagehash.phash(original, hash_size=20) - imagehash.phash(picture, hash_size=20)
    print(f"{name:18s} equal pixels: {equal}, different bits: {bits} of 400")

# %% [markdown]
# `lk.near_duplicates` compares all pairs of cells in this way. The synthetic dataset has no such
# pairs. In the real fold 0 there are several hundred that differ in at most 40 of 400 bits:
# probably one cell in two photographs. A few of them join two subjects. The groups of the real
# cells above do not take this into account. A perceptual hash can be wrong, so it only suggests
# pairs. Look at them before you join two subjects.

# %% tags=["nbval-check-output"]
similar = lk.near_duplicates(images, table)
print("pairs that look alike without being equal:", len(similar))
if len(similar):
    print(similar[["cell_a", "cell_b", "distance"]].head().to_string(index=False))

# %% [markdown]
# ## Use it on your data
#
# This block needs only public libraries and the two functions `pixel_hash` and `join_subjects`
# from above. Adapt the first five lines to your folder. Here the class is the name of the folder,
# and the subject is the first part of the file name. In C-NMC it is the second part:
# `split("_")[1]`. With the wrong part, all images may become one subject. So look at the number of
# subjects first.
#
# ```python
# from pathlib import Path
#
# files = sorted(Path("my_cells").glob("*/*.png"))
# mine = pd.DataFrame({"file": files})
# mine["label"] = [file.parent.name for file in files]
# mine["subject"] = [file.name.split("_")[0] for file in files]
# mine["hash"] = [pixel_hash(file) for file in files]
#
# mine["group"] = join_subjects(mine)
# print(mine["subject"].nunique(), "subjects in", mine["group"].nunique(), "groups")
# labels_per_image = mine.groupby("hash")["label"].nunique()
# print("images with two labels (label errors):", (labels_per_image > 1).sum())
#
# pairs = list(StratifiedGroupKFold(4).split(mine, mine["label"], groups=mine["group"]))
# for train, test in pairs:
#     assert not set(mine["group"].iloc[train]) & set(mine["group"].iloc[test])
#     print(mine["label"].iloc[test].value_counts().to_dict())
#
# # With a model and a table X of features, one row per image:
# # cross_val_score(model, X, mine["label"], cv=pairs, scoring="roc_auc")
#
# # For three parts, split the training rows once more:
# rest, test = pairs[0]
# inner = StratifiedGroupKFold(4).split(rest, mine["label"].iloc[rest], mine["group"].iloc[rest])
# train, validation = (rest[rows] for rows in next(inner))
# ```
#
# Look at the printed numbers. A fold with images of only one healthy patient says little.
#
# To finish, run the next cell and click your answers.

# %%
lesson.quiz()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Compare pixels, not names. Subjects who share an image form one group.
# - Split by group with `StratifiedGroupKFold`, and let the code refuse a split that shares a group.
# - Published folds can leak. Move whole groups to repair them.
# - A split by image can raise a score without a better model. Report the score by group, with an
#   interval over groups and the area baseline next to it.
#
# **Read next:** lesson 03. On leakage in many sciences: Kapoor and Narayanan, "Leakage and the
# reproducibility crisis in machine-learning-based science", *Patterns* 4 (2023).
