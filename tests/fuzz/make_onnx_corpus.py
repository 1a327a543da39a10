#!/usr/bin/env python3
"""Makes the small ONNX models of tests/fuzz/corpus/onnx (needs the onnx package; its output is
committed). Every model is one the reader accepts, so that mutants of it get far.

    python3 tests/fuzz/make_onnx_corpus.py tests/fuzz/corpus/onnx
"""
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

rng = np.random.default_rng(7)


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def const(name, array, raw=True):
    array = np.asarray(array)
    if raw:
        return nh.from_array(array, name)
    return h.make_tensor(name, h.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.flatten())


def info(name, dtype, *shape):
    return h.make_tensor_value_info(name, dtype, list(shape))


def model(nodes, inputs, outputs, inits=(), opset=13, ml=0, meta=None):
    graph = h.make_graph(nodes, "g", inputs, outputs, list(inits))
    opsets = [h.make_opsetid("", opset)] + ([h.make_opsetid("ai.onnx.ml", ml)] if ml else [])
    m = h.make_model(graph, opset_imports=opsets, ir_version=8 if opset <= 18 else 10)
    if meta:
        h.set_model_props(m, meta)
    return m


def mlp():
    nodes = [h.make_node("MatMul", ["x", "w1"], ["a"]), h.make_node("Add", ["a", "b1"], ["b"]),
             h.make_node("Relu", ["b"], ["c"], name="relu"),
             h.make_node("MatMul", ["c", "w2"], ["d"]), h.make_node("Add", ["d", "b2"], ["e"]),
             h.make_node("Softmax", ["e"], ["y"], axis=-1)]
    inits = [const("w1", f32(4, 8)), const("b1", f32(8)), const("w2", f32(8, 3)),
             const("b2", f32(3), raw=False)]
    return model(nodes, [info("x", T.FLOAT, "batch", 4)], [info("y", T.FLOAT, "batch", 3)], inits,
                 meta={"labels": "a,b,c"})


def gemm():
    nodes = [h.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1, alpha=0.5)]
    return model(nodes, [info("x", T.FLOAT, "n", 3)], [info("y", T.FLOAT, "n", 2)],
                 [const("w", f32(2, 3)), const("b", f32(2))])


def reduce_old():
    nodes = [h.make_node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=1),
             h.make_node("Sub", ["x", "m"], ["d"]),
             h.make_node("ReduceMax", ["d"], ["y"], axes=[-1], keepdims=0)]
    return model(nodes, [info("x", T.FLOAT, "n", 5)], [info("y", T.FLOAT, "n")])


def reduce_new():
    nodes = [h.make_node("ReduceMean", ["x", "axes"], ["m"], keepdims=1),
             h.make_node("ReduceSum", ["m", "axes"], ["y"], keepdims=0)]
    return model(nodes, [info("x", T.FLOAT, 2, 5)], [info("y", T.FLOAT, 2)],
                 [const("axes", np.array([1]), raw=False)], opset=18)


def shapes():
    nodes = [h.make_node("Shape", ["x"], ["s"]),
             h.make_node("Constant", [], ["zero"], value=const("", np.array(0))),
             h.make_node("Gather", ["s", "zero"], ["n"], axis=0),
             h.make_node("Unsqueeze", ["n", "axis0"], ["n1"]),
             h.make_node("Concat", ["n1", "rest"], ["shape"], axis=0),
             h.make_node("Reshape", ["x", "shape"], ["r"]),
             h.make_node("Transpose", ["r"], ["y"], perm=[1, 0])]
    return model(nodes, [info("x", T.FLOAT, "n", 2, 3)], [info("y", T.FLOAT, 6, "n")],
                 [const("axis0", np.array([0])), const("rest", np.array([-1]))], opset=21)


def labels():
    nodes = [h.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=0),
             h.make_node("LabelEncoder", ["i"], ["label"], domain="ai.onnx.ml",
                         keys_int64s=[0, 1, 2], values_strings=["cat", "dog", "fish"],
                         default_string="?")]
    return model(nodes, [info("x", T.FLOAT, "n", 3)], [info("label", T.STRING, "n")], ml=2)


