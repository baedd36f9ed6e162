# %% [markdown] tags=["slide"]
# # 03 · Preprocessing and augmentation
#
# After this lesson you will be able to crop, resize and augment pictures for a network, and to
# check what really enters it.
#
# **65 minutes to teach · under a minute to run · needs lessons 00, 01 and 02**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - How small may a picture become before the cell is lost?
# - What can go wrong although no error is raised?
# - Which changes of a picture leave the diagnosis as it is?
#
# **Objectives** – you will
#
# 1. crop and resize with Pillow, and justify the crop and the size by a measurement;
# 2. write a check that stops a training whose pictures are wrong;
# 3. build a `tf.data` pipeline that augments the training pictures, and only those.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or a folder or CSV of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf
from keras import layers
from PIL import Image
from scipy.ndimage import binary_erosion
from skimage.feature import local_binary_pattern
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import leukhelpers as lk

lesson = lk.begin("03", dataset, profile, seed, run)
model_colors = lk.MODEL_COLORS
images, crops, y = lesson.images, lesson.crops, lesson.y  # 0 = HEM (healthy), 1 = ALL (leukemic)
train, validation = lesson.split.train, lesson.split.validation  # row numbers (lesson 02)

# %% [markdown]
# ## From the file to an array
#
# Pillow reads the file, NumPy turns it into an array of height × width × 3 colors. `uint8` means
# whole numbers from 0 to 255.

# %%
picture = Image.open(lesson.path(train[0])).convert("RGB")
pixels = np.array(picture)
black = (pixels.max(axis=2) == 0).mean()
print(f"{pixels.shape}, {pixels.dtype}, values {pixels.min()} to {pixels.max()}, {black:.0%} black")

# %% [markdown]
# Most of the picture is black. A network computes something for every pixel, black or not. So two
# steps come first: **crop** (cut out a square) and **resize** (make the square smaller).
#
# Pillow counts from the upper left corner and takes a box as left, top, right, bottom. The filter
# `BOX` averages all pixels that fall into one new pixel.


# %%
def center_crop(picture, side, size):
    """Return the square of `side` pixels in the middle of a picture, resized to `size`."""
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return square.resize((size, size), Image.Resampling.BOX)


# %% [markdown]
# ## How large must the crop be?
#
# A crop that is too small cuts cells. **Guess first:** famous networks take pictures of 224×224
# pixels. How many of our cells would a center crop of 224 cut? One in a hundred, or more?
#
# `getbbox()` returns the *bounding box*, the smallest upright rectangle that holds everything that
# is not black. From it we compute how far each cell reaches from the center. We look at
# *training* cells only: what we choose must not depend on the test patients.


# %%
def reach(picture):
    """Return the side of the smallest centered square that holds the whole cell."""
    left, top, right, bottom = picture.getbbox()
    across = max(picture.width / 2 - left, right - picture.width / 2)
    down = max(picture.height / 2 - top, bottom - picture.height / 2)
    return int(2 * max(across, down))


generator = np.random.default_rng(seed)
sample = generator.choice(train, min(300, len(train)), replace=False)
reaches = np.array([reach(Image.open(lesson.path(row)).convert("RGB")) for row in sample])

# %%
for side in (224, 300, 350, 384, 420):
    print(f"a crop of {side} cuts {(reaches > side).mean():6.1%} of {len(sample)} training cells")

# %% [markdown]
# With the default settings, a crop of 224 cuts almost half of the cells: those that are larger than
# the typical cell, off the center, or joined to a neighbor. A cut cell has a wrong size and a wrong
# shape. Here is the picture that reaches farthest. (With the default settings it shows two cells
# that touch.) All cell pictures in this lesson are brightened for display. The networks see the
# dark originals.

# %% tags=["nbval-check-output", "slide"]
far = Image.open(lesson.path(sample[np.argmax(reaches)])).convert("RGB")
sides = [224, 300, 384, min(far.size)]
figure, panels = plt.subplots(1, 4, figsize=(7, 2.3), layout="constrained")
for panel, side in zip(panels, sides, strict=True):
    panel.imshow(lk.brighten(np.array(center_crop(far, side, 96))))
    panel.set_title(f"crop {side} → 96")
    panel.axis("off")
figure.suptitle("A crop that is too small cuts the cell")
lesson.save_figure(figure, "crop", "The picture that reaches farthest, in four crops.")

