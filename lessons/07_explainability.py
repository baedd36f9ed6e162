# %% [markdown]
# # 07 · Explainability
#
# After this lesson you will be able to make a heat map, and to test it before you believe it.
#
# **45 minutes to teach · about a minute to run (two, if the network must be trained first)**

# %% [markdown]
# **Questions**
#
# - Which pixels moved the network towards ALL, and which towards HEM?
# - Does a convincing heat map show that a network has learnt something?
# - What can one check when the truth is known?
#
# **Objectives** – you will
#
# 1. explain single answers with SHAP and with Grad-CAM, and say what their numbers mean;
# 2. test an explanation against an untrained network;
# 3. measure how much of an explanation lies where the truth is.

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

from leukhelpers import explain, learning, lesson, models, plots, runs
from leukhelpers.pixels import resize_masks
from leukhelpers.quiz import check

here = lesson.begin("07", dataset, profile, seed, run)
prepared = here.prepare()
table, note = prepared.table, prepared.dataset.note
pixels = learning.pictures("cnn", prepared)  # each cell in its own box, as the network sees it
trained = runs.ensure_run(here.run, prepared)
model = runs.load_model(trained.folder)

# %% [markdown]
# ## Six cells to explain
#
# Three leukemic and three healthy cells of people whom the network has not met: for each class
# the most right answer, one in the middle, and the most wrong one.

