# %% [markdown] tags=["slide"]
# # 10 · Autopsy of a paper
#
# After this lesson you will be able to find out from a paper's own table what its network answered.
#
# **50 minutes to teach · about a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - How can a network that gives everybody the same answer be right in two of three cases?
# - Can two class names be exchanged, and nobody notice?
# - What does each mistake cost, and what does its repair bring?
#
# **Objectives** – you will
#
# 1. rebuild a published table to the last digit from two numbers;
# 2. show by arithmetic alone whose names stand in it the wrong way round;
# 3. repair a study one mistake at a time, and say what each one was worth.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import numpy as np
import pandas as pd
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split

from leukhelpers import plots
from leukhelpers.backend import keras
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.data.published import read_published
from leukhelpers.data.schema import CLASS_NAMES, check_labels
from leukhelpers.errors import InputError
from leukhelpers.evaluation import metrics
from leukhelpers.images import preprocessing
from leukhelpers.models import classical, training
from leukhelpers.splits import groups

here = lesson.begin("10", dataset, profile, seed, run)
prepared = here.prepare()
table, note = prepared.table, prepared.dataset.note

# %% [markdown]
# The paper from which this course starts shall stay unnamed. Its authors did what most of us have
# done at some time: they took a well-known data set from Kaggle, trained a network with the usual
# recipe, and printed what the program printed. We open their study as a pathologist would, not to
# blame anybody, but to learn what went wrong.
#
# ## The table
#
# The paper claims that its network detects leukemia with high accuracy. This is the classification
# report that it prints, digit for digit:

# %% tags=["nbval-check-output"]
paper = pd.DataFrame(
    {
        "precision": [0.68, 0.00],
        "recall": [1.00, 0.00],
        "f1": [0.81, 0.00],
        "support": [1455, 678],
    },
    index=["HEM", "ALL"],
)
print(paper.to_string(float_format="%.2f"))
print(f"accuracy 0.68 of {paper['support'].sum()} cells")

# %% [markdown]
# Before you read on, take a minute: what did this network answer?
#
# **Its answers.** The recall of one row is 1 and of the other 0: *every* cell got the first row's
# name. Everything else in the table follows from the two supports. No network is needed:

# %% tags=["nbval-check-output"]
first, second = 1455, 678
precision = first / (first + second)  # all cells are called by the first name
f1 = 2 * precision * 1 / (precision + 1)
print(f"precision {precision:.2f}, f1 {f1:.2f}, accuracy {precision:.2f}")
print(f"balanced accuracy {(1 + 0) / 2:.2f}, what guessing gives")

# %% [markdown]
# **Its names.** How many cells are in the public data, and how many of each class are a fifth of
# them? The package carries the list of the published files, names only.

# %% tags=["nbval-check-output"]
published = read_published()
training_set = published[published["fold"].isin(["0", "1", "2"])]
for label, name in enumerate(CLASS_NAMES):
    n = int((training_set["label"] == label).sum())
    print(f"{name}: {n} cells, a fifth of them: {n / 5:.1f}")
print(f"both: {len(training_set)} cells, a fifth of them: {len(training_set) / 5:.1f}")

# %% [markdown] tags=["slide"]
# ## The surprise: the names are exchanged
#
# The report has a row of 1455 cells. That is a fifth of the **leukemic** ones, and it stands under
# the name HEM. The row of 678 is a fifth of the healthy ones, and is called ALL. (The usual program
# rounds a fifth of all cells up, to 2133, and shares these out like the whole: 1455 and 678.)
# Nothing else fits: how many healthy cells a fifth holds that is drawn at random varies by some
# twenty, and 1455 is far out of reach.
#
# How may that have happened? A program that reads folders sorts their names: `all` comes before
# `hem`, so leukemic becomes 0 and healthy 1. Whoever then prints the report may write the names in
# another order, healthy first. The table looks the same as a right one. It says the opposite.
#
# So the paper's network calls *every* cell leukemic, and the paper believes that it calls every
# cell healthy.
#
# ## The patient once more
#
# Arithmetic shows what the network answered. Let us now rebuild the study, as far as the paper
# tells it: resize, scale to 0 … 1; convolution, ReLU, max pooling, dropout
# and dense layers; a fifth of the *pictures* drawn at random, which serves for the curves and for
# the report; accuracy as the only measure.
#
# What made their network *collapse*, that is, give every cell the same answer, the paper does not
# tell, and its table cannot: any network that always gives one answer prints it. We plant the
# second silent mistake of lesson 03: the pixels are scaled **twice**. To save time we leave out the
# augmentation. And we leave out batch normalization, which the paper has: with it, this mistake
# might not make the network collapse. So this is not how theirs failed, only one way to the same
# table. (`stratify` keeps the share of each class.)

