# %% [markdown] tags=["slide"]
# # 01 · Exploration
#
# After this lesson you will be able to check what a dataset lets a model learn besides the disease.
#
# **40 minutes to teach · under a minute to run · needs lessons: 00**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - How many cells and how many subjects are there?
# - Which simple measures differ between the classes?
# - Which measures differ between subjects of the same class?
#
# **Objectives** – you will
#
# 1. open an image and measure the cell with Pillow and numpy;
# 2. summarize measures by class and by subject with pandas and seaborn;
# 3. compute which share of a measure's variance goes with the class, and which with the subject.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or a folder or CSV of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import leukhelpers as lk

lesson = lk.begin("01", dataset, profile, seed, run)
class_colors = lk.CLASS_COLORS
table, y = lesson.table, lesson.y  # one row per cell; 0 = HEM (healthy), 1 = ALL (leukemic)
class_name = table["label"].map({0: "HEM", 1: "ALL"})
palette = {"HEM": class_colors[0], "ALL": class_colors[1]}

# %% [markdown]
# ## Count cells and subjects
#
# A file name of the C-NMC dataset contains the subject, the photograph, the cell and the class.

# %% tags=["nbval-check-output"]
name = "UID_H12_4_3_hem"
print(name.split("_"))

# %% [markdown]
# The second part is the **subject**: the person from whom the cell was taken. Healthy subjects
# have an H. In the published files, one healthy subject is spelled in two ways: `H3` in some names
# and `h3` in 36 others. For a computer these are two subjects. One of them could end up in the
# training set and the other in the test set.
#
# ### Exercise 01.1 (4 minutes)
#
# Write `subject_of(name)`. It returns the subject of a file name, spelled the same way in every
# file: `"H3"` for both spellings.


# %% tags=["nbval-check-output"]
def subject_of(name):
    """Return the subject of a file name, such as "H12" for "UID_H12_4_3_hem"."""
    return name.split("_")[1].upper()  # solution


lk.check("01.1", subject_of)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `split("_")` returns a list of parts, and the subject is at position 1, because positions start
# at 0. `.upper()` changes `h3` to `H3` and leaves digits alone. The usual mistake is to take fixed
# character positions such as `name[4:6]`: subjects have one to three characters.
#
# </details>

# %% [markdown]
# The helper package has read the subjects in this way. pandas counts them per class and per `fold`,
# the part of the published dataset.

# %% tags=["nbval-check-output"]
counts = table.groupby(["fold", class_name]).agg(
    cells=("cell_id", "size"), subjects=("subject", "nunique")
)
counts.unstack()

# %% tags=["nbval-check-output"]
cells_per_subject = table.groupby("subject").size()
print("subjects:", len(cells_per_subject))
print(f"cells per subject: {cells_per_subject.min()} to {cells_per_subject.max()}")
classes_per_subject = table.groupby("subject")["label"].nunique()
print("subjects with cells of both classes:", (classes_per_subject > 1).sum())

# %% [markdown]
# There are few subjects with many cells each, and every subject has only one class. Keep this in
# mind: **a hundred cells of one patient are not a hundred independent observations.**
#
# ## Look at one cell
#
# Pillow opens an image file, and `np.asarray` turns it into numbers: height × width × 3 colors
# (red, green, blue), each from 0 to 255. The background of these images is exactly 0. So a pixel
# belongs to the cell if at least one of its colors is above 0.

# %% tags=["nbval-check-output"]
image = Image.open(lesson.path(0)).convert("RGB")
pixels = np.asarray(image)
inside = pixels.max(axis=2) > 0
print("shape:", pixels.shape, "type:", pixels.dtype)
print("pixels of the cell:", inside.sum())

# %% tags=["nbval-check-output", "slide"]
figure, panels = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
panels[0].imshow(pixels)
panels[1].imshow(lk.brighten(pixels))
panels[2].imshow(inside, cmap="gray")
titles = ("as stored", "brightened for display", "white: pixels of the cell")
for panel, title in zip(panels, titles, strict=True):
    panel.set_title(title)
    panel.axis("off")
figure.suptitle(f"This cell covers {inside.mean():.0%} of its image; the rest is exactly black")
lesson.save_figure(figure, "one-cell", "One cell: as stored, brightened, and its white silhouette.")

