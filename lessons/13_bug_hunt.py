# %% [markdown] tags=["slide"]
# # 13 · The bug hunt
#
# After this lesson you will be able to find, by a number that looks wrong, a mistake that raises no
# error, and to repair it.
#
# **40 minutes to teach · under a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - Which numbers should make one suspicious?
# - Where do mistakes hide that raise no error?
# - How does one know that a repair is one?
#
# **Objectives** – you will
#
# 1. name what is odd about a result before you read the program;
# 2. find the line that is to blame, and repair it;
# 3. try the repair on cases whose answer you know.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from leukhelpers import plots
from leukhelpers.backend import keras
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.course.exercises import lesson_13 as bughunt
from leukhelpers.data import cards, published
from leukhelpers.images import features
from leukhelpers.models import classical, training
from leukhelpers.splits import groups

here = lesson.begin("13", dataset, profile, seed, run)

# %% tags=["nbval-check-output"]
prepared = here.prepare()
table, pixels, note = prepared.table, prepared.pixels, prepared.dataset.note
split, labels = prepared.split, table["label"].to_numpy()
people = table["subject"].iloc[split.test].nunique()
print(f"{len(table)} cells; {people} of {table['subject'].nunique()} people are held out")

# %% [markdown] tags=["slide"]
# ## The surprise: nine programs that run
#
# Each of the following programs is short, raises no error and prints a number. Each holds **one
# mistake**, and none is invented: the mistake, or the table that comes of it, was met in public
# notebooks on these cells, in the paper of lesson 10, in the names of the published files, or in
# what a tool does unasked. The rules:
#
# 1. Look at the number first. Too good, too bad, too much alike? Say what is odd, in one sentence.
# 2. Find the line that is to blame. It is inside the function whose name the task says.
# 3. Copy that function into the cell below the task and repair it there. Try it on one case whose
#    answer you know.
# 4. Set `answer` to its name, without brackets. The check tries it on cases of its own, and gives a
#    hint where it fails.
#
# Not one of the numbers in this lesson says anything about a patient: **not for clinical use.**
#
# ## Exercises
#
# ### What a color knows
#
# This program looks at nothing but the colors inside a cell, their means and their spreads. Stain
# is the laboratory's doing; on the twin it was drawn by lot for each person.

# %%
kinds = [f"{kind}_{color}" for kind in ("mean", "spread") for color in features.CHANNELS]
colors = features.simple_features(pixels, prepared.profile.crop)[kinds].to_numpy()


def deal(table, seed):
    """Deal the rows: three quarters to learn from, a quarter for the test."""
    rows = np.arange(len(table))
    return train_test_split(rows, test_size=0.25, stratify=table["label"], random_state=seed)


def colors_alone(train, test):
    """Learn from the colors; how well are the test cells ranked?"""
    model = make_pipeline(StandardScaler(), SVC(C=30)).fit(colors[train], labels[train])
    return roc_auc_score(labels[test], model.decision_function(colors[test]))


# %%
found = [colors_alone(*deal(table, one)) for one in range(seed, seed + 4)]
print("AUROC of the colors alone, four times:", np.round(found, 2), "majority answer: 0.5")

# %% [markdown]
# **13.1** How far are these above the majority answer? And that from colors, which differ most
# from person to person (lesson 01). Repair `deal`.


# %% tags=["nbval-check-output"]
def deal(table, seed):  # solution
    parts = groups.holdout_split(table, seed)  # solution
    return np.concatenate([parts.train, parts.validation]), parts.test  # solution


answer = deal  # solution
check("13.1", answer, table=table)

# %% [markdown]
# Ask the same again (where you have not repaired it yet, you will see the same numbers).

# %%
again = [colors_alone(*deal(table, one)) for one in range(seed, seed + 4)]
print("AUROC of the colors alone, four times:", np.round(again, 2))
here.record(
    auroc_of_colors_as_planted=round(float(np.mean(found)), 3),
    auroc_of_colors_repaired=round(float(np.mean(again)), 3),
)