# %%
ranked = trained.predictions.sort_values("probability")
kinds = {"HEM": ranked[ranked["label"] == 0], "ALL": ranked[ranked["label"] == 1][::-1]}
chosen = pd.concat([kind.iloc[[0, len(kind) // 2, -1]] for kind in kinds.values()])
row_of = {cell_id: row for row, cell_id in enumerate(table["cell_id"])}
images = pixels[[row_of[cell_id] for cell_id in chosen["cell_id"]]]
titles = [
    f"{'ALL' if label else 'HEM'}, P(ALL) = {probability:.2f}"
    for label, probability in zip(chosen["label"], chosen["probability"], strict=True)
]

# %% [markdown]
# ## SHAP: who contributed how much?
#
# A probability near 1 hardly moves any more, whatever one changes. The **logit** in front of the
# sigmoid does: it is a sum, positive for ALL, negative for HEM. SHAP shares it out among the
# pixels. To share out one needs a starting point: a *background* of training cells. The shares of
# a cell add up to its logit minus the mean logit of the background.

# %%
background = np.load(trained.folder / "background.npy")
shap_values = explain.shap_gradient(model, images, background, n_samples=400, seed=seed)
by_pixel = shap_values.sum(axis=-1)
print("one number for each pixel and colour:", shap_values.shape)

# %% [markdown]
# Do they add up? That is the first test, **completeness**. SHAP's gradient explainer draws random
# samples, so the sum is met roughly; more samples bring it nearer.

# %%
logit = models.logit_model(model)
expected = logit.predict(images.astype("float32"), verbose=0).ravel()
expected -= logit.predict(background.astype("float32"), verbose=0).mean()
pd.DataFrame(
    {"logit minus background": expected, "sum of SHAP values": by_pixel.sum(axis=(1, 2))},
    index=titles,
).round(2)

# %% [markdown]
# ## Grad-CAM: where does the last layer look?
#
# Grad-CAM asks the last convolution instead. It is coarse, quick and only shows what speaks *for*
# ALL.

# %%
print(inspect.getsource(explain.grad_cam).split('"""')[2])

# %% tags=["nbval-check-output"]
cam = explain.grad_cam(model, images)
figure = plots.attribution_grid(
    images,
    {"SHAP": by_pixel, "Grad-CAM": cam},
    titles,
    title="What moved the network, by two methods",
    note=note,
)
here.show(
    figure, "maps", "Six cells, each with its SHAP values towards HEM or ALL and its Grad-CAM map."
)

# %% [markdown]
# Orange speaks for ALL, blue for HEM. It is tempting to tell a story now: "it looks at the
# nucleus", "it has found the nucleoli". But look at the **edge** of the cells, too. Every cell
# fills its picture, so the network cannot measure *size*, the ruler of lesson 01; the *form* of the
# outline it can. Does it read the nucleus or the outline? Keep both stories in mind until the end
# of the lesson.
#
# ## The surprise: an untrained network draws maps, too
#
# We take the same network and replace what it has learnt by random numbers. It knows nothing. What
# do its maps look like?

# %% tags=["nbval-check-output"]
ignorant = explain.randomise_weights(model, seed=seed + 1)
ignorant_cam = explain.grad_cam(ignorant, images)
ignorant_shap = explain.shap_gradient(ignorant, images, background, 200, seed).sum(axis=-1)
figure = plots.attribution_grid(
    images,
    {"SHAP, untrained": ignorant_shap, "Grad-CAM, untrained": ignorant_cam},
    [f"trained: {told}" for told in titles],
    title="SHAP traces the cell for a network that knows nothing, too",
    note=note,
)
here.show(figure, "untrained", "The same six cells explained by a network with random weights.")

# %% [markdown]
# Read the colour bars first: these values are far smaller than before, and each figure is stretched
# to its own range. Then look at SHAP: it traces the edge of the cell again, now for a network that
# has never learnt anything. The edge is simply where there is something to see. And Grad-CAM: is it
# still on the cell, or somewhere else? A method whose maps change when the learning is taken away
# passes this test; one whose maps do not is drawing the picture, not the network.
#
# The eye is easily fooled here, so we measure: the rank correlation of the pixels inside the cell
# between the two networks' maps. 1 means the same order, 0 nothing in common. For SHAP we do it
# twice. *Signed* compares direction, for ALL or for HEM. *Strength* leaves the sign out and
# compares only *where* a map is strong, as the eye does.

# %%
inside = images.max(axis=-1) > 0
similarity = pd.DataFrame(
    {
        "SHAP, signed": explain.rank_similarity(by_pixel, ignorant_shap, inside),
        "SHAP, strength": explain.rank_similarity(abs(by_pixel), abs(ignorant_shap), inside),
        "Grad-CAM": explain.rank_similarity(cam, ignorant_cam, inside),
    },
    index=titles,
)
similarity.round(2).astype(object).where(similarity.notna(), "blank map")

# %% [markdown]
# A *blank map* has no order: one of the two networks shows nothing inside that cell. Where
# *strength* is well above 0 while *signed* is near 0, the two networks mark the same places in
# other colours. The places then come from the picture; only the colours can come from learning. And
# mind that two *untrained* networks disagree in sign as well: a 0 alone proves nothing.
#
# **Second check: the background.** Nothing is to be seen on the black. Which share of an
# explanation lies there?

# %%
shares = pd.DataFrame(
    {
        "SHAP": explain.black_share(by_pixel, images),
        "Grad-CAM": explain.black_share(cam, images),
        "by area of the picture": (images.max(axis=-1) == 0).mean(axis=(1, 2)),
    },
    index=titles,
)
shares.round(2)

# %% [markdown]
# Part of it is spill: Grad-CAM's map has a coarse grid. A map in a far corner is not. And it may be
# that the network reads the outline: then the black just outside *is* evidence, for it says where
# the cell ends.
#
# ## A truth to check against
#
# Of real cells nobody knows which pixels make them leukemic. Of the twin it is known, because the
# program that drew the cells wrote it down: chromatin, nucleoli, the outline of the nucleus. So we
# can ask how much of an explanation lies there, compared with what an even spread over the
# cell would give. (On real cells this part is left out.)

# %%
if prepared.dataset.synthetic:
    from leukhelpers.datasets.twin import cause_masks

    masks = cause_masks(prepared.dataset.root, chosen["cell_id"])
    small = {
        name: resize_masks(found, *learning.picture_size("cnn", prepared.profile), masks["cell"])
        for name, found in masks.items()
    }

# %%
if prepared.dataset.synthetic:
    rows = {}
    for name in ("outline", "chromatin", "nucleoli"):
        rows[name] = {
            "SHAP": explain.mask_share(by_pixel, small[name]).mean(),
            "untrained SHAP": explain.mask_share(ignorant_shap, small[name]).mean(),
            "even spread": (small[name].sum() / small["cell"].sum()),
        }
    truth = pd.DataFrame(rows).T
    print(truth.round(2))

# %% [markdown]
# A share above "even spread" says that the map is denser there than elsewhere in the cell. A share
# that the untrained network reaches as well says nothing about learning. So go back to your two
# stories: which of these parts has a share above *both*? Only that is evidence.

# %%
here.record(
    **{f"similarity to untrained, {name}": round(x, 2) for name, x in similarity.mean().items()},
    share_of_shap_on_black=round(float(shares["SHAP"].mean()), 2),
    share_of_grad_cam_on_black=round(float(shares["Grad-CAM"].mean()), 2),
)

# %% [markdown]
# ## Exercises
#
# **07.1** A cell has the logit 1.2, the background has the mean logit −0.8. To which number should
# its SHAP values add up?

# %% tags=["nbval-check-output"]
answer = 1.2 - (-0.8)  # solution
check("07.1", answer)

# %% [markdown]
# **07.2** Someone shows you a heat map that lies exactly on the nucleus, and says: "So the network
# has learnt to look at the nucleus." Which question do you ask first?
# `"Which colour map is that?"`, `"What does the map of an untrained network look like?"` or
# `"How many layers has it?"`

# %% tags=["nbval-check-output"]
answer = "What does the map of an untrained network look like?"  # solution
check("07.2", answer)

# %% [markdown]
# **07.3** Which of the six cells has the largest share of its SHAP values on black? Give its
# position, 0 to 5.

# %% tags=["nbval-check-output"]
answer = int(explain.black_share(by_pixel, images).argmax())  # solution
check("07.3", answer, shares=shares["SHAP"])

# %% [markdown]
# ## Key points
#
# - SHAP shares out the logit; its values add up. Grad-CAM is coarse and one-sided.
# - A convincing map is no evidence. Compare it with the map of an untrained network.
# - Where the truth is known, measure. Where it is not, stay modest.
#
# **Read next:** Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, from where the
# test with random weights comes. On SHAP: Lundberg and Lee, NeurIPS 2017; on Grad-CAM: Selvaraju
# et al., ICCV 2017.
