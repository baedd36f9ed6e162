# %% [markdown] tags=["slide"]
# # 11 · Your own cells
#
# After this lesson you will be able to turn a folder of images into a table that you can trust.
# You will also train a model with three classes.
#
# **55 minutes to teach · under a minute to run · needs lessons 00, 02, 04 and 06**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - What can a program not see in a folder of images?
# - How do you notice that the labels are wrong?
# - How do you score a model with three classes?
#
# **Objectives**
#
# 1. Build a table with one row per image: path, label, patient.
# 2. Find swapped labels, unreadable files and shared images before any training.
# 3. Train a classifier with three classes and report the recall of each class.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or a folder or CSV of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import hashlib
import re
import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

import leukhelpers as lk

lesson = lk.begin("11", dataset, profile, seed, run)
model_colors = lk.MODEL_COLORS

# %% [markdown]
# ## A folder as a laboratory sends it
#
# A laboratory sends two folders, `blasts` and `normal`. *Blasts* are immature cells; here they are
# the leukemic ones. Each file name holds a patient number. In a letter the laboratory states the
# number of patients in each folder. We build such a delivery from the cells of this course, with at
# most eight images per patient. Images that occur twice come first. You need not study this cell:
# it only makes the material.

# %%
home = Path(tempfile.mkdtemp())
delivery = home / "delivery"
cells = lesson.table.assign(row=range(len(lesson.table)))
cells["twice"] = cells["sha256"].duplicated(keep=False)
cells = cells.sort_values("twice", ascending=False, kind="stable").groupby("subject").head(8)
codes, subjects = pd.factorize(cells["subject"], sort=True)
cells["patient"] = np.random.default_rng(0).permutation(len(subjects))[codes] + 101
for number, cell in enumerate(cells.itertuples()):
    folder = delivery / ("blasts" if cell.label == 1 else "normal")
    folder.mkdir(parents=True, exist_ok=True)
    source = lesson.path(cell.row)
    shutil.copyfile(source, folder / f"patient{cell.patient}_{number:03d}{source.suffix}")
