# %% [markdown] tags=["slide"]
# # 12 · Many runs
#
# After this lesson you will be able to run a grid of models and seeds, and to say what of a
# difference between two scores is luck.
#
# **35 minutes to teach · about two minutes to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - By how much does a score move if only the seed is another?
# - By how much if other people are held out?
# - How does one compare two models when both move?
#
# **Objectives** – you will
#
# 1. write a grid of runs, and read the tidy table that comes of it;
# 2. compare the spread within a model with the difference between models;
# 3. report repeated runs so that nobody is flattered.

# %% tags=["setup"]

# %% tags=["parameters"]
dataset: str = "twin"  # twin, cnmc, or the path of a C-NMC tree or of your own cells
profile: str = "fast"  # fast or full
seed: int = 0
run: str = ""  # folder for results; empty for one named after the three above

# %%
from itertools import combinations

import numpy as np
import pandas as pd
import yaml

from leukhelpers import evaluation, groups, learning, lesson, plots, runs, sweep, sweep_table
from leukhelpers.cells import InputError
from leukhelpers.classical import fit_area, predict_area
from leukhelpers.datasets.loading import absolute_dataset
from leukhelpers.quiz import check

here = lesson.begin("12", dataset, profile, seed, run)
cells = here.load()

# %% [markdown]
# ## One score, and the seed behind it
#
# Every score of this course so far came from one seed. The seed decides which trees a forest grows.
# An SVM draws nothing: its order of the cells should hardly move. A network would move most, for
# its first weights and the order in which it sees the cells are drawn, too; but each of its runs
# takes minutes. None of that luck is the model's merit. So let us turn the seed and nothing else:
# two models, three seeds each, the same cells.
#
# Six runs by hand are six chances of a slip. A *grid* says what is wanted, in a file that one
# can keep beside the results:

# %% tags=["nbval-check-output"]
seeds = [seed + step for step in range(3)]
grid = {
    "what": "train",
    "fixed": {"fold": 0, "profile": profile},
    "grid": {"model": ["svm", "rf"], "seed": seeds},
}
print(yaml.safe_dump(grid, sort_keys=False))

# %% [markdown]
# `fixed` holds what all runs share, `grid` a list of values for each name; every combination is
# one run. Before the first one starts all of them are checked: a slip should cost a second, not a
# night.

# %% tags=["nbval-check-output"]
here.run.mkdir(parents=True, exist_ok=True)
file = here.run / "grid.yaml"
file.write_text(yaml.safe_dump({**grid, "grid": {"model": ["svm", "smv"]}}), "utf-8")
try:
    sweep.read_grid(file)
except InputError as error:
    print("Refused:", str(error).split(";")[0])

# %% tags=["nbval-check-output"]
# These cells in every run: "twin" with another seed would be another twin.
grid["fixed"]["dataset"] = str(cells.root) if dataset == "twin" else absolute_dataset(dataset)
file.write_text(yaml.safe_dump(grid, sort_keys=False), "utf-8")
entries = sweep.read_grid(file)
print(len(entries), "runs, which differ in", " and ".join(sweep.varying(entries)))

# %% [markdown]
# On the command line: `leuk sweep grid.yaml`. Each run is a process of its own, as many at once as
# there are cores; with `--scheduler` the same grid runs on a cluster of many computers. A run that
# fails is written down with its error, and the others go on. If the power fails, `--resume` does
# only what is missing.

# %%
out = here.run / "sweep"
begun = (out / "sweep.json").is_file()
state = sweep.run_sweep(entries, out, resume=begun)
print(f"{sum(told['seconds'] for told in state.told.values()):.0f} seconds of runs")

# %% tags=["nbval-check-output"]
print({name: state.count(name) for name in ("done", "failed", "waiting")})
print(len(list((out / "runs").iterdir())), "runs have kept a folder")

