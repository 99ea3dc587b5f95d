"""Cuts an ONNX graph into parts, and rewrites what runs slowly, without a library for it.

An ONNX file is one protobuf message. Here its graph is a list of nodes and a table of constants, each kept as the bytes
that it was in the file (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto names the fields).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_CONSTANT, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE, _NODE_ATTRIBUTE = 1, 2, 3, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_INTS, _ATTRIBUTE_TYPE = 1, 3, 8, 20
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_INT, _INTS = 2, 7
"""Kinds of attributes."""
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 2: np.dtype("u1"), 3: np.dtype("i1"), 7: np.dtype("<i8")}
"""Kinds of tensors that are read and written here."""
_NUMBERS = {dtype: number for number, dtype in _TYPES.items()}


@dataclass(frozen=True)
class Node:
    """A node of a graph: its type and name, the names of what it takes and gives, its attributes of integers."""

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: dict[str, tuple[int, ...]]
    content: bytes


class OnnxGraph:
    """A graph that can be changed and written as an ONNX file again; constants stay views of the bytes that were read.

    Args:
        model: The content of an ONNX file.

    Raises:
        ValueError: It is not one.

    Attributes:
        nodes: In the order in which they run.
        inputs: The names of its inputs.
    """

    def __init__(self, model: bytes) -> None:
        self.nodes: list[Node] = []
        self.inputs: dict[str, bytes] = {}
        self._constants: dict[str, bytes | memoryview] = {}
        self._frame = b""
        for field, value in _fields(memoryview(model)):
            if field != _MODEL_GRAPH:
                self._frame += _field(field, value if isinstance(value, int) else bytes(value))
                continue
            for inner, part in _fields(_message(value)):
                if inner == _GRAPH_NODE:
                    self.nodes.append(_read_node(_message(part)))
                elif inner == _GRAPH_CONSTANT:
                    self._constants[_text(part, _TENSOR_NAME)] = _message(part)
                elif inner == _GRAPH_INPUT:
                    self.inputs[_text(part, 1)] = bytes(_message(part))

    def constant(self, name: str) -> np.ndarray | None:
        """Return the value of a constant; None if there is none of that name, or of a kind that is not read here."""
        content = self._constants.get(name)
        return None if content is None else _read_tensor(memoryview(content))

    def add_constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant, unless there is one of that name; return the name."""
        self._constants.setdefault(name, _tensor(name, value))
        return name

    def add_input(self, name: str, dtype: type[np.generic] = np.float32) -> str:
        """Add an input of any shape; return its name."""
        self.inputs[name] = _value(name, dtype)
        return name

    def part(self, inputs: Iterable[str], outputs: Sequence[str]) -> bytes:
        """Return the ONNX file of the nodes that lead from some values to others.

        Args:
            inputs: Inputs of the graph or, as float32, results of nodes.
            outputs: Results of nodes.
        """
        given = {name: self.inputs.get(name) or _value(name) for name in inputs}
        wanted = {*outputs} - {*given}
        nodes: list[Node] = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                nodes.append(node)
                wanted |= {*node.inputs} - {*given}
        constants = [content for name, content in self._constants.items() if name in wanted]
        content: list[bytes | memoryview] = [_field(_GRAPH_NODE, node.content) for node in reversed(nodes)]
        content += [_field(2, b"part"), *(_field(_GRAPH_INPUT, value) for value in given.values())]
        content += [_field(_GRAPH_OUTPUT, _field(1, name.encode())) for name in outputs]
        for constant in constants:
            content += [_head(_GRAPH_CONSTANT, len(constant)), constant]
        length = sum(map(len, content))
        return b"".join([self._frame, _head(_MODEL_GRAPH, length), *content])

    def replace(self, change: Callable[[Node], list[Node] | None]) -> None:
        """Replace nodes: by what `change` returns for them, unless that is None."""
        self.nodes = [new for node in self.nodes for new in (change(node) or [node])]


