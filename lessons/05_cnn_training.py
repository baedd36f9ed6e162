# %% [markdown] tags=["slide"]
# # 05 · Training a convolutional network
#
# After this lesson you will be able to build a convolutional network in Keras and to train it. You
# will read its learning curves, and judge whether a change made it better.
#
# **60 minutes to teach · about one minute to run · needs lessons 00 to 04**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - What does each layer of an image classifier do?
# - How do learning curves show that a network memorizes its training cells?
# - Which changes make a training better, and by how much?
#
# **Objectives**
#
# 1. Build and train a network with Keras layers, `tf.data`, `compile` and `fit`.
# 2. Recognize overfitting and a wrong learning rate in learning curves.
# 3. Compare a network with two baselines, and an improvement with its uncertainty.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or a folder or CSV of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # results folder; empty chooses one from the three settings above

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from keras import layers

import leukhelpers as lk

tf.config.experimental.enable_op_determinism()  # the same seed gives the same numbers
lesson = lk.begin("05", dataset, profile, seed, run)
class_colors = lk.CLASS_COLORS
model_colors = lk.MODEL_COLORS
crops, y = lesson.crops, lesson.y  # cells cropped to their bounding box; 0 = HEM, 1 = ALL
train, validation = lesson.split.train, lesson.split.validation
subjects = lesson.table["subject"].to_numpy()

# %% [markdown]
# `crops` holds each cell cropped to its bounding box, as uint8 from 0 to 255 (lesson 03). The
# network sees the texture of a cell better this way, and it cannot simply measure the size, which
# may be a shortcut. No patient is in two of the three sets: training, validation and test. The test
# set is not used before lesson 06.

# %% tags=["nbval-check-output"]
for name, rows in (("training", train), ("validation", validation)):
    patients = len(np.unique(subjects[rows]))
    print(f"{name}: {len(rows)} cells of {patients} subjects, {y[rows].mean():.0%} of them ALL")

# %% [markdown]
# ## What a layer does
#
# A **convolution** slides a small **filter** over the picture. The filter is a block of numbers,
# the **weights**. At each place it multiplies the pixels by its weights and adds up. The sums form
# a new picture, a **feature map**. Training finds the weights, but we can also set them ourselves.
#
# This filter subtracts the pixel on the left from the pixel on the right, in three rows and all
# three colors. **Guess first:** where in the cell will its map be positive?

# %% tags=["nbval-check-output"]
kernel = np.zeros((3, 3, 3, 1), "float32")  # height, width, colors, filters
kernel[:, 0] = -1 / 9
kernel[:, 2] = 1 / 9
convolution = layers.Conv2D(1, 3, padding="same", use_bias=False)
convolution.build((None, None, None, 3))
convolution.set_weights([kernel])

cell = crops[train[:1]].astype("float32")
feature_map = convolution(cell)
positive = layers.ReLU()(feature_map)
pooled = layers.MaxPooling2D()(positive)
for name, values in (("Conv2D", feature_map), ("ReLU", positive), ("MaxPooling2D", pooled)):
    print(f"{name:12}  height, width, maps: {values.shape[1:]}")

# %% tags=["nbval-check-output", "slide"]
figure, panels = plt.subplots(1, 4, figsize=(8, 2.5), layout="constrained")
panels[0].imshow(lk.brighten(crops[train[0]]))
panels[0].set_title("cell (brightened)")
limit = float(np.abs(feature_map).max())
panels[1].imshow(feature_map[0, :, :, 0], cmap="coolwarm", vmin=-limit, vmax=limit)
panels[1].set_title("Conv2D: red is positive")
panels[2].imshow(positive[0, :, :, 0], cmap="gray")
panels[2].set_title("ReLU")
panels[3].imshow(pooled[0, :, :, 0], cmap="gray")
panels[3].set_title("MaxPooling2D")
for panel in panels:
    panel.axis("off")
figure.suptitle("This filter responds where the cell gets lighter from left to right")
lesson.save_figure(figure, "layers", "A cell, its map by one filter, after ReLU, after pooling.")

# %% [markdown]
# The left outline is red: there the picture goes from black to the cell. The right outline is blue.
# **ReLU** keeps the positive values and sets the others to zero. **Max pooling** keeps the largest
# of four neighbors: the map has half the height and half the width.
#
# One block of a network does this with many filters at once:
#
# | layer | what it does |
# | --- | --- |
# | `Conv2D` | slides filters over the picture; each filter responds to one pattern |
# | `BatchNormalization` | keeps the numbers in a range in which training works |
# | `ReLU` | keeps positive responses, sets the others to zero |
# | `MaxPooling2D` | halves the picture, keeps the strongest response |
#
# In Keras a layer is first made and then applied: `layers.ReLU()(x)`. The result is the input of
# the next layer.
#
# ### Exercise 05.1 (8 minutes)
#
# Write `add_block(x, filters)`. It applies the four layers of the table to `x`, in this order, and
# returns the result. The convolution has 3×3 filters. It keeps height and width
# (`padding="same"`), and has no bias (`use_bias=False`), because the normalization adds one.


