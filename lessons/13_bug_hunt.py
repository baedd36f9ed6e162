# %% [markdown] tags=["slide"]
# # 13 · The bug hunt
#
# After this lesson you will be able to use odd outputs to find bugs that raise no error.
# You will be able to repair them in ordinary NumPy, pandas, scikit-learn and Keras code.
#
# **60 minutes to teach · about half a minute to run · needs lessons 01 to 06; lesson 10 helps**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - Which outputs should make you suspicious?
# - Where do bugs hide that raise no error?
# - How do you know that a change is a repair?
#
# **Objectives**
#
# 1. Describe what is odd about an output before you read the program.
# 2. Find the function that causes it, and repair it.
# 3. Test a repair on a small case with a known result.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or a folder or CSV of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
from itertools import combinations

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from keras import layers
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, roc_auc_score
from sklearn.preprocessing import StandardScaler

import leukhelpers as lk

lesson = lk.begin("13", dataset, profile, seed, run)

# %% tags=["nbval-check-output"]
images, y = lesson.images, lesson.y  # uint8 (n, 96, 96, 3); 0 = HEM (healthy), 1 = ALL
split = lesson.split  # row numbers; no patient is in two of the three parts
train, validation, test = split.train, split.validation, split.test
subjects = lesson.table["subject"].to_numpy()
print(f"{len(train)} training, {len(validation)} validation and {len(test)} test cells")
print(f"{np.unique(subjects).size} patients, {np.unique(subjects[test]).size} of them for the test")

# %% [markdown] tags=["slide"]
# ## Six programs with one bug each
#
# Each program below is short and consists of a few functions. **In each program exactly one
# function holds a bug**; the other functions are right. All six bugs are common in practice.
#
# For each program:
#
# 1. Run it and look at the output **before** you read the functions. Compare it with what you
#    expect. Write into `odd`, in one sentence, what does not fit.
# 2. Find the function that causes it. Copy it below `odd` and repair it.
# 3. Put its name into `repair`, without brackets. The check runs your function on small cases of
#    its own and gives a hint if it fails. Without a repair it looks at your sentence only.
# 4. Run the program again.
#
# **Guess first:** none of them stops with an error. In how many will you see what is odd before you
# read the functions? Write your guess down, and count.
#
# ## Program 1: brighter cells for a page
#
# Cells are dark. This program mirrors them and makes them three times as bright, for display on
# a web page.


# %%
def mirror(images):
    """Return the images, left and right exchanged."""
    return images[:, :, ::-1]


def crop_middle(images, side):
    """Return the square in the middle of each image."""
    start = (images.shape[1] - side) // 2
    return images[:, start : start + side, start : start + side]


def lighten(images, factor):
    """Return the images with all pixel values multiplied by a factor."""
    return images * factor


# %%
def draw_page(before, after):
    """Draw the cells as they are (top) and as the page shows them (bottom)."""
    figure, panels = plt.subplots(2, len(before), figsize=(7, 2.8), layout="constrained")
    for column in range(len(before)):
        panels[0, column].imshow(before[column])
        panels[1, column].imshow(after[column])
    for panel in panels.ravel():
        panel.axis("off")
    figure.suptitle("The cells as they are (top) and as the page shows them (bottom)")
    return figure


# %% tags=["slide"]
chosen = np.random.default_rng(seed).choice(len(images), 6, replace=False)
before = crop_middle(images[chosen], 80)
after = lighten(mirror(before), 3)
lesson.save_figure(
    draw_page(before, after),
    "page",
    "Top: six dark violet cells. Bottom: the same cells mirrored, in bright violet, orange and "
    "green.",
)

# %% [markdown]
# ### Exercise 13.1 (5 minutes)
#
# What looks odd in the bottom row? Then find the function that causes it and repair it.

# %% tags=["nbval-check-output"]
# What looks odd? One sentence, in quotation marks.
odd = "Sharp orange and green patches that the original cells do not have."  # solution

# The function that causes it, repaired; then its name, without brackets.


def lighten(images, factor):  # solution
    return np.clip(images.astype(float) * factor, 0, 255).astype(np.uint8)  # solution


