# %% [markdown] tags=["slide"]
# # 08 · Borrowed eyes
#
# After this lesson you will be able to put a network that learnt from a million photographs to
# work on cells, and to say what it costs and what it brings.
#
# **60 minutes to teach · about a minute to run**

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
# 3. weigh parameters and multiply-adds against what they bring.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.special import expit
from skimage import data, transform

from leukhelpers import plots
from leukhelpers.backend import keras
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.errors import InputError
from leukhelpers.evaluation import bootstrap, metrics
from leukhelpers.evaluation.names import MODEL_NAMES, PRETRAINED
from leukhelpers.experiments import storage
from leukhelpers.models import classical, networks, prepare, registry, transfer
from leukhelpers.models.torch_weights import read_state_dict

# %%
here = lesson.begin("08", dataset, profile, seed, run)
prepared = here.prepare()
table, split, note = prepared.table, prepared.split, prepared.dataset.note
trained = storage.ensure_run(here.run, prepared)

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
# ## Frozen: keep the network, replace its last layer
#
# Everything but the last layer stays as it is. Each cell becomes 1280 numbers, the network's
# **features**, and a logistic regression learns from them. As always we try things on the
# validation people, and the test people stay closed. All models of this lesson learn from the same
# training cells and are judged on the same validation cells.

# %%
train, validation = split.train, split.validation
images, labels = prepare.pictures("efficientnet-lite0", prepared), table["label"].to_numpy()
size = images.shape[1]


def fit_head(network):
    """Compute the features of all open cells; fit a last layer, predict the validation cells."""
    describe = transfer.feature_model(network)
    learned, judged = (describe.predict(images[rows], verbose=0) for rows in (train, validation))
    weights, bias = classical.fit_linear(learned, labels[train], split.groups[train], seed)
    return weights, bias, expit(judged @ weights + bias)[:, 0]


# %%
predicted = {}
for name in ("imagenet", "random"):
    network = transfer.build_transfer("efficientnet-lite0", size, name, seed)
    weights, bias, predicted[name] = fit_head(network)
    if name == "imagenet":
        model = network
        networks.put_logit(model, weights, bias)
    auroc = metrics.metrics(labels[validation], predicted[name])["auroc"]
    print(f"{name:9s} weights, frozen: AUROC {auroc:.3f}")

# %% [markdown] tags=["slide"]
# ## The surprise: how much of that is ImageNet?
#
# The second line is the same network *with random weights*. It has never seen a photograph, nor
# anything else. If its AUROC is far above one half, then a good part of what the first line shows
# comes from the last layer and from the picture itself (how large the cell is, how dark), and not
# from a million photographs. Whoever compares pretrained networks without such a line does not know
# what the pretraining was worth.
#
# ## Fine-tuned: let some layers adapt
#
# Now the last layers learn on, in very small steps. Batch normalization stays as it was: its means
# and variances come from a million photographs, and a few batches of cells would replace them with
# worse ones. Two epochs are enough; more would memorize the few people. (The table of real cells
# below fine-tunes all layers.)

# %% tags=["slide"]
for place, layer in enumerate(model.layers):
    last = place >= len(model.layers) - 20
    layer.trainable = last and not isinstance(layer, keras.layers.BatchNormalization)
model.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy")
history = model.fit(
    images[train],
    labels[train],
    validation_data=(images[validation], labels[validation]),
    class_weight=classical.class_weights(labels[train]),
    epochs=2,
    verbose=0,
)
predicted["tuned"] = model.predict(images[validation], verbose=0)[:, 0]
pd.DataFrame(history.history).rename_axis("epoch").round(3)

# %% [markdown]
# Look at *val_loss*. Does it go on falling, as *loss* does? Where it does not, more epochs would
# not help.
#
# ## Beside the others
#
# The SVM of lesson 04, the network of lesson 05 and the area baseline, on the same cells. The
# network of lesson 05 chose its epoch by the validation people, so its row is a little flattered.

# %%
predicted["svm"] = registry.fit("svm", prepared).validation_proba
kept = storage.read_validation(here.run)
predicted["cnn"] = kept["probability"].to_numpy()
for name in ("area", "majority"):
    predicted[name] = kept[f"{name}_probability"].to_numpy()

# %%
short = {"area": "area baseline", "svm": "SVM", "cnn": "CNN", "imagenet": "ImageNet, frozen"}
short |= {"tuned": "ImageNet, fine-tuned", "random": "random weights, frozen"}
rows = {}
for name, title in {**short, "majority": "majority-class baseline"}.items():
    low, high = bootstrap.intervals(
        labels[validation], predicted[name], split.groups[validation], seed=seed
    )["auroc"]
    auroc = metrics.metrics(labels[validation], predicted[name])["auroc"]
    rows[title] = {"AUROC": auroc, "from": low, "to": high}
compared = pd.DataFrame(rows).T.astype(float).round(3)
compared

# %% tags=["nbval-check-output", "slide"]
figure = plots.roc_curves(
    labels[validation],
    {title: predicted[name] for name, title in short.items()},
    title="Pretrained, hand-crafted and learned features on the same validation people",
    note=f"{note}; not for clinical use" if note else "not for clinical use",
)
here.show(figure, "roc", "ROC curves of all models of the lesson on the validation people.")

# %% [markdown]
# *From* and *to* bound the 95 % interval over groups of people. Which of these models would you
# dare to call better than another? Where two intervals overlap much, do not. And do not expect
# *fine-tuned* above *frozen*: layers that may change can memorize the few people, too.
#
# ## What each costs

# %%
both = {"EfficientNet-Lite0": model, "CNN of lesson 05": registry.load_model(here.run)}
pd.DataFrame(
    {
        title: {
            "parameters": f"{network.count_params():,}",
            "multiply-adds per cell": f"{networks.multiply_adds(network):,}",
        }
        for title, network in both.items()
    }
).T

# %% [markdown]
# *Multiply-adds* count the work for one picture: one multiplication and one addition each. For one
# pixel of one new map, a 3×3 convolution multiplies 3×3 pixels of *every* old map. With 4 old maps
# that is 3 × 3 × 4 = 36; for 2 new maps of 5×5 pixels it is 36 × 2 × 25 = 1800. So a network can
# have many parameters and little work (large last layers), or few parameters and much work
# (convolutions on large maps).
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
    if registry.base_name(name) in PRETRAINED and registry.RANDOM not in name
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
        f"AUROC, {title}": f"{row.AUROC:.3f} ({row['from']:.3f} to {row.to:.3f})"
        for title, row in compared.iterrows()
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
# **08.3** How many numbers did *fine-tuning* change in EfficientNet-Lite0, the last layer
# included? (Look at the trainable weights of `model`.)

# %% tags=["nbval-check-output"]
answer = sum(int(np.prod(w.shape)) for w in model.trainable_weights)  # solution
check("08.3", answer, model=model)

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