# %% tags=["nbval-check-output"]
def add_block(x, filters):
    """Apply convolution, batch normalization, ReLU and max pooling to x."""
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)  # solution
    x = layers.BatchNormalization()(x)  # solution
    x = layers.ReLU()(x)  # solution
    return layers.MaxPooling2D()(x)  # solution


lk.check("05.1", add_block)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Each line makes a layer and applies it to `x`, so the blocks can be stacked. The usual mistake is
# `Conv2D(..., activation="relu")`: then ReLU comes *before* the normalization. Another is to forget
# `padding="same"`. Without it each convolution cuts one pixel from every side.
#
# </details>

# %% [markdown]
# ## Build the network
#
# The network has four such blocks. The first one uses larger filters and moves them two pixels at a
# time (`strides=2`), which saves most of the work. The last one has no max pooling. After it
#
# - `GlobalAveragePooling2D` averages each map. The network then knows *how much* of a pattern there
#   is, not where.
# - `Dropout` sets 30% of these averages to zero during training, at random. So the network cannot
#   rely on any single one.
# - `Dense` adds up the evidence into one number, the **logit**. A positive logit stands for ALL.
# - The **sigmoid** turns the logit into a probability of ALL.
#
# Keras chooses the first weights at random; `he_normal` is a rule that suits ReLU.


# %% tags=["slide"]
def build_cnn(size):
    """Return the untrained network for pictures of size × size pixels, values 0 to 255."""
    same = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    inputs = keras.Input((size, size, 3), name="pixels")
    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    x = layers.Conv2D(24, 5, strides=2, name="conv1", **same)(x)
    x = layers.BatchNormalization(momentum=0.9, name="norm1")(x)
    x = layers.ReLU(name="relu1")(x)
    for block, filters in ((2, 48), (3, 96), (4, 128)):
        x = layers.MaxPooling2D(name=f"pool{block - 1}")(x)
        x = layers.Conv2D(filters, 3, name=f"conv{block}", **same)(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{block}")(x)
        x = layers.ReLU(name=f"relu{block}")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    x = layers.Dense(1, name="logit")(x)
    outputs = layers.Activation("sigmoid", name="probability")(x)
    return keras.Model(inputs, outputs, name="cnn")


# %% tags=["nbval-check-output"]
model = build_cnn(crops.shape[1])
for layer in model.layers:
    shape = " × ".join(str(length) for length in layer.output.shape[1:])
    print(f"{layer.name:12} {shape:13} {layer.count_params():7,} parameters")
print(f"together {model.count_params():,} parameters")

# %% [markdown]
# Each line is a layer, the shape of its output (height × width × maps), and its number of
# parameters. The network has many more parameters than there are training cells. It has more than
# enough room to memorize every cell. So we watch for that.
#
# ## Train it
#
# `compile` chooses the loss and the optimizer, and `fit` runs the training.
#
# - The **loss** (cross-entropy) is small when the correct class gets a high probability.
# - A **batch** is a few cells. After each batch the **optimizer**, here *Adam*, changes all weights
#   a little, so that the loss falls. The **learning rate** is the size of this step.
# - An **epoch** is one pass over the training cells.
#
# The first training is the simplest one: no augmentation, a constant learning rate. (With many
# cells we take 500 of them, to save time.)

# %%
few = np.random.default_rng(seed).permutation(train)[:500]
keras.utils.set_random_seed(seed)
model = build_cnn(crops.shape[1])
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.001),
    loss="binary_crossentropy",
    metrics=["accuracy"],
)
history = model.fit(
    crops[few], y[few], validation_data=(crops[validation], y[validation]),
    batch_size=32, epochs=15, verbose=0,
)  # fmt: skip
first = pd.DataFrame(history.history)
first.index = pd.RangeIndex(1, len(first) + 1, name="epoch")
first[["loss", "accuracy"]].iloc[[0, 4, 9, 14]].round(2)

# %% [markdown]
# These are the training cells. `fit` has also measured the validation patients after each epoch.
# **Before you go on:** sketch the accuracy over 15 epochs, one curve for training and one for
# validation. Where does the second one end?
#
# The gray line in the next figure is the **majority-class baseline**: it predicts the more frequent
# class of the training set for every cell.

# %%
from sklearn.dummy import DummyClassifier

majority = DummyClassifier(strategy="most_frequent").fit(crops[train], y[train])
majority_accuracy = majority.score(crops[validation], y[validation])


def plot_curves(history):
    """Plot loss and accuracy of training and validation."""
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
        panel.plot(history[name], color="black", label="training")
        panel.plot(history[f"val_{name}"], color=model_colors["cnn"], label="validation")
        panel.set(xlabel="epoch", ylabel=name)
        panel.xaxis.set_major_locator(plt.MaxNLocator(integer=True))
    panels[0].set(ylim=(0, 3), ylabel="loss (the axis ends at 3)")
    gray = model_colors["majority"]
    panels[1].axhline(majority_accuracy, color=gray, label="majority-class baseline")
    panels[1].set(ylim=(0, 1.02))
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return figure


