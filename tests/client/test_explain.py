"""Explanations against the `shap` package (1e-6 where exact): linear models, all coalitions, sampling; both dialects;
sums that equal what is explained; the background by lineage and by name; wrong requests."""
import io
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import numpy as np
import onnx
import onnxruntime as ort
import shap
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from harness import Server, case, check, finish

server = Server()
rng = np.random.default_rng(5)


def npy(a):
    b = io.BytesIO()
    np.save(b, a)
    return b.getvalue()


def upload(name, **columns):
    body = b""
    for key, v in columns.items():
        body += f'--cut\r\nContent-Disposition: form-data; name="{key}"; filename="{key}.npy"\r\n\r\n'.encode()
        body += npy(v) + b"\r\n"
    server.need(201, "PUT", f"/api/v1/datasets/{name}", body + b"--cut--\r\n",
                headers={"Content-Type": "multipart/form-data; boundary=cut"})


N, D = 240, 4
X = (rng.normal(size=(N, D)) * [1, 2, 10, 0.1] + [0, 1, 100, -1]).astype(np.float32)
kind = (X[:, 0] + X[:, 1] * X[:, 3] > -1).astype(np.int64)
value = (X @ [1, -2, 0.5, 30] + rng.normal(size=N)).astype(np.float32)
upload("rows", a=X[:, 0], b=X[:, 1], c=X[:, 2], d=X[:, 3], target=kind)
upload("rows-value", a=X[:, 0], b=X[:, 1], c=X[:, 2], d=X[:, 3], target=value)
background = X[[i * N // 100 for i in range(100)]]  # what the server takes: a hundred rows, evenly spread
ask = X[:7]


def explain(model, rows, query=""):
    return server.need(200, "POST", f"/v1/models/{model}:explain{query}", {"instances": rows.tolist()})


def values_of(answer):
    return np.array([e["shap_values"] for e in answer["explanations"]])


def sums_agree(answer, tol=1e-9):
    v, base = values_of(answer), np.array(answer["base_values"])
    total = base + (v.sum(axis=1) if v.ndim == 3 else v.sum(axis=1)[:, None])
    explained = np.array(answer["predictions"]).reshape(total.shape)
    assert np.abs(total - explained).max() <= tol * (1 + np.abs(explained).max()), np.abs(total - explained).max()


def artifact(model):
    return onnx.load_from_string(server.get(f"/api/v1/models/{model}/versions/1/artifact").body)


def session_of(model, output):
    s = ort.InferenceSession(artifact(model).SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda x: s.run([output], {"x": np.asarray(x, dtype=np.float32)})[0].astype(np.float64)


def a_linear_regression_is_explained_exactly():
    server.train(model="line", dataset="rows-value", learner="linear_regression", params={"epochs": 30})
    a = explain("line", ask)
    assert a["method"] == "linear" and a["target"] == "value" and a["feature_names"] == ["a", "b", "c", "d"], a
    sums_agree(a)
    w, b = exact_weights("line")
    want = shap.LinearExplainer((w[:, 0], float(b[0])), background.astype(np.float64)).shap_values(
        ask.astype(np.float64))
    assert np.abs(values_of(a) - want).max() < 1e-6 * (1 + np.abs(want).max()), np.abs(values_of(a) - want).max()
    gap = ask.astype(object)
    gap[0, 1] = None  # a missing cell counts as the mean that fills it
    filled = explain("line", gap[:1])
    assert abs(values_of(filled)[0, 1]) < abs(want[0, 1]) and not np.isnan(values_of(filled)).any()
    server.need(200, "POST", "/v1/models/line:explain?background=rows-value:1", {"instances": ask.tolist()})


def exact_weights(model):
    """The affine part of an artifact of ours, in double: weights and bias on raw inputs."""
    g = artifact(model).graph
    c = {i.name: numpy_helper.to_array(i).astype(np.float64) for i in g.initializer}
    shift, scale = c.get("input.shift", 0), c.get("input.scale", 1)
    w = next(v for k, v in c.items() if k.endswith("weight") or (v.ndim == 2 and v.shape[0] == D))
    b = next(v for k, v in c.items() if "layers.0." in k and v.ndim == 1)
    w, b = (w.T * scale).T, b - (shift * scale) @ w
    out, to = c.get("input.target_scale", 1), c.get("input.target_shift", 0)
    return w * out, b * out + to


def the_margin_of_a_logistic_regression_equals_shap():
    server.train(model="odds", dataset="rows", learner="logistic_regression", params={"epochs": 30})
    a = explain("odds", ask)
    assert a["method"] == "linear" and a["target"] == "margin of probabilities", a
    sums_agree(a)
    w, b = exact_weights("odds")
    want = shap.LinearExplainer((w[:, -1], float(b[-1])), background.astype(np.float64)).shap_values(
        ask.astype(np.float64))
    got = values_of(a)
    got = got[:, :, -1] if got.ndim == 3 else got
    assert np.abs(got - want).max() < 1e-6 * (1 + np.abs(want).max()), np.abs(got - want).max()


def few_features_are_explained_exactly():
    server.train(model="net", dataset="rows", learner="network",
                 params={"layers": [{"type": "dense", "units": 8, "activation": "tanh"}, {"type": "dense", "units": 2}],
                         "loss": "cross_entropy", "epochs": 20})
    a = explain("net", ask, "?rows=8")
    assert a["method"] == "exact" and a["target"] == "probabilities", a["method"]
    sums_agree(a)
    f = session_of("net", "probabilities")
    few = X[[i * N // 8 for i in range(8)]].astype(np.float64)
    masker = shap.maskers.Independent(few, max_samples=100)
    want = shap.explainers.ExactExplainer(f, masker)(ask[:3].astype(np.float64)).values
    assert np.abs(values_of(a)[:3] - want).max() < 1e-6, np.abs(values_of(a) - want).max()


def sampling_comes_close_and_sums_exactly():
    exact = values_of(explain("net", ask))
    a = explain("net", ask, "?method=sampling&permutations=40&seed=3")
    assert a["method"] == "sampling"
    sums_agree(a)
    assert np.abs(values_of(a) - exact).max() < 0.02, np.abs(values_of(a) - exact).max()
    assert explain("net", ask, "?method=sampling&permutations=40&seed=3") == a  # the same seed, the same answer


def the_protocol_answers_tensors():
    x = ask.astype(np.float32)
    head = json.dumps({"id": "7", "inputs": [{"name": "x", "shape": list(x.shape), "datatype": "FP32",
                                              "parameters": {"binary_data_size": x.nbytes}}],
                       "parameters": {"binary_data_output": True}}).encode()
    r = server.post("/v2/models/net/explain", head + x.tobytes(),
                    headers={"Inference-Header-Content-Length": str(len(head))})
    assert r.status == 200, r
    n = int(r.headers["Inference-Header-Content-Length"])
    answer = json.loads(r.body[:n])
    shapes = {o["name"]: o["shape"] for o in answer["outputs"]}
    assert shapes == {"shap_values": [7, 4, 2], "explained": [7, 2], "base_values": [2]}, shapes
    assert answer["id"] == "7" and answer["parameters"]["method"] == "exact"
    assert answer["parameters"]["feature_names"] == ["a", "b", "c", "d"]
    phi = np.frombuffer(r.body[n:n + 7 * 4 * 2 * 8]).reshape(7, 4, 2)
    assert np.abs(phi - values_of(explain("net", ask))).max() < 1e-12
    json_answer = server.need(200, "POST", "/v2/models/net/versions/1/explain",
                              {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32",
                                           "data": x[0].tolist()}]})
    assert [o["name"] for o in json_answer["outputs"]] == ["shap_values", "explained", "base_values"]


def an_imported_model_needs_a_background_by_name():
    w = np.array([[1.0, -2, 3], [0.5, 0, 1], [2, 2, 2], [0, 1, 0]], dtype=np.float32)
    g = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["z"]),
                           helper.make_node("Tanh", ["z"], ["value"])], "g",
                          [helper.make_tensor_value_info("x", T.FLOAT, ["n", 4])],
                          [helper.make_tensor_value_info("value", T.FLOAT, ["n", 3])], [numpy_helper.from_array(w, "w")])
    m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    server.need(201, "PUT", "/api/v1/models/foreign/versions", m)
    r = server.post("/v1/models/foreign:explain", {"instances": ask.tolist()})
    assert r.status == 400 and "background" in r.body.decode(), r
    upload("plain", a=X[:, 0], b=X[:, 1], c=X[:, 2], d=X[:, 3])
    a = explain("foreign", ask, "?background=plain&rows=30")
    assert a["method"] == "exact" and a["feature_names"] == ["x[0]", "x[1]", "x[2]", "x[3]"], a
    sums_agree(a, 1e-6)


