"""Read the weights in a legacy PyTorch file, without PyTorch and without running code.

A pickle is a program: it may call whatever it names. This reader knows four names,
those of a table of numbers, and refuses a file that says any other.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np

from leukhelpers.errors import InputError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_NUMBERS: dict[str, np.dtype] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}
_MOST_NUMBERS = 500_000_000  # of one storage; ResNet-50 has 26 million in all


class _Storage:
    """A run of numbers that follows later in the file, and the views into it."""

    def __init__(self, dtype: np.dtype, count: int) -> None:
        self.dtype, self.count = dtype, count
        self.values = np.zeros(0, dtype)


class _View:
    """A tensor: a window on a storage."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple, strides: tuple) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        """Copy the window out; a window beyond its storage is refused."""
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        reach = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        numbers = (self.offset, *self.shape, *self.strides)
        if min(numbers) < 0 or self.offset + reach >= len(self.storage.values):
            raise pickle.UnpicklingError("a tensor reaches beyond its numbers")
        values = self.storage.values[self.offset :]
        steps = tuple(step * values.itemsize for step in self.strides)
        window = np.lib.stride_tricks.as_strided(values, self.shape, steps, writeable=False)
        return window.copy()


def _rebuild_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *_: Any
) -> _View:  # what follows concerns gradients
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


class _Reader(pickle.Unpickler):
    """An unpickler that knows nothing but tables of numbers."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _NUMBERS:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no table of numbers")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _, count, view = pid
        if kind != "storage" or storage_type not in _NUMBERS or view is not None:
            raise pickle.UnpicklingError("it holds a storage of an unknown kind")
        if not 0 <= count <= _MOST_NUMBERS:
            raise pickle.UnpicklingError("a storage has an impossible length")
        return self.storages.setdefault(key, _Storage(_NUMBERS[storage_type], count))


def read_state_dict(path: Path | str) -> dict[str, np.ndarray]:
    """Read the named arrays of a ``.pth`` file of the format before PyTorch 1.6.

    Parameters
    ----------
    path : path
        A saved ``state_dict``.

    Returns
    -------
    dict of numpy.ndarray
        Name → array, in the order of the file.

    Raises
    ------
    InputError
        If the file is of another format, is damaged, or names anything but
        ``OrderedDict``, ``_rebuild_tensor_v2`` and the storages of plain numbers.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if _Reader(file).load() != _MAGIC or _Reader(file).load() != _PROTOCOL:
                raise pickle.UnpicklingError("it is no legacy PyTorch file")
            _Reader(file).load()  # byte order and widths of the writer; numbers are little-endian
            reader = _Reader(file)
            loaded = reader.load()
            if not isinstance(loaded, OrderedDict):
                raise pickle.UnpicklingError("it holds no state_dict")
            for key in _Reader(file).load():
                storage = reader.storages[key]
                if int.from_bytes(file.read(8), "little") != storage.count:
                    raise pickle.UnpicklingError("a storage has another length than stated")
                content = file.read(storage.count * storage.dtype.itemsize)
                storage.values = np.frombuffer(content, storage.dtype)
                if len(storage.values) != storage.count:
                    raise pickle.UnpicklingError("it ends too early")
            return {str(name): view.array() for name, view in loaded.items()}
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}.") from None
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path.name} is not a table of weights: {error}.") from None
    except (AttributeError, IndexError, ImportError, MemoryError, OverflowError) as error:
        raise InputError(f"{path.name} is damaged: {error}.") from None
