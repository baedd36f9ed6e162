# %% [markdown] tags=["slide"]
# # 01 · Exploration
#
# After this lesson you will be able to find out what a data set would let a program learn that it
# should not.
#
# **35 minutes to teach · under a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - How many cells, of how many people, are there?
# - What differs between the classes that one can see and measure?
# - What differs between *people* of the same class?
#
# **Objectives** – you will
#
# 1. count cells by class, subject and fold, and find irregular names;
# 2. measure area, color and sharpness of each cell;
# 3. compare how much of each measure belongs to the person and how much to the disease.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import numpy as np
from sklearn.metrics import roc_auc_score

from leukhelpers import plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.data.schema import ALL, HEM, parse_name
from leukhelpers.images import features

here = lesson.begin("01", dataset, profile, seed, run)
prepared = here.prepare()
table, pixels, note = prepared.table, prepared.pixels, prepared.dataset.note

# %% [markdown]
# ## What is there
#
# A file's name tells the subject, the photograph, the cell and the class:

# %% tags=["nbval-check-output"]
print(parse_name("UID_11_10_1_all"))
print(parse_name("UID_h3_12_4_hem"))

# %% [markdown]
# The second name writes its subject with a small h. In the published set 36 names do. To a
# computer `h3` and `H3` are two people, and two people may be put on two sides of a split. So the
# letter case is folded in the one place where names are read.

# %% tags=["nbval-check-output"]
by_fold = table.groupby(["fold", "label"]).agg(
    cells=("cell_id", "size"), subjects=("subject", "nunique")
)
by_fold.rename(index={HEM: "HEM", ALL: "ALL"}, level="label").unstack()

# %% tags=["nbval-check-output"]
per_subject = table.groupby("subject").size()
print(f"{len(per_subject)} subjects; cells a subject: fewest {per_subject.min()},")
print(f"median {per_subject.median():.0f}, most {per_subject.max()}")

# %% [markdown]
# Few people, many cells of each. Keep this in mind: **a hundred cells of one patient are not a
# hundred independent observations.**

# %% tags=["nbval-check-output", "slide"]
generator = np.random.default_rng(1)
rows = [
    generator.choice(np.flatnonzero(table["label"] == label), 6, replace=False)
    for label in (HEM, ALL)
]
shown = np.concatenate(rows)
names = ["HEM"] * 6 + ["ALL"] * 6
figure = plots.plot_cells(
    pixels[shown], names, columns=6, title="Healthy above, leukemic below", note=note
)
here.show(figure, "classes", "Six healthy cells above six leukemic ones; they look much alike.")

# %% [markdown]
# ## What one can measure
#
# Eight plain numbers for each cell: its area (in pixels of the original), the mean and the spread
# of each color inside it (0 to 255), and its sharpness (the mean step between neighboring
# pixels). None of them knows anything about medicine.

# %%
measured = features.simple_features(pixels, prepared.profile.crop)
measured.round(1).sample(4, random_state=1).sort_index()

# %% tags=["nbval-check-output", "slide"]
labels = table["label"].to_numpy()
auroc_area = roc_auc_score(labels, measured["area"])
figure = plots.distribution_by_class(
    measured["area"] / 1000,
    labels,
    xlabel="area of the cell (thousand pixels of the original)",
    title=f"By area alone, a leukemic cell outranks a healthy one {auroc_area:.0%} of the time",
    note=note,
)
here.show(figure, "area", "Distributions of cell area, HEM and ALL; ALL lies to the right.")

# %% [markdown]
# The share in that title has a name, **AUROC**: take one leukemic and one healthy cell at random;
# how often does the leukemic one have the higher score (a tie counts one half)? One half is
# chance, one is perfect. The majority answer gives every cell the same score, and so has an AUROC
# of 0.50.
#
# So a single number that any ruler can measure says a good deal, of these people; how far the share
# may move with other people, lesson 06 shows. Is that the disease? Let us look
# again, person by person: the healthy subject with the smallest cells and the one with the largest,
# then two leukemic ones chosen alike.

# %% tags=["nbval-check-output"]
median_area = measured["area"].groupby(table["subject"]).median().sort_values()
label_of_subject = table.groupby("subject")["label"].first()
extremes = [
    subject
    for label in (HEM, ALL)
    for subject in median_area[label_of_subject[median_area.index] == label].index[[0, -1]]
]
print("smallest and largest, healthy and leukemic:", ", ".join(extremes))

# %% tags=["nbval-check-output", "slide"]
# np.resize repeats the cells of a person who has fewer than five.
rows = [np.resize(np.flatnonzero(table["subject"] == subject), 5) for subject in extremes]
figure = plots.plot_cells(
    pixels[np.concatenate(rows)],
    [subject for subject in extremes for _ in range(5)],
    columns=5,
    title="A row a person: two healthy ones, two leukemic ones",
    note=note,
)
here.show(figure, "people", "Four rows of five cells; within a row the stain is alike.")

# %% [markdown]
# Within a row the stain is alike, the size less so. Now the size of all subjects, by the median.

