"""The convolutional network as an ONNX graph over one long stretch of candles."""

from __future__ import annotations

import numpy as np

from pipeline.models.network_parts import Weights
from pipeline.models.onnx_graph import INPUT, OUTPUT, Graph

LAST = 2**31 - 1  # beyond every row


def build_tcn(weights: Weights, distances: tuple[int, ...]) -> bytes:
    """Write the network's weights as an ONNX model, the same bytes for the same weights.

    Every block is one product of matrices whose rows do not know each other, so that a candle's
    output is the same to the last bit whatever stretch it is asked in.

    Parameters
    ----------
    weights
        Named as torch names them: ``mix0.*`` and on, ``head.*``.

    Returns
    -------
    bytes
        Input of shape (candles, columns), output (candles - sum of distances, classes), both f32.
    """
    graph, steps = Graph(), INPUT
    axis = graph.constant("axis", np.array([0], "int64"))
    for block, distance in enumerate(distances):
        steps = _add_block(graph, weights, (block, distance, axis), steps)
    _add_dense(graph, weights, "head", [steps, OUTPUT])
    columns = weights["mix0.weight"].shape[1] // 2
    return graph.write("tcn", ["candles", columns], ["rows", len(weights["head.bias"])])


def _add_block(graph: Graph, weights: Weights, block: tuple[int, int, str], steps: str) -> str:
    number, distance, axis = block
    ends = {
        name: graph.constant(f"{name}{number}", np.array([value], "int64"))
        for name, value in {"zero": 0, "far": distance, "near": -distance, "last": LAST}.items()
    }
    now, then, both = f"now{number}", f"then{number}", f"both{number}"
    graph.add("Slice", [steps, ends["far"], ends["last"], axis], [now])
    graph.add("Slice", [steps, ends["zero"], ends["near"], axis], [then])
    graph.add("Concat", [now, then], [both], axis=1)
    _add_dense(graph, weights, f"mix{number}", [both, f"mixed{number}"])
    graph.add("Tanh", [f"mixed{number}"], [f"bent{number}"])
    if number == 0:
        return f"bent{number}"
    graph.add("Add", [now, f"bent{number}"], [f"steps{number}"])
    return f"steps{number}"


def _add_dense(graph: Graph, weights: Weights, part: str, ends: list[str]) -> None:
    names = [f"{part}.weight", f"{part}.bias"]
    constants = [graph.constant(name, weights[name]) for name in names]
    graph.add("Gemm", [ends[0], *constants], [ends[1]], transB=1)