# %% [markdown]
# ### Exercise 03.1 (4 minutes)
#
# What is the smallest crop, in steps of 10 pixels from 200 to 450, that cuts at most 2% of the
# cells? Compute it from `reaches`.

# %% tags=["nbval-check-output"]
shares = {side: (reaches > side).mean() for side in range(200, 451, 10)}  # solution
answer = min((side for side in shares if shares[side] <= 0.02), default=450)  # solution
lk.check("03.1", answer, reaches=reaches)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `(reaches > side).mean()` is the share of cells that a crop cuts. It falls as the crop grows, so
# the first side with at most 2% is the smallest. The usual mistake is to look at one typical cell:
# it may just fit into a crop that cuts almost half of the others.
#
# </details>

# %% [markdown]
# The course crops to 384. This leaves room for cells that are not in our sample.
#
# ## Is size information, or a shortcut?
#
# It is both. Leukemic cells are often larger, so size is **information**. But lesson 01 showed that
# size also differs from patient to patient. A network that finds the easy rule "large means
# leukemic" may ignore the nucleus, and fail for a healthy patient with large cells. Size is then a
# **shortcut** ([glossary](../docs/glossary.md)). The course keeps the two apart:
#
# | pictures | how | the size of the cell | used for |
# | --- | --- | --- | --- |
# | `lesson.images` | center crop of 384, resized to 96 | visible | area baseline |
# | `lesson.crops` | cropped to the bounding box | not visible | network of lesson 05 |
#
# So the network cannot simply measure the size. A trace of it can remain: a small cell is enlarged
# more, so its grain looks coarser. The area baseline stands beside the network. What we do *not*
# want is a crop that damages the size by accident, only in the large cells.
#
# ### Exercise 03.2 (8 minutes)
#
# Write `crop_to_cell(picture, size)`: cut out the square around the cell and resize it. The square
# has the side of the longer edge of the bounding box, and the cell in its middle. If the square
# reaches beyond the picture, Pillow fills it with black.


# %% tags=["nbval-check-output"]
def crop_to_cell(picture, size):
    """Return the square around the cell as a Pillow picture of size × size pixels."""
    x0, y0, x1, y1 = picture.getbbox()  # solution
    side = max(x1 - x0, y1 - y0)  # solution
    x, y = (x0 + x1 - side) // 2, (y0 + y1 - side) // 2  # solution
    cell = picture.crop((x, y, x + side, y + side))  # solution
    return cell.resize((size, size), Image.Resampling.BOX)  # solution


lk.check("03.2", crop_to_cell)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# From left to right the middle of the box is `(x0 + x1) / 2`; the square starts half a side before
# it. The usual mistake is `picture.crop(picture.getbbox()).resize((size, size))`. It runs, but a
# long cell is squeezed into a square, and every cell looks round. Shape is evidence, and it would
# be gone.
#
# </details>

# %% [markdown]
# Below are a small and a large training cell, as both kinds of pictures show them.