# %% [markdown]
# The stored cells are dark. All following images are brightened, for display only.
#
# ## Look at both classes

# %% tags=["nbval-check-output", "slide"]
shown = table.groupby("label").sample(6, random_state=1).index
figure, panels = plt.subplots(2, 6, figsize=(9, 3.5), layout="constrained")
for panel, row in zip(panels.flat, shown, strict=True):
    panel.imshow(lk.brighten(lesson.images[row]))
    panel.set_title(class_name[row], color=palette[class_name[row]])
    panel.axis("off")
figure.suptitle("Healthy cells above, leukemic cells below: they look much alike")
lesson.save_figure(figure, "classes", "Six healthy cells above six leukemic ones; much alike.")

# %% [markdown]
# **Before you go on:** write down two guesses. Which measure separates the two classes best: the
# area of the cell, its color, or the sharpness of the image? Which one depends most on the
# *subject*?
#
# ## Measure every cell
#
# The next function returns six numbers per cell. None of them uses medical knowledge.
#
# | measure | meaning |
# |---|---|
# | `area` | number of pixels of the cell |
# | `red`, `green`, `blue` | mean color of the cell: the **stain** |
# | `spread` | standard deviation of the gray values: light and dark places within the cell |
# | `sharpness` | mean step between neighboring pixels: large in a focused image |


# %%
def measure(path):
    """Return six simple numbers of one cell."""
    image = Image.open(path).convert("RGB")
    pixels = np.asarray(image.crop(image.getbbox())).astype(float)  # without the black border
    inside = pixels.max(axis=2) > 0
    red, green, blue = pixels[inside].mean(axis=0)
    gray = pixels.mean(axis=2)
    both_inside = inside[:, 1:] & inside[:, :-1]  # a pixel and its neighbor on the left
    steps = np.abs(np.diff(gray, axis=1))[both_inside]
    color = {"red": red, "green": green, "blue": blue}
    return {"area": inside.sum(), **color, "spread": gray[inside].std(), "sharpness": steps.mean()}


measures = pd.DataFrame([measure(lesson.path(row)) for row in range(len(table))])
measures.groupby(class_name).median().round(1)

# %% [markdown]
# The medians of the area differ clearly. The other medians are closer together. A median hides how
# much the classes overlap, so draw the areas of all cells as a **histogram**. The vertical axis
# shows the density: the bars of each class have a total area of 1.

# %% tags=["nbval-check-output", "slide"]
auroc = roc_auc_score(y, measures["area"])
figure, panel = plt.subplots(figsize=(8, 3.2), layout="constrained")
histogram = {"bins": 40, "stat": "density", "common_norm": False, "palette": palette}
sns.histplot(x=measures["area"] / 1000, hue=class_name, hue_order=palette, ax=panel, **histogram)
panel.set(xlabel="area of the cell (thousand pixels)", ylabel="density")
panel.get_legend().set_title("")
figure.suptitle(f"In {auroc:.0%} of pairs, the leukemic cell is larger than the healthy one")
lesson.save_figure(figure, "area", "Histograms of cell area; leukemic cells lie to the right.")

# %% [markdown]
# The share in the title has a name, **AUROC** (see the [glossary](../docs/glossary.md)). Take one
# leukemic and one healthy cell at random. How often does the leukemic cell have the higher value?
# A tie counts one half. You can check the definition by drawing many pairs.

# %% tags=["nbval-check-output"]
generator = np.random.default_rng(0)
leukemic_areas = generator.choice(measures["area"][y == 1], 100_000)
healthy_areas = generator.choice(measures["area"][y == 0], 100_000)
print(f"share of random pairs:   {np.mean(leukemic_areas > healthy_areas):.2f}")
print(f"roc_auc_score of area:   {roc_auc_score(y, measures['area']):.2f}")
print(f"majority-class baseline: {roc_auc_score(y, np.ones(len(y))):.2f}")

# %% [markdown]
# An AUROC of 0.5 is chance, 1.00 is a perfect ranking. The majority-class baseline gives every
# cell the same score, so all its pairs are ties. In this sample, area alone separates the classes
# fairly well. This is the **area baseline**. This course compares every network with it. Lesson 06
# asks how far the result generalizes to other patients.
#
# ## Compare subjects
#
# Now draw one box per subject. A box holds the middle half of a subject's cells, and its line is
# the median. Subjects are sorted by class, then by median area.

