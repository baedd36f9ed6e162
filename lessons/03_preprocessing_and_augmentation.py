# %% [markdown] tags=["slide"]
# # 03 · Preprocessing and augmentation
#
# After this lesson you will be able to say what happens to a picture on its way into the network,
# and to notice when it is ruined on the way.
#
# **35 minutes to teach · under a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - How small may a picture become before the cell is lost?
# - What can go wrong although no error is raised?
# - Which changes of a picture leave the diagnosis as it is?
#
# **Objectives** – you will
#
# 1. choose a crop and a size by a figure, not by habit;
# 2. recognize two silent mistakes, a wrong resize and a double scaling;
# 3. augment pictures in the input pipeline, and show that the background stays black.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import inspect

import numpy as np
import pandas as pd

from leukhelpers import plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.data.pictures import read_image
from leukhelpers.images import augmentation, features
from leukhelpers.images.preprocessing import crop_and_resize
from leukhelpers.models import networks

here = lesson.begin("03", dataset, profile, seed, run)
prepared = here.prepare()
table, pixels, note = prepared.table, prepared.pixels, prepared.dataset.note
size, crop = prepared.profile.size, prepared.profile.crop

# %% [markdown]
# ## From the file to the array
#
# A published picture has 450×450 pixels, and most of them are black.

# %%
root = prepared.dataset.root
original = read_image(root / table["path"].iloc[0])
print(
    "as published:",
    original.shape,
    original.dtype,
    f"{(original.max(axis=2) == 0).mean():.0%} black",
)

# %% [markdown]
# A network's work grows with the number of pixels, so the picture is made smaller in two steps:
# **crop** (cut a square out of the middle) and **resize** (average its pixels). The crop must not
# be too small, or it cuts cells; nor too large, or most of what is kept is black. How many of
# our cells reach beyond a crop?


# %%
def reach(image):
    """Side of the smallest centered square that holds the whole cell, in pixels."""
    middle = (np.array(image.shape[:2]) - 1) / 2
    points = np.argwhere(image.max(axis=2) > 0)
    return int(np.ceil(2 * np.abs(points - middle).max() + 1)) if len(points) else 0


# %% [markdown]
# We ask a sample of the *training* cells: what we choose by, the test people must not decide.

# %%
generator = np.random.default_rng(seed)
train = prepared.split.train
sample = generator.choice(train, min(300, len(train)), replace=False)
reaches = np.array([reach(read_image(root / path)) for path in table["path"].iloc[sample]])
for side in (224, 300, 350, 384, 420):
    print(f"crop {side}: cuts {(reaches > side).mean():5.1%} of {len(sample)} sampled cells")

# %% [markdown]
# Whoever crops to 224 or 300, because a famous network has that input, cuts cells that are large,
# off the center or joined to a neighbor, and size is information. From which line on is next to
# nothing cut? This course crops to 384: that leaves room for cells that are not in the sample, and
# four by four pixels average to one of a picture of 96.

# %% tags=["nbval-check-output", "slide"]
sides = {"crop 300 → 96": 300, "crop 384 → 96": 384, "whole → 96": 450}
large = read_image(root / table["path"].iloc[sample[np.argmax(reaches)]])
figure = plots.plot_cells(
    np.stack([crop_and_resize(large, size, side) for side in sides.values()]),
    list(sides),
    columns=3,
    title="A crop that is too small cuts what reaches far",
    note=note,
)
here.show(figure, "crop", "One cell that reaches far from the center, under three crops.")

# %% [markdown] tags=["slide"]
# ## The surprise: two mistakes that raise no error
#
# **First mistake.** NumPy has a function called `resize`. It gives an array of the wanted shape,
# without complaint.

# %% tags=["nbval-check-output", "slide"]
cell = original[33:417, 33:417]
wrong = np.resize(cell, (size, size, 3))
right = crop_and_resize(original, size, crop)
figure = plots.plot_cells(
    np.stack([right, wrong]),
    ["averaged", "np.resize"],
    columns=2,
    title="np.resize does not resize a picture",
    note=note,
)
here.show(figure, "np-resize", "Left the cell made smaller; right what np.resize makes of it.")

# %% [markdown]
# It fills the new array with the first numbers of the old one: nearly always the black of the upper
# edge. From black pictures nothing can be learnt but the majority answer, and its accuracy, as
# lesson 00 has shown, does not look alarming.
#
# **Second mistake.** Pixels from 0 to 255 are scaled to 0 to 1 before the first convolution. If
# both the pipeline and the model do it, the picture is divided by 255 twice.

# %% tags=["nbval-check-output"]
white = np.full((1, 2, 2, 3), 255, dtype=np.uint8)
once = white / 255
twice = once / 255
print(f"white, scaled once: {once.max():.3f}; scaled twice: {twice.max():.3f}, nearly black")

# %% [markdown]
# In this course the **model** does its own scaling, and everything that feeds it hands over plain
# pixels from 0 to 255. Then the training, the web page and the explanations cannot disagree.

