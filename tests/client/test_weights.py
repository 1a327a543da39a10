"""Weights that come without a graph, put onto an ONNX graph by name: safetensors, and state dicts as torch.save writes them (by PyTorch
where WEIGHTS_TORCH names a Python that has it, else by tests/fuzz/make_torch_corpus.py, which makes the same pickle). The artifact must
be, byte for byte, that of the model with these weights in it."""
import json
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "server"), os.path.join(HERE, "..", "fuzz")]
import numpy as np
import onnx
import requests
from onnx import TensorProto, helper, numpy_helper

from harness import BINARY, Server, check, finish
from make_torch_corpus import Storage, Tensor, save, state_dict

rng = np.random.default_rng(5)
folder = tempfile.TemporaryDirectory(prefix="maas-weights-")
server = Server()
# values that every type of floating point has
W = (rng.integers(-64, 64, (8, 4)) / 8).astype(np.float32)
B = (rng.integers(-64, 64, 4) / 8).astype(np.float32)


def model(w, b):
    nodes = [helper.make_node("MatMul", ["x", "fc.weight"], ["h"]), helper.make_node("Add", ["h", "fc.bias"], ["y"])]
    g = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 8])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])],
                          [numpy_helper.from_array(w, "fc.weight"), numpy_helper.from_array(b, "fc.bias")])
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def write(name, body):
    path = f"{folder.name}/{name}"
    with open(path, "wb") as f:
        f.write(body)
    return path


BLANK = write("blank.onnx", model(np.zeros_like(W), np.zeros_like(B)))


def artifact(reply):
    assert reply.status_code in (200, 201), reply.text
    v = reply.json()
    return server.get(f"/api/v1/models/{v['name']}/versions/{v['version']}/artifact").body


def put(name, weights):
    with open(BLANK, "rb") as m, open(weights, "rb") as w:
        return requests.put(f"{server.url}/api/v1/models/{name}/versions",
                            files={"model": ("model.onnx", m), "weights": (os.path.basename(weights), w)})


WANTED = artifact(requests.put(f"{server.url}/api/v1/models/wanted/versions", data=model(W, B)))


def safetensors(**arrays):
    head, data = {}, b""
    for name, (kind, a) in arrays.items():
        head[name.replace("__", ".")] = {"dtype": kind, "shape": list(a.shape), "data_offsets": [len(data), len(data) + a.nbytes]}
        data += a.tobytes()
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + data


def bf16(a):
    return (a.view(np.uint32) >> 16).astype(np.uint16)


def flat(kind, a):
    return Storage(kind, bf16(a).tobytes() if kind == "BFloat16" else a.flatten().tolist())


def scripted(kind):
    return state_dict(fc__weight=Tensor(flat(kind, W.T), (8, 4), (1, 8)), fc__bias=Tensor(flat(kind, B), (4,)),
                      bn__num_batches_tracked=Tensor(Storage("Long", [7]), ()))


files = {
    "f32.safetensors": safetensors(fc__weight=("F32", W), fc__bias=("F32", B)),
    "f16.safetensors": safetensors(fc__weight=("F16", W.astype(np.float16)), fc__bias=("F64", B.astype(np.float64))),
    "bf16.safetensors": safetensors(fc__weight=("BF16", bf16(W)), fc__bias=("BF16", bf16(B))),
    "nested.pt": save({"epoch": 1, "state_dict": scripted("Float")}),
}
files.update({f"{kind}.pt": save(scripted(kind)) for kind in ("Float", "Double", "Half", "BFloat16")})
paths = [write(name, body) for name, body in files.items()]

