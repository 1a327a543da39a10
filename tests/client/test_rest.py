"""The row dialects with the clients people use: requests, curl. The shortest way (/predict and the bare
URL), TensorFlow Serving and KServe :predict, MLflow and SageMaker /invocations."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import numpy as np
import requests

import models
from harness import Server, case, check, finish

server = Server()
url = server.url
mlp_file, mlp = models.mlp()
for name, file in {"mlp": mlp_file, "encode": models.label_encoder(), "two": models.two_inputs(),
                   "text": models.identity("BYTES", ("n",)), "image": models.identity("FP32", ("n", 2, 3)),
                   "big": models.identity("INT64", ("n",)), "double": models.identity("FP64", ("n", 2))}.items():
    server.need(201, "PUT", f"/api/v1/models/{name}/versions", file)

TABLE = "age,city,income,buys\n" + "".join(
    f"{20 + i % 50},{['Rome', 'Oslo', 'Bonn'][i % 3]},{'' if i % 7 == 0 else 1000 + i % 50 * 100},{'yes' if i % 50 > 25 else 'no'}\n"
    for i in range(300))
server.need(201, "PUT", "/api/v1/datasets/people", TABLE)
server.train(model="people", dataset="people", target="buys", learner="logistic_regression", params={"epochs": 30, "seed": 1})
row = [[0.5, -1, 2, 0.25], [1, 2, 3, 4]]


def near(got, want):
    return np.shape(got) == np.shape(want) and np.abs(np.array(got) - np.array(want)).max() < 1e-5


@case
def the_two_lines():
    for u in (url, url + "/", url + "/predict"):
        out = requests.post(u, params={"model_name": "mlp", "input_data": json.dumps(row)}).json()["output_data"]
        assert near(out, mlp(np.float32(row))), out
        out = requests.post(u, params={"model_name": "mlp", "input_data": str(row[0])}).json()["output_data"]
        assert near(out, mlp(np.float32(row[:1]))), out


@case
def form_json_and_multipart():
    for u in (url, url + "/predict"):
        fields = {"model_name": "mlp", "input_data": json.dumps(row)}
        assert near(requests.post(u, data=fields).json()["output_data"], mlp(np.float32(row)))
        assert near(requests.post(u, json={"model_name": "mlp", "input_data": row}).json()["output_data"], mlp(np.float32(row)))
        parts = {k: (None, v) for k, v in fields.items()}
        assert near(requests.post(u, files=parts).json()["output_data"], mlp(np.float32(row)))


@case
def what_is_not_json_is_one_text():
    for text in ("hello, world", "ä€😀", "a+b & c=d%20", " ", "[1, 2", "nul l"):
        for r in (requests.post(url, params={"model_name": "text", "input_data": text}),
                  requests.post(url, data={"model_name": "text", "input_data": text}),
                  requests.post(url, files={"model_name": (None, "text"), "input_data": (None, text)})):
            assert r.status_code == 200 and r.json()["output_data"] == [text], (text, r.text)
    assert requests.post(url, json={"model_name": "text", "input_data": ["a", "b"]}).json()["output_data"] == ["a", "b"]
    assert requests.post(url, json={"model_name": "encode", "input_data": [["dog"], ["?"]]}).json()["output_data"] == [[20], [-1]]


@case
def rows_by_name():
    rows = [{"age": 69, "city": "Rome", "income": 5000}, {"age": 21, "city": "Oslo", "income": None}, {"age": 69, "city": "nowhere"}]
    out = requests.post(url, json={"model_name": "people", "input_data": rows}).json()["output_data"]
    assert out[:2] == ["yes", "no"] and len(out) == 3, out
    out = requests.post(url, json={"model_name": "people", "input_data": rows[0]}).json()["output_data"]
    assert out == ["yes"], out
    out = requests.post(url, json={"model_name": "people", "input_data": [[69, "Rome", 5000], [21, "Oslo", None]]}).json()["output_data"]
    assert out == ["yes", "no"], out


@case
def predict_v1_instances_and_inputs():
    p = requests.post(f"{url}/v1/models/mlp:predict", json={"instances": row})
    assert p.status_code == 200 and near(p.json()["predictions"], mlp(np.float32(row)))
    assert near(requests.post(f"{url}/v1/models/mlp/versions/1:predict", json={"instances": row}).json()["predictions"], mlp(np.float32(row)))
    server.need(200, "PUT", "/api/v1/models/mlp/aliases/prod", {"version": 1})
    assert near(requests.post(f"{url}/v1/models/mlp/labels/prod:predict", json={"instances": row}).json()["predictions"], mlp(np.float32(row)))
    assert near(requests.post(f"{url}/v1/models/mlp:predict", json={"instances": [{"x": r} for r in row]}).json()["predictions"], mlp(np.float32(row)))
    assert near(requests.post(f"{url}/v1/models/mlp:predict", json={"inputs": row}).json()["outputs"], mlp(np.float32(row)))
    assert near(requests.post(f"{url}/v1/models/mlp:predict", json={"inputs": {"x": row}, "signature_name": "serving_default"}).json()["outputs"], mlp(np.float32(row)))
    a, b = [[1] * 16], [[2] * 16]
    out = requests.post(f"{url}/v1/models/two:predict", json={"inputs": {"a": a, "b": b}}).json()["outputs"]
    assert out == {"sum": [[3] * 16], "difference": [[-1] * 16]}, out
    out = requests.post(f"{url}/v1/models/two:predict", json={"instances": [{"a": a[0], "b": b[0]}] * 2}).json()["predictions"]
    assert out == [[3] * 16] * 2, out


@case
def shapes_of_rows():
    x = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12.5]]]
    assert requests.post(f"{url}/v1/models/image:predict", json={"instances": x}).json()["predictions"] == x
    flat = [[1, 2, 3, 4, 5, 6]]
    assert requests.post(f"{url}/v1/models/image:predict", json={"instances": flat}).json()["predictions"] == x[:1]
    assert requests.post(f"{url}/v1/models/big:predict", json={"instances": [2**63 - 1, -2**63]}).json()["predictions"] == [2**63 - 1, -2**63]


@case
def doubles_come_back_bit_for_bit():
    r = np.random.default_rng(1)
    x = np.concatenate([r.normal(size=500), 10.0 ** r.uniform(-300, 300, 500)]).reshape(-1, 2)
    got = requests.post(f"{url}/v1/models/double:predict", json={"instances": x.tolist()}).json()["predictions"]
    assert np.array_equal(np.array(got), x)


@case
def status_of_models():
    m = requests.get(f"{url}/v1/models/mlp").json()
    assert m["name"] == "mlp" and m["ready"] is True and m["id"] == "mlp"
    assert m["model_version_status"][0]["state"] == "AVAILABLE" and m["model_version_status"][0]["version"] == "1"
    every = requests.get(f"{url}/v1/models").json()
    assert set(every["models"]) >= {"mlp", "text"} and {d["id"] for d in every["data"]} == set(every["models"])
    meta = requests.get(f"{url}/v1/models/mlp/metadata").json()
    assert meta["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"


def invoke(**kw):
    return requests.post(f"{url}/invocations?model=people", **kw)


@case
def invocations_of_mlflow():
    columns = ["income", "age", "city"]
    data = [[5000, 69, "Rome"], [None, 21, "Oslo"]]
    for body in ({"dataframe_split": {"columns": columns, "data": data}},
                 {"dataframe_split": {"data": data, "index": [0, 1], "columns": columns}},
                 {"dataframe_records": [dict(zip(columns, d)) for d in data]},
                 {"instances": [dict(zip(columns, d)) for d in data]},
                 {"inputs": {"age": [[69], [21]], "city": [["Rome"], ["Oslo"]], "income": [[5000], [2100]]}},
                 {"inputs": {"age": [69, 21], "city": ["Rome", "Oslo"], "income": [5000, 2100]}}):
        r = invoke(json=body)
        assert r.status_code == 200 and r.json()["predictions"] == ["yes", "no"], (body, r.text)
    r = invoke(data="income,age,city\n5000,69,Rome\n,21,Oslo\n", headers={"Content-Type": "text/csv"})
    assert r.status_code == 200 and r.json()["predictions"] == ["yes", "no"], r.text
    assert requests.get(url + "/ping").status_code == 200


@case
def invocations_without_a_name():
    r = requests.post(url + "/invocations", json={"instances": row})
    assert r.status_code == 400 and "mlp" in r.json()["message"] and "people" in r.json()["message"], r.text


def refused(name, r, status, key, *words):
    text = r.json().get(key) if r.headers.get("Content-Type", "").startswith("application/json") else None
    text = text if isinstance(text, str) else json.dumps(text)
    check("refused: " + name, r.status_code == status and all(w in text for w in words), f"{r.status_code} {r.text}")


refused("no input", requests.post(url, params={"model_name": "mlp"}), 400, "error", "input_data")
refused("unknown model", requests.post(url, params={"model_name": "nobody", "input_data": "1"}), 404, "error", "nobody")
refused("text for numbers", requests.post(url, params={"model_name": "mlp", "input_data": "hello"}), 400, "error", "'x'", "FP32")
refused("ragged rows", requests.post(url, json={"model_name": "mlp", "input_data": [[1, 2, 3, 4], [1, 2]]}), 400, "error")
refused("text in a number column", requests.post(url, json={"model_name": "people", "input_data": [["x", "Rome", 1]]}), 400, "error", "age")
refused("unknown column", requests.post(url, json={"model_name": "people", "input_data": [{"agee": 1}]}), 400, "error", "agee")
refused("short row", requests.post(url, json={"model_name": "people", "input_data": [[1, "Rome"]]}), 400, "error", "2 cells", "3")
refused("body after the JSON", requests.post(url, data='{"model_name":"mlp","input_data":[[1,2,3,4]]} x', headers={"Content-Type": "application/json"}), 400, "error", "follows")
refused("no instances", requests.post(f"{url}/v1/models/mlp:predict", json={"rows": row}), 400, "error", "instances")
refused("not an object", requests.post(f"{url}/v1/models/mlp:predict", json=row), 400, "error", "object")
refused("column unknown to mlflow", invoke(json={"dataframe_split": {"columns": ["nope"], "data": [[1]]}}), 400, "message", "nope")
refused("csv of other columns", invoke(data="a,b\n1,2\n", headers={"Content-Type": "text/csv"}), 400, "message", "columns")
refused("a media type nobody knows", invoke(data="x", headers={"Content-Type": "image/png"}), 415, "message", "text/csv")
refused("data in two forms", invoke(json={"instances": [], "inputs": []}), 400, "message", "two")


@case
def curl():
    out = subprocess.run(["curl", "-sS", "-X", "POST", f"{url}/v1/models/mlp:predict", "-d", json.dumps({"instances": row})],
                         capture_output=True, check=True).stdout
    assert near(json.loads(out)["predictions"], mlp(np.float32(row)))
    out = subprocess.run(["curl", "-sS", url, "-d", "model_name=mlp", "--data-urlencode", "input_data=" + json.dumps(row)],
                         capture_output=True, check=True).stdout
    assert near(json.loads(out)["output_data"], mlp(np.float32(row)))
    out = subprocess.run(["curl", "-sS", "--compressed", url + "/metrics"], capture_output=True, check=True).stdout
    assert b"maas_inferences_total{model=\"mlp\"" in out


@case
def a_profile_says_where_time_goes():
    body = {"inputs": [{"name": "x", "shape": [2, 4], "datatype": "FP32", "data": row}]}
    p = requests.post(f"{url}/v2/models/mlp/profile?repeat=3", json=body).json()
    assert p["rows"] == 2 and p["model_name"] == "mlp" and p["ns"] > 0, p
    assert sum(s["ns"] for s in p["steps"]) <= p["ns"] and all({"op", "node", "kernel", "ns", "flops", "bytes"} <= set(s) for s in p["steps"]), p
    assert sum(s["flops"] for s in p["steps"]) > 0 and all(s["bytes"] > 0 for s in p["steps"]), p
    for query, want in (("?repeat=0", "'repeat'"), ("?repeat=x", "'repeat'")):
        r = requests.post(f"{url}/v2/models/mlp/profile{query}", json=body)
        assert r.status_code == 400 and want in r.json()["error"], r.text
    assert requests.post(f"{url}/v2/models/mlp/profile", json={"inputs": []}).status_code == 400
    assert requests.post(f"{url}/v2/models/none/profile", json=body).status_code == 404


check("SIGTERM ends the server with 0", server.stop() == 0)
finish()
