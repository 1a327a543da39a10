"""ONNX models whose data is in other files, as onnx.save_model and the exporters of PyTorch write them: run from the disk, imported by
the command line, uploaded as a form and as a manifest. The artifact must be, byte for byte, that of the same model in one file, and
ONNX Runtime must agree. Then what is refused."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import numpy as np
import onnx
import onnxruntime as ort
import requests
from onnx import TensorProto, helper, numpy_helper

from harness import BINARY, Server, case, check, finish

rng = np.random.default_rng(3)
folder = tempfile.TemporaryDirectory(prefix="maas-external-")
server = Server()
X = rng.standard_normal((3, 8), np.float32)
np.save(folder.name + "/x.npy", X)


def tensor(name, *shape, dtype=np.float32):
    return numpy_helper.from_array((rng.standard_normal(shape) * 4).astype(dtype), name)


def network():
    """Initializers, a tensor in an attribute, tensors in the branches of an If, elements of half a byte, nothing at all."""
    small = helper.make_tensor("small", TensorProto.INT4, [8], bytes([0x7A, 0x10, 0xEF, 0x53]), raw=True)
    yes = helper.make_graph([helper.make_node("Add", ["h", "b1"], ["o1"])], "yes", [],
                            [helper.make_tensor_value_info("o1", TensorProto.FLOAT, [None, 16])], [tensor("b1", 16)])
    no = helper.make_graph([helper.make_node("Sub", ["h", "b2"], ["o2"])], "no", [],
                           [helper.make_tensor_value_info("o2", TensorProto.FLOAT, [None, 16])], [tensor("b2", 16)])
    nodes = [
        helper.make_node("DequantizeLinear", ["small", "scale"], ["d"]),
        helper.make_node("Mul", ["x", "d"], ["m"]),
        helper.make_node("MatMul", ["m", "w"], ["g"]),
        helper.make_node("Constant", [], ["c"], value=tensor("value", 16)),
        helper.make_node("Add", ["g", "c"], ["h"]),
        helper.make_node("ReduceSum", ["h", "empty"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["p"]),
        helper.make_node("If", ["p"], ["i"], then_branch=yes, else_branch=no),
        helper.make_node("Cast", ["i"], ["j"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["j", "f64"], ["y"]),
    ]
    g = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 8])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None, 16])],
        [tensor("w", 8, 16), small, numpy_helper.from_array(np.float32(0.5), "scale"),
         numpy_helper.from_array(np.zeros(0, np.int64), "empty"), numpy_helper.from_array(np.float32(0), "zero"),
         tensor("f64", 16, dtype=np.float64)])
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


NETWORK = network()
ONE = folder.name + "/one.onnx"
onnx.save_model(NETWORK, ONE)


def save(layout, **how):
    """The same model with its data outside; the path of its file."""
    os.mkdir(f"{folder.name}/{layout}")
    path = f"{folder.name}/{layout}/model.onnx"
    copy = onnx.ModelProto()
    copy.CopyFrom(NETWORK)
    onnx.save_model(copy, path, save_as_external_data=True, size_threshold=0, **how)
    return path


def as_exporter(data_name):
    """What PyTorch's exporters leave: raw tensors moved to one file, each at a multiple of a page, without lengths for some."""
    path = save("torch-" + data_name.replace("/", "-"), location="all", convert_attribute=True)
    base = os.path.dirname(path)
    model = onnx.load(path, load_external_data=False)
    with open(base + "/all", "rb") as f:
        old = f.read()
    blob = b""
    for i, t in enumerate(model.graph.initializer):
        at = {e.key: e.value for e in t.external_data}
        if not at:
            continue
        data = old[int(at["offset"]):int(at["offset"]) + int(at["length"])]
        blob += bytes(-len(blob) % 4096)
        del t.external_data[:]
        for key, value in [("location", data_name), ("offset", len(blob)), ("length", len(data)), ("checksum", "0" * 40)][:4 if i % 2 else 2]:
            t.external_data.add(key=key, value=str(value))
        blob += data
    os.makedirs(os.path.dirname(f"{base}/{data_name}"), exist_ok=True)
    with open(f"{base}/{data_name}", "wb") as f:
        f.write(blob)
    onnx.save_model(model, path)
    return path


def locations(path):
    model = onnx.load(path, load_external_data=False)
    found = {}
    for t in onnx.external_data_helper._get_all_tensors(model):
        found.update({e.value: None for e in t.external_data if e.key == "location"})
    return list(found)


