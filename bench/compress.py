"""What compression gives: a 784-128-128-10 network and ResNet-18 on Fashion-MNIST, DeepFM on clicks that are made here; each is
trained and compressed by the server at URL, with the steps in NETS.

    compress.py make URL DIRECTORY NET [ROWS]   writes DIRECTORY/NET.{before,after}.onnx, what bench_onnx feeds them, and
                                                NET.result; prints the trials
    compress.py rows DIRECTORY NET BENCH_ONNX   one line for each batch: size, latency, metric against what is asked

What is asked: a quarter of the bytes, 2.5 times as fast, 0.5 points of the metric at most. One thread; both files in turns.
"""
import gzip
import io
import json
import os
import subprocess
import sys
import time
import urllib.request

import numpy as np

FASHION = os.environ.get("MAAS_FASHION", "/usr/share/datasets/fashion-mnist")
ADAM = {"type": "adam", "lr": 0.001}


def fashion(n):
    with gzip.open(f"{FASHION}/train-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:n]
    with gzip.open(f"{FASHION}/train-labels-idx1-ubyte.gz") as f:
        return {"x": x, "target": np.frombuffer(f.read(), np.uint8, offset=8)[:n]}


def pictures(n):
    columns = fashion(n)
    return {**columns, "x": np.ascontiguousarray(columns["x"][:, None])}


def clicks(n):
    """26 columns of up to 1,000 categories and 13 numbers; the chance of a click has a part of each and of pairs."""
    rng = np.random.default_rng(3)
    columns, z = {}, np.zeros(n)
    vectors = []
    for i in range(26):
        size = int(rng.integers(20, 1000))
        c = np.minimum(rng.geometric(8 / size, n), size) - 1
        columns[f"c{i}"] = c.astype(np.int64)
        z += rng.normal(0, 0.25, size)[c]
        vectors.append(rng.normal(0, 0.16, (size, 4))[c])
    total = sum(vectors)
    z += 0.5 * ((total ** 2).sum(1) - sum((v ** 2).sum(1) for v in vectors))
    for i in range(13):
        columns[f"n{i}"] = rng.normal(size=n).astype(np.float32)
        z += rng.normal(0, 0.15) * columns[f"n{i}"]
    return {**columns, "target": (rng.random(n) < 1 / (1 + np.exp(-(z - 1)))).astype(np.int64)}


def dense(*units):
    return [{"type": "dense", "units": n, "activation": "relu"} for n in units]


NETS = {
    "mlp": dict(data=fashion, rows=60000, metric="accuracy",
                params={"layers": [{"type": "flatten"}, *dense(128, 128), {"type": "dense", "units": 10}], "epochs": 12,
                        "optimizer": ADAM, "batch_size": 64},
                steps=[{"type": "prune_neurons", "ratio": 0.5, "fine_tune": 4, "lr": 0.0005},
                       {"type": "qat", "fine_tune": 2, "lr": 0.0002}]),
    "resnet18": dict(data=pictures, rows=60000, metric="accuracy",
                     params={"layers": "resnet18_small", "epochs": 3, "optimizer": ADAM, "batch_size": 64},
                     steps=[{"type": "prune_channels", "ratio": 0.25, "fine_tune": 1, "lr": 0.0005},
                            {"type": "qat", "fine_tune": 1, "lr": 0.0001}]),
    "deepfm": dict(data=clicks, rows=200000, metric="roc_auc",
                   params={"layers": "deepfm", "categories": [f"c{i}" for i in range(26)], "epochs": 3, "optimizer": ADAM,
                           "batch_size": 512, "loss": "binary_cross_entropy"},
                   steps=[{"type": "prune_neurons", "ratio": 0.5, "fine_tune": 1, "lr": 0.0003},
                          {"type": "qat", "fine_tune": 1, "lr": 0.0001}, "int8"]),
}


def call(url, method, path, body=None, headers=None):
    body = json.dumps(body).encode() if isinstance(body, dict) else body
    with urllib.request.urlopen(urllib.request.Request(url + path, data=body, method=method, headers=headers or {}),
                                timeout=600) as answer:
        raw = answer.read()
    return raw if path.endswith("artifact") else json.loads(raw)


def upload(url, name, columns):
    body = b""
    for key, v in columns.items():
        b = io.BytesIO()
        np.save(b, v)
        body += f'--cut\r\nContent-Disposition: form-data; name="{key}"; filename="{key}.npy"\r\n\r\n'.encode()
        body += b.getvalue() + b"\r\n"
    call(url, "PUT", f"/api/v1/datasets/{name}", body + b"--cut--\r\n", {"Content-Type": "multipart/form-data; boundary=cut"})


def job(url, body):
    j = call(url, "POST", "/api/v1/jobs", {**body, "resources": {"cores": os.cpu_count()}})
    while j["state"] in ("queued", "running"):
        time.sleep(0.1)
        j = call(url, "GET", f"/api/v1/jobs/{j['id']}")
    return j


def describe(url, name, columns, at):
    """What bench_onnx reads: names, types and sizes of inputs, rows of the data."""
    lines = []
    for i in call(url, "GET", f"/v2/models/{name}")["inputs"]:
        dtype = {"FP32": np.float32, "INT64": np.int64, "UINT8": np.uint8}[i["datatype"]]
        lines.append(" ".join(map(str, [i["name"], i["datatype"], 1, "b", *i["shape"][1:]])))
        for batch in (1, 16):
            rows = columns[i["name"]][-batch:].astype(dtype).tobytes()
            for which in ("before", "after"):
                with open(f"{at}.{which}.{batch}.{i['name']}.rows", "wb") as f:
                    f.write(rows)
    for which in ("before", "after"):
        with open(f"{at}.{which}.inputs", "w") as f:
            f.write("\n".join(lines) + "\n")


def make(url, directory, name, rows=None):
    net, at = NETS[name], os.path.join(directory, name)
    columns = net["data"](int(rows or net["rows"]))
    upload(url, name, columns)
    j = job(url, {"kind": "train", "model": name, "dataset": name, "target": "target", "learner": "network",
                  "params": {**net["params"], "validation": 0.2, "seed": 7}})
    assert j["state"] == "succeeded", j
    j = job(url, {"kind": "compress", "model": f"{name}-small", "parent": name, "dataset": name, "target": "target",
                  "compress": {"steps": net["steps"], "max_metric_drop": 1, "metric": net["metric"]}})
    assert j["state"] == "succeeded", j
    for which, model in (("before", name), ("after", f"{name}-small")):
        with open(f"{at}.{which}.onnx", "wb") as f:
            f.write(call(url, "GET", f"/api/v1/models/{model}/versions/1/artifact"))
    describe(url, name, columns, at)
    with open(f"{at}.result", "w") as f:
        json.dump({"trials": j["result"]["trials"], "metric": net["metric"]}, f)
    for t in j["result"]["trials"]:
        print(name, " + ".join(s["type"] for s in t["steps"]) or "as it was",
              *(f"{k} {t[k]:.4g}" for k in ("bytes", "size_ratio", "latency_us", "latency_ratio", "metric", "drop")))


def micros(bench, stem, batch):
    line = subprocess.run([bench, stem, str(batch), "1", "1"], capture_output=True, text=True, check=True).stdout.split()
    return float(line[line.index("us") + 1])


def rows(directory, name, bench):
    at = os.path.join(directory, name)
    with open(f"{at}.result") as f:
        result = json.load(f)
    trials = result["trials"]
    print(name, "size", f"{trials[0]['bytes'] / trials[-1]['bytes']:.2f}", "metric", result["metric"],
          "before", f"{trials[0]['metric']:.4f}", "after", f"{trials[-1]['metric']:.4f}",
          "points", f"{100 * trials[-1]['drop']:.2f}")
    for batch in (1, 16):
        us = {which: [] for which in ("before", "after")}
        for _ in range(5):
            for which in us:
                us[which].append(micros(bench, f"{at}.{which}", batch))
        before, after = (float(np.median(v)) for v in us.values())
        print(name, "batch", batch, "before", f"{before:.1f}", "after", f"{after:.1f}", "faster", f"{before / after:.2f}")


{"make": make, "rows": rows}[sys.argv[1]](*sys.argv[2:])
