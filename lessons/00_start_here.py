# %% [markdown] tags=["slide"]
# # 00 · Start here
#
# After this lesson you will be able to judge a test score before you believe it.
#
# **30 minutes to teach · under a minute to run · needs lessons: none (only basic Python)**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - What do the images show, and what should a program predict from them?
# - How good is an accuracy of two thirds?
# - How is this course organized?
#
# **Objectives** – you will
#
# 1. read a table of cells with pandas and count its cells, subjects and classes;
# 2. score predictions, your own included, with scikit-learn's metrics;
# 3. compare every score with a baseline.

# %% tags=["setup"]

# %% [markdown]
# The next cell contains the settings you can change. `twin` selects the synthetic dataset. Code
# draws its cells, so you need no download. `fast` runs in minutes. `full` is for real cells: it
# uses larger images and takes much longer.

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or a folder or CSV of your own cells
profile: str = "fast"  # fast or full
seed: int = 0  # another seed draws other synthetic cells
run: str = ""  # folder for results; empty for one named after the three above

# %% [markdown]
# The imports are the usual public libraries, and one small helper package, `leukhelpers`. `begin`
# checks the settings and finds the images.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

import leukhelpers as lk

lesson = lk.begin("00", dataset, profile, seed, run)

# %% [markdown]
# ## The task
#
# *Acute lymphoblastic leukemia* (**ALL**) is the most common cancer of children. The bone marrow
# makes too many immature white blood cells, called *blasts*. A specialist finds blasts by looking
# at a stained sample through a microscope. Healthy immature cells look similar. The dataset calls
# them **HEM**. Even specialists find the two hard to tell apart.
#
# In 2019 the *C-NMC challenge* published about fifteen thousand images. Each shows one cell on a
# black background, labeled by an expert. A popular Kaggle dataset contains the same images. Many
# public notebooks train a *neural network* on it: a program that learns from labeled examples. They
# report very high scores. Some of these scores are wrong. This course teaches you how to find out
# which.
#
# **Nothing in this course is fit for diagnosis.** It teaches how such programs are built and
# tested.
#
# ## Read the table
#
# The helper package has read the names of the images and checked every file. The result is a
# table. We save it as a CSV file and read it with pandas, as you would read any table that you
# receive.

# %% tags=["nbval-check-output"]
file = lesson.run / "cell_table.csv"
lesson.table.to_csv(file, index=False)
table = pd.read_csv(file, dtype={"subject": str, "fold": str})
table.drop(columns="sha256").groupby("label").head(3)

# %% [markdown]
# | column | content |
# |---|---|
# | `cell_id` | the name of the file, without its extension |
# | `path` | where the image is |
# | `label` | **0 = HEM (healthy), 1 = ALL (leukemic)** |
# | `subject` | the person from whom the cell was taken; in C-NMC the healthy ones start with H |
# | `fold` | the part of the published dataset: 0, 1 or 2 |
# | `sha256` | a checksum of the pixels (not shown): equal images have equal checksums |
#
# There is one row per cell. `dtype` keeps subject names as text. Without it, pandas could turn a
# name such as `007` into the number 7. Now count.
#
# `groupby` forms one group of rows per class, and `agg` computes numbers for each group. Each
# number gets a name: `subjects=("subject", "nunique")` means that the new column `subjects` is
# computed from the column `subject`. `size` counts the rows. `nunique` counts the different values.

# %% tags=["nbval-check-output"]
counts = table.groupby("label").agg(cells=("cell_id", "size"), subjects=("subject", "nunique"))
counts.rename(index={0: "HEM", 1: "ALL"})

# %% [markdown]
# The classes are not equally large: about two thirds of the cells are leukemic. There are many
# cells, but few subjects. Both facts will matter throughout the course.
#
# ## Read the data card
#
# Where do the cells come from? What may you do with them? Which faults are known? A **data card**
# answers these questions on half a page. Read it before you use a dataset. (Subjects who share an
# image form one *group*. Every other subject is a group of one; see lesson 02.)

# %% tags=["nbval-check-output"]
Markdown(lk.data_card(lesson.dataset))

# %% [markdown]
# ## Guess first
#
# Here are twelve cells, chosen at random. The cells are dark, so `lk.brighten` makes them brighter
# for display only. Which ones are leukemic? Write down your guess.

# %% tags=["nbval-check-output", "slide"]
shown = table.sample(12, random_state=9).index
figure, panels = plt.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
for number, (panel, row) in enumerate(zip(panels.flat, shown, strict=True), 1):
    panel.imshow(lk.brighten(lesson.images[row]))
    panel.set_title(f"cell {number}", fontsize=9)
    panel.axis("off")
figure.suptitle("Twelve cells: the two classes look much alike")
lesson.save_figure(figure, "guess", "Twelve purple cells on black, numbered 1 to 12, unlabeled.")

# %% [markdown]
# No single sign decides. Type your guess below: 1 for ALL, 0 for HEM, in the order of the cells.
# The list alternates until you change it.

