"""Fine-tuning of imported networks through the server: a convolutional network of five kinds of pictures, written with
onnx's helper as exporters write one (batch of 1, shapes that begin with 1), learns ten kinds by a new head. Frozen
weights stay to the bit, ONNX Runtime gives the answers that the server gives. The pictures are those of Debian's
dataset-fashion-mnist where it is installed, else ten blurred patterns with noise."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import numpy as np
import onnx
import onnx.helper as h
import onnxruntime as ort
from onnx import numpy_helper

from harness import BINARY, Server, case, finish
from tables import add_columns, pictures

N = 4000
ort.set_default_logger_severity(4)
server = Server()


def upload(name, **columns):
    add_columns(server, name, columns)


X, y = pictures(N)
five = y < 5
upload("five", x=X[five], target=y[five])
upload("ten", x=X[..., None], target=y)  # rows of [28, 28, 1], as pictures are
upload("words", x=X[..., None], target=np.array([f"kind {k}" for k in y]))
server.train(model="net", dataset="five", learner="network", resources={"cores": 1},
             params={"layers": [{"type": "reshape", "shape": [1, 28, 28]},
                                {"type": "conv2d", "filters": 8, "kernel_size": 5, "stride": 2, "activation": "relu"},
                                {"type": "conv2d", "filters": 16, "kernel_size": 3, "activation": "relu"},
                                {"type": "max_pool", "kernel_size": 2}, {"type": "flatten"}, {"type": "dense", "units": 5}],
                     "scaling": "unit", "epochs": 2, "batch_size": 64, "seed": 7, "optimizer": {"type": "adam", "lr": 0.003}})


def weights(file):
    return {w.name: numpy_helper.to_array(w) for w in onnx.load_from_string(file).graph.initializer}


def artifact(model, version=None):
    version = version or server.get(f"/api/v1/models/{model}").json()["versions"][-1]["version"]
    return server.get(f"/api/v1/models/{model}/versions/{version}/artifact").body


def foreign():
    """The network that was trained, with the names and shapes of an export: nothing of ours is in it."""
    w = weights(artifact("net", 1))
    w = [w[f"layers.{i}.{what}"] for i in (1, 2, 5) for what in ("weight", "bias")]
    names = ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc.weight", "fc.bias"]
    flat = np.array([1, w[4].shape[0]], np.int64)
    nodes = [h.make_node("Conv", ["in", *names[:2]], ["c1"], "/conv1/Conv", kernel_shape=[5, 5], strides=[2, 2]),
             h.make_node("Relu", ["c1"], ["r1"], "/Relu"),
             h.make_node("Conv", ["r1", *names[2:4]], ["c2"], "/conv2/Conv", kernel_shape=[3, 3]),
             h.make_node("Relu", ["c2"], ["r2"], "/Relu_1"),
             h.make_node("MaxPool", ["r2"], ["p"], "/pool/MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
             h.make_node("Reshape", ["p", "shape"], ["f"], "/Reshape"),
             h.make_node("Gemm", ["f", *names[4:]], ["z"], "/fc/Gemm"),
             h.make_node("Softmax", ["z"], ["scores"], "/Softmax", axis=1)]
    T = onnx.TensorProto.FLOAT
    graph = h.make_graph(nodes, "g", [h.make_tensor_value_info("in", T, [1, 1, 28, 28])],
                         [h.make_tensor_value_info("scores", T, [1, 5])],
                         [numpy_helper.from_array(v, k) for k, v in zip(names + ["shape"], w + [flat])])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8).SerializeToString()


FOREIGN = foreign()
server.need(201, "PUT", "/api/v1/models/plain/versions", FOREIGN)
with open(os.path.join(server.data, "foreign.onnx"), "wb") as f:
    f.write(FOREIGN)
with open(os.path.join(server.data, "labels.txt"), "w") as f:
    f.write("\n".join("tops trousers pullovers dresses coats".split()))
ENV = {**os.environ, "MAAS_URL": server.url}
subprocess.run([BINARY, "import", "pictures", f"{server.data}/foreign.onnx", "--image-recipe", "unit", "--labels",
                f"{server.data}/labels.txt"], env=ENV, check=True, stdout=subprocess.DEVNULL)
CONV = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias")
PARAMS = {"epochs": 3, "batch_size": 50, "validation": 0.25, "optimizer": {"type": "adam", "lr": 0.003}}


def run(model="tuned", parent="pictures", dataset="ten", **more):
    params = {**PARAMS, **more.pop("params", {})}
    job = server.need(202, "POST", "/api/v1/jobs", {"kind": "update", "model": model, "parent": parent, "dataset": dataset,
                                                   "params": params, "resources": {"cores": 1}, **more})
    return server.wait_job(job["id"])


def done(job):
    assert job["state"] == "succeeded", job
    r = job["result"]
    return r, server.get(f"/api/v1/models/{r['model']}/versions/{r['version']}/artifact").body


def agrees(model, version, file, name, rows, datatype):
    s = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    want = s.run(None, {name: rows})
    a = server.need(200, "POST", f"/v2/models/{model}/versions/{version}/infer",
                    {"inputs": [{"name": name, "datatype": datatype, "shape": list(rows.shape), "data": rows.ravel().tolist()}]})
    for got, w in zip(a["outputs"], want):
        np.testing.assert_allclose(np.array(got["data"]).reshape(w.shape), w, atol=1e-5)
    return want[0]


def a_new_head_learns_ten_kinds():
    r, file = done(run(params={"freeze": ["conv*"], "head": "replace"}))
    m = server.get(f"/api/v1/models/tuned/versions/{r['version']}").json()
    assert m["metrics"]["val_accuracy"] > 0.7, m["metrics"]
    assert r["frozen"] == 4 and r["trained"] == 0, r
    assert "pictures" in str(m["lineage"]), m["lineage"]
    old, new = weights(FOREIGN), weights(file)
    for k in CONV:
        assert np.array_equal(old[k], new[k]), k
    assert "fc.weight" not in new and new["head.0.weight"].shape == (400, 10), list(new)
    p = agrees("tuned", r["version"], file, "image", X[:40, ..., None], "UINT8")
    assert p.shape == (40, 10) and np.allclose(p.sum(1), 1, atol=1e-5)
    held = X[-1000:, ..., None], y[-1000:]
    s = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert (s.run(None, {"image": held[0]})[0].argmax(1) == held[1]).mean() > 0.7


def labels_are_those_of_the_new_classes():
    r, _ = done(run(model="named", dataset="words", params={"freeze": ["conv*"], "head": "replace"}))
    picture = b"P5 28 28 255\n" + X[7].tobytes()
    a = server.need(200, "POST", "/v2/models/named/infer", picture, headers={"Content-Type": "image/x-portable-graymap"})
    assert a["predictions"][0][0]["label"].startswith("kind "), a
    a = server.need(200, "POST", "/v2/models/pictures/infer", picture, headers={"Content-Type": "image/x-portable-graymap"})
    assert a["predictions"][0][0]["label"] in "tops trousers pullovers dresses coats", a


def a_head_may_be_layers_and_read_another_node():
    r, file = done(run(params={"freeze": ["/conv1/*"], "head_after": "/pool/MaxPool",
                               "head": ["flatten", {"type": "dropout", "rate": 0.2},
                                        {"type": "dense", "units": 32, "activation": "relu"}, "dense"]}))
    m = server.get(f"/api/v1/models/tuned/versions/{r['version']}").json()
    assert m["metrics"]["val_accuracy"] > 0.7, m["metrics"]
    old, new = weights(FOREIGN), weights(file)
    assert np.array_equal(old["conv1.weight"], new["conv1.weight"])
    assert not np.array_equal(old["conv2.weight"], new["conv2.weight"])
    agrees("tuned", r["version"], file, "image", X[:9, ..., None], "UINT8")


def the_head_may_stay():
    r, file = done(run(model="kept", parent="plain", dataset="five", params={"scaling": "unit", "epochs": 1}))
    m = server.get(f"/api/v1/models/kept/versions/{r['version']}").json()
    assert m["metrics"]["val_accuracy"] > 0.8, m["metrics"]
    new = weights(file)
    assert all(not np.array_equal(v, new[k]) for k, v in weights(FOREIGN).items() if k != "shape")
    agrees("kept", r["version"], file, "in", X[:9, None].astype(np.float32) / 255, "FP32")
    # and again, from the version that came of it, by the recipe that it carries
    r, _ = done(server.wait_job(server.need(202, "POST", "/api/v1/jobs", {
        "kind": "update", "model": "kept", "dataset": "five", "resources": {"cores": 1}})["id"]))
    assert r["version"] == 2, r


def our_own_network_gets_a_new_head():
    r, file = done(run(model="own", parent="net", dataset="ten10", learner="fine_tune",
                       params={"freeze": ["layers.1.*"], "head": "replace"}))
    new = weights(file)
    assert np.array_equal(weights(artifact("net", 1))["layers.1.weight"], new["layers.1.weight"])
    a = server.need(200, "POST", "/v2/models/own/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 28, 28],
                                                                      "data": X[0].astype(float).ravel().tolist()}]})
    assert [o["name"] for o in a["outputs"]] == ["label", "probabilities"] and len(a["outputs"][1]["data"]) == 10, a


def the_command_line_does_it():
    out = subprocess.run([BINARY, "train", "cli", "--update", "--parent", "pictures", "--dataset", "ten", "--freeze",
                          "conv1.*,/conv2/Conv", "--head", "replace", "--epochs", "1", "--lr", "0.003", "--cores", "1"],
                         env=ENV, capture_output=True, text=True, check=True).stdout
    assert "accuracy" in out, out


def compression_trains_it_too():
    job = server.need(202, "POST", "/api/v1/jobs", {"kind": "compress", "model": "small", "parent": "tuned", "dataset": "ten",
                                                   "compress": {"steps": [{"type": "prune_magnitude", "fine_tune": 1}],
                                                                "max_metric_drop": 0.5}, "resources": {"cores": 1}})
    job = server.wait_job(job["id"])
    assert job["state"] == "succeeded", job


def wrong_requests_are_named():
    for body, words in (({"kind": "train", "learner": "fine_tune"}, "goes on from a version"),
                        ({"kind": "search", "learner": "fine_tune", "search": {"param_grid": {"epochs": [1]}}}, "version"),
                        ({"learner": "fine_tune", "params": {"freeze": "conv"}}, "params.freeze"),
                        ({"learner": "fine_tune", "params": {"frozen": []}}, "params.frozen"),
                        ({"parent": "nobody"}, "nobody")):
        r = server.post("/api/v1/jobs", {"kind": "update", "model": "w", "parent": "plain", "dataset": "ten", **body})
        assert r.status in (400, 404) and words in r.json()["error"]["message"], (body, r)
    for params, words in (({"freeze": ["conv1.wieght"]}, "did you mean 'conv1.weight'"),
                          ({}, "does not know class"),
                          ({"head": [{"type": "dense", "units": 3}]}, "gives 3 values a row"),
                          ({"head": "replace", "head_after": "/pool"}, "'/pool'")):
        job = run(model="w", params=params)
        assert job["state"] == "failed" and words in job["error"]["message"], (params, job)
    job = run(model="w", parent="plain", dataset="flat", params={"head": "replace"})
    assert job["state"] == "failed" and "input 'in' takes" in job["error"]["message"], job


upload("ten10", x=X[:1500], target=y[:1500])
upload("flat", x=X[:200, :14], target=y[:200])
for one in (a_new_head_learns_ten_kinds, labels_are_those_of_the_new_classes, a_head_may_be_layers_and_read_another_node,
            the_head_may_stay, our_own_network_gets_a_new_head, the_command_line_does_it, compression_trains_it_too,
            wrong_requests_are_named):
    case(one)
finish()