# %% [markdown]
# ## A tidy table
#
# The results stand in one table: a row for each run, model and metric. The area model and the
# majority answer come along in every run, on the same people.

# %%
table = sweep_table.collect(out, entries, state)
sweep_table.write(out, table, entries)  # results.csv, results.parquet, a figure
scores = table[table["metric"] == "auroc"]
auroc = scores[scores["answered_by"].isin(["svm", "rf"])]
scores.pivot_table(index="seed", columns="answered_by", values="value").round(3)

# %%
within, between = sweep_table.spread(auroc, ["answered_by"])
print(f"one model between seeds: {within:.3f} (standard deviation)")
print(f"the means of the models differ by {between:.3f}")

# %% [markdown] tags=["slide"]
# The first number is the spread *within* a model, the second the difference *between* the two. If
# the first is much the smaller one, the difference looks like a finding. Many papers end here:
# "five seeds, mean and standard deviation".
#
# ## The surprise: look who was asked
#
# Who was held out in those runs? Each run has kept its answers:

# %% tags=["nbval-check-output"]
held_out = {
    tuple(sorted(runs.read_predictions(out / "runs" / entry.key / "run")["subject"].unique()))
    for entry in entries
}
print(len(entries), "runs, different sets of held-out people:", len(held_out))

# %% [markdown]
# If that is one set, the folds were balanced so well that the seed had nothing to choose: every run
# was asked about the same few people. The small spread says how little the draw inside the training
# matters, with these people to learn from and those to be asked about. It says nothing of others.
#
# So once more the same two models. Now the model's seed stays, and each draw deals the people anew,
# not balanced by cells as before: other people are held out, and so other people are learnt from.
# What we see is the luck of both. The features are measured already, and learning takes seconds; no
# grid is needed.

# %%
prepared = here.prepare()
labels, crop = prepared.table["label"].to_numpy(), prepared.profile.crop
drawn = []
for draw in range(seed, seed + 6):
    split = groups.holdout_split(prepared.table, draw)
    area = fit_area(prepared.pixels, labels, split, crop)
    told = {"area": predict_area(area, prepared.pixels, split.test, crop)}
    for name in ("svm", "rf"):
        told[name] = learning.answer(learning.learn(name, prepared, split), prepared, split.test)
    for name, answers in told.items():
        value = evaluation.metrics(labels[split.test], answers)["auroc"]
        drawn.append({"seed": draw, "answered_by": name, "value": value})
everyone = pd.DataFrame(drawn)
people = everyone[everyone["answered_by"] != "area"]
everyone.pivot(index="seed", columns="answered_by", values="value").assign(majority=0.5).round(3)

# %% tags=["slide"]
wider, _ = sweep_table.spread(people, ["answered_by"])
rows = {}
for name in ("svm", "rf", "area"):
    title = evaluation.MODEL_NAMES[name]
    rows[f"{title}, same people"] = scores.loc[scores["answered_by"] == name, "value"]
    rows[f"{title}, other people"] = everyone.loc[everyone["answered_by"] == name, "value"]
figure = plots.repeated_scores(
    rows,
    f"Another seed moves a model by {within:.3f}, other people by {wider:.3f}",
    "AUROC, 0.5 is the majority answer",
    "; ".join(part for part in (cells.note, "not for clinical use") if part),
)
here.show(figure, "seeds", "A dot a run, a tick at the mean: same people beside other people.")

# %% [markdown]
# Set the difference between the models beside *this* spread. If the spread is the larger one, a
# single set of people cannot show which model is better. Whether several can, we see below, where
# both models meet the same people.
#
# ## The best of several draws flatters
#
# Nobody prints the worst of six draws. What does printing the best one bring? We take all ways to
# have tried one draw, two, three and so on, and average the best score of each.


# %%
def best_of(scores, tries):
    """Average the best score over all ways to have tried so many draws."""
    return float(np.mean([max(some) for some in combinations(scores, tries)]))


