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


@case
def names_weights_and_nodes_without_a_label():
    graph = {"edges": "cites_named:1", "source": "citing", "target": "cited", "weight": "times", "id": "paper"}
    job = train("named", params(graph=graph, validation=0.2), dataset="named")
    assert job["metrics"]["val_accuracy"] > 0.6, job["metrics"]
    ours = agree("named", {"node": NAMES[[3, 1, 3]].astype(object)})
    assert ours["label"][0] == ours["label"][2]
    lineage = server.get("/api/v1/models/named/versions/1").json()["lineage"]
    assert lineage["edges"] == {"name": "cites_named", "version": 1}, lineage
    config = server.get("/v2/models/named").json()
    assert [(i["name"], i["datatype"], i["shape"]) for i in config["inputs"]] == [("node", "BYTES", [-1])], config
    r = server.post("/v2/models/named/infer", {"inputs": [
        {"name": "node", "datatype": "BYTES", "shape": [1], "data": ["paper_9999"]}]})
    assert r.status == 400, r


@case
def a_graph_of_the_client():
    """The model takes rows and edges: those it learned from, and others."""
    for name, layers, weight in (("g_gcn", "gcn", False), ("g_sage", "graphsage", False), ("g_weight", "gcn", True)):
        graph = {"edges": "cites", "serve": "graph", "directed": True, "split": "split"}
        data = "papers"
        if weight:
            graph = {"edges": "cites_named", "source": "citing", "target": "cited", "weight": "times", "id": "paper",
                     "serve": "graph"}
            data = "named"
        train(name, params(layers=layers, graph=graph, epochs=10), dataset=data)
        rng = np.random.default_rng(1)
        for n, m in ((N, len(G.edges)), (7, 12), (3, 0), (1, 1)):
            inputs = {"x": G.x[:n].astype(np.float32), "edges": G.edges.T if n == N else rng.integers(0, n, (2, m))}
            if weight:
                inputs["edge_weight"] = rng.random(m).astype(np.float32)
            agree(name, inputs)
        n, m = 20000, 200000  # enough for ONNX Runtime to use its threads
        inputs = {"x": rng.normal(size=(n, WORDS)).astype(np.float32), "edges": rng.integers(0, n, (2, m))}
        agree(name, {**inputs, **({"edge_weight": rng.random(m).astype(np.float32)} if weight else {})})
        r = server.post(f"/v2/models/{name}/infer", {"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, WORDS], "data": [0] * WORDS},
            {"name": "edges", "datatype": "INT64", "shape": [2, 1], "data": [0, 5]}]
            + weight * [{"name": "edge_weight", "datatype": "FP32", "shape": [1], "data": [1]}]})
        assert r.status == 400, r


@case
def both_ways_of_serving_agree():
    graph = {"edges": "cites", "split": "split", "directed": True}
    train("n_same", params(graph=graph, epochs=5))
    train("g_same", params(graph={**graph, "serve": "graph"}, epochs=5))
    pairs = np.unique(G.edges, axis=0)  # what is listed twice counts once while learning
    a = infer(server, "n_same", {"node": np.arange(N)})["probabilities"]
    b = infer(server, "g_same", {"x": np.loadtxt([",".join(f"{v:.6g}" for v in r) for r in G.x], delimiter=",", dtype=np.float32),
                                 "edges": pairs.T})["probabilities"]
    np.testing.assert_allclose(a, b, atol=2e-5)


@case
def the_same_seed_gives_the_same_bytes_and_an_update_goes_on():
    p = params(epochs=6)
    for model in ("once", "twice"):
        train(model, p)
    assert artifact("once") == artifact("twice")
    job = server.train(kind="update", model="once", dataset="papers", target="kind",
                       params={"epochs": 40, "graph": {"edges": "cites"}})
    assert job["metrics"]["val_accuracy"] > 0.8, job["metrics"]
    assert server.get("/api/v1/models/once/versions/2").json()["lineage"]["edges"]["version"] == 1
    refused(400, "params.graph.edges", kind="update", parent="once", model="once", params={"epochs": 2}, learner=None)


@case
def what_is_wrong_is_named():
    def edges(name, rows, header=("source", "target")):
        csv(name, header, rows)
        return {"graph": {"edges": name, "split": "split"}}

    refused(404, "nowhere", params=params(graph={"edges": "nowhere"}))
    refused(400, "params.graph.edges is missing", params=params(graph={}))
    refused(400, "need params.graph", params={"layers": "gcn"})
    refused(400, "needs a layer of gcn_conv", params=params(layers="mlp"))
    refused(400, "has no column 'source'", params=params(**edges("e_columns", [[1, 2]], ("from", "to"))))
    refused(400, "row 2: column 'target' names node 600, which does not exist",
            params=params(**edges("e_node", [[1, 2], [3, 600]])))
    refused(400, "row 1: column 'source' names node -1", params=params(**edges("e_below", [[-1, 2]])))
    refused(400, "must be a finite number >= 0",
            params=params(graph={**edges("e_nan", [[1, 2, 1], [2, 3, "nan"]], ("source", "target", "w"))["graph"],
                                 "weight": "w"}))
    refused(400, "names node 'nobody', which does not exist", dataset="named",
            params=params(graph={**edges("e_name", [["nobody", "paper_0001"]])["graph"], "id": "paper", "split": None}))
    refused(400, "params.graph.split", params=params(graph={"edges": "cites", "split": "words"}))
    refused(501, "params.graph goes with kind", params=params(), kind="search", search={"param_grid": {"seed": [1, 2]}})
    refused(501, "rows of a graph", params=params(), importances=True)


finish()
