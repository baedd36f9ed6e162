# %% [markdown] tags=["slide"]
# # 07 · Explainability
#
# After this lesson you will be able to compute heat maps with SHAP and Grad-CAM, and to test
# whether a map describes the network.
#
# **75 minutes to teach · about a minute to run · needs lessons 05 and 06**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - Which pixels moved a prediction towards ALL, and which towards HEM?
# - Does a convincing heat map show that a network has learned something?
# - Does the network read the nucleus, its outline, or something beside the cell?
#
# **Objectives**
#
# 1. Compute SHAP maps with `shap` and Grad-CAM maps with `tf.GradientTape`.
# 2. Test a map: check its sum, and compare it with the map of an untrained network.
# 3. Change an image to find out what a prediction depends on.

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
import shap
import tensorflow as tf

import leukhelpers as lk

lesson = lk.begin("07", dataset, profile, seed, run)
class_colors = lk.CLASS_COLORS
trained = lesson.load_run()  # the network of lesson 05; it is trained here if there is none
model = trained.model
crops = lesson.crops  # uint8: each cell cropped to its bounding box

# %% [markdown]
# ## Sixteen cells to explain
#
# A **heat map** colors each place of an image by its part in one prediction. We explain cells of
# the test patients, whom the network has not seen: twelve leukemic cells and four healthy ones. In
# each class they range from the highest to the lowest probability of ALL.

# %%
ranked = trained.predictions.sort_values("probability", ascending=False)
leukemic, healthy = ranked[ranked["label"] == 1], ranked[ranked["label"] == 0]
twelve = np.linspace(0, len(leukemic) - 1, 12).astype(int)  # evenly spaced positions
four = np.linspace(0, len(healthy) - 1, 4).astype(int)
chosen = pd.concat([leukemic.iloc[twelve], healthy.iloc[four]])
rows = pd.Index(lesson.table["cell_id"]).get_indexer(chosen["cell_id"])
pictures = crops[rows]
print(f"{len(chosen)} cells of {chosen['subject'].nunique()} subjects")

# %% [markdown]
# The next figures show six of them. They are brightened for display only. P is the
# predicted probability of ALL.

# %% tags=["nbval-check-output"]
shown = [0, 5, 11, 12, 14, 15]
kinds = np.where(chosen["label"] == 1, "ALL", "HEM")
names = [f"{kind}, P = {p:.2f}" for kind, p in zip(kinds, chosen["probability"], strict=True)]

figure, panels = plt.subplots(1, 6, figsize=(9, 2.2), layout="constrained")
for panel, index in zip(panels, shown, strict=True):
    panel.imshow(lk.brighten(pictures[index]))
    panel.set_title(names[index], size=9)
    panel.axis("off")
low, high = chosen["probability"].min(), chosen["probability"].max()
figure.suptitle(f"For these cells the probability of ALL ranges from {low:.2f} to {high:.2f}")
lesson.save_figure(figure, "cells", "Six cells with their class and their predicted probability.")

# %% [markdown]
# Three words for what follows. The **nucleus** is the large dark body that fills most of such a
# cell. **Nucleoli** are small round bodies inside the nucleus; in leukemic cells they can be
# prominent. The **outline** of the nucleus can be smooth or irregular.
#
# **Guess first:** what does the network read? The nucleoli, the rest of the nucleus, its outline,
# or something else? Write down one sentence. You will compare it with the answer at the end.
#
# ## Explain the logit, not the probability
#
# A probability near 1 hardly changes, even if the image changes much. The **logit** does change. It
# is the sum in front of the sigmoid: positive for ALL, negative for HEM. A model that ends one
# layer earlier returns it.

# %%
logit_model = keras.Model([model.input], model.get_layer("logit").output)  # [...]: as shap wants it
first = logit_model.predict(pictures[:1], verbose=0)[0, 0]
print(f"logit of the first cell {first:.2f}")
print(f"sigmoid of this logit   {1 / (1 + np.exp(-first)):.2f}")

# %% [markdown]
# ## SHAP: how much did each pixel contribute?
#
# **SHAP** (Lundberg and Lee, 2017) compares a cell with a set of **reference images**. The logit of
# the cell differs from the mean logit of the reference images. SHAP distributes this difference
# over the pixels. So we know what the values of one cell must add up to:
#
# > sum of all SHAP values = logit of the cell − mean logit of the reference images
#
# This property is called **completeness**. Lundberg and Lee call it *local accuracy*. (The
# documentation of `shap` calls the reference images *background*. In this lesson *background*
# always means the black area beside a cell.)
#
# `GradientExplainer` finds a pixel's share by **gradients**. The gradient of a pixel is the rise of
# the logit when this pixel becomes a little brighter. The explainer repeats three steps `nsamples`
# times and averages the result:
#
# 1. Draw a reference image at random, and mix it with the cell in a random ratio.
# 2. Compute the gradient of the logit at this mixture.
# 3. Multiply it by the difference between cell and reference image.
#
# This method is called **expected gradients** (Erion and others, 2021). Its result approximates the
# shares that SHAP defines.

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(seed)
references = crops[rng.choice(lesson.split.train, 32, replace=False)]
explainer = shap.GradientExplainer(logit_model, references)
first_try = explainer.shap_values(pictures, nsamples=50, rseed=seed)
print(first_try.shape, "= cells, height, width, color channels, outputs of the network")

