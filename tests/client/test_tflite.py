"""TensorFlow Lite files, uploaded to a server: our answers against those of LiteRT, which runs the same bytes. Every row of
the reader's tables is in a model here; what is refused is refused with its name.

    python tests/client/test_tflite.py [TEXT]          (models whose name has TEXT)
    python tests/client/test_tflite.py FILE.tflite...  (files from elsewhere, compared with random inputs)

Real numbers agree to 1e-5. Codes of quantized tensors are what the real numbers round to, and one step from LiteRT's at most: it
multiplies by a whole number and shifts (docs/tflite.md)."""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "makers"))
sys.path.insert(0, os.path.join(HERE, "..", "server"))
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from harness import Server, check, finish
from run import infer
from tflite_files import Model, Quant

random = np.random.default_rng(7)
REFERENCE = OpResolverType.BUILTIN_REF  # of bytes: kernels for one processor round otherwise
PLAIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def normal(*shape):
    return (random.standard_normal(shape) * 0.5).astype(np.float32)


# ---- models: elements ----

def unary():
    m = Model()
    x, p = m.input([-1, 3, 5], lo=-4, hi=8), m.input([-1, 4], lo=0.1, hi=3)
    for name in "FLOOR LOGISTIC RELU RELU_N1_TO_1 RELU6 TANH NEG SIN COS ABS CEIL ELU ROUND HARD_SWISH RELU_0_TO_1 SIGN".split():
        m.out(m.op(name, [x]))
    m.out(m.op("EXP", [x], options="ExpOptions"), m.op("SQUARE", [x], options="SquareOptions"))
    m.out(m.op("ZEROS_LIKE", [x], options="ZerosLikeOptions"))
    m.out(m.op("LEAKY_RELU", [x], options="LeakyReluOptions", Alpha=0.3))
    for about in (0, 1):
        m.out(m.op("GELU", [x], options="GeluOptions", Approximate=about))
    for name in "LOG SQRT RSQRT".split():
        m.out(m.op(name, [p]))
    return m


def arithmetic():
    m = Model()
    x, y = m.input([-1, 3, 5]), m.input([-1, 1, 5], lo=0.5, hi=3)
    row = m.const(normal(5) + 3)
    for name in "ADD SUB MUL DIV".split():
        options = name.capitalize() + "Options"
        for act in (0, 1, 2, 3):
            m.out(m.op(name, [x, y], options=options, FusedActivationFunction=act))
        m.out(m.op(name, [x, row], options=options), m.op(name, [row, y], options=options))
    for name in "MAXIMUM MINIMUM".split():
        m.out(m.op(name, [x, y], options="MaximumMinimumOptions"))
    m.out(m.op("POW", [y, x], options="PowOptions"), m.op("SQUARED_DIFFERENCE", [x, y], options="SquaredDifferenceOptions"))
    m.out(m.op("FLOOR_DIV", [x, y], options="FloorDivOptions"), m.op("FLOOR_MOD", [x, y], options="FloorModOptions"))
    m.out(m.op("ADD_N", [x, m.op("MUL", [x, x], options="MulOptions"), x], options="AddNOptions"))
    m.out(m.op("PRELU", [x, m.const(normal(1, 5))]))
    return m


def integers():
    m = Model()
    x, y = m.input([-1, 6], "int32", lo=-9, hi=9), m.input([-1, 6], "int32", lo=1, hi=5)
    for name, options in (("ADD", "AddOptions"), ("SUB", "SubOptions"), ("MUL", "MulOptions"), ("FLOOR_DIV", "FloorDivOptions"),
                          ("FLOOR_MOD", "FloorModOptions"), ("MAXIMUM", "MaximumMinimumOptions"), ("DIV", "DivOptions")):
        m.out(m.op(name, [x, y], "int32", options=options))
    for name in ("ABS", "NEG"):
        m.out(m.op(name, [x], "int32"))
    as_float = m.op("CAST", [x], options="CastOptions", InDataType=2, OutDataType=0)
    m.out(as_float, m.op("CAST", [as_float], "int64", options="CastOptions", InDataType=0, OutDataType=4))
    m.out(m.op("SUM", [x, m.const([1])], "int32", options="ReducerOptions", KeepDims=True))
    return m


def comparisons():
    m = Model()
    x, y = m.input([-1, 6], "int32", lo=-3, hi=3), m.input([-1, 6], "int32", lo=-3, hi=3)
    found = [m.op(name, [x, y], "bool") for name in "LESS GREATER GREATER_EQUAL LESS_EQUAL EQUAL NOT_EQUAL".split()]
    a, b = found[0], found[4]
    found += [m.op("LOGICAL_OR", [a, b], "bool"), m.op("LOGICAL_AND", [a, found[3]], "bool"), m.op("LOGICAL_NOT", [a], "bool")]
    for name in "REDUCE_ANY REDUCE_ALL".split():
        found.append(m.op(name, [found[5], m.const([1])], "bool", options="ReducerOptions"))
    found += [m.op("SELECT", [a, x, y], "int32"), m.op("SELECT_V2", [a, x, m.const([7])], "int32")]
    rows = m.op("REDUCE_ANY", [b, m.const([1])], "bool", options="ReducerOptions")
    found.append(m.op("SELECT", [rows, x, y], "int32"))
    found.append(m.op("WHERE", [a], "int64"))
    return m.out(*found)