half = source.read_bytes()[: source.stat().st_size // 2]
(delivery / "blasts" / f"patient101_broken{source.suffix}").write_bytes(half)
(delivery / "normal" / "readme.txt").write_text("8 images per patient")
letter = cells.groupby("label")["patient"].nunique()  # what the laboratory wrote to us
letter.index = ["normal", "blasts"]

# %% [markdown]
# ## List every file
#
# `rglob("*")` walks through a folder and all folders in it. We list every file, not only the `.bmp`
# files: otherwise we would lose a file without noticing.


# %% tags=["nbval-check-output"]
def list_files(folder):
    """Return one row per file below a folder: its path, its name, the name of its folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.name for path in paths]
    labels = [path.parent.name for path in paths]
    return pd.DataFrame({"path": paths, "name": names, "label": labels})


table = list_files(delivery)
print(len(table), "files")
table.groupby("label")["name"].agg(["count", "first", "last"])

# %% [markdown]
# Not every file is an image. Pillow's `Image.open` reads only the start of a file, so a broken
# image may pass. `load` reads all of it.


# %% tags=["nbval-check-output"]
def is_image(path):
    """Return whether Pillow can read the whole image."""
    try:
        with Image.open(path) as image:
            image.load()
        return True
    except OSError:
        return False


table["readable"] = [is_image(path) for path in table["path"]]
print("set aside:", table.loc[~table["readable"], "name"].tolist())
table = table[table["readable"]].drop(columns="readable").reset_index(drop=True)
print(len(table), "images")

# %% [markdown]
# Print what you leave out, with its name. You will need to explain the difference between the
# number of files and the number of images.
#
# Here are eight of the images, with their file names. They are brightened for display only.

# %% tags=["nbval-check-output", "slide"]
some = table.sample(8, random_state=0)
figure, panels = plt.subplots(2, 4, figsize=(8, 4.6), layout="constrained")
for panel, cell in zip(panels.ravel(), some.itertuples(), strict=True):
    panel.imshow(lk.brighten(np.asarray(Image.open(cell.path).convert("RGB"))))
    panel.set_title(cell.name, fontsize=9)
    panel.axis("off")
figure.suptitle("The patient number stands only in the file name")
lesson.save_figure(
    figure, "delivery", "Eight cells on black; above each its file name with the patient number."
)

# %% [markdown] tags=["slide"]
# ## Which class gets number 1?
#
# A model needs numbers, not folder names. scikit-learn's `LabelEncoder` gives each name a number.
#
# **Guess first:** which number does `blasts` get? In the report, which class will the
# majority-class baseline predict for every cell?

# %% tags=["nbval-check-output", "slide"]
from sklearn.dummy import DummyClassifier
from sklearn.metrics import classification_report
from sklearn.preprocessing import LabelEncoder

y_alphabet = LabelEncoder().fit_transform(table["label"])
baseline = DummyClassifier(strategy="most_frequent").fit(table[["name"]], y_alphabet)
predicted = baseline.predict(table[["name"]])
names = ["normal", "blasts"]  # healthy first, as in the rest of this course
print(classification_report(y_alphabet, predicted, target_names=names, zero_division=0))

# %% [markdown] tags=["slide"]
# ## The surprise: the alphabet numbers the classes
#
# The report looks harmless. The baseline predicts the larger class for every cell, so one recall is
# 1.00 and the other is 0.00. The larger class is called *normal*.
#
# Now compare the column *support* with the folders.

# %% tags=["nbval-check-output"]
print("in the folders:  ", table["label"].value_counts().to_dict())
print("in the report:   ", dict(zip(names, np.bincount(y_alphabet).tolist(), strict=True)))

# %% [markdown]
# The counts are swapped. Many programs sort the folder names and count from 0. `LabelEncoder` does
# so, and Keras' `image_dataset_from_directory`, too. `b` comes before `n`, so `blasts` became 0 and
# `normal` 1. We then wrote the names in the other order. **The row called *normal* holds the
# blasts.** The paper of lesson 10 prints such a report. An application that uses these names would
# call ill patients healthy.
#
# ### A second test: a measurement with a known direction
#
# Counts help only if the classes differ in size. A second test uses a measurement whose
# direction you know. In lesson 01 the leukemic cells were larger, so we expect the area to have an
# AUROC above 0.5 for blasts.


# %% tags=["nbval-check-output"]
from sklearn.metrics import roc_auc_score


def count_cell_pixels(path):
    """Return the number of pixels that are not black."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return int((pixels > 0).any(axis=2).sum())


table["area"] = [count_cell_pixels(path) for path in table["path"]]
auroc_correct = roc_auc_score(table["label"] == "blasts", table["area"])
auroc_alphabet = roc_auc_score(y_alphabet, table["area"])
print(f"AUROC of the area, 1 = blasts:                {auroc_correct:.2f}")
print(f"AUROC of the area, 1 by alphabet:             {auroc_alphabet:.2f}")
print("AUROC of the majority-class baseline, always: 0.50")

# %% [markdown]
# An AUROC well below 0.5 means that the ranking is upside down. Two warnings belong to this test:
#
# - It needs a score whose direction was fixed *before*. A network that is trained **and** tested on
#   swapped labels learns the swap and scores well. Then its own score shows nothing. Use the
#   counts, a measurement such as the area, or an expert who looks at the images.
# - It needs many **patients**. With a handful, an AUROC below 0.5 can be chance (lesson 06).
#
# ### Exercise 11.1 (2 minutes)
#
# A network was trained elsewhere on correct labels. On the cells of two hundred patients of a
# colleague its AUROC is 0.13. What is most likely? Choose one of `"train longer"`,
# `"the classes are swapped"`, `"it guesses"`.

# %% tags=["nbval-check-output"]
answer = "the classes are swapped"  # solution
lk.check("11.1", answer)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `"the classes are swapped"`. Guessing gives about 0.5. A value of 0.13 on so many patients means
# that the network ranks the cells very well, in the wrong direction. The usual mistake is to train
# longer: that does not change the colleague's labels.
#
# </details>

# %% [markdown]
# ## Write down what the labels mean
#
# The repair is one dictionary. `Series.map` replaces each label by its number. Try it on labels as
# they really arrive:

# %% tags=["nbval-check-output"]
number_of = {"normal": 0, "blasts": 1}
pd.Series(["normal", "blasts", "Blasts", "blast"]).map(number_of).tolist()

# %% [markdown]
# `map` gives `nan` for a label that is not in the dictionary, and raises no error. A later step may
# drop such rows, or turn them into a class. Stop at once instead.
#
# ### Exercise 11.2 (6 minutes)
#
# Write `encode(labels, number_of)`. `labels` is a pandas Series, `number_of` a dictionary. The
# function returns an array with the number of each label. If a label has no number, it raises a
# `ValueError` that names the label.


# %% tags=["nbval-check-output"]
def encode(labels, number_of):
    """Return the number of each label, as an integer array; refuse unknown labels."""
    unknown = sorted(set(labels) - set(number_of))  # solution
    if unknown:  # solution
        raise ValueError(f"no number for the label(s): {', '.join(unknown)}")  # solution
    return labels.map(number_of).to_numpy(dtype=int)  # solution


lk.check("11.2", encode)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# A set difference gives the labels without a number. The error names them, so that the reader can
# correct the folder or the dictionary. The usual mistake is `.map(...).fillna(0)`: it makes every
# unknown cell healthy, without any message.
#
# </details>

# %%
table["y"] = table["label"].map(number_of)
assert table["y"].notna().all(), "a label without a number"

# %% [markdown]
# ## Find the patient in the file name
#
# Without patients there is no honest split (lesson 02). Here the number after `patient` gives the
# patient. A **regular expression** describes a pattern of text:
#
# | part | meaning |
# | --- | --- |
# | `patient` | these letters, exactly |
# | `\d` | one digit |
# | `+` | the part before it, once or more |
# | `( … )` | the part to keep |
#
# `str.extract` applies the pattern to each name.

# %% tags=["nbval-check-output"]
table["subject"] = table["name"].str.extract(r"patient(\d+)_", expand=False)
print("images without a patient:", int(table["subject"].isna().sum()))
print("labels per patient, at most:", table.groupby("subject")["label"].nunique().max())
found = table.groupby("label")["subject"].nunique()
pd.DataFrame({"patients in the letter": letter, "patients found": found})

# %% [markdown]
# The counts agree with the laboratory's letter. Always make this comparison. A pattern that is
# slightly wrong still finds *something*: `patient(\d)` keeps only the first digit and makes all
# cells one patient.
#
# ### Exercise 11.3 (7 minutes)
#
# Another laboratory writes `S07-b_0031.tif`: patient `S07`, slide `b`, image `0031`. Write
# `patient_of(name)`. It returns the patient, such as `"S07"`, or `None` if the name has none. Some
# patients have three digits. `re.search(pattern, name)` returns a match or `None`; `match.group(1)`
# is the part in the first pair of round brackets.


# %% tags=["nbval-check-output"]
def patient_of(name):
    """Return the patient in a name such as S07-b_0031.tif, or None."""
    match = re.search(r"^(S\d+)-", name)  # solution
    return match.group(1) if match else None  # solution


lk.check("11.3", patient_of)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `\d+` takes all digits, and the hyphen marks where they end. `^` is the start of the name. There
# are two usual mistakes. `S\d\d` misses patients with three digits. `re.search(...).group(1)`
# fails with an `AttributeError` where there is no match.
#
# </details>

# %% [markdown]
# ## Find images that two patients share
#
# The same image can occur under two patient numbers (lesson 02). Equal pixels have equal SHA-256
# checksums, so we compare these.


# %% tags=["nbval-check-output"]
def checksum(path):
    """Return the SHA-256 checksum of the pixels of an image."""
    return hashlib.sha256(np.asarray(Image.open(path).convert("RGB")).tobytes()).hexdigest()


table["sha256"] = [checksum(path) for path in table["path"]]
shared = table[table["sha256"].duplicated(keep=False)].groupby("sha256")["subject"].unique()
print("images that occur more than once:", len(shared))
owners = [" and ".join(sorted(patients)) for patients in shared if len(patients) > 1]
print("patients that share an image:", sorted(set(owners)))
table["group"] = lk.group_ids(table)
print(table["subject"].nunique(), "patients in", table["group"].nunique(), "groups")

# %% [markdown]
# If two patients share an image, there is a mistake: one patient has two numbers, or a file was
# copied to the wrong name. Write to the laboratory *before* you train. Until you have a reply, keep
# both patients on one side of every split. To do so, split by the column `group`. `lk.group_ids`
# builds it as you did in lesson 02.
#
# Your table is complete. It has one row per image, with path, label, number, patient and group.

# %% [markdown]
# ## Which folders the import refuses
#
# The package of this course reads folders, too. It never guesses; it **refuses** instead.
# `attempt` prints the message of a refusal.


# %% tags=["nbval-check-output"]
def attempt(action, *arguments, **options):
    """Return the result of a call, or print why the call is refused."""
    try:
        return action(*arguments, **options)
    except lk.InputError as error:
        print("Refused:", str(error).replace(str(home), "…"))


attempt(lk.load_dataset, delivery, home / "data")

# %% [markdown]
# Nobody has written down what `blasts` and `normal` mean. `lk.import_folder` takes that as a
# dictionary. It lists the classes in the order of their numbers, each with the folder names that
# mean it. On the command line it is `leuk data import`. Guess which of the following calls are
# refused.

# %% tags=["nbval-check-output"]
meaning = {"HEM": ["normal"], "ALL": ["blasts"]}
pattern = r"patient(\d+)_"
print("1. A folder name without a meaning")
attempt(lk.import_folder, delivery, home / "a", {"HEM": ["normal"], "ALL": ["blast"]}, pattern)
print("\n2. The classes in the other order")
attempt(lk.import_folder, delivery, home / "b", {"ALL": ["blasts"], "HEM": ["normal"]}, pattern)
print("\n3. No patients")
attempt(lk.import_folder, delivery, home / "c", meaning)

# %% [markdown]
# All three are refused. The third message names a way out: you may declare that each image is a
# patient of its own. Here that is false, and the table keeps the warning permanently.

# %% tags=["nbval-check-output"]
declared = lk.import_folder(delivery, home / "d", meaning, each_image_its_own_subject=True)
print(declared["subjects"], "patients.", *declared["cautions"])

# %% [markdown]
# With the meaning and the pattern the folder is accepted. Its counts should equal ours.

# %% tags=["nbval-check-output"]
verified = lk.import_folder(delivery, home / "table", meaning, pattern)
own = lk.load_dataset(home / "table", home / "data")
print("classes:", verified["classes"], "- ours:", np.bincount(table["y"]).tolist())
print("patients:", verified["subjects"], "- ours:", table["subject"].nunique())
print("set aside:", len(verified["set_aside"]), "files")
files = sorted(Path(path).name for path in own.table["path"])
print("same files:", files == sorted(table["name"]))
print("\n" + (home / "table" / "cells.toml").read_text("utf-8"))

# %% [markdown] tags=["slide"]
# ## Three classes
#
# Your question may have more than two classes. Acute leukemia, for example, has a lymphoblastic
# and a myeloid form. The cells of this course have two classes only, so we **draw** cells of three
# classes: `lymphoblasts`, `myeloblasts` and `normal`. The rules are ours and much simpler than
# biology:
#
# - Normal cells are small. Both kinds of blasts are larger, and equal in size on average.
# - The nucleus of a myeloblast is a little smaller and has a deeper notch.
# - Each patient has a size and a stain of their own.


# %%
# label: radius of the cell in pixels; nucleus and notch as shares of that radius
SHAPES = {
    "lymphoblasts": (31, 0.84, 0.08),
    "myeloblasts": (31, 0.80, 0.24),
    "normal": (26, 0.78, 0.08),
}


def draw_disc(draw, x, y, radius, color):
    """Draw a filled circle."""
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(color.astype(int)))


