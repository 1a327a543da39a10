"""Graph networks through the API: nodes and edges as two data sets, gcn and graphsage by name, what both ways of serving
answer, ONNX Runtime on the same file, and what is refused. Graphs are generated: communities whose nodes cite each
other more often than others (a stochastic block model), with noisy words."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "server"))
sys.path.insert(0, os.path.join(HERE, "makers"))
import numpy as np
import onnx
import onnxruntime as ort

from graphs import communities
from harness import Server, case, finish
from run import infer
from tables import add_columns

server = Server()
N, CLASSES, WORDS = 600, 4, 24
G = communities(N, CLASSES, WORDS, seed=3)
NAMES = np.array([f"paper_{i * 7 % N:04d}" for i in range(N)])


def csv(name, header, rows):
    text = ",".join(header) + "\n" + "".join(",".join(str(v) for v in r) + "\n" for r in rows)
    server.need(201, "PUT", f"/api/v1/datasets/{name}", text, headers={"Content-Type": "text/csv"})


def nodes(name, labels, columns):
    header = [f"w{i}" for i in range(WORDS)] + list(columns) + ["kind"]
    csv(name, header, [[f"{v:.6g}" for v in G.x[i]] + [c[i] for c in columns.values()] + [labels[i]] for i in range(N)])


SPLIT = ["train" if i % 5 == 0 else "validation" if i % 5 == 1 else "" for i in range(N)]
KINDS = [f"k{v}" for v in G.y]
nodes("papers", KINDS, {"split": SPLIT})
nodes("named", [k if i % 3 == 0 else "" for i, k in enumerate(KINDS)], {"paper": NAMES})
csv("cites", ["source", "target"], G.edges)
csv("cites_named", ["citing", "cited", "times"], [[NAMES[a], NAMES[b], 1 + (a + b) % 3] for a, b in G.edges])
PARAMS = {"layers": "gcn", "graph": {"edges": "cites", "split": "split"}, "epochs": 60, "seed": 4,
          "optimizer": {"type": "adam", "lr": 0.02}}


def params(**more):
    return {**PARAMS, **more}


def artifact(model, version=1):
    return server.get(f"/api/v1/models/{model}/versions/{version}/artifact").body


def train(model, p, dataset="papers", **more):
    return server.train(model=model, dataset=dataset, learner="network", target="kind", params=p, **more)


def agree(model, inputs):
    """What the server answers; ONNX Runtime gives the same."""
    ours = infer(server, model, inputs)
    file = artifact(model)
    onnx.checker.check_model(onnx.load_model_from_string(file))
    theirs = ort.InferenceSession(file, providers=["CPUExecutionProvider"]).run(["label", "probabilities"], inputs)
    np.testing.assert_allclose(ours["probabilities"], theirs[1], atol=1e-5)
    assert list(ours["label"]) == list(theirs[0])
    return ours


def refused(status, words, dataset="papers", **spec):
    """At the door, or by the job."""
    r = server.post("/api/v1/jobs", {"model": "bad", "dataset": dataset, "learner": "network", "target": "kind", **spec})
    text = r.body.decode()
    if r.status == 202:
        text = str(server.wait_job(r.json()["id"]))
        assert "'failed'" in text, text
    else:
        assert r.status == status, r
    assert words in text, (words, text)


@case
def gcn_learns_communities():
    job = train("gcn", PARAMS)
    assert job["metrics"]["val_accuracy"] > 0.85, job["metrics"]
    ours = agree("gcn", {"node": np.arange(N)})
    rest = [i for i in range(N) if SPLIT[i] == ""]
    right = np.mean([ours["label"][i] == KINDS[i] for i in rest])
    assert right > 0.85, right


@case
def graphsage_learns_communities():
    job = train("sage", params(layers="graphsage", epochs=80))
    assert job["metrics"]["val_accuracy"] > 0.85, job["metrics"]
    agree("sage", {"node": np.array([5, 0, 599, 5])})


finish()
