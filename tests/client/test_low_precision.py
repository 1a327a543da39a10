#!/usr/bin/env python3
"""A residual network, quantized by ONNX Runtime's own quantizer in every format it has, as `maas run` computes it and
as ONNX Runtime does without optimizations: codes on the way and at the end differ by one step at most, and few do.
The same network in bfloat16, where the file asks for it.

    python test_low_precision.py PATH_OF_maas
"""
import logging
import shutil
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
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

MAAS = sys.argv[1]
directory = Path(tempfile.mkdtemp(prefix="maas-low-precision-"))
rng = np.random.default_rng(11)
ort.set_default_logger_severity(4)
logging.disable(logging.WARNING)  # the quantizer asks for steps that this network does not need
passed, failed = 0, 0
SHAPE = (2, 3, 32, 32)


def check(what, ok, words=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"not ok {what}: {words}")


class Net:
    def __init__(self):
        self.nodes, self.init, self.n = [], [], 0

    def node(self, op, inputs, **attrs):
        self.n += 1
        self.nodes.append(h.make_node(op, inputs, [f"v{self.n}"], name=f"n{self.n}", **attrs))
        return f"v{self.n}"

    def weight(self, a):
        self.init.append(nh.from_array(np.asarray(a, np.float32), f"w{len(self.init)}"))
        return self.init[-1].name

    def conv(self, x, c, m, k, stride=1, relu=True, group=1):
        w = rng.standard_normal((m, c // group, k, k)) * np.sqrt(2 * group / (c * k * k))
        y = self.node("Conv", [x, self.weight(w), self.weight(rng.uniform(-0.3, 0.3, m))], kernel_shape=[k, k],
                      strides=[stride] * 2, pads=[k // 2] * 4, group=group)
        return self.node("Relu", [y]) if relu else y


def network():
    n = Net()
    x = n.conv("x", 3, 16, 7, 2)
    x = n.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    y = n.conv(n.conv(x, 16, 16, 3), 16, 32, 1, relu=False)
    x = n.node("Relu", [n.node("Add", [y, n.conv(x, 16, 32, 1, relu=False)])])
    y = n.conv(n.conv(x, 32, 32, 3, group=32), 32, 32, 1, relu=False)
    x = n.node("Relu", [n.node("Add", [y, x])])
    x = n.node("Flatten", [n.node("GlobalAveragePool", [x])])
    y = n.node("Gemm", [x, n.weight(rng.standard_normal((10, 32)) / 6), n.weight(rng.uniform(-1, 1, 10))], transB=1)
    graph = h.make_graph(n.nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, ["n", *SHAPE[1:]])],
                         [h.make_tensor_value_info(y, T.FLOAT, ["n", 10])], n.init)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


class Rows(CalibrationDataReader):
    def __init__(self):
        self.left = 8

    def get_next(self):
        self.left -= 1
        return {"x": pictures()} if self.left >= 0 else None


def pictures():
    return rng.standard_normal(SHAPE).astype(np.float32)


def run_maas(path, x, outputs):
    out = directory / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    np.save(directory / "x.npy", x)
    done = subprocess.run([MAAS, "run", str(path), "--output", str(out), "--input", f"x={directory}/x.npy"],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-300:])
    return [np.load(out / f"{k}.npy") for k in outputs]


def run_ort(path, x):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


def with_codes(path):
    """The model with every value of bytes as an output, too: a look at what runs between the layers."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    kinds = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    made = [o for n in model.graph.node for o in n.output if n.op_type in ("QuantizeLinear", "QLinearConv", "QLinearAdd")]
    kind = T.INT8 if T.INT8 in (kinds.get(o) for o in made) else T.UINT8
    out = []
    for o in made:
        model.graph.output.append(h.make_tensor_value_info(o, kinds.get(o, kind), None))
        out.append(o)
    shown = directory / "shown.onnx"
    onnx.save(model, shown)
    return shown, [model.graph.output[0].name] + out


def quantized(name, **how):
    path = directory / f"{name}.onnx"
    quantize_static(directory / "f32.onnx", path, Rows(), weight_type=QuantType.QInt8, **how)
    x = pictures()
    end = onnx.load(path).graph.output[0].name
    got, want = run_maas(path, x, [end])[0], run_ort(path, x)[0]
    codes = np.unique(want)
    step = np.diff(codes).min()
    off = np.abs(got - want) / step
    check(f"{name}, the end", off.max() <= 1.001 and (off > 0.5).mean() <= 0.1, f"steps {off.max():.3g}")
    shown, names = with_codes(path)
    for k, a, b in zip(names[1:], run_maas(shown, x, names)[1:], run_ort(shown, x)[1:]):
        d = np.abs(a.astype(int) - b.astype(int))
        check(f"{name}, {k}", a.dtype == b.dtype and d.max() <= 1 and (d > 0).mean() <= 0.01,
              f"largest {d.max()}, {(d > 0).mean():.4f} of the codes")


def bfloat16():
    x = pictures()
    model = onnx.load(directory / "f32.onnx")
    end = model.graph.output[0].name
    want = run_ort(directory / "f32.onnx", x)[0]
    same = run_maas(directory / "f32.onnx", x, [end])[0]
    check("floats stay floats", np.abs(same - want).max() <= 1e-4 * np.abs(want).max())
    entry = model.metadata_props.add()
    entry.key, entry.value = "maas.precision", "bf16"
    onnx.save(model, directory / "bf16.onnx")
    got = run_maas(directory / "bf16.onnx", x, [end])[0]
    off = np.abs(got - want).max() / np.abs(want).max()
    check("bfloat16", off <= 8 * 2**-8, f"off by {off:.4f} of the largest")  # eight layers, half a digit of 2^-8 each
    with open("/proc/cpuinfo") as f:
        if "avx512_bf16" in f.read():
            check("bfloat16 is used", off > 1e-5, f"off by {off:.2g} only")


onnx.save(network(), directory / "f32.onnx")
for formats in (QuantFormat.QDQ, QuantFormat.QOperator):
    for act in (QuantType.QUInt8, QuantType.QInt8):
        for each in (False, True):
            name = f"{formats.name} {act.name} {'a scale a channel' if each else 'one scale'}"
            quantized(name, quant_format=formats, activation_type=act, per_channel=each)
bfloat16()
shutil.rmtree(directory)
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
