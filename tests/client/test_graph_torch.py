"""gcn and graphsage against the same networks in plain PyTorch: from the same first weights, the loss of every step and
the answers at the end; and how right both are about nodes that neither learned from."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "server"))
sys.path.insert(0, os.path.join(HERE, "makers"))
import numpy as np
import onnx
from onnx import numpy_helper

from graphs import communities
from harness import Server, check, finish
from run import infer
from tables import add_columns

STEPS, LR = 40, 0.01
server = Server()
G = communities(2000, 5, 32, seed=8, noise=3.0)
N = len(G.x)
train = np.arange(0, N, 5)
split = np.where(np.arange(N) % 5 == 0, "train", "rest")
header = ",".join([f"f{i}" for i in range(G.x.shape[1])] + ["split", "kind"])
rows = [",".join([repr(float(v)) for v in G.x[i]] + [split[i], f"k{G.y[i]}"]) for i in range(N)]
server.need(201, "PUT", "/api/v1/datasets/nodes", "\n".join([header, *rows]) + "\n", headers={"Content-Type": "text/csv"})
pairs = np.unique(np.concatenate([G.edges, G.edges[:, ::-1]]), axis=0)
weights = (1 + np.arange(len(G.edges)) % 4).astype(np.float64)
both = np.concatenate([G.edges, G.edges[:, ::-1][G.edges[:, 0] != G.edges[:, 1]]])
twice = np.concatenate([weights, weights[G.edges[:, 0] != G.edges[:, 1]]])
add_columns(server, "edges", {"source": G.edges[:, 0], "target": G.edges[:, 1], "w": weights})
NETS = {
    "gcn": [{"type": "gcn_conv", "units": 16, "activation": "relu"}, {"type": "gcn_conv"}],
    "sage": [{"type": "sage_conv", "units": 16, "activation": "relu", "normalize": True}, {"type": "sage_conv"}],
}


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def run(name, kind, weighted):
    graph = {"edges": "edges", "split": "split", **({"weight": "w"} if weighted else {})}
    p = {"layers": NETS[kind], "graph": graph, "scaling": "none", "schedule": "constant", "seed": 3}
    spec = {"dataset": "nodes", "learner": "network", "target": "kind"}
    server.train(model=name + "_first", params={**p, "epochs": 1, "optimizer": {"type": "sgd", "lr": 1e-30}}, **spec)
    file = server.get(f"/api/v1/models/{name}_first/versions/1/artifact").body
    first = {t.name: numpy_helper.to_array(t) for t in onnx.load_model_from_string(file).graph.initializer}
    job = server.train(model=name, params={**p, "epochs": STEPS, "optimizer": {"type": "adam", "lr": LR}}, **spec)
    path = os.path.join(folder, name + ".npz")
    np.savez(path, x=G.x, y=G.y, edges=both if weighted else pairs, train=train, kind=kind, lr=LR, steps=STEPS, doubles=True,
             weight=(twice if weighted else np.ones(len(pairs))).astype(np.float32),
             **{"w:" + k: v for k, v in first.items() if k.startswith("layers.")})
    subprocess.run(["/usr/bin/python3", os.path.join(HERE, "graph_torch.py"), path], check=True)
    theirs = np.load(path + ".out.npz")
    ours = np.array([e["loss"] for e in job["metrics"]["epochs"]])
    off = np.abs(ours - theirs["losses"]).max()
    check(f"{name}: {STEPS} losses within 1e-5 (largest difference {off:.1e})", off < 1e-5, (ours, theirs["losses"]))
    out = infer(server, name, {"node": np.arange(N)})["probabilities"]
    exact = softmax(theirs["z64"])
    # A weight whose gradient is all rounding moves by Adam's full step: how far floats end from doubles says PyTorch itself.
    off, allowed = np.abs(out - exact).max(), 1e-5 + 4 * np.abs(softmax(theirs["z"]) - exact).max()
    check(f"{name}: probabilities of all nodes {off:.1e} from those in doubles, allowed {allowed:.1e}", off < allowed)
    rest = split == "rest"
    right = [float((z.argmax(1) == G.y)[rest].mean()) for z in (out, theirs["z"])]
    check(f"{name}: right about {right[0]:.3f} of the other nodes, PyTorch about {right[1]:.3f}",
          abs(right[0] - right[1]) < 0.01 and right[0] > 0.7)


with tempfile.TemporaryDirectory() as folder:
    run("gcn", "gcn", False)
    run("gcn_weighted", "gcn", True)
    run("sage", "sage", False)
    run("sage_weighted", "sage", True)
finish()