repair = lighten  # solution
lk.check("13.1", (odd, repair))

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The pixels are `uint8`: they hold 0 to 255. NumPy does not raise an error above 255, it starts
# again at 0: `np.uint8([100]) * 3` is 44. In these cells blue is the highest channel. A blue value
# above 85 becomes a small one, and the pixel looks orange. If red starts again at 0 as well, only
# green is left. Compute with floats, limit the result by `np.clip`, then convert back.
#
# The usual mistake is to clip *after* the multiplication of `uint8` numbers: `np.clip(images * 3,
# 0, 255)` changes nothing, because the values have wrapped around already. Such patches lie where a
# cell is bright, often at its edge and at nucleoli. A network, or a reader, could take them for
# biology.
#
# </details>

# %% [markdown]
# Run the program again. Python uses the latest definition of a function: this is now your repair.

# %%
after = lighten(mirror(before), 3)
lesson.save_figure(
    draw_page(before, after),
    "page-again",
    "Top: six dark violet cells. Bottom: the same cells mirrored and brighter, drawn again "
    "after the exercise.",
)

# %% [markdown]
# ## Program 2: labels from a table
#
# The preliminary test images of C-NMC 2019 are called `1.bmp`, `2.bmp` and so on. A CSV file gives
# the label of each image. The next cell writes a folder of this kind from our cells. This cell is
# right.

# %% tags=["nbval-check-output"]
folder = lesson.run / "13-numbered"
folder.mkdir(parents=True, exist_ok=True)
rows = np.random.default_rng(seed).permutation(len(images))[:200]
for number, row in enumerate(rows, start=1):
    Image.fromarray(images[row]).save(folder / f"{number}.bmp")
names = [f"{number}.bmp" for number in range(1, len(rows) + 1)]
pd.DataFrame({"name": names, "label": y[rows]}).to_csv(folder / "labels.csv", index=False)
print(pd.read_csv(folder / "labels.csv").head(4).to_string())

# %% [markdown]
# The program reads this folder and computes the area baseline: how well does the area of a cell
# separate the two classes?


# %%
def list_files():
    """Return the names of all images in the folder."""
    return sorted(path.name for path in folder.glob("*.bmp"))


def add_labels(files, table):
    """Return a table with one row per file: its name and its label."""
    cells = pd.DataFrame({"name": files})
    cells["label"] = table["label"]
    return cells


def measure_area(name):
    """Return the number of pixels of a cell; the background is black."""
    with Image.open(folder / name) as image:
        return int((np.asarray(image).max(axis=-1) > 0).sum())


def summarize(cells):
    """Print the median area per class, and the AUROC of the area."""
    summary = cells.groupby("label")["area"].agg(["size", "median"]).astype(int)
    print(summary.rename(index={0: "HEM", 1: "ALL"}).to_string())
    print(f"AUROC of the area: {roc_auc_score(cells['label'], cells['area']):.2f}")


# %% tags=["slide", "nbval-check-output"]
table = pd.read_csv(folder / "labels.csv")
cells = add_labels(list_files(), table)
cells["area"] = cells["name"].map(measure_area)
summarize(cells)

# %% [markdown]
# ### Exercise 13.2 (7 minutes)
#
# What looks odd? Lesson 01 shows what you may expect. Then find the function that causes it and
# repair it.

# %% tags=["nbval-check-output"]
# What looks odd? One sentence, in quotation marks.
odd = "Both classes have about the same area, and the AUROC is close to chance."  # solution

# The function that causes it, repaired; then its name, without brackets.


def add_labels(files, table):  # solution
    named = pd.DataFrame({"name": files})  # solution
    return named.merge(table, on="name", validate="one_to_one")  # solution


repair = add_labels  # solution
lk.check("13.2", (odd, repair))

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `sorted` sorts text: `1.bmp`, `10.bmp`, `100.bmp`, … `2.bmp`. The table is in the order of the
# numbers. The line `cells["label"] = table["label"]` joins row 0 to row 0 and row 1 to row 1. So
# most images get the label of another image. The number of labels per class stays right, so
# counting them does not show the bug. Join by the name: `merge` with `validate="one_to_one"` raises
# an error if a name occurs twice.
#
# The usual mistake is to sort the files by number instead. Then both orders agree, until one image
# is missing or somebody sorts the table.
#
# </details>

# %% tags=["nbval-check-output"]
cells = add_labels(list_files(), table)
cells["area"] = cells["name"].map(measure_area)
summarize(cells)

# %% [markdown]
# After the repair the medians of the two classes differ, as in lesson 01, and the AUROC is above
# one half.
#
# ## Program 3: one cell at a time
#
# This program fits a logistic regression to four numbers per cell: the area and the mean of each
# color. A web page then predicts one cell at a time. (Some images occur twice in the dataset, see
# lesson 02. So two rows may have the same four numbers; that is not the bug.)