def label_tensors():
    nodes = [h.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml",
                         keys_tensor=h.make_tensor("k", T.STRING, [2], [b"yes", b"no"]),
                         values_tensor=h.make_tensor("v", T.INT64, [2], [1, 0]),
                         default_tensor=h.make_tensor("d", T.INT64, [1], [-1]))]
    return model(nodes, [info("x", T.STRING, "n")], [info("y", T.INT64, "n")], opset=21, ml=4)


def strings():
    nodes = [h.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=0),
             h.make_node("Gather", ["words", "i"], ["y"], axis=0)]
    words = h.make_tensor("words", T.STRING, [3], [b"red", b"", "grün".encode()])
    return model(nodes, [info("x", T.FLOAT, "n", 3)], [info("y", T.STRING, "n")], [words])


def select():
    nodes = [h.make_node("Greater", ["x", "zero"], ["p"]),
             h.make_node("Where", ["p", "x", "zero"], ["w"]),
             h.make_node("Clip", ["w", "", "top"], ["c"]),
             h.make_node("Cast", ["c"], ["y"], to=T.DOUBLE)]
    return model(nodes, [info("x", T.FLOAT, "a", "b")], [info("y", T.DOUBLE, "a", "b")],
                 [const("zero", np.float32(0)), const("top", np.float32(6), raw=False)])


def slices():
    nodes = [h.make_node("Slice", ["x", "s", "e", "ax", "st"], ["a"]),
             h.make_node("Concat", ["a", "a"], ["b"], axis=1),
             h.make_node("Flatten", ["b"], ["y"], axis=1)]
    inits = [const(n, np.array(v)) for n, v in
             [("s", [1]), ("e", [2**31]), ("ax", [1]), ("st", [2])]]
    return model(nodes, [info("x", T.FLOAT, "n", 6, 2)], [info("y", T.FLOAT, "n", None)], inits)


def dtypes():
    kinds = [("f16", np.float16), ("f64", np.float64), ("i8", np.int8), ("u8", np.uint8),
             ("i16", np.int16), ("u16", np.uint16), ("i32", np.int32), ("u32", np.uint32),
             ("i64", np.int64), ("u64", np.uint64), ("flag", np.bool_)]
    nodes, inits, last = [], [], "x"
    for i, (name, kind) in enumerate(kinds):
        inits.append(const(name, np.array([1, 0, 1]).astype(kind), raw=i % 2 == 0))
        nodes.append(h.make_node("Cast", [name], [name + "_c"], to=T.FLOAT))
        nodes.append(h.make_node("Add", [last, name + "_c"], [name + "_s"]))
        last = name + "_s"
    return model(nodes, [info("x", T.FLOAT, 3)], [info(last, T.FLOAT, 3)], inits)


def constants():
    nodes = [h.make_node("Constant", [], ["a"], value_float=1.5),
             h.make_node("Constant", [], ["b"], value_floats=[1.0, 2.0]),
             h.make_node("Constant", [], ["c"], value_ints=[2, 1]),
             h.make_node("Mul", ["x", "a"], ["d"]), h.make_node("Add", ["d", "b"], ["e"]),
             h.make_node("Reshape", ["e", "c"], ["y"])]
    return model(nodes, [info("x", T.FLOAT, 2)], [info("y", T.FLOAT, 2, 1)])


def with_default():
    """An input that has an initializer: a constant to us."""
    nodes = [h.make_node("Add", ["x", "b"], ["s"]), h.make_node("Identity", ["s"], ["y"])]
    return model(nodes, [info("x", T.FLOAT, "n"), info("b", T.FLOAT, 1)], [info("y", T.FLOAT, "n")],
                 [const("b", f32(1))])


def unsorted():
    """The nodes in the wrong order, as some exporters leave them."""
    nodes = [h.make_node("Relu", ["a"], ["y"]), h.make_node("Neg", ["x"], ["a"])]
    return model(nodes, [info("x", T.FLOAT, 3)], [info("y", T.FLOAT, 3)])


# Two trees: x0 <= 0.5 ? (x1 > 1 ? . : .) : .   and a leaf alone.
TREES = dict(nodes_treeids=[0, 0, 0, 0, 0, 1], nodes_nodeids=[0, 1, 2, 3, 4, 0],
             nodes_featureids=[0, 1, 0, 0, 0, 0],
             nodes_modes=["BRANCH_LEQ", "BRANCH_GT", "LEAF", "LEAF", "LEAF", "LEAF"],
             nodes_truenodeids=[1, 3, 0, 0, 0, 0], nodes_falsenodeids=[2, 4, 0, 0, 0, 0],
             nodes_missing_value_tracks_true=[0, 1, 0, 0, 0, 0])


