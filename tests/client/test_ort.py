"""Models trained through the API, downloaded and run by ONNX Runtime: it must agree with what we answer
(1e-5). Then `kind: update`: a new version with a parent, while the old one serves on untouched."""
import io
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import numpy as np
import onnx
import onnxruntime as ort
import requests
import tritonclient.http as http

from harness import Server, case, check, finish

TOLERANCE = 1e-5
server = Server()
client = http.InferenceServerClient(server.address)
rng = np.random.default_rng(7)


def npy(x):
    b = io.BytesIO()
    np.save(b, x)
    return b.getvalue()


def upload(name, **parts):
    r = requests.put(f"{server.url}/api/v1/datasets/{name}", files={k: (k + ".npy", npy(v)) for k, v in parts.items()})
    assert r.status_code == 201, r.text
    return r.json()


def artifact(model, version):
    r = server.get(f"/api/v1/models/{model}/versions/{version}/artifact")
    assert r.status == 200
    onnx.checker.check_model(onnx.load_from_string(r.body), full_check=True)
    return r.body


def ours(model, feeds, version=""):
    inputs = []
    for name, x in feeds.items():
        i = http.InferInput(name, list(x.shape), "BYTES" if x.dtype == object else "FP32")
        i.set_data_from_numpy(x, binary_data=True)
        inputs.append(i)
    r = client.infer(model, inputs, model_version=str(version))
    return {o["name"]: r.as_numpy(o["name"]) for o in r.get_response()["outputs"]}


def as_text(x):
    return [t.decode() if isinstance(t, bytes) else t for t in x.flatten().tolist()]