# %% [markdown]
# The call worked and returned one number per pixel and color. Can we believe them?
#
# ### Test 1: do the values add up?
#
# The next cell prints two columns: what the sum of each cell should be, and what it is. Before you
# run it: how close should the two columns be?

# %%
logits = logit_model.predict(pictures, verbose=0).ravel()
mean_reference = logit_model.predict(references, verbose=0).mean()
expected = logits - mean_reference
sums = first_try.sum(axis=(1, 2, 3, 4))
table = pd.DataFrame({"should be": expected, "sum of SHAP values": sums}, index=names)
table.iloc[shown].round(1)

# %% [markdown]
# They should nearly agree. Instead the sums are wrong by a multiple of their size. There was no
# error and no warning. Taking more samples does not help. What went wrong? Look at the type of the
# images, then at the next cell.

# %% tags=["nbval-check-output", "slide"]
cell_pixel, reference_pixel = pictures[:1, 0, 0, 0], references[:1, 0, 0, 0]
print("type of the images:", cell_pixel.dtype, "and", reference_pixel.dtype)
print("20 − 50 =", np.array([20], dtype=np.uint8) - np.array([50], dtype=np.uint8))

# %% [markdown]
# A `uint8` holds whole numbers from 0 to 255. A negative difference does not fit and starts again
# from 255. SHAP subtracts reference image from cell, so every darker pixel got a large positive
# difference. The repair is one conversion: give SHAP decimal numbers.

# %%
images = pictures.astype("float32")
references = references.astype("float32")
explainer = shap.GradientExplainer(logit_model, references)
shap_values = explainer.shap_values(images, nsamples=100, rseed=seed)
table["sum after repair"] = shap_values.sum(axis=(1, 2, 3, 4))
table.iloc[shown].round(1)

# %% [markdown]
# Now the sums are close to what they should be. The rest is chance: SHAP draws its reference
# images at random. If the drawn ones have low logits, the sum comes out too high.
#
# Is this error independent from cell to cell? That depends on how SHAP is called. One call with all
# cells goes on drawing from cell to cell: **separate draws**. A loop that passes the same `rseed`
# for every cell starts again each time: **the same draws** for all cells. We do both three times,
# with few samples, and count the cells whose sum is too high.

# %%
counted = []
for call in range(3):
    loop = [explainer.shap_values(image[None], nsamples=10, rseed=call) for image in images]
    same = np.concatenate(loop).sum(axis=(1, 2, 3, 4)) - expected
    own = explainer.shap_values(images, nsamples=10, rseed=call).sum(axis=(1, 2, 3, 4)) - expected
    counted.append([(same > 0).sum(), same.mean(), (own > 0).sum(), own.mean()])
columns = pd.MultiIndex.from_product(
    [["same draws", "separate draws"], ["cells too high", "mean error"]]
)
calls = pd.DataFrame(counted, columns=columns)
calls.loc["mean of the calls"] = calls.mean()
calls.round(2)

# %% [markdown]
# About half of the sixteen sums should be too high. With separate draws this is roughly so. With
# the same draws nearly all sums of one call can be too high, or nearly all too low. One such call
# looks like a systematic error of the method, but there is none. Averaged over the three calls, the
# errors of the same draws partly cancel.
#
# So: pass all cells in one call, take many samples, and check the sums.
#
# ### Exercise 07.1 (7 minutes)
#
# Write `mean_shap(explainer, images, seeds)`. It calls `explainer.shap_values` once per seed, with
# all images, `nsamples=50` and `rseed` set to the seed. It returns the mean of the calls, in the
# shape of one call.


# %% tags=["nbval-check-output"]
def mean_shap(explainer, images, seeds):
    """Return the SHAP values of all images, averaged over one call per seed."""
    calls = [explainer.shap_values(images, nsamples=50, rseed=seed) for seed in seeds]  # solution
    return np.mean(calls, axis=0)  # solution


lk.check("07.1", mean_shap)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `np.mean(calls, axis=0)` averages over the calls and keeps one value per pixel. Four calls
# with 50 samples are as good as one call with 200. The usual mistake is a constant `rseed`: then
# all calls are identical, and averaging changes nothing. Without `axis=0` the result is a single
# number.
#
# </details>

# %% [markdown]
# ## Draw the maps
#
# We add up the three color channels and draw one map per cell. Orange means towards ALL, blue
# towards HEM, white no contribution. All maps share one color scale. (`shap.image_plot` draws such
# a figure in one line. We use `imshow`, because then we choose the scale.)

# %%
from matplotlib.colors import LinearSegmentedColormap

towards = LinearSegmentedColormap.from_list("towards", [class_colors[0], "white", class_colors[1]])


def draw_map(panel, values, picture, limit):
    """Draw a signed map from -limit to limit, with a thin line around the cell."""
    drawn = panel.imshow(values, cmap=towards, vmin=-limit, vmax=limit)
    panel.contour(picture.any(axis=2), levels=[0.5], colors="gray", linewidths=0.6)
    panel.axis("off")
    return drawn


# %% tags=["nbval-check-output", "slide"]
shap_maps = shap_values[..., 0].sum(axis=-1)  # one output; sum over the color channels
limit = np.percentile(np.abs(shap_maps), 99.5)

figure, panels = plt.subplots(2, 6, figsize=(9, 3.7), layout="constrained")
for column, index in zip(panels.T, shown, strict=True):
    column[0].imshow(lk.brighten(pictures[index]))
    column[0].set_title(names[index], size=9)
    column[0].axis("off")
    drawn = draw_map(column[1], shap_maps[index], pictures[index], limit)