# %% tags=["nbval-check-output", "slide"]
medians = measures["area"].groupby([table["label"], table["subject"]]).median()
order = medians.reset_index().sort_values(["label", "area"])["subject"]
figure, panels = plt.subplots(2, 1, figsize=(9, 5.6), sharex=True, layout="constrained")
boxes = {
    "order": order,
    "hue": class_name,
    "hue_order": palette,
    "palette": palette,
    "fliersize": 1,
}
sns.boxplot(x=table["subject"], y=measures["area"] / 1000, ax=panels[0], **boxes)
sns.boxplot(x=table["subject"], y=measures["red"], ax=panels[1], **boxes)
panels[0].set(ylabel="area (thousand pixels)")
panels[1].set(ylabel="mean red (0 to 255)", xlabel="subject")
panels[0].legend(title="", ncols=2)
panels[1].get_legend().remove()
panels[1].tick_params(axis="x", rotation=90)
figure.suptitle("Area and mean red of each subject")
lesson.save_figure(figure, "subjects", "Boxes of area and mean red, one per subject, by class.")

# %% [markdown]
# In the upper panel, most leukemic subjects have larger cells than the healthy ones. But subjects
# of one class differ, too. In the lower panel, the boxes jump up and down within both classes. Here
# are cells of two healthy subjects: the one with the lowest median of red, and the one with the
# highest.

# %% tags=["nbval-check-output", "slide"]
median_red = measures["red"][y == 0].groupby(table["subject"]).median()
darkest, brightest = median_red.idxmin(), median_red.idxmax()
figure, panels = plt.subplots(2, 7, figsize=(9, 3.2), layout="constrained")
for subject, line in zip((darkest, brightest), panels, strict=True):
    rows = table.index[table["subject"] == subject]
    line[0].set_title(f"subject {subject}", loc="left")
    for panel, row in zip(line, rows[:7], strict=False):
        panel.imshow(lk.brighten(lesson.images[row]))
for panel in panels.flat:
    panel.axis("off")
figure.suptitle(
    f"Two healthy subjects: the cells of {darkest} are darker than those of {brightest}"
)
lesson.save_figure(figure, "stain", "Two rows of seven healthy cells; the upper row is darker.")

# %% [markdown]
# All these cells have the same label.
#
# ### Exercise 01.2 (5 minutes)
#
# A simple rule calls a subject leukemic if the median area of its cells is *above the median of all
# these medians*. How many leukemic subjects does the rule miss? Compute in three steps: the median
# area per subject, whether each subject is leukemic, and the number missed. Then find these
# subjects in the upper panel. Two hints: `.first()` gives the first value of each group, and `&`
# between two conditions, each in brackets, is true where both hold.

# %% tags=["nbval-check-output"]
median_area = measures["area"].groupby(table["subject"]).median()  # solution
leukemic = table.groupby("subject")["label"].first() == 1  # solution
missed = int((leukemic & (median_area <= median_area.median())).sum())  # solution
lk.check("01.2", missed, table=table, area=measures["area"])

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `groupby` works on any column of the same length as the table. The two results have one row per
# subject, so `&` combines them subject by subject. The usual mistake is to count *cells* instead
# of subjects. The rule calls one half of the subjects leukemic, but more than half are. So it must
# miss some of them, even if the ranking were perfect.
#
# </details>

# %% [markdown] tags=["slide"]
# ## The surprise: class or subject?
#
# How much does a measure depend on the class, and how much on the subject? Compare variances:
#
# 1. Compute the variance of the measure over all cells.
# 2. Replace each value by the mean of its group, and compute the variance of these means.
# 3. Divide the second by the first.
#
# The result is the **explained share** of the variance (also called *eta squared*). It is 0 if all
# groups have the same mean, and 1 if all cells of a group have the same value.

# %% tags=["nbval-check-output"]
example = pd.DataFrame({"value": [1, 2, 3, 7, 8, 9], "group": ["a", "a", "a", "b", "b", "b"]})
example["mean of the group"] = example["value"].groupby(example["group"]).transform("mean")
example