# %%
is_cell = images.max(axis=-1) > 0
numbers = pd.DataFrame({"area": is_cell.sum(axis=(1, 2))})
for channel, color in enumerate(["red", "green", "blue"]):
    numbers[color] = images[..., channel].sum(axis=(1, 2)) / numbers["area"]


def fit_scaler(table):
    """Return a scaler that knows mean and standard deviation of each column."""
    return StandardScaler().fit(table)


def fit_model(scaler, table, labels):
    """Return a logistic regression, fitted to the scaled columns."""
    model = LogisticRegression(class_weight="balanced")
    return model.fit(scaler.transform(table), labels)


def predict_rows(scaler, model, table):
    """Return the probability of ALL for each row of the table."""
    scaled = scaler.fit_transform(table)
    return model.predict_proba(scaled)[:, 1]


# %% tags=["slide"]
scaler = fit_scaler(numbers.iloc[train])
model = fit_model(scaler, numbers.iloc[train], y[train])
some = np.sort(np.random.default_rng(seed).permutation(test)[:8])
page = numbers.iloc[some].round().astype(int)
page["probability of ALL"] = [
    predict_rows(scaler, model, numbers.iloc[[row]])[0].round(2) for row in some
]
page

# %% [markdown]
# ### Exercise 13.3 (6 minutes)
#
# What looks odd in this table? Then find the function that causes it and repair it. Keep its
# arguments.

# %% tags=["nbval-check-output"]
# What looks odd? One sentence, in quotation marks.
odd = "All cells get the same probability, although their areas differ much."  # solution

# The function that causes it, repaired; then its name, without brackets.


def predict_rows(scaler, model, table):  # solution
    return model.predict_proba(scaler.transform(table))[:, 1]  # solution


repair = predict_rows  # solution
lk.check("13.3", (odd, repair))

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `fit_transform` computes a new mean and a new standard deviation from the rows that it gets. A
# single row is its own mean: every column becomes 0, for every cell. The model then returns the
# probability that belongs to zeros. Use `transform`, which applies the numbers of the training
# cells. The call of `fit_transform` has also overwritten the scaler, so the next cell fits it to
# the training cells again.
#
# With many rows the bug is hard to see. The predictions look reasonable, but each one depends on
# the other cells in the table. The usual mistake is to create a new `StandardScaler()` inside the
# function. The safe way is `make_pipeline(StandardScaler(), LogisticRegression())` (lesson 04): a
# pipeline never fits its scaler while it predicts.
#
# </details>

# %%
scaler = fit_scaler(numbers.iloc[train])
page["probability of ALL"] = [
    predict_rows(scaler, model, numbers.iloc[[row]])[0].round(2) for row in some
]
page

# %% [markdown]
# After the repair of program 3 the probability differs from cell to cell.
#
# ## Program 4: two classes from a network
#
# Programs 4 and 5 use one small network. It reduces the images to 24 pixels, and it rotates and
# zooms them at random during training. The next two cells are right.

