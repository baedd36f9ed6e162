"""Profiles: how much work is done, and with which pictures."""

from dataclasses import dataclass

from leukhelpers.errors import InputError
from leukhelpers.images import handmade
from leukhelpers.images.preprocessing import BOX, BOX_SIZE, CENTER_CROP, CENTER_SIZE

CLASSICAL = ("svm", "rf")
ENSEMBLE = "cnn+svm"


@dataclass(frozen=True)
class Profile:
    """How much work a run does.

    ``size`` and ``crop`` are in pixels: a ``crop``×``crop`` square out of the middle of
    the 450×450 original is averaged down to ``size``×``size``. The network of the course sees
    each cell cropped to its bounding box, resized to ``box_size`` pixels.
    """

    name: str
    twin_images: int
    twin_subjects: int
    epochs: int
    size: int = CENTER_SIZE
    box_size: int = BOX_SIZE["fast"]
    crop: int = CENTER_CROP
    batch_size: int = 32
    learning_rate: float = 2e-3


PROFILES = {
    "smoke": Profile("smoke", 200, 28, epochs=2, box_size=BOX_SIZE["smoke"], batch_size=16),
    "fast": Profile("fast", 800, 28, epochs=12, batch_size=16),
    "full": Profile("full", 10661, 73, epochs=10, box_size=BOX_SIZE["full"]),
}


def default_profile(dataset: str) -> str:
    """Name the profile of a training: ``fast`` on the synthetic cells, ``full`` on others."""
    return "fast" if dataset == "twin" else "full"


def profile_of(name: str) -> Profile:
    """Find a profile by its name; an unknown one is an :class:`InputError`."""
    if name not in PROFILES:
        raise InputError(f"Profile {name!r} is not known; choose from {', '.join(PROFILES)}.")
    return PROFILES[name]


def picture_size(name: str, profile: Profile) -> tuple[int, int]:
    """Tell which pictures a model takes: their edge, and the edge of what is cut out.

    Parameters
    ----------
    name : str
        A model's name.
    profile : Profile
        That of the run. Pretrained networks take its size: on real cells frozen
        EfficientNet-Lite0 gained nothing at 128 pixels over 96. The network of the
        course sees each cell cropped to its bounding box, and so not how large it is.

    Returns
    -------
    size, crop : int
        Pixels of the picture, and of the original (or ``preprocessing.BOX``).
    """
    if name in ("cnn", ENSEMBLE):  # of an ensemble, what its network sees
        return profile.box_size, BOX
    return (handmade.SIZE if name in CLASSICAL else profile.size), profile.crop


def views(name: str, profile: Profile) -> list[tuple[int, int]]:
    """List the pictures that a model takes of one cell: one, or of an ensemble two."""
    members = ("cnn", "svm") if name == ENSEMBLE else (name,)
    return [picture_size(member, profile) for member in members]
