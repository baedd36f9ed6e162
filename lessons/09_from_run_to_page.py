# %% [markdown] tags=["slide"]
# # 09 · From run to page
#
# After this lesson you will be able to put a trained network behind a page, and to make it keep
# silent where it knows nothing.
#
# **60 minutes to teach · about a minute to run (two, if the network must be trained first)**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - What does a network say of a picture that is no cell?
# - How does the page know when it had better not answer?
# - What changes when the network moves to another format?
#
# **Objectives** – you will
#
# 1. show that a network has no word for "I do not know";
# 2. choose on people left out of the fit when a picture is refused, and measure it on others;
# 3. serve a run on your own machine, and say what may be handed to it.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
import inspect
import io
import time

import numpy as np
import pandas as pd
import requests
import skimage.data
from PIL import Image

from leukhelpers import NOTICE, plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.errors import InputError
from leukhelpers.experiments import storage
from leukhelpers.images.preprocessing import crop_and_resize
from leukhelpers.models import ood, prepare, profiles, registry, training
from leukhelpers.serving import export, page, predict

# %%
here = lesson.begin("09", dataset, profile, seed, run)
prepared = here.prepare()
trained = storage.ensure_run(here.run, prepared)
network = registry.load_model(here.run)
cells = prepare.pictures("cnn", prepared)

# %% [markdown]
# ## Is the cat healthy?
#
# The paper showed a page on which one drops a picture, and the page says "Non-Leukemic". Let us
# drop other pictures: a cat, a cup of coffee, a page of a book, noise. They are cut to the same
# size as the cells, and the network is asked as in the lessons before.

# %%
rng = np.random.default_rng(0)
strangers = {
    "a cat": skimage.data.chelsea(),
    "coffee": skimage.data.coffee(),
    "a page": np.stack([skimage.data.page()] * 3, axis=-1),
    "noise": rng.integers(0, 256, (300, 300, 3), dtype=np.uint8),
    "a disc": np.array([170, 80, 150], np.uint8)
    * (np.hypot(*np.mgrid[-150:150, -150:150]) < 120)[..., None].astype(np.uint8),
}
size, crop = profiles.picture_size("cnn", here.profile)
small = np.stack([crop_and_resize(picture, size, crop) for picture in strangers.values()])
said = training.predict(network, small)

# %% tags=["slide"]
figure = plots.plot_cells(
    small,
    [f"{name}: ALL {p:.0%}" for name, p in zip(strangers, said, strict=True)],
    columns=5,
    title="The network has an answer to everything",
    note="no cells; not for clinical use",
)
alt = "A cat, coffee, a page, noise and a disc, each with the network's probability of leukemia."
here.show(figure, "strangers", alt)

# %% [markdown] tags=["slide"]
# **The surprise:** nothing went wrong. A sigmoid gives a number between nought and one for any
# picture at all, and the two numbers for ALL and HEM always add up to one. Nobody told the network
# of a third possibility. A page that shows this number has to know by itself when to be silent.

# %% [markdown]
# ## How far from the cells that it knows?
#
# So before the network is asked, a few plain numbers of the picture are compared with those of
# cells that are known: how much of it is black, its colors, its grain (how much neighboring
# pixels differ). Add up how far each number lies from its mean, in units of its spread, and you
# have a distance. But some numbers go together: a brighter cell is brighter in red, green and blue.
# The *distance of Mahalanobis* does not count that three times. In the code, *precision* (not that
# of lesson 06) is the inverse of the numbers' covariance: it says which go together.

# %%
print(inspect.getsource(ood.mahalanobis))

# %% [markdown]
# How far may a picture be? The numbers were fitted on known people, whose cells therefore lie near;
# the next patient is stained and lit in another way. So everybody plays the stranger once: the
# score is fitted on the other training and validation people, and the one *left out* is measured
# with it. The limit is the distance that 99 in 100 cells keep of whoever is farthest. What comes
# of it is *measured* on the held-out people, who had no say in it; `docs/serving.md` has the
# figures of real cells.