MAKER = """
import sys, numpy as np, torch
folder = sys.argv[1]
with np.load(folder + "/arrays.npz") as z:
    w, b = torch.tensor(z["w"].T.copy()).t(), torch.tensor(z["b"])
net = torch.nn.Sequential()
net.fc = torch.nn.Linear(4, 8)
net.fc.weight = torch.nn.Parameter(w)
net.fc.bias = torch.nn.Parameter(b)
net.bn = torch.nn.BatchNorm1d(4, affine=False)
state = net.state_dict()
del state["bn.running_mean"], state["bn.running_var"]
assert state["fc.weight"].stride() == (1, 8)
torch.save(state, folder + "/real.pt")
torch.save({"epoch": 2, "state_dict": state, "optimizer": torch.optim.Adam(net.parameters()).state_dict()}, folder + "/real_nested.pt")
for kind in (torch.float16, torch.bfloat16, torch.float64):
    torch.save({k: v.to(kind) if v.is_floating_point() else v for k, v in state.items()}, f"{folder}/real_{str(kind)[6:]}.pth")
torch.save(state, folder + "/legacy.pt", _use_new_zipfile_serialization=False)
torch.save(net, folder + "/module.pt")
"""
python = os.environ.get("WEIGHTS_TORCH")
if python:
    np.savez(folder.name + "/arrays.npz", w=W, b=B)
    subprocess.run([python, "-c", MAKER, folder.name], check=True, capture_output=True)
    paths += [f"{folder.name}/real{x}" for x in (".pt", "_nested.pt", "_float16.pth", "_bfloat16.pth", "_float64.pth")]
else:
    print("SKIPPED files of PyTorch: there is none here")

for path in paths:
    r = put("form", path)
    check("form: " + os.path.basename(path), r.status_code in (200, 201) and artifact(r) == WANTED, r.text)
for name, path in ("cli-st", paths[0]), ("cli-pt", paths[-1]):
    r = subprocess.run([BINARY, "import", name, BLANK, "--weights", path, "--url", server.url, "--json"], capture_output=True, text=True)
    v = json.loads(r.stdout) if r.returncode == 0 else {}
    check("command line: " + os.path.basename(path), v and list(v["files"]) == ["model.onnx"]
          and v["lineage"]["source_files"] == [os.path.basename(path)]
          and server.get(f"/api/v1/models/{name}/versions/{v['version']}/artifact").body == WANTED, r.stderr or v)


def blob(path):
    with open(path, "rb") as f:
        return server.blob(f.read())


manifest = {"files": {"model.onnx": blob(BLANK), "w.pt": blob(paths[-1])}, "weights": "w.pt"}
v = server.need(201, "POST", "/api/v1/models/manifest/versions", manifest)
check("manifest", server.get("/api/v1/models/manifest/versions/1/artifact").body == WANTED and list(v["files"]) == ["model.onnx"], v)
r = server.post("/api/v1/models/manifest/versions", {**manifest, "weights": "v.pt"})
check("manifest: no such member", r.status == 400 and "'v.pt'" in r.body.decode(), r)

refused = {
    "shape.safetensors": (safetensors(fc__weight=("F32", W.T.copy()), fc__bias=("F32", B)), "'fc.weight' is [4,8], the graph's is [8,4]"),
    "type.safetensors": (safetensors(fc__weight=("I32", W.astype(np.int32)), fc__bias=("F32", B)), "'fc.weight' is I32"),
    "extra.safetensors": (safetensors(fc__weight=("F32", W), fc__bias=("F32", B), more=("F32", B)), "no initializer of the graph is called 'more'"),
    "less.safetensors": (safetensors(fc__weight=("F32", W)), "the weights have nothing for 'fc.bias'"),
    "big.pt": (save(scripted("Float"), byteorder=b"big"), "byte order is 'big'"),
    "text.pt": (b"hello world", "neither safetensors nor a file of torch.save"),
}
if python:
    refused["legacy.pt"] = (open(folder.name + "/legacy.pt", "rb").read(), "before PyTorch 1.6")
    refused["module.pt"] = (open(folder.name + "/module.pt", "rb").read(), "REJECT_CLASS torch.nn.modules.container.Sequential")
for name, (body, words) in refused.items():
    r = put("bad", write("bad-" + name, body))
    check("refused: " + name, r.status_code in (415, 422, 501) and words in r.text, r.text)
finish()
