# %% [markdown] tags=["slide"]
# # 08 · Transfer learning
#
# After this lesson you will be able to use a network that was trained on photographs for your own
# images. You will also be able to measure what its pretrained weights contribute.
#
# **60 minutes to teach · about a minute to run · needs lessons 04 to 06**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - How can a network that was trained on photographs classify blood cells?
# - How much of the result is due to the pretrained weights?
# - What does each model cost?
#
# **Objectives**
#
# 1. Freeze a pretrained network, add a head, and fine-tune the last layers in Keras.
# 2. Compare pretrained with random weights on the same patients, with intervals.
# 3. Count the parameters and the multiply-adds of a network.

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
from keras import layers

import leukhelpers as lk

lesson = lk.begin("08", dataset, profile, seed, run)
model_colors = lk.MODEL_COLORS
images, y = lesson.images, lesson.y  # uint8 (n, 96, 96, 3); 0 = HEM (healthy), 1 = ALL
train, validation = lesson.split.train, lesson.split.validation

# %% [markdown]
# ## The same patients for every model
#
# In this lesson we compare seven models. Here is the rule for all of them: train on the **training
# patients** and score on the **validation patients**. So no model has an advantage from its cells.
# The test patients are not used.

# %% tags=["nbval-check-output"]
subject = lesson.table["subject"].to_numpy()
patients = pd.DataFrame({"part": "training", "label": y[train], "patient": subject[train]})
held_out = pd.DataFrame(
    {"part": "validation", "label": y[validation], "patient": subject[validation]}
)
patients = pd.concat([patients, held_out]).groupby(["part", "label"])["patient"]
patients.agg(cells="size", patients="nunique")

# %% [markdown]
# ## The idea: reuse a trained network
#
# **ImageNet** is a collection of more than a million photographs in a thousand classes: cats, cups,
# cars. A network that was trained on it has filters for edges, spots and textures. Perhaps these
# filters are useful for cells, too. **Transfer learning** reuses them in three steps:
#
# 1. Take the trained network without its last layer. This part is called the **backbone**.
# 2. Add a new last layer for your classes: the **head**.
# 3. Train the head only; the backbone is **frozen**. Perhaps train some layers of the backbone
#    afterward: **fine-tuning**.
#
# The [glossary](../docs/glossary.md) lists these terms.
#
# `keras.applications` has the best-known networks. `include_top=False` leaves the last layer out.
#
# `weights="imagenet"` would download the ImageNet weights. This lesson also has to run without
# internet, so here we write `weights=None`: the same layers with random weights.

# %% tags=["nbval-check-output", "slide"]
b0 = keras.applications.EfficientNetB0(
    include_top=False,
    weights=None,  # with internet: weights="imagenet"
    input_shape=(96, 96, 3),
)
b0.trainable = False  # frozen

inputs = keras.Input((96, 96, 3))
x = b0(inputs)
x = layers.GlobalAveragePooling2D()(x)
x = layers.Dropout(0.2)(x)
outputs = layers.Dense(1, activation="sigmoid")(x)
classifier = keras.Model(inputs, outputs)
classifier.summary()

# %% [markdown]
# Read the two lines below the table. Only the head is trainable: one weight for each of the 1280
# maps of the backbone, and one bias. The four million parameters of the backbone stay as they are.
#
# **Each network has its own input scale.** EfficientNetB0 takes values from 0 to 255 and scales
# them itself. ResNet-50 and VGG-16 need `keras.applications.resnet50.preprocess_input` or
# `keras.applications.vgg16.preprocess_input` first. A wrong scale gives no error, only bad results.
#
# ### Exercise 08.1 (8 minutes)
#
# Lesson 11 classifies cells into more than two classes. Write `build_classifier(backbone,
# n_classes)`. It freezes the backbone and returns a `keras.Model` with one probability per class.
# For more than two classes the activation of the last layer is `"softmax"`: it turns one number per
# class into probabilities that sum to 1. The backbone returns maps, as `b0` does;
# `backbone.input_shape[1:]` is the shape of its images.


# %% tags=["nbval-check-output"]
def build_classifier(backbone, n_classes):
    """Return a model with a frozen backbone and a new head for `n_classes` classes."""
    # 1. Freeze the backbone.
    backbone.trainable = False  # solution
    # 2. Input, backbone, global average, dropout, dense layer.
    inputs = keras.Input(backbone.input_shape[1:])  # solution
    x = layers.GlobalAveragePooling2D()(backbone(inputs))  # solution
    x = layers.Dropout(0.2)(x)  # solution
    outputs = layers.Dense(n_classes, activation="softmax")(x)  # solution
    # 3. Return the model.
    return keras.Model(inputs, outputs)  # solution


