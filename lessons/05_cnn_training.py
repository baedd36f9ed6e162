# %% [markdown] tags=["slide"]
# # 05 · Training the network
#
# After this lesson you will be able to train convolutional networks, read their curves, and say
# how long to train, and what that choice is worth.
#
# **60 minutes to teach · about a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - What is the network made of?
# - What do accuracy and loss curves say, and what do they not say?
# - When should one stop?
#
# **Objectives** – you will
#
# 1. name the purpose of each kind of layer;
# 2. weigh the classes, and say what for;
# 3. say from the curves which epoch is kept, and how far to trust that.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import numpy as np
import pandas as pd

from leukhelpers import plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.evaluation import metrics
from leukhelpers.evaluation.names import MODEL_COLUMNS, MODEL_NAMES
from leukhelpers.experiments import storage
from leukhelpers.experiments.predictions import answers_beside, fit_baselines
from leukhelpers.models import classical, cnn, epochs, networks, training

here = lesson.begin("05", dataset, profile, seed, run)
prepared = here.prepare()
table, split, note = prepared.table, prepared.split, prepared.dataset.note
labels = table["label"].to_numpy()

# %% [markdown]
# ## The network
#
# The paper describes a network of convolutions, batch normalization, ReLU, max pooling, dropout
# and a sigmoid. Here is ours, a line a layer: its name, and what it hands to the next, as height ×
# width × number of maps. (For the curious: the code is `networks.build_cnn`.)

# %% tags=["nbval-check-output"]
untrained = networks.build_cnn(prepared.profile.box_size, seed=seed)
for layer in untrained.layers:
    print(f"{layer.name:12s}", " × ".join(str(length) for length in layer.output.shape[1:]))

# %% [markdown]
# A *map* is the picture that one pattern finder makes: bright where its pattern is.
#
# | layer | what it is for |
# |---|---|
# | convolution | looks for a small pattern, the same one everywhere |
# | batch normalization | keeps the numbers in a range in which learning works |
# | ReLU | lets through what is present, cuts off what is absent |
# | max pooling | halves the picture, keeps the strongest answer |
# | global average | asks *how much* of a pattern there is, not where |
# | dropout | makes the network answer without a random part of what it knows |
# | dense, here `logit` | adds up the evidence into one number, positive for ALL |
# | sigmoid | turns that number into a probability of ALL |

# %% tags=["nbval-check-output"]
learnable = sum(int(np.prod(weights.shape)) for weights in untrained.trainable_weights)
people = table["subject"].iloc[split.train].nunique()
print(f"{learnable:,} numbers to learn, from {len(split.train):,} cells of {people} people")

# %% [markdown]
# Thousands of times more numbers than people. Such a network *can* learn every person by heart; it
# is up to us to notice.
#
# ## Weighing the classes
#
# With two leukemic cells for each healthy one, the cheapest way to a lower loss is to say "ALL"
# more often. Weights make both classes count the same.

# %% tags=["nbval-check-output"]
weights = classical.class_weights(labels[split.train])
print({name: round(weights[label], 2) for label, name in enumerate(("HEM", "ALL"))})

# %% [markdown]
# ## Training
#
# An *epoch* is one pass over the training cells. The *loss* (cross-entropy) is small when a high
# probability is given to the right class; both classes weigh the same in it. The optimizer, *Adam*,
# changes the numbers step by step so that the loss falls; the *learning rate* is the length of a
# step.
#
# Two rules are at work, both watching **validation people**, of whom the network never learns a
# cell; the test people are not touched. *Adaptive learning rate*: after a short warm-up the steps
# become shorter, down to nothing at the planned end; if the validation loss stops falling, they are
# halved once more. *Early stopping*: if it does not fall for some epochs, the training ends, and
# the weights of the **best** epoch come back. Only the second half of the epochs counts for that:
# while the steps are long, a low loss on a few people is luck.
#
# One thing is not in the paper: each cell is **cropped to its bounding box**. Its texture is seen
# better, and its size, a shortcut, is gone. While it learns, the network sees each cell rotated,
# mirrored, zoomed and slightly recolored (lesson 03).

# %%
settings = cnn.training_settings(prepared.profile)
print(f"at most {settings.epochs} epochs, {settings.batch_size} cells per step,")
print(f"longest step {settings.learning_rate}, patience {settings.patience} epochs")

# %%
model, every_epoch, validation_proba = cnn.train(prepared, callbacks=[training.print_training()])
history = epochs.watched_epochs(every_epoch)
best = epochs.kept_epoch(history, settings)

# %% [markdown]
# The seed fixes the first weights, the order of the cells and every augmentation: on one machine,
# the same command gives the same numbers to the last digit.
#
# ## The curves

# %% tags=["nbval-check-output", "slide"]
share = labels[split.validation].mean()
figure = plots.learning_curves(
    history,
    title=f"Of the second half of the epochs, number {best} is best, and kept",
    majority=max(share, 1 - share),
    note=note,
    kept_epoch=best,
)
here.show(
    figure,
    "curves",
    "Loss and accuracy over the epochs, in training and validation, with the epoch that was kept "
    "and the accuracy of the majority answer.",
)

