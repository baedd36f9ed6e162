"""SHAP's DeepExplainer, alone in a process: ``python -m leukhelpers.explain._deepshap FOLDER``.

Called by :func:`leukhelpers.explain.shap_values.shap_deep`; a failed DeepExplainer spoils the
process in which it failed, so this one does nothing else.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from leukhelpers.backend import keras
from leukhelpers.models.networks import logit_model


def why_not(error: Exception) -> str:
    """Say in a few words why DeepExplainer failed."""
    reason = str(error).strip()
    # It looks up its rules by names such as shap_Relu6.
    missing = re.search(r"no entry for:? '?shap_(\w+)", reason)
    if missing:
        return f"it has no rule for {missing[1]}"
    # TensorFlow tells the way to the place first, and what was wrong there last.
    return (reason.splitlines() or [type(error).__name__])[-1].strip()[:160]


def main(folder: Path) -> int:
    """Explain ``cells.npz`` by ``model.keras``; leave ``values.npy``, or why not."""
    import shap

    try:
        model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
        with np.load(folder / "cells.npz") as cells:
            explainer = shap.DeepExplainer(logit_model(model), cells["background"])
            values = explainer.shap_values(cells["images"], check_additivity=True)
        values = values[0] if isinstance(values, list) else values
        np.save(folder / "values.npy", np.asarray(values, np.float32))
    except Exception as error:  # an unknown layer fails in many ways
        (folder / "error.txt").write_text(why_not(error), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
