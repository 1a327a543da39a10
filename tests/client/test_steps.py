"""Networks over steps, by name from the zoo and layer by layer: sentences of numbered words whose meaning is in their
order, padded with 0. A bag of words cannot tell the classes apart; these must, on sentences they have not seen. ONNX
Runtime gives what OIP answers, to 1e-5, from a file of standard operators."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "server"))
sys.path.insert(0, os.path.join(HERE, "makers"))
import numpy as np
import onnx
import onnxruntime as ort

from harness import Server, case, finish
from run import infer
from tables import add_columns

WORDS, STEPS, ROWS = 40, 16, 3000
FIRST, SECOND = 1, 2
rng = np.random.default_rng(7)
server = Server()


def sentences(n):
    """Two marked words among others, in one order or the other; some rows are short."""
    ids, order = np.zeros((n, STEPS), np.int64), rng.integers(0, 2, n)
    for row, k in zip(ids, order):
        length = rng.integers(4, STEPS + 1)
        row[:length] = rng.integers(3, WORDS, length)
        a, b = sorted(rng.choice(length, 2, replace=False))
        row[a], row[b] = (FIRST, SECOND) if k else (SECOND, FIRST)
    return ids, order


def upload(name, ids, order):
    add_columns(server, name, {"words": ids, "order": order})


upload("sentences", *sentences(ROWS))
unseen, truth = sentences(500)
unseen = unseen.astype(np.float32)  # as the input of a row of numbers is served
ADAM = {"type": "adam", "lr": 0.003}
NETS = {
    "lstm": ("lstm", {"LSTM"}),
    "transformer_encoder": ("transformer_encoder", {"Softmax"}),
    "gru": ([{"type": "embedding", "dim": 24, "mask_zero": True},
             {"type": "gru", "units": 32, "bidirectional": True, "return_sequences": True},
             {"type": "gru", "units": 32}, "dense"], {"GRU"}),
    "causal": ([{"type": "embedding", "dim": 32, "mask_zero": True}, {"type": "position", "mode": "sines"},
                {"type": "attention", "heads": 4, "causal": True}, {"type": "layer_norm"},
                {"type": "attention", "heads": 4, "causal": True}, {"type": "layer_norm"},
                {"type": "sequence_pool", "mode": "max"}, "dense"], {"Softmax"}),
}


def run(name, layers, operators):
    job = server.train(model=name, dataset="sentences", target="order", learner="network",
                       resources={"cores": 1},
                       params={"layers": layers, "epochs": 14, "batch_size": 64, "seed": 1, "optimizer": ADAM,
                               "validation": 0.1})
    assert job["state"] == "succeeded", job
    file = server.get(f"/api/v1/models/{name}/versions/1/artifact").body
    model = onnx.load_from_string(file)
    used = {n.op_type for n in model.graph.node}
    assert operators <= used and {n.domain for n in model.graph.node} <= {"", "ai.onnx", "ai.onnx.ml"}, used
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    key = session.get_inputs()[0].name
    ours = infer(server, name, {key: unseen})
    theirs = dict(zip([o.name for o in session.get_outputs()], session.run(None, {key: unseen})))
    for output, want in theirs.items():
        if want.dtype == np.float32:
            off = np.abs(ours[output] - want).max()
            assert off <= 1e-5, (name, output, off)
    accuracy = (np.asarray(ours["label"]).ravel() == truth).mean()
    print(f"  {name}: {accuracy:.3f} of sentences that it has not seen")
    assert accuracy >= 0.97, (name, accuracy)


for name, (layers, operators) in NETS.items():
    def one(name=name, layers=layers, operators=operators):
        run(name, layers, operators)
    one.__name__ = f"{name}_learns_an_order_and_onnx_runtime_agrees"
    case(one)
server.stop()
finish()