# %% tags=["nbval-check-output", "slide"]
figure = plot_curves(first)
figure.suptitle(
    f"Training accuracy reaches {first['accuracy'].max():.0%}, "
    f"validation accuracy ends at {first['val_accuracy'].iloc[-1]:.0%}"
)
lesson.save_figure(figure, "overfitting", "Loss and accuracy over 15 epochs without augmentation.")

# %% [markdown] tags=["slide"]
# ## Overfitting
#
# The network gets almost every training cell right. On patients it has not seen, it is far from
# that. It has learned its *training cells* more than the disease. This is **overfitting**
# ([glossary](../docs/glossary.md)).
#
# How to see it in the curves:
#
# - The **training loss** falls toward zero. It nearly always does, so it is no sign of success.
# - The **validation loss** stays far above it. At the end it is many times the training loss: the
#   network is sure of its predictions, even where they are wrong.
# - The **jumps** of the validation curve are something else. In some epochs the network predicts
#   one class for almost all validation cells; then the accuracy is the share of this class. Early
#   in a training this is common. One possible reason: in validation, batch normalization uses
#   averages of earlier batches, which do not fit the new weights yet. So look at the distance of
#   the two curves at the end, not at one epoch.
#
# The next sections try three remedies: stop earlier, choose better steps, and show the network more
# variation.
#
# ### Exercise 05.2 (5 minutes)
#
# A **callback** is an object that `fit` calls after each epoch. `keras.callbacks.EarlyStopping`
# ends a training. Write `stop_early()`. It returns such a callback that
#
# 1. watches the validation loss;
# 2. stops after 3 epochs without improvement (this number is the **patience**);
# 3. gives the model the weights of its best epoch.
#
# The arguments are `monitor`, `patience` and `restore_best_weights`. The validation loss is called
# `"val_loss"`. In a training you would write `model.fit(..., callbacks=[stop_early()])`.


# %% tags=["nbval-check-output"]
def stop_early():
    """Return a callback that ends a training when the validation loss stops falling."""
    options = {"monitor": "val_loss", "patience": 3, "restore_best_weights": True}  # solution
    return keras.callbacks.EarlyStopping(**options)  # solution


lk.check("05.2", stop_early)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The usual mistake is to leave out `restore_best_weights=True`. Its default is `False`, and then
# the model keeps the weights of the *last* epoch, three epochs after the best. `monitor="loss"` is
# worse: the training loss goes on falling, so the callback never stops an overfitting network.
#
# </details>

# %% [markdown]
# Which epoch would this rule have kept in our first training?

# %%
val_loss = first["val_loss"].tolist()
best = 0
for epoch in range(len(val_loss)):
    if val_loss[epoch] < val_loss[best]:
        best = epoch
    elif epoch - best == 3:
        break
print(f"early stopping ends after epoch {epoch + 1} and keeps epoch {best + 1}")
print(f"of all 15 epochs the validation loss is lowest in epoch {np.argmin(val_loss) + 1}")

# %% [markdown]
# The rule sees only the past. With few validation patients the loss jumps, and a rise over three
# epochs may be such a jump. So the epoch that is kept is partly luck. With the default seed the
# rule keeps a bad one: in the figure, its accuracy is below the majority-class baseline, and the
# last epochs are better. And the validation score looks a little too good, because the same
# patients chose the epoch. The course therefore trains for a fixed number of epochs, and improves
# the training itself.
#
# ## The learning rate
#
# The first training used a learning rate of one thousandth. Let us try a step a hundred times
# smaller, and one a thousand times larger. **Guess first:** how will the *training* loss look in
# both cases?

# %%
losses = {0.001: first["loss"].tolist()[:5]}
for rate in (0.00001, 1.0):
    keras.utils.set_random_seed(seed)
    network = build_cnn(crops.shape[1])
    network.compile(optimizer=keras.optimizers.Adam(rate), loss="binary_crossentropy")
    network.optimizer.build(network.trainable_variables)  # else `fit` compiles its first step twice
    found = network.fit(crops[few], y[few], batch_size=32, epochs=5, verbose=0)
    losses[rate] = found.history["loss"]

# %% tags=["nbval-check-output", "slide"]
from sklearn.metrics import log_loss

constant = log_loss(y[few], np.full(len(few), y[few].mean()))
figure, panel = plt.subplots(figsize=(7, 3.2), layout="constrained")
panel.plot(range(1, 6), losses[0.00001], ":", color="black", label="0.00001: too low")
panel.plot(range(1, 6), losses[0.001], "-", color="black", label="0.001: suitable")
panel.plot(range(1, 6), losses[1.0], "--", color="black", label="1: too high")
panel.axhline(constant, color=model_colors["majority"], label="one probability for all cells")
panel.set(xlabel="epoch", ylabel="training loss", ylim=(0, 2))
panel.set_xticks(range(1, 6))
panel.legend(ncols=2)
figure.suptitle("Only the middle learning rate brings the loss well below the gray line")
lesson.save_figure(figure, "learning-rate", "Training loss over 5 epochs, three learning rates.")

