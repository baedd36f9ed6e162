"""Answers to the exercises of lesson 11: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import re

import numpy as np
from sklearn.metrics import accuracy_score, precision_score, recall_score


def encode(labels, number_of):
    unknown = set(labels) - set(number_of)
    if unknown:
        raise ValueError(f"unknown: {unknown}")
    return labels.map(number_of).to_numpy(dtype=int)


def nameless_error(labels, number_of):
    if set(labels) - set(number_of):
        raise ValueError("a label is unknown")
    return labels.map(number_of)


def fixed_numbers(labels, number_of):
    return labels.map({"normal": 0, "blasts": 1})


def patient_of(name):
    match = re.search(r"^(S\d+)-", name)
    return match.group(1) if match else None


def two_digits(name):
    match = re.search(r"^(S\d\d)-", name)
    return match.group(1) if match else None


def macro_recall(y_true, y_pred):
    return np.mean([np.mean(y_pred[y_true == label] == label) for label in np.unique(y_true)])


def three_classes_only(y_true, y_pred):
    found = [np.mean(y_pred[y_true == label] == label) for label in "abc" if label in y_true]
    return np.mean(found or [0])


def unfinished(*_):
    return None


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "11.1": (
        {},
        "the classes are swapped",
        {"train longer": "labels", "it guesses": "0.5", "x": "choices"},
    ),
    "11.2": (
        {},
        encode,
        {
            unfinished: "nothing yet",
            (lambda labels, number_of: labels.map(number_of)): "became nan",
            (lambda labels, number_of: labels.map(number_of).fillna(0)): "became",
            (lambda labels, number_of: [number_of[label] for label in labels]): "KeyError",
            (lambda labels, number_of: sorted(number_of[label] for label in labels)): "returns [0",
            fixed_numbers: "whatever it holds",
            nameless_error: "name the unknown",
        },
    ),
    "11.3": (
        {},
        patient_of,
        {
            unfinished: "None",
            two_digits: "S123",
            (lambda name: name[:3]): "S123",
            (lambda name: name.split("_")[0]): "the patient is",
            (lambda name: re.search(r"(S\d+)-", name).group(1)): "group(1)",
            (lambda name: name.split("-")[0]): "names no patient",
        },
    ),
    "11.4": (
        {},
        macro_recall,
        {
            unfinished: "nothing yet",
            accuracy_score: "accuracy",
            (lambda t, p: precision_score(t, p, average="macro")): "precision",
            (lambda t, p: recall_score(t, p, average=None)): "one number",
            (lambda t, p: 1 - macro_recall(t, p)): "each class",
            three_classes_only: "two or four",
        },
    ),
}
