#!/usr/bin/env python3
"""Shapley values of forests against the shap package and the makers' own: test_shap.py PATH_OF_onnx_shap.

Models are written as ONNX here, node by node, with covers as nodes_hitrates: nothing of ours but the reader, the
forest and shap.c is between the maker's trees and the values.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import lightgbm as lgb
import numpy as np
import shap
import xgboost as xgb
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor

TOOL, FEATURES = sys.argv[1], 8
rng = np.random.default_rng(3)
x = rng.standard_normal((600, FEATURES)).astype(np.float32).astype(np.float64)
x[:, 3] = np.round(x[:, 3])
y = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + (x[:, 3] > 0) * x[:, 4]
holes = np.where(rng.random(x.shape) < 0.15, np.nan, x)
directory = Path(tempfile.mkdtemp(prefix="maas-shap-"))


def ours(trees, n_targets, base, rows, background):
    """trees: lists of (feature, split, yes, no, missing_yes, cover, value); value None: an inner node."""
    a = {k: [] for k in ("treeids", "nodeids", "featureids", "modes", "truenodeids", "falsenodeids",
                         "missing_value_tracks_true")}
    splits, covers, leaves = [], [], []
    for t, nodes in enumerate(trees):
        for i, (feature, split, yes, no, missing, cover, value) in enumerate(nodes):
            leaf = value is not None
            row = (t, i, 0 if leaf else feature, "LEAF" if leaf else "BRANCH_LEQ", 0 if leaf else yes,
                   0 if leaf else no, int(missing))
            for k, v in zip(a, row):
                a[k].append(v)
            splits.append(0.0 if leaf else split)
            covers.append(float(cover))
            if leaf:
                leaves += [(t, i, k, float(w)) for k, w in enumerate(np.atleast_1d(value))]
    node = h.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=n_targets,
                       nodes_values_as_tensor=nh.from_array(np.array(splits, float)),
                       nodes_hitrates_as_tensor=nh.from_array(np.array(covers, float)),
                       target_treeids=[v[0] for v in leaves], target_nodeids=[v[1] for v in leaves],
                       target_ids=[v[2] for v in leaves],
                       target_weights_as_tensor=nh.from_array(np.array([v[3] for v in leaves])),
                       base_values_as_tensor=nh.from_array(np.full(n_targets, float(base))),
                       **{"nodes_" + k: v for k, v in a.items()})
    graph = h.make_graph([node], "g", [h.make_tensor_value_info("x", T.DOUBLE, [None, FEATURES])],
                         [h.make_tensor_value_info("y", T.FLOAT, [None, n_targets])])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21), h.make_opsetid("ai.onnx.ml", 3)], ir_version=10)
    paths = [directory / name for name in ("m.onnx", "x", "b", "out")]
    paths[0].write_bytes(model.SerializeToString())
    np.ascontiguousarray(rows, float).tofile(paths[1])
    np.ascontiguousarray(background, float).tofile(paths[2])
    subprocess.run([TOOL, *paths], check=True, timeout=120)
    out = np.fromfile(paths[3])
    phi = out[2 * n_targets:].reshape(len(rows), 2, n_targets, FEATURES)
    return out[:n_targets], phi[:, 0], out[n_targets:2 * n_targets], phi[:, 1]


def sklearn_trees(trees, scale, value):
    return [[(int(t.feature[i]), float(t.threshold[i]), int(t.children_left[i]), int(t.children_right[i]), False,
              t.weighted_n_node_samples[i], None if t.children_left[i] >= 0 else value(t, i) * scale)
             for i in range(t.node_count)] for t in trees]


def same(got, want, what):
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg=what)


def check_package(model, trees, n_targets, base, proba=False):
    rows, background = x[:20], x[100:140]
    expected, by_covers, mean, against = ours(trees, n_targets, base, rows, background)
    e = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    want = np.asarray(e.shap_values(rows, check_additivity=False)).reshape(20, FEATURES, -1).transpose(0, 2, 1)
    same(by_covers, want, "by covers")
    same(expected, np.atleast_1d(e.expected_value), "expected")
    e = shap.TreeExplainer(model, background, feature_perturbation="interventional",
                           model_output="raw")
    want = np.asarray(e.shap_values(rows, check_additivity=False)).reshape(20, FEATURES, -1).transpose(0, 2, 1)
    same(against, want, "against rows")
    same(mean, np.atleast_1d(e.expected_value), "mean")


def random_forest():
    m = RandomForestRegressor(12, max_depth=7, random_state=1).fit(x, y)
    check_package(m, sklearn_trees([e.tree_ for e in m.estimators_], 1 / 12, lambda t, i: t.value[i, 0, 0]), 1, 0)


def random_forest_classes():
    m = RandomForestClassifier(10, max_depth=6, random_state=1).fit(x, np.digitize(y, [-1, 1]))
    check_package(m, sklearn_trees([e.tree_ for e in m.estimators_], 1 / 10, lambda t, i: t.value[i, 0]), 3, 0)


def gradient_boosting():
    m = GradientBoostingRegressor(n_estimators=20, random_state=1).fit(x, y)
    trees = [e.tree_ for e in m.estimators_[:, 0]]
    check_package(m, sklearn_trees(trees, m.learning_rate, lambda t, i: t.value[i, 0, 0]), 1,
                  m.init_.constant_[0, 0])


def xgboost():
    m = xgb.train({"max_depth": 5, "seed": 1, "nthread": 1}, xgb.DMatrix(holes, y), 25)
    learner = json.loads(m.save_raw("json"))["learner"]
    trees = []
    for t in learner["gradient_booster"]["model"]["trees"]:
        trees.append([(f, float(np.nextafter(np.float32(s), np.float32(-np.inf))), yes, no, bool(missing), cover,
                       None if yes >= 0 else s)
                      for f, s, yes, no, missing, cover in
                      zip(t["split_indices"], t["split_conditions"], t["left_children"], t["right_children"],
                          t["default_left"], t["sum_hessian"])])
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    rows = holes[:30]
    expected, by_covers, _, _ = ours(trees, 1, base, rows, x[:5])
    want = m.predict(xgb.DMatrix(rows), pred_contribs=True)  # floats
    np.testing.assert_allclose(by_covers[:, 0], want[:, :-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(expected[0], want[0, -1], rtol=1e-5, atol=1e-5)


def lightgbm():
    m = lgb.train({"num_leaves": 15, "verbosity": -1, "num_threads": 1, "seed": 1}, lgb.Dataset(holes, y), 25)
    trees = []
    for t in m.dump_model()["tree_info"]:
        nodes, wait = [], [t["tree_structure"]]
        while wait:
            d = wait.pop(0)
            if "leaf_value" in d:
                nodes.append((0, 0.0, -1, -1, False, d.get("leaf_count", len(x)), d["leaf_value"]))
                continue
            # LightGBM: NaN goes where default_left says when the split knows missing values, else it is zero
            missing = d["default_left"] if d["missing_type"] == "NaN" else 0 <= d["threshold"]
            first = len(nodes) + len(wait) + 1
            nodes.append((d["split_feature"], d["threshold"], first, first + 1, missing, d["internal_count"], None))
            wait += [d["left_child"], d["right_child"]]
        trees.append(nodes)
    rows = holes[:30]
    expected, by_covers, _, _ = ours(trees, 1, 0, rows, x[:5])
    want = m.predict(rows, pred_contrib=True)
    same(by_covers[:, 0], want[:, :-1], "pred_contrib")
    same(expected[0], want[0, -1], "expected")


def main():
    cases, failed = [random_forest, random_forest_classes, gradient_boosting, xgboost, lightgbm], 0
    for fn in cases:
        try:
            fn()
            print("ok", fn.__name__)
        except Exception as e:  # one bad case must not hide the others
            failed += 1
            print("not ok", fn.__name__, "-", type(e).__name__, str(e)[:600])
    print(f"{len(cases) - failed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
