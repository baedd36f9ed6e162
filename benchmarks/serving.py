"""Measure what a served run refuses, how fast it predicts, and how exact its exported copies are.

    python -m benchmarks.serving measure --run RUN --dataset REAL --others SAMPLE
    python -m benchmarks.serving page

RUN was trained on all but one fold of REAL (``leuk train --fold 0``). ``measure`` writes
``benchmarks/results/serving_real.json``; ``page`` writes ``docs/serving.md`` from it and from
``web_page.json``, which ``benchmarks.web_page`` measures.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from benchmarks import reference, strangers
from leukhelpers import files
from leukhelpers.data.pictures import read_image
from leukhelpers.evaluation.names import MODEL_COLUMNS
from leukhelpers.experiments import provenance, storage
from leukhelpers.images.preprocessing import crop_and_resize
from leukhelpers.models import ood, prepare, profiles, registry
from leukhelpers.serving import export
from leukhelpers.serving import predict as serve
from leukhelpers.splits import groups

RESULTS = Path(__file__).parent / "results" / "serving_real.json"
WEB_RESULTS = RESULTS.with_name("web_page.json")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "serving.md"
SEEDS = (0, 1, 2)


def median_ms(call: Callable[[], Any], n: int) -> dict[str, float]:
    call(), call()
    taken = []
    for _ in range(n):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return {"median_ms": statistics.median(taken), "p99_ms": float(np.quantile(taken, 0.99))}


def cores_used() -> tuple[float, float, float]:
    """Seconds: of the clock, of all cores, and of this process and its finished children."""
    all_of_it = psutil.cpu_times()
    busy = all_of_it.user + all_of_it.nice + all_of_it.system + all_of_it.steal
    return time.monotonic(), busy, sum(psutil.Process().cpu_times()[:4])


def refusals(prepared: prepare.Prepared, others: Path) -> dict[str, Any]:
    """Fit on the known subjects of many splits; count who passes and who is refused."""
    pixels, (size, crop) = (
        prepare.pictures("cnn", prepared),
        profiles.picture_size("cnn", prepared.profile),
    )

    def small(pictures: list[np.ndarray]) -> np.ndarray:
        return np.stack([crop_and_resize(picture, size, crop) for picture in pictures])

    read = {path: read_image(path) for path in sorted(others.rglob("*.bmp"))}
    places = {path: _place(path, others) for path in read}
    known = set(prepared.table["sha256"])
    kinds = {k: small(v) for k, v in strangers.kinds(0, list(read.values())[::2]).items()}
    away = pd.Series(places)[lambda at: at != "fold 0"]  # whom no run of fold 0 has seen
    foreign = small([read[path] for path in away.index])
    folds, counts = [], {kind: len(pictures) for kind, pictures in kinds.items()}
    for seed in SEEDS:
        for number, split in enumerate(groups.grouped_folds(prepared.table, 4, seed)):
            learnt = storage.fit_familiar(prepared._replace(split=split))
            passed = ood.distance(learnt, pixels[split.test]) <= learnt["limit"]
            by_subject = pd.Series(passed).groupby(prepared.table["subject"].to_numpy()[split.test])
            elsewhere = ood.distance(learnt, foreign) <= learnt["limit"]
            folds.append(
                {
                    "seed": seed,
                    "fold": number,
                    "cells": len(passed),
                    "passed": float(passed.mean()),
                    "worst_subject": float(by_subject.mean().min()),
                    "elsewhere": pd.Series(elsewhere).groupby(away.to_numpy()).mean().to_dict(),
                    "refused": {
                        kind: float((ood.distance(learnt, p) > learnt["limit"]).mean())
                        for kind, p in kinds.items()
                    },
                }
            )
    return {
        "folds": folds,
        "strangers": counts,
        "elsewhere": away.value_counts().to_dict(),
        "cells": len(known),
    }


def _place(path: Path, root: Path) -> str:
    name = str(path.relative_to(root))
    for part, told in (("fold_0", "fold 0"), ("fold_1", "fold 1"), ("fold_2", "fold 2")):
        if part in name:
            return told
    return "final test, 600×600" if "final" in name else "preliminary test"


def decisions_of(
    served: serve.Served, prepared: prepare.Prepared, run: storage.Run
) -> dict[str, Any]:
    """Predict the held-out cells as `leuk predict` does."""
    held = run.predictions
    by_id = prepared.table.set_index("cell_id")
    named, strange, near = np.full(len(held), np.nan), 0, 0
    for row, cell_id in enumerate(held["cell_id"]):
        content = (prepared.dataset.root / by_id.at[cell_id, "path"]).read_bytes()
        told = serve.look(served, content)[0]
        strange += told["why"] == serve.STRANGE
        near += told["why"] == serve.NEAR
        if told["answer"] is not None:
            named[row] = served.classes.index(told["answer"])
    n, answered = len(held), ~np.isnan(named)
    rivals = {name: held[MODEL_COLUMNS[name]] >= 0.5 for name in ("area", "majority")}
    return {
        "cells": n,
        "subjects": int(held["subject"].nunique()),
        "answered": float(answered.mean()),
        "right_of_answered": {
            name: float((given == held["label"])[answered].mean())
            for name, given in {"cnn": named, **rivals}.items()
        },
        "near": near / n,
        "strange": strange / n,
    }


def latencies(served: serve.Served, contents: list[bytes], copies: Path) -> dict[str, Any]:
    """Time one picture: by each way to ask the network, and from file to answer."""
    model = registry.load_model(served.run.folder)
    cell = np.load(served.run.folder / "background.npy")[:1].astype(np.float32)
    asks = {
        "model.predict": lambda: model.predict(cell, verbose=0),
        "a direct call": lambda: model(cell, training=False),
    }
    for file in ("model-float32.tflite", "model-int8.tflite"):
        ask = export.litert((copies / file).read_bytes())
        asks[file] = lambda ask=ask: ask(cell)
    onnx = export.onnx((copies / "model.onnx").read_bytes())
    asks["model.onnx"] = lambda: onnx(cell)
    found: dict[str, Any] = {
        name: median_ms(call, 60 if "tflite" not in name and "onnx" not in name else 300)
        for name, call in asks.items()
    }
    turn = iter(contents * 3)
    found["file to prediction"] = median_ms(lambda: serve.look(served, next(turn)), len(contents))
    return found


def measure(run_folder: Path, dataset: str, others: Path) -> None:
    data = files.workspace() / "data"
    run = storage.read_run(run_folder)
    profile = storage.profile_in(run.about)
    cells = prepare.load(dataset, profile, run.about["seed"], data)
    prepared = prepare.prepare(cells, profile, run.about["seed"], data)
    served = serve.load(run_folder, data / "cache")
    with tempfile.TemporaryDirectory() as place:
        copies = {
            form: export.export_run(run_folder, cells, data, place, form) for form in export.FORMATS
        }
        held = run.predictions["cell_id"].sample(200, random_state=0)
        paths = prepared.table.set_index("cell_id")["path"][held]
        contents = [(cells.root / path).read_bytes() for path in paths]
        before = cores_used()
        timed = latencies(served, contents, Path(place))
    taken, busy, own = np.subtract(cores_used(), before)
    files.write_json(
        RESULTS,
        {
            "dataset": cells.name,
            "run": {key: run.about[key] for key in ("seed", "images", "subjects", "date")},
            "profile": profile.name,
            "seed": run.about["seed"],
            "seeds": SEEDS,
            "refusal": refusals(prepared, others),
            "answers": decisions_of(served, prepared, run),
            "copies": copies,
            "latency": timed,
            "others_busy": max(0.0, float((busy - own) / (taken * psutil.cpu_count()))),
            "date": time.strftime("%Y-%m-%d"),
            "machine": {**provenance.environment()["machine"], "processor": platform.machine()},
            "versions": provenance.environment()["versions"],
        },
    )


def write_page() -> None:
    PAGE.write_text(text(files.read_json(RESULTS), files.read_json(WEB_RESULTS)), "utf-8")


def text(found: dict[str, Any], page: dict[str, Any]) -> str:
    """Put what was measured into words and tables."""
    refusal, answers, timed = found["refusal"], found["answers"], found["latency"]
    folds = refusal["folds"]
    predict = timed["model.predict"]["median_ms"]
    passed = [fold["passed"] for fold in folds]
    machine, right = found["machine"], answers["right_of_answered"]
    lines = [
        "# The web page and the exported copies, measured",
        "",
        "For teaching, not for diagnosis; not for clinical use. Written by "
        "`python -m benchmarks.serving page` from `benchmarks/results/serving_real.json`: "
        f"{found['dataset']}, real cells, "
        f"{reference.recipe(found['profile'], found['date'])}, seed {found['run']['seed']}, "
        f"{found['date']}, {machine['cores']} cores, {machine['memory_gb']} GB.",
        "",
        "## Which images are accepted",
        "",
        f"There are {len(folds)} splits of fold 0: {len(found['seeds'])} seeds with four grouped "
        f"folds each, of {refusal['cells']:,} cells. In each, the distance was fitted on training "
        "and validation subjects. Each of them was left out once, which gives the 99th percentile "
        "of the distance of its cells. The limit is the largest of these. Only cells of the test "
        f"subjects are counted below. On average {statistics.mean(passed):.1%} of them are "
        f"accepted, and {min(passed):.1%} in the worst split. The worst single subject has "
        f"{min(fold['worst_subject'] for fold in folds):.0%}.",
        "",
        "| cells of other parts of the data | cells | accepted, mean | accepted, worst split |",
        "| --- | --- | --- | --- |",
    ]
    for place, count in refusal["elsewhere"].items():
        shares = [fold["elsewhere"][place] for fold in folds]
        lines.append(f"| {place} | {count} | {statistics.mean(shares):.1%} | {min(shares):.1%} |")
    lines += ["", "| not cells | images | refused, mean | refused, worst split |"]
    lines.append("| --- | --- | --- | --- |")
    for kind, count in refusal["strangers"].items():
        shares = [fold["refused"][kind] for fold in folds]
        lines.append(f"| {kind} | {count} | {statistics.mean(shares):.1%} | {min(shares):.1%} |")
    lines += [
        "",
        "Neither test subjects nor images that are not cells were used to set the limit. But the "
        "rule for the limit was chosen on splits of fold 0, after a comparison with another rule "
        "(1.5 times the distance of the validation cells). So the shares may be a little too good. "
        f"The final test has only {refusal['elsewhere']['final test, 600×600']} cells here, so one "
        "cell changes its share a lot. Most of the photographs are squares cut out of a few.",
        "",
        "## How many predictions are correct",
        "",
        f"Of {answers['cells']} held-out cells of {answers['subjects']} subjects, "
        f"{answers['answered']:.1%} get a prediction, and {right['cnn']:.1%} of these predictions "
        "are correct. On the cells with a prediction, at a threshold of 0.5, the area baseline is "
        "correct for "
        f"{right['area']:.1%} and the majority-class baseline for {right['majority']:.1%}. "
        f"{answers['near']:.1%} of the cells get no prediction because they are too close to the "
        f"decision threshold. {answers['strange']:.1%} are refused as out-of-distribution. These "
        "are few subjects of one fold; another fold may give other numbers.",
        "",
        "## Exported copies",
        "",
        "| file | size, MB | largest difference of a probability | change of AUROC |",
        "| --- | --- | --- | --- |",
    ]
    for form in found["copies"].values():
        for file, told in form["files"].items():
            change = told.get("auroc_change")
            shown = "–" if change is None else f"{change:+.4f}"
            difference = told["largest_difference"]
            lines.append(f"| {file} | {told['bytes'] / 1e6:.2f} | {difference:.1e} | {shown} |")
    compared = found["copies"]["litert"]
    lines += [
        "",
        f"The copies were compared with the network on {compared['cells']} held-out cells of "
        f"{compared['subjects']} subjects.",
        "",
        "## Speed",
        "",
        "| one image | median, ms | 99th percentile, ms | time of `model.predict` / this time |",
        "| --- | --- | --- | --- |",
    ]
    for name, told in timed.items():
        times = f"{predict / told['median_ms']:.1f}" if "file" not in name else "–"
        times = "–" if name == "model.predict" else times
        lines.append(f"| {name} | {told['median_ms']:.1f} | {told['p99_ms']:.1f} | {times} |")
    less = "; an idle machine is faster" if found["others_busy"] > 0.05 else ""
    lines += [
        "",
        "*File to prediction* means: read the file, crop the cell, check the image, predict. "
        "`leuk predict` uses a float32 copy in LiteRT. During the measurement, other "
        f"work kept {found['others_busy']:.0%} of the cores busy{less}.",
        "",
        "## The page in the browser",
        "",
        *page_lines(page),
    ]
    return "\n".join(lines)


def page_lines(found: dict[str, Any]) -> list[str]:
    """Put into words how the page in the browser compares with `leuk predict`."""
    parity, speed, memory = found["parity"], found["speed"], found["memory"]
    machine = found["machine"]
    lines = [
        "`leuk export --format web` writes the page, and `leuk app` serves it on this computer. "
        "The network runs in the browser; no picture is uploaded. Measured by "
        f"`python -m benchmarks.web_page`, kept in `benchmarks/results/web_page.json`: "
        f"{found['browser']}, {found['date']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB. The page has {found['bytes'] / 1e6:.1f} MB, the runtime "
        "included.",
        "",
        "| the same files by the page and by `leuk predict` | cells | predicted by both | "
        "largest difference of a probability | other OOD decisions |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind, one in parity.items():
        lines.append(
            f"| {kind} | {one['cells']} | {one['predicted']} | {one['largest_difference']:.1e} | "
            f"{one['other_decisions']} |"
        )
    grown = memory["after_mb"] - memory["before_mb"]
    return [
        *lines,
        "",
        "The page writes six decimals of a probability, so smaller differences are not seen.",
        "",
        "| step | time |",
        "| --- | ---: |",
        f"| page opened from disk, until it is ready (median of {speed['loads']}) | "
        f"{speed['ready_s']:.1f} s |",
        f"| one 450×450 BMP, from its bytes to its prediction (median of {speed['pictures']}) | "
        f"{speed['one_ms']:.0f} ms |",
        f"| 200 such files at once | {speed['two_hundred_s']:.1f} s |",
        "",
        f"After {memory['pictures']:,} pictures, 200 at a time and cleared, the memory of the "
        f"page's process has changed by {grown:+.0f} MB, from {memory['before_mb']:.0f} MB after "
        "the first ones. On average "
        f"{found['load']:.1f} processes wanted to run on the {machine['cores']} cores during the "
        "measurement, the browser's among them.",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("do", choices=["measure", "page"])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--dataset")
    parser.add_argument("--others", type=Path)
    asked = parser.parse_args()
    if asked.do == "measure":
        measure(asked.run, asked.dataset, asked.others)
    write_page()


if __name__ == "__main__":
    main()