# %%
keras.utils.set_random_seed(seed)
inputs = keras.Input((96, 96, 3))
x = layers.Rescaling(1 / 255)(inputs)
x = layers.AveragePooling2D(4)(x)
x = layers.RandomRotation(0.5, fill_mode="constant")(x)
x = layers.RandomZoom(0.3, fill_mode="constant")(x)
for filters in (8, 16):
    x = layers.Conv2D(filters, 3, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
x = layers.Flatten()(x)
x = layers.Dense(16, activation="relu")(x)
outputs = layers.Dense(1, activation="sigmoid")(x)
network = keras.Model(inputs, outputs)

# %%
share_of_all = y[train].mean()
network.compile(keras.optimizers.Adam(2e-3), loss="binary_crossentropy")
history = network.fit(
    images[train],
    y[train],
    epochs=10,
    batch_size=32,
    class_weight={0: 0.5 / (1 - share_of_all), 1: 0.5 / share_of_all},  # both classes count alike
    verbose=0,
)
print(f"training loss: {history.history['loss'][0]:.2f} -> {history.history['loss'][-1]:.2f}")

# %% [markdown]
# The training loss falls only a little in these ten epochs. That is not the bug: the network is
# small, and it can rank cells already.
#
# The program prints the confusion matrix of the test cells, and the AUROC of the same network.


# %%
def rank(network, batch):
    """Return the AUROC of the network on the test cells."""
    return roc_auc_score(y[test], network.predict(batch, verbose=0).ravel())


def classify(network, batch):
    """Return the predicted class of each image: 0 = HEM, 1 = ALL."""
    outputs = network.predict(batch, verbose=0)
    return np.argmax(outputs, axis=1)


def tabulate(truth, predicted):
    """Return the confusion matrix as a table with names."""
    matrix = confusion_matrix(truth, predicted, labels=[0, 1])
    index, columns = ["is HEM", "is ALL"], ["predicted HEM", "predicted ALL"]
    return pd.DataFrame(matrix, index=index, columns=columns)


# %% tags=["slide"]
batch = images[test].astype("float32")
print(tabulate(y[test], classify(network, batch)).to_string())
print(f"AUROC: {rank(network, batch):.2f}")

# %% [markdown]
# ### Exercise 13.4 (5 minutes)
#
# What looks odd? Then find the function that causes it and repair it.

# %% tags=["nbval-check-output"]
# What looks odd? One sentence, in quotation marks.
odd = "No cell is predicted ALL, although the AUROC is above one half."  # solution

# The function that causes it, repaired; then its name, without brackets.


def classify(network, batch):  # solution
    probability = network.predict(batch, verbose=0)[:, 0]  # solution
    return (probability >= 0.5).astype(int)  # solution


repair = classify  # solution
lk.check("13.4", (odd, repair))

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `argmax(axis=1)` returns the number of the column with the highest value. A network with one
# sigmoid unit returns **one** column, so the highest value is always in column 0. Compare the
# probability with a threshold instead. `argmax` belongs to a softmax layer with one unit per class.
#
# You have seen such a table in lesson 10: one class is never predicted. The usual mistake is to
# trust the accuracy, which equals the share of the predicted class. A second one is to write
# `outputs >= 0.5` without `[:, 0]`: the result has the shape (n, 1) instead of (n,).
#
# </details>

# %%
print(tabulate(y[test], classify(network, batch)).to_string())

# %% [markdown]
# After the repair of program 4 both classes are predicted.
#
# ## Program 5: a page that is loaded three times
#
# A web page predicts five images from the folder of program 2. The page is loaded three times. The
# network is the one of program 4; it stays as it is.


# %%
def open_image(name):
    """Return the image as an array of shape (96, 96, 3)."""
    with Image.open(folder / name) as file:
        return np.asarray(file.convert("RGB"))


def predict_image(network, image):
    """Return the probability of ALL of one image."""
    batch = image[np.newaxis].astype("float32")
    return float(network(batch)[0, 0])


# %% tags=["slide"]
visits = pd.DataFrame(index=names[:5])
for visit in ("visit 1", "visit 2", "visit 3"):
    visits[visit] = [predict_image(network, open_image(name)) for name in visits.index]
visits.round(2)

# %% [markdown]
# ### Exercise 13.5 (6 minutes)
#
# What looks odd in this table? Then find the function that causes it and repair it.

# %% tags=["nbval-check-output"]
# What looks odd? One sentence, in quotation marks.
odd = "The same image gets a different probability at each visit."  # solution

# The function that causes it, repaired; then its name, without brackets.


def predict_image(network, image):  # solution
    one = image[np.newaxis].astype("float32")  # solution
    return float(network(one, training=False)[0, 0])  # solution


repair = predict_image  # solution
lk.check("13.5", (odd, repair))

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Some layers work differently during training. `RandomRotation` and `RandomZoom` move the image
# then, and leave it alone afterwards. `network.predict` sets `training=False`. A direct call does
# not, and Keras' random layers then take `training=True`: each visit rotates and zooms the cell.
# Write `network(batch, training=False)`.
#
# The usual mistake is to set a random seed. Then the probabilities repeat, but they are those of a
# rotated and zoomed cell. Another way out is to augment in the input pipeline (lesson 03), so that
# the saved network holds no random layer.
#
# </details>

# %%
for visit in ("visit 1", "visit 2", "visit 3"):
    visits[visit] = [predict_image(network, open_image(name)) for name in visits.index]
visits.round(2)

# %% [markdown]
# After the repair of program 5 the three visits agree.
#
# ## Program 6: the best pair of features
#
# This program tries all pairs of features. It fits a logistic regression to each pair and reports
# one of them. Its author first runs a **control**: instead of features, the program gets 8 columns
# of random numbers, 12 times. As in real features, the cells of one patient resemble one another.


# %%
def random_columns(generator):
    """Return 8 random columns, one row per cell: a number per patient, plus noise per cell."""
    _, patient = np.unique(subjects, return_inverse=True)
    per_patient = generator.normal(size=(patient.max() + 1, 8))[patient]
    return per_patient + 0.5 * generator.normal(size=per_patient.shape)


def score_pairs(columns):
    """Return a table with one row per pair of columns: its AUROC on validation and test cells."""
    scores = []
    for pair in combinations(range(columns.shape[1]), 2):
        two = columns[:, pair]
        model = LogisticRegression().fit(two[train], y[train])
        score = model.decision_function(two)
        in_validation = roc_auc_score(y[validation], score[validation])
        scores.append([in_validation, roc_auc_score(y[test], score[test])])
    return pd.DataFrame(scores, columns=["validation", "test"])


# %%
def select_pair(scores):
    """Return the row of the pair that the program reports."""
    return scores.sort_values("test").iloc[-1]


# %% tags=["slide"]
generator = np.random.default_rng(seed)
controls = [score_pairs(random_columns(generator)) for _ in range(12)]
reported = pd.DataFrame([select_pair(scores) for scores in controls])
reported.index = pd.RangeIndex(1, 13, name="control")
mean_before = reported.mean()
print("AUROC of the reported pair:")
print(reported.head().round(2).to_string())
print(f"mean test AUROC of 12 controls: {mean_before['test']:.2f}")

# %% [markdown]
# ### Exercise 13.6 (8 minutes)
#
# What looks odd? Then find the function that causes it and repair it. Keep its argument, a table
# with the columns `validation` and `test`, and return one row of it.

# %% tags=["nbval-check-output"]
# What looks odd? One sentence, in quotation marks.
odd = "Random numbers reach a mean test AUROC far above one half."  # solution

# The function that causes it, repaired; then its name, without brackets.


def select_pair(scores):  # solution
    return scores.sort_values("validation").iloc[-1]  # solution


repair = select_pair  # solution
lk.check("13.6", (odd, repair))

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The program selects the pair with the highest AUROC **on the test cells**, then reports that
# AUROC. Among many random models some fit the few test patients by chance. Select on the validation
# cells and report the test AUROC of the selected model once.
#
# The usual mistake is to report the *validation* AUROC of the selected pair. It is too high for the
# same reason. Early stopping on the test set is the same bug: the many models are the epochs.
#
# </details>

# %%
reported = pd.DataFrame([select_pair(scores) for scores in controls])
mean_after = reported.mean()
print(f"mean test AUROC of 12 controls: {mean_before['test']:.2f} before the exercise")
print(f"                                {mean_after['test']:.2f} now")
lesson.record(
    control_auroc_as_found=float(mean_before["test"]),
    control_auroc_now=float(mean_after["test"]),
)

# %% [markdown]
# The figure shows all pairs of the first control. The pair with the highest test AUROC is at the
# right end by definition. The pair with the highest validation AUROC may be anywhere. With so few
# patients a single random pair may still score high or low, so read the mean.

# %% tags=["slide"]
first = controls[0]
by_validation = first.loc[first["validation"].idxmax(), "test"]
figure, panel = plt.subplots(figsize=(7, 2.8), layout="constrained")
panel.hist(first["test"], bins=np.linspace(0, 1, 26), color="0.8")
panel.axvline(first["test"].max(), color="black", label="highest on the test cells")
panel.axvline(by_validation, color="black", linestyle="--", label="highest on the validation cells")
panel.axvline(0.5, color="0.5", linestyle=":", label="chance")
panel.set(xlabel="test AUROC", ylabel="pairs of random columns", xlim=(0, 1))
panel.margins(y=0.35)
panel.legend(loc="upper center", ncols=3, fontsize=8)
best = first["test"].max()
figure.suptitle(f"One of {len(first)} random models reaches a test AUROC of {best:.2f} by chance")
lesson.save_figure(
    figure,
    "pairs",
    "Histogram of the test AUROC of all pairs of random columns. A solid line at its right end "
    "marks the highest; a dashed line marks the pair selected on the validation cells.",
)

# %% [markdown] tags=["slide"]
# ## What the six programs have in common
#
# In how many programs did you see what is odd before you read the functions? No error and no
# warning helped you. All shapes were as expected, too. Only the values in the output showed the
# bug:
#
# | what looks odd | question to check first | program |
# | --- | --- | --- |
# | the picture shows something new | Can the values leave the range of their type? | 1 |
# | a known relation is gone | Do inputs and labels still belong together? | 2 |
# | different inputs, equal outputs | What does the model really receive? | 3 |
# | one class is never predicted | What do the columns of the output mean? | 4 |
# | equal inputs, different outputs | Which layer works differently in training? | 5 |
# | random data score well | Who selected the model, and who tests it? | 6 |
#
# For each program there was something to expect before it ran. Program 1 keeps the colors. Program
# 2 shows the area baseline of lesson 01. Program 3 gives different results for different cells.
# Program 4 predicts both classes. Program 5 gives equal results for equal images. Program 6 is at
# chance with random columns. Without an expectation no output looks odd.

# %% [markdown]
# ## Going further
#
# This part is optional: a seventh program. It trains a small network on the four numbers of
# program 3. `EarlyStopping` ends the training when the validation loss no longer falls. What looks
# odd in the output?

# %%
keras.utils.set_random_seed(seed)
scaler = StandardScaler().fit(numbers.iloc[train])
scaled = scaler.transform(numbers)
small = keras.Sequential(
    [
        keras.Input((scaled.shape[1],)),
        layers.Dense(128, activation="relu"),
        layers.Dense(128, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
small.compile(keras.optimizers.Adam(1e-2), loss="binary_crossentropy")
stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=15)
held_out = (scaled[validation], y[validation])
history = small.fit(
    scaled[train], y[train], validation_data=held_out, epochs=60, callbacks=[stop], verbose=0
)
print(f"lowest validation loss during training: {min(history.history['val_loss']):.3f}")
print(f"validation loss of the trained network: {small.evaluate(*held_out, verbose=0):.3f}")

# %% [markdown]
# <details><summary>What is odd, and why?</summary>
#
# The trained network is worse than it was during training. The training stops 15 epochs after the
# best one. By default `EarlyStopping` keeps the weights of the **last** epoch. With
# `restore_best_weights=True` the two numbers agree.
#
# </details>

# %% [markdown]
# ## Use it on your data
#
# A repair is complete when a test keeps the bug from coming back. The function below checks any
# `predict` function that takes images and returns one probability per image.


# %%
def sanity_checks(predict, images):
    """Return what should be true of every model that predicts one image at a time."""
    together = predict(images)
    order = np.random.default_rng(0).permutation(len(images))
    alone = [predict(images[[row]])[0] for row in range(len(images))]
    return {
        "one number per image": np.shape(together) == (len(images),),
        "the same result twice": np.allclose(together, predict(images), atol=1e-3),
        "the same result in another order": np.allclose(
            together[order], predict(images[order]), atol=1e-3
        ),
        "the same result alone": np.allclose(together, alone, atol=1e-3),
        "both classes are predicted": len(np.unique(together >= 0.5)) == 2,
    }


# %% [markdown]
# We compare `network.predict` with a direct call of the network, on 20 test images.


# %%
def predict_safely(images):
    return network.predict(images.astype("float32"), verbose=0)[:, 0]


def predict_directly(images):
    return np.asarray(network(images.astype("float32")))[:, 0]


chosen = images[np.random.default_rng(seed).permutation(test)[:20]]
checked = {
    "network.predict": sanity_checks(predict_safely, chosen),
    "direct call": sanity_checks(predict_directly, chosen),
}
print(pd.DataFrame(checked).to_string())

# %% [markdown]
# The direct call fails the three checks of equal results: its random layers are active, as in
# program 5.
#
# For a folder of your own, put your images and your model in place of ours:
#
# ```python
# from pathlib import Path
#
# files = sorted(Path("my_cells").glob("*.png"))
# mine = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
# model = keras.models.load_model("my_model.keras")
#
#
# def predict(images):
#     return model.predict(images.astype("float32"), verbose=0)[:, 0]
#
#
# print(pd.Series(sanity_checks(predict, mine)))
# ```
#
# Add two controls that need labels. Shuffle the labels between patients several times: the mean
# AUROC should fall to about one half. Train on 20 cells only, without augmentation and
# dropout, for many epochs: the training loss should fall to nearly zero.
#
# Two questions to end with:

# %%
lesson.quiz()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - A program that runs, with right shapes and right counts, may still be wrong.
# - Write down what you expect before you look: a baseline, a repeated input, random data.
# - Look at images and at a few rows of each table, not only at scores.
# - Test a repair on a small case with a known result, and keep that test.
# - Prefer code that makes the bug impossible: `merge` with `validate`, a pipeline, one split.
#
# The terms are in the [glossary](../docs/glossary.md).
#
# **Read next:** lesson 11 again, now with a folder of your own. On such bugs across the sciences:
# Kapoor and Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science",
# *Patterns* 4 (2023).