def compare(model, version, feeds):
    session = ort.InferenceSession(artifact(model, version), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    theirs = dict(zip(names, session.run(None, feeds)))
    mine = ours(model, feeds, version)
    assert set(names) == set(mine), (names, list(mine))
    worst = 0.0
    for n in names:
        if theirs[n].dtype.kind in "OUS":
            assert as_text(theirs[n]) == as_text(mine[n]), n
        elif theirs[n].dtype.kind == "i":
            assert np.array_equal(theirs[n], mine[n]), n
        else:
            assert theirs[n].shape == mine[n].shape, (theirs[n].shape, mine[n].shape)
            scale = np.maximum(1, np.abs(theirs[n]))
            worst = max(worst, float((np.abs(theirs[n] - mine[n]) / scale).max()))
    print(f"  {model}:{version} worst difference {worst:.2e}")
    assert worst <= TOLERANCE, worst
    return mine


def dense(*units, last):
    return [{"type": "dense", "units": u, "activation": "relu"} for u in units] + [last]


@case
def network_on_images():
    x = rng.integers(0, 256, (800, 8, 8), dtype=np.uint8)
    y = (x[:, :4].mean(axis=(1, 2)) > x[:, 4:].mean(axis=(1, 2))).astype(np.uint8) + 3
    upload("images", image=x, target=y)
    j = server.train(model="images", dataset="images", target="target", learner="network", params={
        "layers": [{"type": "flatten"}] + dense(32, last={"type": "dense", "units": 2, "activation": "softmax"}),
        "loss": "cross_entropy", "optimizer": {"type": "adam", "lr": 0.003}, "epochs": 25, "batch_size": 32,
        "validation": 0.1, "seed": 7})
    mine = compare("images", 1, {"x": x[:50].astype(np.float32)})
    assert set(mine["label"].tolist()) <= {3, 4} and mine["probabilities"].shape == (50, 2)
    assert (mine["label"] == y[:50]).mean() > 0.8, j["metrics"]


def table(n=500, missing=True):
    x = rng.normal(size=(n, 3))
    y = 2 * x[:, 0] - 3 * x[:, 1] + 0.5 * x[:, 2] + 10
    if missing:
        x[rng.random(x.shape) < 0.1] = np.nan
    rows = [",".join("" if np.isnan(v) else f"{v:.5f}" for v in r) + f",{t:.5f}" for r, t in zip(x, y)]
    return x.astype(np.float32), "p,q,r,y\n" + "\n".join(rows) + "\n"


@case
def linear_regression_with_missing_values():
    x, csv = table()
    server.need(201, "PUT", "/api/v1/datasets/line", csv)
    server.train(model="line", dataset="line", target="y", learner="linear_regression", params={"epochs": 40, "seed": 3})
    feed = {"x": x[:64]}
    assert np.isnan(feed["x"]).any()
    mine = compare("line", 1, feed)
    assert mine["value"].shape == (64,) and np.isfinite(mine["value"]).all()


@case
def linear_regression_finds_the_line():
    x, csv = table(missing=False)
    server.need(201, "PUT", "/api/v1/datasets/exact", csv)
    server.train(model="exact", dataset="exact", target="y", learner="linear_regression", params={"epochs": 200, "seed": 3})
    mine = compare("exact", 1, {"x": x[:64]})
    want = 2 * x[:64, 0] - 3 * x[:64, 1] + 0.5 * x[:64, 2] + 10
    assert np.abs(mine["value"] - want).max() < 0.2, np.abs(mine["value"] - want).max()


@case
def logistic_regression_with_text_labels():
    x = rng.normal(size=(300, 2))
    csv = "a,b,kind\n" + "".join(f"{a:.4f},{b:.4f},{'plus' if a + b > 0 else 'minus'}\n" for a, b in x)
    server.need(201, "PUT", "/api/v1/datasets/halves", csv)
    server.train(model="halves", dataset="halves", target="kind", learner="logistic_regression", params={"epochs": 30, "seed": 3})
    mine = compare("halves", 1, {"x": x[:40].astype(np.float32)})
    assert set(as_text(mine["label"])) <= {"plus", "minus"}


@case
def network_regression_and_three_classes():
    x = rng.normal(size=(300, 2)).astype(np.float32)
    y = np.where(x[:, 0] > 0.5, 2, np.where(x[:, 1] > 0, 1, 0)).astype(np.int64)
    upload("three", x=x, target=y)
    server.train(model="three", dataset="three", target="target", learner="network", params={
        "layers": dense(16, last={"type": "dense", "units": 3, "activation": "softmax"}), "epochs": 20, "seed": 1,
        "optimizer": {"type": "rmsprop", "lr": 0.005}})
    mine = compare("three", 1, {"x": x[:64]})
    assert mine["probabilities"].shape == (64, 3)
    upload("curve", x=x, target=(x[:, 0] ** 2).astype(np.float32))
    server.train(model="curve", dataset="curve", target="target", learner="network", params={
        "layers": [{"type": "dense", "units": 16, "activation": "tanh"}, {"type": "batch_norm"}, {"type": "dropout", "rate": 0.1},
                   {"type": "dense", "units": 1}], "loss": "huber", "epochs": 10, "seed": 1})
    compare("curve", 1, {"x": x[:64]})


@case
def mixed_columns():
    n = 400
    city = rng.choice(["Rome", "Oslo", "Bonn"], n)
    age = rng.integers(18, 80, n)
    y = np.where((city == "Rome") & (age > 40), "yes", "no")
    csv = "age,city,buys\n" + "".join(f"{'' if i % 9 == 0 else a},{c},{t}\n" for i, (a, c, t) in enumerate(zip(age, city, y)))
    server.need(201, "PUT", "/api/v1/datasets/mixed", csv)
    server.train(model="mixed", dataset="mixed", target="buys", learner="network", params={
        "layers": dense(16, last={"type": "dense", "units": 2, "activation": "softmax"}), "epochs": 60, "seed": 5})
    ages = age[:60].astype(np.float32).reshape(-1, 1)
    ages[::7] = np.nan
    cities = city[:60].astype(object).reshape(-1, 1)
    cities[3] = "nowhere"
    mine = compare("mixed", 1, {"age": ages, "city": cities})
    assert set(as_text(mine["label"])) <= {"yes", "no"}


@case
def the_same_seed_gives_the_same_bytes():
    spec = dict(dataset="halves", target="kind", learner="logistic_regression", params={"epochs": 5, "seed": 11})
    server.train(model="same-1", **spec)
    server.train(model="same-2", **spec)
    a, b = (server.need(200, "GET", f"/api/v1/models/same-{i}/versions/1")["files"]["model.onnx"] for i in (1, 2))
    assert a == b


@case
def update_continues_a_version():
    x = rng.normal(size=(400, 2))
    csv = "a,b,kind\n" + "".join(f"{a:.4f},{b:.4f},{'plus' if a - b > 0 else 'minus'}\n" for a, b in x)
    server.need(201, "PUT", "/api/v1/datasets/turned", csv)
    probe = {"x": rng.normal(size=(50, 2)).astype(np.float32)}
    layers = dense(8, last={"type": "dense", "units": 2, "activation": "softmax"})
    server.train(model="grow", dataset="halves", target="kind", learner="network",
                 params={"layers": layers, "epochs": 20, "seed": 2})
    server.need(200, "PUT", "/api/v1/models/grow/aliases/prod", {"version": 1})
    before, file_before = ours("grow@prod", probe), artifact("grow", 1)
    assert "optimizer.state" in server.need(200, "GET", "/api/v1/models/grow/versions/1")["files"]
    j = server.train(kind="update", model="grow", dataset="turned", target="kind", params={"epochs": 40, "optimizer": {"type": "adam", "lr": 0.01}})
    assert j["result"] == {"model": "grow", "version": 2}, j["result"]
    v = server.need(200, "GET", "/api/v1/models/grow/versions/2")
    assert v["lineage"]["parent"] == {"model": "grow", "version": 1}, v["lineage"]
    assert v["lineage"]["dataset"]["name"] == "turned" and v["lineage"]["job"] == j["id"], v["lineage"]
    after = ours("grow@prod", probe)
    assert all(np.array_equal(before[k], after[k]) for k in before if before[k].dtype != object), "the serving version moved"
    assert artifact("grow", 1) == file_before
    new = compare("grow", 2, probe)
    assert np.abs(new["probabilities"] - before["probabilities"]).max() > 0.05
    want = np.where(probe["x"][:, 0] - probe["x"][:, 1] > 0, "plus", "minus")
    old_right = np.mean([a == b for a, b in zip(as_text(before["label"]), want)])
    new_right = np.mean([a == b for a, b in zip(as_text(new["label"]), want)])
    assert new_right > old_right and new_right > 0.7, (old_right, new_right)


@case
def update_of_nothing_is_refused():
    r = server.post("/api/v1/jobs", {"kind": "update", "model": "nobody", "dataset": "turned", "target": "kind"})
    assert r.status in (400, 404, 422) and "nobody" in r.json()["error"]["message"], r


client.close()
check("SIGTERM ends the server with 0", server.stop() == 0)
finish()
