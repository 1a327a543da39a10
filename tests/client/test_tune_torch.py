"""The same graph, rows, order and steps of SGD in PyTorch and here: the weights are the same to 1e-5."""
import glob
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import numpy as np
import onnx
from onnx import numpy_helper

from harness import Server, case, check, finish
from tables import add_columns

server = Server()


def upload(name, **columns):
    add_columns(server, name, columns)


def weights(file):
    return {w.name: numpy_helper.to_array(w) for w in onnx.load_from_string(file).graph.initializer}


def run(path):
    name = os.path.basename(path)[:-5]
    data = np.load(path[:-5] + ".npz")
    with open(path, "rb") as f:
        file = f.read()
    server.put(f"/api/v1/models/{name}/versions", file)
    upload(name, x=data["in"], target=data["target"])
    with open(path[:-5] + ".json") as f:
        params = json.load(f)
    job = server.need(202, "POST", "/api/v1/jobs", {"kind": "update", "model": name, "dataset": name, "params": params,
                                                   "resources": {"cores": 1}})
    job = server.wait_job(job["id"])
    assert job["state"] == "succeeded", job["error"]
    before = weights(file)
    after = weights(server.get(f"/api/v1/models/{name}/versions/2/artifact").body)
    compared = moved = 0
    for key in data.files:
        k = key[len("weight:"):]
        if not key.startswith("weight:") or k not in after:
            continue
        compared += 1
        moved += not np.array_equal(before[k], after[k])
        off = np.abs(after[k] - data[key]).max()
        assert off <= 1e-5, (name, k, off, np.abs(before[k] - data[key]).max())
        if np.array_equal(before[k], data[key]):  # PyTorch did not move it: neither did we, not by a bit
            assert np.array_equal(before[k], after[k]), (name, k)
    assert compared >= 2 and moved >= 2, (name, compared, moved, list(after))
    return compared


total = {}
for path in sorted(glob.glob(sys.argv[1] + "/*.onnx")):
    def one(path=path):
        total[path] = run(path)
    one.__name__ = os.path.basename(path)[:-5] + "_ends_in_the_weights_of_pytorch"
    case(one)
print(f"  {sum(total.values())} weights of {len(total)} models compared")
server.stop()
finish()
