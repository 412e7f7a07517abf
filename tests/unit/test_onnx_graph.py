from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from pipeline.models.lstm_network import Network, Shape, new_network
from pipeline.models.onnx_graph import (
    IR_VERSION,
    OPSET,
    Output,
    build_graph,
    open_session,
    run_graph,
)

FULL = Shape()
SMALL = Shape(hidden=16, layers=1, dense=9, embedding=5)
DEEP = Shape(hidden=8, layers=3, dense=4, embedding=4)
LOOKBACK = 24


def network(shape: Shape, columns: int = 46, classes: int = 3) -> Network:
    """A network with weights larger than a fresh one's, so that every gate matters."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        made = new_network(shape, columns, np.full(classes, 1 / classes))
        with torch.no_grad():
            for part in made.parts.parameters():
                part.mul_(1.5)
    made.parts.eval()
    return made


def batches(rows: int, columns: int = 46) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(rows, LOOKBACK, columns)).astype("float32")


def by_torch(made: Network, windows: np.ndarray, output: Output) -> np.ndarray:
    with torch.no_grad():
        batch = torch.from_numpy(windows)
        return (made.embed(batch) if output == "embedding" else made.logits(batch)).numpy()


@pytest.mark.parametrize("output", ["embedding", "logits"])
@pytest.mark.parametrize("shape", [FULL, SMALL, DEEP], ids=["full", "one layer", "three"])
def test_the_graph_says_what_torch_says(shape: Shape, output: Output) -> None:
    made, windows = network(shape), batches(1200 if shape is FULL else 200)
    expected = by_torch(made, windows, output)
    found = run_graph(open_session(build_graph(made.weights(), output)), windows)
    assert (
        found.shape == expected.shape == (len(windows), shape.embedding * (output != "logits") or 3)
    )
    assert expected.std(axis=0).min() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


def test_the_graph_states_its_versions_and_is_valid() -> None:
    model = onnx.load_from_string(build_graph(network(FULL).weights(), "embedding"))
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == IR_VERSION == 8
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)] == [("", 17)]
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == ["Transpose", "LSTM", "Squeeze", "LSTM", "Squeeze", "Gemm", "Relu", "Gemm"]


def test_an_embedding_leaves_the_head_out() -> None:
    weights = network(FULL).weights()
    written = build_graph(weights, "embedding")
    held = sum(part.size for name, part in weights.items() if not name.startswith("head")) * 4
    assert held < len(written) < held + 4096


def test_equal_weights_give_equal_bytes() -> None:
    made = network(SMALL)
    assert build_graph(made.weights(), "logits") == build_graph(made.weights(), "logits")
    other = made.weights()
    other["narrow.bias"][0] += 1e-3
    assert build_graph(other, "logits") != build_graph(made.weights(), "logits")


@pytest.mark.parametrize("shape", [FULL, SMALL], ids=["full", "one layer"])
def test_a_row_does_not_depend_on_its_neighbours(shape: Shape) -> None:
    session = open_session(build_graph(network(shape).weights(), "logits"))
    windows = batches(97)
    whole = run_graph(session, windows)
    for count in (1, 2, 3, 5, 7, 12, 13, 16, 31, 64, 96):
        for start in (0, 97 - count):
            part = run_graph(session, windows[start : start + count])
            assert part.tobytes() == whole[start : start + count].tobytes(), (count, start)


def test_a_session_uses_one_thread() -> None:
    options = open_session(build_graph(network(SMALL).weights(), "logits")).get_session_options()
    assert options.intra_op_num_threads == options.inter_op_num_threads == 1


def test_weights_come_back() -> None:
    made, other = network(SMALL), network(SMALL)
    kept = made.weights()
    with torch.no_grad():
        made.parts["wide"].weight.zero_()
    assert not np.array_equal(made.weights()["wide.weight"], kept["wide.weight"])
    made.restore(kept)
    for name, part in other.weights().items():
        np.testing.assert_array_equal(made.weights()[name], part)


def test_a_fresh_head_starts_at_the_shares() -> None:
    with torch.random.fork_rng(devices=[]):
        made = new_network(SMALL, 4, np.array([0.01, 0.79, 0.2]))
    made.parts.eval()
    logits = torch.from_numpy(by_torch(made, batches(300, 4), "logits"))
    share = torch.softmax(logits, dim=1).mean(dim=0).numpy()
    assert share.argmax() == 1
    assert share[0] < 0.03