# %% [markdown]
# `draw_cell` draws three discs on top of each other. The random numbers make each cell different.


# %%
def draw_cell(label, size, stain, rng):
    """Return an image of one cell: a pale disc, a dark nucleus, a notch in the nucleus."""
    radius, nucleus, notch = SHAPES[label]
    radius = size * radius * rng.normal(1, 0.07)
    nucleus = radius * min(rng.normal(nucleus, 0.04), 0.95)
    notch = radius * max(rng.normal(notch, 0.06), 0)
    angle = rng.uniform(0, 2 * np.pi)
    x = 48 + (radius - notch) * np.cos(angle)
    y = 48 + (radius - notch) * np.sin(angle)
    image = Image.new("RGB", (96, 96))
    draw = ImageDraw.Draw(image)
    draw_disc(draw, 48, 48, radius, 0.9 * stain)
    draw_disc(draw, 48, 48, nucleus, 0.5 * stain)
    draw_disc(draw, x, y, notch, 0.9 * stain)
    return image


# %% [markdown]
# The classes are unequal: 15 patients with lymphoblasts, 6 with myeloblasts,
# 9 healthy ones, and 16 cells per patient.

# %%
rng = np.random.default_rng(seed)
smears = home / "smears"
labels_of_patients = ["lymphoblasts"] * 15 + ["myeloblasts"] * 6 + ["normal"] * 9
for patient, label in enumerate(labels_of_patients):
    size, stain = rng.normal(1, 0.06), rng.normal((190, 150, 210), 12)
    (smears / label).mkdir(parents=True, exist_ok=True)
    for number in range(16):
        image = draw_cell(label, size, stain, rng)
        image.save(smears / label / f"P{patient:02d}_{number:02d}.png")

