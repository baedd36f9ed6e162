# %% [markdown] tags=["slide"]
# # 07 · Explainability
#
# After this lesson you will be able to make a heat map, and to test it before you believe it.
#
# **75 minutes to teach · about a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - Which pixels moved the network towards ALL, and which towards HEM?
# - Does a convincing heat map show that a network has learnt something?
# - What can one check when the truth is known, and what when it is not?
#
# **Objectives** – you will
#
# 1. explain single answers by several methods, and say what their numbers mean;
# 2. put an explanation to seven tests, (a) to (g), and choose a method for a question;
# 3. catch a network that reads a mark beside the cell.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import inspect
from functools import partial

import numpy as np
import pandas as pd

from leukhelpers import plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.experiments import storage
from leukhelpers.explain import attribution, deletion, evaluation, localisation, sanity, shortcuts
from leukhelpers.explain.common import logits
from leukhelpers.explain.grad_cam import grad_cam
from leukhelpers.explain.integrated_gradients import integrated_gradients
from leukhelpers.explain.shap_values import shap_gradient
from leukhelpers.images.preprocessing import resize_masks
from leukhelpers.models import prepare, profiles, registry, training
from leukhelpers.splits import groups

# %%
here = lesson.begin("07", dataset, profile, seed, run)
prepared = here.prepare()
table, note = prepared.table, prepared.dataset.note
pixels = prepare.pictures("cnn", prepared)  # each cell in its own box, as the network sees it
trained = storage.ensure_run(here.run, prepared)
model = registry.load_model(trained.folder)

# %% [markdown]
# A **heat map** colors each place of a picture by how much it moved the network's answer. These
# are the seven tests that it will have to pass; each has its letter at the place where it comes.
#
# | test | asks |
# | --- | --- |
# | (a) completeness | do the shares of all pixels add up to the answer? |
# | (b) forgetting | does the map change when the network forgets what it has learnt? |
# | (c) deletion and insertion | does the network miss what the map names? |
# | (d) beside the cell | how much of the map lies on the black background? |
# | (e) known causes | does it find what is known to make a cell leukemic (twin only)? |
# | (f) a small turn | is it the same map when the cell is turned a little? |
# | (g) a probe | what happens to the answer when size, stain or background is taken away? |
#
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
#
# How does it know a pixel's share? By **gradients**: the gradient of a pixel says how much the
# logit would rise if that pixel became a little brighter. SHAP's gradient explainer takes it at
# many points on the way from a background cell to this one, and adds it up.

# %%
background = np.load(trained.folder / "background.npy")
shap_values = shap_gradient(model, images, background, n_samples=100, seed=seed)
by_pixel = shap_values.sum(axis=-1)
print("one number for each pixel and color:", shap_values.shape)

# %% [markdown]
# ### Test (a): do they add up?
#
# That is **completeness**. The points are drawn at random, so the sum is met roughly; more of them
# bring it nearer. Where the two columns differ by as much as their own size, that cell's map
# deserves no story.

# %%
expected = logits(model, images) - logits(model, background).mean()
pd.DataFrame(
    {"logit minus background": expected, "sum of SHAP values": by_pixel.sum(axis=(1, 2))},
    index=titles,
).round(2)

# %% [markdown]
# ## Two relatives
#
# **Integrated gradients** draws nothing at random: it fades the cell in, from the mean picture of
# the background, and adds up what each pixel contributes on the way. **Grad-CAM** does not go back
# to the pixels. It stops at the maps of the last convolution (lesson 05), weighs each by how much
# the logit grows with it, and adds them up: in the code below, `weights` and `map_`. It is coarse,
# quick and only shows what speaks *for* ALL.

# %%
print(inspect.getsource(grad_cam).split('"""')[2])

# %% tags=["nbval-check-output", "slide"]
fade = integrated_gradients(model, images, background).sum(axis=-1)
cam = grad_cam(model, images)
maps = {"SHAP": by_pixel, "integrated gradients": fade, "Grad-CAM": cam}
figure = plots.plot_maps(
    images, maps, titles, title="What moved the network, by three methods", note=note
)
here.show(
    figure,
    "maps",
    "Six cells, each with three maps of what spoke for HEM or ALL, by three methods.",
)