# %% tags=["nbval-check-output", "slide"]
by_area = train[np.argsort(lesson.area[train])]
small, large = by_area[len(train) // 8], by_area[7 * len(train) // 8]
figure, panels = plt.subplots(1, 4, figsize=(7, 2.3), layout="constrained")
shown = [images[small], images[large], crops[small], crops[large]]
for panel, cell in zip(panels, shown, strict=True):
    panel.imshow(lk.brighten(cell))
    panel.axis("off")
panels[0].set_title("center crop:\nsmall cell")
panels[1].set_title("\nlarge cell")
panels[2].set_title("bounding box:\nthe same small cell")
panels[3].set_title("\nthe same large cell")
figure.suptitle("Cropping to the bounding box hides the size of the cell")
lesson.save_figure(figure, "size", "A small and a large cell; in bounding-box crops both fill all.")

# %% [markdown]
# ## How small may the picture become?
#
# Half the side means a quarter of the pixels, and about a quarter of the work. But detail is lost.
# **Guess first:** at which of the four sizes can you still see the grain inside the nucleus?

# %% tags=["nbval-check-output", "slide"]
SIZES = (24, 48, 96, 128)
figure, panels = plt.subplots(2, 5, figsize=(7, 3.3), layout="constrained")
for label, line in enumerate(panels):
    original = Image.open(lesson.path(train[y[train] == label][1])).convert("RGB")
    cell = original.crop(lk.cell_box(np.array(original)))  # the box of exercise 03.2
    for panel, size in zip(line, (*SIZES, cell.width), strict=True):
        panel.imshow(lk.brighten(np.array(cell.resize((size, size), Image.Resampling.BOX))))
        panel.set(xticks=[], yticks=[])
    line[0].set_ylabel(("HEM", "ALL")[label])
for panel, size in zip(panels[0], (*SIZES, "original"), strict=True):
    panel.set_title(size)
figure.suptitle("Shrinking removes the fine grain first, the outline last")
lesson.save_figure(figure, "sizes", "A healthy and a leukemic cell at 24, 48, 96, 128 pixels.")

# %% [markdown]
# At 24 pixels the outline is coarse and only the largest spots can be seen. From 48 pixels on,
# finer grain appears. Eyes differ, so we also measure two things for each size.
#
# 1. **Detail lost.** Shrink the cell, enlarge it again, and compare with the original. The result
#    is the share of the variance inside the cell that is gone. A rim of a tenth of the cell is left
#    out: there, shrinking mixes the cell with the black background.
# 2. **A quick classifier.** Describe the texture in ten numbers, and see how well a logistic
#    regression separates the classes with them.
#
# The ten numbers are a histogram of *local binary patterns*: for each pixel, which of its eight
# neighbors are at least as light? Spots, edges and corners give different patterns. Lesson 04 uses
# them again.


# %%
def detail_lost(cell, size):
    """Return the share of the variance inside a cell that shrinking to `size` removes."""
    small = cell.resize((size, size), Image.Resampling.BOX)
    before, after = np.array(cell, float), np.array(small.resize(cell.size), float)
    inside = binary_erosion(before > 0, iterations=cell.width // 10)
    return ((before - after)[inside] ** 2).mean() / before[inside].var()


def texture(cell, size):
    """Return the shares of ten local binary patterns inside a cell of `size` pixels."""
    small = np.array(cell.resize((size, size), Image.Resampling.BOX))
    patterns = local_binary_pattern(small, 8, 1, "uniform")[small > 0]
    return np.bincount(patterns.astype(int), minlength=10) / len(patterns)


# %% [markdown]
# We take training and validation cells; the test patients are not used. The cells are cropped to
# their bounding box and turned to gray (`"L"`). So color cannot help, and size only through the
# trace that you saw above.

# %%
candidates = np.concatenate([train, validation])
rows = generator.choice(candidates, min(500, len(candidates)), replace=False)
lost = {size: [] for size in SIZES}
textures = {size: [] for size in SIZES}
for row in rows:
    original = Image.open(lesson.path(row)).convert("RGB")
    cell = original.crop(lk.cell_box(np.array(original))).convert("L")
    for size in SIZES:
        lost[size].append(detail_lost(cell, size))
        textures[size].append(texture(cell, size))
medians = pd.Series({size: np.median(lost[size]) for size in SIZES})
medians.rename_axis("size").to_frame("detail lost").round(2)

# %% [markdown]
# Now the classifier. A picture of 96 pixels contains the pictures of 24 and 48: shrink it again.
# So its classifier also gets their texture numbers: 10 numbers at 24 pixels, 40 at 128. A part of a
# rise can come from the larger number of features. Folds keep the cells of a patient together, as
# in lesson 02. Beside it stands the **area baseline**, on the same folds.

# %%
model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
folds = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
features = {"area baseline": lesson.area[rows].reshape(-1, 1)}
for size in SIZES:
    features[str(size)] = np.hstack([textures[smaller] for smaller in SIZES if smaller <= size])
auroc = pd.DataFrame()
for name, values in features.items():
    auroc[name] = cross_val_score(
        model, values, y[rows], groups=lesson.split.groups[rows], cv=folds, scoring="roc_auc"
    )
auroc.rename_axis("fold").round(2)

# %% tags=["slide"]
by_size, area_mean = auroc.drop(columns="area baseline"), auroc["area baseline"].mean()
mean = by_size.mean()
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.3), layout="constrained")
left.bar(by_size.columns, [np.median(lost[size]) for size in SIZES], color="#949494")
left.set(xlabel="size (pixels)", ylabel="share of detail lost", title="detail lost")
sns.stripplot(by_size, color="black", alpha=0.5, ax=right)
right.plot(mean.to_numpy(), color="black", label="texture: mean of the four folds")
right.axhline(area_mean, color=model_colors["area"], label="area baseline: mean")
right.axhline(0.5, color=model_colors["majority"], label="majority-class baseline")
right.set(xlabel="size (pixels)", ylabel="AUROC", ylim=(0, 1), title="texture classifier")
right.legend(fontsize=8, loc="lower right")
figure.suptitle(f"Texture has AUROC {mean['24']:.2f} at 24 pixels, {mean['128']:.2f} at 128")
lesson.save_figure(figure, "by-size", "Detail lost and AUROC of a texture classifier by size.")

