"""Reads pickles of plain values without trusting them.

Three walls, since a pickle is a program. First its opcodes are listed without running any: unknown ones, memo slots
beyond the opcodes seen (which would make Python reserve gigabytes) and a cut-short end are refused. Then an unpickler
resolves an allow-list of names and nothing else. Last, the allowed names do not reach numpy or torch: they stand for
small constructors of this module, which take plain numbers from raw bytes and check every size (numpy's own
reconstruction accepts object arrays and trusts the state it is given). Tensors are not built: nothing here needs them.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

_DTYPES = frozenset({"b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"})
_OPCODE_NAMES = """
    PROTO STOP FRAME MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 STRING BINSTRING SHORT_BINSTRING SHORT_BINBYTES BINBYTES BINBYTES8
    BYTEARRAY8 EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS
    PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD
"""
_OPCODES = frozenset(_OPCODE_NAMES.split())
_MAX_OPCODES = 20_000_000


class Refused(Exception):
    """The pickle is cut short, or holds something other than plain values; says what."""


class Placeholder:
    """Where the pickle holds a tensor, which is not read."""

    def __init__(self, *parts: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        """Take nothing from STATE."""


def restricted_loads(data: bytes) -> object:
    """Return the value that DATA pickles, a dict of builtins, bytes and arrays. Raises Refused, having run nothing."""
    _check_opcodes(data)
    try:
        return _finished(_Unpickler(io.BytesIO(data), encoding="latin1").load())
    except Refused:
        raise
    except (
        pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError, ImportError,
        MemoryError, OverflowError, RecursionError,
    ) as error:  # fmt: skip  # what a pickle that nobody wrote in good faith can raise
        raise Refused(f"{type(error).__name__}: {error}") from error


def _check_opcodes(data: bytes) -> None:
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(data)):
            if opcode.name not in _OPCODES or count > _MAX_OPCODES:
                raise Refused(f"{opcode.name} at byte {position}")
            if "PUT" in opcode.name and not 0 <= int(argument or 0) <= count:
                raise Refused(f"memo slot {argument} at byte {position}")
            if opcode.name == "GLOBAL" and tuple(str(argument).split(" ", 1)) not in _ALLOWED:
                raise Refused(f"{argument} at byte {position}")
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError) as error:
        raise Refused(f"not a whole pickle: {error}"[:200]) from error


class _Dtype:
    """Stands for ``numpy.dtype``: plain numbers and truth values only."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        if not isinstance(code, str) or code.lstrip("<|=") not in _DTYPES:
            raise Refused(f"dtype {code!r:.40}")
        self.value = np.dtype("<" + code.lstrip("<|="))

    def __setstate__(self, state: object) -> None:
        """Check STATE: (version, byte order, no subtype, names, fields, ...)."""
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", "|", "=") or any(state[2:5]):
            raise Refused(f"dtype state {state!r:.60}")


class _Array:
    """Stands for an array until its bytes are known."""

    value: np.ndarray | None = None

    def __setstate__(self, state: object) -> None:
        """Make the array of STATE: (version, shape, dtype, Fortran order, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise Refused("array state")
        _, shape, dtype, fortran, raw = state
        self.value = _from_bytes(raw, dtype, shape, "F" if fortran is True else "C")


def _from_bytes(raw: object, dtype: object, shape: object, order: object) -> np.ndarray:
    if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, _Dtype) or order not in ("C", "F"):
        raise Refused("array of something other than plain numbers")
    if not isinstance(shape, tuple) or len(shape) > 6 or any(type(n) is not int or n < 0 for n in shape):
        raise Refused(f"array shape {shape!r:.60}")
    if math.prod(shape) * dtype.value.itemsize != len(raw):
        raise Refused(f"array of shape {shape} in {len(raw)} bytes")
    if dtype.value.kind == "b" and raw.strip(b"\x00\x01"):
        raise Refused("truth values other than 0 and 1")
    return np.frombuffer(raw, dtype.value).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(*arguments: object) -> _Array:
    return _Array()


def _buffer(raw: object, dtype: object, shape: object, order: object) -> _Array:
    array = _Array()
    array.value = _from_bytes(raw, dtype, shape, order)
    return array


def _scalar(dtype: object, raw: object) -> int | float | bool:
    value: int | float | bool = _from_bytes(raw, dtype, (), "C").item()
    return value


def _encode(text: object, encoding: object) -> bytes:
    """Stands for ``_codecs.encode``, with which old protocols write bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused(f"encoding {encoding!r:.40}")
    return text.encode("latin1")


def _nothing(*arguments: object) -> None:
    """Stands for names whose value is not needed."""
    return None


class _Maker:
    """What an allowed name resolves to: it can be called, and nothing else can be done to it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: object) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        """Refuse: a pickle may build what it made, not what made it."""
        raise Refused("an attempt to change a name")


_ALLOWED = MappingProxyType(
    {
        ("numpy", "ndarray"): _Maker(_nothing),  # only ever an argument of _reconstruct
        ("numpy", "dtype"): _Maker(_Dtype),
        ("numpy.core.multiarray", "_reconstruct"): _Maker(_reconstruct),
        ("numpy._core.multiarray", "_reconstruct"): _Maker(_reconstruct),
        ("numpy.core.numeric", "_frombuffer"): _Maker(_buffer),
        ("numpy._core.numeric", "_frombuffer"): _Maker(_buffer),
        ("numpy.core.multiarray", "scalar"): _Maker(_scalar),
        ("numpy._core.multiarray", "scalar"): _Maker(_scalar),
        ("_codecs", "encode"): _Maker(_encode),
        ("collections", "OrderedDict"): _Maker(_nothing),  # a tensor's hooks, always empty
        ("torch._utils", "_rebuild_tensor_v2"): _Maker(Placeholder),
        ("torch.storage", "_load_from_bytes"): _Maker(Placeholder),
        ("torch", "device"): _Maker(Placeholder),
    }
)
"""The only names that resolve, and what they resolve to."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Maker:
        """Return what stands for MODULE.NAME. Raises Refused for anything that is not on the list."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: object) -> object:
        """Refuse references to things outside the pickle."""
        raise Refused("a reference to something outside")


def _finished(value: object) -> object:
    """Put the arrays in the place of what stood for them: in VALUE, a dict, and in the lists and tuples within it."""
    if not isinstance(value, dict):
        raise Refused(f"a {type(value).__name__}, not a dict")
    return {key: _finished_item(item, depth=2) for key, item in value.items()}


def _finished_item(item: object, depth: int) -> object:
    if isinstance(item, _Array):
        if item.value is None:
            raise Refused("an array without contents")
        return item.value
    if depth and isinstance(item, list | tuple):
        return type(item)(_finished_item(part, depth - 1) for part in item)
    return item
