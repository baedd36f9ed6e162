# %% [markdown] tags=["slide"]
# # 12 · Many runs
#
# After this lesson you will be able to say how much of a difference between two scores is luck, and
# to run many trainings with one command.
#
# **35 minutes to teach · about a minute to run**

# %% [markdown] tags=["slide"]
# **Questions**
#
# - By how much does a score move if only the seed changes?
# - By how much does it move if other patients are held out?
# - How do you compare two models when both scores move?
#
# **Objectives** – you will
#
# 1. compare the spread between seeds with the spread between groups of patients;
# 2. compare two models in pairs, on the same patients;
# 3. run a grid of trainings with one command and read its table of results.

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
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from leukhelpers import datasets, plots
from leukhelpers.course import lesson
from leukhelpers.course.exercises import check
from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments import sweep, sweep_table
from leukhelpers.experiments.grid import read_grid, varying
from leukhelpers.images import features
from leukhelpers.models import classical, prepare
from leukhelpers.splits import groups

# %%
here = lesson.begin("12", dataset, profile, seed, run)
prepared = here.prepare()
table, labels = prepared.table, prepared.table["label"].to_numpy()
measured = prepare.features(prepared).to_numpy()  # the hand-crafted features of lesson 04
area = features.cell_area(prepared.pixels, prepared.profile.crop)

# %% [markdown]
# ## One score, and the seed behind it
#
# Every score in this course so far came from one seed. The seed decides which cells and features
# each tree of a random forest sees. It also decides the first weights of a network. An SVM draws
# nothing at random. How far does a score move when only the model's seed changes?
#
# We train two models three times each, on the same patients, and test them on the same patients.


# %%
def build(name, model_seed):
    """Return an untrained SVM or random forest."""
    if name == "svm":
        return make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
    return RandomForestClassifier(100, class_weight="balanced", random_state=model_seed)


def auroc(name, model_seed, split):
    """Train on all rows that are not tested; return the AUROC on the test rows."""
    if name == "area":
        return roc_auc_score(labels[split.test], area[split.test])
    train = np.concatenate([split.train, split.validation])
    model = build(name, model_seed).fit(measured[train], labels[train])
    return roc_auc_score(labels[split.test], classical.ranking(model, measured[split.test]))


# %%
same = pd.DataFrame(
    [
        {"model": name, "seed": model_seed, "value": auroc(name, model_seed, prepared.split)}
        for name in ("svm", "rf", "area")
        for model_seed in range(seed, seed + 3)
    ]
)
same.pivot(index="seed", columns="model", values="value").assign(majority=0.5).round(3)

# %%
within = same.loc[same["model"] == "rf", "value"].std(ddof=1)
print(f"random forest, standard deviation over three seeds: {within:.3f}")

# %% [markdown] tags=["slide"]
# The scores of one model hardly differ. Many papers end here: "three seeds, mean and standard
# deviation".
#
# ## The surprise: the test patients were always the same
#
# Every run was tested on the same few patients. The small spread says how little the model's seed
# matters *for these patients*. It says nothing about others.
#
# So we draw other patients for the test set, six times. The model's seed stays the same.

# %%
drawn = pd.DataFrame(
    [
        {"model": name, "draw": draw, "value": auroc(name, seed, groups.holdout_split(table, draw))}
        for draw in range(seed, seed + 6)
        for name in ("svm", "rf", "area")
    ]
)
scores = drawn.pivot(index="draw", columns="model", values="value")
scores.assign(majority=0.5).round(3)

# %% tags=["slide"]
wider = scores["rf"].std(ddof=1)
rows = {}
for name in ("svm", "rf", "area"):
    rows[f"{MODEL_NAMES[name]}, same patients"] = same.loc[same["model"] == name, "value"]
    rows[f"{MODEL_NAMES[name]}, other patients"] = scores[name]
figure = plots.repeated_scores(
    rows,
    f"Another seed moves the random forest by {within:.3f}, other patients by {wider:.3f}",
    "AUROC, 0.5 is the majority-class baseline",
    "; ".join(part for part in (prepared.dataset.note, "not for clinical use") if part),
)
here.show(figure, "seeds", "A dot per run, a tick at the mean: same patients and other patients.")

# %% [markdown]
# The spread between draws of patients is the one to report. A single set of test patients cannot
# show which of two models is better if the models differ by less than this spread.
#
# ## The best of several draws is too good
#
# Nobody prints the worst of six draws. What does printing the best one bring? We take all ways to
# try one, two, three or six draws, and average the best score of each.


# %%
def best_of(values, tries):
    """Average the best score over all ways to try so many draws."""
    return float(np.mean([max(some) for some in combinations(values, tries)]))


best = {
    MODEL_NAMES[name]: {f"best of {n}": best_of(scores[name], n) for n in (1, 2, 3, 6)}
    for name in ("svm", "rf")
}
pd.DataFrame(best).round(3)

# %% tags=["nbval-check-output"]
for name in ("svm", "rf"):
    steps = [best_of(scores[name], n) for n in range(1, 7)]
    print(f"{MODEL_NAMES[name]:14s} never falls: {bool(np.all(np.diff(steps) >= 0))}")

