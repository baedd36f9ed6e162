"""Helpers of a course on telling leukemic from healthy blood cells, honestly.

``import leukhelpers as lk`` is all that a lesson needs; each name is loaded when it is first
used, so that a lesson without a network does not wait for TensorFlow.
"""

import os

import lazy_loader

__version__ = "2.0.0"
NOTICE = "For teaching, not for diagnosis."  # stands wherever a prediction does

# TensorFlow reads this when it is first imported; its start-up messages would
# stand above every lesson. What goes wrong still raises.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "course.lesson": ["begin", "measured"],
        "course.exercises": ["check"],
        "errors": ["InputError"],
        "datasets": ["load_dataset"],
        "data.cards": ["data_card"],
        "data.published": ["read_published"],
        "data.table": ["import_folder"],
        "synthetic.twin": ["cause_masks"],
        "images.preprocessing": ["cell_box", "crop_and_resize"],
        "images.handmade": ["feature_kinds"],
        "images.augmentation": ["augment_batch"],
        "splits.groups": ["SharedGroupError", "group_ids"],
        "splits.near_duplicates": ["near_duplicates"],
        "evaluation.bootstrap": ["compare", "intervals"],
        "plots.cells": ["brighten"],
        "plots.style": ["CLASS_COLORS", "MODEL_COLORS"],
        "models.networks": ["build_cnn"],
        "models.transfer": ["build_transfer"],
    },
)
