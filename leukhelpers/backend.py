"""TensorFlow and Keras, imported without their start-up messages.

On a machine without a GPU TensorFlow greets with a dozen lines about what is missing,
written by its C++ code past Python's ``sys.stderr``. In a lesson they would stand in
red above the first result. Errors raise all the same.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["keras", "quiet_stderr", "tf"]


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Point the process's error stream to nowhere."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError):  # there is no error stream: a program without a terminal
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


# On processors without AVX-512 TensorFlow leaves its faster convolutions off, which makes
# a training there three times as long; with them all processors use the same code.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

with quiet_stderr():
    import keras
    import tensorflow as tf

    # A lesson that trains several networks would print a warning for each new graph.
    tf.get_logger().setLevel("ERROR")
    tf.config.list_physical_devices()  # looks for a GPU, and says so if there is none
    tf.constant(0)
