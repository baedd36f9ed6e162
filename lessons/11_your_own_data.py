# %% [markdown] tags=["slide"]
# # 11 · Your own cells
#
# After this lesson you will be able to turn a folder of images into a table that one can trust.
#
# **40 minutes to teach · under a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - What has a computer to be told about a folder of images, because it cannot see it?
# - What happens if it guesses?
# - What changes when there are three classes instead of two?
#
# **Objectives** – you will
#
# 1. say what labels mean and who the subjects are, and check the table that comes of it;
# 2. recognize exchanged classes by their counts, and by a measure whose direction is known;
# 3. train a model with more than two classes, and read its scores class by class.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from leukhelpers import plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.data.table import import_folder
from leukhelpers.datasets import load_dataset
from leukhelpers.errors import InputError
from leukhelpers.evaluation import metrics
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments.predictions import answers_beside, columns_of_run, fit_baselines
from leukhelpers.images import features
from leukhelpers.models import prepare
from leukhelpers.splits import groups, inspection

here = lesson.begin("11", dataset, profile, seed, run)
cells = here.load()

# %% [markdown]
# ## A folder as it comes from a laboratory
#
# Two folders, named as people name things, and a patient's number in each file's name. We make
# such a delivery from the cells of this course: at most eight of each person, and those first that
# are in the data set twice.

# %%
home = Path(tempfile.mkdtemp())
delivery = home / "delivery"
table = cells.table.assign(twice=cells.table["sha256"].duplicated(keep=False))
table = table.sort_values("twice", ascending=False, kind="stable").groupby("subject").head(8)
person = {subject: 101 + i for i, subject in enumerate(sorted(table["subject"].unique()))}
for i, row in enumerate(table.itertuples()):
    folder = delivery / ("blasts" if row.label else "normal")
    folder.mkdir(parents=True, exist_ok=True)
    name = f"patient{person[row.subject]}_{i:03d}{Path(row.path).suffix}"
    shutil.copyfile(cells.root / row.path, folder / name)
for name in ("normal/readme.txt", "blasts/patient101_broken.png"):  # and what is no picture
    (delivery / name).write_bytes(b"\x89PNG")
# %% tags=["nbval-check-output"]
for folder in sorted(delivery.iterdir()):
    names = sorted(path.name for path in folder.iterdir())
    print(f"{folder.name}/  {len(names)} files: {names[0]}, {names[1]} … {names[-1]}")

# %% [markdown]
# Some of what came, as the network would see it (the numbers stand in the names of the files):

# %% tags=["nbval-check-output", "slide"]
prepared = here.prepare()
row_of = {cell_id: row for row, cell_id in enumerate(prepared.table["cell_id"])}
rows = np.array([row_of[cell_id] for cell_id in table["cell_id"]])
shown = np.random.default_rng(0).choice(len(rows), 8, replace=False)
figure = plots.plot_cells(
    prepared.pixels[rows[shown]],
    [f"patient{person[table['subject'].iloc[i]]}" for i in shown],
    columns=4,
    title="A delivery: cells, and who they are of",
    note=prepared.dataset.note,
)
here.show(figure, "delivery", "Eight cells on black, each with the number of a patient above it.")

# %% [markdown]
# The package is asked to read it, and refuses:


# %% tags=["nbval-check-output"]
def attempt(action, *arguments, **options):
    """Print the sentence of a refusal; return what came of it otherwise."""
    try:
        return action(*arguments, **options)
    except InputError as error:
        print("Refused:", str(error).replace(str(home), "…"))


attempt(load_dataset, delivery, home / "data")

# %% [markdown] tags=["slide"]
# Is that pedantry? Anybody can see what `blasts` and `normal` mean. A computer cannot, and programs
# that guess do it by the alphabet: the first folder is class 0, the second is class 1.
#
# ## The surprise: the alphabet decides who is ill
#
# Let us do what many a notebook does: sort the folders, number them, and give the numbers their
# names in the order in which one would say them, `["normal", "blasts"]`.

# %% tags=["nbval-check-output", "slide"]
folders = sorted(folder.name for folder in delivery.iterdir())
print("numbers by the alphabet:", {name: number for number, name in enumerate(folders)})
labels = table["label"].to_numpy()
by_alphabet = 1 - labels  # blasts, our 1, has become 0
names = ["normal", "blasts"]  # said in the other order

