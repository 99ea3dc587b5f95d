"""Reads pickles of plain values without trusting them.

A pickle is a program for a small machine. This module is that machine with few abilities: it builds numbers, texts,
bytes, lists, tuples, and dicts with texts as keys. Names resolve only to small constructors of this module, which read
plain numbers from raw bytes and check every size (numpy's own reconstruction accepts object arrays and trusts its
state). Tensors are not built, since no reader needs them. The length of the program, the bytes that its constructors
get, and the depth and size of its result are bounded, also for repeated references, so that a small pickle cannot cost
much time or memory.

https://github.com/python/cpython/blob/3.11/Lib/pickletools.py describes each opcode.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

_DTYPES = frozenset({"b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"})
_MAX_OPCODES = 500_000
"""A pack of the original system has about 60 for each frame; 4 GiB hold 6,000 frames in 360p."""
_MAX_DEPTH = 8
"""Nested containers."""
_MAX_SIZE = 1_000_000
"""Values in all containers together, counted once per reference."""
_MAX_INTEGER = 1 << 64
_MAX_COST, _FREE_COST = 4, 1 << 20
"""Bytes that constructors may get in total: this multiple of the pickle's size, plus `_FREE_COST`."""


class Refused(Exception):
    """The pickle is truncated, or contains something other than plain values; the message says what."""


_NONSENSE = (
    AttributeError, IndexError, KeyError, TypeError, ValueError, MemoryError, OverflowError, RecursionError,
)  # fmt: skip
"""Errors that a malicious pickle can cause."""


class Placeholder:
    """Takes the place of a tensor, which is not read."""

    def __init__(self, *parts: object) -> None:
        pass

    def build(self, state: object) -> None:
        """Ignore the state."""


def restricted_loads(data: bytes) -> object:
    """Return the value of a pickle, a dict of builtins, bytes and arrays; no code is run.

    Raises:
        Refused: The pickle contains something else.
    """
    try:
        value = _Machine(data).run()
    except Refused:
        raise
    except _NONSENSE as error:
        raise Refused(f"not a whole pickle: {type(error).__name__}: {error}"[:200]) from error
    if not isinstance(value, dict):
        raise Refused(f"a {type(value).__name__}, not a dict")
    return _Finisher().finished(value)


def restricted_head(data: bytes) -> dict[str, str | int | float]:
    """Return the simple entries at the beginning of a pickled dict, of which only the beginning is given.

    No code is run, and nothing that is cut off or is no text or number is returned.
    """
    machine = _Machine(data)
    with suppress(Refused, *_NONSENSE):
        machine.run()
    return {key: value for key, value in machine.first_entries() if isinstance(value, str | int | float)}


class _Dtype:
    """Replaces ``numpy.dtype``: plain numbers and truth values only."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        if not isinstance(code, str) or code.lstrip("<|=") not in _DTYPES:
            raise Refused(f"dtype {_shown(code)}")
        self.value = np.dtype("<" + code.lstrip("<|="))

    def build(self, state: object) -> None:
        """Check the state: (version, byte order, no subtype, names, fields, ...)."""
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", "|", "=") or any(state[2:5]):
            raise Refused("dtype of something other than plain numbers")


class _Array:
    """Takes the place of an array until its bytes are known."""

    value: np.ndarray | None = None

    def build(self, state: object) -> None:
        """Build the array from its state: (version, shape, dtype, Fortran order, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise Refused("array state")
        _, shape, dtype, fortran, raw = state
        self.value = _from_bytes(raw, dtype, shape, "F" if fortran is True else "C")


def _from_bytes(raw: object, dtype: object, shape: object, order: object) -> np.ndarray:
    if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, _Dtype) or order not in ("C", "F"):
        raise Refused("array of something other than plain numbers")
    if not isinstance(shape, tuple) or len(shape) > 6 or any(type(n) is not int or n < 0 for n in shape):
        raise Refused("array shape")
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
    """Replaces ``_codecs.encode``, with which old protocols write bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused(f"encoding {_shown(encoding)}")
    return text.encode("latin1")


def _nothing(*arguments: object) -> None:
    """Replaces names whose value is not needed."""
    return None


@dataclass(frozen=True)
class _Maker:
    """The value of an allowed name: it can only be called."""

    make: Callable[..., Any]


_ALLOWED = MappingProxyType(
    {
        ("numpy", "ndarray"): _Maker(_nothing),  # only used as an argument of _reconstruct
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
"""The only names that resolve, and their values."""


_BUILT = (_Array, _Dtype, Placeholder)
"""Types that BUILD accepts."""
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUE_NAMES = """
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE
    SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8