# %% [markdown]
# - **Too low:** every step helps, but so little that the loss hardly moves. Longer training would
#   help.
# - **Too high:** the first steps throw the weights far away. The loss starts very high and then
#   stays near the gray line. That line is the loss of a model that does not look at the picture: it
#   gives all cells the same probability. Longer training rarely helps here.
#
# A good learning rate is large at the beginning, to make progress, and small at the end, to settle.
# `CosineDecay` lowers it after every batch along a cosine curve, down to zero.

# %% tags=["nbval-check-output"]
epochs, batch_size = lesson.profile.epochs, lesson.profile.batch_size
print(f"{len(train)} training cells, {epochs} epochs, batches of {batch_size}")
steps = epochs * int(np.ceil(len(train) / batch_size))
schedule = keras.optimizers.schedules.CosineDecay(0.002, decay_steps=steps)
for share in (0, 0.25, 0.5, 0.75, 1):
    print(f"after {share:4.0%} of the steps: learning rate {float(schedule(share * steps)):.4f}")

# %% [markdown]
# ## Class weights
#
# About two thirds of the cells are leukemic. With equal weights the network gains more from getting
# ALL cells right than HEM cells. **Class weights** multiply the loss of each cell, so that both
# classes count the same. The usual formula for class *c* is
#
# > weight = number of cells / (number of classes × number of cells of class *c*)
#
# ### Exercise 05.3 (6 minutes)
#
# Write `class_weights(labels)` for whole-number labels 0, 1, 2 … It returns a dictionary with one
# weight per class, as `model.fit(..., class_weight=...)` expects it. It should work for any number
# of classes.


# %% tags=["nbval-check-output"]
def class_weights(labels):
    """Return {class: weight} such that every class counts the same in total."""
    counts = np.bincount(labels)  # solution
    weights = len(labels) / (len(counts) * counts)  # solution
    return {label: float(weight) for label, weight in enumerate(weights)}  # solution


lk.check("05.3", class_weights)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The weight of a class times its number of cells is the same for all classes. The usual mistake is
# to use the *share* of a class as its weight: then the frequent class counts even more. Weights of
# 1 / count have the right ratio, but the loss becomes hundreds of times smaller and cannot be
# compared with other trainings.
#
# </details>

# %% [markdown]
# scikit-learn has the same formula. We use it from here on.

# %% tags=["nbval-check-output"]
from sklearn.utils.class_weight import compute_class_weight

balanced = compute_class_weight("balanced", classes=np.array([0, 1]), y=y[train])
weights = {0: float(balanced[0]), 1: float(balanced[1])}
print({name: round(weights[label], 2) for label, name in enumerate(("HEM", "ALL"))})

# %% [markdown] tags=["slide"]
# ## The full recipe
#
# The third remedy is **augmentation** (lesson 03). In each epoch the network sees each training
# cell in another way: turned, mirrored, zoomed and recolored a little. `lk.augment_batch` does this
# for one batch. It gets two random numbers, so that the seed decides everything.
#
# `tf.data` builds the pipeline. `zip` puts a pair of random numbers beside each batch, and `map`
# applies the augmentation. Validation cells are not augmented.


# %%
def augment(cells, random_pair):
    """Augment the pictures of one batch; the labels stay as they are."""
    pictures, labels = cells
    return lk.augment_batch(pictures, random_pair), labels


def batches(rows):
    """Return shuffled and augmented batches of some training cells."""
    cells = tf.data.Dataset.from_tensor_slices((crops[rows], y[rows]))
    cells = cells.shuffle(len(rows), seed=seed).batch(batch_size)
    pairs = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
    data = tf.data.Dataset.zip(cells, pairs).map(augment, tf.data.AUTOTUNE)
    return data.prefetch(tf.data.AUTOTUNE)


# %% [markdown]
# And here is the whole training, for any rows:


# %%
def train_network(rows, class_weight=None, validation_data=None):
    """Train the network on some rows; return it and one row of numbers per epoch."""
    keras.utils.set_random_seed(seed)
    data = batches(rows)
    network = build_cnn(crops.shape[1])
    schedule = keras.optimizers.schedules.CosineDecay(0.002, decay_steps=epochs * len(data))
    network.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss="binary_crossentropy",
        metrics=["accuracy", keras.metrics.AUC(name="auroc")],
    )
    network.optimizer.build(network.trainable_variables)
    fitted = network.fit(
        data, validation_data=validation_data, epochs=epochs, class_weight=class_weight,
        shuffle=False, verbose=0,  # the pipeline has shuffled already
    )  # fmt: skip
    history = pd.DataFrame(fitted.history)
    history.index = pd.RangeIndex(1, len(history) + 1, name="epoch")
    return network, history