lk.check("08.1", build_classifier)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Two classes need one output with a sigmoid. More classes need one output each and `softmax`, which
# makes them sum to 1. Two mistakes are usual. If `sigmoid` stays, the outputs no longer sum to 1.
# If `Flatten` replaces the average, the head has a weight for every *place* in every map.
#
# </details>

# %% [markdown]
# ## Frozen: the network as a feature extractor
#
# Now we need real ImageNet weights. **EfficientNet-Lite0** (Google, 2020) is a smaller relative of
# EfficientNetB0. Its weights come with this course. `lk.build_transfer` builds its layers in Keras
# and fills them. The network scales its input itself.
#
# The output of the global average is 1280 numbers per cell: the **embedding** of the cell. We
# compute it once. A frozen backbone would return the same numbers in every epoch.

# %%
network = lk.build_transfer("efficientnet-lite0", images.shape[1], weights="imagenet", seed=seed)
backbone = keras.Model(network.input, network.get_layer("mean").output)  # without the head
backbone.trainable = False

embedding = backbone.predict(images[train], verbose=0)
validation_embedding = backbone.predict(images[validation], verbose=0)
print(f"{embedding.shape[0]} training cells, {embedding.shape[1]} numbers per cell")

# %% [markdown]
# The head is a logistic regression of scikit-learn, in a pipeline as in lesson 04. There are many
# numbers per cell and few patients, so we hold its weights down strongly: a small `C`. Every frozen
# network below has the same head, so that none is favored.

# %% tags=["slide"]
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

head = make_pipeline(
    StandardScaler(), LogisticRegression(C=0.001, class_weight="balanced", max_iter=1000)
)
head.fit(embedding, y[train])
imagenet = head.predict_proba(validation_embedding)[:, 1]
print(f"ImageNet weights, frozen: AUROC {roc_auc_score(y[validation], imagenet):.3f}")

# %% [markdown]
# ## The control: random weights
#
# Is this score due to ImageNet? Build the same network with **random weights**. It has never been
# trained on any image. It stays frozen, and only the head is trained.
#
# **Guess first:** which AUROC will the random network reach? Write a number down. Chance is 0.5.


# %% tags=["slide"]
def embed(weights, images):
    """Return the embeddings of the training and of the validation cells."""
    network = lk.build_transfer("efficientnet-lite0", images.shape[1], weights=weights, seed=seed)
    backbone = keras.Model(network.input, network.get_layer("mean").output)
    return (
        backbone.predict(images[train], verbose=0),
        backbone.predict(images[validation], verbose=0),
    )


random_train, random_validation = embed("random", images)
untrained = head.fit(random_train, y[train]).predict_proba(random_validation)[:, 1]

area = lesson.area.reshape(-1, 1)  # one number per cell
baseline = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
area_baseline = baseline.fit(area[train], y[train]).predict_proba(area[validation])[:, 1]
for name, proba in {"random weights, frozen": untrained, "area baseline": area_baseline}.items():
    print(f"{name}: AUROC {roc_auc_score(y[validation], proba):.3f}")

# %% [markdown]
# A network that was never trained is not useless: its AUROC is above chance, and close to the area
# baseline. Where does this AUROC come from?
#
# Here is a possible reason. Random filters respond differently to the cell and to the black
# background. The average over the image then changes with the area of the cell. So the head may
# simply read off the area. We can test this: predict the *area* from the random embedding with a
# linear model. **R²** is the share of the variance of the area that is predicted: 1 is perfect, 0
# is no better than the mean.

# %% tags=["slide"]
from sklearn.linear_model import Ridge

probe = make_pipeline(StandardScaler(), Ridge(alpha=1000))
probe.fit(random_train, lesson.area[train])
r2 = probe.score(random_validation, lesson.area[validation])
print(f"area predicted from the random embedding, validation patients: R² = {r2:.2f}")

# %% [markdown]
# The random embedding contains the area almost exactly. Such a test is called a **linear probe**.
#
# So a score above 0.5 does not show that pretraining helped. The number to compare with is the
# score of random weights, not chance.
#
# ## Hide the size and compare again
#
# `lesson.crops` holds the same cells, cropped to their bounding box and resized. Every cell fills
# its image, so its size is hidden. What will happen to the random network, and what to
# the ImageNet network?