bar = figure.colorbar(drawn, ax=panels[1], orientation="horizontal", aspect=60, shrink=0.6)
bar.set_label("SHAP value of a pixel, in logits (blue: towards HEM, orange: towards ALL)")
figure.suptitle("SHAP marks places inside the cells and along their edges")
lesson.save_figure(figure, "shap", "Six cells and below each its SHAP map, with one color scale.")

# %% [markdown]
# It is tempting to tell a story now: "it has found the nucleoli", or "it looks at the edge". Both
# are visible. A map alone cannot decide.
#
# ## Grad-CAM in a few lines
#
# **Grad-CAM** (Selvaraju, 2017) does not go back to the pixels. It stops at the last feature maps
# of the network: the layer `"maps"`. Each of these maps responds to one pattern. Grad-CAM does
# three things:
#
# 1. It averages the gradient of the logit over each feature map: this is the map's **weight**.
# 2. It adds up the feature maps, each multiplied by its weight.
# 3. It keeps positive values only (ReLU), and enlarges the result to the size of the image.

# %% tags=["nbval-check-output"]
print("feature maps:", model.get_layer("maps").output.shape[1:])


def grad_cam(model, images):
    """Return which places speak for ALL: shape (n, height, width), zero or above."""
    outputs = [model.get_layer("maps").output, model.get_layer("logit").output]
    both = keras.Model(model.input, outputs)
    pixels = tf.constant(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        features, logit = both(pixels, training=False)
    gradients = tape.gradient(logit, features)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1, keepdims=True))
    return tf.image.resize(maps, images.shape[1:3])[..., 0].numpy()


# %% tags=["nbval-check-output", "slide"]
cam_maps = grad_cam(model, images)
blank = int((cam_maps[shown].max(axis=(1, 2)) == 0).sum())

figure, panels = plt.subplots(2, 6, figsize=(9, 3.7), layout="constrained")
for column, index in zip(panels.T, shown, strict=True):
    draw_map(column[0], shap_maps[index], pictures[index], limit)
    column[0].set_title(names[index], size=9)
    drawn = column[1].imshow(cam_maps[index], cmap="Oranges", vmin=0, vmax=cam_maps.max())
    column[1].contour(pictures[index].any(axis=2), levels=[0.5], colors="gray", linewidths=0.6)
    column[1].axis("off")
bar = figure.colorbar(drawn, ax=panels[1], orientation="horizontal", aspect=60, shrink=0.6)
bar.set_label("Grad-CAM (zero or above: only what speaks for ALL)")
figure.suptitle(f"Grad-CAM (below) is coarse, and blank in {blank} of these 6 cells")
lesson.save_figure(figure, "grad-cam", "Six cells: SHAP maps above, coarse Grad-CAM maps below.")

# %% [markdown]
# Grad-CAM is quick, but its map has only as many independent places as a feature map (see the shape
# printed above). Before the ReLU its values add up to the logit minus the bias of the last layer,
# because this network ends with a mean and one dense layer. The ReLU discards whatever speaks for
# HEM, so the final map does not add up to anything. A blank map means: at no place does the
# evidence for ALL outweigh the evidence for HEM.
#
# ### Exercise 07.2 (8 minutes)
#
# Which places speak for HEM? Write `hem_map(features, gradients)` for one cell, in numpy. Both
# arrays have the shape (height, width, number of features). `gradients` are those of the logit, as
# in `grad_cam`. Return the Grad-CAM map for HEM, without enlarging it.


# %% tags=["nbval-check-output"]
def hem_map(features, gradients):
    """Return which places speak for HEM: shape (height, width), zero or above."""
    weights = -gradients.mean(axis=(0, 1))  # solution
    return np.maximum((weights * features).sum(axis=-1), 0)  # solution


lk.check("07.2", hem_map)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The logit is positive for ALL, so the score for HEM is the *negative* logit. Its gradients are the
# negative gradients. All else stays: mean over the places, weighted sum, positive part. The usual
# mistake is to change the sign after the ReLU. What spoke for HEM has been set to zero by then, and
# cannot come back.
#
# </details>

# %% [markdown] tags=["slide"]
# ## Compare the map with that of an untrained network
#
# `clone_model` copies the layers of a network, but not what they have learned. The copy starts from
# random weights and knows nothing about cells. We explain both networks by SHAP, with the same
# reference images. Then we draw the maps of six other cells. Here dark means a strong contribution,
# towards either class. The two networks stand in random order.

# %%
keras.utils.set_random_seed(seed)
untrained = keras.models.clone_model(model)
untrained_logits = keras.Model([untrained.input], untrained.get_layer("logit").output)
untrained_explainer = shap.GradientExplainer(untrained_logits, references)
untrained_values = untrained_explainer.shap_values(images, nsamples=100, rseed=seed)
untrained_maps = untrained_values[..., 0].sum(axis=-1)

# %% tags=["nbval-check-output", "slide"]
others = [2, 3, 8, 9, 10, 13]  # six cells that no figure has shown yet
order = rng.permutation(2)
pair = [[shap_maps, untrained_maps][which] for which in order]

figure, panels = plt.subplots(2, 6, figsize=(9, 3.3), layout="constrained")
for number, (line, maps) in enumerate(zip(panels, pair, strict=True), start=1):
    own_limit = np.percentile(np.abs(maps), 99.5)
    for panel, index in zip(line, others, strict=True):
        panel.imshow(np.abs(maps[index]), cmap="Greys", vmin=0, vmax=own_limit)
        panel.axis("off")
    line[0].set_title(f"network {number}", loc="left", size=10, weight="bold")