# %% [markdown]
# From here on it is an ordinary folder. Three lines turn it into a table.

# %% tags=["nbval-check-output"]
smear = list_files(smears)
smear["subject"] = smear["name"].str.extract(r"(P\d+)_", expand=False)
classes = ["normal", "lymphoblasts", "myeloblasts"]  # the order is our decision
smear.groupby("label").agg(images=("name", "size"), patients=("subject", "nunique")).loc[classes]

# %% tags=["slide"]
figure, panels = plt.subplots(3, 8, figsize=(8, 3.6), layout="constrained")
for row, label in zip(panels, classes, strict=True):
    shown = smear[smear["label"] == label].groupby("subject").head(2).head(8)
    for panel, path in zip(row, shown["path"], strict=True):
        panel.imshow(lk.brighten(np.asarray(Image.open(path))))
        panel.set(xticks=[], yticks=[])
    row[0].set_ylabel(label, fontsize=9)
figure.suptitle("Drawn cells: normal cells are smaller, myeloblasts have a deeper notch")
alt = "Three rows of drawn cells; the nuclei of myeloblasts have a deeper notch."
lesson.save_figure(figure, "three-classes", alt)

# %% [markdown]
# ## Features, model and baselines
#
# As in lesson 04, we measure each cell and train a support vector machine (SVM). `threshold_otsu`
# finds the gray level between nucleus and rest. **Solidity** is the area of a shape divided by the
# area of its convex hull: a notch makes it smaller. **Eccentricity** is 0 for a circle and close to
# 1 for a long, narrow shape.