# %% tags=["nbval-check-output"]
known = storage.fit_familiar(prepared, prepared.split)
print("groups of people who were left out once:", known["chosen_on"])
groups = {"held-out cells": cells[prepared.split.test], "strangers": small}
gray = cells[prepared.split.test].mean(axis=-1, keepdims=True).astype(np.uint8)
groups["held-out cells, gray"] = np.repeat(gray, 3, axis=-1)
for name, pictures in groups.items():
    passed = ood.distance(known, pictures) <= known["limit"]
    print(f"{name:22}{len(pictures):4} pictures, pass: {passed.mean():.0%}")

# %% [markdown]
# Even the same cells without their color are refused: a network that has learnt on stained cells
# was never asked about gray ones. But such a score knows only what it measures. A cell of another
# laboratory may pass, and the network may be wrong about it all the same.

# %% [markdown]
# ## What may be handed to it
#
# Everything that a page does with a file is one function, `predict.answer`, and the command
# `leuk predict` calls the same. It may be handed anything, and answers in one of three ways:
#
# - an **error**, if the file is no picture of 8 bits a color, or too large: more than 20 MB, or
#   more than 4096 pixels long or wide. This is checked *before* the pixels are decoded: a file of a
#   few bytes can claim to hold a picture that is larger than the memory;
# - **no answer**, and why: the picture is too far from the known cells, or too close to call;
# - an **answer**. It means something for one cell of stained blood, cut out, on black, like those
#   of the training people; for nothing else, even if it passes.


