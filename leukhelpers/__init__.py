"""Helpers of a course on telling leukemic from healthy blood cells, honestly."""

import os

__version__ = "0.1.0"
NOTICE = "For teaching, not for diagnosis."  # stands wherever a prediction does

# TensorFlow reads this when it is first imported; its start-up messages would
# stand above every lesson. What goes wrong still raises.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