# %% [markdown]
# In this example most of the variance is explained: the groups lie further apart than the values
# within a group.
#
# ### Exercise 01.3 (6 minutes)
#
# Write `explained_share(values, groups)`, following the three steps. Both arguments are pandas
# Series with one entry per cell. `.var(ddof=0)` computes a variance.


# %% tags=["nbval-check-output"]
def explained_share(values, groups):
    """Return the share of the variance of values that the group means explain."""
    means = values.groupby(groups).transform("mean")  # solution
    return means.var(ddof=0) / values.var(ddof=0)  # solution


lk.check("01.3", explained_share)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `transform("mean")` returns one value per *cell*, so a group counts as often as it has cells. The
# usual mistake is `values.groupby(groups).mean()`, which returns one value per *group*. Then a
# subject with three cells counts as much as a subject with sixty.
#
# </details>

# %% [markdown]
# scikit-learn computes the same share: `r2_score` compares values with predictions, and here the
# "prediction" is the mean of the group. Each subject has only one class. So the share by subject
# contains the share by class, and the difference belongs to the subject alone.
#
# **Before you run the cell:** look at your second guess. Which measure depends most on the
# subject?

# %% tags=["slide"]
shares = pd.DataFrame(
    index=measures.columns, columns=["class", "subject beyond class"], dtype=float
)
for name, values in measures.items():
    by_class = r2_score(values, values.groupby(table["label"]).transform("mean"))
    by_subject = r2_score(values, values.groupby(table["subject"]).transform("mean"))
    shares.loc[name] = by_class, by_subject - by_class
shares.round(2)

# %% [markdown]
# This answers both guesses. Area separates the classes best: the class explains more of it than of
# any other measure. But even of the area this is only a small part, and the subject explains about
# as much again. The mean colors depend most on the subject. The class explains almost nothing of
# them, and the subject a large part. The color depends on how a sample was stained and
# photographed, and the cells of one subject largely share both.
#
# Is this true, or is it an artifact? The synthetic cells are drawn by code, and its authors
# decided that stain and focus depend on the subject. So the table above only shows what they put
# in. The same measures were taken of the real cells of C-NMC (fold 0). Here they are, side by
# side.

# %% tags=["slide"]
real = pd.DataFrame(lk.measured("variance_shares")["measures"]).T
real["subject beyond class"] = real["by_subject"] - real["by_class"]
real = real.rename(columns={"by_class": "class"})[shares.columns]
both = pd.concat({"cells of this lesson": shares, "real cells (C-NMC, fold 0)": real}, axis=1)
both.round(2)

# %% tags=["nbval-check-output", "slide"]
figure, panels = plt.subplots(
    1, 2, figsize=(9, 3.4), sharex=True, sharey=True, layout="constrained"
)
for panel, (title, values) in zip(panels, both.T.groupby(level=0, sort=False), strict=True):
    values.T[title].plot.barh(stacked=True, ax=panel, color=["#332288", "#88ccee"], legend=False)
    panel.set(title=title, xlabel="explained share of the variance")
panels[0].invert_yaxis()
panels[1].legend(loc="lower right")
figure.suptitle("Color goes with the subject; area goes with the class more than any other measure")
note = f"right: measured on real cells; left: {lesson.note}"
alt = "Bars per measure: shares of class and subject, two datasets."
lesson.save_figure(figure, "shares", alt, note=note)

# %% [markdown]
# The real cells confirm the finding for color. The class explains only a few percent of mean red,
# green and blue, and the subject explains more than one half. They confirm it for area, too: area
# has the largest share of the class.
#
# They do *not* confirm it for sharpness. On synthetic cells, sharpness depends mostly on the
# subject. On real cells, the share of the class is at least as large as the share of the subject.
# **A finding on synthetic cells is a statement about the drawing code, until real cells confirm
# it.**
#
# ## The explanation: a model can recognize the subject
#
# Why is this a danger? Let us try to recognize the *subject* from the mean color alone. A
# nearest-neighbor classifier looks up the five training cells with the most similar color. It
# predicts their most frequent subject. The majority-class baseline always predicts the subject with
# most cells. `cross_val_score` repeats this five times. Each time the model learns from four fifths
# of the cells and is scored on the others. Lesson 02 explains this.

