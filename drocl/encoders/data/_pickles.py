"""Pickled dictionaries of numbers, text and byte arrays, read without running anything that they name."""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RECONSTRUCT = ("_reconstruct", ("numpy.core.multiarray", "numpy._core.multiarray"))


class Refused(ValueError):
    """A pickle that asks for a class or function which its format has no use for."""


def read_pickle(content: bytes, where: str) -> dict[str, Any]:
    """The dictionary in a pickle, its keys as text, its arrays of bytes as uint8.

    `pickle` runs what a file names. Here a file gets stand-ins for numpy's array and dtype, which note what they are given, and for
    the encoding of bytes as latin1; they are made anew for each file. Any other name is refused.

    Args:
        content: the file.
        where: what an error calls it.

    Raises:
        ValueError: names the class that is refused; a file that is no such pickle.
    """
    try:
        value = _Unpickler(content, where).load()
        if not isinstance(value, dict):
            raise ValueError(f"it holds a {type(value).__name__}")
        return {_text(key): _plain(item) for key, item in value.items()}
    except Refused:
        raise
    except Exception as error:  # damaged pickles fail in every way there is
        raise ValueError(
            f"{where} is no pickled dictionary that can be read: {error or type(error).__name__}"
        ) from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, where: str) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self.where, self.allowed = where, _stand_ins()

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in, or an error; nothing is imported."""
        try:
            return self.allowed[module, name]
        except KeyError:
            raise Refused(
                f"{self.where} asks for {module}.{name}, which a pickle of arrays has no use for; nothing of it was run"
            ) from None


class _Noted:
    """What an array was pickled as."""

    state: Any = None

    def array(self) -> NDArray[np.uint8]:
        """The bytes (uint8) in their shape."""
        _, shape, dtype, fortran, raw = self.state
        code = _text(dtype.code)
        if code not in ("u1", "|u1") or not isinstance(raw, bytes):
            raise ValueError(f"it has an array of type {code!r}, and bytes are allowed")
        return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")


def _stand_ins() -> dict[tuple[str, str], Any]:
    class Array(_Noted):
        def __setstate__(self, state: Any) -> None:
            self.state = state

    class Dtype:
        def __init__(self, code: Any, *_: Any) -> None:
            self.code = code

        def __setstate__(self, state: Any) -> None:
            pass  # byte order and alignment: bytes have none

    def reconstruct(*_: Any) -> Array:
        return Array()

    def encode(text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", b"latin1"):
            raise ValueError(f"it has bytes in the encoding {encoding!r}")
        return text.encode("latin1")

    name, modules = _RECONSTRUCT
    allowed: dict[tuple[str, str], Any] = {(module, name): reconstruct for module in modules}
    return {**allowed, ("numpy", "ndarray"): Array, ("numpy", "dtype"): Dtype, ("_codecs", "encode"): encode}


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, _Noted):
        return value.array()
    if isinstance(value, list) and value and all(isinstance(item, bytes | str) for item in value):
        return [_text(item) for item in value]
    return value