# %% tags=["nbval-check-output"]
network = networks.build_cnn(size)
print([layer.name for layer in network.layers[:3]], "takes", network.input_shape)

# %% [markdown]
# ## Augmentation: changes that mean nothing
#
# A cell on a slide has no up and no left. If the network sees each cell turned another way at each
# pass, it cannot learn the angle by heart. The same goes, within limits, for stain and light. Here
# is the top of it: eight random numbers an image. `move` turns, mirrors and zooms; `recolor`
# changes contrast, brightness and stain.

# %%
print(inspect.getsource(augmentation.augment_batch))

# %% [markdown]
# Turning, mirroring and zooming are *one* matrix and one resampling, since each resampling blurs a
# little, and blur would become the mark of an augmented picture.

# %% tags=["nbval-check-output", "slide"]
typical = sample[np.argsort(reaches)[len(reaches) // 2]]
batch = np.repeat(pixels[typical][None], 12, axis=0)
augmented = augmentation.augment_batch(batch, (seed, 0)).numpy()
figure = plots.plot_cells(
    augmented.round().astype(np.uint8),
    [""] * 12,
    columns=6,
    title="Twelve times the same cell, and the same diagnosis",
    note=note,
)
here.show(figure, "augmented", "One cell, turned, mirrored, zoomed and recolored in twelve ways.")

# %% [markdown]
# What is random must still repeat: the numbers come from a *seed*, so that the same seed gives the
# same pictures. And the black must stay black, or the network could tell by the background what
# was augmented.

# %% tags=["nbval-check-output"]
again = augmentation.augment_batch(batch, (seed, 0)).numpy()
other = augmentation.augment_batch(batch, (seed, 1)).numpy()
print("same seed, same pictures:     ", bool((augmented == again).all()))
print("another seed, other pictures: ", bool((augmented != other).any()))
corners = augmented[:, [0, 0, -1, -1], [0, -1, 0, -1]]
print("all corners still black:      ", bool(corners.max() == 0))

# %% [markdown]
# One of the changes is *not* harmless. Zooming by a tenth changes the area by a fifth, and lesson
# 01 has shown what the area tells. A network that cannot rely on the exact size has to look for
# something else. The network of lesson 05 goes further and gets each cell in its own box, as large
# as all others.
#
# And note how little the colors change. Three times as much was tried: on unseen people the
# network lost more by it than by anything else that was tried (the log of all trials, with their
# figures, is `docs/cnn-log.md` in the course's repository). Color noise is meant to hide the
# laboratory's stain. Where the color itself is evidence, it hides that, too. An augmentation is a
# claim about what does not matter, and claims are tested.

# %%
area = pd.Series(features.cell_area(augmented, crop) / features.cell_area(batch, crop))
print(f"area after augmentation, relative: {area.min():.2f} to {area.max():.2f}")
here.record(
    cells_cut_by_crop_300=f"{(reaches > 300).mean():.1%}",
    cells_cut_by_crop_384=f"{(reaches > 384).mean():.1%}",
    area_after_augmentation=f"{area.min():.2f} to {area.max():.2f} times",
)

# %% [markdown]
# Augmentation belongs to the **input pipeline**, never inside a saved model. Keras' own
# augmentation layers stay active when a model is called in some ways, and then the same cell gets
# another answer each time: no explanation and no web page could live with that.

# %% tags=["nbval-check-output"]
random_layers = [layer.name for layer in network.layers if layer.name.startswith("random")]
print("layers of the network that are random:", random_layers)

# %% [markdown]
# ## Exercises
#
# **03.1** What is the smallest crop, in steps of 10 pixels from 200 to 450, that cuts at most 2 %
# of the cells in `reaches`?

# %% tags=["nbval-check-output"]
sides = range(200, 451, 10)  # solution
answer = next((side for side in sides if (reaches > side).mean() <= 0.02), 450)  # solution
check("03.1", answer, reaches=reaches)

# %% [markdown]
# **03.2** Which of these changes may *not* be used to augment these cells: `"turn"`, `"mirror"`,
# `"exchange red and blue"`, `"slightly brighter"`?

# %% tags=["nbval-check-output"]
answer = "exchange red and blue"  # solution
check("03.2", answer)

# %% [markdown]
# **03.3** Write a function `scale(image)` that scales a picture to 0 … 1 and *refuses* one that has
# been scaled already: it should raise a `ValueError` if the largest value is 1 or less (and not
# 0). Then set `answer = scale`, without brackets.


# %% tags=["nbval-check-output"]
def scale(image):  # solution
    if 0 < image.max() <= 1:  # solution
        raise ValueError("scaled already")  # solution
    return image / 255  # solution


answer = scale  # solution
check("03.3", answer)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Choose the crop by counting the cells that it cuts.
# - The worst mistakes raise no error. Look at what the network sees.
# - The model scales; the pipeline augments; each does it in one place only.
#
# **Read next:** lesson 04. On augmentation of stained tissue: Tellez et al., "Quantifying the
# effects of data augmentation and stain color normalization", *Medical Image Analysis* 58 (2019).
