"""Helpers of a course on telling leukemic from healthy blood cells, honestly.

``import leukhelpers as lk`` is all that a lesson needs; each name is loaded when it is first
used, so that a lesson without a network does not wait for TensorFlow.
"""

import os

import lazy_loader

__version__ = "0.1.0"
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
        "data.pictures": ["read_image"],
        "data.published": ["read_published"],
        "data.table": ["import_folder"],
        "images.preprocessing": ["cell_box", "crop_and_resize"],
        "images.features": ["cell_area"],
        "images.handmade": ["measure_cells", "feature_kinds"],
        "images.augmentation": ["augment_batch"],
        "splits.groups": ["SharedGroupError", "group_ids", "grouped_folds", "holdout_split"],
        "splits.near_duplicates": ["near_duplicates"],
        "evaluation.metrics": ["by_subject", "metrics"],
        "evaluation.bootstrap": ["compare", "intervals"],
        "evaluation.calibration": ["choose_threshold"],
        "evaluation.decisions": ["fit_conformal", "prediction_sets"],
        "plots.cells": ["brighten", "plot_cells", "plot_maps"],
        "plots.style": ["CLASS_COLORS", "MODEL_COLORS"],
        "models.networks": ["build_cnn"],
        "models.registry": ["fit", "predict_proba"],
        "models.transfer": ["build_transfer"],
        "models.ood": ["fit_ood"],
        "explain.grad_cam": ["grad_cam"],
        "serving.predict": ["predict_files"],
        "serving.export": ["to_litert"],
        "experiments.sweep": ["run_sweep"],
    },
)