figure.suptitle("Two networks, the same cells: both maps follow the cells")
lesson.save_figure(figure, "which", "SHAP maps of six cells for two networks, one never trained.")

# %% [markdown]
# **Guess first:** which one has never been trained, network 1 or network 2? How sure are you? Could
# you tell a story about each of them, such as "it looks at the edge"?
#
# ### Test 2: does the map depend on the training?
#
# The eye compares whole images, and each network got a color scale of its own. So we measure two
# things, inside the cells only:
#
# - **Rank correlation** (Spearman): sort the pixels of a cell by their value in each map, and
#   compare the two orders. 1 means the same order, 0 no relation, −1 the reverse order.
# - **Strength ratio**: the mean absolute value of the trained network's map, divided by that of the
#   untrained one.

# %%
from scipy.stats import spearmanr

cells = pictures.any(axis=3)  # True inside a cell


def correlations(first, second, where):
    """Return the rank correlation of two maps for each cell; a blank map has none (nan)."""
    found = []
    for one, other, mask in zip(first, second, where, strict=True):
        blank = one[mask].std() == 0 or other[mask].std() == 0
        found.append(np.nan if blank else spearmanr(one[mask], other[mask]).statistic)
    return found


# %%
untrained_cam = grad_cam(untrained, images)
strong, weak = np.abs(shap_maps), np.abs(untrained_maps)
again = explainer.shap_values(images, nsamples=100, rseed=seed + 1)[..., 0].sum(axis=-1)
compared = pd.DataFrame(
    {
        "SHAP": correlations(shap_maps, untrained_maps, cells),
        "SHAP, absolute values": correlations(strong, weak, cells),
        "SHAP, absolute values, whole image": correlations(strong, weak, np.ones_like(cells)),
        "Grad-CAM": correlations(cam_maps, untrained_cam, cells),
        "SHAP, the same network again": correlations(shap_maps, again, cells),
    }
)
print(f"network {1 + list(order).index(1)} is the untrained one")
ratio = strong[cells].mean() / weak[cells].mean()
print(f"SHAP of the trained network is {ratio:.0f} times as strong")
compared.agg(["mean", "min", "max", "count"]).T.round(2)

# %% tags=["nbval-check-output", "slide"]
similar = compared["SHAP"].mean()

figure, panels = plt.subplots(2, 6, figsize=(9, 4), layout="constrained")
for line, maps in zip(panels, [shap_maps, untrained_maps], strict=True):
    for panel, index in zip(line, others, strict=True):
        drawn = draw_map(panel, maps[index], pictures[index], limit)
panels[0, 0].set_title("trained", loc="left", size=10, weight="bold")
panels[1, 0].set_title("untrained, same scale", loc="left", size=10, weight="bold")
bar = figure.colorbar(drawn, ax=panels[1], orientation="horizontal", aspect=60, shrink=0.6)
bar.set_label("SHAP value of a pixel, in logits")
figure.suptitle(
    f"On one color scale the untrained map fades: {ratio:.0f} times weaker,\n"
    f"rank correlation with the trained map {similar:.2f}"
)
lesson.save_figure(figure, "untrained", "SHAP maps of the trained and the untrained network.")

# %% [markdown]
# What the numbers mean:
#
# - **SHAP passes.** The rank correlation is close to 0: the trained map orders the pixels
#   differently from the untrained one. And the untrained map is many times weaker, which its own
#   color scale had hidden. One reason: the logits of an untrained network hardly differ, so there
#   is little to distribute.
# - **The maps of one network agree.** The last row explains the trained network a second time, with
#   other random draws. This is how alike two maps of the *same* network are.
# - **The eye can be misled**, as the third row of the table shows. Over whole images the absolute
#   values correlate well. One reason: pixels that are black in the cell and in every reference
#   image get exactly zero in both maps. Another: both maps follow the outline, because there the
#   cell differs most from the reference images. Training is not needed for either.
# - **For Grad-CAM the test decides nothing.** Its correlations scatter widely from cell to cell.
#   With so few independent places a high or a low value is often chance. And a blank map has no
#   order at all, so it is not counted.
#
# So compare color scales before you compare maps. And do not call a place learned if an untrained
# network marks it as well (Adebayo, 2018). Passing this test is not enough: two maps of pure noise
# would have a rank correlation near 0, too. The next tests check *what* the trained map shows.
#
# ## Does the network read the nucleus or the outline?
#
# Back to your first guess. Nobody knows which pixels make a real cell leukemic. For the synthetic
# dataset it is known, since its program drew the causes. `lk.cause_masks` returns where they are.
# We cut the masks like the cells, and split each image into parts that do not overlap. For real
# cells we can only separate the edge of the cell from its inside.

# %%
from PIL import Image
from scipy.ndimage import binary_erosion

size = images.shape[1]


def crop_masks(masks, boxes):
    """Cut masks to the bounding boxes of their cells and resize them like the crops."""
    cut = []
    for mask, box in zip(masks, boxes, strict=True):
        square = Image.fromarray(255 * mask.astype("uint8")).crop(box)
        cut.append(np.asarray(square.resize((size, size), Image.Resampling.BOX)) >= 128)
    return np.array(cut)


