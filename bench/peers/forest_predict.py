"""Forests of the makers, and how fast the makers and ONNX Runtime answer rows with them.

    forest_predict.py DIRECTORY THREADS [rf|xgboost|lightgbm...]

For each library and 100 and 1,000 trees: DIRECTORY/NAME.onnx, NAME.rows (raw floats or doubles), and lines
`NAME batch N maker US ort US error E`: medians of one call. The makers are asked in the fastest way they have.
"""
import ctypes
import json
import os
import sys
import time

import numpy as np

DIRECTORY, THREADS = sys.argv[1], int(sys.argv[2])
os.environ["OMP_NUM_THREADS"] = str(THREADS)
import onnxruntime as ort  # noqa: E402
from onnx import TensorProto as T  # noqa: E402
from onnx import helper as h  # noqa: E402
from onnx import numpy_helper as nh  # noqa: E402

FEATURES, ROWS, BATCHES = 30, 10000, (1, 100, 10000)


def table(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, FEATURES)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + np.where(x[:, 3] > 0.3, x[:, 4], -x[:, 5]) + 0.3 * rng.standard_normal(n)
    return x, y


# ---- models as ONNX: (feature, split, yes, no, value) of each node, in order, root first ----

def onnx_of(trees, double, base, n_targets=1):
    a = {k: [] for k in ("treeids", "nodeids", "featureids", "modes", "truenodeids", "falsenodeids")}
    splits, leaves = [], []
    for t, nodes in enumerate(trees):
        for i, (feature, split, yes, no, value) in enumerate(nodes):
            leaf = yes < 0
            for k, v in zip(a, (t, i, max(feature, 0), "LEAF" if leaf else "BRANCH_LEQ", max(yes, 0), max(no, 0))):
                a[k].append(v)
            splits.append(0.0 if leaf else split)
            if leaf:
                leaves += [(t, i, k, w) for k, w in enumerate(np.atleast_1d(value))]
    attrs = {"nodes_" + k: v for k, v in a.items()}
    attrs.update(target_treeids=[v[0] for v in leaves], target_nodeids=[v[1] for v in leaves],
                 target_ids=[v[2] for v in leaves], n_targets=n_targets)
    weights = [float(v[3]) for v in leaves]
    if double:
        attrs.update(nodes_values_as_tensor=nh.from_array(np.array(splits)),
                     target_weights_as_tensor=nh.from_array(np.array(weights)),
                     base_values_as_tensor=nh.from_array(np.array([float(base)] * n_targets)))
    else:
        attrs.update(nodes_values=splits, target_weights=weights, base_values=[float(base)] * n_targets)
    node = h.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **attrs)
    graph = h.make_graph([node], "g", [h.make_tensor_value_info("x", T.DOUBLE if double else T.FLOAT, ["n", FEATURES])],
                         [h.make_tensor_value_info("y", T.FLOAT, ["n", n_targets])])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 21), h.make_opsetid("ai.onnx.ml", 3)],
                        ir_version=10).SerializeToString()


def below(split):
    """x < split for floats, said with <=."""
    return float(np.nextafter(np.float32(split), np.float32(-np.inf)))


# ---- makers: (ONNX, rows' dtype, [(how it is asked, function of rows)]) ----

def rf(n):
    from sklearn.ensemble import RandomForestClassifier
    x, y = table(4000, 1)
    m = RandomForestClassifier(n, random_state=1, n_jobs=THREADS).fit(x, np.digitize(y, [-1, 1]))
    trees = []
    for e in m.estimators_:
        t = e.tree_
        down = np.float32(t.threshold)
        down = np.where(down > t.threshold, np.nextafter(down, np.float32(-np.inf)), down)
        trees.append([(int(t.feature[i]), float(down[i]), int(t.children_left[i]), int(t.children_right[i]),
                       t.value[i, 0] / n) for i in range(t.node_count)])
    return onnx_of(trees, False, 0, 3), np.float32, [("predict_proba", m.predict_proba)]


