#!/usr/bin/env python3
"""Trees between us and ONNX Runtime, both ways.

    python test_onnx_forests.py PATH_OF_onnx_forests PATH_OF_libmaas [SEED]

Random forests that we write (onnx_forests) answer the same in ONNX Runtime; random nodes of the three
operators, in every form their attributes allow, answer the same in libmaas.
"""
import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

FORESTS, LIBMAAS = sys.argv[1:3]
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
COUNT, FEATURES, ROWS = 400, 5, 64
rng = np.random.default_rng(SEED)
quiet = ort.SessionOptions()
quiet.log_severity_level = 4
quiet.intra_op_num_threads = 1


def session(data):
    return ort.InferenceSession(data, quiet, providers=["CPUExecutionProvider"])


# ---- ours, in ONNX Runtime ----

def together(outs):
    return np.concatenate([np.asarray(y, np.float64).reshape(len(outs[0]), -1) for y in outs], 1)


def ours(directory, k, maas):
    data = (directory / f"{k}.onnx").read_bytes()
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    s = session(data)
    dtype = np.float64 if "double" in s.get_inputs()[0].type else np.float32
    x = np.fromfile(directory / f"{k}.x", dtype).reshape(ROWS, FEATURES)
    want = np.fromfile(directory / f"{k}.y", np.float64).reshape(ROWS, -1)
    got = together(s.run(None, {"x": x}))
    for n in (1, 5, ROWS):  # walked in different ways
        mine = together(maas.run(directory / f"{k}.onnx", x[:n]))
        np.testing.assert_allclose(mine, want[:n], rtol=1e-6, atol=1e-6)
    assert got.shape == want.shape, f"{got.shape} for {want.shape}"
    if len(s.get_outputs()) == 2:
        # sums of floats may tie where those of doubles do not
        close = np.abs(want[:, 1:] - want[:, 1:].max(1, keepdims=True)) < 1e-5
        sure = (close.sum(1) == 1) | (dtype == np.float64)
        assert (got[sure, 0] == want[sure, 0]).all(), "labels"
        got, want = got[:, 1:], want[:, 1:]
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)


# ---- theirs, in libmaas ----

class Maas:
    """As much of maas.h as it takes to answer rows."""
    DTYPES = {1: np.float32, 7: np.int64, 6: np.int32, 11: np.float64}

    def __init__(self, path):
        self.lib = lib = ctypes.CDLL(path)
        lib.maas_session_error.restype = ctypes.c_char_p
        self.void = ctypes.c_void_p

    def run(self, path, x):
        lib, model, s, error = self.lib, self.void(), self.void(), ctypes.c_char_p()
        opts = (ctypes.c_uint64 * 3)(24, 1, 0)
        st = lib.maas_model_load(str(path).encode(), opts, ctypes.byref(model), ctypes.byref(error))
        if st:
            return error.value.decode()
        assert lib.maas_session_create(model, ctypes.byref(s)) == 0
        dims = (ctypes.c_int64 * x.ndim)(*x.shape)
        x = np.ascontiguousarray(x)
        st = lib.maas_session_set_input(s, 0, dims, x.ndim, x.ctypes.data_as(self.void),
                                        ctypes.c_size_t(x.nbytes))
        st = st or lib.maas_session_run(s)
        out = [self.output(model, s, i) for i in range(lib.maas_model_n_outputs(model))] if not st \
            else lib.maas_session_error(s).decode()
        lib.maas_session_free(s)
        lib.maas_model_free(model)
        return out

    def output(self, model, s, i):
        dims, rank = ctypes.POINTER(ctypes.c_int64)(), ctypes.c_int32()
        data, n = self.void(), ctypes.c_size_t()
        assert self.lib.maas_session_output(s, i, ctypes.byref(dims), ctypes.byref(rank),
                                            ctypes.byref(data), ctypes.byref(n)) == 0
        shape = [dims[k] for k in range(rank.value)]
        io = (ctypes.c_uint64 * 4)()
        assert self.lib.maas_model_output(model, i, io) == 0
        dtype = io[1] & 0xffffffff
        if dtype == T.STRING:
            words = ctypes.cast(data, ctypes.POINTER(ctypes.c_char_p))
            return np.array([words[k].decode() for k in range(int(np.prod(shape)))], object).reshape(shape)
        raw = ctypes.string_at(data, n.value)
        return np.frombuffer(raw, self.DTYPES[dtype]).reshape(shape)


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
POSTS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]
NUMPY = {T.FLOAT: np.float32, T.DOUBLE: np.float64, T.INT64: np.int64, T.INT32: np.int32}