# %% [markdown]
# How to read them:
#
# - **Training loss** falls over the epochs, though not in each: the network learns something. It
#   always does.
# - **Validation loss** should fall with it. If it *stays* above its lowest point while the training
#   loss goes on falling, the network is learning the training people by heart.
# - **A jump** is no such sign. While the steps are long, each changes the network much, and with
#   few validation people some cells that flip together move the whole curve. Look at the last
#   epochs: coming down again means jumps; climbing on and on means learning by heart. Often one
#   cannot be sure, and the epoch that is kept is partly luck.
# - **The dashed line** is the majority answer. An accuracy below it is worse than not looking.
# - Training is measured on augmented cells and with dropout. So validation may well look better:
#   compare the courses of both, not their heights.

# %% [markdown] tags=["slide"]
# ## The surprise: the curves cannot tell whether it learnt the right thing
#
# Let us put the network beside two others that have no convolution at all, on the *validation*
# people. One looks at the area only; one looks at nothing.

# %% tags=["slide"]
baselines = fit_baselines(prepared, split)
validation = answers_beside(validation_proba, baselines, prepared, split.validation)
compared = pd.DataFrame(
    {
        MODEL_NAMES[name]: metrics.metrics(validation["label"], validation[column])
        for name, column in MODEL_COLUMNS.items()
    }
).T
compared[["accuracy", "balanced_accuracy", "auroc"]].astype(float).round(3)

# %% [markdown]
# The network chose its epoch by these very people, so its row is a little flattered. Compare the
# first two rows. If the network is ahead, that distance is all that its many numbers have bought
# over a single one. If it is not, they have bought nothing.
#
# What was tried on real cells, each idea on the same four folds of people:

# %%
ideas = lesson.measured("cnn_ideas")
pd.set_option("display.max_colwidth", None)
tried = pd.DataFrame(ideas["ideas"])
rivals = lesson.measured("rivals_real")["over_folds"]
beside = {
    MODEL_NAMES[name]: {"auroc": rivals[name]["auroc"]["mean"]}
    | {"sd": rivals[name]["auroc"]["sd"]}
    for name in ("majority", "area", "svm")
}
columns = ["auroc", "sd", "same_size_auroc"]
pd.concat([pd.DataFrame(beside).T, tried.set_index("about")])[columns].astype(float).round(3)

# %% [markdown]
# *same_size_auroc* compares only cells of the same size, so that the area is of no use. The first
# three rows stand beside; the next is the plain network of lesson 04, with each cell cropped to its
# bounding box already. The largest step is to vary colors *less*, "mild" instead of "usual", while
# the network learns. In these cells color is evidence, and our own augmentation drowned it: that is
# what misled the plain network. The auxiliary task adds far less than the sd, so it may be luck,
# and so may what a finer picture adds. *Mixed* cells, with a longer training and a heavier
# auxiliary task, have the highest mean, by less than luck may give. `docs/cnn-log.md` explains the
# other rows.
#
# Look for *the same once more*. Nothing was changed that should matter: which features dropout
# happened to drop, and the last digits of the augmented pixels. Yet the AUROC is another. Whatever
# differs by less than that may be luck.
#
# To choose the best of so many on the same folds flatters it: the more one tries, the luckier
# the best. Whether it holds on people who had no part in any choice is the question of lesson 06.
#
# ## Keep it
#
# The run is saved with everything that later lessons need: the network, its history, its
# predictions for the test people, and those for the validation people. Lesson 06 chooses a
# threshold by the latter.
#
# On real cells `leuk train` goes further. The validation people are few, and to keep them apart is
# to lose them for learning. So a second network learns from *all* training and validation people,
# for as many epochs as the first one took. And a cell has no up: the second network's predictions
# for its four quarter turns are averaged.

# %%
saved = storage.save_run(here.run, prepared, model, every_epoch, validation_proba)
here.record(
    parameters=int(model.count_params()),
    epochs=len(history),
    best_epoch=best,
    validation_AUROC=round(float(compared["auroc"].iloc[0]), 3),
    validation_AUROC_of_area_alone=round(float(compared["auroc"].iloc[1]), 3),
    seconds_per_epoch=round(float(history["seconds"].median()), 1),
)
print("saved:", ", ".join(sorted(path.name for path in saved.folder.glob("*.*") if path.is_file())))

# %% [markdown]
# From now on the network stays as it is. The test people are opened in lesson 06, once.
#
# ## Exercises
#
# **05.1** A training set holds 300 ALL and 100 HEM cells. Which weight must a HEM cell have if an
# ALL cell has the weight 1 and both classes shall count the same?

# %% tags=["nbval-check-output"]
answer = 3.0  # solution
check("05.1", answer)

# %% [markdown]
# **05.2** Which epoch would you have kept, had you looked at the *training* loss only? (Use
# `history`.) Would its validation loss have been better or worse?

# %% tags=["nbval-check-output"]
answer = int(history.loc[history["loss"].idxmin(), "epoch"])  # solution
check("05.2", answer, history=history)

# %% [markdown]
# Better it cannot be, if that epoch lies in the second half: there, the kept epoch is the one with
# the lowest validation loss.

# %% [markdown]
# **05.3** A friend stops early on the *test* people, "because they were at hand". What is wrong?
# `"nothing"`, `"the test score becomes too good"` or `"the test score becomes too bad"`?

# %% tags=["nbval-check-output"]
answer = "the test score becomes too good"  # solution
check("05.3", answer)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - Weigh the classes, or the network learns the majority first.
# - Stop by people whom the network has not seen, and never by the test people.
# - Curves show *that* something is learnt. What it is worth, only a comparison shows.
#
# **Read next:** lesson 06. On batch normalization: Ioffe and Szegedy, ICML 2015. On Adam: Kingma
# and Ba, ICLR 2015.
