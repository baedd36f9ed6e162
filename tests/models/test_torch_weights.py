"""Weights in a pickle are read; anything else that a pickle can hold is refused."""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

from leukhelpers.errors import InputError
from leukhelpers.models.torch_weights import read_state_dict

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Numbers:
    """What PyTorch calls a storage."""

    def __init__(self, key, values, kind="FloatStorage"):
        self.key, self.values, self.kind = key, np.asarray(values, "<f4"), kind


class Window:
    """What PyTorch calls a tensor."""

    def __init__(self, numbers, offset, shape, strides):
        self.told = (numbers, offset, shape, strides, False, OrderedDict())


@pytest.fixture
def torch_names(monkeypatch):
    """Modules that look like PyTorch's to a pickler; nothing of it is installed."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        raise AssertionError("a name stands for our own function, never for theirs")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        "_rebuild_tensor_v2",
    )
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for kind in ("FloatStorage", "QInt8Storage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
    torch._utils = utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


def write(path, torch, content, magic=MAGIC, counts=None, keys=None):
    """Write the format that PyTorch had before 1.6."""
    found: dict[str, Numbers] = {}

    class Writer(pickle.Pickler):
        def persistent_id(self, thing):
            if not isinstance(thing, Numbers):
                return None
            found[thing.key] = thing
            kind = getattr(torch, thing.kind)
            return ("storage", kind, thing.key, "cpu", len(thing.values), None)

        def reducer_override(self, thing):
            if isinstance(thing, Window):
                return torch._utils._rebuild_tensor_v2, thing.told
            return NotImplemented

    with path.open("wb") as file:
        for part in (magic, PROTOCOL, {"little_endian": True}):
            pickle.dump(part, file, 2)
        buffer = io.BytesIO()
        Writer(buffer, 2).dump(content)
        file.write(buffer.getvalue())
        told = sorted(found) if keys is None else keys
        pickle.dump(told, file, 2)
        for key in told:
            count = (counts or {}).get(key, len(found[key].values))
            file.write(count.to_bytes(8, "little") + found[key].values.tobytes())
    return path


@pytest.fixture
def weights(tmp_path, torch_names):
    numbers = Numbers("0", np.arange(12))
    content = OrderedDict(
        kernel=Window(numbers, 0, (3, 4), (4, 1)),
        turned=Window(numbers, 0, (4, 3), (1, 4)),
        late=Window(numbers, 10, (2,), (1,)),
        count=Window(Numbers("1", [7]), 0, (), ()),
    )
    return write(tmp_path / "weights.pth", torch_names, content)


def test_arrays_come_back_with_their_names_shapes_and_strides(weights):
    found = read_state_dict(weights)
    assert list(found) == ["kernel", "turned", "late", "count"]
    np.testing.assert_array_equal(found["kernel"], np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(found["turned"], found["kernel"].T)
    np.testing.assert_array_equal(found["late"], [10, 11])
    assert found["count"] == 7


class Command:
    """A pickle that runs a command when it is opened."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("place", ["content", "header"])
def test_a_pickle_that_names_a_function_is_refused_and_does_not_run(place, tmp_path, torch_names):
    trap = Command(str(tmp_path / "it-ran"))
    content = OrderedDict(kernel=trap) if place == "content" else OrderedDict()
    magic = trap if place == "header" else MAGIC
    path = write(tmp_path / "trap.pth", torch_names, content, magic)
    with pytest.raises(InputError, match="mkdir"):
        read_state_dict(path)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (13,), (1,)), (11, (2,), (1,)), (-1, (2,), (1,)), (0, (2, 2), (100, 1)), (5, (3,), (-1,))],
)
def test_a_tensor_beyond_its_numbers_is_refused(offset, shape, strides, tmp_path, torch_names):
    window = Window(Numbers("0", np.arange(12)), offset, shape, strides)
    path = write(tmp_path / "far.pth", torch_names, OrderedDict(kernel=window))
    with pytest.raises(InputError, match="beyond its numbers"):
        read_state_dict(path)


def test_a_tensor_whose_numbers_are_left_out_is_refused(tmp_path, torch_names):
    window = Window(Numbers("0", np.arange(12)), 0, (12,), (1,))
    path = write(tmp_path / "none.pth", torch_names, OrderedDict(kernel=window), keys=[])
    with pytest.raises(InputError, match="beyond its numbers"):
        read_state_dict(path)


def test_a_storage_of_another_kind_is_refused(tmp_path, torch_names):
    window = Window(Numbers("0", [1, 2], kind="QInt8Storage"), 0, (2,), (1,))
    path = write(tmp_path / "kind.pth", torch_names, OrderedDict(kernel=window))
    with pytest.raises(InputError, match="QInt8Storage"):
        read_state_dict(path)


def test_a_length_that_was_changed_is_refused(tmp_path, torch_names):
    content = OrderedDict(kernel=Window(Numbers("0", [1, 2]), 0, (2,), (1,)))
    path = write(tmp_path / "length.pth", torch_names, content, counts={"0": 2**40})
    with pytest.raises(InputError, match="another length"):
        read_state_dict(path)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_was_cut_short_is_refused(share, weights):
    whole = weights.read_bytes()
    weights.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"weights\.pth"):
        read_state_dict(weights)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 a zip, as newer files are", b"text", b"\x80\x04N."]
)
def test_another_format_is_refused(content, tmp_path):
    (tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"other\.pth"):
        read_state_dict(tmp_path / "other.pth")


def test_a_list_in_place_of_a_table_is_refused(tmp_path, torch_names):
    with pytest.raises(InputError, match="no state_dict"):
        read_state_dict(write(tmp_path / "list.pth", torch_names, [1, 2]))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_state_dict(tmp_path / "none.pth")