never_looks = np.zeros(len(labels))  # gives the more frequent number to every cell
shown = metrics.classification_report(by_alphabet, never_looks)
shown.rename(index=dict(zip(["HEM", "ALL"], names, strict=True))).round(2).fillna("")

# %% [markdown]
# The answer that never looks has a recall of 1.00 in the row called *normal*, and 0.00 in the
# other. Now read the supports: there are more *normal* cells than *blasts*? In this delivery it is
# the other way round. **The row called normal holds the blasts.** A report like this is printed in
# the paper from which this course starts. A program built on it tells the ill that they are
# healthy.
#
# What betrays exchanged classes? The supports, as above; and a measure whose direction we know
# beforehand. Lesson 01 said that the leukemic cells are the larger ones:

# %% tags=["nbval-check-output"]
area = features.cell_area(prepared.pixels[rows], prepared.profile.crop)
truth = prepared.table["label"].to_numpy()[rows]
print(f"AUROC of the cell's area, labels as they are:     {roc_auc_score(truth, area):.2f}")
print(f"AUROC of the cell's area, labels by the alphabet:  {roc_auc_score(1 - truth, area):.2f}")
print("AUROC of the majority answer, either way:          0.50")

# %% [markdown]
# A score whose direction was fixed *before*, and which is far worse than chance on many
# **patients**, probably points the other way: look at the labels first. But beware: a network that
# is trained *and* tested on exchanged labels learns the exchange, and scores well. Then only the
# counts of the classes can tell, and a person who looks at the pictures.
#
# ## Say what the labels mean
#
# `import_folder` (on the command line: `leuk data import`) turns a folder into a table. The classes
# are given in the order of their numbers, each with the labels that mean it. Who is who it does not
# know yet:

# %% tags=["nbval-check-output"]
meaning = {"HEM": ["normal"], "ALL": ["blasts"]}
attempt(import_folder, delivery, home / "table", meaning)

# %% [markdown]
# Without subjects there is no honest split, so there is no table. One may insist that no two
# images are of one person. Here that is a lie, and the table will say so for ever:

# %% tags=["nbval-check-output"]
insisted = import_folder(delivery, home / "insisted", meaning, each_image_its_own_subject=True)
print(insisted["subjects"], "subjects.", *insisted["cautions"])

# %% [markdown]
# That sentence goes into every report that is made of these cells. Better to look at the names
# again. The number behind `patient` says who it is; a *regular expression* with one pair of
# brackets picks it out: `\d` is any digit, `+` means one or more, the brackets mark the part to
# keep, and all else must match as it stands.

# %% tags=["nbval-check-output"]
verified = import_folder(delivery, home / "table", meaning, subject_pattern=r"patient(\d+)_")
for key in ("images", "classes", "subjects", "set_aside", "cautions"):
    print(f"{key:10s}", verified[key])

# %% [markdown]
# Compare the numbers with what the laboratory told you: so many patients, so many files. The two
# files that are no pictures were not dropped in silence. What was written is two small files that
# one can read:

# %% tags=["nbval-check-output"]
print((home / "table" / "cells.toml").read_text("utf-8"))
pd.read_csv(home / "table" / "cells.csv").assign(path=lambda t: t["path"].str[-26:]).head(3)

# %% [markdown]
# ## Look for what the names do not say
#
# From here on your cells go the way of all others in this course.

# %% tags=["nbval-check-output"]
own = load_dataset(home / "table", home / "data")
counts = inspection.count(own.table)
for key in ("images", "subjects", "groups", "duplicate_pairs", "shared_groups"):
    print(f"{key:15s}", counts[key])

# %%
from leukhelpers.splits import near_duplicates

own_prepared = prepare.prepare(own, here.profile, seed, home / "data")
alike = near_duplicates.near_duplicates(own_prepared.pixels, own_prepared.table)
print("pairs that look alike without being equal:", len(alike))

# %% [markdown]
# If two patients share a picture, somebody has made a mistake, and you should ask *before* you
# train. Until then the package keeps both on one side of every split. A copy is found only while
# both files are there (lesson 02 may have found more groups joined, or fewer, in all cells): look
# for copies in *all* your cells before you choose some.