def run(path):
    r = subprocess.run([BINARY, "run", path, "--input", folder.name + "/x.npy", "--json"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)["outputs"][0]["data"]


def maas(*args):
    return subprocess.run([BINARY, *args, "--url", server.url], capture_output=True, text=True, env={**os.environ})


def artifact(name):
    v = server.need(200, "GET", f"/api/v1/models/{name}")["versions"][-1]["version"]
    return server.get(f"/api/v1/models/{name}/versions/{v}/artifact").body


def blob(path):
    with open(path, "rb") as f:
        return server.blob(f.read())


r = maas("import", "one", ONE)
assert r.returncode == 0, r.stderr
WHOLE = artifact("one")
THEIRS = ort.InferenceSession(ONE).run(None, {"x": X})[0]
np.testing.assert_allclose(np.reshape(run(ONE), (3, 16)), THEIRS, rtol=1e-6, atol=1e-6)

layouts = {
    "together": save("together", location="model.onnx.data", convert_attribute=True),
    "apart": save("apart", all_tensors_to_one_file=False, convert_attribute=True),
    "initializers": save("initializers", location="weights.bin", convert_attribute=False),
    "exporter": as_exporter("model.onnx_data"),
    "folder": as_exporter("data/w.bin"),
}
for layout, path in layouts.items():
    base = os.path.dirname(path)

    def everything():
        names = locations(path)
        assert names
        assert run(path) == run(ONE)
        r = maas("import", layout + "-cli", path)
        assert r.returncode == 0, r.stderr
        assert artifact(layout + "-cli") == WHOLE
        parts = [("model", ("model.onnx", open(path, "rb")))]
        parts += [("data", (n, open(f"{base}/{n}", "rb"))) for n in names]
        r = requests.put(f"{server.url}/api/v1/models/{layout}-form/versions", files=parts)
        assert r.status_code == 201, r.text
        assert artifact(layout + "-form") == WHOLE
        assert list(r.json()["files"]) == ["model.onnx"], r.text
        files = {"onnx/model.onnx": blob(path), "notes.txt": blob(folder.name + "/x.npy")}
        names = [n for n in names if os.path.getsize(f"{base}/{n}")]  # there is no empty blob; nothing is read from one
        files.update({f"onnx/{n}": blob(f"{base}/{n}") for n in names})
        v = server.need(201, "POST", f"/api/v1/models/{layout}-blobs/versions", {"files": files})
        assert artifact(layout + "-blobs") == WHOLE
        assert sorted(v["files"]) == ["model.onnx", "notes.txt"], v["files"]
        assert sorted(v["lineage"]["source_files"]) == sorted(f"onnx/{n}" for n in names), v["lineage"]

    everything.__name__ = layout
    case(everything)


def changed(**entries):
    """The model with other words about where w is."""
    model = onnx.load(layouts["together"], load_external_data=False)
    t = model.graph.initializer[0]
    for e in t.external_data:
        if e.key in entries:
            e.value = str(entries[e.key])
    return model.SerializeToString()


huge = 2**64 - 4
for name, entries, words in [
    ("missing", {"location": "other.data"}, "tensor 'w': wants file 'other.data', which is not in the upload"),
    ("above", {"location": "../model.onnx.data"}, "outside of the model's folder"),
    ("within", {"location": "a/../../model.onnx.data"}, "outside of the model's folder"),
    ("absolute", {"location": "/etc/hostname"}, "an absolute path"),
    ("nothing", {"location": "./"}, "is no name of a file"),
    ("itself", {"location": "model.onnx"}, "which is not in the upload"),
    ("past", {"offset": 1 << 40}, "tensor 'w': 512 bytes at 1099511627776 of 'model.onnx.data'"),
    ("around", {"offset": huge, "length": 8}, "tensor 'w': 8 bytes at"),
    ("long", {"length": huge}, "tensor 'w'"),
    ("short", {"length": 8}, "tensor 'w': 8 bytes of data, the shape needs 512"),
    ("negative", {"offset": -1}, "is no number"),
]:
    body = changed(**entries)
    data = open(os.path.dirname(layouts["together"]) + "/model.onnx.data", "rb").read()
    r = requests.put(f"{server.url}/api/v1/models/bad/versions",
                     files=[("model", ("model.onnx", body)), ("data", ("model.onnx.data", data))])
    check("refused: " + name, r.status_code == 422 and words in r.text, r.text)

alone = requests.put(f"{server.url}/api/v1/models/bad/versions", data=open(layouts["together"], "rb"))
check("refused: the model alone", alone.status_code == 422 and "wants file 'model.onnx.data'" in alone.text, alone.text)
twice = requests.put(f"{server.url}/api/v1/models/bad/versions",
                     files=[("model", ("m", b"x")), ("data", ("a", b"1")), ("data", ("a", b"2"))])
check("refused: a name twice", twice.status_code == 400 and "two files of the upload are called 'a'" in twice.text, twice.text)
os.rename(os.path.dirname(layouts["together"]) + "/model.onnx.data", folder.name + "/gone")
for what, r in [("run", subprocess.run([BINARY, "run", layouts["together"]], capture_output=True, text=True)),
                ("import", maas("import", "bad", layouts["together"]))]:
    check(f"refused by maas {what}", r.returncode != 0 and "wants file 'model.onnx.data'" in r.stderr, r.stderr)
finish()