# %% tags=["nbval-check-output"]
by_area = train[np.argsort(lesson.area[train])]
small, large = by_area[len(by_area) // 20], by_area[len(by_area) * 4 // 5]
pictures = [images[small], images[large], lesson.crops[small], lesson.crops[large]]
titles = ["small cell", "large cell", "small cell, cropped", "large cell, cropped"]
figure, panels = plt.subplots(1, 4, figsize=(8, 2.5), layout="constrained")
for panel, picture, title in zip(panels, pictures, titles, strict=True):
    panel.imshow(lk.brighten(picture))
    panel.set_title(title)
    panel.axis("off")
figure.suptitle("Cropping to the bounding box hides the size (brightened for display)")
lesson.save_figure(figure, "crops", "A small and a large cell, each in full and cropped.")

# %%
cropped = {}
for name, weights in {"ImageNet weights": "imagenet", "random weights": "random"}.items():
    learned, tested = embed(weights, lesson.crops)
    proba = head.fit(learned, y[train]).predict_proba(tested)[:, 1]
    cropped[name] = roc_auc_score(y[validation], proba)
    probe.fit(learned, lesson.area[train])
    r2 = probe.score(tested, lesson.area[validation])
    print(f"{name}: area predicted from cropped cells, R² = {r2:.2f}")


visible = {
    "ImageNet weights": roc_auc_score(y[validation], imagenet),
    "random weights": roc_auc_score(y[validation], untrained),
}
size_test = pd.DataFrame({"size visible": visible, "size hidden": cropped})
size_test.round(3)

# %% tags=["nbval-check-output", "slide"]
lite0 = "#332288"  # the color of EfficientNet-Lite0 in this lesson
figure, panel = plt.subplots(figsize=(7, 3), layout="constrained")
for name, face in {"ImageNet weights": lite0, "random weights": "white"}.items():
    style = {"color": lite0, "markerfacecolor": face, "markersize": 8}
    panel.plot(size_test.loc[name], [1, 0], "o-", label=name, **style)
area_auroc = roc_auc_score(y[validation], area_baseline)
panel.plot(area_auroc, 1, "|", color=model_colors["area"], markersize=25, label="area baseline")
panel.axvline(0.5, color=model_colors["majority"], linestyle=":", label="chance")
panel.set_yticks([0, 1], ["size hidden", "size visible"])
panel.set(xlabel="AUROC, validation patients", ylim=(-0.4, 1.4))
panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=0.4)
kept, lost = size_test["size hidden"]
figure.suptitle(
    f"Size hidden: AUROC {kept:.2f} with ImageNet weights, {lost:.2f} with random weights"
)
lesson.save_figure(figure, "size", "AUROC with and without size, ImageNet and random weights.")

# %% [markdown]
# With the size hidden, the random network is nearer to chance, and far below the ImageNet network.
# So the pretrained filters do describe something besides the size: texture, shape or color. The
# control shows that ImageNet weights are better than random ones.
#
# Is the size really gone? Compare the R² of the random network with its R² above: now it finds
# little of the size. The ImageNet network finds more of it, at least with the default seed. A small
# cell is reduced less than a large one, so its grain looks coarser, and a network that describes
# texture can read a part of the size from that. So a part of the difference may still come from the
# size.
#
# (With another seed, the area alone may separate the validation patients badly. Then the random
# network has little to lose, and both of its points are near chance.)

# %% [markdown] tags=["slide"]
# ## Fine-tuning
#
# Now some layers of the backbone may change. The order matters:
#
# 1. **Train the head** on the frozen embedding. A random head would send large, useless changes
#    into the backbone.
# 2. **Unfreeze the last layers** of the backbone. Set `trainable` on the backbone first, then
#    freeze the layers that must stay.
# 3. **Keep batch normalization frozen.** Its means and variances come from a million photographs. A
#    few batches of cells would replace them.
# 4. Compile again, with a **low learning rate**.
#
# First the head, this time in Keras.

# %%
from sklearn.utils.class_weight import compute_class_weight

balanced = compute_class_weight("balanced", classes=np.array([0, 1]), y=y[train])
class_weight = {0: balanced[0], 1: balanced[1]}

keras.utils.set_random_seed(seed)
top = keras.Sequential(
    [
        keras.Input((embedding.shape[1],)),
        layers.Dropout(0.2),
        layers.Dense(1, activation="sigmoid"),
    ]
)
top.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
top_history = top.fit(
    embedding, y[train], class_weight=class_weight, epochs=30, batch_size=16, verbose=0
)

# %% [markdown]
# Put the backbone and the head together. Before any fine-tuning we note the validation loss.

# %%
from sklearn.metrics import log_loss

inputs = keras.Input(images.shape[1:])
model = keras.Model(inputs, top(backbone(inputs)))

frozen = model.predict(images[validation], verbose=0).ravel()
frozen_loss = log_loss(y[validation], frozen)
print(f"head trained in Keras, frozen: AUROC {roc_auc_score(y[validation], frozen):.3f}")

# %% [markdown]
# Now unfreeze. `trainable = False` on a `BatchNormalization` layer also makes it use its stored
# means and variances. Many tutorials call `backbone(inputs, training=False)` instead. In Keras 3,
# `fit` overrides that argument, so set `trainable` on the layers.