# ---- models: pictures ----

def conv(m, x, k=3, cin=4, cout=6, pad=0, stride=(1, 1), dilation=(1, 1), act=0, groups=1, dtype="float32", quant=None):
    w = m.const(normal(cout, k, k, cin // groups))
    return m.op("CONV_2D", [x, w, m.const(normal(cout))], options="Conv2DOptions", Padding=pad, StrideH=stride[0],
                StrideW=stride[1], DilationHFactor=dilation[0], DilationWFactor=dilation[1], FusedActivationFunction=act)


def depthwise(m, x, k=3, cin=4, multiplier=1, pad=0, stride=(1, 1), dilation=(1, 1), act=0):
    n = cin * multiplier
    return m.op("DEPTHWISE_CONV_2D", [x, m.const(normal(1, k, k, n)), m.const(normal(n))], options="DepthwiseConv2DOptions",
                Padding=pad, StrideH=stride[0], StrideW=stride[1], DilationHFactor=dilation[0], DilationWFactor=dilation[1],
                DepthMultiplier=multiplier, FusedActivationFunction=act)


def convolutions():
    m = Model()
    x = m.input([-1, 11, 10, 4])
    m.out(conv(m, x), conv(m, x, act=3, pad=1, stride=(2, 3)), conv(m, x, stride=(2, 1)), conv(m, x, dilation=(2, 3), act=1),
          conv(m, x, groups=2), conv(m, x, k=1, pad=1), conv(m, x, k=4, stride=(3, 2)))
    m.out(depthwise(m, x), depthwise(m, x, multiplier=2, act=3, stride=(2, 2)), depthwise(m, x, pad=1, dilation=(2, 2)))
    return m


def transposed(bias):
    m = Model()
    x = m.input([2, 5, 6, 4])
    for pad, stride, k, size in ((0, 2, 3, (10, 12)), (0, 2, 3, (9, 11)), (1, 2, 3, (11, 13)), (1, 1, 3, (7, 8)), (0, 3, 2, (15, 18)),
                                 (1, 2, 2, (10, 12)), (0, 1, 4, (5, 6))):
        ins = [m.const([2, *size, 3]), m.const(normal(3, k, k, 4)), x] + ([m.const(normal(3))] if bias else [])
        m.out(m.op("TRANSPOSE_CONV", ins, options="TransposeConvOptions", Padding=pad, StrideH=stride, StrideW=stride,
                   FusedActivationFunction=int(bias)))
    return m


def volumes():
    m = Model()
    x = m.input([-1, 5, 6, 7, 2])
    for pad in (0, 1):
        m.out(m.op("CONV_3D", [x, m.const(normal(3, 2, 3, 2, 4)), m.const(normal(4))], options="Conv3DOptions", Padding=pad, StrideD=1,
                   StrideH=2, StrideW=1))
    return m


def pools():
    m = Model()
    x = m.input([-1, 9, 8, 3])
    for name in "AVERAGE_POOL_2D MAX_POOL_2D L2_POOL_2D".split():
        for pad in (0, 1):
            m.out(m.op(name, [x], options="Pool2DOptions", Padding=pad, StrideH=2, StrideW=3, FilterHeight=3, FilterWidth=2,
                       FusedActivationFunction=pad))
    m.out(m.op("LOCAL_RESPONSE_NORMALIZATION", [x], options="LocalResponseNormalizationOptions", Radius=1, Bias=1.5, Alpha=0.3,
               Beta=0.6))
    return m


def resizes():
    m = Model()
    x = m.input([-1, 5, 7, 3])
    for name, options in (("RESIZE_BILINEAR", "ResizeBilinearOptions"), ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")):
        for size in ((10, 14), (3, 4), (9, 20), (1, 1), (5, 7)):
            for align, half in ((0, 0), (1, 0), (0, 1)):
                m.out(m.op(name, [x, m.const(list(size))], options=options, AlignCorners=align, HalfPixelCenters=half))
    return m


def blocks():
    m = Model()
    x, y = m.input([-1, 6, 4, 8]), m.input([8, 3, 2, 5])
    m.out(m.op("SPACE_TO_DEPTH", [x], options="SpaceToDepthOptions", BlockSize=2))
    m.out(m.op("DEPTH_TO_SPACE", [x], options="DepthToSpaceOptions", BlockSize=2))
    m.out(m.op("SPACE_TO_BATCH_ND", [x, m.const([3, 2]), m.const([[1, 2], [0, 2]])]))
    row, rows = m.input([-1, 7, 3]), m.input([6, 4, 3])
    m.out(m.op("SPACE_TO_BATCH_ND", [row, m.const([2]), m.const([[1, 0]])]))
    m.out(m.op("BATCH_TO_SPACE_ND", [rows, m.const([3]), m.const([[1, 2]])]))
    m.out(m.op("BATCH_TO_SPACE_ND", [y, m.const([2, 2]), m.const([[1, 0], [0, 1]])]))
    return m


def mobile():
    """A block of MobileNet v2 and a squeeze: nothing but layouts between convolutions."""
    m = Model()
    x = m.input([-1, 16, 16, 3])
    a = conv(m, x, cin=3, cout=8, stride=(2, 2), act=3)
    b = conv(m, depthwise(m, conv(m, a, k=1, cin=8, cout=16, act=3), cin=16, act=3), k=1, cin=16, cout=8)
    c = m.op("ADD", [a, b], options="AddOptions")
    pooled = m.op("MEAN", [c, m.const([1, 2])], options="ReducerOptions", KeepDims=True)
    gate = m.op("LOGISTIC", [conv(m, pooled, k=1, cin=8, cout=8)])
    d = m.op("MUL", [c, gate], options="MulOptions")
    d = m.op("PRELU", [d, m.const(normal(1, 1, 8))])
    d = m.op("ADD", [m.op("MUL", [d, m.const(normal(8))], options="MulOptions"), m.const(normal(1, 1, 1, 8))], options="AddOptions")
    e = m.op("CONCATENATION", [d, m.op("HARD_SWISH", [d]), c], options="ConcatenationOptions", Axis=3, FusedActivationFunction=0)
    f = m.op("PAD", [e, m.const([[0, 0], [1, 2], [0, 1], [0, 0]])])
    g = m.op("MAX_POOL_2D", [f], options="Pool2DOptions", Padding=1, StrideH=2, StrideW=2, FilterHeight=2, FilterWidth=2)
    h = m.op("MEAN", [g, m.const([1, 2])], options="ReducerOptions")
    rows = m.op("REDUCE_MAX", [g, m.const([3])], options="ReducerOptions")
    columns = m.op("REDUCE_MAX", [g, m.const([1])], options="ReducerOptions")
    first = m.op("TRANSPOSE", [g, m.const([0, 3, 1, 2])])
    last = m.op("RELU", [m.op("TRANSPOSE", [first, m.const([0, 2, 3, 1])])])
    w = m.const(normal(5, 24))
    y = m.op("FULLY_CONNECTED", [h, w, m.const(normal(5))], options="FullyConnectedOptions")
    high = m.op("RESHAPE", [g, m.const([-1, 1, 24, 5, 4])])
    wide = m.op("ADD", [high, m.const(normal(1, 1, 1, 1, 4))], options="AddOptions")
    return m.out(m.op("SOFTMAX", [y], options="SoftmaxOptions", Beta=1.0), g, rows, columns, first, last, wide, high)


# ---- models: products, axes ----

def products():
    m = Model()
    x, y = m.input([-1, 3, 6]), m.input([-1, 6, 4])
    w, b = m.const(normal(5, 6)), m.const(normal(5))
    for keep in (0, 1):
        m.out(m.op("FULLY_CONNECTED", [x, w, b], options="FullyConnectedOptions", KeepNumDims=keep, FusedActivationFunction=1))
        m.out(m.op("FULLY_CONNECTED", [x, w, None], options="FullyConnectedOptions", KeepNumDims=keep))
    m.out(m.op("BATCH_MATMUL", [x, y], options="BatchMatMulOptions"))
    m.out(m.op("BATCH_MATMUL", [y, x], options="BatchMatMulOptions", AdjX=1, AdjY=1))
    for beta in (1.0, 0.7):
        m.out(m.op("SOFTMAX", [x], options="SoftmaxOptions", Beta=beta))
    m.out(m.op("LOG_SOFTMAX", [x], options="LogSoftmaxOptions"), m.op("L2_NORMALIZATION", [x], options="L2NormOptions"))
    return m


def reductions():
    m = Model()
    x = m.input([-1, 3, 4, 5])
    for name in "MEAN SUM REDUCE_PROD REDUCE_MAX REDUCE_MIN".split():
        for axes, keep in (([1, 2], 0), ([1, 2], 1), ([-1], 0), ([3], 1), ([1, 3], 0)):
            m.out(m.op(name, [x, m.const(axes)], options="ReducerOptions", KeepDims=keep))
    for name, options in (("ARG_MAX", "ArgMaxOptions"), ("ARG_MIN", "ArgMinOptions")):
        for axis in (1, -1):
            m.out(m.op(name, [x, m.const(axis)], "int32", options=options, OutputType=2))
        m.out(m.op(name, [x, m.const(2)], "int64", options=options, OutputType=4))
    for exclusive, backwards in ((0, 0), (1, 0), (0, 1), (1, 1)):
        m.out(m.op("CUMSUM", [x, m.const(2)], options="CumsumOptions", Exclusive=exclusive, Reverse=backwards))
    return m.out(*m.op("TOPK_V2", [x, m.const(3)], ["float32", "int32"], options="TopKV2Options"))


def embeddings():
    m = Model()
    x = m.input([4], "int32", lo=0, hi=9)
    return m.out(m.op("EMBEDDING_LOOKUP", [x, m.const(normal(9, 5))]))


def lstm(time_major):
    m = Model()
    x = m.input([7, 2, 5] if time_major else [2, 7, 5])
    w, r, b = [m.const(normal(4, 5)) for _ in range(4)], [m.const(normal(4, 4)) for _ in range(4)], [m.const(normal(4)) for _ in range(4)]
    state = [m.tensor([2, 4], "float32", variable=True) for _ in range(2)]
    ins = [x, *w, *r, None, None, None, *b, None, None, *state, None, None, None, None]
    return m.out(m.op("UNIDIRECTIONAL_SEQUENCE_LSTM", ins, options="UnidirectionalSequenceLSTMOptions", FusedActivationFunction=4,
                      TimeMajor=int(time_major)))


# ---- models: shapes ----

def shapes():
    m = Model()
    x, y = m.input([-1, 3, 4]), m.input([2, 1, 4, 1])
    m.out(m.op("RESHAPE", [x, m.const([-1, 2, 6])]), m.op("RESHAPE", [x], options="ReshapeOptions", NewShape=[-1, 12]))
    m.out(m.op("SQUEEZE", [y], options="SqueezeOptions", SqueezeDims=[1, -1]), m.op("SQUEEZE", [y], options="SqueezeOptions"))
    m.out(m.op("EXPAND_DIMS", [x, m.const(-1)]), m.op("EXPAND_DIMS", [x, m.const([1])]))
    m.out(m.op("TRANSPOSE", [x, m.const([2, 0, 1])]), m.op("TRANSPOSE", [y, m.const([0, 3, 1, 2])]))
    s = m.op("SHAPE", [x], "int32", options="ShapeOptions", OutType=2)
    first = m.op("STRIDED_SLICE", [s, m.const([0]), m.const([1]), m.const([1])], "int32", options="StridedSliceOptions",
                 ShrinkAxisMask=1)
    built = m.op("PACK", [first, m.const(12)], "int32", options="PackOptions", ValuesCount=2, Axis=0)
    m.out(s, m.op("RANK", [x], "int32"), m.op("RESHAPE", [x, built]))
    m.out(m.op("FILL", [s, m.const(2.5)]), m.op("RANGE", [m.const(1), m.const(9), m.const(3)], "int32"))
    m.out(m.op("BROADCAST_TO", [y, m.const([2, 3, 4, 2])]), m.op("TILE", [x, m.const([1, 2, 3])]))
    m.out(m.op("PACK", [x, x], options="PackOptions", ValuesCount=2, Axis=-1))
    m.out(*m.op("UNPACK", [x], n_out=3, options="UnpackOptions", Num=3, Axis=1))
    m.out(*m.op("SPLIT", [m.const(2), x], n_out=2, options="SplitOptions", NumSplits=2))
    m.out(*m.op("SPLIT_V", [x, m.const([1, -1]), m.const(2)], n_out=2, options="SplitVOptions", NumSplits=2))
    for axis in (1, -1):
        m.out(m.op("CONCATENATION", [x, x], options="ConcatenationOptions", Axis=axis))
    return m


def slices():
    m = Model()
    x = m.input([-1, 5, 6])
    m.out(m.op("SLICE", [x, m.const([0, 1, 2]), m.const([-1, 3, 2])]))
    for begin, end, step, masks in (
            ([0, 1, 2], [0, 4, 6], [1, 2, 1], {"EndMask": 1}), ([0, -1, 5], [0, -5, 0], [1, -2, -1], {"BeginMask": 1, "EndMask": 5}),
            ([0, 2, 0], [0, 0, 3], [1, 1, 1], {"EndMask": 1, "ShrinkAxisMask": 2}), ([0, -1], [0, 0], [1, 1], {"EllipsisMask": 1, "ShrinkAxisMask": 2}),
            ([0, 0, 1, 0], [0, 0, 3, 0], [1, 1, 1, 1], {"BeginMask": 9, "EndMask": 9, "NewAxisMask": 2}),
            ([0, 0, 1], [0, 0, 4], [1, 1, 1], {"EllipsisMask": 1, "NewAxisMask": 2})):
        m.out(m.op("STRIDED_SLICE", [x, m.const(begin), m.const(end), m.const(step)], options="StridedSliceOptions", **masks))
    m.out(m.op("REVERSE_V2", [x, m.const([1])]), m.op("REVERSE_V2", [x, m.const([2])]))
    n = m.input([2], "int32", lo=1, hi=5)
    m.out(m.op("REVERSE_SEQUENCE", [x, n], options="ReverseSequenceOptions", SeqDim=1, BatchDim=0))
    pads = m.const([[0, 0], [1, 2], [3, 0]])
    m.out(m.op("PAD", [x, pads]), m.op("PADV2", [x, pads, m.const(1.5)]))
    for mode in (0, 1):
        m.out(m.op("MIRROR_PAD", [x, pads], options="MirrorPadOptions", Mode=mode))
    return m


def indices():
    m = Model()
    x, at = m.input([2, 4, 5]), m.input([2, 3], "int32", lo=0, hi=4)
    for axis in (0, 1, -1):
        m.out(m.op("GATHER", [x, m.const([1, 0])], options="GatherOptions", Axis=axis))
    m.out(m.op("GATHER", [x, at], options="GatherOptions", Axis=1, BatchDims=1))
    m.out(m.op("GATHER_ND", [x, m.const([[0, 1], [1, 3]])]))
    m.out(m.op("SCATTER_ND", [m.const([[4], [1], [4]]), m.const(normal(3, 2)), m.const([6, 2])]))
    for axis in (-1, 0):
        m.out(m.op("ONE_HOT", [at, m.const(4), m.const(2.0), m.const(-1.0)], options="OneHotOptions", Axis=axis))
    return m


# ---- models: numbers of fewer bits ----

def halves():
    """Weights of float16, as the converter writes them: DEQUANTIZE before the operator."""
    m = Model()
    x = m.input([-1, 8, 8, 3])
    w = m.op("DEQUANTIZE", [m.const(normal(4, 3, 3, 3), "float16")])
    b = m.op("DEQUANTIZE", [m.const(normal(4), "float16")])
    return m.out(m.op("CONV_2D", [x, w, b], options="Conv2DOptions", StrideH=1, StrideW=1))


def sparse():
    """Weights without their zeros, one by one and in blocks."""
    m = Model()
    a = np.where(random.random((8, 12)) < 0.3, normal(8, 12), 0).astype(np.float32)
    a[2] = 0
    b = a.copy()
    b[:4, 4:8] = b[4:, :4] = 0
    x = m.input([-1, 12])
    for w in (m.csr(a), m.blocked(b, 4, 4), m.blocked(b, 2, 4)):
        dense = m.op("DENSIFY", [w], options="DensifyOptions", shape=(8, 12))
        m.out(m.op("BATCH_MATMUL", [x, dense], options="BatchMatMulOptions", AdjY=1), m.op("ABS", [dense]))
    return m


def weights(m, shape, dtype, axis):
    """int8: codes by channel; uint8: one scale. Codes and how they are read."""
    n = shape[axis]
    q = Quant(random.uniform(0.004, 0.012, n), np.zeros(n), axis) if dtype == "int8" else Quant(0.01, 125)
    return m.coded(normal(*shape), dtype, q), q


def bias_of(m, n, x, w):
    return m.bias(normal(n), Quant(x.scale * w.scale, np.zeros(len(w.scale))))


def one_by_one(dtype, real=False):
    """Operators on codes that the test gives, each of them alone: int8 or uint8."""
    global random
    random = np.random.default_rng(11)
    m, z = Model(real), 4 if dtype == "int8" else 120
    low = -128 if dtype == "int8" else 0
    q, r, out = Quant(0.02, z), Quant(0.03, z - 2), Quant(0.05, z + 3)
    x, y, rows = m.input([-1, 7, 6, 4], dtype, q), m.input([-1, 7, 6, 4], dtype, r), m.input([-1, 16], dtype, q)
    for act in (0, 1, 3):
        w, qw = weights(m, (8, 3, 3, 4), dtype, 0)
        m.out(m.op("CONV_2D", [x, w, bias_of(m, 8, q, qw)], dtype, out, options="Conv2DOptions", StrideH=1, StrideW=2,
                   FusedActivationFunction=act))
        w, qw = weights(m, (1, 3, 3, 8), dtype, 3)
        m.out(m.op("DEPTHWISE_CONV_2D", [x, w, bias_of(m, 8, q, qw)], dtype, out, options="DepthwiseConv2DOptions", StrideH=1,
                   StrideW=1, DepthMultiplier=2, FusedActivationFunction=act))
        w, qw = weights(m, (5, 16), dtype, 0) if dtype == "uint8" else (m.coded(normal(5, 16), dtype, Quant(0.01)), Quant(0.01))
        m.out(m.op("FULLY_CONNECTED", [rows, w, bias_of(m, 5, q, qw)], dtype, out, options="FullyConnectedOptions",
                   FusedActivationFunction=act))
        m.out(m.op("ADD", [x, y], dtype, out, options="AddOptions", FusedActivationFunction=act))
    for name in ("MUL", "SUB"):
        m.out(m.op(name, [x, y], dtype, out, options=name.capitalize() + "Options"))
    w, qw = weights(m, (3, 3, 3, 4), dtype, 0)
    m.out(m.op("TRANSPOSE_CONV", [m.const([2, 14, 12, 3]), w, x, bias_of(m, 3, q, qw)], dtype, out, options="TransposeConvOptions",
               StrideH=2, StrideW=2))
    m.out(m.op("LOGISTIC", [x], dtype, Quant(1 / 256, low)), m.op("TANH", [x], dtype, Quant(1 / 128, low + 128)))
    m.out(m.op("SOFTMAX", [rows], dtype, Quant(1 / 256, low), options="SoftmaxOptions", Beta=1.0))
    m.out(m.op("LEAKY_RELU", [x], dtype, r, options="LeakyReluOptions", Alpha=0.2), m.op("RELU", [x], dtype, r))
    m.out(m.op("MEAN", [x, m.const([1, 2])], dtype, q, options="ReducerOptions"))
    for name in "AVERAGE_POOL_2D MAX_POOL_2D".split():
        m.out(m.op(name, [x], dtype, q, options="Pool2DOptions", StrideH=2, StrideW=2, FilterHeight=3, FilterWidth=3))
    m.out(m.op("RESIZE_BILINEAR", [x, m.const([9, 11])], dtype, q, options="ResizeBilinearOptions", HalfPixelCenters=1))
    m.out(m.op("PAD", [x, m.const([[0, 0], [1, 1], [0, 2], [0, 0]])], dtype, q))
    m.out(m.op("TRANSPOSE", [x, m.const([0, 2, 1, 3])], dtype, q), m.op("RESHAPE", [rows, m.const([-1, 4, 4])], dtype, q))
    m.out(m.op("CONCATENATION", [x, x], dtype, q, options="ConcatenationOptions", Axis=3))
    m.out(m.op("STRIDED_SLICE", [x, m.const([0, 0, 0, 1]), m.const([0, 7, 6, 4]), m.const([1, 2, 1, 2])], dtype, q,
               options="StridedSliceOptions", EndMask=1))
    return m


def wide(real=False):
    """Activations of int16, which have no zero point; biases of int64."""
    global random
    random = np.random.default_rng(12)
    m, q, out = Model(real), Quant(0.0004), Quant(0.0009)
    x, rows = m.input([-1, 7, 6, 4], "int16", q), m.input([-1, 16], "int16", q)

    def bias(n, w):
        return m.bias(normal(n), Quant(q.scale * w.scale, np.zeros(len(w.scale))), "int64")

    w, qw = weights(m, (8, 3, 3, 4), "int8", 0)
    m.out(m.op("CONV_2D", [x, w, bias(8, qw)], "int16", out, options="Conv2DOptions", StrideH=1, StrideW=1))
    w, qw = m.coded(normal(5, 16), "int8", Quant(0.01)), Quant(0.01)
    m.out(m.op("FULLY_CONNECTED", [rows, w, bias(5, qw)], "int16", out, options="FullyConnectedOptions"))
    m.out(m.op("TRANSPOSE", [x, m.const([0, 2, 1, 3])], "int16", q), m.op("RELU", [x], "int16", q))
    return m


def net(dtype):
    """One after the other, from float32 to float32."""
    m, z = Model(), 3 if dtype == "int8" else 131
    q0, q1, q2, q3 = Quant(0.02, z), Quant(0.03, z), Quant(0.05, z), Quant(0.04, z)
    x = m.input([-1, 9, 9, 3])
    a = m.op("QUANTIZE", [x], dtype, q0)
    w, qw = weights(m, (8, 3, 3, 3), dtype, 0)
    a = m.op("CONV_2D", [a, w, bias_of(m, 8, q0, qw)], dtype, q1, options="Conv2DOptions", StrideH=1, StrideW=1)
    w, qw = weights(m, (1, 3, 3, 8), dtype, 3)
    b = m.op("DEPTHWISE_CONV_2D", [a, w, bias_of(m, 8, q1, qw)], dtype, q2, options="DepthwiseConv2DOptions", StrideH=1, StrideW=1,
             DepthMultiplier=1, FusedActivationFunction=3)
    s = m.op("ADD", [a, b], dtype, q3, options="AddOptions", FusedActivationFunction=1)
    pool = m.op("MAX_POOL_2D", [s], dtype, q3, options="Pool2DOptions", StrideH=2, StrideW=2, FilterHeight=2, FilterWidth=2)
    flat = m.op("RESHAPE", [pool, m.const([-1, 200])], dtype, q3)
    return m.out(m.op("DEQUANTIZE", [flat]), m.op("QUANTIZE", [flat], dtype, Quant(0.1, z)), a, b)


def hybrid(whole):
    """Weights of int8 beside activations of float32. LiteRT rounds those activations to int8 while it runs, which is a choice of
    its kernels; the same net with the weights' real numbers (`whole`) is what the file means, and what we compute."""
    rng = np.random.default_rng(3)
    m = Model()
    x = m.input([-1, 8, 8, 3])

    def weights(shape, axis):
        q = Quant(rng.uniform(0.005, 0.01, shape[axis]), np.zeros(shape[axis]), axis)
        codes = rng.integers(-127, 128, shape).astype(np.int8)
        return m.const(q.numbers(codes)) if whole else m.const(codes, quant=q)

    y = m.op("CONV_2D", [x, weights((4, 3, 3, 3), 0), m.const(np.float32([1, 2, 3, 4]))], options="Conv2DOptions", StrideH=1,
             StrideW=1, FusedActivationFunction=1)
    y = m.op("MEAN", [y, m.const([1, 2])], options="ReducerOptions")
    return m.out(m.op("FULLY_CONNECTED", [y, weights((3, 4), 0), m.const(np.float32([1, 2, 3]))], options="FullyConnectedOptions"))


def models():
    for make in (unary, arithmetic, integers, comparisons, convolutions, volumes, pools, resizes, blocks, mobile, products, reductions,
                 embeddings, shapes, slices, indices, halves, sparse):
        yield make.__name__, make()
    for bias in (False, True):
        yield f"transposed, bias {bias}", transposed(bias)
    for time_major in (False, True):
        yield f"lstm, time_major {time_major}", lstm(time_major)


def refused():
    """Files, and words of the refusal."""
    m = Model()
    x = m.input([2, 3])
    yield "custom", m.out(m.op("CUSTOM", [x], custom="MyOwn")), ["operator 0", "'MyOwn'"]
    m = Model()
    x = m.input([2, 3])
    yield "unknown", m.out(m.op("MATRIX_DIAG", [m.op("RELU", [x])], options="MatrixDiagOptions")), ["operator 1", "MATRIX_DIAG"]
    m = Model()
    x = m.input([-1, 4, 4, 3])
    yield "dynamic", m.out(m.op("RESIZE_BILINEAR", [x, m.input([2], "int32")], options="ResizeBilinearOptions")), [
        "operator 0 (RESIZE_BILINEAR)", "input 1 must be constant"]


# ---- comparing ----

def run(content, inputs=None, rows=2, lo=None, hi=None, resolver=PLAIN):
    """LiteRT's answers, in the order of its outputs; inputs are made where there are none."""
    it = Interpreter(model_content=content, experimental_op_resolver_type=resolver, num_threads=2)
    made = []
    for d in it.get_input_details():
        shape = [rows if n < 0 else n for n in (d["shape_signature"] if len(d["shape_signature"]) else d["shape"])]
        it.resize_tensor_input(d["index"], shape)
        made.append((d, shape))
    it.allocate_tensors()
    if inputs is None:
        inputs = []
        for d, shape in made:
            a, b = (lo or {}).get(d["index"], -1), (hi or {}).get(d["index"], 1)
            kind = np.dtype(d["dtype"])
            if kind.kind == "f":
                inputs.append(random.uniform(a, b, shape).astype(kind))
            elif d["quantization_parameters"]["scales"].size:
                inputs.append(random.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, shape).astype(kind))
            else:
                inputs.append(random.integers(a, b, shape).astype(kind))
    for (d, _), x in zip(made, inputs):
        it.set_tensor(d["index"], x)
    it.invoke()
    outs = it.get_output_details()
    return inputs, [it.get_tensor(d["index"]) for d in outs], [d["quantization_parameters"]["scales"].size > 0 for d in outs]


def difference(got, want, coded, slack=1e-5):
    if got.shape != want.shape:
        return f"shape {got.shape}, wanted {want.shape}"
    if got.dtype != want.dtype:
        return f"type {got.dtype}, wanted {want.dtype}"
    if coded:
        steps = np.abs(got.astype(np.int64) - want.astype(np.int64))
        return f"{steps.max()} steps off" if steps.max(initial=0) > coded else None
    if want.dtype.kind != "f":
        return None if np.array_equal(got, want) else f"other integers: {got.ravel()[:8]}, wanted {want.ravel()[:8]}"
    size = max(1.0, float(np.abs(want).max(initial=0)))
    return None if np.allclose(got, want, rtol=slack, atol=slack * size) else f"off by {np.abs(got - want).max()}, largest {size}"


def upload(server, name, content):
    return server.put(f"/api/v1/models/{name}/versions", content, timeout=300,
                      headers={"Content-Disposition": 'attachment; filename="model.tflite"'})


def answers(server, name, inputs):
    about = server.get(f"/v2/models/{name}").json()
    assert "inputs" in about, about
    got = infer(server, name, {p["name"]: x for p, x in zip(about["inputs"], inputs)})
    return [got[p["name"]] for p in about["outputs"]], about


def compare(server, name, content, lo=None, hi=None, expected=None, slack=1e-5):
    """Words of what differs; `expected` is what LiteRT runs instead, for files whose meaning it rounds."""
    inputs, want, coded = run(expected or content, lo=lo, hi=hi)
    r = upload(server, name, content)
    if r.status != 201:
        return [f"upload: {r}"]
    got, _ = answers(server, name, inputs)
    wrong = [] if len(got) == len(want) else [f"{len(got)} outputs, wanted {len(want)}"]
    for i, (g, w, c) in enumerate(zip(got, want, coded)):
        words = difference(g, w, c, slack)
        if words:
            wrong.append(f"output {i}: {words}")
    server.delete(f"/api/v1/models/{name}")
    return wrong


def exact_rounding(server, dtype, make=one_by_one):
    """Codes are what the real numbers round to: those of LiteRT for the same net in float32, from the numbers that the codes stand
    for. From LiteRT's codes for the quantized net, which it computes with whole numbers, they are one step away at most."""
    m, real = (make(), make(real=True)) if make is wide else (make(dtype), make(dtype, real=True))
    content = m.bytes()
    inputs, want, coded = run(content, resolver=REFERENCE)
    quants = [m.tensors[i][2] for i in m.ins]
    _, numbers, _ = run(real.bytes(), inputs=[q.numbers(x) for q, x in zip(quants, inputs)])
    r = upload(server, "exact", content)
    if not check(f"{dtype}: read", r.status == 201, r):
        return
    got, _ = answers(server, "exact", inputs)
    names = [next(op[0] for op in m.ops if i in op[2]) for i in m.outs]
    for i, (name, g, w, y) in enumerate(zip(names, got, want, numbers)):
        q, info = m.tensors[m.outs[i]][2], np.iinfo(dtype)
        place = np.clip(y.astype(np.float64) / q.scale[0] + q.zero[0], info.min, info.max)
        off = np.abs(g - place).max()
        check(f"{dtype}: {name} ({i}) rounds to the nearest code", g.shape == y.shape and off <= 0.5 + 1e-3, off)
        words = difference(g, w, 1)
        check(f"{dtype}: {name} ({i}) is LiteRT's code or the next", not words, words)


def nets_of_codes(server, dtype):
    """Steps add up from operator to operator: two at most after three of them."""
    content = net(dtype).bytes()
    inputs, want, _ = run(content, resolver=REFERENCE)
    r = upload(server, "net", content)
    got = answers(server, "net", inputs)[0] if r.status == 201 else []
    words = [difference(g, w, 2) for g, w in zip(got[1:], want[1:])] + [
        None if len(got) == 4 and np.abs(got[0] - want[0]).max() <= 0.08 + 1e-6 else "real numbers"]
    check(f"{dtype}: a net", r.status == 201 and not any(words), (r, words))


def names_and_shapes(server):
    """Names of the signature, open dimensions; without it, names of tensors."""
    m = Model()
    x = m.input([-1, 4], name="x:0")
    m.out(m.op("RELU", [x]), m.op("TANH", [x]))
    upload(server, "signed", m.bytes(("serving_default", ["pixels"], ["positive", "bounded"])))
    about = server.get("/v2/models/signed").json()
    check("names of a signature", [p["name"] for p in about["inputs"] + about["outputs"]] == ["pixels", "positive", "bounded"], about)
    check("an open dimension", about["inputs"][0]["shape"] == [-1, 4] and about["outputs"][1]["shape"] == [-1, 4], about)
    upload(server, "unsigned", m.bytes())
    about = server.get("/v2/models/unsigned").json()
    check("names of tensors", [p["name"] for p in about["inputs"] + about["outputs"]] == ["x:0", "t1", "t2"], about)


def rows():
    """Of the reader's tables."""
    for path in glob.glob(os.path.join(HERE, "..", "..", "src", "formats", "tflite", "*.c")):
        if not path.endswith("names.c"):
            with open(path) as f:
                yield from re.findall(r'^    (?:\{|ONE\(|TWO\()\d+, "(\w+)"', f.read(), re.M)


def compare_file(server, name, content):
    """Deep nets make much of little: numbers may be as far from LiteRT's as twice those of its own kernels are from each other. Of
    nets with weights or more of bytes, a fiftieth of the largest is asked: steps are not told apart."""
    inputs, want, coded = run(content)
    details = Interpreter(model_content=content).get_tensor_details()
    bytes_inside = any(d["dtype"] in (np.int8, np.uint8) and d["quantization_parameters"]["scales"].size for d in details)
    slack = 0.02 if bytes_inside else 1e-4
    other = run(content, inputs=inputs, resolver=REFERENCE)[1]
    r = upload(server, name, content)
    if r.status != 201:
        return [f"upload: {r}"]
    wrong = []
    for i, (g, w, o, c) in enumerate(zip(answers(server, name, inputs)[0], want, other, coded)):
        off = np.abs(w.astype(np.float64) - o).max(initial=0)
        words = difference(g, w, 2 if c else 0, slack)
        if words and not np.abs(g.astype(np.float64) - w).max() <= 2 * off:
            wrong.append(f"output {i}: {words}; kernels of LiteRT {off}")
    return wrong


def files(server, paths):
    for n, path in enumerate(paths):
        with open(path, "rb") as f:
            content = f.read()
        try:
            wrong = compare_file(server, f"f{n}", content)
        except (AssertionError, RuntimeError, ValueError) as e:
            wrong = [repr(e)]
        check(os.path.basename(path), not wrong, "\n  ".join(wrong))
    finish()


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    server = Server()
    if only.endswith(".tflite"):
        files(server, sys.argv[1:])
    used = set()
    for n, (name, m) in enumerate(models()):
        used |= m.used
        if only not in name:
            continue
        try:
            wrong = compare(server, f"m{n}", m.bytes(), m.lo, m.hi)
        except (AssertionError, RuntimeError, ValueError) as e:
            wrong = [repr(e)]
        check(name, not wrong, "\n  ".join(wrong))
    if not only:
        for dtype in ("int8", "uint8"):
            used |= one_by_one(dtype).used | net(dtype).used
            exact_rounding(server, dtype)
            nets_of_codes(server, dtype)
        exact_rounding(server, "int16", wide)
        wrong = compare(server, "hybrid", hybrid(False).bytes(), expected=hybrid(True).bytes())
        check("weights of int8 beside float32", not wrong, "\n  ".join(wrong))
        for name, m, words in refused():
            r = upload(server, "refused", m.bytes())
            check(f"refused: {name}", r.status in (422, 501) and all(w in r.body.decode() for w in words), r)
        names_and_shapes(server)
        check("every row of the reader's tables is in a model", set(rows()) <= used and len(set(rows())) > 100, sorted(set(rows()) - used))
        with open(os.path.join(HERE, "..", "..", "docs", "tflite.md")) as f:
            named = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", "".join(line for line in f if line.startswith("| "))))
        check("docs/tflite.md names every row and no other", named == set(rows()), named ^ set(rows()))
    finish()


if __name__ == "__main__":
    main()
