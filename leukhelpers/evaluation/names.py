"""Names of metrics and models, as tables and figures show them."""

METRIC_NAMES: dict[str, str] = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "weighted_f1": "weighted F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "mcc": "MCC",
    "sensitivity_at_95_specificity": "sensitivity at 95% specificity",
    "specificity_at_95_sensitivity": "specificity at 95% sensitivity",
    "brier": "Brier score",
    "ece": "calibration error",
}
METRICS = tuple(METRIC_NAMES)

# Of more than two classes: over all, and of each class against the rest.
METRIC_NAMES |= {"macro_auroc": "macro AUROC", "macro_f1": "macro F1"}
_BESIDE_AUROC = ("accuracy", "balanced_accuracy", "weighted_f1", "macro_f1", "mcc")
METRICS_OF_MANY = ("macro_auroc", *_BESIDE_AUROC)
CLASS_METRICS = ("auroc", "precision", "recall", "f1")

# What is measured of subjects, each with the mean of the probabilities of its cells. Of few
# subjects, and few there always are, the other measures say next to nothing.
SUBJECT_METRICS = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity")


PRETRAINED = {
    "efficientnet-lite0": "EfficientNet-Lite0",
    "resnet50": "ResNet-50",
    "vgg16": "VGG-16",
    "efficientnetb0": "EfficientNet-B0",
}


MODEL_NAMES: dict[str, str] = {
    "cnn": "CNN",
    "svm": "SVM",
    "cnn+svm": "CNN + SVM",
    "rf": "random forest",
    **{
        f"{name}{how}": f"{title}{note}"
        for name, title in PRETRAINED.items()
        for how, note in {
            "": ", frozen",
            "-random": " with random weights, frozen",
            "-tuned": ", fine-tuned",
        }.items()
    },
    "area": "area baseline",
    "majority": "majority-class baseline",
}


# In the predictions of a run, its own model has the first column, whatever its name.
MODEL_COLUMNS: dict[str, str] = {
    "cnn": "probability",
    "area": "area_probability",
    "majority": "majority_probability",
}
