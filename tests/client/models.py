"""Small ONNX models, made with the onnx package, for the tests with real clients."""
import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

DTYPES = {  # OIP name: (ONNX element type, numpy type)
    "BOOL": (T.BOOL, np.bool_),
    "UINT8": (T.UINT8, np.uint8), "UINT16": (T.UINT16, np.uint16),
    "UINT32": (T.UINT32, np.uint32), "UINT64": (T.UINT64, np.uint64),
    "INT8": (T.INT8, np.int8), "INT16": (T.INT16, np.int16),
    "INT32": (T.INT32, np.int32), "INT64": (T.INT64, np.int64),
    "FP16": (T.FLOAT16, np.float16), "FP32": (T.FLOAT, np.float32), "FP64": (T.DOUBLE, np.float64),
    "BF16": (T.BFLOAT16, np.float32), "BYTES": (T.STRING, np.object_),
}


def model(graph):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def graph(nodes, inputs, outputs, weights=()):
    return helper.make_graph(nodes, "g", inputs, outputs,
                             [numpy_helper.from_array(w, n) for n, w in weights])


def value(name, elem, shape):
    return helper.make_tensor_value_info(name, elem, shape)


def identity(dtype, shape=("n", 3)):
    e = DTYPES[dtype][0]
    return model(graph([helper.make_node("Identity", ["x"], ["y"])],
                       [value("x", e, shape)], [value("y", e, shape)]))


def mlp(seed=0, n_in=4, n_hidden=8, n_out=3):
    """Gemm, Relu, Gemm, Softmax; gives the model and the same function in numpy."""
    r = np.random.default_rng(seed)
    w1, b1 = r.normal(size=(n_in, n_hidden)).astype("f4"), r.normal(size=n_hidden).astype("f4")
    w2, b2 = r.normal(size=(n_hidden, n_out)).astype("f4"), r.normal(size=n_out).astype("f4")
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
             helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("Gemm", ["r", "w2", "b2"], ["z"]),
             helper.make_node("Softmax", ["z"], ["probabilities"], axis=1)]

    def f(x):
        z = np.maximum(x @ w1 + b1, 0) @ w2 + b2
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    return model(graph(nodes, [value("x", T.FLOAT, ["n", n_in])],
                       [value("probabilities", T.FLOAT, ["n", n_out])],
                       [("w1", w1), ("b1", b1), ("w2", w2), ("b2", b2)])), f


def two_inputs():
    """sum = a + b; difference = a - b."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    ports = [value(n, T.INT32, ["n", 16]) for n in ("a", "b", "sum", "difference")]
    return model(graph(nodes, ports[:2], ports[2:]))


def label_encoder():
    """Texts to numbers: what is unknown is -1."""
    n = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_strings=["cat", "dog", "bird"],
                         values_int64s=[10, 20, 30], default_int64=-1)
    return model(graph([n], [value("x", T.STRING, ["n", 1])], [value("y", T.INT64, ["n", 1])]))


def label_decoder():
    n = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_int64s=[0, 1, 2],
                         values_strings=["zero", "one", "two"], default_string="?")
    return model(graph([n], [value("x", T.INT64, ["n"])], [value("y", T.STRING, ["n"])]))


def column_softmax():
    """Mixes the rows of a batch: must never share an execution."""
    return model(graph([helper.make_node("Softmax", ["x"], ["y"], axis=0)],
                       [value("x", T.FLOAT, ["n", 2])], [value("y", T.FLOAT, ["n", 2])]))