# %%
from skimage.filters import threshold_otsu
from skimage.measure import regionprops


def measure(path):
    """Return four features of a cell on black."""
    gray = np.asarray(Image.open(path)).mean(axis=2)
    cell = gray > 0
    nucleus = cell & (gray < threshold_otsu(gray[cell]))
    shape = regionprops(nucleus.astype(int))[0]
    return {
        "cell_area": int(cell.sum()),
        "nucleus_share": nucleus.sum() / cell.sum(),
        "solidity": shape.solidity,
        "eccentricity": shape.eccentricity,
    }


features = pd.DataFrame([measure(path) for path in smear["path"]])
features.groupby(smear["label"]).mean().loc[classes].round(2)

# %% [markdown]
# No model weights the classes, so that the comparison is fair.
# `StratifiedGroupKFold` keeps each patient in one fold, for three classes as for two. No option
# changes: scikit-learn's classifiers accept any number of classes.
#
# **Guess first:** the area baseline knows only the size. Which of the three classes will it find?

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, recall_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

y, subjects = smear["label"].to_numpy(), smear["subject"].to_numpy()
folds = StratifiedGroupKFold(n_splits=4, shuffle=True, random_state=seed)
svm = make_pipeline(StandardScaler(), SVC(C=3))
area = make_pipeline(StandardScaler(), LogisticRegression())
predictions = {
    "majority": cross_val_predict(DummyClassifier(), features, y, groups=subjects, cv=folds),
    "area": cross_val_predict(area, features[["cell_area"]], y, groups=subjects, cv=folds),
    "svm": cross_val_predict(svm, features, y, groups=subjects, cv=folds),
}
pd.Series({name: accuracy_score(y, p) for name, p in predictions.items()}, name="accuracy").round(2)

# %% [markdown]
# By accuracy the area baseline looks better than the majority-class baseline. Now the recall of
# each class:

# %% tags=["slide"]
recalls = pd.DataFrame(
    {name: recall_score(y, p, labels=classes, average=None) for name, p in predictions.items()},
    index=classes,
)
recalls.T.round(2)