# %% [markdown] tags=["slide"]
# Orange speaks for ALL, blue for HEM; where Grad-CAM is blank, it finds nothing that spoke for ALL.
# It is tempting to tell a story now: "it looks at the
# nucleus", "it has found the nucleoli". But look at the **edge** of the cells, too. Every cell
# fills its picture, so the network cannot measure *size*, the ruler of lesson 01; the *form* of the
# outline it can. Does it read the nucleus or the outline? Keep both stories in mind until the end
# of the lesson.
#
# ## The surprise: an untrained network draws maps, too
#
# We take the same network and replace what it has learnt by random numbers. It knows nothing. What
# do its maps look like?

# %% tags=["nbval-check-output", "slide"]
ignorant = sanity.randomize_weights(model, seed=seed + 1)
ignorant_cam = grad_cam(ignorant, images)
ignorant_shap = shap_gradient(ignorant, images, background, 50, seed).sum(axis=-1)
figure = plots.plot_maps(
    images,
    {"SHAP, untrained": ignorant_shap, "Grad-CAM, untrained": ignorant_cam},
    [f"trained: {told}" for told in titles],
    title="SHAP traces the cell for a network that knows nothing, too",
    note=note,
)
here.show(figure, "untrained", "The same six cells explained by a network with random weights.")

# %% [markdown]
# Read the color bars first: each figure is stretched to its own range. Then look at SHAP: it
# traces the edge of the cell again, now for a network that has never learnt anything. The edge is
# simply where there is something to see. A method whose maps change when the learning is taken away
# passes this test; one whose maps do not is drawing the picture, not the network.
#
# ### Test (b): does the map forget what the network forgets?
#
# The eye is easily fooled here, so we measure. Put the pixels inside the cell in the order of the
# first map, from HEM to ALL, then in that of the second, and compare the two orders: this is the
# **rank correlation**. 1 means the same order, 0 nothing in common, below 0 rather the reverse. And
# we let the network forget **layer by layer**, from the last one down (Adebayo 2018), on three of
# the cells.

# %% tags=["nbval-check-output", "slide"]
quick_shap = partial(shap_gradient, background=background, n_samples=20, seed=seed)
methods = {
    "SHAP": lambda network, cells: quick_shap(network, cells).sum(axis=-1),
    "integrated gradients": lambda network, cells: attribution.explain_pixels(
        "integrated", network, cells, background
    ),
    "Grad-CAM": grad_cam,
}
alike = pd.DataFrame(
    {name: sanity.cascade(model, way, images[::2], seed) for name, way in methods.items()}
)
figure = plots.forgetting_lines(
    alike, title="What is left of each map while the network forgets", note=note
)
here.show(figure, "forgetting", "Rank correlation of maps with the first, as layers are forgotten.")

# %% [markdown]
# *Signed* maps compare direction, for ALL or for HEM. *Strength* leaves the sign out and compares
# only *where* a map is strong, as the eye does:

# %%
inside = localisation.cell_of(images)
similarity = pd.DataFrame(
    {
        "SHAP, signed": sanity.rank_similarity(by_pixel, ignorant_shap, inside),
        "SHAP, strength": sanity.rank_similarity(abs(by_pixel), abs(ignorant_shap), inside),
        "Grad-CAM": sanity.rank_similarity(cam, ignorant_cam, inside),
    },
    index=titles,
)
similarity.round(2).astype(object).where(similarity.notna(), "blank map")

# %% [markdown]
# A *blank map* has no order: one of the two networks shows nothing inside that cell. Where
# *strength* is well above 0 while *signed* is near 0, the two networks mark partly the same places
# in other colors. What both mark comes from the picture, and no story of learning may rest on it;
# what only the trained network marks may have been learnt. And mind that two *untrained* networks
# disagree in sign as well (not shown here): a 0 alone proves nothing.
#
# ## Test (c): does the network miss what the map names?
#
# Wipe the picture out, tile by tile, the most important tiles first. If the map is right, the
# **evidence** for the network's own answer falls faster than in a random order (**deletion**). Give
# the tiles back in the same order, and it should rise faster (**insertion**). Evidence is how far
# the logit has gone from that of the wiped picture towards the network's answer; 1 is what it is
# for training cells on average. The area between the two curves, less that of random orders, is the
# score of the map: 0 is no better than chance. A cell's score hangs on no other cell.