# %%
if lesson.dataset.synthetic:
    originals = [np.asarray(Image.open(lesson.path(row)).convert("RGB")) for row in rows]
    boxes = [lk.cell_box(original) for original in originals]
    drawn_masks = lk.cause_masks(lesson.dataset.root, chosen["cell_id"])
    causes = {name: crop_masks(masks, boxes) for name, masks in drawn_masks.items()}
    nucleoli = causes["nucleoli"]
    outline = causes["outline"] & ~nucleoli
    rest = causes["nucleus"] & ~nucleoli & ~outline
    parts = {"nucleoli": nucleoli, "outline of nucleus": outline, "rest of nucleus": rest}
    parts["rest of cell"] = causes["cell"] & ~nucleoli & ~outline & ~rest
else:
    inside = np.array([binary_erosion(mask, iterations=3) for mask in cells])
    parts = {"inside of cell": inside, "edge of cell": cells & ~inside}
parts["black background"] = ~np.any(list(parts.values()), axis=0)

# %% [markdown]
# ### Test 3: which part of the cell does the map mark?
#
# For the leukemic cells we add up the absolute SHAP values in each part, in percent of the whole
# map. Compare three columns: the share of the area, the share of the untrained network's map, and
# the share of the trained network's map. Each column adds up to 100.

# %%
ill = chosen["label"].to_numpy() == 1
shares = pd.DataFrame(
    {
        "area": [mask[ill].mean() for mask in parts.values()],
        "untrained": [(weak * mask)[ill].sum() / weak[ill].sum() for mask in parts.values()],
        "trained": [(strong * mask)[ill].sum() / strong[ill].sum() for mask in parts.values()],
    },
    index=list(parts),
)
percent = (100 * shares).round(1)
percent.loc["sum"] = percent.sum().round()
percent

# %% tags=["nbval-check-output", "slide"]
top = (shares["trained"] / shares["untrained"]).idxmax()  # what training added most to
area, before, after = shares.loc[top]

figure, panel = plt.subplots(figsize=(8, 3.2), layout="constrained")
bars = (100 * shares).iloc[::-1]
colors = ["black", "silver", lk.MODEL_COLORS["cnn"]]
bars.plot.barh(ax=panel, color=colors, width=0.8)
panel.set_xlabel("percent of the image (area) or of the SHAP map")
handles, labels = panel.get_legend_handles_labels()
panel.legend(handles[::-1], labels[::-1], frameon=False)
figure.suptitle(
    f"{top.capitalize()}: {area:.0%} of the area, {before:.0%} of the untrained map, "
    f"{after:.0%} of the trained map"
)
lesson.save_figure(figure, "parts", "Shares of area and of SHAP maps for each part of the image.")

# %% [markdown]
# On the synthetic dataset the nucleoli stand out. They are a tiny part of the area, and the trained
# map is several times stronger there than on average. The untrained map is not. The outline is the
# opposite case. The untrained network gives it a *larger share* of its map than the trained one
# does. The reason is step 3 of SHAP: near an outline one image shows cell and the other black, so
# their difference is large there in any network. For the same reason the black background has a
# share: the reference cells have other outlines.
#
# ### Exercise 07.3 (6 minutes)
#
# The **pointing game** (Zhang, 2018) looks only at the strongest pixel of a map. Write
# `hit(values, part)`. It returns `True` if the pixel with the largest *absolute* value lies in
# `part`, a bool mask of the same shape.


# %% tags=["nbval-check-output"]
def hit(values, part):
    """Return whether the strongest pixel of a map lies in a bool mask."""
    strongest = np.argmax(np.abs(values))  # solution
    return bool(part.ravel()[strongest])  # solution


lk.check("07.3", hit)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `np.argmax` counts through the array as if it were one long row. So the mask must be made one long
# row, too, with `ravel`. The usual mistake is to leave out `np.abs`: then a strong pixel towards
# HEM is overlooked. One pixel decides the game, so smooth a noisy map first.
#
# </details>

# %% [markdown]
# ## Change the image to test the map
#
# A map states which places matter to a network. We can check it directly: change the place and
# predict again. In each leukemic cell with nucleoli we paint over
#
# - the nucleoli, in the mean color of the rest of the nucleus,
# - as a control, spots of the same form elsewhere in the nucleus (the mask turned by 180 degrees),
# - the edge of the nucleus, a thin band. It has several times as many pixels. This removes its
#   color; the *shape* of the outline stays.
#
# **Guess first:** in which of the three cases does the logit change most?


# %%
def paint_over(image, part, source):
    """Return a copy in which a part has the mean color of another part."""
    changed = image.copy()
    changed[part] = image[source].mean(axis=0)
    return changed


if lesson.dataset.synthetic:
    known = np.flatnonzero(ill & nucleoli.any(axis=(1, 2)))
    elsewhere = nucleoli[:, ::-1, ::-1] & rest
    places = {"nucleoli": nucleoli, "other spots": elsewhere, "edge": outline}
    painted, changes = {}, {}
    for name, masks in places.items():
        painted[name] = np.array([paint_over(images[i], masks[i], rest[i]) for i in known])
        after = logit_model.predict(painted[name], verbose=0).ravel()
        changes[name] = after - logits[known]
    pixels = {name: int(masks[known].sum() / len(known)) for name, masks in places.items()}
    print(len(known), "leukemic cells with nucleoli")
    change = pd.DataFrame(changes)
    means = {"mean change": change.mean(), "mean absolute change": change.abs().mean()}
    print(pd.DataFrame({"pixels": pixels, **means}).round(2))

