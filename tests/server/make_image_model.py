"""Writes tests/data/images/colours.onnx: means of the three colours of an image, times a matrix: the scores of red,
green and blue. Needs the package onnx; the file is kept, so that the test needs nothing."""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

weights = np.array([[4, -2, -2], [-2, 4, -2], [-2, -2, 4]], np.float32)
graph = helper.make_graph(
    [helper.make_node("ReduceMean", ["x", "axes"], ["means"], keepdims=0), helper.make_node("MatMul", ["means", "w"], ["scores"])],
    "colours",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 24])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3])],
    [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([2, 3], np.int64), "axes")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
model.ir_version = 9
out = pathlib.Path(__file__).parent.parent / "data" / "images" / "colours.onnx"
out.write_bytes(model.SerializeToString())
