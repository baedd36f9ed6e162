# %% [markdown]
# # 02 · Splits and leakage
#
# After this lesson you will be able to build a test set that knows none of the patients, and to
# notice one that does.
#
# **40 minutes to teach · about a minute to run**

# %% [markdown]
# **Questions**
#
# - Are the published, "patient-disjoint" folds really disjoint?
# - What is a random split worth, and why does it look better?
# - How does one make a leak impossible?
#
# **Objectives** – you will
#
# 1. find identical pictures that bear the names of two people;
# 2. join subjects into groups, and split by group;
# 3. measure how much a split by image flatters a classifier.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import inspect

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from leukhelpers import features, groups, lesson, plots
from leukhelpers.quiz import check

here = lesson.begin("02", dataset, profile, seed, run)
prepared = here.prepare()
table, pixels, note = prepared.table, prepared.pixels, prepared.dataset.note

# %% [markdown]
# ## Folds that look clean
#
# The challenge published its training cells in three folds, and said that no patient is in two.
# By the names, that is true:

# %% tags=["nbval-check-output"]
folds_of_subject = table.groupby("subject")["fold"].nunique()
print("subjects in more than one fold:", int((folds_of_subject > 1).sum()))

# %% [markdown]
# ## The surprise: one picture, two patients
#
# A name can be wrong; pixels cannot. Two files with the same checksum show the very same cell. Are
# there any?

# %% tags=["nbval-check-output"]
pairs = groups.shared_pictures(table)
two_names = pairs[pairs["subject_a"] != pairs["subject_b"]]
print("pairs of identical pictures:", len(pairs), " under two names:", len(two_names))
two_names.groupby(["subject_a", "fold_a", "subject_b", "fold_b"]).size().rename("pairs").to_frame()

# %% [markdown]
# In the published set there are 104 such pairs among 10,661 files, nearly all of them under two
# patient numbers; 71 of them join patient 20 with patient 21. The twin repeats this on a smaller
# scale. One fold alone, or data of your own, may have none: then the next figure is left out.

# %% tags=["nbval-check-output"]
if len(two_names):
    row_of = {cell_id: row for row, cell_id in enumerate(table["cell_id"])}
    pair = two_names.iloc[0]
    figure = plots.montage(
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
# ## Groups instead of subjects
#
# Think of a graph: people on one side, pictures on the other, a line for each cell. People who
# are connected, through however many pictures, form a **group** and stay together.

# %%
print(inspect.getsource(groups.group_ids))

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
# ## What a leak is worth
#
# A classifier of the nineties, a *support vector machine* (SVM), learns from the eight plain
# numbers of lesson 01. It draws a border between the classes; its `decision_function` says how far
# on the side of ALL a cell lies. It learns twice: once it is tested on people that it has never
# met, once on a test set drawn at random by image. Since the package refuses the second, we have to
# lie to it: we say that every picture is a person of its own.


# %%
numbers = features.simple_features(pixels, prepared.profile.crop).to_numpy()
labels = table["label"].to_numpy()


def fold_scores(some_table, fold_seed):
    """AUROC of the SVM on each of four folds."""
    scores = []
    for split in groups.random_folds(some_table, n_splits=4, seed=fold_seed):
        learn = np.concatenate([split.train, split.validation])
        model = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
        answers = model.fit(numbers[learn], labels[learn]).decision_function(numbers[split.test])
        scores.append(roc_auc_score(labels[split.test], answers))
    return scores


# %%
honest = np.concatenate([fold_scores(table, seed + repeat) for repeat in range(3)])
lied = groups.pretend_images_are_subjects(table)
flattered = np.concatenate([fold_scores(lied, seed + repeat) for repeat in range(3)])

# %% tags=["nbval-check-output"]
gap = flattered.mean() - honest.mean()
figure = plots.split_leak(
    {"SVM": {"split by patient group": honest, "split by image": flattered}},
    title=f"The same SVM, split by image instead of by patient: AUROC {gap:+.2f}",
    note=note,
)
here.show(figure, "leak", "AUROC of the SVM on twelve folds, split by patient group and by image.")

# %%
for name, scores in (("split by patient group", honest), ("split by image", flattered)):
    print(f"{name:22s} {scores.mean():.3f} (folds {scores.min():.2f} to {scores.max():.2f})")
print(f"{'majority answer':22s} 0.500")
here.record(
    duplicate_pairs=len(pairs),
    subjects=int(table["subject"].nunique()),
    groups=len(np.unique(group)),
    svm_auroc_by_group=round(float(honest.mean()), 3),
    svm_auroc_by_image=round(float(flattered.mean()), 3),
)

# %% [markdown]
# Two things to look for. Which mean is **higher**, and by how much? On these cells it is the split
# by image, by an amount that often exceeds the difference between two published models. And which
# folds **agree** with each other? The honest ones scatter: with so few people in each test set, one
# difficult patient moves the score. The scatter is the truth about how much we know.
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
# all others into the training rows. `np.flatnonzero(np.isin(group, ["A", "B"]))` gives the rows of
# the groups A and B; `rows[:0]` is an empty selection, for the validation rows.

# %% tags=["nbval-check-output"]

wanted = [name for label in (0, 1) for name in sorted(set(group[labels == label]))[:2]]  # solution
test = np.flatnonzero(np.isin(group, wanted))  # solution
train = np.flatnonzero(~np.isin(group, wanted))  # solution
answer = groups.Split(group, train, rows[:0], test)  # solution
check("02.2", answer, labels=labels)

# %% [markdown]
# **02.3** A colleague cuts each picture into two halves, to have twice as many, and then splits at
# random *by picture*: both halves of a cell may land on different sides. What should be kept
# together? Answer with one of `"cell_id"`, `"subject"`, `"group"`, `"fold"`.

# %% tags=["nbval-check-output"]
answer = "group"  # solution
check("02.3", answer)

# %% [markdown]
# ## Key points
#
# - Check pixels, not names: identical pictures join people into one group.
# - A split by image tests the memory for patients. It looks better and steadier, and is neither.
# - Make the mistake impossible instead of remembering not to make it.
#
# **Read next:** lesson 03. On leakage across the sciences: Kapoor and Narayanan, "Leakage and the
# reproducibility crisis in machine-learning-based science", *Patterns* 4 (2023).