# %% tags=["nbval-check-output", "slide"]
found = {
    name: deletion.deletion_insertion(model, images, map_, background, seed)
    for name, map_ in maps.items()
}
found["SHAP, untrained"] = deletion.deletion_insertion(
    model, images, ignorant_shap, background, seed
)
figure = plots.deletion_curves(
    found, title="What a map names first should be missed first", note=note
)
here.show(figure, "deletion", "Evidence left while tiles are wiped out, and while they come back.")

# %%
pd.Series({name: curve.scores.mean() for name, curve in found.items()}, name="score").round(2)

# %% [markdown]
# The map of the network that knows nothing is the one to beat. Wiping out makes pictures that no
# microscope ever took, so this test, too, is evidence and no proof.
#
# ## Test (d): how much lies beside the cell?
#
# Nothing is to be seen on the black. Which share of an explanation lies there, compared with the
# share of the picture that is black?

# %%
shares = pd.DataFrame(
    {name: localisation.off_cell_share(map_, images) for name, map_ in maps.items()}, index=titles
)
pd.DataFrame(
    {"share beside the cell": shares.mean(), "by area of the picture": (~inside).mean()}
).round(2)

# %% [markdown]
# Part of it is spill: Grad-CAM's map has a coarse grid. A map in a far corner is not. And it may be
# that the network reads the outline: then the black just outside *is* evidence, for it says where
# the cell ends.
#
# ## Test (e): a truth to check against
#
# Of real cells nobody knows which pixels make them leukemic. Of the twin it is known, because the
# program that drew the cells wrote it down: chromatin (the grain of the nucleus), nucleoli (round
# bodies in it), the outline of the nucleus. So we can ask how often the strongest place of a map
# lies in such a part (the **pointing game**), and which share of its strongest places does (the
# **overlap**), both *less* what a map spread evenly over the cell would reach. We take more
# leukemic cells for that. (On real cells this part is left out.)

# %%
test = table.iloc[prepared.split.test]
ill = np.flatnonzero(table["cell_id"].isin(test.loc[test["label"] == 1, "cell_id"]))
ill = np.random.default_rng(seed).permutation(ill)[:12]
people = groups.group_ids(table)[ill]
ill_maps = {name: way(model, pixels[ill]) for name, way in methods.items()}
ill_maps["SHAP, untrained"] = methods["SHAP"](ignorant, pixels[ill])

# %%
if prepared.dataset.synthetic:
    from leukhelpers.synthetic.twin import cause_masks

    masks = cause_masks(prepared.dataset.root, table["cell_id"].iloc[ill])
    size = profiles.picture_size("cnn", prepared.profile)
    small = {name: resize_masks(mask, *size, masks["cell"]) for name, mask in masks.items()}
    by_cause = {n: localisation.by_cause(map_, small, people, seed) for n, map_ in ill_maps.items()}
    area = {cause: small[cause].sum() / small["cell"].sum() for cause in localisation.CAUSES}
    print("share of the cell:", ", ".join(f"{cause} {x:.0%}" for cause, x in area.items()))

# %% tags=["nbval-check-output"]
if prepared.dataset.synthetic:
    figure = plots.cause_dots(
        by_cause, title="Right of 0 a map names that part more than chance would", note=note
    )
    here.show(
        figure,
        "causes",
        "For each method, how much more than an even spread its maps name nucleoli, chromatin "
        "and outline, by pointing and by overlap, with intervals.",
    )