def tree_regressor():
    node = h.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **TREES,
                       nodes_values=[0.5, 1.0, 0.0, 0.0, 0.0, 0.0], n_targets=2, base_values=[0.5, -1.0],
                       nodes_hitrates=[10.0, 6.0, 4.0, 2.0, 4.0, 10.0], aggregate_function="AVERAGE",
                       target_treeids=[0, 0, 0, 0, 1], target_nodeids=[2, 3, 4, 4, 0], target_ids=[0, 1, 0, 1, 1],
                       target_weights=[1.0, 2.0, 3.0, 4.0, 5.0])
    return model([node], [info("x", T.FLOAT, "n", 2)], [info("y", T.FLOAT, "n", 2)], ml=3)


def tree_classifier():
    node = h.make_node("TreeEnsembleClassifier", ["x"], ["l", "s"], domain="ai.onnx.ml", **TREES,
                       nodes_values_as_tensor=nh.from_array(np.array([0.5, 1.0, 0, 0, 0, 0])),
                       classlabels_strings=["a", "b", "c"], post_transform="SOFTMAX",
                       class_treeids=[0, 0, 0, 0, 1], class_nodeids=[2, 3, 4, 4, 0], class_ids=[0, 1, 0, 2, 1],
                       class_weights_as_tensor=nh.from_array(np.array([1.0, 2, 3, -4, 5])))
    return model([node], [info("x", T.DOUBLE, "n", 2)],
                 [info("l", T.STRING, "n"), info("s", T.FLOAT, "n", 3)], ml=3)


def tree_margin():
    node = h.make_node("TreeEnsembleClassifier", ["x"], ["l", "s"], domain="ai.onnx.ml", **TREES,
                       nodes_values=[0.5, 1.0, 0.0, 0.0, 0.0, 0.0], classlabels_int64s=[3, 7],
                       post_transform="LOGISTIC", base_values=[0.25], class_treeids=[0, 0, 0, 1],
                       class_nodeids=[2, 3, 4, 0], class_ids=[0, 0, 0, 0], class_weights=[1.0, -2.0, 3.0, 0.5])
    return model([node], [info("x", T.FLOAT, "n", 2)], [info("l", T.INT64, "n"), info("s", T.FLOAT, "n", 2)],
                 ml=1)


def tree_ensemble():
    node = h.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=2, tree_roots=[0, 2],
                       nodes_featureids=[0, 1, 1], nodes_modes=nh.from_array(np.array([0, 6, 4], np.uint8)),
                       nodes_splits=nh.from_array(np.array([0.5, 0, 2])), nodes_truenodeids=[1, 0, 3],
                       nodes_trueleafs=[0, 1, 1], nodes_falsenodeids=[2, 1, 3], nodes_falseleafs=[1, 1, 1],
                       nodes_missing_value_tracks_true=[1, 0, 0], leaf_targetids=[0, 1, 0, 1],
                       leaf_weights=nh.from_array(np.array([1.0, 2, 3, 4])),
                       membership_values=nh.from_array(np.array([1.0, 3, np.nan])))
    return model([node], [info("x", T.DOUBLE, "n", 2)], [info("y", T.DOUBLE, "n", 2)], ml=5)


def body(nodes, inputs, outputs):
    return h.make_graph(nodes, "body", inputs, outputs)


def branches():
    yes = body([h.make_node("Add", ["x", "w"], ["p"])], [], [info("p", T.FLOAT, "n", 2)])
    no = body([h.make_node("Sub", ["x", "w"], ["q"]), h.make_node("Abs", ["q"], ["r"])], [],
              [info("r", T.FLOAT, "n", 2)])
    nodes = [h.make_node("If", ["c"], ["y"], then_branch=yes, else_branch=no)]
    return model(nodes, [info("x", T.FLOAT, "n", 2), info("c", T.BOOL)], [info("y", T.FLOAT, "n", 2)],
                 [const("w", np.array([1, 2], np.float32))], opset=16)