"""
_VALUES = frozenset(_VALUE_NAMES.split())
"""Opcodes whose argument is a value."""


class _Machine:
    """Runs the program of a pickle; raises Refused, or the errors that a nonsensical program causes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._stack: list[Any] = []
        self._marks: list[int] = []
        """How high the stack was at each mark."""
        self._memo: dict[int, Any] = {}
        self._cost = 0

    def run(self) -> object:
        """Return the value that is left on the stack at the end."""
        argument: Any
        for count, (opcode, argument, position) in enumerate(pickletools.genops(self._data)):
            if count > _MAX_OPCODES:
                raise Refused(f"more than {_MAX_OPCODES} opcodes")
            if "PUT" in opcode.name and not 0 <= argument <= count:
                raise Refused(f"memo slot {argument} at byte {position}")
            self._step(opcode.name, argument, position or 0)
        return self._pop()

    def first_entries(self) -> list[tuple[str, object]]:
        """Return the entries of the outermost dict as far as they are known before they are put into it."""
        entries = self._stack[self._marks[0] :] if self._marks else []
        return [pair for pair in zip(entries[::2], entries[1::2], strict=False) if type(pair[0]) is str]

    def _step(self, name: str, argument: Any, position: int) -> None:
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self._stack.append(_CONSTANTS[name])
            case "MARK":
                self._marks.append(len(self._stack))
            case "POP" if self._marks and self._marks[-1] == len(self._stack):
                self._marks.pop()
            case "POP":
                self._pop()
            case "POP_MARK":
                self._pop_mark()
            case "EMPTY_TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                parts = [self._pop() for _ in range(int(name[-1]) if name != "EMPTY_TUPLE" else 0)]
                self._stack.append(tuple(reversed(parts)))
            case "TUPLE":
                self._stack.append(tuple(self._pop_mark()))
            case "EMPTY_LIST":
                self._stack.append([])
            case "LIST":
                self._stack.append(self._pop_mark())
            case "APPEND":
                value = self._pop()
                self._top(list).append(value)
            case "APPENDS":
                values = self._pop_mark()
                self._top(list).extend(values)
            case "EMPTY_DICT":
                self._stack.append({})
            case "DICT":
                values = self._pop_mark()
                self._stack.append({})
                self._set_items(values)
            case "SETITEM":
                value, key = self._pop(), self._pop()
                self._set_items([key, value])
            case "SETITEMS":
                self._set_items(self._pop_mark())
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._top(object)
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._top(object)
            case "GET" | "BINGET" | "LONG_BINGET":
                self._stack.append(self._memo[argument])
            case "GLOBAL":
                self._stack.append(_named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                attribute, module = self._pop(), self._pop()
                self._stack.append(_named(module, attribute))
            case "REDUCE":
                arguments = self._pop()
                maker = self._top(_Maker)
                self._stack[-1] = maker.make(*self._paid(arguments))
            case "BUILD":
                state = self._pop()
                if not isinstance(self._top(object), _BUILT):
                    raise Refused(f"an attempt to change a {type(self._stack[-1]).__name__}")
                self._stack[-1].build(self._paid(state) if isinstance(state, tuple) else state)
            case _ if name in _VALUES:
                if isinstance(argument, int) and abs(argument) >= _MAX_INTEGER:
                    raise Refused(f"a number too large at byte {position}")
                self._stack.append(argument)
            case _:
                raise Refused(f"{name} at byte {position}")

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise Refused("an empty stack")
        return self._stack.pop()

    def _pop_mark(self) -> list[Any]:
        """Return the values above the last mark."""
        if not self._marks:
            raise Refused("no mark")
        height = self._marks.pop()
        values = self._stack[height:]
        del self._stack[height:]
        return values

    def _top(self, kind: type[Any]) -> Any:
        """Return the topmost value, which must be of a type."""
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise Refused(f"something other than a {kind.__name__}")
        return self._stack[-1]

    def _set_items(self, values: list[Any]) -> None:
        """Put keys and values, which alternate, into the dict on top of the stack.

        Keys are texts only: an attacker cannot choose them so that they collide, and they contain no other values.
        """
        target = self._top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) is not str:
                raise Refused(f"a {type(key).__name__} as a key")
            target[key] = value

    def _paid(self, arguments: Any) -> tuple[Any, ...]:
        """Return a tuple of arguments after counting their bytes: the same ones may be referred to many times."""
        if type(arguments) is not tuple:
            raise Refused("arguments that are no tuple")
        self._cost += sum(len(one) for one in arguments if isinstance(one, str | bytes | bytearray))
        if self._cost > _MAX_COST * len(self._data) + _FREE_COST:
            raise Refused("the same bytes too many times")
        return arguments


def _named(module: object, name: object) -> _Maker:
    """Return the value of an allowed name.

    Raises:
        Refused: The name is not on the list.
    """
    if not isinstance(module, str) or not isinstance(name, str) or (module, name) not in _ALLOWED:
        raise Refused(f"{_shown(module)}.{_shown(name)}")
    return _ALLOWED[module, name]


class _Finisher:
    """Replaces stand-ins by their arrays, in containers of bounded depth and size."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, int]] = {}
        """By a container's identity: what it became, and how many values that holds, each as often as it is there."""

    def finished(self, value: object) -> object:
        """Return a value with its arrays.

        Raises:
            Refused: It is too deep or too large.
        """
        return self._finished(value, 0)[0]

    def _finished(self, value: object, depth: int) -> tuple[object, int]:
        if isinstance(value, _Array):
            if value.value is None:
                raise Refused("an array without contents")
            return value.value, 1
        if isinstance(value, _Dtype | _Maker):
            raise Refused(f"a loose {type(value).__name__.strip('_').lower()}")
        if not isinstance(value, dict | list | tuple):
            return value, 1
        if depth >= _MAX_DEPTH:
            raise Refused(f"more than {_MAX_DEPTH} containers in each other")
        if id(value) not in self._known:
            parts = [self._finished(part, depth + 1) for part in (value.values() if isinstance(value, dict) else value)]
            size = 1 + sum(size for _, size in parts)
            if size > _MAX_SIZE:
                raise Refused(f"more than {_MAX_SIZE} values")
            whole = (part for part, _ in parts)
            made = dict(zip(value, whole, strict=True)) if isinstance(value, dict) else type(value)(whole)
            self._known[id(value)] = made, size
        return self._known[id(value)]


def _shown(value: object) -> str:
    """Return a text for a message; of anything else only its type, since it may contain itself many times."""
    return value[:80] if isinstance(value, str) else f"a {type(value).__name__}"