# %% [markdown]
# A dot right of 0: the map is strongest in that part, more than chance would have it. A dot **left
# of 0**, a negative value: the strongest places lie there *less* often than chance would have it;
# the map passes that part over. It does *not* mean "speaks for HEM": the sign of the map does not
# count here. And where one part wins, another must lose: the chromatin is most of the cell, so
# a map that sits on the small nucleoli must be negative there.
#
# The lines are intervals by groups of people. A part that the untrained network's map reaches as
# well says nothing about learning. So go back to your two stories: which of these parts has an
# interval above 0, *and* above the untrained network? Only that is evidence.
#
# ## Test (f): a small turn
#
# A cell on a slide has no up. Turn it by a few degrees, explain it, turn the map back. Is it the
# same map? Again by rank correlation, so 1 is steady.

# %%
steady = {name: sanity.stability(model, way, images, maps[name]) for name, way in methods.items()}
pd.DataFrame(steady, index=titles).round(2)

# %% [markdown]
# Where this is low, the single pixels of a map are chance, though its coarse shape may not be: do
# not tell stories about single pixels. A coarse map turns along more easily.
#
# ## Test (g): what a heat map cannot tell, a probe can
#
# A map says *where*, not *what*. Orange on the whole nucleus may mean its grain, its size, or its
# color. To tell these apart one changes one of them and leaves the rest: all cells scaled to **one
# size**, recolored to **one stain**, or with **nothing beside** them. How does the answer move?

# %%
some = np.random.default_rng(seed).permutation(prepared.split.test)[:150]
probed = shortcuts.probe(
    partial(training.predict, model), pixels[some], background, table["label"].to_numpy()[some]
)
probed.round(2)

# %% [markdown]
# Where the answers move and the AUROC falls, the network used what was taken away. Where they move
# and the AUROC stays, it was disturbed and no more. A network that sees each cell in its own box
# has little to lose from *one size*; the area model of lesson 01 would lose all. *One stain* evens
# out how dark a cell is and how strong its contrast, too: what is lost there may have been the
# laboratory's color or the cell's own chromatin.
#
# ## Which method for which question?
#
# All that you have measured above, in one table. For *adds up* (how far the sums are off, as
# a share of their size) and *beside the cell* less is better; for *faithful*, *overlap* and
# *turned* more. *Untrained* should be near 0, from either side. Grad-CAM shares nothing out, so it
# has no *adds up*.

# %%
sums = {"SHAP": "shap", "integrated gradients": "integrated"}
expected = {n: attribution.expected_sum(key, model, images, background) for n, key in sums.items()}
mine = {
    "(a) adds up": {n: sanity.completeness(maps[n].sum(axis=(1, 2)), expected[n]) for n in sums},
    "(b) untrained": alike.iloc[-1],
    "(c) faithful": {name: found[name].scores.mean() for name in maps},
    "(d) beside the cell": shares.mean(),
    "(f) turned": {name: values.mean() for name, values in steady.items()},
}
if prepared.dataset.synthetic:
    mine["(e) overlap, nucleoli"] = {n: by_cause[n]["overlap_nucleoli"]["value"] for n in maps}
pd.DataFrame(mine).T.sort_index().round(2)

# %% [markdown]
# The same by a benchmark, of all methods, on more cells, which are real and of people whom the
# network had not met. `docs/explanations.md` has all intervals, the twin's (**synthetic**) causes
# and the commands that measure.

# %%
evaluation.score_table(lesson.measured("explanations_real")["methods"]).round(2)

# %% [markdown]
# *SHAP by regions* hides parts of the picture and asks the network again, with no gradients at all;
# *SHAP by layers* is SHAP's DeepExplainer. For "how much?" take a method that adds up. For "does
# the network miss it?" take the most faithful. For a first look, Grad-CAM, and say what it is.
#
# **The verdict on SHAP**, which the paper named as its future work: it may be believed for *how
# much a region* moved the answer. Its shares nearly add up (a), it forgets with the network (b),
# and the network misses what it names (c). It may not be believed *pixel by pixel*: after a small
# turn (f) its pixels stand in another order. Integrated gradients pass the same tests about as
# well, add up better, and take a small part of the time: for this network they come first, and SHAP
# is the second opinion. And neither says that the evidence is right.
#
# No map answers these: whether the evidence is *right*, whether it is the *cause* of the disease,
# what the network would do without it, and whether it holds for other people. Networks are not the
# only ones to be explained: `leuk explain` shares an SVM's or a forest's answer out among its
# features, which have names.