# %% tags=["nbval-check-output", "slide"]
figure = plots.values_by_subject(
    measured["area"] / 1000,
    table,
    ylabel="area of the cell (thousand pixels)",
    title="The median area differs from person to person, within a class too",
    note=note,
)
here.show(figure, "area-by-subject", "Box of cell area for each subject, colored by class.")

# %% [markdown]
# What holds for the size holds for the stain and the focus. In the next figure each dot is a
# person, the line through it the middle half of that person's cells.

# %% tags=["nbval-check-output", "slide"]
figure = plots.measures_by_subject(
    measured.assign(area=measured["area"] / 1000),
    table,
    {
        "area": "area (thousand pixels)",
        "mean_red": "mean red (0 to 255)",
        "sharpness": "sharpness (gray levels)",
    },
    title="Size, stain and focus differ from person to person, in both classes",
    note=note,
)
here.show(
    figure, "measures", "Area, red and sharpness of each subject's cells; the classes overlap."
)

# %% [markdown] tags=["slide"]
# Compare two things: how far the dots of one class lie apart, and how long a single line is.
# Where the dots lie further apart than the lines are long, one cell tells much about the person.
#
# ## The surprise: the stain belongs to the person, not to the disease
#
# Of all the variation of a measure, which share goes with the class, and which with the person?
# The share that the means of the groups explain is called *eta squared*. Since each person has one
# class, the share by person contains the share by class; what is left belongs to the person alone.


# %% tags=["slide"]
def explained(values, groups):
    """Share of the variance that the means of the groups explain (eta squared)."""
    variation = ((values - values.mean()) ** 2).sum()
    means = values.groupby(groups).transform("mean")
    return ((means - values.mean()) ** 2).sum() / variation if variation else 0.0


shares = measured.apply(
    lambda column: {
        "by class": explained(column, table["label"]),
        "by subject": explained(column, table["subject"]),
    },
    result_type="expand",
).T.astype(float)
shares["person beyond class"] = shares["by subject"] - shares["by class"]
shares.sort_values("person beyond class", ascending=False).round(2)

# %% [markdown]
# The last column is variation *between people with the same label*: it cannot help to tell ALL from
# HEM in people whom one has never met. A network that is trained and tested on the same people can
# use all of it: it recognizes the person, and remembers the label. Look at the row *area*, too: how
# much of it goes with the class, how much with the person beyond?

# %%
beyond = shares["person beyond class"]
here.record(
    auroc_of_area_alone=round(float(auroc_area), 3),
    area_variation_by_class=round(float(shares.loc["area", "by class"]), 3),
    area_variation_of_person_beyond_class=round(float(beyond["area"]), 3),
    most_personal_measure=f"{beyond.idxmax()} ({beyond.max():.2f} beyond the class)",
)
print(f"Most personal, beyond the class: {beyond.idxmax()} ({beyond.max():.0%} of its variation).")

# %% [markdown]
# What does that look like? Each point below is a cell; each color and shape is one of six healthy
# people; the large marks are their middles. All these cells have the same label. Where do the
# clouds overlap, so that one cell cannot tell the person? And the large marks: how far apart are
# they? An average over many cells says more about the person than one cell.

# %% tags=["nbval-check-output", "slide"]
healthy = table.loc[table["label"] == HEM, "subject"].value_counts().index[:6]
figure = plots.scatter_by_subject(
    measured["mean_red"],
    measured["mean_blue"],
    table["subject"],
    subjects=list(healthy),
    labels=("mean red (0 to 255)", "mean blue (0 to 255)"),
    title="Six healthy people: the average stain differs between most",
    note=note,
)
here.show(figure, "stain", "Mean red against mean blue of the cells of six healthy subjects.")

# %% [markdown]
# ## Exercises
#
# **01.1** How many cells have a name that writes its subject with a small h? Use
# `table["cell_id"].str.startswith("…")` and `.sum()`, and mind that every healthy cell's name ends
# in `_hem`.

# %% tags=["nbval-check-output"]
answer = int(table["cell_id"].str.startswith("UID_h").sum())  # solution
check("01.1", answer, table=table)

# %% [markdown]
# **01.2** A rule by size calls a *person* leukemic whose median area lies above the middle of all
# these medians, `median_area.median()`, and everybody else healthy. How many **leukemic** people
# does it call healthy? Use `median_area` and `label_of_subject`, and find them in the figure of
# areas by subject.

# %% tags=["nbval-check-output"]
ill = median_area[label_of_subject[median_area.index] == ALL]  # solution
answer = int((ill <= median_area.median()).sum())  # solution
check("01.2", answer, table=table, area=measured["area"])

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Thousands of cells may come from a few dozen people; the people are the sample.
# - The area of a cell tells a good part of the class. Every model must be held against it.
# - Stain and focus, and less so size, betray the person, and the person decides the label.
#
# **Read next:** lesson 02, where this becomes a trap. On shortcuts: Geirhos et al., "Shortcut
# learning in deep neural networks", *Nature Machine Intelligence* 2 (2020).
