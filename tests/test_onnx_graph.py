"""Graphs of networks: cut into parts, and convolutions of bytes turned into products, which give the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.tts.onnx_graph import OnnxGraph, convolutions_as_products, exact_products, node
from pipeline.tts.voice_network import Network, OtherNetwork, opening

EMPTY = b"\x08\x09\x42\x02\x10\x14"
"""An ONNX file of version 9 with the operators of version 20, and without a graph."""
CHANNELS, OUTPUTS, TIME = 8, 5, 40


def convolution(width: int, apart: int, **more: Sequence[int]) -> OnnxGraph:
    """Return a graph with a convolution of bytes, small enough that no processor lets it overflow."""
    graph = OnnxGraph(EMPTY)
    graph.add_input("x", np.uint8)
    graph.add_input("zero", np.uint8)
    weights = np.random.default_rng(width).integers(100, 140, (OUTPUTS, CHANNELS, width)).astype(np.uint8)
    graph.add_constant("w", weights)
    graph.add_constant("w.zero", np.array(120, np.uint8))
    reach = (width - 1) * apart // 2
    how = {"pads": (reach, reach), "dilations": (apart,), "kernel_shape": (width,)} | more
    graph.nodes.append(node("ConvInteger", ["x", "w", "zero", "w.zero"], "y", **how))
    return graph


def convolve(graph: OnnxGraph) -> np.ndarray:
    content = np.random.default_rng(0).integers(0, 256, (1, CHANNELS, TIME)).astype(np.uint8)
    (found,) = Network(graph, ["x", "zero"], ["y"]).run(x=content, zero=np.array(7, np.uint8))
    return np.asarray(found)


@pytest.mark.parametrize("width", [1, 3, 7, 11])
@pytest.mark.parametrize("apart", [1, 3, 5])
def test_a_convolution_and_its_product_are_the_same_integers(width: int, apart: int) -> None:
    graph = convolution(width, apart)
    expected = convolve(graph)
    convolutions_as_products(graph)
    assert "ConvInteger" not in {one.type for one in graph.nodes}
    found = convolve(graph)
    assert found.dtype == np.int32 and found.shape == (1, OUTPUTS, TIME) and expected.any()
    np.testing.assert_array_equal(found, expected)


def test_other_convolutions_stay() -> None:
    graph = convolution(3, 1, strides=(2,))
    convolutions_as_products(graph)
    assert [one.type for one in graph.nodes] == ["ConvInteger"]


def test_a_processor_whose_products_overflow_is_found() -> None:
    graph = OnnxGraph(EMPTY)
    matrix = np.where(np.arange(32) < 16, 127, -128).astype(np.int32)[None].repeat(256, 0)

    def pairs(limit: int) -> bool:
        """Whether products are exact where two of them are added in so many bits."""

        def run(probe: np.ndarray) -> list[np.ndarray]:
            added = probe[:, ::2, None].astype(np.int32) * matrix[::2] + probe[:, 1::2, None] * matrix[1::2]
            return [np.clip(added, -limit, limit - 1).sum(1)]

        return exact_products(graph, lambda inputs, outputs: run)

    assert pairs(1 << 31) and not pairs(1 << 15)


def test_a_part_has_what_leads_to_its_outputs_and_nothing_else() -> None:
    graph = OnnxGraph(EMPTY)
    graph.add_input("a")
    graph.add_constant("two", np.array([2.0], np.float32))
    graph.nodes += [
        node("Mul", ["a", "two"], "b"),
        node("Add", ["b", "a"], "c"),
        node("Sub", ["b", "two"], "other"),
    ]
    again = OnnxGraph(graph.part(["a"], ["c"]))
    assert [one.name for one in again.nodes] == ["b", "c"] and [*again.inputs] == ["a"]
    assert again.constant("two") == 2 and again.constant("three") is None
    inner = OnnxGraph(graph.part(["b"], ["other"]))
    assert [one.name for one in inner.nodes] == ["other"]
    (found,) = Network(graph, ["b"], ["other"]).run(b=np.array([5.0], np.float32))
    assert found == 3


@pytest.mark.parametrize("content", [b"\x3a", b"\x3a\x7f\x0a", b"no network at all", b"\xff" * 40, b""])
def test_what_is_no_network_is_told_by_name(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "voice.onnx"
    file.write_bytes(content)
    with pytest.raises(OtherNetwork, match=r"voice\.onnx"), opening([file]) as graph:
        Network(graph, ["x"], ["y"])