# %%
color = measures[["red", "green", "blue"]]
folds = KFold(5, shuffle=True, random_state=0)
for title, model in (
    ("five nearest neighbors", KNeighborsClassifier(5)),
    ("majority-class baseline", DummyClassifier()),
):
    accuracy = cross_val_score(model, color, table["subject"], cv=folds).mean()
    print(f"{title}: {accuracy:.0%} of the cells get the correct subject")

# %% [markdown]
# Three numbers per cell recognize the subject clearly more often than the baseline. A network sees
# thousands of numbers per cell. If it has seen cells of the same subject in training, it can
# recognize the subject and remember the label. The score is then high, but for a new patient this
# knowledge is worthless. A **shortcut** is an easy feature that goes with the label in these
# images, but fails for other patients or laboratories. Color is one by way of the subject: it
# identifies the subject, and each subject has one label.
#
# The table does not show that color is useless. It rates each measure alone. Several color
# measures together may still separate the classes. Lesson 04 trains models on many color features
# and measures what they add for unseen patients.
#
# ## The repair
#
# - Keep all cells of a subject on the same side of a split (lesson 02).
# - Vary or normalize the color of training images (lesson 03).
# - Compare every model with the area baseline (from lesson 04 on).

# %% tags=["nbval-check-output"]
beyond = shares["subject beyond class"]
lesson.record(
    auroc_of_area_alone=round(float(auroc), 3),
    area_variation_by_class=round(float(shares.loc["area", "class"]), 3),
    area_variation_of_person_beyond_class=round(float(beyond["area"]), 3),
    most_personal_measure=f"{beyond.idxmax()} ({beyond.max():.2f} beyond the class)",
)
print("Measure that depends most on the subject:", beyond.idxmax())

# %% [markdown]
# ## Going further
#
# With few subjects, a measure can go with the class by chance. How large would the share of the
# class be without any relation? Shuffle the labels *between subjects* many times and compare. (To
# shuffle them between cells would be wrong: cells of one subject are not independent.)

# %%
label_of_subject = table.groupby("subject")["label"].first()
generator = np.random.default_rng(0)
for name in ("area", "red", "sharpness"):
    values, shuffled = measures[name], []
    for _ in range(200):
        label = pd.Series(generator.permutation(label_of_subject), label_of_subject.index)
        means = values.groupby(table["subject"].map(label)).transform("mean")
        shuffled.append(r2_score(values, means))
    limit = np.quantile(shuffled, 0.95)
    print(f"{name:9}  class: {shares.loc[name, 'class']:.2f}  95% of shuffles below {limit:.2f}")

# %% [markdown]
# The share of the class for area is far above the limit: chance does not explain it. With the
# default settings, red and sharpness are below their limits, so these cells show no relation with
# the class. For real cells this limit was not computed.
#
# ## Use it on your data
#
# You need a CSV file with one row per image and the columns `path`, `label` and `subject`. Each
# subject needs many images: with few, the share of the subject is large by chance. If the
# background of your images is not black, change the line that computes `inside`.
#
# ```python
# import numpy as np
# import pandas as pd
# from PIL import Image
# from sklearn.metrics import r2_score
#
#
# def measure(path):
#     pixels = np.asarray(Image.open(path).convert("RGB")).astype(float)
#     inside = pixels.max(axis=2) > 0
#     red, green, blue = pixels[inside].mean(axis=0)
#     return {"area": inside.sum(), "red": red, "green": green, "blue": blue}
#
#
# table = pd.read_csv("my_cells.csv", dtype={"subject": str})
# measures = pd.DataFrame([measure(path) for path in table["path"]])
# for name, values in measures.items():
#     for column in ("label", "subject"):
#         share = r2_score(values, values.groupby(table[column]).transform("mean"))
#         print(name, column, round(share, 2))
# ```
#
# ## Check yourself
#
# Run the cell and click the option you would choose.

# %%
lesson.quiz()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Thousands of cells may come from a few dozen subjects. The subjects are the sample.
# - Area alone separates the classes fairly well. Compare every model with it.
# - Mean color goes with the subject, and the subject determines the label. This is a shortcut.
# - Confirm on real cells whatever you find on synthetic ones.
#
# **Read next:** lesson 02, where the shortcut becomes a trap. On shortcuts: Geirhos et al.,
# "Shortcut learning in deep neural networks", *Nature Machine Intelligence* 2 (2020).