# %% [markdown]
# The area baseline finds the normal cells and the lymphoblasts, but hardly any myeloblast. Its
# accuracy is above that of the majority-class baseline all the same. In these drawn cells both
# kinds of blasts are equally large, and the model prefers the more frequent one. (With
# `class_weight="balanced"` it would predict some myeloblasts, but then it would miss many
# lymphoblasts: their areas are the same.) The SVM also measures the nucleus and its shape, and
# finds all three classes. **Report the recall of every class:** accuracy hides a rare one.
#
# The **macro recall** is the mean of the recalls. Each class counts equally, however rare it is.
# The majority-class baseline has a macro recall of one third: one recall is 1.00, two are 0.00.
# With two classes the same number is the balanced accuracy ([glossary](../docs/glossary.md)).
#
# ### Exercise 11.4 (8 minutes)
#
# Write `macro_recall(y_true, y_pred)` with numpy only. Both are arrays of labels, such as
# `["normal", "myeloblasts", …]`. Do not assume three classes.


# %% tags=["nbval-check-output"]
def macro_recall(y_true, y_pred):
    """Return the mean of the recalls of all classes in y_true."""
    recalls = [np.mean(y_pred[y_true == label] == label) for label in np.unique(y_true)]  # solution
    return float(np.mean(recalls))  # solution


lk.check("11.4", macro_recall)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `y_true == label` selects the cells of one class. The share of them with the right prediction is
# the recall. The last line averages over classes, not over cells. The usual mistake is
# `np.mean(y_true == y_pred)`: that is accuracy. Selecting by `y_pred` gives the precision.
#
# </details>

# %% [markdown]
# ## Intervals for the recalls
#
# There are 480 cells, but only 30 patients. As in lesson 06, we draw whole **patients** with
# replacement and compute the recalls again.


