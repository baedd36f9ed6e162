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
# 2. choose on validation people when a picture is refused, and measure it on others;
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

from leukhelpers import export, familiar, learning, lesson, page, plots, runs, serve, training
from leukhelpers.pixels import crop_and_resize
from leukhelpers.quiz import check

# %%
here = lesson.begin("09", dataset, profile, seed, run)
prepared = here.prepare()
trained = runs.ensure_run(here.run, prepared)
network = runs.load_model(here.run)
cells = learning.pictures("cnn", prepared)

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
size, crop = learning.picture_size("cnn", here.profile)
small = np.stack([crop_and_resize(picture, size, crop) for picture in strangers.values()])
said = training.predict(network, small)

# %% tags=["slide"]
figure = plots.montage(
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
# So before the network is asked, a few plain numbers of the picture are compared with those of the
# training cells: how much of it is black, its colours, its grain. Cells of one slide differ, and
# the numbers go together; the distance of Mahalanobis heeds both.

# %%
print(inspect.getsource(familiar.distance))

# %% [markdown]
# The score is *fitted* on training people. The limit is *chosen* on validation people, on whom
# nothing was fitted: one and a half times the distance that 99 in 100 of their cells keep. (The one
# and a half is room for people to come, set once by real cells; `docs/serving.md` tells how.) And
# what comes of it is *measured* on the held-out people.

# %% tags=["nbval-check-output"]
known = runs.fit_familiar(prepared, prepared.split)
groups = {"held-out cells": cells[prepared.split.test], "strangers": small}
grey = cells[prepared.split.test].mean(axis=-1, keepdims=True).astype(np.uint8)
groups["held-out cells, grey"] = np.repeat(grey, 3, axis=-1)
for name, pictures in groups.items():
    passed = familiar.distance(known, pictures) <= known["limit"]
    print(f"{name:22}{len(passed):4} pictures, pass: {passed.mean():.0%}")

# %% [markdown]
# Even the same cells without their colour are refused: a network that has learnt on stained cells
# was never asked about grey ones. But such a score knows only what it measures. A cell of another
# laboratory may pass, and the network may be wrong about it all the same.

# %% [markdown]
# ## From bytes to an answer
#
# Everything that a page does with a file is one function, and the command `leuk predict` calls the
# same. It bounds bytes and pixels *before* it decodes anything: a file of a few bytes can claim to
# hold a picture larger than the memory. Then it cuts, compares, asks and decides.

# %% tags=["nbval-check-output"]
served = serve.load(here.run, here.data / "cache")
row = prepared.split.test[0]
content = (prepared.dataset.root / prepared.table["path"].iloc[row]).read_bytes()
answer_of_cell = serve.answer(served, content)
print(", ".join(answer_of_cell))

# %%
buffer = io.BytesIO()
Image.fromarray(strangers["a cat"]).save(buffer, "PNG")
shown = {"a held-out cell": answer_of_cell, "a cat": serve.answer(served, buffer.getvalue())}
pd.DataFrame(shown).loc[["answer", "why", "distance", "probability_all", "operating_point"]]

# %% [markdown]
# *distance* is here divided by the limit: above 1 a picture is refused. The cat gets no
# probability: a number that means nothing is better not shown. And of cells, too, some get no
# answer: those near the *operating point*, the threshold of lesson 06. All numbers are scaled by
# its temperature. The borders are those of its sets *HEM, ALL, both or neither*, chosen on
# validation people so that nine in ten cells of each class have their class named there. They need
# not lie equally far from the operating point, and they do not promise that 90 % of the answers
# are right.

# %% tags=["nbval-check-output"]
paths = [prepared.dataset.root / p for p in prepared.table["path"].iloc[prepared.split.test]]
told = pd.DataFrame(serve.answer_files(served, paths))
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
# A phone has no Keras. `leuk export` writes LiteRT and ONNX; in eight bits the file is a quarter
# as large. A copy that answers otherwise is worse than none, so each is compared with the network
# on held-out cells before it is written.

# %%
copies = export.export_run(here.run, prepared.dataset, here.data, here.run / "export")
pd.DataFrame(copies["files"]).T


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
# The page answers through the copy.
#
# ## The page
#
# On your machine: `leuk app`, or `make app`. Here in the notebook it is opened beside the next
# cells, asked as a browser would ask, and closed again. It listens on this machine only, hands out
# no file, and deletes what it was given. On Colab look at it before it is closed: run
# `from google.colab import output; output.serve_kernel_port_as_window(opened.server_port)` between
# the two cells.

# %%
opened = page.launch(served, port=None, block=False)
api = f"{opened.local_url}gradio_api"
(upload,) = requests.post(f"{api}/upload", files={"files": ("a cell.bmp", content)}).json()
file = {"path": upload, "meta": {"_type": "gradio.FileData"}}
event = requests.post(f"{api}/call/answer", json={"data": [[file], False]}).json()["event_id"]
shown = requests.get(f"{api}/call/answer/{event}").text
print("answered:", "event: complete" in shown, "| notice:", serve.NOTICE in shown)

# %% tags=["nbval-check-output"]
stolen = requests.get(f"{api}/file=/etc/hosts")
print("a file of this machine:", stolen.status_code)
opened.close(verbose=False)

# %%
here.record(answered=float(spoken.mean()), right_of_answered=float(right[spoken].mean()))

# %% [markdown]
# ## Exercises
#
# **09.1** On whose cells may the limit be chosen from which a picture is refused: `"training"`,
# `"validation"` or `"test"`?

# %% tags=["nbval-check-output"]
answer = "validation"  # solution
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
# To end with: click the answer that you would give.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - A network answers every picture; whether it should is for us to decide, on people of their own.
# - Bound what a stranger may send before you decode it.
# - Check a copy against the original, on cells that neither has seen.
#
# **Read next:** lesson 11, your own cells. On knowing strangers: Lee et al., "A simple unified
# framework for detecting out-of-distribution samples", NeurIPS 2018.