# %%
my_guess = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])  # replace by your own guess

# %% [markdown]
# The true labels are in the table. **Accuracy** is the share of predictions that are correct.

# %% tags=["nbval-check-output"]
y = table["label"].to_numpy()
truth = y[shown]
print("true labels:", truth)
print("my guess:   ", my_guess)
print(f"accuracy of my guess: {accuracy_score(truth, my_guess):.2f}")

# %% [markdown]
# ### Exercise 00.1 (4 minutes)
#
# Write the metric yourself. `accuracy(truth, predictions)` receives two arrays of labels and
# returns the share of positions at which they are equal. NumPy compares two arrays element by
# element.


# %% tags=["nbval-check-output"]
def accuracy(truth, predictions):
    """Return the share of correct predictions, between 0 and 1."""
    return np.mean(truth == predictions)  # solution


lk.check("00.1", accuracy)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `truth == predictions` is an array of `True` and `False`. Python counts `True` as 1 and `False`
# as 0, so the mean is the share of correct predictions. The usual mistake is to return the
# *number* of correct predictions, which depends on the number of cells.
#
# </details>

# %% [markdown] tags=["slide"]
# ## The surprise: a high accuracy without looking
#
# Now a competitor. scikit-learn's `DummyClassifier` receives the images and never looks at them.
# It counts the labels and always predicts the most frequent class. This is the **majority-class
# baseline** (see the [glossary](../docs/glossary.md)). A *baseline* is a simple method that every
# serious method must beat.
#
# **Before you run the cell:** how accurate will it be? Will you beat it on the twelve cells?

# %% tags=["nbval-check-output", "slide"]
baseline = DummyClassifier(strategy="most_frequent")
baseline.fit(lesson.images, y)
predictions = baseline.predict(lesson.images)
print("first predictions:", predictions[:12])
print(f"baseline, all cells:    accuracy {accuracy_score(y, predictions):.2f}")
print(f"baseline, twelve cells: accuracy {accuracy_score(truth, predictions[shown]):.2f}")
print(f"my guess, twelve cells: accuracy {accuracy_score(truth, my_guess):.2f}")

# %% [markdown]
# The baseline is correct for every cell of the larger class and wrong for every other cell. Its
# accuracy is simply the share of the larger class. (Here the baseline is fitted and scored on the
# same cells. This does no harm, because it learns only which class is larger. Any other model must
# be scored on cells that it has not seen; see lesson 02.)
#
# So how good is an accuracy of two thirds? On these cells it shows nothing by itself: a program
# that never looks reaches it. If your guess has a lower accuracy, you may still know more about
# cells than this program. We need a second number.
#
# ## The explanation: look at each class
#
# The **recall** of a class is the share of its cells that were predicted correctly.
#
# ### Exercise 00.2 (6 minutes)
#
# Write `recall(truth, predictions, label)`. It looks only at the cells whose true class is
# `label`, and returns the share of them that were predicted as `label`. In NumPy, `a[mask]` keeps
# the elements of `a` at which the array `mask` is `True`.


# %% tags=["nbval-check-output"]
def recall(truth, predictions, label):
    """Return the share of the cells of one class that were predicted correctly."""
    of_this_class = truth == label  # solution
    return np.mean(predictions[of_this_class] == label)  # solution


lk.check("00.2", recall)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `truth == label` selects the cells of the class. Among them, count how often the prediction
# equals the label. The usual mistake is to select by `predictions == label`. That gives the
# **precision**: the share of the cells *predicted* as this class that really belong to it.
#
# </details>

# %% [markdown]
# scikit-learn has the same metric. With `average=None` it returns one recall per class, in the
# order of the labels: first 0 (HEM), then 1 (ALL).

# %% tags=["nbval-check-output"]
recall_hem, recall_all = recall_score(y, predictions, average=None)
print(f"recall of HEM: {recall_hem:.2f}")
print(f"recall of ALL: {recall_all:.2f}")
print(f"balanced accuracy: {balanced_accuracy_score(y, predictions):.2f}")

# %% [markdown]
# One class is recognized completely, the other never. The mean of the recalls is the **balanced
# accuracy**. It counts both classes equally, however many cells they have. A program that always
# predicts one class has the recalls 1 and 0, so its balanced accuracy is always one half.
#
# ## The repair: a baseline beside every score
#
# Here are your guess and the baseline again, on the same twelve cells, with both metrics.

# %% tags=["nbval-check-output", "slide"]
scores = pd.DataFrame(index=["accuracy", "balanced accuracy"])
for name, guess in (("my guess", my_guess), ("majority-class baseline", predictions[shown])):
    scores[name] = [accuracy_score(truth, guess), balanced_accuracy_score(truth, guess)]
colors = {"my guess": "black", "majority-class baseline": lk.MODEL_COLORS["majority"]}
figure, panel = plt.subplots(figsize=(7, 3), layout="constrained")
scores.plot.bar(ax=panel, color=colors, rot=0)
panel.axhline(0.5, color="black", linewidth=1, linestyle=":")
panel.set(ylim=(0, 1), ylabel="score on twelve cells")
for bars in panel.containers:
    panel.bar_label(bars, fmt="%.2f")
panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plain, balanced = scores["majority-class baseline"]
figure.suptitle(f"Without looking: accuracy {plain:.2f}, balanced accuracy {balanced:.2f}")
lesson.save_figure(figure, "scores", "Accuracy and balanced accuracy of my guess and the baseline.")

# %% [markdown]
# The dotted line marks a balanced accuracy of one half, which needs no knowledge. A *balanced*
# accuracy above the line may show skill. (For the plain accuracy the line means nothing.) But
# twelve cells are few: even a list that alternates between the classes can lie above the line by
# luck. Lesson 06 shows how to put an interval around a score.

# %%
majority_accuracy = accuracy_score(y, predictions)
lesson.record(
    majority_accuracy=round(majority_accuracy, 3),
    majority_balanced_accuracy=balanced_accuracy_score(y, predictions),
)
print(f"The majority-class baseline has an accuracy of {majority_accuracy:.2f} on these cells.")

# %% [markdown]
# ### Exercise 00.3 (2 minutes)
#
# A **test set** is a set of cells from which a program has not learned, and on which it is scored.
# A published test set held 1455 cells of one class and 678 of the other. Which accuracy does the
# majority-class baseline reach on it? Round to two digits.

# %% tags=["nbval-check-output"]
paper_baseline = round(1455 / (1455 + 678), 2)  # solution
lk.check("00.3", paper_baseline)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The baseline is correct for the 1455 cells of the larger class, out of all 1455 + 678 cells. The
# usual mistake is to divide by 678. Remember this accuracy: lesson 10 examines the paper with this
# test set.
#
# </details>

# %% [markdown]
# ## How the course goes on
#
# | lesson | question |
# |---|---|
# | 00 start here | what is a score worth? |
# | 01 exploration | what differs between classes, and what between subjects? |
# | 02 splits and leakage | may training and test share a patient? |
# | 03 preprocessing and augmentation | what happens to an image before the network sees it? |
# | 04 classical baselines | how far do hand-crafted features go? |
# | 05 CNN training | how do you build and train a network, and read its curves? |
# | 06 evaluation | what does a good average hide? |
# | 07 explainability | can you trust a heat map? |
# | 08 transfer learning | does it help to start from a network trained on photographs? |
# | 09 from run to page | when should a deployed model refuse to predict? |
# | 10 autopsy of a paper | what did the network of a paper really predict? |
# | 11 your own cells | how do you turn a folder of images into a dataset? |
# | 12 many runs | how much of a difference is chance? |
# | 13 the bug hunt | which number looks wrong, and why? |
#
# You can run each lesson alone. It prepares what it needs and names the lessons you should know.
#
# ## Going further
#
# `DummyClassifier` has other strategies. `stratified` draws random labels in the proportions of
# the classes, `uniform` tosses a coin.

# %% tags=["nbval-check-output"]
for strategy in ("most_frequent", "stratified", "uniform"):
    random_baseline = DummyClassifier(strategy=strategy, random_state=0).fit(lesson.images, y)
    guess = random_baseline.predict(lesson.images)
    accuracy_of_guess, balanced = accuracy_score(y, guess), balanced_accuracy_score(y, guess)
    print(f"{strategy:13}  accuracy {accuracy_of_guess:.2f}  balanced accuracy {balanced:.2f}")

# %% [markdown]
# All three have a balanced accuracy near one half, because none of them looks at the images. The
# majority class gives the highest accuracy of the three. That makes it the toughest baseline for
# accuracy.
#
# ## Use it on your data
#
# Save the true labels and the predictions of any classifier in a CSV file, then run this code. It
# works for any number of classes.
#
# ```python
# import pandas as pd
# from sklearn.dummy import DummyClassifier
# from sklearn.metrics import accuracy_score, balanced_accuracy_score
#
# results = pd.read_csv("my_predictions.csv")  # columns: label, prediction
# baseline = DummyClassifier(strategy="most_frequent").fit(results, results["label"])
# results["baseline"] = baseline.predict(results)
# for column in ("prediction", "baseline"):
#     plain = accuracy_score(results["label"], results[column])
#     balanced = balanced_accuracy_score(results["label"], results[column])
#     print(column, "accuracy:", round(plain, 2), "balanced accuracy:", round(balanced, 2))
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
# - A cell table has one row per cell. In this course, HEM is 0 and ALL is 1.
# - An accuracy means nothing without the majority-class baseline beside it.
# - Balanced accuracy is the mean of the recalls. Always predicting one class gives one half.
#
# **Read next:** lesson 01. On the disease: Hunger and Mullighan, "Acute Lymphoblastic Leukemia in
# Children", *New England Journal of Medicine* 373 (2015). On the data: Gupta and Gupta, "ALL
# Challenge dataset of ISBI 2019", The Cancer Imaging Archive (2019).