# %% [markdown]
# Where it is lower now, the rest was people recognized. It need not be one half: so few people
# scatter, and how much a color varies inside a cell tells something of its structure, too.
#
# ### How many cells are leukemic?
#
# Healthy subjects carry an H in the published names: `UID_H12_1_4_hem`. So this program reads the
# class there. Below it, what the publisher counted.


# %% tags=["nbval-check-output"]
def is_leukemic(name):
    """Tell from a file's name whether the cell is leukemic: healthy subjects have an H."""
    return not name.split("_")[1].startswith("H")


listed = published.read_published()
names = listed.loc[listed["fold"].isin(["0", "1", "2"]), "name"]
n_ill = sum(is_leukemic(name) for name in names)
counted = cards.read_card("cnmc")["counts"]["training"]
print(f"the program:   {n_ill} ALL, {len(names) - n_ill} HEM")
print(f"the publisher: {counted['ALL']} ALL, {counted['HEM']} HEM")

# %% [markdown]
# **13.2** So small a difference is easily shrugged off, and it is a whole person, whose cells have
# all changed sides (lesson 01). Repair `is_leukemic`. (The end of a name tells the class, too; the
# check takes either way.)


# %% tags=["nbval-check-output"]
def is_leukemic(name):  # solution
    return not name.split("_")[1].upper().startswith("H")  # solution


answer = is_leukemic  # solution
check("13.2", answer)

# %% [markdown]
# ### The expert who guesses
#
# The pictures of the published preliminary test are called `1.bmp`, `2.bmp` and so on; a table
# beside them has a row for each. `bughunt.expert` stands for somebody who knows every one of them
# and errs never.


# %% tags=["nbval-check-output"]
def labels_of(files, csv):
    """Give each file the label that the table has for it."""
    return [label for _, label in zip(files, csv["labels"], strict=False)]


preliminary = listed[listed["fold"] == "preliminary"]
new_names = preliminary["path"].str.split("/").str[-1]
csv = pd.DataFrame({"new_names": new_names, "labels": preliminary["label"]})
files = sorted(csv["new_names"])
truth = np.array(labels_of(files, csv))
right = (bughunt.expert(files) == truth).mean()
print(f"{len(files)} pictures, {truth.sum()} of them ALL, as published")
print(f"The expert is right on {right:.0%}; a coin with the shares of the classes would be on")
print(f"{truth.mean() ** 2 + (1 - truth.mean()) ** 2:.0%}.")

# %% [markdown]
# **13.3** The counts of the classes are right to the last cell, so who would look further? Print
# the first `files` and the first rows of `csv` side by side, then repair `labels_of`.


# %% tags=["nbval-check-output"]
def labels_of(files, csv):  # solution
    return csv.set_index("new_names")["labels"].loc[files].tolist()  # solution


answer = labels_of  # solution
check("13.3", answer)

# %% [markdown]
# ### The area turns round
#
# Lesson 01 has shown that leukemic cells are the larger ones, more often than not. Here are the
# same cells, read from folders that are called `all` and `hem`.


# %%
def numbered(names):
    """Number the class of each cell, from the names of the folders."""
    return np.unique(names, return_inverse=True)[1]


folders = np.where(labels == 1, "all", "hem")
area = features.cell_area(pixels, prepared.profile.crop)
counts = np.bincount(numbered(folders), minlength=2)
print(f"HEM (0): {counts[0]} cells, ALL (1): {counts[1]} cells")
print(f"AUROC of the area: {roc_auc_score(numbered(folders), area):.2f}; of the majority: 0.50")

# %% [markdown]
# **13.4** A coin would be at one half. A ruler so far *below* it knows something, and says it the
# wrong way round. Repair `numbered`, so that the numbers are those of this course.


# %% tags=["nbval-check-output"]
def numbered(names):  # solution
    return [{"hem": 0, "all": 1}[name] for name in names]  # solution


answer = numbered  # solution
check("13.4", answer)

# %% [markdown]
# ### Cells that are not there
#
# Pictures of 96 pixels are made smaller, for a network that must be quick.


# %% tags=["nbval-check-output"]
def smaller(picture, size):
    """Make a square picture smaller, to size × size pixels."""
    return np.resize(picture, (size, size, 3))