# %% [markdown]
# Each dot is one fold. At 24 pixels the most detail is lost, and the texture classifier is at its
# weakest. On the synthetic cells the step from 24 to 48 is the largest. After it the mean moves by
# less than the folds differ from each other. And on real cells? The same measurement, on the
# training and validation patients of fold 0:

# %% tags=["nbval-check-output"]
real = lk.measured("picture_sizes")
real_auroc = pd.DataFrame(real["auroc"]).rename(columns={"area": "area baseline"}).T
real_auroc.columns = [f"fold {fold}" for fold in real_auroc]
real_auroc["mean"] = real_auroc.mean(axis=1)
print("share of detail lost:", real["detail_lost"])
real_auroc.rename_axis("size (pixels), or baseline").round(2)

# %% [markdown] tags=["slide"]
# On real cells the detail is lost in a similar way. The mean AUROC rises with the size, but slowly.
# 128 pixels are better than 24 in all four folds. There is no size below which the score suddenly
# drops. And at every size the mean of texture alone stays below that of the area baseline.
#
# **How small may a picture become?** The step from 24 to 48 pixels saves the most detail. Larger
# pictures gain a little more, but the training time grows with the square of the size. The course
# takes crops of 64 pixels, between the measured 48 and 96. The profile *full* takes 128: for the
# network the gain was small, but it repeated (lesson 05).
#
# On your own pictures, repeat the measurement. If the gain of a larger size does not repeat, take
# the smaller one.
#
# ## The surprise: two mistakes that raise no error
#
# **First mistake.** NumPy has a function called `resize`. **Guess first:** what does it do with a
# picture of a cell?

# %% tags=["nbval-check-output", "slide"]
right = center_crop(picture, 384, 96)
wrong = np.resize(np.array(picture), (96, 96, 3))
shown = {"original": picture, "Pillow: resize": right, "NumPy: np.resize": wrong}
figure, panels = plt.subplots(1, 3, figsize=(7, 2.8), layout="constrained")
for panel, (name, result) in zip(panels, shown.items(), strict=True):
    panel.imshow(lk.brighten(np.array(result)))
    panel.set_title(name)
    panel.axis("off")
figure.suptitle("np.resize turns the picture black")
lesson.save_figure(figure, "np-resize", "Left the cell, resized; right a black square.")

# %% [markdown]
# `np.resize` fills the new array with the *first* numbers of the old one: the black upper edge. The
# shape is right, so nothing complains. From black pictures a network can learn only the
# majority-class baseline. Its accuracy, as lesson 00 showed, does not look alarming.
#
# **Second mistake.** Networks train best on small numbers, so pixels are divided by 255. If the
# pipeline *and* the model do it, the picture is divided twice. We train a tiny network both ways.
# The **loss** is the number that training makes small. An **epoch** is one pass over the training
# cells. The network averages the picture into a mosaic of 6×6 squares and learns from these. (So it
# sees mainly the size of the cell, the shortcut. For a test of the scaling that is good enough.
# Lesson 05 explains the layers.)
#
# **Guess first:** what will the second training look like? Will its loss fall as far as the first,
# more slowly, or not at all?


# %%
def train_tiny(pictures, labels):
    """Return a tiny network and its training loss per epoch; the network scales by itself."""
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            keras.Input((96, 96, 3)),
            layers.Rescaling(1 / 255),
            layers.AveragePooling2D(16),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    network.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    history = network.fit(pictures, labels, epochs=15, batch_size=16, verbose=0)
    return network, history.history["loss"]


# %%
learned = generator.choice(train, min(400, len(train)), replace=False)
network, loss_once = train_tiny(images[learned], y[learned])
_, loss_twice = train_tiny(images[learned] / 255, y[learned])
share = np.full(len(learned), y[learned].mean())
baseline = log_loss(y[learned], share)
print(f"last training loss, scaled once:  {loss_once[-1]:.3f}")
print(f"last training loss, scaled twice: {loss_twice[-1]:.3f}")
print(f"loss of the majority-class baseline (the share of ALL for every cell): {baseline:.3f}")