# %%
n, side = len(table), prepared.pixels.shape[1] // 4  # a quarter of the width, to save time
small = prepared.pixels.reshape(n, side, 4, side, 4, 3).mean(axis=(2, 4)).astype(np.uint8)
names = ["all" if label == 1 else "hem" for label in table["label"]]
number = {name: place for place, name in enumerate(sorted(set(names)))}
sorted_labels = np.array([number[name] for name in names])
print("numbers of the classes, by the alphabet:", number)
rows, fifth = train_test_split(
    np.arange(n), test_size=0.2, stratify=sorted_labels, random_state=seed
)


# %%
training.make_deterministic(seed)


def small_network():
    """Lay out convolution, ReLU, max pooling, dropout, dense and sigmoid."""
    layers = keras.layers
    inputs = x = keras.Input((side, side, 3))
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.Dense(64, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


# %%
stopping = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
network = small_network()
network.compile("adam", "binary_crossentropy", metrics=["accuracy"])
network.optimizer.build(network.trainable_variables)
variables = [*network.variables, *network.optimizer.variables]
at_first = [variable.numpy() for variable in variables]


def train(scale, labels, rows, watched, weights=None):
    """Train from the same first weights; keep the epoch that does best on the watched rows."""
    for variable, value in zip(variables, at_first, strict=True):
        variable.assign(value)
    return network.fit(
        scale * small[rows],
        labels[rows],
        validation_data=(scale * small[watched], labels[watched]),
        epochs=5,
        batch_size=64,
        callbacks=[stopping],
        class_weight=weights,
        verbose=0,
    )


# %%
twice = 1 / 255 / 255
history = pd.DataFrame(train(twice, sorted_labels, rows, fifth).history)
answers = network.predict(twice * small[fifth], verbose=0)[:, 0]
history[["accuracy", "val_accuracy"]].round(3)

# %% [markdown]
# A curve that lies still at a number well above one half: to a hurried eye the network "has
# converged". Now its answers on a test set of the *real* size. No real picture is needed for that.
# Draw a fifth of the published list, and give each name one of the answers that the network gave to
# pictures of the same class.

# %% tags=["nbval-check-output"]
_, listed = train_test_split(
    training_set, test_size=0.2, stratify=training_set["label"], random_state=seed
)
truth = 1 - listed["label"].to_numpy()  # as the alphabet has it: leukemic is 0
given = np.zeros(len(truth))
draw = np.random.default_rng(seed)
for kind in (0, 1):
    of_kind = answers[sorted_labels[fifth] == kind]
    given[truth == kind] = draw.choice(of_kind, (truth == kind).sum())
print(classification_report(truth, given >= 0.5, target_names=["HEM", "ALL"], zero_division=0))

# %% tags=["nbval-check-output"]
again = metrics.report_of(truth, given >= 0.5, ["HEM", "ALL"])
same = again.loc[paper.index, paper.columns].round(2).equals(paper)
print(
    "The paper's table, to the last digit:", "yes" if same else "no, this network did not collapse"
)

# %% [markdown]
# Since all its answers are on one side, it does not matter which of them a name gets. Every network
# that answers so prints this table, however well or badly it was trained.
#
# ## Five findings, five tools
#
# **First: the names.** Never number classes by the alphabet. The file's name says what a cell is,
# and the package compares:

# %% tags=["nbval-check-output"]
try:
    check_labels(table["cell_id"].tolist(), sorted_labels)
except InputError as error:
    print("Refused:", error)
labels = table["label"].to_numpy()

# %% [markdown]
# **Second: accuracy alone.** Beside the majority answer, and with each class for itself, nobody is
# deceived for long.

# %%
by_image = groups.image_level_groups(table)["subject"].to_numpy()
lied = groups.Split(by_image, rows, fifth[:0], fifth)
crop = prepared.profile.crop
area = classical.predict_area(
    classical.fit_area(prepared.pixels, labels, lied, crop), prepared.pixels, fifth, crop
)
beside = {"network": 1 - answers, "majority answer": np.ones(len(fifth)), "area alone": area}
shown = ["accuracy", "balanced_accuracy", "sensitivity", "specificity", "mcc", "auroc"]
scores = {name: metrics.metrics(labels[fifth], p) for name, p in beside.items()}
pd.DataFrame(scores).T[shown].astype(float).round(2)

# %% [markdown]
# The network is the majority answer in everything but the last column. *That* is worth a thought.
# Its probabilities differ a little from cell to cell, only in the late decimal places, and their
# order may well hold something: perhaps the size of the cell; that would have to be tested. So "it
# learnt nothing" would be too much said. It *answers* nothing; and a table of answers cannot show
# more.
#
# **Third: the pixels.** Feed the package what that network was fed:

# %% tags=["nbval-check-output"]
try:
    preprocessing.check_pixels(twice * small[fifth])
except InputError as error:
    print("Refused:", error)

# %% [markdown]
# **Fourth: a fifth of the pictures, not of the people.** And **fifth**: the cells that are watched
# during training are the ones that the report is made of; as far as the paper tells, its curves and
# its report are of the same cells. Even if every picture counted as a person of its own, the
# package refuses cells that are both validation and test:

# %%
group = groups.group_ids(table)
for title, parts in {
    "a random fifth for the test": (group, rows, fifth[:0], fifth),
    "the test cells are watched, too": (by_image, rows, fifth, fifth),
}.items():
    try:
        groups.Split(*parts)
    except groups.SharedGroupError as error:
        print(f"{title}: {str(error)[:60]} …")

# %% [markdown]
# ## The repair, one mistake at a time
#
# The same small network all the way, always from the same first weights; from the third line on it
# is trained three times, once for each fold, and the mean is shown. (To split by image, we have to
# lie to the package again, as in lesson 02.) What do you expect: will each repair make the numbers
# *better*?


# %%
def judged(splits, kept, weighted=False):
    """Learn and answer fold by fold; `kept` says whose loss decides which epoch is kept."""
    found = []
    for split in splits:
        learnt_from, watched = split.train, split.validation
        if kept == "test":
            learnt_from, watched = np.concatenate([split.train, split.validation]), split.test
        weights = classical.class_weights(labels[learnt_from]) if weighted else None
        train(1 / 255, labels, learnt_from, watched, weights)
        told = network.predict(small[split.test] / 255, verbose=0)[:, 0]
        found.append(metrics.metrics(labels[split.test], told))
    return pd.DataFrame(found)


# %%
people = list(groups.random_folds(table, 3, seed))
pictures = list(groups.random_folds(groups.image_level_groups(table), 3, seed))
of_areas = []
for split in people:
    learnt = classical.fit_area(prepared.pixels, labels, split, crop)
    told = classical.predict_area(learnt, prepared.pixels, split.test, crop)
    of_areas.append(metrics.metrics(labels[split.test], told))

# %%
steps = {
    "as printed": pd.DataFrame([metrics.metrics(sorted_labels[fifth], answers)]),
    "names the right way round": pd.DataFrame([scores["network"]]),
    "pixels scaled once": judged(pictures, kept="test"),
    "people kept apart": judged(people, kept="test"),
    "other people choose the epoch": judged(people, kept="validation"),
    "both classes weigh alike": judged(people, kept="validation", weighted=True),
}
others = {
    "area alone, people apart": pd.DataFrame(of_areas),
    "majority answer": pd.DataFrame([scores["majority answer"]]),
}

# %% tags=["nbval-check-output", "slide"]
means = {name: found.mean() for name, found in (steps | others).items()}
figure = plots.repair_steps(
    {name: means[name] for name in steps},
    {name: means[name] for name in others},
    ["accuracy", "sensitivity", "specificity", "auroc"],
    title="What the same network seems to be worth, mistake by mistake",
    note=note,
)
here.show(
    figure,
    "repairs",
    "Accuracy, sensitivity, specificity and AUROC after each repair, a row a repair, with the area "
    "model and the majority answer below.",
)

# %%
table_of_steps = pd.DataFrame(means).T[[name for name in shown if name != "mcc"]]
lowest = {name: found["auroc"].min() for name, found in (steps | others).items()}
highest = {name: found["auroc"].max() for name, found in (steps | others).items()}
table_of_steps.assign(lowest_auroc=lowest, highest_auroc=highest).astype(float).round(2)

# %% [markdown]
# Read the figure from top to bottom.
#
# - *Names.* Not one answer has changed, and two numbers have changed places.
# - *Pixels.* Now the network answers: this repair made it a network at all.
# - *People.* Usually the numbers fall or scatter, and sometimes they rise: with so few people a
#   fold, luck is as large as the leak (lesson 02 measured it). No better and no worse network was
#   made, it was only asked about strangers.
# - *Epoch.* (With five epochs nothing is stopped early; the watched cells choose which one is
#   kept.) Nor does this repair make the network better. It removes a favor, and it has a price:
#   the people who now choose are lost for learning. The figure cannot part the two.
# - *Weights.* Sensitivity and specificity move towards each other; the order of cells, the AUROC,
#   hardly cares.
#
# **Three of the five repairs made the study true, not good.** (For accuracy alone there is no row:
# its repair is the other columns.) Now compare the last row of the network with the area alone,
# below the gray line: are the two further apart than the folds of one of them, from the lowest to
# the highest AUROC? That is what a reader wants to know. (Rows of a single test set have no spread
# to show.)

# %%
here.record(
    same_table_as_the_paper="yes" if same else "no",
    auroc_by_picture=round(means["pixels scaled once"]["auroc"], 3),
    auroc_of_strangers=round(means["both classes weigh alike"]["auroc"], 3),
    auroc_of_area_alone=round(means["area alone, people apart"]["auroc"], 3),
    balanced_accuracy_as_printed=round(means["as printed"]["balanced_accuracy"], 3),
    balanced_accuracy_of_majority=0.5,
)

# %% [markdown]
# ## What "Non-Leukemic" meant
#
# The paper also shows its web application: a cell is uploaded, and the page says "Non-Leukemic".
# Let the rebuilt network, with the names in the paper's order, serve such a page:

# %% tags=["nbval-check-output"]
words = np.array(["Non-Leukemic", "Leukemic"])  # what the paper's order of names makes of 0 and 1
page = words[(answers >= 0.5).astype(int)]
really = np.where(labels[fifth] == 1, "is leukemic", "is healthy")
print(pd.crosstab(really, page, rownames=["the cell"], colnames=["the page says"]))

# %% [markdown]
# It says so to everybody. An answer that never changes carries no news, whatever the word; and
# here the word is the opposite of what the network "meant". A single uploaded picture cannot show
# that. **A few** of each class would have: if all get the same word, it is no answer. *None of this
# is for clinical use; this is why.*
#
# ## A checklist for reading such papers
#
# | ask | look at | here |
# |---|---|---|
# | Is one answer given to all? | recalls of 1 and 0 | `metrics.classification_report` |
# | What does the majority answer reach? | larger support over their sum | `metrics.metrics` |
# | Do the supports fit the class counts? | share of each class | arithmetic, `check_labels` |
# | Which way was it split? | the test set: a share of *pictures*? | `groups.Split` |
# | Who chose epoch, threshold, model? | the same cells as the report? | `Split.validation` |
# | What went into the network? | its scaling, written twice? | `preprocessing.check_pixels` |
# | What does one plain number reach? | the area | `classical.fit_area` |
# | How sure is the number? | an interval over people | `metrics.intervals` |
# | On whom does it fail? | a table by person | `metrics.by_subject` |
# | Could I run it again? | code, seed, list of files | `run.json` |
#
# Try it on your own last report, first of all.
#
# ## Exercises
#
# **10.1** Another study: 1200 cells of ill and 400 of healthy people, a quarter drawn at random for
# the test. Its report has the rows `healthy` (support 300) and `ill` (support 100). Which
# row really holds the ill cells? Answer with its name.

# %% tags=["nbval-check-output"]
answer = "healthy"  # solution
check("10.1", answer)

# %% [markdown]
# **10.2** A report: recall of the first class 90 % (support 800), of the second 30 % (support 200).
# How far is its accuracy above that of the majority answer? (A share between −1 and 1; below it: a
# negative number.)

# %% tags=["nbval-check-output"]
answer = (0.9 * 800 + 0.3 * 200) / 1000 - 800 / 1000  # solution
check("10.2", answer)

# %% [markdown]
# **10.3** Write a function `never_called(report)` that takes a table of two classes with a column
# `recall`, and says whether one class is never rightly called, that is, has the recall 0: `True` or
# `False`. Then set `answer = never_called`, without brackets.


# %% tags=["nbval-check-output"]
def never_called(report):  # solution
    return bool((report["recall"] == 0).any())  # solution


answer = never_called  # solution
check("10.3", answer)

# %% [markdown]
# **10.4** Which of these mistakes could a reader *not* have found from the printed table and the
# list of files: `"names"`, `"accuracy alone"` or `"pixels"`?

# %% tags=["nbval-check-output"]
answer = "pixels"  # solution
check("10.4", answer)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - A table of two classes with the recalls 1 and 0 is one answer for every cell; its other numbers
#   follow from the supports.
# - Supports tell which class is which, if the size of the data set is known.
# - Numbers that fall after a repair are a success: the study became true.
# - Ask a page about a few pictures of each class before you believe its word about one.
#
# **Read next:** lesson 11, your own cells. On what goes wrong: Kapoor and Narayanan, "Leakage and
# the reproducibility crisis in machine-learning-based science", *Patterns* 4 (2023).