def tree(t, ids):
    """Nodes of a random tree, parents first: (tree, id, feature, mode, value, true, false, missing)."""
    nodes, wait, most = [], [0], int(rng.integers(1, 12)) * 2 - 1
    made = 1
    while wait:
        at = wait.pop(0)
        if made + 2 <= most:
            nodes.append([t, at, int(rng.integers(FEATURES)), str(rng.choice(MODES)),
                          float(rng.choice([0, 1, -1.5, 0.1, 2])), made, made + 1, int(rng.integers(2))])
            wait += [made, made + 1]
            made += 2
        else:
            nodes.append([t, at, 0, "LEAF", 0.0, 0, 0, 0])
    if ids == "shuffled":  # ids need not be in order; the root comes first
        name = rng.permutation(made)
        for n in nodes:
            n[1] = int(name[n[1]])
            if n[3] != "LEAF":
                n[5], n[6] = int(name[n[5]]), int(name[n[6]])
    return nodes


def numbers(attrs, name, values, double):
    if double:
        attrs[name + "_as_tensor"] = nh.from_array(np.array(values, np.float64))
    else:
        attrs[name] = [float(v) for v in values]


def old_form(classifier):
    """A node of the version 3 operators."""
    x = T.FLOAT if rng.integers(2) else (T.INT64 if classifier and rng.integers(3) == 0 else T.DOUBLE)
    double, many = x == T.DOUBLE and rng.integers(2), rng.integers(2)
    n = int(rng.integers(2, 5)) if classifier else int(rng.integers(1, 4))
    one = classifier and n == 2 and rng.integers(2)
    ids = rng.choice(["plain", "shuffled"])
    nodes = [node for t in range(int(rng.integers(1, 5))) for node in tree(7 - t if rng.integers(2) else t + 9, ids)]
    if len({(a[0], a[1]) for a in nodes}) != len(nodes):
        return None
    a = {key: [node[i] for node in nodes] for key, i in
         [("nodes_treeids", 0), ("nodes_nodeids", 1), ("nodes_featureids", 2), ("nodes_modes", 3),
          ("nodes_truenodeids", 5), ("nodes_falsenodeids", 6), ("nodes_missing_value_tracks_true", 7)]}
    if rng.integers(2):
        del a["nodes_missing_value_tracks_true"]
    numbers(a, "nodes_values", [node[4] for node in nodes], double)
    low = 0 if rng.integers(2) else -1
    only = int(rng.integers(2)) if one else None
    votes = [(node[0], node[1], only if one else t, float(rng.uniform(low, 1)))
             for k, node in enumerate(nodes) if node[3] == "LEAF"
             for t in range(n) if (only is None and (many or t == node[0] % n)) or t == only]
    rng.shuffle(votes)
    votes = [(int(v[0]), int(v[1]), int(v[2]), float(v[3])) for v in votes]
    what = "class" if classifier else "target"
    for key, i in [("treeids", 0), ("nodeids", 1), ("ids", 2)]:
        a[f"{what}_{key}"] = [v[i] for v in votes]
    numbers(a, f"{what}_weights", [v[3] for v in votes], double)
    a["post_transform"] = str(rng.choice(POSTS if not one else POSTS[:3]))
    # ONNX Runtime forgets the base of what no leaf of a row speaks of
    if rng.integers(2) and (many or one or n == 1) and not (classifier and n == 2 and
                                                            (not one or only == 1)):
        numbers(a, "base_values", rng.uniform(-1, 1, 1 if one else n), double)
    outs = [h.make_tensor_value_info("y", T.FLOAT, [None, n])]
    if classifier:
        if rng.integers(2):
            a["classlabels_strings"] = ["a", "b", "c", "d"][:n]
        else:
            a["classlabels_int64s"] = [0, 1, 5, 9][:n]
        kind = T.STRING if "classlabels_strings" in a else T.INT64
        outs.insert(0, h.make_tensor_value_info("label", kind, [None]))
    else:
        a["n_targets"] = n
        a["aggregate_function"] = str(rng.choice(["SUM", "AVERAGE", "MIN", "MAX"]))
    node = h.make_node(f"TreeEnsemble{'Classifier' if classifier else 'Regressor'}", ["x"],
                       [o.name for o in outs], domain="ai.onnx.ml", **a)
    # ONNX Runtime does not compare the scores of two classes that both have weights
    return node, x, outs, 3, not (classifier and n == 2 and not one)