def xgboost(n):
    import xgboost as xgb
    x, y = table(20000, 2)
    m = xgb.train({"max_depth": 6, "eta": 0.1, "nthread": THREADS, "seed": 1}, xgb.DMatrix(x, y), n)
    m.set_param({"nthread": THREADS})
    learner = json.loads(m.save_raw("json"))["learner"]
    trees = []
    for t in learner["gradient_booster"]["model"]["trees"]:
        trees.append([(f, below(s), yes, no, s) for f, s, yes, no in
                      zip(t["split_indices"], t["split_conditions"], t["left_children"], t["right_children"])])
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    return onnx_of(trees, False, base), np.float32, [
        ("inplace_predict", m.inplace_predict), ("DMatrix", lambda v: m.predict(xgb.DMatrix(v)))]


def lightgbm(n):
    import lightgbm as lgb
    x, y = table(20000, 3)
    m = lgb.train({"num_leaves": 31, "verbosity": -1, "num_threads": THREADS, "seed": 1, "objective": "regression"},
                  lgb.Dataset(x.astype(np.float64), y), n)
    trees = []
    for t in m.dump_model()["tree_info"]:
        nodes, wait = [], [t["tree_structure"]]
        places = {id(wait[0]): 0}
        while wait:  # level by level
            d = wait.pop(0)
            if "leaf_value" in d:
                nodes.append((-1, 0.0, -1, -1, d["leaf_value"]))
                continue
            for side in ("left_child", "right_child"):
                places[id(d[side])] = len(places)
                wait.append(d[side])
            nodes.append((d["split_feature"], d["threshold"], places[id(d["left_child"])], places[id(d["right_child"])], 0.0))
        trees.append(nodes)
    one = single_row(m)
    return onnx_of(trees, True, 0), np.float64, [
        ("predict", lambda v: m.predict(v, num_threads=THREADS)), ("single row, C", lambda v: one(v) if len(v) == 1 else None)]


def single_row(m):
    """LGBM_BoosterPredictForMatSingleRowFast: no Python between calls but this."""
    from lightgbm.basic import _LIB
    fast, out, n = ctypes.c_void_p(), np.zeros(1), ctypes.c_int64()
    _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(m._handle, 0, 0, -1, 1, FEATURES,
                                                    f"num_threads={THREADS}".encode(), ctypes.byref(fast))
    call, at = _LIB.LGBM_BoosterPredictForMatSingleRowFast, out.ctypes.data_as(ctypes.c_void_p)

    def one(v):
        call(fast, v.ctypes.data_as(ctypes.c_void_p), ctypes.byref(n), at)
        return out
    return one


# ---- measuring ----

def median_us(fn, x):
    times, end = [], time.perf_counter() + 0.7
    fn(x)
    while len(times) < 5 or (time.perf_counter() < end and len(times) < 3000):
        t = time.perf_counter()
        fn(x)
        times.append((time.perf_counter() - t) * 1e6)
    return float(np.median(times))


def main():
    o = ort.SessionOptions()
    o.intra_op_num_threads = THREADS
    makers = {"rf": rf, "xgboost": xgboost, "lightgbm": lightgbm}
    for name in sys.argv[3:] or makers:
        for n in (100, 1000):
            data, dtype, ways = makers[name](n)
            x = table(ROWS, 9)[0].astype(dtype)
            stem = os.path.join(DIRECTORY, f"{name}-{n}")
            with open(stem + ".onnx", "wb") as f:
                f.write(data)
            x.tofile(stem + ".rows")
            s = ort.InferenceSession(data, o, providers=["CPUExecutionProvider"])
            want = np.asarray(ways[0][1](x), np.float64).reshape(ROWS, -1)
            got = s.run(None, {"x": x})[0]
            got.astype(np.float32).tofile(stem + ".answers")
            error = float(np.abs(got - want).max())
            for b in BATCHES:
                rows = np.ascontiguousarray(x[:b])
                best = min((median_us(fn, rows), way) for way, fn in ways if fn(rows) is not None)
                theirs = median_us(lambda v: s.run(None, {"x": v}), rows)
                print(f"{name}-{n} batch {b} maker {best[0]:.2f} ort {theirs:.2f} error {error:.2g} way {best[1].replace(' ', '_')}", flush=True)


main()