def rounds():
    step = body([h.make_node("Add", ["s", "x"], ["t"]), h.make_node("Identity", ["go"], ["on"]),
                 h.make_node("Neg", ["t"], ["piece"])],
                [info("i", T.INT64), info("go", T.BOOL), info("s", T.FLOAT, 2)],
                [info("on", T.BOOL), info("t", T.FLOAT, 2), info("piece", T.FLOAT, 2), info("t", T.FLOAT, 2)])
    scanned = body([h.make_node("Mul", ["m", "e"], ["o"])], [info("m", T.FLOAT, 2), info("e", T.FLOAT, 2)],
                   [info("o", T.FLOAT, 2)])
    nodes = [h.make_node("Loop", ["n", "", "x"], ["end", "all", "same"], body=step),
             h.make_node("Scan", ["end", "all"], ["y"], body=scanned, num_scan_inputs=1)]
    return model(nodes, [info("x", T.FLOAT, 2)], [info("y", T.FLOAT, 2)],
                 [const("n", np.array(3, np.int64))], opset=16)


def lists():
    grow = body([h.make_node("SequenceInsert", ["s", "x"], ["t"]), h.make_node("Identity", ["go"], ["on"])],
                [info("i", T.INT64), info("go", T.BOOL),
                 h.make_tensor_sequence_value_info("s", T.FLOAT, None)],
                [info("on", T.BOOL), h.make_tensor_sequence_value_info("t", T.FLOAT, None)])
    nodes = [h.make_node("SequenceConstruct", ["x", "x"], ["s0"]),
             h.make_node("Loop", ["n", "", "s0"], ["s1"], body=grow),
             h.make_node("Optional", ["s1"], ["o"]), h.make_node("OptionalGetElement", ["o"], ["s2"]),
             h.make_node("ConcatFromSequence", ["s2"], ["y"], axis=0),
             h.make_node("SequenceErase", ["s2", "n"], ["s3"])]
    return model(nodes, [info("x", T.FLOAT, 2)],
                 [info("y", T.FLOAT, "m"), h.make_tensor_sequence_value_info("s3", T.FLOAT, None)],
                 [const("n", np.array(2, np.int64))], opset=18)


def functions():
    def opsets(us):
        return [h.make_opsetid("", 17)] + ([h.make_opsetid("us", 1)] if us else [])

    leaky = h.make_node("LeakyRelu", ["a"], ["t"])
    leaky.attribute.add(name="alpha", ref_attr_name="slope", type=1)
    leaf = h.make_function("us", "leaf", ["a", "b"], ["y"], [leaky, h.make_node("Mul", ["t", "b"], ["y"])],
                           opsets(False), ["slope"])
    twice = h.make_function("us", "twice", ["a"], ["z"],
                            [h.make_node("leaf", ["a", "a"], ["y"], domain="us", slope=0.5),
                             h.make_node("leaf", ["y", "a"], ["z"], domain="us", slope=0.25)], opsets(True))
    graph = h.make_graph([h.make_node("twice", ["x"], ["y"], domain="us")], "g", [info("x", T.FLOAT, 2)],
                         [info("y", T.FLOAT, 2)])
    return h.make_model(graph, opset_imports=opsets(True), functions=[leaf, twice], ir_version=8)


def sparse():
    values = nh.from_array(np.array([1.5, -2], np.float32), "w")
    weights = h.make_sparse_tensor(values, nh.from_array(np.array([1, 5], np.int64)), [2, 3])
    graph = h.make_graph([h.make_node("Add", ["x", "w"], ["y"])], "g", [info("x", T.FLOAT, 2, 3)],
                         [info("y", T.FLOAT, 2, 3)], sparse_initializer=[weights])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


MODELS = [mlp, gemm, reduce_old, reduce_new, shapes, labels, label_tensors, strings, select, slices,
          dtypes, constants, with_default, unsorted,
          tree_regressor, tree_classifier, tree_margin, tree_ensemble,
          branches, rounds, lists, functions, sparse]


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for make in MODELS:
        data = make().SerializeToString()
        assert len(data) < 4096, make.__name__
        (out / f"{make.__name__}.onnx").write_bytes(data)


if __name__ == "__main__":
    main()