# %% [markdown]
# We train twice, without and with class weights. **Guess first:** which numbers will the weights
# change: the accuracy, the recall of HEM, the AUROC?

# %%
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

unweighted, _ = train_network(train)
weighted, history = train_network(train, weights, (crops[validation], y[validation]))

# %%
trainings = {
    "first training": model,
    "recipe without class weights": unweighted,
    "recipe with class weights": weighted,
}
rows = {}
for name, network in trainings.items():
    probability = network.predict(crops[validation], verbose=0).ravel()
    predicted = probability >= 0.5
    rows[name] = {
        "accuracy": accuracy_score(y[validation], predicted),
        "recall of HEM": recall_score(y[validation], predicted, pos_label=0),
        "recall of ALL": recall_score(y[validation], predicted, pos_label=1),
        "AUROC": roc_auc_score(y[validation], probability),
    }
pd.DataFrame(rows).T.round(2)

# %% [markdown] tags=["slide"]
# All rows are validation patients. Compare them from top to bottom:
#
# - **The recipe against the first training.** The recipe adds augmentation and a decreasing
#   learning rate. It also starts with a higher rate and has smaller batches and fewer epochs. So
#   the difference does not show which change matters. And one seed with a few validation patients
#   cannot decide which training is better. The learning curves below show more clearly what has
#   changed.
# - **Class weights.** The recall of HEM rises, and the recall of ALL falls. The weights shift the
#   decision toward the rarer class. The AUROC needs no threshold, and it changes much less. So
#   class weights do not add knowledge: they decide which errors are made.
#
# Which is better? That depends on what each error costs. Without weights, the frequent class counts
# more in training, only because it is frequent. The course uses weights, so that both classes count
# the same in training. This does not promise the same recall for other patients. With the default
# seed the recall of HEM was the higher one already, and the weights make the two more unequal: the
# network now misses many ALL cells. Lesson 06 chooses the threshold on purpose.
#
# ## Read the learning curves

# %% tags=["nbval-check-output", "slide"]
before = (first["val_loss"] - first["loss"]).iloc[-3:].mean()
now = (history["val_loss"] - history["loss"]).iloc[-3:].mean()
figure = plot_curves(history)
figure.suptitle(
    "The loss in validation minus that in training (last three epochs)\n"
    f"is {now:.2f} with the recipe; it was {before:.2f} in the first training"
)
lesson.save_figure(figure, "recipe", "Loss and accuracy over the epochs, with augmentation.")

# %% [markdown]
# How to read it:
#
# - The two loss curves end closer together than before. But look at each curve: the validation loss
#   ends at about the same height, and the training loss is higher. No cell looks the same twice, so
#   the network memorizes less. These few patients do not show that it predicts better.
# - The validation curve still jumps, most of all in the first half, while the steps are large. Even
#   at the end the accuracy may move by several points.
# - The two losses do not measure quite the same. Training is measured on *augmented* cells and with
#   dropout, which makes its loss higher. Class weights count in the training loss only. So compare
#   the two gaps with care.
# - An accuracy below the gray line is worse than the majority-class baseline. With class weights
#   this may happen: they do not maximize the accuracy.
#
# ## The surprise: compare the network with one number
#
# The network has more than a hundred thousand parameters. The **area baseline** is a logistic
# regression on one number, the area of the cell. **Guess first:** how much better is the network on
# the validation patients?

# %% tags=["slide"]
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

area = lesson.area.reshape(-1, 1)  # pixels that are not black, one number per cell
area_model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
area_model.fit(area[train], y[train])
probabilities = {
    "network": weighted.predict(crops[validation], verbose=0).ravel(),
    "area baseline": area_model.predict_proba(area[validation])[:, 1],
    "majority-class baseline": majority.predict_proba(crops[validation])[:, 1],
}
rows = {}
for name, probability in probabilities.items():
    rows[name] = {
        "accuracy": accuracy_score(y[validation], probability >= 0.5),
        "AUROC": roc_auc_score(y[validation], probability),
    }
compared = pd.DataFrame(rows).T
compared.round(2)

# %% [markdown]
# With the default seed the network is hardly better: its AUROC is only a little higher than that of
# one number, and its accuracy is lower. The learning curves could not show this. A network that
# finds nothing but a shortcut can have fine curves, too. **Put the baselines beside every score.**
#
# The network cannot simply measure the size of the cell. So a similar AUROC does not mean that both
# use the same evidence. But is the difference between the first two rows real? Look at the
# patients.