# %%
here.record(
    **{f"similarity to untrained, {name}": round(x, 2) for name, x in similarity.mean().items()},
    **{f"score of {name}": round(float(c.scores.mean()), 2) for name, c in found.items()},
    share_of_shap_beside_the_cell=round(float(shares["SHAP"].mean()), 2),
    share_of_grad_cam_beside_the_cell=round(float(shares["Grad-CAM"].mean()), 2),
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
# `"Which color map is that?"`, `"What does the map of an untrained network look like?"` or
# `"How many layers has it?"`

# %% tags=["nbval-check-output"]
answer = "What does the map of an untrained network look like?"  # solution
check("07.2", answer)

# %% [markdown]
# **07.3** Two laboratories, A and B, each send a small network and some cells of theirs. In both,
# a gray mark is to be seen in a corner of the ALL cells' pictures. In one laboratory *every*
# picture has it, a speck on the lens perhaps; in the other only those of ALL cells, and the network
# has learnt it. Which one, `"A"` or `"B"`?
#
# If the maps leave you in doubt: `shortcuts.background_reliance(lab.model, cells, maps)` blacks out
# everything beside the cells and asks again. Its `moved` is how far the logits go then, on average,
# in units of their own spread over these cells: near 0 nothing was read there.

# %% tags=["nbval-check-output", "slide"]
labs = shortcuts.laboratories(prepared.pixels, table["label"].to_numpy(), seed)
some_ill = {name: lab.images[lab.labels == 1][:3] for name, lab in labs.items()}
its_maps = {
    f"SHAP, network {name}": shap_gradient(
        lab.model, some_ill[name], lab.background, n_samples=50, seed=seed
    ).sum(axis=-1)
    for name, lab in labs.items()
}
figure = plots.plot_maps(
    some_ill["A"], its_maps, ["ALL"] * 3, title="One mark, two networks: who reads it?", note=note
)
here.show(figure, "mark", "Three cells with a mark in a corner, and the SHAP maps of two networks.")

# %% tags=["nbval-check-output"]
moved = {  # solution
    name: shortcuts.background_reliance(labs[name].model, some_ill[name], map_)["moved"]  # solution
    for name, map_ in zip(labs, its_maps.values(), strict=True)  # solution
}  # solution
answer = max(moved, key=moved.get)  # solution
check("07.3", answer, labs=labs)

# %% [markdown]
# **07.4** A map points, a change proves. Take that laboratory's cells of label 1, and the same with
# everything beside the cell blacked out (`shortcuts.mask_background`). Of how many does its
# network's answer change from ALL (a probability of 0.5 or more) to HEM?

# %% tags=["nbval-check-output"]
lab = labs[max(moved, key=moved.get)]  # solution
its_ill = lab.images[lab.labels == 1]  # solution
before = lab.model.predict(its_ill.astype("float32"), verbose=0) >= 0.5  # solution
clean = shortcuts.mask_background(its_ill).astype("float32")  # solution
answer = int((before & (lab.model.predict(clean, verbose=0) < 0.5)).sum())  # solution
check("07.4", answer, labs=labs)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - SHAP shares out the logit; its values add up. Grad-CAM is coarse and one-sided.
# - A convincing map is no evidence. Compare it with the map of an untrained network.
# - Test a method before you tell its story, (a) to (g): does it add up, forget, name what is
#   missed, stay on the cell, find what is known, turn along?
# - SHAP tells how much a region moved the answer, not which pixel; integrated gradients do it
#   faster.
# - A map says where. To learn what the network reads there, change it and ask again.
#
# **Read next:** Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, from where the
# test with random weights comes. On SHAP: Lundberg and Lee, NeurIPS 2017; on Grad-CAM: Selvaraju
# et al., ICCV 2017; on integrated gradients: Sundararajan et al., ICML 2017; on deletion and
# insertion: Petsiuk et al., BMVC 2018.