chosen = np.random.default_rng(seed).choice(len(pixels), 6, replace=False)
shown = np.stack([smaller(picture, 24) for picture in pixels[chosen]])
before, after = pixels[chosen].max(axis=-1), shown.max(axis=-1)
print(f"black before: {(before == 0).mean():.0%}; after: {(after == 0).mean():.0%} of the pixels")

# %% tags=["nbval-check-output", "slide"]
both = np.concatenate([pixels[chosen], shown.repeat(4, axis=1).repeat(4, axis=2)])
figure = plots.plot_cells(
    both,
    ["before"] * 6 + ["after"] * 6,
    columns=6,
    title="The shape is right; is the cell?",
    note=note,
)
here.show(figure, "smaller", "Six cells above; below, what the program has made of each.")

# %% [markdown]
# **13.5** From pictures like these hardly more than the majority answer can be learnt, and its
# accuracy would look like any other (lesson 03). Repair `smaller`: each new pixel is to be the mean
# of those that it stands for. (A size that divides the old one without rest is enough.)


# %% tags=["nbval-check-output"]
def smaller(picture, size):  # solution
    side = len(picture) // size  # solution
    return picture.reshape(size, side, size, side, 3).mean(axis=(1, 3))  # solution


answer = smaller  # solution
check("13.5", answer)

# %% [markdown]
# ### The same to everybody
#
# A tiny network is trained, on cells of 24 pixels. It scales its pixels itself, and turns and zooms
# them while it learns. This cell holds no mistake of its own.

# %%
side, layers = pixels.shape[1] // 4, keras.layers
small = pixels.reshape(len(pixels), side, 4, side, 4, 3).mean(axis=(2, 4)).astype("float32")
training.make_deterministic(seed)
inputs = x = keras.Input((side, side, 3))
x = layers.Rescaling(1 / 255)(x)
x = layers.RandomRotation(0.5, fill_mode="constant")(x)
x = layers.RandomZoom(0.3, fill_mode="constant")(x)
x = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu")(x))
x = layers.MaxPooling2D()(layers.Conv2D(16, 3, activation="relu")(x))
x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
network = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))

# %%
rows, weights = split.train, classical.class_weights(labels[split.train])
network.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
for _ in tqdm(range(8), desc="epochs"):
    network.fit(small[rows], labels[rows], batch_size=32, class_weight=weights, verbose=0)

# %% [markdown]
# Now somebody writes a page around it, which asks it about cells that come in as pixels of 0 to
# 255.


# %%
def ask(network, pictures):
    """Ask the trained network about pictures of 0 to 255; one probability of ALL for each."""
    scaled = np.asarray(pictures, np.float32) / 255
    return network.predict(scaled, verbose=0)[:, 0]


def tell(told):
    """Print what was said of the held-out cells."""
    truth = labels[split.test]
    print(f"probability of ALL: {told.min():.3f} to {told.max():.3f}")
    most = max(truth.mean(), 1 - truth.mean())
    print(f"accuracy {((told >= 0.5) == truth).mean():.2f}, of the majority answer {most:.2f}")


tell(ask(network, small[split.test]))

# %% [markdown]
# **13.6** Large cells and small ones, and hardly a difference in the answer. Repair `ask`.


# %% tags=["nbval-check-output"]
def ask(network, pictures):  # solution
    return network.predict(np.asarray(pictures, np.float32), verbose=0)[:, 0]  # solution


answer = ask  # solution
check("13.6", answer, network=network, pictures=small[split.test][:32])

# %%
tell(ask(network, small[split.test]))

# %% [markdown]
# It is a tiny network and hardly trained, but now it has an opinion.
#
# ### Ask twice
#
# `predict` is made for many pictures, so for one a faster way is found: the network is called as a
# function.


# %%
def probability(network, picture):
    """Ask the network about one picture of 0 to 255."""
    return float(network(picture[None])[0, 0])


cell = small[split.test[0]]
print("the same cell, six times:", [f"{probability(network, cell):.2f}" for _ in range(6)])
twice = np.array([[probability(network, one) for one in small[split.test[:60]]] for _ in range(2)])
changed = (twice[0] >= 0.5) != (twice[1] >= 0.5)
print(f"of {len(changed)} cells {changed.sum()} change their class at the second time")