# %% tags=["slide"]
shown = pd.DataFrame({"patient": subjects[validation], "probability of ALL": 0.0})
shown["probability of ALL"] = probabilities["network"]
shown["class"] = np.where(y[validation] == 1, "ALL", "HEM")
shown["right"] = (probabilities["network"] >= 0.5) == y[validation]
shown = shown.sort_values(["class", "patient"], ascending=[False, True])
right = shown.groupby("patient")["right"].mean()
figure, panel = plt.subplots(figsize=(8, 3.4), layout="constrained")
colors = {"HEM": class_colors[0], "ALL": class_colors[1]}
sns.stripplot(
    shown, x="patient", y="probability of ALL", hue="class", palette=colors, size=3, ax=panel
)
panel.axhline(0.5, color="black", linestyle=":", linewidth=1)
panel.legend(title="true class", loc="center left", bbox_to_anchor=(1, 0.5))
figure.suptitle(
    f"Right predictions: from {right.min():.0%} to {right.max():.0%}, depending on the patient"
)
lesson.save_figure(figure, "patients", "Predicted probability of each cell, by patient.")

# %% [markdown]
# Each dot is a cell, each column a patient. In some columns most cells are right, in others many
# are wrong. So the score depends on *which* patients are in the set. There are only a few of them,
# and another few could change the order of the two rows. These patients do **not** show which of
# the two is better. Lesson 06 computes an interval over patients and a paired difference.
#
# (On real cells, lesson 04 compared two versions of such a network with the area baseline in four
# folds. The mean of both versions was higher.)
#
# ## Average four rotations
#
# A cell on a slide has no fixed orientation. Yet the prediction changes a little when the picture
# is turned. So the network looks at four quarter turns and averages them. The next function builds
# this into it. `core` is the network up to its last feature maps. It sees the picture in four
# positions. The maps are turned back and averaged, and the trained last layers go on from there. No
# new weights are needed.


# %% tags=["slide"]
def average_rotations(network):
    """Return a network that averages its feature maps over four quarter turns."""
    core = keras.Model(network.input, network.get_layer("relu4").output, name="core")
    inputs = keras.Input(network.input_shape[1:], name="pixels")
    turned = [core(keras.ops.rot90(inputs, k, axes=(1, 2))) for k in range(4)]
    back = [keras.ops.rot90(maps, -k, axes=(1, 2)) for k, maps in enumerate(turned)]
    x = layers.Average(name="maps")(back)
    for name in ("mean", "dropout", "logit", "probability"):
        x = network.get_layer(name)(x)
    return keras.Model(inputs, x, name="cnn")


# %%
averaged = average_rotations(weighted)
turned = np.rot90(crops[validation], axes=(1, 2))
for name, network in (("one view", weighted), ("four views averaged", averaged)):
    probability = network.predict(crops[validation], verbose=0).ravel()
    change = np.abs(probability - network.predict(turned, verbose=0).ravel()).mean()
    auroc = roc_auc_score(y[validation], probability)
    print(f"{name:20} AUROC {auroc:.3f}; a quarter turn changes a probability by {change:.2f}")

# %% [markdown]
# After averaging, a quarter turn no longer changes the prediction. The AUROC moves little. The
# training takes no longer, but the prediction takes four times as long.
#
# ## Which changes help on real cells?
#
# Synthetic cells cannot show which recipe is best. So the same network was trained on **real**
# cells, and each recipe was tested on the same four test folds, ten patients in each. The *plain*
# recipe is that of this lesson, with 64 pixels, 10 epochs and averaged rotations. Each row of the
# table changes something:
#
# | row | what it means |
# | --- | --- |
# | strong color | augmentation changes the colors three times as much |
# | one view | the network sees each cell in one position, not in four rotations |
# | auxiliary + mixup | also predicts features of lesson 04; pictures are averaged in pairs |
# | 96 pixels, 128 pixels | larger pictures, which take more time |
# | area, svm | no network: the area baseline and the SVM of lesson 04 |
#
# *Difference* is the AUROC minus that of the plain recipe. *Low* and *high* are the ends of its 95%
# interval: would other patients show the same difference? (Lesson 06 explains the idea. Here the
# patients of each class are drawn separately, and the AUROC is the mean over the test sets.)
# **Guess first:** do larger pictures help? Do the auxiliary task and mixup?

# %% tags=["nbval-check-output"]
measured = lk.measured("candidates")
table = pd.DataFrame(measured["screening"]).set_index("candidate")
names = ["strong color", "one view", "auxiliary + mixup", "96 pixels", "128 pixels", "area", "svm"]
scores = pd.DataFrame(table.loc[names, "within"].tolist(), index=names)
real = scores[["auroc", "difference"]].copy()
real["low"], real["high"] = np.array(scores["difference_interval"].tolist()).T
print(f"AUROC of the plain recipe: {table.loc['plain', 'within']['auroc']:.3f}")
real.round(3)

# %% tags=["nbval-check-output", "slide"]
figure, panel = plt.subplots(figsize=(8, 3.2), layout="constrained")
reach = [real["difference"] - real["low"], real["high"] - real["difference"]]
panel.errorbar(real["difference"], real.index, xerr=reach, fmt="o", color=model_colors["cnn"])
for name in ("area", "svm"):
    row = real.loc[name]
    panel.plot(row[["low", "high"]], [name, name], color=model_colors[name])
    panel.plot(row["difference"], name, "o", color=model_colors[name], zorder=3)
