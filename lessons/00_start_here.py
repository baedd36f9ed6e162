# %% [markdown] tags=["slide"]
# # 00 · Start here
#
# After this lesson you will be able to say what a test score is worth before you believe it.
#
# **20 minutes to teach · under a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - What are the cells, and what is a computer asked to tell from them?
# - How can a program that looks at nothing be right most of the time?
# - How is this course put together?
#
# **Objectives** – you will
#
# 1. read a *cell table* and say what each of its columns means;
# 2. compute what the *majority answer* scores, and name a measure that it cannot fool;
# 3. find in a *data card* what cells must not be used for, and run a lesson again with other
#    cells, another profile or another seed.

# %% tags=["setup"]

# %% [markdown]
# Everything that a lesson may be asked to do differently stands in its next cell. `twin` means
# synthetic cells, drawn by code, so that the course runs on any machine without a download.
# `fast` means minutes. `full` means larger pictures and a longer training, for real cells.

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0  # another seed: other synthetic cells, split and start of the training
run: str = ""  # folder for results; empty for one named after the three above

# %%
import numpy as np
from IPython.display import Markdown

from leukhelpers import plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.data import cards
from leukhelpers.evaluation import metrics
from leukhelpers.splits import inspection

here = lesson.begin("00", dataset, profile, seed, run)

# %% [markdown]
# ## The question
#
# *Acute lymphoblastic leukemia* (**ALL**) is the most common cancer of children. The bone marrow
# makes too many immature white blood cells, *blasts*, and a specialist finds them by looking at a
# stained smear through a microscope. Healthy precursors of such cells, here called **HEM** as in
# the data set's file names, look much the same: telling them apart is hard for people, too.
#
# In 2019 the *C-NMC challenge* published about fifteen thousand pictures of single cells, each
# cut out and placed on black, each labeled by an expert. A well-known Kaggle data set is made of
# them. Many notebooks train a network on it and report wonderful numbers. Some of those numbers
# are wrong, and this course is about how one can tell.
#
# **Nothing in this course is fit for diagnosis.** It teaches how such programs are built and
# judged.

# %% [markdown]
# ## The cells
#
# A data set is read into a **cell table**, one row a cell.

# %%
cells = here.load()
table = cells.table
table.drop(columns="sha256").sample(5, random_state=1).sort_index()

# %% [markdown]
# | column | what it says |
# |---|---|
# | `cell_id` | the name of the file, without its extension |
# | `path` | where the picture is |
# | `label` | **0 = HEM, 1 = ALL**. One place in the package decides this: the file's name |
# | `subject` | the person from whom the cell came; healthy ones carry an H |
# | `fold` | the part of the published set: 0, 1 or 2 |
# | `sha256` | a checksum of the pixels (left out above): equal pictures, equal checksum |

# %% tags=["nbval-check-output"]
counts = inspection.count(table)
print("cells   ", counts["images"])
print("subjects", counts["subjects"])
print("classes ", counts["classes"])
print("set aside (unreadable, or named against the rule):", len(cells.set_aside))

# %% [markdown]
# ## Read the card first
#
# Where do the cells come from, what may be done with them, what is known to be wrong? A **data
# card** says so on half a page. Of cells without one, the first result is: nobody knows. This is
# the card of the cells at hand.

# %% tags=["nbval-check-output"]
card = cards.card_of(cells)
Markdown(cards.as_markdown(card) if card else "These cells have no data card. Write one!")

# %% [markdown]
# Before you read on: which of these twelve cells are leukemic? Write down your guess.

# %% tags=["nbval-check-output", "slide"]
chosen = np.random.default_rng(5).choice(len(table), 12, replace=False)
prepared = here.prepare()
figure = plots.plot_cells(
    prepared.pixels[chosen],
    [f"cell {i}" for i in range(1, 13)],
    columns=6,
    title="Twelve cells. Which ones are leukemic?",
    note=cells.note,
)
here.show(figure, "guess", "Twelve purple cells on black, numbered 1 to 12, without labels.")

# %%
print({i: "ALL" if label else "HEM" for i, label in enumerate(table["label"].iloc[chosen], 1)})