def forests_equal_tree_shap():
    import lightgbm
    import xgboost
    y3 = (np.digitize(X[:, 0], [-0.5, 0.5])).astype(np.int64)
    boosted = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1},
                            xgboost.DMatrix(X, label=kind), 20)
    many = xgboost.train({"objective": "multi:softprob", "num_class": 3, "max_depth": 3, "nthread": 1},
                         xgboost.DMatrix(X, label=y3), 8)
    light = lightgbm.train({"objective": "regression", "num_leaves": 8, "verbose": -1, "num_threads": 1},
                           lightgbm.Dataset(X.astype(np.float64), label=value), 20)
    for name, model, data in (("xgb", boosted, boosted.save_raw("ubj")), ("xgb3", many, many.save_raw("json")),
                              ("lgb", light, light.model_to_string().encode())):
        server.need(201, "PUT", f"/api/v1/models/{name}/versions", bytes(data))
        a = explain(name, ask)
        assert a["method"] == "tree" and a["target"] == ("value" if name == "lgb" else "margin of probabilities"), a
        sums_agree(a, 1e-6)
        want = model.predict(ask.astype(np.float64), pred_contrib=True) if name == "lgb" else \
            model.predict(xgboost.DMatrix(ask), pred_contribs=True)
        if name == "xgb3":
            want = want.transpose(0, 2, 1)  # [rows, features + 1, classes]
        got = np.concatenate([values_of(a), np.broadcast_to(np.array(a["base_values"]),
                                                            (7, 1) if name != "xgb3" else (7, 1, 3))], axis=1)
        assert np.abs(got - want).max() < 2e-5 if name != "lgb" else np.abs(got - want).max() < 1e-6, \
            (name, np.abs(got - want).max())  # XGBoost adds floats up
        if name == "xgb3":
            continue
        a = explain(name, ask, "?background=plain&rows=50")
        rows = X[[i * N // 50 for i in range(50)]].astype(np.float64)
        ref = shap.TreeExplainer(model, rows, feature_perturbation="interventional")
        want = ref.shap_values(ask.astype(np.float64))
        assert a["method"] == "tree" and np.abs(values_of(a) - want).max() < 2e-5, np.abs(values_of(a) - want).max()


def scikit_learns_forests_equal_tree_shap():
    import pickle
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
    for name, model, target in (("rf", RandomForestClassifier(15, random_state=1).fit(X, kind), "probabilities"),
                                ("et", ExtraTreesRegressor(15, random_state=1).fit(X, value), "value")):
        server.need(201, "PUT", f"/api/v1/models/{name}/versions", pickle.dumps(model))
        a = explain(name, ask)
        assert a["method"] == "tree" and a["target"] == target, a
        sums_agree(a)
        want = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent").shap_values(ask)
        assert np.abs(values_of(a) - want).max() < 1e-6, (name, np.abs(values_of(a) - want).max())


def forests_trained_here_equal_tree_shap():
    server.train(model="woods", dataset="rows", learner="random_forest", params={"n_estimators": 20, "seed": 1})
    a = explain("woods", ask)
    assert a["method"] == "tree" and a["target"] == "probabilities", a
    sums_agree(a, 1e-6)
    p = server.need(200, "POST", "/v2/models/woods/infer",
                    {"inputs": [{"name": "x", "shape": [7, 4], "datatype": "FP32", "data": ask.reshape(-1).tolist()}]})
    p = next(np.array(o["data"]).reshape(7, 2) for o in p["outputs"] if o["name"] == "probabilities")
    explained = np.array(a["predictions"])
    assert np.abs((explained if explained.ndim == 2 else np.stack([1 - explained, explained], 1)) - p).max() < 1e-6


def text_columns_are_features():
    rows = "size,colour,kind\n" + "".join(
        f"{s:.2f},{c},{'yes' if (s > 0) == (c == 'red') else 'no'}\n"
        for s, c in zip(rng.normal(size=200), rng.choice(["red", "green", "blue"], size=200)))
    server.need(201, "PUT", "/api/v1/datasets/mixed", rows)
    server.train(model="mixed", dataset="mixed", target="kind", learner="network",
                 params={"layers": [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 2}],
                         "loss": "cross_entropy", "epochs": 200, "optimizer": {"type": "adam", "lr": 0.01}})
    a = server.need(200, "POST", "/v1/models/mixed:explain",
                    {"instances": [{"size": 1.5, "colour": "red"}, {"size": 1.5, "colour": "blue"}]})
    assert a["feature_names"] == ["size", "colour"] and a["method"] == "exact", a
    sums_agree(a, 1e-6)
    v = values_of(a)
    assert v[0, 1, 1] > 0 > v[1, 1, 1], v  # red speaks for "yes" here, blue against it


def wrong_requests_are_named():
    body = {"instances": ask.tolist()}
    for query, status, words in (("?method=guess", 400, "method"), ("?rows=0", 400, "rows"),
                                 ("?permutations=x", 400, "permutations"), ("?background=nothere", 404, "nothere"),
                                 ("?background=rows:x", 400, "background"), ("?method=linear", 400, "not linear"),
                                 ("?background=mixed", 400, "column")):
        r = server.post(f"/v1/models/net:explain{query}", body)
        assert r.status == status and words in r.body.decode(), (query, r)
    assert server.post("/v1/models/nope:explain", body).status == 404
    many = {"instances": np.zeros((300000, 4)).tolist()}
    r = server.post("/v1/models/net:explain", many)
    assert r.status == 400 and "too much to explain at once" in r.body.decode(), r
    r = server.post("/v1/models/net:explain", {"instances": [[1, 2, 3]]})
    assert r.status == 400, r


for fn in (a_linear_regression_is_explained_exactly, the_margin_of_a_logistic_regression_equals_shap,
           few_features_are_explained_exactly, sampling_comes_close_and_sums_exactly, the_protocol_answers_tensors,
           an_imported_model_needs_a_background_by_name, forests_equal_tree_shap,
           scikit_learns_forests_equal_tree_shap,           forests_trained_here_equal_tree_shap, text_columns_are_features, wrong_requests_are_named):
    case(fn)
finish()