# %% [markdown]
# The second training runs without an error, and its loss falls at first. Then it stays close to the
# loss of a model that does not look at the picture. (Many more epochs would lower it very slowly.)
#
# The mistake can also come later. Take the network that was trained *correctly*, and let a web page
# scale the pictures before it calls `predict`:

# %%
unseen = images[validation].astype("float32")
p_right = network.predict(unseen, verbose=0).ravel()
p_wrong = network.predict(unseen / 255, verbose=0).ravel()
for name, p in (("scaled once", p_right), ("scaled twice", p_wrong)):
    print(f"{name}: probability of ALL {p.min():.2f} to {p.max():.2f};", end=" ")
    print(f"{(p >= 0.5).sum()} of {len(p)} validation cells predicted ALL")

# %% tags=["slide"]
figure, panels = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
epochs = np.arange(1, len(loss_once) + 1)
panels[0].plot(epochs, loss_once, color="#332288", label="scaled once")
panels[0].plot(epochs, loss_twice, color="#cc6677", label="scaled twice")
panels[0].axhline(baseline, color=model_colors["majority"], label="majority-class baseline")
panels[0].set(xlabel="epoch", ylabel="training loss", title="training")
panels[0].set_xticks([1, 5, 10, 15])
panels[0].legend(fontsize=8)
bins = np.linspace(0, 1, 41)
panels[1].hist(p_right, bins, color="#332288", alpha=0.7, label="scaled once")
panels[1].hist(p_wrong, bins, color="#cc6677", alpha=0.7, label="scaled twice")
panels[1].axvline(0.5, color="black", linestyle=":", label="threshold 0.5")
panels[1].set(xlabel="probability of ALL", ylabel="validation cells", title="prediction")
panels[1].legend(fontsize=8)
figure.suptitle("Scaled twice, all cells look the same to the network")
lesson.save_figure(
    figure, "double-scaling", "Training loss stays at the baseline; all predictions are equal."
)

# %% [markdown] tags=["slide"]
# **Why?** A layer computes weights × pixels + bias. The weights and the bias are numbers that
# training changes. Pixels that were divided twice are nearly zero. Only the bias is left, and the
# bias is the same for every cell. So the training learns almost nothing but one probability for
# all. And the finished network gives every cell the same prediction: a web page would report one
# class for all patients.
#
# Batch normalization, a layer of lesson 05, rescales numbers inside the network. It can hide the
# mistake during training, and then the mistake shows only on the web page.
#
# **The repair** is a rule: scale in *one* place. In this course the **model** scales, by its layer
# `Rescaling`. All other code passes it pixels from 0 to 255. And we check the pictures before each
# training.
#
# ### Exercise 03.3 (6 minutes)
#
# Write `check_pixels(images)` for an array of shape (n, height, width, 3). It raises a `ValueError`
#
# 1. if the largest value is 1 or less: the pictures were scaled already;
# 2. if more than half of the pictures are completely black.
#
# Otherwise it returns the images unchanged. `images.max(axis=(1, 2, 3))` gives the largest value of
# each picture.


# %% tags=["nbval-check-output"]
def check_pixels(images):
    """Return the images unchanged, or raise a ValueError if they cannot be right."""
    if images.max() <= 1:  # solution
        raise ValueError("The pictures were scaled already.")  # solution
    black = images.max(axis=(1, 2, 3)) == 0  # solution
    if black.mean() > 0.5:  # solution
        raise ValueError("More than half of the pictures are black.")  # solution
    return images  # solution


lk.check("03.3", check_pixels)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `images.max(axis=(1, 2, 3))` gives the largest value of each picture. The usual mistake is to
# check the *type* only. Many libraries hand over pixels from 0 to 255 as `float32`, and these are
# right. Another is to stop at a single black picture. One broken file
# in a thousand should be set aside, not end the training.
#
# </details>

# %% [markdown]
# ## Augmentation: changes that leave the diagnosis as it is
#
# A cell on a slide has no fixed orientation. If the network sees each cell turned another way in
# each epoch, it cannot memorize the angle. **Augmentation** changes the training pictures at
# random, in ways that leave the label as it is. Keras has a layer for each change.
#
# - `RandomFlip("horizontal")` mirrors half of the pictures, left to right. (Without the word,
#   current versions of Keras flip both directions at once or none: that is only a half turn.)
# - `RandomRotation(0.5)` turns by up to half a *full circle* in either direction. (The number is
#   not in degrees.)
# - `RandomZoom((0.0, 0.3))` shows up to 30% more in each direction: the side of the cell is divided
#   by a number from 1 to 1.3. Negative numbers enlarge, and would cut a cell that fills the
#   picture.
# - `RandomContrast((0.5, 0.5))` lowers or raises the distance of each pixel from the mean, by up to
#   one half. (Give it two numbers: with a single one, current versions of Keras only raise it.)
#
# Zoom and contrast are strong here, so that you can see them. **Before you read on:** look at the
# *background* in each row of the figure. What is odd?