# %% [markdown] tags=["slide"]
# ## The surprise: knowing nothing, and mostly right
#
# Suppose a program does not look at the picture at all. It answers "ALL" to everything. How often
# is it right?

# %% tags=["nbval-check-output", "slide"]
labels = table["label"].to_numpy()
always_all = np.ones(len(labels))
print(f"accuracy of the answer that never looks: {(labels == always_all).mean():.2f}")

# %% [markdown]
# The program is right on every leukemic cell, and most cells here are leukemic. Its **accuracy**
# looks like knowledge and is only a count of the classes. To give everybody the more frequent class
# is called the *majority answer*, and in this course it stands beside every score.
#
# Look at each class for itself and the trick is over. **Recall** of a class is the share of its
# cells that were recognized; **balanced accuracy** is the mean of the recalls. (Of the next table
# only the column *recall* matters now; the others come in lesson 06.)

# %% tags=["nbval-check-output"]
metrics.classification_report(labels, always_all).round(2).fillna("")

# %% tags=["nbval-check-output"]
score = metrics.metrics(labels, always_all)
print(f"accuracy          {score['accuracy']:.2f}")
print(f"balanced accuracy {score['balanced_accuracy']:.2f}   (0.50 is what guessing gives)")

# %%
here.record(majority_accuracy=round(score["accuracy"], 3), majority_balanced_accuracy=0.5)

# %% [markdown]
# This course starts from a paper (it shall stay unnamed, since its mistakes are everybody's) that
# claims a high accuracy for a network trained on these cells. The report printed in it says 0.68,
# with a recall of 0 for one of the classes. You have just reached about that with one line.
#
# ## How the course goes on
#
# | lesson | asks |
# |---|---|
# | 00 start here | what is a score worth? |
# | 01 exploration | what do the cells look like, and what betrays the person? |
# | 02 splits and leakage | may a test set know the patient? |
# | 03 preprocessing and augmentation | what happens to a picture before the network sees it? |
# | 04 classical baselines | what did people measure before there were networks? |
# | 05 CNN training | what do the curves say? |
# | 06 evaluation | what does a good average hide? |
# | 07 explainability | may one believe a heat map? |
# | 08 transfer learning | does it help to have seen a million photographs? |
# | 09 from run to page | when must a served model keep silent? |
# | 10 autopsy of a paper | what did the paper's network answer? |
# | 11 your own cells | what must a computer be told about a folder of images? |
# | 12 many runs | what of a difference is luck? |
# | 13 the bug hunt | which number looks wrong, and why? |
#
# Each lesson runs alone; what it needs from an earlier one it makes itself, and says so.

# %% [markdown]
# ## Exercises
#
# **00.1** The paper's test set held 1455 cells of one class and 678 of the other. What accuracy
# does the majority answer reach on it? Put your answer, rounded to two digits, in place of the
# dots.

# %% tags=["nbval-check-output"]
answer = round(1455 / (1455 + 678), 2)  # solution
check("00.1", answer)

# %% [markdown]
# **00.2** And what is its *balanced* accuracy there?

# %% tags=["nbval-check-output"]
answer = (1.0 + 0.0) / 2  # solution
check("00.2", answer)

# %% [markdown]
# **00.3** May one conclude from *synthetic* cells how well a network works on real ones? The card
# of the twin says it. Answer `"yes"` or `"no"`.

# %% tags=["nbval-check-output"]
answer = "no"  # solution
check("00.3", answer)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# **To try:** change a value in the cell of parameters, then *Run → Restart Kernel and Run All
# Cells*.
#
# ## Key points
#
# - A cell table has one row a cell; its label comes from one rule, HEM = 0 and ALL = 1.
# - An accuracy means nothing until the majority answer stands beside it.
# - Balanced accuracy of the majority answer is always one half.
#
# **Read next:** lesson 01. On the disease: Hunger and Mullighan, "Acute Lymphoblastic Leukemia in
# Children", *New England Journal of Medicine* 373 (2015). On the data: Gupta and Gupta, "ALL
# Challenge dataset of ISBI 2019", The Cancer Imaging Archive (2019).
