# %% [markdown] tags=["slide"]
# # 02 · Splits and leakage
#
# After this lesson you will be able to build a test set that knows none of the patients, and to
# notice one that does.
#
# **50 minutes to teach · under a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - Are the published, "patient-disjoint" folds really disjoint?
# - What should they have been?
# - What is a random split worth to a model, and why does it look better?
#
# **Objectives** – you will
#
# 1. find identical pictures that bear the names of two people;
# 2. join subjects into groups, repair published folds, and split by group;
# 3. measure how much a split by image flatters two models, with an interval.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from leukhelpers import plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.data import cards
from leukhelpers.evaluation import leakage
from leukhelpers.images import features
from leukhelpers.splits import groups, near_duplicates

here = lesson.begin("02", dataset, profile, seed, run)
prepared = here.prepare()
table, pixels, note = prepared.table, prepared.pixels, prepared.dataset.note

# %% [markdown]
# A model learns from some cells, the *training set*; others, the *validation set*, say when to
# stop; a *test set*, from which nothing was learnt or chosen, gives the score. To deal the cells to
# these parts is to *split*. In *cross-validation* they are dealt into a few parts, called *folds*,
# and each fold is the test set once.
#
# ## Folds that look clean
#
# The challenge published its training cells in three folds, and said that no patient is in two.
# By the names, that is true:

# %% tags=["nbval-check-output"]
folds_of_subject = table.groupby("subject")["fold"].nunique()
print("subjects in more than one fold:", int((folds_of_subject > 1).sum()))

# %% [markdown] tags=["slide"]
# ## The surprise: one picture, two patients
#
# A name can be wrong; pixels cannot. Two files with the same checksum show the very same cell. Are
# there any?

# %% tags=["nbval-check-output", "slide"]
pairs = groups.shared_pictures(table)
two_names = pairs[pairs["subject_a"] != pairs["subject_b"]]
print("pairs of identical pictures:", len(pairs), " under two names:", len(two_names))
two_names.groupby(["subject_a", "fold_a", "subject_b", "fold_b"]).size().rename("pairs").to_frame()

# %% [markdown]
# The twin repeats on a small scale what its model, the published set of real cells, holds. One fold
# alone, or data of your own, may have no such pair: then the next figure is left out.

# %% tags=["nbval-check-output"]
published = cards.read_card("cnmc")
counts = published["counts"]["training"]
print(f"C-NMC 2019, training: {counts['images']:,} files of {counts['subjects']} subjects")
print(next(fault for fault in published["known_faults"] if "byte-identical" in fault))

# %% tags=["nbval-check-output", "slide"]
if len(two_names):
    row_of = {cell_id: row for row, cell_id in enumerate(table["cell_id"])}
    pair = two_names.iloc[0]
    figure = plots.plot_cells(
        pixels[[row_of[pair["cell_a"]], row_of[pair["cell_b"]]]],
        [f"subject {pair[f'subject_{x}']}, fold {pair[f'fold_{x}']}" for x in "ab"],
        columns=2,
        title="The same pixels under two names",
        note=note,
    )
    here.show(figure, "pair", "Twice the same cell, under the names of two subjects.")

# %% [markdown]
# If a network learns from one copy and is tested on the other, the test asks what it has been told.
#
# A checksum changes with a single gray level. Pictures that are *nearly* the same (saved once more,
# a little brighter, shifted by a pixel) are found by a **perceptual hash**, a checksum of what a
# picture looks like. It may be wrong, so such pairs are shown to a person and join nobody.

# %% tags=["nbval-check-output"]
alike = near_duplicates.near_duplicates(pixels, table)
print("pairs that look alike without being equal:", len(alike))
if len(alike):
    print(alike[["cell_a", "cell_b", "distance"]].head().to_string(index=False))
print("Real cells:", next(fault for fault in published["known_faults"] if "look alike" in fault))

# %% [markdown]
# ## Groups instead of subjects
#
# Think of a graph: people on one side, pictures on the other, a line for each cell. People who
# are connected, through however many pictures, form a **group** and stay together.

# %% tags=["nbval-check-output"]
toy = pd.DataFrame({"subject": list("PQQRS"), "sha256": ["a", "a", "b", "b", "c"]})
print(toy.assign(group=groups.group_ids(toy)).to_string(index=False))

# %% [markdown]
# P and R share no picture, but both share one with Q. (`inspect.getsource(groups.group_ids)` shows
# how the package does it: *connected components* of that graph.)