panel.axvline(0, color="black", linewidth=1)
panel.invert_yaxis()
panel.set(xlabel="AUROC minus that of the plain recipe, with 95% interval over patients")
above, below = int((real["low"] > 0).sum()), int((real["high"] < 0).sum())
better = above or "no"
figure.suptitle(f"On real cells, {better} row is clearly better than plain; {below} are worse")
figure.text(0.99, -0.01, f"measured on real cells; the rest of the lesson: {lesson.note}",
            ha="right", va="top", size=8, color="gray")  # fmt: skip
lesson.save_figure(figure, "improvements", "Gain of each change on real cells, with its interval.")

# %% [markdown]
# We call a row *clearly* better if its whole line lies right of zero. In these four folds no
# change of the network is clearly better. But a small gain can still be real. So the larger
# pictures were tested again. First, the same patients were divided into folds in two other ways.
# Then the network was trained on the published fold 0 and tested on fold 1, with three seeds.

# %% tags=["nbval-check-output"]
again = pd.DataFrame(measured["later"][-1]["candidates"]).set_index("candidate")
for name in ("96 pixels", "128 pixels"):
    for kind, tests in (("within", "divisions"), ("unseen", "fold 1")):
        gain = again.loc[name, kind]
        low, high = gain["difference_interval"]
        print(f"{name:10} {tests:9}", np.round(gain["repeats"], 3), f"{low:+.3f} to {high:+.3f}")

# %% [markdown]
# Each line holds three gains over the plain recipe, and the 95% interval of their mean. In the
# lines *divisions* the first gain belongs to the four folds above. (All these networks were trained
# again, so it differs a little from the table.) In the lines *fold 1* each gain belongs to a seed.
#
# **A gain that repeats is more likely to be real, even if it is small.** Here all gains are
# positive, and with more test sets the intervals lie right of zero. (In fold 1 only two of the
# patients are healthy, so its intervals are too narrow.) But all repetitions use the same forty
# patients. Other patients could still give another result. So:
#
# - The largest effects are losses: strong color changes, and no network at all but only the area.
# - Larger pictures help a little. 128 pixels are only a little better than 96. For real cells the
#   profile *full* uses 128 pixels.
# - The auxiliary task with mixup shows no gain here, and costs code and time.
# - On the four folds the SVM of lesson 04 is about as good as the plain network.
#
# ### Exercise 05.4 (3 minutes)
#
# A colleague tries thirty recipes on the same folds, and reports the AUROC of the best one. What is
# this number? `"fair"`, `"too high"` or `"too low"`?

# %% tags=["nbval-check-output"]
answer = "too high"  # solution
lk.check("05.4", answer)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Each score is the true quality plus luck. The best of thirty is good, but also lucky on these
# folds. The more recipes one tries, the more luck the best one has. The usual mistake is to think
# that cross-validation prevents this. It does not, because the folds were used for the choice.
# Test the chosen recipe once, on patients who took no part in any choice.
#
# </details>

# %% [markdown]
# ## Keep the network
#
# We used the validation patients for the learning curves. The network has not learned from them, so
# its probabilities for them are fair. Lesson 06 uses these to choose a threshold. But patients are
# few, and it is a waste not to train on them. So the network is trained again, with the same
# recipe, on **training + validation** cells. This second network is saved. It cannot be tested on
# the validation patients any more.

# %%
validation_proba = averaged.predict(crops[validation], verbose=0).ravel()
both = np.concatenate([train, validation])
balanced = compute_class_weight("balanced", classes=np.array([0, 1]), y=y[both])
network, _ = train_network(both, {0: float(balanced[0]), 1: float(balanced[1])})
final = average_rotations(network)
saved = lesson.save_run(final, history.reset_index(), validation_proba)
print("saved in", saved.folder.name)

# %% [markdown]
# The run holds the network, its history, its predictions for the test patients, and those of the
# first network for the validation patients. From now on the network stays as it is. Lesson 06 uses
# the test set, once.
#
# ## Check yourself

# %%
lesson.record(
    parameters=int(final.count_params()),
    epochs=len(history),
    first_training_accuracy=round(float(first["accuracy"].max()), 3),
    first_validation_accuracy=round(float(first["val_accuracy"].iloc[-1]), 3),
    validation_AUROC=round(float(roc_auc_score(y[validation], validation_proba)), 3),
    validation_AUROC_of_the_area_baseline=round(float(compared["AUROC"]["area baseline"]), 3),
)
lesson.quiz()

# %% [markdown]
# ## Going further
#
# *Optional.* **Two different views of a cell.** The network sees the texture of a cell, but not its
# size. The SVM of lesson 04 sees measured size, shape, color and texture. If they make different
# mistakes, their mean can be better than each of them. The scores of both are divided by their
# standard deviation, so that they count the same.

# %%
from sklearn.svm import SVC

