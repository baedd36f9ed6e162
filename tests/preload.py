"""Loaded before coverage begins, which would follow every call of these long imports."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as leukhelpers.backend sets it
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import hypothesis  # noqa: F401
    import seaborn  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import tensorflow as tf  # noqa: F401