# %% tags=["nbval-check-output"]
group = groups.group_ids(table)
print("subjects:", table["subject"].nunique(), "  groups:", len(np.unique(group)))
print("joined:", sorted({str(name) for name in group if "+" in name}))

# %% [markdown]
# A split that shares a group cannot be built with this package: it is an error, not a warning. Let
# us try to use the folds as they were published, the last one for the test.

# %%
rows = np.arange(len(table))
fold = table["fold"].to_numpy()
last = fold == np.unique(fold)[-1]
try:
    groups.Split(group, train=rows[~last], validation=rows[:0], test=rows[last])
    print("One fold only: nothing to share." if last.all() else "This split shares no group.")
except groups.SharedGroupError as error:
    print("Refused:", error)

# %% [markdown]
# ## The split that the published folds should have been
#
# Move each group wholly into the fold that holds most of its cells. How many cells were across the
# border, and what do the folds look like afterwards?


# %% tags=["nbval-check-output"]
def copied(fold):
    """Count the cells whose very picture also lies in another fold."""
    in_folds = table.assign(fold=fold).groupby("sha256")["fold"].transform("nunique")
    return int((in_folds > 1).sum())


if len(np.unique(fold)) > 1:
    joined = groups.group_consistent_folds(table)
    print("cells that change their fold:", int((joined != fold).sum()))
    for title, folds in (("as published", fold), ("joined", joined)):
        names, sizes = np.unique(folds, return_counts=True)
        sizes = dict(zip(names.tolist(), sizes.tolist(), strict=True))
        print(f"{title:12s} cells by fold {sizes}; with a copy in another fold: {copied(folds)}")
else:
    print("One fold only: nothing to repair.")

# %% [markdown]
# In the package, `groups.official_folds(table)` gives these repaired folds, one split a fold.
#
# ## What a leak is worth
#
# Two models are each tested in two ways: on patients that they have never met, and on test sets
# drawn at random by image. Each way takes four folds and is repeated with three random divisions
# of the cells. The package refuses the second way, so we declare every image to be a patient of
# its own.
#
# Both models learn from the eight plain numbers of lesson 01.
#
# - A *support vector machine* (SVM) looks for the border between the classes. `StandardScaler`
#   brings the eight numbers to one scale; `C` says how hard the SVM tries to get every training
#   cell right; `decision_function` says how far on the side of ALL a cell lies.
# - A *random forest* grows fifty trees of questions, each on other cells, and averages their
#   votes.
#
# `class_weight="balanced"` lets the rarer class count as much as the other. Lesson 04 explains
# both models.

# %%
numbers = features.simple_features(pixels, prepared.profile.crop).to_numpy()
labels = table["label"].to_numpy()


def svm(split):
    """Train on all rows that are not tested; score those that are."""
    train = np.concatenate([split.train, split.validation])
    model = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
    return model.fit(numbers[train], labels[train]).decision_function(numbers[split.test])


def forest(split):
    """Do the same with a random forest."""
    train = np.concatenate([split.train, split.validation])
    model = RandomForestClassifier(50, class_weight="balanced", random_state=seed)
    return model.fit(numbers[train], labels[train]).predict_proba(numbers[split.test])[:, 1]


# %%
lied = groups.image_level_groups(table)
by_group, by_image, gaps = {}, {}, {}
for name, learner in (("SVM", svm), ("random forest", forest)):
    for cells, answers in ((table, by_group), (lied, by_image)):
        seeds = range(seed, seed + 3)
        splits = [split for one in seeds for split in groups.random_folds(cells, 4, one)]
        answers[name] = leakage.answer_folds(splits, learner)
    gaps[name] = leakage.split_optimism(labels, group, by_image[name], by_group[name], seed=seed)

# %% tags=["nbval-check-output", "slide"]
figure = plots.split_leak(
    {
        name: {
            "split by patient group": leakage.aurocs(labels, by_group[name]),
            "split by image": leakage.aurocs(labels, by_image[name]),
        }
        for name in gaps
    },
    title="The same two models, tested on strangers and on acquaintances",
    note=note,
    intervals={name: (found["low"], found["high"]) for name, found in gaps.items()},
)
here.show(figure, "leak", "AUROC of SVM and forest by fold, split by patient group and by image.")