# %% [markdown]
# The model and the cells are the same in each row. Only the number of tries grows, and the score
# grows with it: the best of more numbers is never smaller. Report all draws, not the best one.
#
# ## The repair: compare in pairs
#
# Both models met the same patients in each draw, and patients who are hard for one model are often
# hard for the other. So subtract *draw by draw*, then average. Subtracting cancels what is hard
# for both, so the differences vary less than the scores.

# %%
pairs = scores["svm"] - scores["rf"]
unpaired = np.sqrt(scores["svm"].var(ddof=1) + scores["rf"].var(ddof=1))
print(f"SVM minus forest, draw by draw: {', '.join(f'{value:+.3f}' for value in pairs)}")
print(f"mean {pairs.mean():+.3f}, standard deviation of the pairs {pairs.std(ddof=1):.3f}")
print(f"standard deviation if the draws had not been paired: {unpaired:.3f}")

# %%
signs = set(np.sign(pairs))
undecided = len(signs) > 1 or abs(pairs.mean()) < pairs.std(ddof=1)
print("These six draws", "do not show" if undecided else "suggest", "which model is better.")

# %% [markdown]
# If the differences have both signs, or if their mean is smaller than their standard deviation, the
# draws do not show which model is better.
#
# Six draws are few, and their patients overlap, so they are not six independent experiments. The
# usual standard error (standard deviation divided by the root of the number of draws) is therefore
# too small (Nadeau and Bengio, 2003). Report the mean, the spread and the number of draws. The
# interval over patients (lesson 06) says how far the score of one trained model generalizes.
#
# ## Many runs with one command
#
# Loops like those above are quickly written and quickly wrong, and if the power fails, everything
# is lost. A *grid* describes the runs in a file that you keep beside the results. `fixed` holds
# what all runs share, `grid` holds a list of values for each name. Every combination is one run;
# here there are two, but three models, four folds and five seeds would make sixty.

# %% tags=["nbval-check-output"]
grid = {
    "task": "train",
    "fixed": {"profile": profile, "seed": seed},
    "grid": {"model": ["svm"], "fold": [0, 1]},
}
print(yaml.safe_dump(grid, sort_keys=False))

# %% [markdown]
# All runs are checked before the first one starts: a typing error should cost a second, not a
# night.

# %% tags=["nbval-check-output"]
here.run.mkdir(parents=True, exist_ok=True)
file = here.run / "grid.yaml"
file.write_text(yaml.safe_dump({**grid, "grid": {"model": ["svm", "smv"]}}), "utf-8")
try:
    read_grid(file)
except InputError as error:
    print("Refused:", str(error).split(";")[0])

# %% tags=["nbval-check-output"]
root = prepared.dataset.root
grid["fixed"]["dataset"] = str(root) if dataset == "twin" else datasets.absolute_dataset(dataset)
file.write_text(yaml.safe_dump(grid, sort_keys=False), "utf-8")
entries = read_grid(file)
print(len(entries), "runs, which differ in", " and ".join(varying(entries)))

# %% [markdown]
# On the command line this is `leuk sweep grid.yaml`. Each run is a process of its own, and as many
# run at once as the computer has cores. With `--scheduler` the same grid runs on a cluster. A run
# that fails is recorded with its error and the others go on. `--resume` runs only what is missing.

# %%
out = here.run / "sweep"
state = sweep.run_sweep(entries, out, resume=(out / "sweep.json").is_file())
print(f"{sum(entry['seconds'] for entry in state.results.values()):.0f} seconds of runs")

# %% tags=["nbval-check-output"]
print({name: state.count(name) for name in ("done", "failed", "waiting")})
print(len(list((out / "runs").iterdir())), "runs have left a folder")

# %% [markdown]
# The results are in one tidy table: one row per run, model and metric. The area baseline and the
# majority-class baseline come with every run, on the same patients.

# %%
results = sweep_table.collect(out, entries, state)
sweep_table.write(out, results, entries)  # results.csv, results.parquet, a figure
found = results[results["metric"] == "auroc"].drop_duplicates(["fold", "answered_by"])
found.pivot(index="fold", columns="answered_by", values="value").round(3)

# %%
here.record(
    runs=len(entries),
    spread_between_seeds=round(float(within), 3),
    spread_between_patients=round(float(wider), 3),
    mean_difference_svm_minus_forest=round(float(pairs.mean()), 3),
    sd_of_the_differences=round(float(pairs.std(ddof=1)), 3),
)

# %% [markdown]
# ## Exercises
#
# **12.1** A model was tested on five draws of patients. These are its AUROCs, in hundredths. The
# paper prints only the last one. Which value should it report as the expected score of a draw?

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
# - One score is one draw. Ask what was drawn again: the model's seed, or the patients.
# - The best of several runs grows with their number. Report all of them.
# - Compare models on the same draws, in pairs.
#
# **Read next:** `docs/scale.md`, for more runs than one computer does. On the spread between seeds:
# Bouthillier et al., "Accounting for variance in machine learning benchmarks", MLSys 2021. On
# repeated splits: Nadeau and Bengio, "Inference for the generalization error", *Machine Learning*
# 52 (2003).