# %% tags=["nbval-check-output", "slide"]
backbone.trainable = True
for layer in backbone.layers[:-20]:
    layer.trainable = False
for layer in backbone.layers:
    if isinstance(layer, layers.BatchNormalization):
        layer.trainable = False

trainable = sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)
print(f"{trainable:,} of {model.count_params():,} parameters are trainable")

# %% [markdown]
# Which learning rate is low enough? We try two. Both trainings start from the same weights and take
# two epochs. `get_state_tree` copies all that a training changes: the weights, and what the
# optimizer remembers. So the network need not be compiled again, which would take longer.
#
# **Guess:** which of the two rates forgets what the network knows?

# %%
model.compile(optimizer=keras.optimizers.Adam(), loss="binary_crossentropy")
model.optimizer.build(model.trainable_variables)  # else `fit` compiles its first step twice
start = model.get_state_tree(value_format="numpy_array")

histories, tuned = {}, {}
for rate in (1e-4, 1e-2):
    keras.utils.set_random_seed(seed)
    model.set_state_tree(start)
    model.optimizer.learning_rate = rate
    histories[rate] = model.fit(
        images[train],
        y[train],
        validation_data=(images[validation], y[validation]),
        class_weight=class_weight,
        epochs=2,
        batch_size=16,
        verbose=0,
    )
    tuned[rate] = model.predict(images[validation], verbose=0).ravel()
    print(f"learning rate {rate:g}: AUROC {roc_auc_score(y[validation], tuned[rate]):.3f}")

# %% tags=["nbval-check-output", "slide"]
figure, panel = plt.subplots(figsize=(7, 3), layout="constrained")
for rate, line in {1e-4: "-", 1e-2: "--"}.items():
    losses = [frozen_loss, *histories[rate].history["val_loss"]]
    panel.plot(range(3), losses, f"o{line}", color=lite0, label=f"learning rate {rate:g}")
panel.axhline(np.log(2), color=model_colors["majority"], label="always 50%")
panel.set(xlabel="epochs of fine-tuning (0: frozen)", ylabel="validation loss")
panel.set_xticks(range(3))
panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=4)
low, high = (history.history["val_loss"][-1] for history in histories.values())
figure.suptitle(
    f"From {frozen_loss:.2f}, the validation loss goes to {low:.2f} with the low learning rate, "
    f"to {high:.2f} with the high one",
    fontsize="medium",
)
lesson.save_figure(figure, "rates", "Validation loss over the epochs for two learning rates.")

# %% [markdown]
# With the high rate, the first steps destroy the pretrained filters, and two epochs on a few
# hundred cells cannot build new ones. With the low rate, the AUROC stays near that of the frozen
# network. Is it *better* than frozen? Compare the first and the last point of that curve. With the
# default seed the loss rises and the AUROC hardly changes: the ranking stays, and the probabilities
# get worse. So two epochs on these few patients brought no gain. That is common in small datasets.
#
# ### Exercise 08.2 (8 minutes)
#
# Layers can also be chosen by name. Write `unfreeze_blocks(backbone, prefix)`: the layers whose
# name starts with `prefix` learn, all others do not, and batch normalization stays frozen. The
# function changes the backbone and returns nothing. It starts from a frozen backbone.


# %% tags=["nbval-check-output"]
def unfreeze_blocks(backbone, prefix):
    """Let the layers whose name starts with `prefix` learn, except batch normalization."""
    backbone.trainable = True  # solution
    for layer in backbone.layers:  # solution
        normalization = isinstance(layer, layers.BatchNormalization)  # solution
        layer.trainable = layer.name.startswith(prefix) and not normalization  # solution


lk.check("08.2", unfreeze_blocks)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# A frozen backbone hides the settings of its layers: with `backbone.trainable = False` nothing
# learns, whatever its layers say. So set it to `True` first. This sets *all* layers to `True`, and
# the loop then freezes those that must stay. The usual mistakes: forgetting the first line, and
# forgetting batch normalization.
#
# </details>

# %% [markdown]
# ## Compare all models
#
# We add the SVM of lesson 04, the network of lesson 05, and the two baselines.
# `load_run().validation` holds predictions of the network that was trained on the training patients
# only. So all models have the same training and validation patients. One difference remains: the
# network of lesson 05 sees cropped cells and cannot use the size. All others can, except the
# majority-class baseline.

# %%
from scipy.special import expit
from sklearn.svm import SVC