def node(type: str, inputs: Sequence[str], output: str, **integers: Sequence[int]) -> Node:
    """Return a new node, named like its only output, with attributes that are lists of integers or, if of one, `axis`.

    Args:
        type: Of the node.
        inputs: What it takes.
        output: What it gives.
        integers: The attributes.
    """
    content = [_field(_NODE_INPUT, name.encode()) for name in inputs]
    content += [_field(_NODE_OUTPUT, output.encode()), _field(_NODE_NAME, output.encode())]
    content.append(_field(_NODE_TYPE, type.encode()))
    for name, values in integers.items():
        whole = name == "axis"
        value = [_field(_ATTRIBUTE_INT if whole else _ATTRIBUTE_INTS, one) for one in values]
        kind = _field(_ATTRIBUTE_TYPE, _INT if whole else _INTS)
        content.append(_field(_NODE_ATTRIBUTE, b"".join([_field(_ATTRIBUTE_NAME, name.encode()), *value, kind])))
    read = {name: tuple(values) for name, values in integers.items()}
    return Node(type, output, tuple(inputs), (output,), read, b"".join(content))


def convolutions_as_products(graph: OnnxGraph) -> None:
    """Turn convolutions of bytes into products of matrices, which onnxruntime computes about twice as fast.

    It does so for bytes without a sign, times a constant matrix of bytes with one, on processors that have instructions
    for that (VNNI). The results are the same integers; other processors may let them overflow, see ``exact_products``.
    """
    count = 0

    def change(old: Node) -> list[Node] | None:
        nonlocal count
        weights = graph.constant(old.inputs[1]) if old.type == "ConvInteger" and len(old.inputs) == 4 else None
        zero = graph.constant(old.inputs[3]) if weights is not None else None
        if weights is None or zero is None or weights.dtype != np.uint8 or weights.ndim != 3 or zero.size != 1:
            return None
        if old.integers.get("strides", (1,)) != (1,) or old.integers.get("group", (1,)) != (1,):
            return None
        count += 1
        return _product(graph, old, f"product{count}", weights, zero)

    graph.replace(change)


def exact_products(graph: OnnxGraph, network: Callable[[Sequence[str], Sequence[str]], Any]) -> bool:
    """Return whether the largest products of bytes are exact on this processor; many of x64 without VNNI add 16 bits.

    Args:
        graph: Any graph; it gets an input and a node more.
        network: Makes a part of it ready, and returns what runs it.
    """
    highest = np.full((16, 256), 255, np.uint8)
    matrix = np.where(np.arange(256 * 32).reshape(256, 32) % 32 < 16, 127, -128).astype(np.int8)
    graph.add_input("probe", np.uint8)
    graph.nodes.append(node("MatMulInteger", ["probe", graph.add_constant("probe.matrix", matrix)], "probe.result"))
    (found,) = network(["probe"], ["probe.result"])(probe=highest)
    return np.array_equal(found, highest.astype(np.int32) @ matrix.astype(np.int32))


