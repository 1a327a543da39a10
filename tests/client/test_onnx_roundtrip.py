#!/usr/bin/env python3
"""Models made by the onnx package, read and written again by us (onnx_copy), opened by ONNX Runtime:
the copy passes onnx.checker, has the lowest opset that says it, and gives the same answers.

    python test_onnx_roundtrip.py PATH_OF_onnx_copy
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fuzz"))
import make_onnx_corpus as corpus  # noqa: E402
from make_onnx_corpus import const, f32, info, model  # noqa: E402

COPY = sys.argv[1]
rng = np.random.default_rng(11)
NUMPY = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
         "tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_}


def split_old():
    nodes = [h.make_node("Split", ["x"], ["a", "b"], axis=1), h.make_node("Sub", ["a", "b"], ["y"])]
    return model(nodes, [info("x", T.FLOAT, "n", 6)], [info("y", T.FLOAT, "n", 3)])


def reduce_all():
    """Every reduction, by attribute, in the oldest opset."""
    names = ["ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
             "ReduceSumSquare", "ReduceLogSumExp"]
    nodes = [h.make_node(n, ["x"], [n], axes=[0, 2], keepdims=i % 2) for i, n in enumerate(names)]
    nodes.append(h.make_node("ReduceMax", ["x"], ["everything"], keepdims=0))
    outs = [info(n, T.FLOAT, *([1, "n", 1] if i % 2 else ["n"])) for i, n in enumerate(names)]
    return model(nodes, [info("x", T.FLOAT, 2, "n", 3)], outs + [info("everything", T.FLOAT)])


def activations():
    names = ["Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Softplus", "LogSoftmax"]
    nodes = [h.make_node(n, ["x"], [n]) for n in names]
    return model(nodes, [info("x", T.FLOAT, "n", 4)], [info(n, T.FLOAT, "n", 4) for n in names])


def dropout():
    nodes = [h.make_node("Dropout", ["x"], ["d", ""]), h.make_node("Neg", ["d"], ["y"])]
    return model(nodes, [info("x", T.FLOAT, "n")], [info("y", T.FLOAT, "n")])


def scalars():
    nodes = [h.make_node("Pow", ["x", "two"], ["a"]), h.make_node("Div", ["a", "c"], ["y"])]
    return model(nodes, [info("x", T.FLOAT, 2, 2)], [info("y", T.FLOAT, 2, 2)],
                 [const("two", np.float32(2)), const("c", f32(1) + 9, raw=False)], opset=17)


def newest():
    nodes = [h.make_node("Cast", ["x"], ["i"], to=T.INT64, saturate=1),
             h.make_node("Reshape", ["i", "s"], ["y"], allowzero=0)]
    return model(nodes, [info("x", T.FLOAT, 2, 3)], [info("y", T.INT64, 3, 2)],
                 [const("s", np.array([3, 2]))], opset=22)


def integers():
    nodes = [h.make_node("Add", ["x", "c"], ["a"]), h.make_node("ReduceMax", ["a"], ["y"], axes=[0])]
    return model(nodes, [info("x", T.INT64, 3)], [info("y", T.INT64, 1)], [const("c", np.array([5]))])


def batch_norm():
    nodes = [h.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["n"], epsilon=0.01),
             h.make_node("Pad", ["n", "pads"], ["p"]), h.make_node("CumSum", ["p", "axis"], ["c"]),
             h.make_node("Equal", ["c", "p"], ["y"])]
    inits = [const("s", f32(3)), const("b", f32(3)), const("m", f32(3)), const("v", f32(3) ** 2),
             const("pads", np.array([0, 1, 0, 2])), const("axis", np.array(1))]
    return model(nodes, [info("x", T.FLOAT, "n", 3)], [info("y", T.BOOL, "n", 6)], inits, opset=17)


def batch_norm_trains():
    nodes = [h.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y", "rm", "rv"],
                         training_mode=1)]
    inits = [const("s", f32(3)), const("b", f32(3)), const("m", f32(3)), const("v", f32(3) ** 2)]
    return model(nodes, [info("x", T.FLOAT, 4, 3)],
                 [info("y", T.FLOAT, 4, 3), info("rm", T.FLOAT, 3), info("rv", T.FLOAT, 3)], inits,
                 opset=15)


def scatter():
    nodes = [h.make_node("ScatterElements", ["x", "i", "u"], ["y"], axis=0, reduction="none")]
    return model(nodes, [info("x", T.FLOAT, 4)], [info("y", T.FLOAT, 4)],
                 [const("i", np.array([3, 0])), const("u", f32(2))], opset=18)


def linear_classifier():
    nodes = [h.make_node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[0.5], scale=[2.0]),
             h.make_node("LinearClassifier", ["s"], ["label", "scores"], domain="ai.onnx.ml",
                         coefficients=f32(9).tolist(), intercepts=f32(3).tolist(),
                         classlabels_strings=["a", "b", "c"], post_transform="SOFTMAX")]
    return model(nodes, [info("x", T.FLOAT, "n", 3)],
                 [info("label", T.STRING, "n"), info("scores", T.FLOAT, "n", 3)], opset=15, ml=3)


def custom_domain():
    nodes = [h.make_node("Magic", ["x"], ["y"], domain="com.example")]
    m = model(nodes, [info("x", T.FLOAT, 2)], [info("y", T.FLOAT, 2)])
    m.opset_import.append(h.make_opsetid("com.example", 1))
    return m


def identity(opset=13):
    return model([h.make_node("Identity", ["x"], ["y"])], [info("x", T.FLOAT, 2)],
                 [info("y", T.FLOAT, 2)], opset=opset)


def unknown_operator():
    return model([h.make_node("Frobnicate", ["x"], ["y"], name="frob")], [info("x", T.FLOAT, 2)],
                 [info("y", T.FLOAT, 2)])


def function():
    m = custom_domain()
    m.functions.append(h.make_function("com.example", "Magic", ["a"], ["b"],
                                       [h.make_node("Neg", ["a"], ["b"])], [h.make_opsetid("", 13)]))
    return m


def external():
    m = corpus.gemm()
    t = m.graph.initializer[0]
    t.ClearField("raw_data")
    t.data_location = T.EXTERNAL
    entry = t.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return m


def recursive_function():
    m = custom_domain()
    m.functions.append(h.make_function("com.example", "Magic", ["a"], ["b"], [h.make_node("Magic", ["a"], ["b"], domain="com.example")],
                                       [h.make_opsetid("", 13), h.make_opsetid("com.example", 1)]))
    return m


def sequence_input():
    x = h.make_tensor_sequence_value_info("x", T.FLOAT, [2])
    nodes = [h.make_node("SequenceLength", ["x"], ["n"]), h.make_node("SequenceAt", ["x", "one"], ["y"])]
    return model(nodes, [x], [info("n", T.INT64), info("y", T.FLOAT, 2)], [const("one", np.int64(1))])


# Models that must survive, with the opset that the copy must have (None: any).
KEPT = [(corpus.mlp, 13), (corpus.gemm, 13), (corpus.reduce_old, 13), (corpus.reduce_new, 13),
        (corpus.shapes, 13), (corpus.labels, 13), (corpus.label_tensors, 13), (corpus.strings, 13),
        (corpus.select, 13), (corpus.slices, 13), (corpus.dtypes, 13), (corpus.constants, 13),
        (corpus.with_default, 13), (corpus.unsorted, 13), (split_old, 13), (reduce_all, 13),
        (activations, 13), (dropout, 13), (scalars, 13), (newest, 13), (integers, None),
        (batch_norm, 13), (batch_norm_trains, 15), (scatter, 13), (linear_classifier, 13),
        (corpus.tree_regressor, 13), (corpus.tree_classifier, 13), (corpus.tree_margin, 13),
        (corpus.tree_ensemble, 13), (function, 13), (sequence_input, 13)]
# Models that must be refused: status and a word of the message.
REFUSED = [(custom_domain, "E_UNSUPPORTED", "com.example"), (unknown_operator, "E_UNSUPPORTED", "frob"),
           (external, "E_UNSUPPORTED", "another file"), (recursive_function, "E_UNSUPPORTED", "calls itself")]

directory = Path(tempfile.mkdtemp(prefix="maas-onnx-"))


def copy(m, name):
    source, target = directory / f"{name}.onnx", directory / f"{name}.copy.onnx"
    source.write_bytes(m.SerializeToString())
    done = subprocess.run([COPY, source, target], capture_output=True, text=True, timeout=60)
    return done, target


def feed(session):
    out = {}
    for x in session.get_inputs():
        shape = [d if isinstance(d, int) else 2 + i for i, d in enumerate(x.shape)]
        if x.type.startswith("seq("):
            out[x.name] = [rng.standard_normal(2).astype(np.float32) for _ in range(3)]
        elif x.type == "tensor(string)":
            out[x.name] = rng.choice(np.array(["yes", "no", "?"], dtype=object), size=shape)
        else:
            out[x.name] = (rng.standard_normal(shape) * 3).astype(NUMPY[x.type])
    return out


def in_order(m):
    """ONNX Runtime wants the nodes of the original sorted; our copy has them so."""
    if m.graph.name == "g" and m.graph.node[0].input and m.graph.node[0].input[0] == "a":
        nodes = list(m.graph.node)[::-1]
        del m.graph.node[:]
        m.graph.node.extend(nodes)
    return m


def same(a, b):
    if a.dtype == object:
        return a.shape == b.shape and (a == b).all()
    return a.dtype == b.dtype and a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=1e-6)


def keeps(make, want_opset):
    original = make()
    done, target = copy(original, make.__name__)
    assert done.returncode == 0, done.stderr
    m = onnx.load(target)
    onnx.checker.check_model(m, full_check=True)
    opset = next(o.version for o in m.opset_import if o.domain == "")
    assert want_opset in (None, opset), f"opset {opset}, expected {want_opset}"
    assert {p.key: p.value for p in m.metadata_props} == {p.key: p.value for p in
                                                           original.metadata_props}
    quiet = ort.SessionOptions()
    quiet.log_severity_level = 4
    # Types newer than the opset of the original are the runtime's business, not ours.
    a = ort.InferenceSession(in_order(original).SerializeToString(), quiet)
    b = ort.InferenceSession(target.read_bytes(), quiet)
    assert [i.name for i in b.get_inputs()] == [i.name for i in a.get_inputs()
                                                if i.name not in {t.name for t in
                                                                  original.graph.initializer}]
    inputs = feed(b)
    for name, x, y in zip([o.name for o in a.get_outputs()], a.run(None, inputs),
                          b.run(None, inputs)):
        assert same(np.asarray(x), np.asarray(y)), f"{name}: {x} became {y}"
    again, second = copy(m, make.__name__ + ".again")
    assert again.returncode == 0 and second.read_bytes() == target.read_bytes(), "not stable"


def refuses(make, status, word):
    done, _ = copy(make(), make.__name__)
    assert done.returncode == 1 and done.stderr.startswith(status + " ") and word in done.stderr, \
        f"{done.returncode} {done.stderr}"


def refuses_unknown_opset():
    done, _ = copy(identity(opset=99), "unknown")
    assert done.returncode == 1 and "opset 99" in done.stderr and "E_UNSUPPORTED" in done.stderr, \
        done.stderr


def symbols_keep_their_names():
    done, target = copy(corpus.mlp(), "symbols")
    assert done.returncode == 0
    m = onnx.load(target)
    for v in (m.graph.input[0], m.graph.output[0]):
        assert v.type.tensor_type.shape.dim[0].dim_param == "batch"


def main():
    cases = [(m.__name__, lambda m=m, o=o: keeps(m, o)) for m, o in KEPT]
    cases += [("refuses_" + m.__name__, lambda m=m, s=s, w=w: refuses(m, s, w)) for m, s, w in REFUSED]
    cases += [("refuses_unknown_opset", refuses_unknown_opset),
              ("symbols_keep_their_names", symbols_keep_their_names)]
    failed = 0
    for name, fn in cases:
        try:
            fn()
            print("ok", name)
        except Exception as e:  # one bad case must not hide the others
            failed += 1
            print("not ok", name, "-", type(e).__name__, str(e)[:600])
    print(f"{len(cases) - failed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