# %%
effects = {
    "flip": layers.RandomFlip("horizontal", seed=seed),
    "rotation": layers.RandomRotation(0.5, seed=seed),
    "zoom": layers.RandomZoom((0.0, 0.3), seed=seed),
    "contrast": layers.RandomContrast((0.5, 0.5), seed=seed),
}
typical = sample[np.argsort(reaches)[len(reaches) // 2]]
copies = np.repeat(crops[typical][None], 5, axis=0).astype("float32")


def plot_effects(effects):
    """Draw one row per effect: the original in a frame, and five changed copies."""
    figure, panels = plt.subplots(len(effects), 6, figsize=(7, 5), layout="constrained")
    for line, (name, effect) in zip(panels, effects.items(), strict=True):
        shown = np.concatenate([copies[:1], effect(copies)]).round().astype("uint8")
        for panel, changed in zip(line, shown, strict=True):
            panel.imshow(lk.brighten(changed))
            panel.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
        line[0].spines[:].set(visible=True, color="#e6ab02", linewidth=4)
    panels[0, 0].set_title("original")
    return figure


# %% tags=["slide"]
figure = plot_effects(effects)
figure.suptitle("Four augmentations with Keras' default settings: what is odd?")
lesson.save_figure(
    figure, "keras-defaults", "Four rows: flip, rotation, zoom, contrast; some with odd background."
)

# %% [markdown]
# Did you see it? Three rows have a wrong background. We count how many of 100 training pictures get
# a corner that is not black.

# %%
hundred = crops[train[:100]].astype("float32")


def count_corners(pictures):
    """Return how many pictures have a bright pixel in the 3×3 pixels of their upper left corner."""
    return int((np.array(pictures)[:, :3, :3].max(axis=(1, 2, 3)) > 0.5).sum())


print(f"original: {count_corners(hundred)}")
for name, effect in effects.items():
    print(f"{name}: {count_corners(effect(hundred))}")

# %% [markdown]
# - **Rotation and zoom** must fill the places where the old picture has nothing. Keras' default is
#   `fill_mode="reflect"`: it mirrors the picture at its edge, so pieces of the cell appear twice.
#   The corners show it for rotation; for zoom, look at the edges beside the cell.
# - **Contrast** moves all pixels toward or away from the mean of the whole picture. Black pixels
#   move toward it as well and become gray.
#
# A gray background marks a picture as augmented. Validation pictures never have it. The repair:
# `fill_mode="constant"` (the constant is 0), and for contrast a mask that keeps black what was
# black. Contrast comes first: the mask must fit the picture before it is turned.

# %%
strong_contrast = layers.RandomContrast((0.5, 0.5), seed=seed)


def keep_black(original, changed):
    """Return the changed pictures, black wherever the original is black."""
    inside = tf.reduce_max(original, axis=-1, keepdims=True) > 0
    return tf.where(inside, changed, 0.0)


repaired = {
    "flip": layers.RandomFlip("horizontal", seed=seed),
    "rotation": layers.RandomRotation(0.5, fill_mode="constant", seed=seed),
    "zoom": layers.RandomZoom((0.0, 0.3), fill_mode="constant", seed=seed),
    "contrast": lambda pictures: keep_black(pictures, strong_contrast(pictures)),
}
for name, effect in repaired.items():
    print(f"{name}: {count_corners(effect(hundred))}")

# %% tags=["slide"]
figure = plot_effects(repaired)
figure.suptitle("After the repair the background stays black in every row")
lesson.save_figure(
    figure, "repaired", "Four rows: flip, rotation, zoom, contrast, all on a black background."
)

# %% [markdown]
# ### How strong may a change be?
#
# Each augmentation is a **claim about what does not matter**.
#
# - *Any angle, any mirror image:* safe. A smear has no direction.
# - *Zoom:* it makes the size unreliable. In bounding-box crops the size is gone already, so a
#   small zoom costs nothing. In center crops it weakens the size, and you should do it on purpose.
# - *Contrast and color:* only a little. They hide differences between stains, but the stain of the
#   nucleus is also evidence.
# - *Red and blue exchanged:* never. It makes cells that no laboratory has seen.
#
# The claim about color was tested on real cells. The 40 patients of the published folds 0 and 1
# were divided into four new test folds. One network was trained with strong and with mild color
# changes. The majority-class baseline has an AUROC of one half in each fold.

# %% tags=["nbval-check-output"]
color_changes = pd.DataFrame(lk.measured("candidates")["auroc_screening"])
color_changes = color_changes[["area", "strong color", "plain"]].rename_axis("fold")
color_changes.set_axis(["area baseline", "strong changes", "mild changes"], axis=1).round(3)

# %% [markdown]
# Mild changes are better in all four folds. The course changes colors by a few percent only.
#
# ## The pipeline
#
# `tf.data` delivers the training pictures in **batches**, a few at a time. Each step is one line:
#
# | step | what it does |
# | --- | --- |
# | `from_tensor_slices` | one element per cell: picture and label |
# | `shuffle` | a new order in each epoch |
# | `batch` | puts 32 cells together |
# | `map` | applies a function to each batch: here the augmentation |
# | `prefetch` | prepares the next batch while the network works on this one |
#
# Each random layer gets a seed of its own. With the same seed all layers would draw the same
# numbers. A layer goes on in its numbers from call to call. To repeat a training exactly, make the
# layers again before it.

# %%
mild_contrast = layers.RandomContrast((0.05, 0.05), seed=seed + 3)
moves = keras.Sequential(
    [
        layers.RandomFlip("horizontal", seed=seed),
        layers.RandomRotation(0.5, fill_mode="constant", seed=seed + 1),
        layers.RandomZoom((0.0, 0.1), fill_mode="constant", seed=seed + 2),
    ]
)


def augment(images):
    """Change each picture of a batch in its own way."""
    images = tf.cast(images, tf.float32)
    images = keep_black(images, mild_contrast(images, training=True))
    return moves(images, training=True)


# %% tags=["nbval-check-output"]
train_data = (
    tf.data.Dataset.from_tensor_slices((crops[train], y[train]))
    .shuffle(len(train), seed=seed)
    .batch(32)
    .map(lambda images, labels: (augment(images), labels))
    .prefetch(tf.data.AUTOTUNE)
)
validation_data = tf.data.Dataset.from_tensor_slices((crops[validation], y[validation])).batch(32)
for batch, labels in train_data.take(1):
    print("training batch:  ", batch.shape, batch.dtype.name, "labels", labels.shape)
for batch, labels in validation_data.take(1):
    print("validation batch:", batch.shape, batch.dtype.name, "labels", labels.shape)

# %% [markdown]
# The validation pictures are neither shuffled nor augmented: we want to know how the network does
# on pictures as they come. `network.fit(train_data, validation_data=validation_data)` takes both.
#
# ### Exercise 03.4 (8 minutes)
#
# Turn the pipeline into a function for any data. `batches(images, labels)` returns batches of 32 in
# the given order, unchanged. `batches(images, labels, augment)` shuffles the cells and applies the
# function `augment` to the pictures of each batch.


# %% tags=["nbval-check-output"]
def batches(images, labels, augment=None):
    """Return a tf.data.Dataset of (images, labels); shuffled and augmented only on request."""
    data = tf.data.Dataset.from_tensor_slices((images, labels))  # solution
    if augment is not None:  # solution
        data = data.shuffle(len(images), seed=0)  # solution
    data = data.batch(32)  # solution
    if augment is not None:  # solution
        data = data.map(lambda batch, labels: (augment(batch), labels))  # solution
    return data.prefetch(tf.data.AUTOTUNE)  # solution


lk.check("03.4", batches)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Pictures and labels go into *one* dataset, so `shuffle` keeps them together. The usual mistake is
# to augment always: then the validation score belongs to pictures that nobody has taken, and it
# changes with every run. Another is `shuffle` after `batch`: it only changes the order of the
# batches, and the same 32 cells stay together in all epochs.
#
# </details>

# %% [markdown]
# ## Why the augmentation stays outside the model
#
# Augmentation layers can also stand *inside* a model. Keras allows it, with one trap. **Guess
# first:** the next cell predicts five copies of one cell, in three ways. How many different
# predictions do you expect in each line?

# %%
with_rotation = keras.Sequential(
    [keras.Input((96, 96, 3)), layers.RandomRotation(0.5, seed=seed), network]
)
five = np.repeat(unseen[:1], 5, axis=0)  # five copies of one cell
direct = np.array(with_rotation(five)).ravel()
inference = np.array(with_rotation(five, training=False)).ravel()
predicted = with_rotation.predict(five, verbose=0).ravel()
print("model(x):                ", direct.round(3))
print("model(x, training=False):", inference.round(3))
print("model.predict(x):        ", predicted.round(3))

# %% [markdown]
# Called directly, an augmentation layer behaves as in training: its default is `training=True`. So
# `model(x)` turns each copy at random, and the same cell gets different predictions. `predict` and
# `training=False` switch the layer off. Explanations (lesson 07) call the model directly, and so do
# many web pages. Therefore the augmentation belongs into the pipeline. The saved model then gives
# one cell the same prediction every time.

# %%
lesson.record(
    cells_cut_by_crop_224=f"{(reaches > 224).mean():.1%}",
    cells_cut_by_crop_384=f"{(reaches > 384).mean():.1%}",
    texture_AUROC_at_24_pixels=round(float(mean["24"]), 3),
    texture_AUROC_at_128_pixels=round(float(mean["128"]), 3),
    loss_scaled_twice=f"{loss_twice[-1]:.3f} (majority-class baseline {baseline:.3f})",
)

# %% [markdown]
# Two questions to finish. Run the cell and click on your choice.

# %%
lesson.quiz()

# %% [markdown]
# ## Going further
#
# *Optional.* `BOX` averages. Not every function does. By default `tf.image.resize` looks at only
# four pixels of the original for each new pixel, and skips the others. With `antialias=True` it
# averages. Keras' `image_dataset_from_directory` calls it without.

# %% tags=["nbval-check-output"]
original = Image.open(lesson.path(typical)).convert("RGB")
cell = original.crop(lk.cell_box(np.array(original)))
resized = {
    "Pillow, BOX": np.array(cell.resize((32, 32), Image.Resampling.BOX)),
    "tf.image.resize": tf.image.resize(np.array(cell), (32, 32)),
    "with antialias=True": tf.image.resize(np.array(cell), (32, 32), antialias=True),
}
figure, panels = plt.subplots(1, 3, figsize=(7, 2.9), layout="constrained")
for panel, (name, shown) in zip(panels, resized.items(), strict=True):
    panel.imshow(lk.brighten(np.array(shown).round().astype("uint8")))
    panel.set_title(name)
    panel.axis("off")
figure.suptitle("Without averaging the outline becomes jagged")
lesson.save_figure(figure, "antialias", "One cell at 32 pixels, resized by three functions.")

# %% [markdown]
# Another subtle loss: every rotation or zoom computes new pixels between old ones, and blurs a
# little. Two layers in a row blur twice. `lk.augment_batch` turns, mirrors and zooms in a single
# step.
#
# ## Use it on your data
#
# With the functions of this lesson a folder of pictures, each a cell on black, becomes a pipeline.
# Replace the folder and the rule for `labels`. Split by patient before the last line (lesson 02).
#
# ```python
# from pathlib import Path
#
# paths = sorted(Path("my_cells").glob("*.png"))
# pictures = [Image.open(path).convert("RGB") for path in paths]
# print("farthest reach:", max(reach(picture) for picture in pictures))  # choose a center crop
# pixels = np.stack([np.array(crop_to_cell(picture, 64)) for picture in pictures])
# check_pixels(pixels)
# labels = np.array([path.stem.endswith("all") for path in paths]).astype(int)
# train_data = batches(pixels, labels, augment)  # training cells only
# ```
#
# If your background is not black, `getbbox()` returns the whole picture. Then use `center_crop`, or
# set the background to black by a mask first.

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Choose the crop by counting the cells that it cuts. Choose the size by measuring what is lost.
# - Decide about the size of the cell: keep it visible, or remove it by a bounding-box crop.
# - A wrong resize and a double scaling raise no error. Check the pictures before each training.
# - The model scales; the pipeline augments the training pictures; each happens in one place only.
# - An augmentation is a claim about what does not matter. Look at its pictures, and test it.
#
# **Read next:** lesson 04. On augmentation of stained tissue: Tellez et al., "Quantifying the
# effects of data augmentation and stain color normalization", *Medical Image Analysis* 58 (2019).