by_model = {evaluation.MODEL_NAMES[n]: part["value"] for n, part in people.groupby("answered_by")}
best = {
    name: {f"best of {n}": best_of(scores, n) for n in (1, 2, 3, 6)}
    for name, scores in by_model.items()
}
pd.DataFrame(best).round(3)

# %% tags=["nbval-check-output"]
for name, scores in by_model.items():
    steps = [best_of(scores, n) for n in range(1, 7)]
    print(f"{name:14s} never falls: {bool(np.all(np.diff(steps) >= 0))}")

# %% [markdown]
# The model is the same in each row, and so are the cells. Only the number of tries has grown, and
# the score with it. It has to: the best of more numbers is never smaller. Some of what is printed
# as progress is a longer search for kind people.
#
# ## The repair: the same draws, in pairs, and all of them
#
# Both models met the same people in each draw, and who is hard for one may be hard for the other.
# So subtract *draw by draw* before you average. The mean stays what it was; but from its spread,
# the standard deviation (sd), all that both models share is gone.

# %%
wide = people.pivot(index="seed", columns="answered_by", values="value")
pairs = wide["svm"] - wide["rf"]
apart = np.sqrt(wide["svm"].var(ddof=1) + wide["rf"].var(ddof=1))
print(f"SVM less forest, draw by draw: {', '.join(f'{value:+.3f}' for value in pairs)}")
print(f"mean {pairs.mean():+.3f}, sd of the pairs {pairs.std(ddof=1):.3f}")
print(f"sd if the draws had not been paired: {apart:.3f}")

# %% [markdown]
# Is the sd of the pairs the smaller one? Then the same people were hard for both, and the pairs
# show more than the two rows of scores did. Do the pairs have both signs, and is their mean smaller
# than their sd? Then these draws do not show which model is better.
#
# Six pairs are few, and the people of six draws overlap: these are not six independent
# experiments. The usual standard error, the sd divided by the root of their number, takes them for
# independent and is too small (Nadeau and Bengio, 2003). Give the mean, the spread and the number
# of draws; the interval over *people* (lesson 06) tells how far one trained model's score carries.

# %%
here.record(
    runs=len(entries),
    spread_between_seeds=round(within, 3),
    spread_between_people=round(wider, 3),
    difference_between_models=round(between, 3),
)

# %% [markdown]
# ## Exercises
#
# **12.1** A model was run on five draws of people. These are its AUROCs, in hundredths. The paper
# prints the last. What may one expect of a draw? Give the mean over all five.

# %% tags=["nbval-check-output"]
hundredths = [81, 86, 83, 79, 91]
answer = sum(hundredths) / len(hundredths)  # solution
check("12.1", answer)

# %% [markdown]
# **12.2** Two models were run on the same five draws. Which numbers say whether the difference is
# more than luck? Answer with one of `"the best of each"`, `"the mean of each"`,
# `"the differences draw by draw"`.

# %% tags=["nbval-check-output"]
answer = "the differences draw by draw"  # solution
check("12.2", answer)

# %% [markdown]
# **12.3** A grid has three models, five seeds and four folds, and `fixed` holds the data set. How
# many runs is that?

# %% tags=["nbval-check-output"]
answer = 3 * 5 * 4  # solution
check("12.3", answer)

# %% [markdown]
# To end with: which answer would you give? Run the cell, and click it.

# %%
here.ask()

# %% [markdown] tags=["slide"]
# ## Key points
#
# - One score is one draw. Ask what was drawn anew: the weights, or the people.
# - The best of several runs grows with their number, whatever the model; report all of them.
# - Compare models on the same draws, in pairs.
#
# **Read next:** `docs/scale.md`, for more runs than one computer does. On the spread between seeds:
# Bouthillier et al., "Accounting for variance in machine learning benchmarks", MLSys 2021. On
# repeated splits: Nadeau and Bengio, "Inference for the generalization error", *Machine Learning*
# 52 (2003).