svm = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
svm.fit(lesson.features.iloc[train], y[train])
distance = svm.decision_function(lesson.features.iloc[validation])
predicted = {
    "network of lesson 05": lesson.load_run().validation["probability"].to_numpy(),
    "SVM": expit(distance),  # from 0 to 1, in the same order
    "ImageNet, fine-tuned": tuned[1e-4],
    "ImageNet, frozen": imagenet,
    "random weights, frozen": untrained,
    "area baseline": area_baseline,
    "majority-class baseline": np.full(len(validation), y[train].mean()),
}

# %% [markdown]
# In lesson 06 you wrote the bootstrap over patients. `lk.intervals` does the same.

# %%
groups = lesson.split.groups[validation]
rows = []
for name, proba in predicted.items():
    low, high = lk.intervals(y[validation], proba, groups, seed=seed)["auroc"]
    rows.append([name, roc_auc_score(y[validation], proba), low, high])
table = pd.DataFrame(rows, columns=["model", "AUROC", "low", "high"]).set_index("model")
table = table.astype(float)  # an interval that cannot be computed becomes NaN
table.round(3)

# %% tags=["nbval-check-output", "slide"]
colors = [model_colors["cnn"], model_colors["svm"], lite0, lite0, lite0]
colors += [model_colors["area"], model_colors["majority"]]
figure, panel = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
for height, color in enumerate(colors[::-1]):
    row = table.iloc[-1 - height]
    panel.plot([row["low"], row["high"]], [height, height], color=color)
    face = "white" if "random" in row.name else color
    panel.plot(row["AUROC"], height, "o", color=color, markerfacecolor=face)
    panel.text(1.02, height, f"{row['AUROC']:.3f}", va="center")
panel.set_yticks(range(len(table)), table.index[::-1])
panel.set(xlabel="AUROC and 95% interval over the validation patients", xlim=(None, 1))
others = table.drop(table["AUROC"].idxmax())
overlapping = int((others["high"] >= table["low"][table["AUROC"].idxmax()]).sum())
figure.suptitle(
    f"With so few patients, {overlapping} of {len(others)} intervals overlap that of the best model"
)
lesson.save_figure(figure, "models", "AUROC of seven models with intervals over patients.")

# %% [markdown]
# Two intervals that overlap do not decide which model is better. The paired difference of lesson 06
# is the better tool. What do the ImageNet weights add to random weights, and fine-tuning to frozen?

# %%
predicted["Keras head, frozen"] = frozen  # where fine-tuning started
pairs = [
    ("ImageNet, frozen", "random weights, frozen"),
    ("ImageNet, fine-tuned", "Keras head, frozen"),
    ("ImageNet, frozen", "SVM"),
]
for first, second in pairs:
    found = lk.compare(y[validation], predicted[first], predicted[second], groups, seed=seed)
    low, high = np.array([found["low"], found["high"]], dtype=float)
    print(f"{first} minus {second}: {found['difference']:+.3f} ({low:+.3f} to {high:+.3f})")

# %% [markdown]
# An interval that contains zero decides nothing. With the default seed only the first one excludes
# zero: here the ImageNet weights are better than random weights. Whether fine-tuning or the SVM is
# better than the frozen network stays open. Look at the number of validation patients in the first
# table again. With so few, even an interval that excludes zero is rough. And the learning rate of
# the fine-tuned network was chosen on these validation patients, which flatters its row a little.

# %%
lesson.record(
    **{
        f"AUROC, {name}": f"{row['AUROC']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        for name, row in table.iterrows()
    }
)

# %% [markdown]
# ## What each network costs
#
# Two numbers describe the cost. **Parameters** take memory. **Multiply-adds** take time: one
# multiplication and one addition each. A convolution with a kernel of k × k pixels multiplies, for
# each pixel of each new map, k × k pixels of *every* old map:
#
# > multiply-adds = new height × new width × k × k × old maps × new maps
#
# With k = 3, 4 old maps and 2 new maps of 5 × 5 pixels this is 5 · 5 · 3 · 3 · 4 · 2 = 1800. The
# last four factors are the shape of the kernel, so a few lines count the networks of this lesson.

# %%
import math


