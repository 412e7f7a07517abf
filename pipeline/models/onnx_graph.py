"""The network as an ONNX graph: the form that is stored, and that predicts without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from pipeline.models.network_parts import Weights

if TYPE_CHECKING:
    import onnx
    import onnxruntime

OPSET = 17  # ONNX operator set; LSTM in its version 14
IR_VERSION = 8  # ONNX file format
INPUT, OUTPUT = "windows", "output"
Output = Literal["embedding", "logits"]
Singles = npt.NDArray[np.float32]


def build_graph(weights: Weights, output: Output) -> bytes:
    """Write the network's weights as an ONNX model, the same bytes for the same weights.

    Parameters
    ----------
    weights
        Named as torch names them: ``lstm0.*`` and on, ``wide.*``, ``narrow.*``, ``head.*``.
    output
        ``embedding`` leaves the training head out.

    Returns
    -------
    bytes
        Input ``windows`` of shape (batch, lookback, columns), output ``output``, both f32.
    """
    graph = Graph()
    layers = sum(name.startswith("lstm") and name.endswith("weight_ih_l0") for name in weights)
    graph.add("Transpose", [INPUT], ["steps0"], perm=[1, 0, 2])
    for layer in range(layers):
        _add_lstm(graph, weights, layer, last=layer == layers - 1)
    _add_dense(graph, weights, output)
    columns = weights["lstm0.weight_ih_l0"].shape[1]
    outputs = len(weights["narrow.bias" if output == "embedding" else "head.bias"])
    return graph.write("lstm", ["batch", "lookback", columns], ["batch", outputs])


def open_session(network: bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX model for one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def run_graph(session: onnxruntime.InferenceSession, windows: Singles) -> Singles:
    """Run a batch; a row's result does not depend on the rows beside it."""
    found: Singles = session.run([OUTPUT], {INPUT: windows})[0]
    return found


class Graph:
    """Nodes and constants of a graph that grows."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(
        self, kind: str, inputs: list[str], outputs: list[str], **attributes: int | str | list[int]
    ) -> None:
        """Append a node."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Append a constant; its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def write(self, name: str, given: list[str | int], found: list[str | int]) -> bytes:
        """The graph as a file, from `INPUT` and `OUTPUT` of these shapes, both f32."""
        from onnx import TensorProto, helper

        made = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, given)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, found)],
            self.constants,
        )
        model = helper.make_model(
            made,
            producer_name="vintage",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        written: bytes = model.SerializeToString(deterministic=True)
        return written


def _add_lstm(graph: Graph, weights: Weights, layer: int, *, last: bool) -> None:
    """One layer; inner layers hand on every step, the last one only its newest."""
    parts = {
        "w": _gates(weights[f"lstm{layer}.weight_ih_l0"])[None],
        "r": _gates(weights[f"lstm{layer}.weight_hh_l0"])[None],
        "b": np.concatenate(
            [_gates(weights[f"lstm{layer}.bias_{kind}_l0"]) for kind in ("ih", "hh")]
        )[None],
    }
    inputs = [f"steps{layer}"] + [
        graph.constant(f"{name}{layer}", part) for name, part in parts.items()
    ]
    hidden = parts["r"].shape[2]
    outputs = ["", f"raw{layer}"] if last else [f"raw{layer}"]
    graph.add("LSTM", inputs, outputs, hidden_size=hidden)
    axis = graph.constant(f"axis{layer}", np.array([0 if last else 1], "int64"))
    graph.add("Squeeze", [f"raw{layer}", axis], ["newest" if last else f"steps{layer + 1}"])


def _add_dense(graph: Graph, weights: Weights, output: Output) -> None:
    names = {
        name: graph.constant(name, weights[name])
        for part in ("wide", "narrow", *(["head"] if output == "logits" else []))
        for name in (f"{part}.weight", f"{part}.bias")
    }
    graph.add("Gemm", ["newest", names["wide.weight"], names["wide.bias"]], ["wide"], transB=1)
    graph.add("Relu", ["wide"], ["bent"])
    narrow = ["bent", names["narrow.weight"], names["narrow.bias"]]
    graph.add("Gemm", narrow, [OUTPUT if output == "embedding" else "narrow"], transB=1)
    if output == "logits":
        graph.add("Gemm", ["narrow", names["head.weight"], names["head.bias"]], [OUTPUT], transB=1)


def _gates(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """From torch's order of gates (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    entry, forget, cell, exit_ = np.split(weight, 4)
    return np.concatenate([entry, exit_, forget, cell])