# %%
facts = {}
for name, found in gaps.items():
    gap = f"{found['gap']:+.3f} (95 % interval {found['low']:+.3f} to {found['high']:+.3f})"
    print(f"{name}: by patient group {found['honest']:.3f}, by image {found['flattered']:.3f}")
    print(f"     gap {gap}")
    facts[f"{name}_AUROC_by_group"] = round(found["honest"], 3)
    facts[f"{name}_AUROC_by_image"] = round(found["flattered"], 3)
    facts[f"{name}_gap"] = gap

# %%
splits = [list(groups.random_folds(cells, 4, seed)) for cells in (table, lied)]
by_area = [leakage.answer_folds(way, lambda split: numbers[split.test, 0]) for way in splits]
strangers, acquaintances = (leakage.aurocs(labels, folds).mean() for folds in by_area)
print(f"area alone: by patient group {strangers:.3f}, by image {acquaintances:.3f}")
print("majority answer: 0.500 either way")

# %%
here.record(
    duplicate_pairs=len(pairs),
    pairs_that_look_alike=len(alike),
    subjects=int(table["subject"].nunique()),
    groups=len(np.unique(group)),
    **facts,
)

# %% [markdown]
# The area alone is a number that learns nobody's stain: to it the way of splitting makes little
# difference. Two things to look for in the others. Which mean is **higher**, and does the interval
# of the gap leave zero out? If it holds zero, this run does not show that the model gained; it
# does not show the opposite either. A model that has met the patient *can* use whatever betrays
# the person, and the very same picture where there are copies. How much it does depends on the
# model. And which folds **agree** with each other? The honest ones scatter: with so few people in
# each test set, one difficult patient moves the score. That scatter is the truth about how much we
# know; the calm of the other split is not.
#
# The interval comes from drawing the *patients* anew, a thousand times (lesson 06 shows how). The
# models are not trained anew for it, so chance in training is not in it.
#
# ## The split that this course uses
#
# A quarter of the groups is held out for the very end; of the others, a quarter decides when to
# stop training.

# %% tags=["nbval-check-output"]
split = prepared.split
for name in ("train", "validation", "test"):
    part = table.iloc[getattr(split, name)]
    kinds = part.drop_duplicates("subject")["label"]
    people = f"{(kinds == 1).sum():2d} ALL and {(kinds == 0).sum():2d} HEM subjects"
    print(f"{name:10s} {len(part):5d} cells of {people}")

# %% [markdown]
# ## Exercises
#
# **02.1** Patient A shares a picture with B, and B shares another one with C. D shares none. How
# many groups do the four form?

# %% tags=["nbval-check-output"]
answer = 2  # solution
check("02.1", answer)

# %% [markdown]
# **02.2** Build a split of your own: put two or more groups of each class into the test rows, and
# all others into the training rows. `sorted(set(group[labels == 0]))` lists the healthy groups,
# with 1 the leukemic ones. `np.flatnonzero(np.isin(group, ["A", "B"]))` gives the rows of the
# groups A and B; `rows[:0]` is an empty selection, for the validation rows. The answer is
# `groups.Split(group, train, rows[:0], test)`.

# %% tags=["nbval-check-output"]

wanted = [name for label in (0, 1) for name in sorted(set(group[labels == label]))[:2]]  # solution
test = np.flatnonzero(np.isin(group, wanted))  # solution
train = np.flatnonzero(~np.isin(group, wanted))  # solution
answer = groups.Split(group, train, rows[:0], test)  # solution
check("02.2", answer, labels=labels)

# %% [markdown]
# **02.3** How many *subjects* have cells that changed their fold when the groups were joined?
# (With one fold only, the answer is 0.)

# %% tags=["nbval-check-output"]
several = len(np.unique(fold)) > 1
answer = table["subject"][joined != fold].nunique() if several else 0  # solution
check("02.3", answer, table=table)

# %% [markdown]
# **02.4** A colleague cuts each picture into two halves, to have twice as many, and then splits at
# random *by picture*: both halves of a cell may land on different sides. What should be kept
# together? Answer with one of `"cell_id"`, `"subject"`, `"group"`, `"fold"`.

# %% tags=["nbval-check-output"]
answer = "group"  # solution
check("02.4", answer)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Check pixels, not names: identical pictures join people into one group.
# - Folds that leak can be repaired: join first, then move whole groups.
# - A split by image lets a model use its memory of people and pictures. What that is worth must be
#   measured, model by model, with an interval.
# - Make the mistake impossible instead of remembering not to make it.
#
# **Read next:** lesson 03. On leakage across the sciences: Kapoor and Narayanan, "Leakage and the
# reproducibility crisis in machine-learning-based science", *Patterns* 4 (2023).