# %%
def bootstrap_recalls(y_true, y_pred, subjects, n_draws=300):
    """Return the recalls of resampled patients, shape (n_draws, n_classes)."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
    draws = []
    while len(draws) < n_draws:
        drawn = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        if set(y_true[drawn]) == set(classes):  # a draw without a class has no recall for it
            draws.append(recall_score(y_true[drawn], y_pred[drawn], labels=classes, average=None))
    return np.array(draws)


draws = {name: bootstrap_recalls(y, p, subjects) for name, p in predictions.items()}
for name, drawn in draws.items():
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    print(f"{name:9s} macro recall {recalls[name].mean():.2f} (95% {low:.2f} to {high:.2f})")

gain = (draws["svm"] - draws["area"]).mean(axis=1)  # the same patients in each pair of draws
low, high = np.quantile(gain, [0.025, 0.975])
print(f"SVM minus area baseline, macro recall: 95% interval {low:+.2f} to {high:+.2f}")

# %% [markdown]
# With the default seed the interval of the difference lies above zero. The next figure shows which
# classes the SVM confuses, and the recall of each class and model. Points without a line have an
# interval of length zero. Such an interval does not mean that the recall is certain. If the recall
# is 0 for every patient in the sample, it is 0 in every draw. The intervals of a class with few
# patients are rough.

# %%
from sklearn.metrics import ConfusionMatrixDisplay

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    y, predictions["svm"], labels=classes, ax=left, cmap="Greens", colorbar=False
)
left.set(title="SVM, number of cells", xlabel="predicted class", ylabel="true class")
left.tick_params(axis="x", rotation=20)
for shift, (name, drawn) in zip((-0.2, 0, 0.2), draws.items(), strict=True):
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    x, height = np.arange(3) + shift, recalls[name]
    right.vlines(x, low, high, color=model_colors[name])
    right.plot(x, height, "o", color=model_colors[name], label=name)
right.set(title="recall, 95% intervals over patients", ylim=(-0.05, 1.05))
right.set_xticks(range(3), classes, rotation=20)
right.legend(loc="center")
figure.suptitle("Drawn cells: area alone misses the myeloblasts, the SVM finds all three classes")
lesson.save_figure(figure, "recalls", "Confusion matrix of the SVM; recall per class and model.")

# %% [markdown]
# Read a confusion matrix row by row: each row is a true class, and the number on the diagonal
# counts the correct predictions. Divide each number by the sum of its row before you compare rows:
# a frequent class has larger counts.
#
# The import accepts three classes as well; the classes are written in the order of their numbers.

# %% tags=["nbval-check-output"]
three = {label: [] for label in classes}  # folder names equal class names
imported = lk.import_folder(smears, home / "three", three, r"(P\d+)_")
print(imported["classes"], imported["subjects"], "patients")
lesson.record(
    images=verified["images"],
    subjects=verified["subjects"],
    groups=int(table["group"].nunique()),
    set_aside=len(verified["set_aside"]),
    area_auroc_by_alphabet=round(float(auroc_alphabet), 3),
    macro_recall_of_three_classes=round(float(recalls["svm"].mean()), 3),
)

# %% [markdown]
# To end with, two questions. Run the cell, and click your choice.

# %%
lesson.quiz()

# %% [markdown]
# ## Going further
#
# **Probabilities and AUROC.** A model with three classes predicts three probabilities per cell,
# which add up to one. The macro AUROC compares each class with all others (*one versus rest*) and
# takes the mean.

# %%
logistic = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
probabilities = cross_val_predict(
    logistic, features, y, groups=subjects, cv=folds, method="predict_proba"
)
print("shape:", probabilities.shape, "- each row adds up to 1:", probabilities.sum(axis=1)[:3])
macro_auroc = roc_auc_score(y, probabilities, multi_class="ovr", average="macro")
print(f"macro AUROC of a logistic regression: {macro_auroc:.2f}")

# %% [markdown]
# The columns are in the order of `np.unique(y)`, that is, alphabetical. `roc_auc_score` expects
# that order. If you read a column yourself, look at `classes_` of the fitted model first.
#
# **A network.** Three things change in the network of lesson 05:
#
# | | two classes | three classes |
# | --- | --- | --- |
# | last layer | `Dense(1, activation="sigmoid")` | `Dense(3, activation="softmax")` |
# | loss | `"binary_crossentropy"` | `"sparse_categorical_crossentropy"` |
# | prediction | `probability >= threshold` | `probabilities.argmax(axis=1)` |
#
# **Several classes in one patient.** In a blood smear each patient has several kinds of cells. Then
# the label belongs to the cell, not to the patient. Split by patient all the same, with
# `StratifiedGroupKFold`: the cells of a patient share stain and focus. The import of this course
# accepts such a table if the classes have other names than HEM and ALL.

# %%
shutil.rmtree(home)

# %% [markdown]
# ## Use it on your data
#
# Change the first three lines. The functions are those of this lesson.
#
# ```python
# folder = Path("my_cells")                      # my_cells/<label>/<image>
# number_of = {"healthy": 0, "leukemic": 1}      # every folder name, written down
# pattern = r"patient(\d+)_"                     # the brackets hold the patient
#
# mine = list_files(folder)
# readable = np.array([is_image(path) for path in mine["path"]])
# print("set aside:", mine.loc[~readable, "name"].tolist())
# mine = mine[readable].reset_index(drop=True)
# for path in mine["path"]:
#     with Image.open(path) as image:            # Pillow cuts 16 bits to 8 without a message
#         eight_bits = image.mode in ("RGB", "RGBA", "L", "P") and ";16" not in str(image.tile)
#     assert eight_bits, f"not 8 bits per color channel: {path}"
# mine["y"] = encode(mine["label"], number_of)
# mine["subject"] = mine["name"].str.extract(pattern, expand=False)
# assert mine["subject"].notna().all(), mine.loc[mine["subject"].isna(), "name"].tolist()
# mine["sha256"] = [checksum(path) for path in mine["path"]]
# mine["group"] = lk.group_ids(mine)
# print(mine.groupby("label").agg(images=("name", "size"), patients=("subject", "nunique")))
# mine.to_csv("my_cells.csv", index=False)
# ```
#
# With two classes you can run every lesson on your cells. Run this line once, then set
# `dataset = "my_table"` in the lesson:
#
# ```python
# lk.import_folder(folder, "my_table", {"HEM": ["healthy"], "ALL": ["leukemic"]}, pattern)
# ```
#
# Each class needs at least four patients; patients who share an image count as one. Two patients
# must not have the same name. If the lesson is in another folder than `my_table`, write the full
# path.
#
# A data card belongs beside it: who took the images, where, of whom, and with whose consent.

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Write down what each label means and which patient each image shows. Never let a program guess.
# - Swapped labels show in the counts, and in a measurement whose direction you know.
# - Compare the counts of files, images and patients with the laboratory's letter.
# - With three classes report the recall of each class and the macro recall, beside the baselines.
#
# **Read next:** lesson 12, many runs. On documenting data: Gebru et al., "Datasheets for Datasets",
# *Communications of the ACM* 64 (2021).
