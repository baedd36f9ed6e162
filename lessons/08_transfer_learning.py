# %% [markdown] tags=["slide"]
# # 08 · Borrowed eyes
#
# After this lesson you will be able to put a network that learnt from a million photographs to
# work on cells, and to say what it costs and what it brings.
#
# **60 minutes to teach · about two minutes to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - What does a network that knows cats know of cells?
# - What is the difference between *frozen* and *fine-tuned*?
# - What does each model cost?
#
# **Objectives** – you will
#
# 1. load pretrained weights without letting a file run code on your computer;
# 2. compare frozen, fine-tuned and untaught weights of one network on unseen people;
# 3. weigh parameters, multiply-adds and seconds against what they bring.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import pickle
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from skimage import data, transform

from leukhelpers import evaluation, groups, learning, lesson, plots, runs, transfer
from leukhelpers.cells import InputError
from leukhelpers.evaluation import MODEL_NAMES
from leukhelpers.quiz import check
from leukhelpers.torchfile import read_state_dict

here = lesson.begin("08", dataset, profile, seed, run)
prepared = here.prepare()
table, note = prepared.table, prepared.dataset.note

# %% [markdown]
# ## First: a file of weights is a program
#
# Weights are passed around as files, many of them *pickles*. A pickle may name any function of
# Python, and whoever opens it calls that function. Here is one that somebody could have called
# `best_model.pth`.


# %% tags=["nbval-check-output"]
class Prank:
    """Something that, when it is unpacked, prints. It might as well delete."""

    def __reduce__(self):
        return print, ("This ran while you only opened a file.",)


with TemporaryDirectory() as folder:
    file = Path(folder) / "best_model.pth"
    file.write_bytes(pickle.dumps(Prank()))
    pickle.loads(file.read_bytes())  # never do this with a stranger's file
    try:
        read_state_dict(file)
    except InputError as error:
        print("refused:", error)

# %% [markdown]
# The second reader knows four names, those of tables of numbers, and refuses any other. (Keras'
# own `.keras` files are safe in another way: they hold no functions, and we load them with
# `safe_mode=True`.)
#
# ## EfficientNet-Lite0, which learnt from ImageNet
#
# ResNet-50, VGG-16 and EfficientNet-B0, which the paper compares itself with, are in
# `keras.applications`; their weights are downloaded the first time. A smaller relative,
# **EfficientNet-Lite0** (Tan and Le, 2019), comes with this course, weights and all, so that this
# lesson runs without network. Does it see? We show it two photographs.