def _product(graph: OnnxGraph, old: Node, name: str, weights: np.ndarray, zero: np.ndarray) -> list[Node]:
    """Return the nodes that take the place of a convolution of weights (outputs, channels, width)."""
    outputs, channels, width = weights.shape
    matrix = np.ascontiguousarray(weights.transpose(2, 1, 0)).reshape(width * channels, outputs)
    signed = graph.add_constant(f"{name}.weights", (matrix ^ 0x80).view(np.int8))
    signed_zero = graph.add_constant(f"{name}.zero", (zero ^ 0x80).view(np.int8).reshape(()))
    content, zero_point = old.inputs[0], old.inputs[2]
    nodes = [node("Transpose", [content], f"{name}.turned", perm=(0, 2, 1))]  # (1, time, channels)
    if width > 1:
        before, after = old.integers["pads"]
        apart = old.integers.get("dilations", (1,))[0]
        ends = graph.add_constant(f"pads.{before}.{after}", np.array([0, before, 0, 0, after, 0], np.int64))
        nodes.append(node("Pad", [f"{name}.turned", ends, zero_point], f"{name}.padded"))
        axis = graph.add_constant("axis.time", np.array([1], np.int64))
        taps = []
        for tap in range(width):
            first, last = tap * apart, (tap - width + 1) * apart or np.iinfo(np.int64).max
            start = graph.add_constant(f"time.{first}", np.array([first], np.int64))
            stop = graph.add_constant(f"time.{last}", np.array([last], np.int64))
            nodes.append(node("Slice", [f"{name}.padded", start, stop, axis], f"{name}.tap{tap}"))
            taps.append(f"{name}.tap{tap}")
        nodes.append(node("Concat", taps, f"{name}.taps", axis=(2,)))
    columns = f"{name}.taps" if width > 1 else f"{name}.turned"
    nodes.append(node("MatMulInteger", [columns, signed, zero_point, signed_zero], f"{name}.result"))
    return [*nodes, node("Transpose", [f"{name}.result"], old.outputs[0], perm=(0, 2, 1))]


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field of a protobuf message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        length = {1: 8, 5: 4}.get(key & 7)
        if length is None:
            if key & 7 != 2:
                raise ValueError("no ONNX file")
            length, at = _varint(message, at)
        if at + length > len(message):
            raise ValueError("an ONNX file that is cut")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number, and the place after it."""
    number = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at
    raise ValueError("an ONNX file that is cut")


def _written(number: int) -> bytes:
    number &= (1 << 64) - 1
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _head(field: int, length: int) -> bytes:
    return _written(field << 3 | 2) + _written(length)


def _field(field: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _written(field << 3) + _written(value)
    return _head(field, len(value)) + value


def _value(name: str, dtype: type[np.generic] = np.float32) -> bytes:
    """Return what declares a tensor of any shape."""
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, _NUMBERS[np.dtype(dtype)])))


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("no ONNX file")
    return value


def _text(message: int | memoryview, wanted: int) -> str:
    """Return the text in a field of a message, "" if it has none."""
    for field, value in _fields(_message(message)):
        if field == wanted:
            return bytes(_message(value)).decode()
    return ""


def _read_node(content: memoryview) -> Node:
    texts: dict[int, list[str]] = {number: [] for number in (_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE)}
    integers: dict[str, tuple[int, ...]] = {}
    for field, value in _fields(content):
        if field in texts:
            texts[field].append(bytes(_message(value)).decode())
        elif field == _NODE_ATTRIBUTE:
            integers[_text(value, _ATTRIBUTE_NAME)] = tuple(_read_integers(_message(value)))
    name, kind = ("".join(texts[number]) for number in (_NODE_NAME, _NODE_TYPE))
    return Node(kind, name, tuple(texts[_NODE_INPUT]), tuple(texts[_NODE_OUTPUT]), integers, bytes(content))


def _read_integers(attribute: memoryview) -> Iterator[int]:
    for field, value in _fields(attribute):
        if field in (_ATTRIBUTE_INT, _ATTRIBUTE_INTS):
            yield from _packed(value)


def _packed(value: int | memoryview) -> Iterator[int]:
    """Yield the numbers of a field that may be repeated, packed or not."""
    if isinstance(value, int):
        yield value - (value >> 63 << 64)
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number - (number >> 63 << 64)


def _read_tensor(content: memoryview) -> np.ndarray | None:
    dims: list[int] = []
    dtype: np.dtype[Any] | None = None
    raw: memoryview | None = None
    numbers: list[int] = []
    for field, value in _fields(content):
        if field == _TENSOR_DIMS:
            dims += _packed(value)
        elif field == _TENSOR_TYPE and isinstance(value, int):
            dtype = _TYPES.get(value)
        elif field == _TENSOR_RAW:
            raw = _message(value)
        elif field in (5, 7):  # single integers are often written like this
            numbers += _packed(value)
    if dtype is None:
        return None
    found = np.frombuffer(raw, dtype) if raw is not None else np.array(numbers).astype(dtype)
    return found.reshape(dims) if found.size == np.prod(dims) else None


def _tensor(name: str, value: np.ndarray) -> bytes:
    dims = b"".join(_field(_TENSOR_DIMS, size) for size in value.shape)
    kind = _field(_TENSOR_TYPE, _NUMBERS[value.dtype])
    return b"".join([dims, kind, _field(_TENSOR_NAME, name.encode()), _field(_TENSOR_RAW, value.tobytes())])
