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
# - Does a handsome heat map show that a network has learnt something?
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

from leukhelpers import explain, lesson, models, plots, runs
from leukhelpers.pixels import resize_masks
from leukhelpers.quiz import check

here = lesson.begin("07", dataset, profile, seed, run)
prepared = here.prepare()
table, pixels, note = prepared.table, prepared.pixels, prepared.dataset.note
crop = prepared.profile.crop
trained = runs.ensure_run(here.run, prepared)
model = runs.load_model(trained.folder)

# %% [markdown]
# ## Six cells to explain
#
# Three leukemic and three healthy cells of people whom the network has not met: for each class
# the answer of which it was surest, one in the middle, and the one that went most wrong.

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
# samples, so the sum is met nearly, not exactly.

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
# nucleus", "it has found the nucleoli". But see where SHAP puts its weight: along the **edge**, and
# on the black around it. What is not there counts as well: black where a larger cell would be
# speaks for HEM. That looks like a network that measures *size*, the ruler of lesson 01. Hold the
# story back for a moment, though.
#
# ## The surprise: an untrained network draws handsome maps, too
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
    ["" for _ in titles],
    title="A network that knows nothing explains itself just as neatly",
    note=note,
)
here.show(figure, "untrained", "The same six cells explained by a network with random weights.")

# %% [markdown]
# Look at the SHAP column. It traces the edge of the cell again, now for a network that has never
# learnt anything: the edge is simply where there is something to see. Grad-CAM draws its warm,
# round spots again, wherever they fall. Either would pass in a publication.
#
# So a handsome map proves nothing. What counts is the **difference** between the two networks. We
# compare the order of the pixels by a rank correlation: 1 means the same map, 0 means nothing in
# common, and below 0 what was for is now against.

# %%
similarity = pd.DataFrame(
    {
        "SHAP": explain.rank_similarity(by_pixel, ignorant_shap),
        "Grad-CAM": explain.rank_similarity(cam, ignorant_cam),
    },
    index=titles,
)
similarity.round(2)

# %% [markdown]
# The nearer to 0, the more of a map comes from what was learnt. A method whose maps stay alike is
# drawing the picture, not the network.
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
# Grad-CAM spills over the edge since its map has a coarse grid. It may also be that the network
# measures the cell by its outline: then the black just outside *is* evidence.
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
        name: resize_masks(found, prepared.profile.size, crop) for name, found in masks.items()
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
# A share above "even spread" says that the network looks there more than elsewhere in the cell. A
# share that the untrained network reaches as well says nothing about learning.

# %%
here.record(
    similarity_to_untrained_shap=round(float(similarity["SHAP"].mean()), 2),
    similarity_to_untrained_grad_cam=round(float(similarity["Grad-CAM"].mean()), 2),
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
# - A handsome map is no evidence. Compare it with the map of an untrained network.
# - Where the truth is known, measure. Where it is not, stay modest.
#
# **Read next:** Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, from where the
# test with random weights comes. On SHAP: Lundberg and Lee, NeurIPS 2017; on Grad-CAM: Selvaraju
# et al., ICCV 2017.