# %% tags=["nbval-check-output"]
weights = read_state_dict(transfer.lite0_file())
seeing = transfer.feature_model(transfer.build_transfer("efficientnet-lite0", 224))
for name, photograph in {"a cat": data.chelsea(), "a cup of coffee": data.coffee()}.items():
    edge = min(photograph.shape[:2])
    top, left = ((length - edge) // 2 for length in photograph.shape[:2])
    square = photograph[top : top + edge, left : left + edge]
    picture = 255 * transform.resize(square, (224, 224), anti_aliasing=True)
    scores = seeing.predict(picture[None], verbose=0) @ weights["_fc.weight"].T
    print(f"{name}: class {np.argmax(scores + weights['_fc.bias'])} of ImageNet's thousand")

# %% [markdown]
# In ImageNet's list 285 is *Egyptian cat* and 967 *espresso*. It sees.
#
# ## Frozen: keep its eyes, replace its last layer
#
# Everything but the last layer stays as it is. Each cell becomes 1280 numbers, the network's
# features, and a logistic regression learns from them. As always we try things on the validation
# people and leave the test people closed.

# %%
practice = groups.practice_split(table, prepared.split, seed)
labels = table["label"].to_numpy()[practice.test]
learnt, answers = {}, {}
for name in ("efficientnet-lite0", "efficientnet-lite0-random"):
    learnt[name] = learning.learn(name, prepared, practice)
    answers[name] = learning.answer(learnt[name], prepared, practice.test)
    print(f"{MODEL_NAMES[name]}: {evaluation.metrics(labels, answers[name])['auroc']:.3f}")

# %% [markdown] tags=["slide"]
# ## The surprise: how much of that is ImageNet?
#
# The second line is the same network *with random weights*. It has never seen a photograph, nor
# anything else. If its AUROC is far above one half, then a good part of what the first line shows
# is owed to the last layer and to the picture itself (how large the cell is, how dark), and not to
# a million photographs. Whoever compares pretrained networks without such a line does not know what
# the pretraining was worth.
#
# ## Fine-tuned: let its eyes adapt
#
# Now all layers learn on, in very small steps. Batch normalisation alone stays as it was: its means
# and variances come from a million photographs, and a few batches of cells would replace them with
# worse ones. It takes few epochs; more would learn the few people by heart.

# %% tags=["slide"]
name = "efficientnet-lite0-tuned"
learnt[name] = learning.learn(name, prepared, practice)
answers[name] = learning.answer(learnt[name], prepared, practice.test)
learnt[name].history[["epoch", "loss", "val_loss", "seconds"]].round(3)

# %% [markdown]
# Look at *val_loss*. Does it go on falling, as *loss* does? Where it does not, more epochs would
# not help.
#
# ## Beside the others
#
# The SVM of lesson 04, the network of lesson 05 (only the first one, to save time), and the
# area, all trained on the same people and asked about the same strangers. The network will not
# repeat its score of lesson 05: here it had fewer people to learn from, and those who are asked had
# no part in choosing its epoch.

# %%
single = prepared._replace(profile=replace(prepared.profile, refits=0))
for name, cells in {"svm": prepared, "cnn": single}.items():
    learnt[name] = learning.learn(name, cells, practice)
    answers[name] = learning.answer(learnt[name], cells, practice.test)
baselines = runs.fit_baselines(prepared, practice)
beside = runs.predictions_of(learnt["svm"].model, baselines, prepared, practice.test, name="svm")
answers["area"] = beside["area_probability"].to_numpy()
answers["majority"] = beside["majority_probability"].to_numpy()

# %%
group = practice.groups[practice.test]
rows = {}
for name, answer in answers.items():
    low, high = evaluation.intervals(labels, answer, group, seed=seed)["auroc"]
    rows[MODEL_NAMES[name]] = {
        "AUROC": evaluation.metrics(labels, answer)["auroc"],
        "from": low,
        "to": high,
    }
compared = pd.DataFrame(rows).T.round(3)
compared

# %% tags=["nbval-check-output", "slide"]
short = {"area": "area alone", "svm": "SVM", "cnn": "CNN"}
short |= {"efficientnet-lite0": "frozen", "efficientnet-lite0-tuned": "fine-tuned"}
short |= {"efficientnet-lite0-random": "random, frozen"}
figure = plots.roc_curves(
    labels,
    {short[name]: answers[name] for name in short},
    title="Borrowed, hand-made and own features on the same validation people",
    note=note,
)
here.show(figure, "roc", "ROC curves of all models of the lesson on the validation people.")

# %% [markdown]
# *From* and *to* bound the 95 % interval over groups of people. Which of these models would you
# dare to call better than another? Where two intervals overlap much, do not. And do not expect
# *fine-tuned* above *frozen*: layers that may change can learn the few people by heart, too.
#
# ## What each costs

# %%
costs = {
    MODEL_NAMES[name]: learning.cost(found, prepared, practice.test)
    for name, found in learnt.items()
}
pd.DataFrame(costs).T.rename(
    columns={
        "multiply_adds": "multiply-adds",
        "learn_seconds": "seconds to learn",
        "answer_ms": "ms a cell",
    }
)

# %% [markdown]
# *Multiply-adds* count the work for one picture: one multiplication and one addition each. For one
# pixel of one new map, a 3×3 convolution multiplies 3×3 pixels of *every* old map. With 4 old maps
# that is 3 × 3 × 4 = 36; for 2 new maps of 5×5 pixels it is 36 × 2 × 25 = 1800. So a network can
# have many parameters and little work (large last layers), or few parameters and much work
# (convolutions on large maps). For the SVM nothing is counted, but to measure a cell takes it its
# time: compare *ms a cell*, too.
#
# ## On real cells
#
# All models of the course on the same four folds of people. Where the weights could not be
# downloaded on the machine that measured, the table says *random weights*: such a row shows what
# the architecture does, not what ImageNet brings.

# %%
rivals = lesson.measured("rivals_real")
shown = {
    MODEL_NAMES[name]: {
        "mean AUROC": over["auroc"]["mean"],
        "sd over folds": over["auroc"]["sd"],
        "weighted F1": over["weighted_f1"]["mean"],
        "multiply-adds": rivals["cost"].get(name, {}).get("multiply_adds"),
        "seconds to learn": rivals["cost"].get(name, {}).get("learn_seconds"),
        "ms a cell": rivals["cost"].get(name, {}).get("answer_ms"),
    }
    for name, over in rivals["over_folds"].items()
}
real = pd.DataFrame(shown).T.astype(float).sort_values("mean AUROC", ascending=False).round(3)
real

# %% [markdown]
# Find *area alone* in that table. Which of the networks that know ImageNet stand above it?

# %%
area = rivals["over_folds"]["area"]["auroc"]["mean"]
pretrained = [
    over["auroc"]["mean"]
    for name, over in rivals["over_folds"].items()
    if learning.base_name(name) in transfer.TITLES and learning.RANDOM not in name
]
above = sum(mean > area for mean in pretrained)
print(f"{above} of {len(pretrained)} networks that know ImageNet are above the area.")

# %% [markdown]
# A network of millions of weights is a claim; a ruler is its test. What ImageNet itself brought is
# told by one pair of rows only: the *same* network, frozen, with and without it. Rows of other
# networks with random weights say what *they* get from the pictures alone.
#
# The sd of so few people is large: read it before the mean. The network of lesson 05 and the SVM
# differ by less than that. Is it worth the time that the one takes to learn, or the time that the
# other takes for a cell? Read the last columns; it depends on who waits. (*NaN* means: not
# counted.)

# %%
here.record(
    **{
        f"{MODEL_NAMES[name]}_AUROC": round(float(compared["AUROC"][MODEL_NAMES[name]]), 3)
        for name in answers
    }
)

# %% [markdown]
# ## Exercises
#
# **08.1** A 3×3 convolution turns 8 feature maps of 10×10 pixels into 16 maps of the same size. How
# many multiply-adds is that?

# %% tags=["nbval-check-output"]
answer = 10 * 10 * 3 * 3 * 8 * 16  # solution
check("08.1", answer)

# %% [markdown]
# **08.2** A friend's table says "ResNet-50", and you learn that the weights could not be
# downloaded. What must the table say: `"nothing"`, `"random weights"` or `"fine-tuned"`?

# %% tags=["nbval-check-output"]
answer = "random weights"  # solution
check("08.2", answer)

# %% [markdown]
# **08.3** How many numbers does *fine-tuning* change in EfficientNet-Lite0, the last layer
# included? (Look at the trainable weights of the fine-tuned network.)

# %% tags=["nbval-check-output"]
tuned = learnt["efficientnet-lite0-tuned"].model
answer = sum(int(np.prod(w.shape)) for w in tuned.trainable_weights)  # solution
check("08.3", answer, model=tuned)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - A file of weights is a program, unless its reader makes sure that it is none.
# - Compare pretrained weights with random ones before you praise the pretraining.
# - Put the cost beside the score.
#
# **Read next:** lesson 11, your own cells. On EfficientNet: Tan and Le, ICML 2019. On what
# pretraining brings to medical images: Raghu et al., "Transfusion", NeurIPS 2019.