def new_form():
    """A node of TreeEnsemble, version 5."""
    x = T.FLOAT if rng.integers(2) else T.DOUBLE
    dtype, n = NUMPY[x], int(rng.integers(1, 4))
    inner, leaves, members, roots = [], [], [], []
    for t in range(int(rng.integers(1, 5))):
        nodes = tree(t, "plain")
        if len(nodes) == 1:
            nodes = [[t, 0, 0, "BRANCH_LEQ", 0.0, 1, 1, 0], [t, 1, 0, "LEAF", 0.0, 0, 0, 0]]
        number = {node[1]: i for i, node in enumerate(m for m in nodes if m[3] != "LEAF")}
        number = {k: v + len(inner) for k, v in number.items()}
        leaf = {node[1]: i + len(leaves) for i, node in enumerate(m for m in nodes if m[3] == "LEAF")}
        roots.append(len(inner))
        for node in nodes:
            if node[3] == "LEAF":
                leaves.append((int(rng.integers(n)), float(rng.uniform(-1, 1))))
                continue
            mode = MODES.index(node[3])
            if rng.integers(4) == 0:
                mode = 6
                wide = 6 if rng.integers(2) else 200
                members += [float(v) for v in rng.choice(wide, int(rng.integers(1, 6)), False)] + [np.nan]
            go = [(leaf[k], 1) if k in leaf else (number[k], 0) for k in node[5:7]]
            inner.append((node[2], mode, node[4], go[0], go[1], node[7]))
    a = dict(n_targets=n, tree_roots=roots, nodes_featureids=[i[0] for i in inner],
             nodes_modes=nh.from_array(np.array([i[1] for i in inner], np.uint8)),
             nodes_splits=nh.from_array(np.array([i[2] for i in inner], dtype)),
             nodes_truenodeids=[i[3][0] for i in inner], nodes_trueleafs=[i[3][1] for i in inner],
             nodes_falsenodeids=[i[4][0] for i in inner], nodes_falseleafs=[i[4][1] for i in inner],
             nodes_missing_value_tracks_true=[i[5] for i in inner],
             leaf_targetids=[v[0] for v in leaves],
             leaf_weights=nh.from_array(np.array([v[1] for v in leaves], dtype)),
             aggregate_function=int(rng.integers(4)),
             post_transform=int(rng.choice([0, 3, 4])))  # of 1 and 2 ONNX Runtime has the wrong one
    if members:
        a["membership_values"] = nh.from_array(np.array(members, dtype))
    outs = [h.make_tensor_value_info("y", x, [None, n])]
    return h.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", **a), x, outs, 5, True


def theirs(maas, path, made):
    node, x, outs, opset, labels = made
    graph = h.make_graph([node], "g", [h.make_tensor_value_info("x", x, [None, FEATURES])], outs)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21), h.make_opsetid("ai.onnx.ml", opset)],
                         ir_version=10)
    path.write_bytes(model.SerializeToString())
    rows = rng.integers(-2, 8, (ROWS, FEATURES)).astype(NUMPY[x])
    if x in (T.FLOAT, T.DOUBLE):
        if not any(a.name == "membership_values" for a in node.attribute):  # of sets it truncates
            rows[rng.random(rows.shape) < 0.3] += NUMPY[x](0.1)
        rows[rng.random(rows.shape) < 0.1] = np.nan
    want, got = session(path.read_bytes()).run(None, {"x": rows}), maas.run(path, rows)
    assert not isinstance(got, str), got
    probit = any(a.name == "post_transform" and (a.s == b"PROBIT" or a.i == 4) for a in node.attribute)
    for a, b in zip(want, got):
        if a.dtype.kind == "f" and probit:  # an approximation, and NaN outside of its domain
            np.testing.assert_allclose(b[np.isfinite(a)], a[np.isfinite(a)], rtol=1e-3, atol=1e-3)
        elif a.dtype.kind == "f":
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
        elif labels:
            assert (np.asarray(a) == b).all(), f"labels {a} {b}"


def main():
    directory = Path(tempfile.mkdtemp(prefix="maas-forests-"))
    subprocess.run([FORESTS, directory, str(COUNT), str(SEED)], check=True, timeout=300)
    maas, failed = Maas(LIBMAAS), 0
    cases = [(f"ours {k}", lambda k=k: ours(directory, k, maas)) for k in range(COUNT)]
    for k in range(COUNT):
        made = [lambda: old_form(True), lambda: old_form(False), new_form][k % 3]()
        if made:
            cases.append((f"theirs {k} {made[0].op_type}",
                          lambda m=made, k=k: theirs(maas, directory / f"their{k}.onnx", m)))
    for name, fn in cases:
        try:
            fn()
        except Exception as e:  # one bad case must not hide the others
            failed += 1
            print("not ok", name, "-", type(e).__name__, str(e)[:600])
    print(f"{len(cases) - failed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