# %% tags=["nbval-check-output", "slide"]
if lesson.dataset.synthetic:
    best = np.argmax(nucleoli[known].sum(axis=(1, 2)))  # the cell with the largest nucleoli
    index = known[best]
    figure, panels = plt.subplots(1, 4, figsize=(9, 3.3), layout="constrained")
    panels[0].imshow(lk.brighten(pictures[index]))
    panels[0].contour(nucleoli[index], levels=[0.5], colors="white", linewidths=0.8)
    panels[0].set_title(f"nucleoli circled\nlogit {logits[index]:.1f}", size=10)
    for panel, name in zip(panels[1:], painted, strict=True):
        panel.imshow(lk.brighten(painted[name][best].astype("uint8")))
        after = logits[index] + changes[name][best]
        panel.set_title(f"{name} painted over\nlogit {after:.1f}", size=10)
    for panel in panels:
        panel.axis("off")
    average = {name: np.mean(change) for name, change in changes.items()}
    figure.suptitle(
        f"Without its nucleoli a cell loses {-average['nucleoli']:.1f} logits on average; "
        f"other spots change {abs(average['other spots']):.1f}"
    )
    lesson.save_figure(figure, "painted", "One cell, and the same with three parts painted over.")

# %% [markdown]
# **The answer, for the synthetic dataset:** the network reads the nucleus, and in the nucleus above
# all the nucleoli. Painting over a few dozen pixels of nucleoli lowers the logit far more than
# painting over about as many elsewhere. (The control has a limit: it changes each pixel less,
# because the other spots already have nearly the mean color.) Painting over the edge changes the
# logit less than the nucleoli, although several times as many pixels change. This tests the color
# of the edge, not the shape of the outline. Test 4 tests the shape. Map and changes agree, and the
# map of the untrained network differs. So we may believe this map. Compare the answer with your
# guess.
#
# ### Test 4: take one kind of information away
#
# The nucleoli of real cells are not marked, so we cannot paint over them. But we can always change
# the whole image. We take one kind of information away from all test cells, and compute the AUROC
# again:
#
# - **one color**: every cell gets the mean color and contrast of the reference images. This is
#   called color normalization.
# - **smooth**: a Gaussian filter removes grain and weakens small spots: nucleoli lose about half of
#   their contrast.
# - **silhouette**: every cell is filled with its own mean color. Outline and color remain.

# %%
from scipy.ndimage import gaussian_filter

stained = references[references.any(axis=3)]  # all pixels of the reference cells


def one_color(pixels):
    standard = (pixels - pixels.mean(axis=0)) / pixels.std(axis=0)
    return np.clip(standard * stained.std(axis=0) + stained.mean(axis=0), 1, 255)


def change_cells(images, kind):
    """Return copies of the images with one kind of information taken away."""
    changed = images.astype("float32")
    for image in changed:
        mask = image.any(axis=2)
        if kind == "one color":
            image[mask] = one_color(image[mask])
        if kind == "smooth":
            weight = gaussian_filter(mask.astype(float), 2)[mask]
            image[mask] = gaussian_filter(image, (2, 2, 0))[mask] / weight[:, None]
        if kind == "silhouette":
            image[mask] = image[mask].mean(axis=0)
    return changed


# %%
from sklearn.metrics import roc_auc_score

test = lesson.split.test
test_y = lesson.y[test]
before = logit_model.predict(crops[test], verbose=0).ravel()
probe = {"as it is": {"AUROC": roc_auc_score(test_y, before), "mean change of the logit": 0.0}}
for kind in ["one color", "smooth", "silhouette"]:
    after = logit_model.predict(change_cells(crops[test], kind), verbose=0).ravel()
    moved = np.abs(after - before).mean()
    probe[kind] = {"AUROC": roc_auc_score(test_y, after), "mean change of the logit": moved}
pd.DataFrame(probe).T.round(2)

# %% [markdown]
# Read the two columns together.
#
# - The logit moves and the AUROC falls: the network probably *used* what was taken away.
# - The logit moves and the AUROC stays, or even rises: the change only *disturbed* the network.
#
# One caution: a changed image is unlike every training image. Part of a fall can come from that
# alone.
#
# On the synthetic dataset *one color* is of the second kind: the logits move, and the AUROC stays
# about the same. With some seeds it even rises. Color differs from patient to patient, and without
# this difference the ranking can become cleaner. *Smooth* and *silhouette* cost most with the
# default seed: outline and mean color are not enough for this network. The test set has few
# patients, so expect other values with another seed.
#
# The nucleoli of the synthetic dataset are more distinct than real ones. So we measured the same on
# real cells, with three splits and three trainings.

# %% tags=["nbval-check-output"]
real = lk.measured("network_reads")
pd.DataFrame(real["auroc"], index=["split 1", "split 2", "split 3"]).T.round(2)

# %% [markdown]
# **The answer, for real cells:** the outline is not enough for this network there either, since it
# ranks the silhouettes nearly at random. But *one color* is now of the first kind: it costs AUROC
# in every split. The network probably uses color or contrast: *one color* makes both the same in
# all cells. The mean color alone is not enough, since the silhouettes keep it. What it uses may be
# the stain, which differs between patients, or the darkness of the chromatin, which may be a true
# sign of the disease. Color normalization removes both, so this test cannot separate them. What
# *smooth* costs differs from split to split: networks trained on other patients may read other
# things.
#
# ## A network that reads a mark
#
# One question is left: does a network read something *beside* the cell? Imagine a laboratory that
# puts a gray mark into the corner of every image of a leukemic cell. We play this laboratory, and
# train a tiny network on small images of its training patients. A second network learns from
# the same cells without marks.