def multiply_adds(model):
    """Return the multiply-adds of one image in all convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            total += math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    return total


# %% tags=["nbval-check-output", "slide"]
shape = (96, 96, 3)
networks = {
    "network of lesson 05": lk.build_cnn(lesson.profile.box_size, seed),
    "EfficientNet-Lite0": network,
    "EfficientNetB0": b0,
    "ResNet-50": keras.applications.ResNet50(include_top=False, weights=None, input_shape=shape),
    "VGG-16": keras.applications.VGG16(include_top=False, weights=None, input_shape=shape),
}
rows = []
for name, built in networks.items():
    edge, count = built.input_shape[1], built.count_params()
    rows.append([name, f"{edge} × {edge}", f"{count:,}", f"{multiply_adds(built):,}"])
columns = ["network", "pixels", "parameters", "multiply-adds per image"]
pd.DataFrame(rows, columns=columns).set_index("network")

# %% [markdown]
# The network of lesson 05 predicts each cell in four orientations, so count its work four times.
# (On real cells it has 128 × 128 pixels. Then the four need more work than one view of Lite0.)
# Compare ResNet-50 with VGG-16: one has more parameters, the other more work. So the two numbers
# measure different things. Compared with these two, the EfficientNets have few of both. How?
#
# ### Exercise 08.3 (6 minutes)
#
# EfficientNet splits a convolution into two. First a **depthwise** convolution: k × k pixels, and
# each old map gives one new map, from itself only. Then a 1 × 1 convolution mixes all maps. Write
# `separable_multiply_adds(size, k, maps_in, maps_out)` for maps of `size` × `size` pixels that keep
# their size.


# %% tags=["nbval-check-output"]
def separable_multiply_adds(size, k, maps_in, maps_out):
    """Return the multiply-adds of a depthwise k × k and a following 1 × 1 convolution."""
    depthwise = size * size * k * k * maps_in  # solution
    pointwise = size * size * maps_in * maps_out  # solution
    return depthwise + pointwise  # solution


lk.check("08.3", separable_multiply_adds)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The depthwise part has no factor `maps_out`: each map is filtered alone. The 1 × 1 part has no
# factor k × k. For 3 × 3 and many maps the sum is about a ninth of the full convolution. The
# usual mistake is to multiply the two parts; they follow each other, so their costs add.
#
# </details>

# %% [markdown]
# ## On real cells
#
# Our synthetic cells are drawn by code. What happens on real ones? First the test with and without
# size, on four folds of real patients. Each fold has one value per model.

# %%
sizes = lk.measured("transfer_crops")
by_fold = pd.DataFrame(sizes["auroc_by_fold"])
by_fold = by_fold.rename(
    columns={
        "area": "area baseline",
        "imagenet_middle": "ImageNet weights",
        "random_middle": "random weights",
        "imagenet_cropped": "ImageNet weights, size hidden",
        "random_cropped": "random weights, size hidden",
    }
)
by_fold.rename_axis("fold").T.assign(mean=by_fold.mean()).round(2)

# %% tags=["nbval-check-output", "slide"]
figure, panel = plt.subplots(figsize=(7.5, 3), layout="constrained")
colors = [model_colors["area"], lite0, lite0, lite0, lite0]
for height, (name, color) in enumerate(zip(by_fold, colors, strict=True)):
    faces = "white" if "random" in name else color
    panel.plot(by_fold[name], [-height] * 4, "o", color=color, markerfacecolor=faces)
    panel.plot(by_fold[name].mean(), -height, "|", color="black", markersize=22)
panel.axvline(0.5, color=model_colors["majority"], linestyle=":")
panel.set_yticks([0, -1, -2, -3, -4], by_fold.columns)
panel.set(xlabel="AUROC of each fold (bar: mean; dotted: chance)", ylim=(-4.6, 0.6))
means = by_fold.mean()
kept, lost = means["ImageNet weights, size hidden"], means["random weights, size hidden"]
figure.suptitle(f"Without size, ImageNet weights keep a mean of {kept:.2f}, random ones {lost:.2f}")
lesson.save_figure(
    figure, "real", "AUROC per fold on real cells.", "real cells; not for clinical use"
)

# %% [markdown]
# With the size hidden the pattern is the same as above: only the ImageNet weights are clearly above
# chance. So the pretrained filters describe real cells, too. With size visible it is not the same:
# ImageNet weights, random weights and the area baseline are about equal. So the frozen ImageNet
# network is then no better than one number, the area. (An AUROC below 0.5 means that the order is
# wrong more often than right. With so few healthy patients per fold this can happen by chance. Two
# folds of the area baseline have nearly the same value, so only three dots are visible.)
#
# And here are the models of the course on the same four folds. Each was trained on three folds and
# scored on the fourth. The frozen and the fine-tuned networks see the cells with their size. The
# fine-tuned one had four epochs with one learning rate in all layers, except batch
# normalization. (Here `C` of the frozen rows was chosen by
# cross-validation within the training patients, so they differ a little from above.)

# %% tags=["slide"]
rivals = lk.measured("rivals_real")
names = {
    "cnn": "CNN of lesson 05",
    "svm": "SVM",
    "rf": "random forest",
    "efficientnet-lite0": "EfficientNet-Lite0, ImageNet, frozen",
    "efficientnet-lite0-tuned": "EfficientNet-Lite0, ImageNet, fine-tuned",
    "efficientnet-lite0-random": "EfficientNet-Lite0, random, frozen",
    "area": "area baseline",
    "majority": "majority-class baseline",
}
rows = []
for key, name in names.items():
    auroc, cost = rivals["over_folds"][key]["auroc"], rivals["cost"].get(key)
    times = [f"{cost['learn_seconds']:.0f}", f"{cost['answer_ms']:.1f}"] if cost else ["–", "–"]
    rows.append([name, auroc["mean"], auroc["sd"], *times])
columns = ["model", "mean AUROC", "sd over folds", "training (s)", "prediction (ms per cell)"]
real = pd.DataFrame(rows, columns=columns).set_index("model")
real.sort_values("mean AUROC", ascending=False).round(3)

# %% [markdown]
# Do not judge a difference by the standard deviation (sd) over folds. A part of it may be shared by
# both models, because some folds are harder for them. Compare two models fold by fold (lesson 12).
# The settings of the CNN were chosen on these folds, which flatters its row.
#
# Compare the times with care. Each covers two trainings: without and with the validation patients.
# For SVM and random forest, *training* leaves out measuring the features, *prediction* includes it.

# %%
by_fold = pd.DataFrame(rivals["auroc_by_fold"])
pairs = {
    "Lite0, frozen: ImageNet minus random": ("efficientnet-lite0", "efficientnet-lite0-random"),
    "Lite0, ImageNet: fine-tuned minus frozen": ("efficientnet-lite0-tuned", "efficientnet-lite0"),
    "CNN of lesson 05 minus SVM": ("cnn", "svm"),
}
gains = {name: by_fold[one] - by_fold[other] for name, (one, other) in pairs.items()}
pd.DataFrame(gains).rename_axis("fold").T.round(3)

# %% [markdown]
# Each column is one fold. No row has the same sign in all folds. So these folds cannot decide any
# of the three.
#
# ### Other ways to fine-tune
#
# Here fine-tuning is not better than the frozen network. The next trainings differ in
# several ways: cropped cells, other learning rates, all patients of fold 0 for training, and other
# test patients: those of fold 1. So do not compare them with the table above. Compare the rows of
# the new table with each other.
#
# Unless a row says otherwise: EfficientNet-Lite0, ImageNet weights, cropped cells of 64 pixels, 4
# epochs, all layers trained. Three numbers are the learning rates of three parts: the **stem** (the
# first convolution), the **blocks** (the middle layers) and the head. All rates fall to a tenth
# after each third of the epochs. Different rates are called **discriminative**: a low one for the
# first layers, which know edges and colors, and a higher one for later layers. Lite1 and Lite2 are
# larger relatives of Lite0. All rows average four rotations.
#
# **Guess first:** does fine-tuning beat the frozen network? Does it beat the small network of
# lesson 05, which started from random weights?

# %% tags=["nbval-check-output", "slide"]
careful = pd.DataFrame(lk.measured("finetune")["attempts"]).set_index("attempt")
careful = careful.rename(columns={"label": "settings", "auroc": "AUROC"})
careful[["low", "high"]] = careful["interval"].tolist()  # of the 95% interval over patients
print(careful[["AUROC", "low", "high", "seconds", "settings"]].round(3).to_string())

# %% [markdown]
# For comparison, models of earlier lessons with the same training and test patients. The networks
# are means of three seeds. (The majority-class baseline has 0.5.)

# %% tags=["nbval-check-output"]
measured = lk.measured("candidates")
unseen = pd.DataFrame(measured["auroc_unseen"]).mean()
larger = pd.DataFrame(measured["later"][-1]["candidates"]).set_index("candidate")
unseen["128 pixels"] = larger.loc["128 pixels", "unseen"]["auroc"]
shown = {"area": "area baseline", "svm": "SVM", "plain": "network of lesson 05, 64 pixels"}
shown |= {f"{size} pixels": f"network of lesson 05, {size} pixels" for size in (96, 128)}
print(unseen[list(shown)].rename(shown).round(3).to_string())

# %% [markdown]
# **Be careful with this table.** Each row is one training with one seed. All rows were tested on
# the same 12 patients, and only two of them are healthy. So the true uncertainty is larger than
# these intervals. Later attempts were designed after earlier results on fold 1 were known. So fold
# 1 is no longer an independent test, and the best row is too high by an unknown amount.
#
# Does fine-tuning beat the frozen network? Yes, in every row with ImageNet weights. Discriminative
# rates alone did not help. The rows with higher rates are higher, those with more epochs or more
# pixels are higher still. One training per row cannot show which of these changes matters.
#
# The two rows from random weights are the controls: the same layers, without ImageNet. *random,
# longer* has exactly the settings of *longer*, and a far lower AUROC. So in a training as short as
# this, the ImageNet weights matter. The rows do not show how good the network becomes with a longer
# training: the small network of lesson 05 also started from random weights.
#
# Does it beat the small network? Compare rows with equal pixels. At 64 and at 96 pixels, the
# fine-tuned Lite0 is not above the small network. Lite1 is level with it, and only Lite2 is above
# it. (No Lite network was trained at 128 pixels.) These patients cannot decide such small
# differences. The small network has a twentieth of the
# weights of Lite0, and no photographs. But its settings were chosen on patients of both folds.
#
# Most of these trainings break two rules from above: the head was not trained first, and batch
# normalization was trained. The cautious rules are meant for a few hundred cells; here are more
# than three thousand. *norm frozen* and *discriminative* do not decide whether to freeze it. (In
# *norm frozen* the layer uses its stored means and variances, but its scale and its shift are still
# trained. And that row has no dropout, so it differs in two ways.)
#
# **What may we conclude?** Frozen, this backbone brought no gain over the area baseline on these
# cells. After fine-tuning with cropped cells, it had a higher AUROC on fold 1 than frozen. With
# other settings, on four folds, it had not. These are small backbones of *one* family, and a few
# dozen patients. It is no statement about transfer learning in general.
#
# Prellberg and Kramer (2019) fine-tuned a larger pretrained network on all 73 patients of this
# dataset, and reached a high AUROC on 28 other patients
# ([published results](../docs/experiments.md)). Raghu and others (2019) found little
# gain from pretraining on two large medical datasets. Does pretraining help with *your* images?
# Compare it with random weights, on your patients.

# %% [markdown]
# Two questions to end with. Run the cell and click.

# %%
lesson.quiz()

# %% [markdown]
# ## Going further
#
# **A file of weights can be a program.** Weights are often shared as `.pth` or `.pkl` files. These
# are *pickles*. A pickle may name any Python function, and anyone who opens the file runs it.

# %% tags=["nbval-check-output"]
import pickle


class Prank:
    def __reduce__(self):
        return print, ("This ran while you only opened a file.",)


harmless_looking = pickle.dumps(Prank())
pickle.loads(harmless_looking)

# %% [markdown]
# This one only prints. Another one could delete your files. There are three safer ways: a
# `.safetensors` file, a `.keras` file loaded with `safe_mode=True`, or `torch.load(file,
# weights_only=True)`. Older versions of Keras and PyTorch had security holes in the last two. So
# use a current version, and load only files from people you trust. `lk.build_transfer` reads its
# weights with a reader that admits arrays and nothing else.
#
# **Discriminative learning rates in Keras.** `compile` takes one optimizer. For several rates write
# the training step yourself: one `GradientTape`, one optimizer per group of layers, and
# `optimizer.apply(gradients, variables)` for each. `benchmarks/finetune.py` shows it.
#
# ## Use it on your data
#
# You need a CSV file with the columns `path`, `label` (0 or 1) and `patient`. With internet,
# `weights="imagenet"` downloads the weights once. The pipeline `head` is the one from above.
#
# ```python
# from PIL import Image
# from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
#
# table = pd.read_csv("my_cells.csv", dtype={"patient": str})
# pictures = [Image.open(path).convert("RGB").resize((96, 96)) for path in table["path"]]
# my_images = np.stack([np.asarray(picture) for picture in pictures])
#
# for weights in ("imagenet", None):  # None: the control with random weights
#     backbone = keras.applications.EfficientNetB0(
#         include_top=False, weights=weights, input_shape=(96, 96, 3), pooling="avg"
#     )
#     scores = cross_val_score(
#         head,
#         backbone.predict(my_images, verbose=0),
#         table["label"],
#         groups=table["patient"],  # all images of a patient in one fold
#         cv=StratifiedGroupKFold(n_splits=4),
#         scoring="roc_auc",
#     )
#     print(weights, scores.round(2), scores.mean().round(2))
# ```
#
# Or set `dataset` in the second cell to your folder (lesson 11), and run this notebook.

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Compare pretrained weights with random weights of the same network, not with chance.
# - Random features can carry a shortcut such as the size of the cell. Hide it and compare again.
# - With few images, train the head first. Then fine-tune with a low learning rate and frozen batch
#   normalization. With more images, compare other settings on validation patients.
# - Frozen features may bring nothing where fine-tuning helps. Try both.
# - Train and test all models on the same patients, and put the cost beside the score.
# - One kind of backbone on one dataset does not judge transfer learning in general.
#
# **Read next:** lesson 09. On EfficientNet: Tan and Le, ICML 2019. On pretraining for medical
# images: Raghu et al., "Transfusion", NeurIPS 2019. On fine-tuning for these cells: Prellberg and
# Kramer, ISBI challenge 2019.
