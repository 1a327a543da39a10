"""Training of graph networks: ours against the same in plain PyTorch operators, from the same first weights, on a generated
graph. Prints both, in seconds a step, and whether the losses agree.

    .cache/venv/bin/python bench/graph_nets.py [--nodes N] [--edges M] [--words W] [--steps S] [--threads T]"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for folder in ("tests/server", "tests/client", "tests/client/makers"):
    sys.path.insert(0, os.path.join(ROOT, folder))
import numpy as np
import onnx
from onnx import numpy_helper

from graphs import communities
from harness import Server, finish
from run import infer
from tables import add_columns

options = argparse.ArgumentParser()
for name, preset in (("nodes", 100000), ("edges", 1000000), ("words", 64), ("steps", 20), ("threads", 2)):
    options.add_argument("--" + name, type=int, default=preset)
o = options.parse_args()
server = Server()
G = communities(o.nodes, 10, o.words, seed=1, degree=2 * o.edges // o.nodes)
pairs = np.unique(G.edges, axis=0)
add_columns(server, "nodes", {**{f"f{i}": G.x[:, i] for i in range(o.words)}, "kind": G.y})
add_columns(server, "edges", {"source": pairs[:, 0], "target": pairs[:, 1]})
print(f"{o.nodes} nodes of {o.words} numbers, {len(pairs)} edges in one direction, {o.threads} threads, {o.steps} steps")
NETS = {"gcn": [{"type": "gcn_conv", "units": 16, "activation": "relu"}, {"type": "gcn_conv"}],
        "sage": [{"type": "sage_conv", "units": 64, "activation": "relu", "normalize": True}, {"type": "sage_conv"}]}


def job(model, layers, epochs, optimizer, serve="nodes"):
    began = time.monotonic()
    j = server.train(model=model, dataset="nodes", target="kind", learner="network", resources={"cores": o.threads},
                     params={"layers": layers, "graph": {"edges": "edges", "directed": True, "serve": serve},
                             "scaling": "none", "schedule": "constant", "epochs": epochs, "optimizer": optimizer})
    return j, time.monotonic() - began


with tempfile.TemporaryDirectory() as folder:
    for kind, layers in NETS.items():
        adam = {"type": "adam", "lr": 0.01}
        job(kind + "0", layers, 1, {"type": "sgd", "lr": 1e-30})
        file = server.get(f"/api/v1/models/{kind}0/versions/1/artifact").body
        first = {t.name: numpy_helper.to_array(t) for t in onnx.load_model_from_string(file).graph.initializer}
        _, once = job(kind + "1", layers, 1, adam)
        ours, all_steps = job(kind, layers, 1 + o.steps, adam)
        step = (all_steps - once) / o.steps
        path = os.path.join(folder, kind + ".npz")
        peers = {}
        for way, sparse in (("index_add", {}), ("sparse.mm", {"sparse": True})):
            np.savez(path, x=G.x, y=G.y, edges=pairs, train=np.arange(o.nodes), kind=kind, lr=0.01, steps=1 + o.steps,
                     weight=np.ones(len(pairs), np.float32), threads=o.threads, **sparse,
                     **{"w:" + k: v for k, v in first.items() if k.startswith("layers.")})
            subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tests/client/graph_torch.py"), path], check=True)
            theirs = np.load(path + ".out.npz")
            peers[way] = float(theirs["seconds"]) / (1 + o.steps)
        off = np.abs(np.array([e["loss"] for e in ours["metrics"]["epochs"]]) - theirs["losses"]).max()
        began = time.monotonic()
        infer(server, kind, {"node": np.arange(1000)})
        asked = time.monotonic() - began
        words = ", ".join(f"{v:.3f} s by {way} ({v / step:.1f}x)" for way, v in peers.items())
        print(f"{kind}: {step:.3f} s a step, PyTorch {words}"
              f"; a job of one step {once:.1f} s; "
              f"losses differ by {off:.1e}; first request for 1000 nodes {asked * 1000:.0f} ms", flush=True)
finish()