# %%
from keras import layers

small = lesson.images[:, ::2, ::2]  # every second pixel: 48 × 48
marked = small.copy()
marked[:, 2:8, 2:8] = 160  # a gray square of 6 × 6 pixels
laboratory = np.where((lesson.y == 1)[:, None, None, None], marked, small)


def build_tiny(size):
    """Return an untrained network with three convolutions."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (16, 32, 32):
        x = layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    logit = layers.Dense(1, name="logit")(x)
    return keras.Model([inputs], layers.Activation("sigmoid")(logit))


# %%
train = lesson.split.train
networks = {}
for name, source in {"with marks": laboratory, "without marks": small}.items():
    tiny = build_tiny(small.shape[1])
    tiny.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    tiny.fit(source[train], lesson.y[train], epochs=6, batch_size=16, verbose=0)
    proba = tiny.predict(source[test], verbose=0).ravel()
    print(f"trained {name}: AUROC {roc_auc_score(test_y, proba):.2f} on images of the same kind")
    networks[name] = tiny

# %% [markdown]
# The test patients are unseen; no patient is in training and test. Yet the network trained with
# marks is nearly perfect. Would you use it?
#
# **Guess first:** what is its AUROC after the mark is removed from the test images? And if the mark
# is on the *healthy* cells instead? Where will its SHAP map be strongest?
#
# ### Exercise 07.4 (7 minutes)
#
# One can find such a mark by measuring how much of a map lies *off* the cell. But
# `image.any(axis=2)` is true on the cell *and* on the mark. Write `largest_object(mask)`. It
# returns a bool mask of the largest connected object in a bool mask. `skimage.measure.label`
# numbers the objects 1, 2, 3, …; the background is 0.


# %% tags=["nbval-check-output"]
from skimage.measure import label


def largest_object(mask):
    """Return a bool mask of the largest connected object."""
    numbered = label(mask)  # solution
    counts = np.bincount(numbered.ravel())  # solution
    counts[0] = 0  # solution
    return numbered == counts.argmax()  # solution


lk.check("07.4", largest_object)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `np.bincount` counts the pixels of each number. Number 0 is the background, often the largest of
# all, so its count is set to zero first. The usual mistake is to forget this: then the function
# returns the background. `numbered == number` gives a bool mask; `label` itself returns whole
# numbers.
#
# </details>

# %% [markdown]
# Now the result. We score the network trained with marks on three versions of the same test cells.

# %%
other_way = np.where((lesson.y == 0)[:, None, None, None], marked, small)
versions = {"mark on ALL cells": laboratory, "no mark": small, "mark on HEM cells": other_way}
for name, version in versions.items():
    proba = networks["with marks"].predict(version[test], verbose=0).ravel()
    recall = (proba[test_y == 1] >= 0.5).mean()
    print(f"{name:17}  AUROC {roc_auc_score(test_y, proba):.2f}, recall of ALL {recall:.2f}")

# %% [markdown]
# And the maps of four leukemic test cells with the mark. SHAP values add up, so we can also compute
# how many logits the mark contributes, compared with reference images without a mark: the sum over
# its square.

# %%
some = marked[test[test_y == 1][:4]]
mark_maps, on_mark = {}, {}
tiny_references = small[rng.choice(train, 32, replace=False)].astype("float32")  # without a mark
for name, tiny in networks.items():
    tiny_logits = keras.Model([tiny.inputs[0]], tiny.get_layer("logit").output)
    tiny_explainer = shap.GradientExplainer(tiny_logits, tiny_references)
    values = tiny_explainer.shap_values(some.astype("float32"), nsamples=100, rseed=seed)
    mark_maps[name] = values[..., 0].sum(axis=-1)
    on_mark[name] = mark_maps[name][:, 2:8, 2:8].sum(axis=(1, 2)).mean()
    print(f"trained {name}: the mark contributes {on_mark[name]:+.1f} logits per cell on average")

# %% tags=["nbval-check-output", "slide"]
mark_limit = np.percentile(np.abs(list(mark_maps.values())), 99.5)

figure = plt.figure(figsize=(7, 5.8), layout="constrained")
bands = figure.subfigures(3, 1)
bands[0].suptitle("leukemic cells with the mark", size=10)
for panel, picture in zip(bands[0].subplots(1, 4), some, strict=True):
    panel.imshow(lk.brighten(picture))
    panel.axis("off")
for band, name in zip(bands[1:], mark_maps, strict=True):
    band.suptitle(f"trained {name}: the mark contributes {on_mark[name]:+.1f} logits", size=10)
    for panel, values, picture in zip(band.subplots(1, 4), mark_maps[name], some, strict=True):
        draw_map(panel, values, picture, mark_limit)
figure.suptitle("Only the network trained with marks reads the mark")
lesson.save_figure(figure, "mark", "Four cells with a mark, and the SHAP maps of two networks.")

# %% [markdown]
# Your function of exercise 07.4 finds such a mark without knowing where it is. For one map, the
# share off the cell is `np.abs(values)[~largest_object(mask)].sum() / np.abs(values).sum()`, with
# `values = mark_maps["with marks"][0]` and `mask = some[0].any(axis=2)`.
#
# Without the mark the network finds no leukemic cell any more. With the mark on the healthy cells
# it ranks nearly every pair the wrong way round. Its SHAP map marks the square. It has learned the
# mark and hardly anything else: a **shortcut**. The test score could not show this, because the
# test images came from the same laboratory. So do not use it.
#
# Here the map found the shortcut, and removing the mark proved it. Shortcuts inside the cell, such
# as its color, leave no such visible trace. For them you need a change of the image (test 4)
# or cells from another laboratory.
#
# **What the maps of this lesson can do.** SHAP values estimate *how much a part of the image*
# contributed, compared with the reference images. Here three things support them: they add up (test
# 1), they depend on the training (test 2), and painting over the nucleoli changed the logit as the
# map suggested. The sum alone is not enough: a map with shuffled pixels has the same sum. Do not
# believe them pixel by pixel. Grad-CAM is a first look: coarse, one-sided, without units. No map
# shows that a prediction is *correct*, or that the marked place *causes* the disease.

# %%
lesson.record(
    shap_strength_ratio_to_untrained=round(float(ratio), 1),
    shap_rank_correlation_with_untrained=round(float(similar), 2),
    strongest_part_of_shap=top,
)
lesson.quiz()

# %% [markdown]
# ## Going further
#
# **Integrated gradients** (Sundararajan, 2017) need no random draws. They start from one image,
# here the mean of the reference images, and fade the cell in step by step. They collect the
# gradients on the way. (The explainer above does the same from many reference images, at random
# steps.) The values add up to the logit of the cell minus the logit of the start.


# %%
def integrated_gradients(images, start, steps=24):
    """Return the integrated gradients of the logit, in the shape of the images."""
    total = np.zeros_like(images)
    for share in (np.arange(steps) + 0.5) / steps:
        points = tf.constant(start + share * (images - start))
        with tf.GradientTape() as tape:
            tape.watch(points)
            outputs = logit_model([points], training=False)
        total += tape.gradient(outputs, points).numpy()
    return total / steps * (images - start)


start = references.mean(axis=0)
gradients = integrated_gradients(images[shown], start)
start_logit = logit_model.predict(start[None], verbose=0)[0, 0]
ig_error = np.abs(gradients.sum(axis=(1, 2, 3)) - (logits[shown] - start_logit)).mean()
shap_error = np.abs(shap_values.sum(axis=(1, 2, 3, 4)) - expected)[shown].mean()
print(f"mean error of the sums: integrated gradients {ig_error:.2f}, SHAP {shap_error:.2f}")

# %% [markdown]
# - Compute them for all sixteen cells, and repeat test 3 with `gradients.sum(axis=-1)`. Do the
#   nucleoli stand out again? (On the synthetic dataset they do.)
# - The [glossary](../docs/glossary.md) explains the terms of this lesson.
#
# ## Use it on your data
#
# The same steps for a Keras network of your own and a folder of images. Crop, resize and scale the
# images exactly as for training. Here that is done by `crop_to_cell` of exercise 03.2.
#
# If your last layer is `Dense(1, activation="sigmoid")`, set
# `model.layers[-1].activation = keras.activations.linear` after loading. Then
# `keras.Model([model.input], model.output)` is the logit model.
#
# ```python
# from pathlib import Path
#
# import keras
# import matplotlib.pyplot as plt
# import numpy as np
# import shap
# from PIL import Image
#
# model = keras.models.load_model("model.keras")
# logit_model = keras.Model([model.input], model.get_layer("logit").output)
# size = model.input_shape[1]
# files = sorted(Path("my_cells").glob("*.png"))
# cells = [crop_to_cell(Image.open(file).convert("RGB"), size) for file in files]
# images = np.stack([np.array(cell) for cell in cells]).astype("float32")  # not uint8
#
# references = images[::2]  # better: training images
# values = shap.GradientExplainer(logit_model, references).shap_values(images[:6], nsamples=200)
# logits = logit_model.predict(images[:6]).ravel()
# print("should be", logits - logit_model.predict(references).mean())
# print("sum      ", values.sum(axis=(1, 2, 3, 4)))
# shap.image_plot(values[..., 0], images[:6] / 255)
# ```
#
# Keras may warn about the structure of the inputs. The sums decide whether all is well. Before you
# show the maps to anyone, repeat test 2 with `keras.models.clone_model(model)`.

# %% [markdown] tags=["slide"]
# ## Key points
#
# - SHAP values of an image add up to its logit minus the mean logit of the reference images. Check
#   this sum first: it finds mistakes that the picture hides, such as `uint8` images.
# - A convincing map is no evidence. Compare it with the map of an untrained network, on the same
#   color scale and by rank correlation.
# - Grad-CAM is quick and coarse, and shows only what speaks for one class.
# - A map shows where. To learn what is read there, change the image and predict again.
# - Nucleus or outline? On the synthetic dataset the network reads the nucleus, above all its
#   nucleoli. On real cells the outline alone is not enough for this network either, and the AUROC
#   falls if all cells get the same color and contrast.
# - A perfect score on unseen patients does not exclude a shortcut.
#
# **Read next:** lesson 08 replaces the network of the course by a pretrained one. On untrained
# networks: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018. On SHAP: Lundberg and
# Lee, NeurIPS 2017. On Grad-CAM: Selvaraju et al., ICCV 2017. On integrated gradients:
# Sundararajan, Taly and Yan, ICML 2017.