svm = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
svm.fit(lesson.features.iloc[train], y[train])
logits = np.log(validation_proba.clip(1e-6, 1)) - np.log((1 - validation_proba).clip(1e-6, 1))
views = pd.DataFrame(
    {"network": logits, "SVM": svm.decision_function(lesson.features.iloc[validation])}
)
views /= views.std()
views["mean of both"] = views.mean(axis=1)
print(views.apply(lambda scores: roc_auc_score(y[validation], scores)).round(3).to_string())
for label, name in enumerate(("HEM", "ALL")):
    of_class = views[y[validation] == label]
    print(f"correlation within {name}: {of_class['network'].corr(of_class['SVM']):.2f}")

# %% tags=["nbval-check-output"]
names = ["area", "svm", "plain", "plain + SVM"]
kinds = {"twelve test sets": measured["auroc"], "fold 1": measured["auroc_unseen"]}
pd.DataFrame({kind: pd.DataFrame(auroc)[names].mean() for kind, auroc in kinds.items()}).round(3)

# %% [markdown]
# A correlation far below one means that the two often disagree about cells of the *same* class: one
# can correct the other. The table shows AUROCs on real cells. *Twelve test sets* are the four folds
# of the three divisions. There, too, the mean of both is higher than each of them. The course's
# package calls this model `cnn+svm` (`leuk train --model cnn+svm`).
#
# **Two more ways to choose steps and epochs.** Both watch the validation loss, so both need
# enough validation patients.
#
# ```python
# another = build_cnn(crops.shape[1])
# another.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
# another.fit(
#     batches(train),
#     validation_data=(crops[validation], y[validation]),
#     epochs=50,
#     callbacks=[
#         keras.callbacks.ReduceLROnPlateau(patience=2),  # a tenth of the rate if nothing improves
#         keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
#     ],
# )
# ```
#
# `ReduceLROnPlateau` needs a constant learning rate: `Adam(1e-3)`, not `Adam(schedule)`. With few
# validation patients the kept epoch changes from seed to seed; try it. All other trials on real
# cells are listed in [Which network, and why](../docs/experiments.md).
#
# ## Use it on your data
#
# Put your pictures, each a cell on black, into one folder per class: `my_cells/HEM` and
# `my_cells/ALL`. Adapt the line with `patients` to your file names (lesson 02). `build_cnn` and
# `average_rotations` are those of this lesson, `crop_to_cell` is your function from exercise 03.2.
# Turning each training cell three times is an augmentation that needs no further library.
#
# ```python
# from pathlib import Path
#
# from PIL import Image
# from sklearn.model_selection import StratifiedGroupKFold
#
# files = sorted(Path("my_cells").glob("*/*.png"))
# y = np.array([file.parent.name == "ALL" for file in files]).astype(int)
# patients = np.array([file.name.split("_")[0] for file in files])
# size = 64  # pixels; 128 takes four times as long, and is a little better on the cells of C-NMC
# crops = np.stack([np.array(crop_to_cell(Image.open(f).convert("RGB"), size)) for f in files])
# train, held_out = next(StratifiedGroupKFold(4).split(crops, y, patients))
#
# turned = np.concatenate([np.rot90(crops[train], k, axes=(1, 2)) for k in range(4)])
# labels = np.tile(y[train], 4)
# schedule = keras.optimizers.schedules.CosineDecay(2e-3, decay_steps=6 * len(turned) // 32)
# mine = build_cnn(size)
# mine.compile(keras.optimizers.Adam(schedule), "binary_crossentropy", metrics=["accuracy"])
# mine.fit(turned, labels, validation_data=(crops[held_out], y[held_out]), epochs=6)
# average_rotations(mine).save("mine.keras")  # class weights: exercise 05.3
# ```
#
# For SHAP and Grad-CAM (lesson 07) load the saved file. The network in memory and `mine` share
# layers, and Grad-CAM could use the wrong ones. Do not use Keras' `validation_split`: it splits by
# picture, not by patient. `fit` only shows the loss of the held-out patients here. If you choose
# anything by it, such as the epochs, you need other patients for the test (lesson 06).

# %% [markdown] tags=["slide"]
# ## Key points
#
# - A network is a list of layers. `compile` chooses loss and optimizer, `fit` trains.
# - Overfitting: the training loss goes to zero, and the validation loss stays many times larger.
#   Augmentation makes memorizing harder. Whether it improves the predictions, validation patients
#   must show.
# - Class weights shift the decision toward the rare class. They hardly change the AUROC.
# - Curves show *that* something was learned. Only a comparison with the majority-class baseline and
#   the area baseline shows what it is worth.
# - Believe an improvement only if it repeats: with other folds, other seeds and other patients.
#
# **Read next:** lesson 06. On batch normalization: Ioffe and Szegedy, *ICML* 2015. On Adam: Kingma
# and Ba, *ICLR* 2015. On dropout: Srivastava et al., *Journal of Machine Learning Research* 2014.