# %% tags=["nbval-check-output"]
def encoded(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


cat = encoded(strangers["a cat"])
long = encoded(np.zeros((1, 20_000, 3), np.uint8))
sixteen = encoded(skimage.data.camera().astype(np.uint16))
served = predict.load(here.run, here.data / "cache")
for content in (b"", b"Dear Sir", cat[:5000], long, sixteen):
    try:
        predict.answer(served, content)
    except InputError as error:
        print(f"{len(content):6} bytes: {str(error).split('(')[0]}")

# %% [markdown]
# Now a held-out cell, and the cat as a whole file. In the table *distance* is divided by the limit:
# above 1 a picture is refused. *probability_all* is calibrated, that is, scaled by the temperature
# of lesson 06, and *operating_point* is the threshold of that lesson on the same scale.

# %%
row = prepared.split.test[0]
content = (prepared.dataset.root / prepared.table["path"].iloc[row]).read_bytes()
shown = {"a held-out cell": predict.answer(served, content), "a cat": predict.answer(served, cat)}
pd.DataFrame(shown).loc[["answer", "why", "distance", "probability_all", "operating_point"]]

# %% [markdown]
# The cat gets no probability: a number that means nothing is better not shown. And of cells, too,
# some get no answer: those near the operating point. Where "near" ends was chosen on validation
# people. Lesson 06 gave each cell a set of classes, *HEM*, *ALL*, *both* or *neither*, so that nine
# in ten cells of each class have their class named; the page speaks only where a single class is
# named. The two borders need not lie equally far from the operating point, and they do not promise
# that 90 % of the answers are right.

# %%
paths = [prepared.dataset.root / p for p in prepared.table["path"].iloc[prepared.split.test]]
told = pd.DataFrame(predict.predict_files(served, paths))
truth = prepared.table["label"].iloc[prepared.split.test].map(dict(enumerate(served.classes)))
spoken = told["answer"].notna().to_numpy()
right = told["answer"].to_numpy() == truth.to_numpy()
print(f"answered         {spoken.mean():.0%} of {len(told)} held-out cells")
print(f"of these right   {right[spoken].mean():.0%}")

# %% [markdown]
# Compare with the accuracy of lesson 06, where every cell was answered. Abstaining helps only if
# the doubtful cells are the wrong ones, and it is worth something only if somebody looks at the
# rest.
#
# ## The same network elsewhere
#
# A phone has no Keras. Two other formats hold a network's layers and weights, and nothing to train
# with: **LiteRT** (it was called TensorFlow Lite) for phones and small computers, and **ONNX**,
# which programs of many makers read. `leuk export` writes both. In **float32** each weight is a
# number of four bytes, as in Keras. In **int8** it is one of 256 steps, a single byte: a quarter of
# the size, and every answer moves a little. How wide the steps are is measured on training cells.
#
# A copy that answers otherwise is worse than none, so each is compared with the network on held-out
# cells before it is written. The columns of the table: *bytes* of the file; *largest_difference* of
# a cell's probability, the copy's against the network's; *same_answers*, the share of cells that
# both call alike; *auroc* of the copy, and *auroc_change* beside the network's.

# %%
copies = export.export_run(here.run, prepared.dataset, here.data, here.run / "export")
pd.DataFrame.from_dict(copies["files"], orient="index")


# %%
def milliseconds(call, n: int = 20) -> float:
    call()
    start = time.perf_counter()
    for _ in range(n):
        call()
    return 1000 * (time.perf_counter() - start) / n


one = cells[:1].astype("float32")
print(f"model.predict  {milliseconds(lambda: network.predict(one, verbose=0)):6.1f} ms a cell")
print(f"LiteRT         {milliseconds(lambda: served.ask(one)):6.1f} ms a cell")

# %% [markdown]
# `model.predict` is made for many pictures at once; for one, nearly all of its time is preparation.
# The page and `leuk predict` answer through the float32 copy.
#
# ## The page
#
# On your machine: `leuk app`, or `make app`. Here it is opened beside the next cells, asked as a
# browser asks, and closed again. A browser does two things when you drop a picture. It *uploads*
# the file, and is told under which path the server keeps it; then it *asks* about this path, and
# says whether it wants the heat map of lesson 07, too (`False`). What comes back is a piece of web
# page. (On Colab look at the page before it is closed: run
# `from google.colab import output; output.serve_kernel_port_as_window(opened.server_port)` between
# the two cells.)

# %%
opened = page.launch(served, port=None, block=False)
api = f"{opened.local_url}gradio_api"
(upload,) = requests.post(f"{api}/upload", files={"files": ("a cell.bmp", content)}).json()
file = {"path": upload, "meta": {"_type": "gradio.FileData"}}
reply = requests.post(f"{api}/run/answer", json={"data": [[file], False]}).json()["data"][0]
print("came back:", "of 1 answered" in reply, "| notice:", NOTICE in reply)

# %% [markdown]
# A page on your machine can be asked by every other page that your browser has open, too. So this
# one listens on this machine only, hands out no file, fetches none, takes nothing from other pages,
# and deletes what it was given. Whoever tries is told 403, which means *forbidden* in the language
# of the web (200 would mean *here it is*).

# %% tags=["nbval-check-output"]
tried = {
    "read a file": requests.get(f"{api}/file=/etc/hosts"),
    "fetch an address": requests.get(f"{api}/file=https://example.org/"),
    "come from another page": requests.get(api, headers={"Origin": "https://example.org"}),
}
for what, told in tried.items():
    print(f"{what:23}{told.status_code}  {told.text}")
opened.close(verbose=False)

# %%
here.record(answered=float(spoken.mean()), right_of_answered=float(right[spoken].mean()))

# %% [markdown]
# ## Exercises
#
# **09.1** Whose cells may decide how far from the known ones a picture may be: of people on whom
# the score was fitted (`"fitted"`), of known people who were left out of the fit (`"left out"`),
# or of the test people (`"test"`)?

# %% tags=["nbval-check-output"]
answer = "left out"  # solution
check("09.1", answer)

# %% [markdown]
# **09.2** A network has 170,000 weights. How many kilobytes (of 1,000 bytes) do they need as int8?

# %% tags=["nbval-check-output"]
answer = 170_000 * 1 / 1000  # solution
check("09.2", answer)

# %% [markdown]
# **09.3** A cell is called ALL from 51 % on, and between 36 % and 60 % there is no answer. What
# does the page say at 55 %: `"ALL"`, `"HEM"` or `"no answer"`?

# %% tags=["nbval-check-output"]
answer = "no answer"  # solution
check("09.3", answer)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - A network answers every picture; whether it should is for us to decide, on people of their own.
# - Bound what a stranger may send before you decode it; hand out and fetch nothing for him.
# - Check a copy against the original, on cells that neither has seen.
#
# **Read next:** lesson 11, your own cells. On knowing strangers: Lee et al., "A simple unified
# framework for detecting out-of-distribution samples", NeurIPS 2018.