# %% [markdown]
# **13.7** No explanation and no page can live with an answer that changes by itself. Some layers
# are to work only while a network learns, such as those that turn and zoom. `predict` switches them
# off; whoever calls the network as a function must say so (look up the argument `training`). Repair
# `probability`; the network may stay as it is.


# %% tags=["nbval-check-output"]
def probability(network, picture):  # solution
    return float(network(picture[None], training=False)[0, 0])  # solution


answer = probability  # solution
check("13.7", answer, network=network, pictures=small[split.test][:4])

# %% [markdown]
# ### The best of three hundred
#
# Three hundred "networks" that have seen no picture: each draws a number for each *person* by lot,
# and a little more for each cell. One of them is published.


# %%
def of_the_best(scores, truth, validation, test):
    """Choose the best of many models; give its AUROC on the test cells."""
    aurocs = [roc_auc_score(truth[test], model[test]) for model in scores]
    return max(aurocs)


generator = np.random.default_rng(seed)
person = np.unique(table["subject"], return_inverse=True)[1]
scores = generator.random((300, person.max() + 1))[:, person]
scores += 0.5 * generator.random(scores.shape)
best = of_the_best(scores, labels, split.validation, split.test)
print(f"AUROC of the published model on people held out: {best:.2f}; of the majority: 0.50")

# %% [markdown]
# **13.8** Set it beside the AUROC of the network in lesson 05: here nobody has looked at a picture.
# Repair `of_the_best`: who may choose, and who may judge?


# %% tags=["nbval-check-output"]
def of_the_best(scores, truth, validation, test):  # solution
    aurocs = [roc_auc_score(truth[validation], model[validation]) for model in scores]  # solution
    return roc_auc_score(truth[test], scores[int(np.argmax(aurocs))][test])  # solution


answer = of_the_best  # solution
check("13.8", answer)

# %% [markdown]
# Early stopping by the test set is the same mistake, if a smaller one: the many models are the
# epochs, which resemble one another, and the best of them is chosen by those who judge it.

# %%
best = of_the_best(scores, labels, split.validation, split.test)
print(f"AUROC of the published model on people held out: {best:.2f}")

# %% [markdown]
# With so few people a lottery may still win or lose by much; but nobody has picked it for that.
#
# ### The paper's table
#
# The network of above once more. A page prints the likelier class, with the names in the order of
# the folders. The column holds the probability of the second one, HEM.


# %%
def called(outputs):
    """Name the likelier class of each cell; `outputs` has a row a cell."""
    names = ["ALL", "HEM"]
    return np.array([names[place] for place in np.argmax(outputs, axis=1)])


outputs = 1 - network.predict(small[split.test], verbose=0)
truth = np.where(labels[split.test] == 1, "ALL", "HEM")
for name in ("ALL", "HEM"):
    print(f"recall of {name}: {(called(outputs)[truth == name] == name).mean():.2f}")
share, accuracy = (truth == "ALL").mean(), (called(outputs) == truth).mean()
print(f"accuracy: {accuracy:.2f}; share of ALL: {share:.2f}")

# %% [markdown]
# **13.9** A recall of 1, one of 0, and an accuracy that is the share of a class: you have seen this
# table. (Lesson 10 could not say how the paper came to it. This is one more way.) Repair `called`.


# %% tags=["nbval-check-output"]
def called(outputs):  # solution
    return np.where(np.ravel(outputs) >= 0.5, "HEM", "ALL")  # solution


answer = called  # solution
check("13.9", answer)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Too good, too bad, too much alike: ask of every number what it would be if nothing was learnt.
# - Right counts and right shapes prove nothing. Look at a few rows, and at the pictures.
# - A repair is tried on a case whose answer one knows; write it down, and it is a test.
# - Where you can, make the mistake impossible: one rule for labels, splits that refuse, one place
#   that scales.
#
# **Read next:** lesson 11 again, now with a folder of your own. On such mistakes across the
# sciences: Kapoor and Narayanan, "Leakage and the reproducibility crisis in machine-learning-based
# science", *Patterns* 4 (2023).