# %% [markdown]
# ## Three classes
#
# There are several kinds of leukemia, and your question may have more than two answers. Then a
# model predicts one probability per class, the probabilities add up to one, and every score exists
# *for each class*. (A network ends in one number per class and a *softmax*, which turns them into
# such probabilities.)
#
# These cells have no third class, so we make one up: does a cell come from a person with small,
# medium or large cells? The answer belongs to the person, as a diagnosis does.

# %%
group = groups.group_ids(table)  # who shares a picture must have the same answer
median_area = pd.Series(area).groupby(group).median()
three = {"small": [], "medium": [], "large": []}
thirds = pd.qcut(median_area.rank(method="first"), 3, labels=list(three)).astype(str)

# %%
listed = pd.DataFrame(
    {
        "path": [str(cells.root / path) for path in table["path"]],
        "label": thirds.loc[group].to_numpy(),
        "subject": table["subject"],
    }
)
listed.to_csv(home / "sizes.csv", index=False)
print(import_folder(home / "sizes.csv", home / "three", three)["classes"])

# %%
from leukhelpers.models import registry

sizes = load_dataset(home / "three", home / "data")
held_out = prepare.prepare(sizes, here.profile, seed, home / "data")
fitted = registry.fit("svm", held_out)
probabilities = registry.predict_proba(fitted, held_out, held_out.split.test)
print("one row per cell, one column per class:", probabilities.shape)
print("each row adds up to 1:", bool(np.allclose(probabilities.sum(axis=1), 1)))

# %%
from leukhelpers.evaluation import multiclass
from leukhelpers.experiments import report

baselines = fit_baselines(held_out, held_out.split)
answers = answers_beside(probabilities, baselines, held_out, held_out.split.test)
columns = columns_of_run("svm")
summary = multiclass.summary(answers, sizes.classes, columns=columns)
report.class_table(summary)[["Model", "Cells", "Recall", "AUROC"]]

# %% [markdown]
# Each class is compared with the other two; in brackets 95 % intervals over patients, wide since
# there are few. The SVM knows the hand-crafted features of lesson 04, the area among
# them, so it solves this task well. The *area baseline* has one slope only, and one slope cannot
# single out the class in the middle. The *majority-class baseline* recalls one class wholly and the
# others not at all. The middle class has two neighbors to be confused with: compare its recall with
# those of the others.

# %%
macro = {name: found["macro_auroc"] for name, found in summary["models"].items()}
for name, found in macro.items():
    print(f"{MODEL_NAMES[name]:16s} mean AUROC over the classes: {report.format_ci(found)}")
here.record(
    images=verified["images"],
    subjects=verified["subjects"],
    groups=counts["groups"],
    set_aside=len(verified["set_aside"]),
    area_auroc_by_alphabet=round(float(roc_auc_score(1 - truth, area)), 3),
)

# %% [markdown]
# ## Exercises
#
# **11.1** A folder has the subfolders `ALL`, `AML`, `healthy`. A program numbers them by the
# alphabet, capitals first. Which number do the healthy get?

# %% tags=["nbval-check-output"]
answer = sorted(["ALL", "AML", "healthy"]).index("healthy")  # solution
check("11.1", answer)

# %% [markdown]
# **11.2** Files are called `S07-b_0031.tif`, where `S07` is the patient and `b` the slide. Write
# the regular expression that picks out the patient, with the `S` or without (one pair of brackets).

# %% tags=["nbval-check-output"]
answer = r"(S\d+)-"  # solution
check("11.2", answer)

# %% [markdown]
# **11.3** A network that was trained elsewhere, on labels that are right, reaches an AUROC of 0.13
# on the cells of two hundred of a colleague's patients. What do you say? Answer with one of
# `"train longer"`, `"the classes are exchanged"`, `"it guesses"`.

# %% tags=["nbval-check-output"]
answer = "the classes are exchanged"  # solution
check("11.3", answer)

# %%
shutil.rmtree(home)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - What a label means, and who a cell is of, is said by a person and written down, never guessed.
# - Compare the counts of the classes with what you were told: that is where exchanged labels show.
# - With more than two classes every score belongs to a class; read each, not only the mean.
#
# **Read next:** the card in lesson 00, then write `card.toml` beside your own table. On documenting
# data: Gebru et al., "Datasheets for Datasets", *Communications of the ACM* 64 (2021).
