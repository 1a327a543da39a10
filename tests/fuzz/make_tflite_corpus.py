"""Small .tflite files for the fuzz target and the mutation test, one family of operators each:
    PYTHON tests/fuzz/make_tflite_corpus.py      (a Python with the packages of tests/client/venv.sh tflite)"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "client"))
import numpy as np

from tflite_files import Model, Quant

random = np.random.default_rng(2)


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


def dense(m):
    x = m.input([-1, 4], name="x")
    y = m.op("FULLY_CONNECTED", [x, m.const(normal(3, 4)), m.const(normal(3))], options="FullyConnectedOptions", FusedActivationFunction=1)
    m.out(m.op("SOFTMAX", [y], options="SoftmaxOptions", Beta=1.0))


def picture(m):
    x = m.input([-1, 6, 6, 2])
    y = m.op("CONV_2D", [x, m.const(normal(3, 3, 3, 2)), m.const(normal(3))], options="Conv2DOptions", StrideH=2, StrideW=1)
    z = m.op("DEPTHWISE_CONV_2D", [y, m.const(normal(1, 3, 3, 3)), m.const(normal(3))], options="DepthwiseConv2DOptions", StrideH=1,
             StrideW=1, DepthMultiplier=1, FusedActivationFunction=3)
    s = m.op("ADD", [y, z], options="AddOptions")
    p = m.op("AVERAGE_POOL_2D", [s], options="Pool2DOptions", StrideH=2, StrideW=2, FilterHeight=2, FilterWidth=2)
    m.out(m.op("MEAN", [p, m.const([1, 2])], options="ReducerOptions"))


def grown(m):
    x = m.input([1, 3, 3, 2])
    y = m.op("TRANSPOSE_CONV", [m.const([1, 6, 6, 2]), m.const(normal(2, 3, 3, 2)), x], options="TransposeConvOptions", StrideH=2,
             StrideW=2)
    z = m.op("RESIZE_BILINEAR", [y, m.const([4, 5])], options="ResizeBilinearOptions", HalfPixelCenters=1)
    m.out(m.op("RESIZE_NEAREST_NEIGHBOR", [z, m.const([8, 3])], options="ResizeNearestNeighborOptions"))


def blocks(m):
    x = m.input([-1, 4, 4, 4])
    y = m.op("SPACE_TO_BATCH_ND", [x, m.const([2, 2]), m.const([[0, 0], [1, 1]])])
    y = m.op("BATCH_TO_SPACE_ND", [y, m.const([2, 2]), m.const([[0, 0], [1, 1]])])
    y = m.op("DEPTH_TO_SPACE", [y], options="DepthToSpaceOptions", BlockSize=2)
    m.out(m.op("SPACE_TO_DEPTH", [y], options="SpaceToDepthOptions", BlockSize=2))


def slices(m):
    x = m.input([-1, 4, 5])
    m.out(m.op("STRIDED_SLICE", [x, m.const([0, 1, 4]), m.const([0, 3, 0]), m.const([1, 1, -2])], options="StridedSliceOptions",
               BeginMask=1, EndMask=1, ShrinkAxisMask=2))
    m.out(m.op("SLICE", [x, m.const([0, 1, 2]), m.const([-1, 2, 2])]), m.op("REVERSE_V2", [x, m.const([1])]))
    m.out(m.op("MIRROR_PAD", [x, m.const([[0, 0], [1, 2], [2, 0]])], options="MirrorPadOptions", Mode=1))
    m.out(m.op("PADV2", [x, m.const([[0, 0], [1, 2], [3, 0]]), m.const(1.5)]))


def shapes(m):
    x = m.input([-1, 3, 4])
    s = m.op("SHAPE", [x], "int32", options="ShapeOptions", OutType=2)
    first = m.op("STRIDED_SLICE", [s, m.const([0]), m.const([1]), m.const([1])], "int32", options="StridedSliceOptions",
                 ShrinkAxisMask=1)
    built = m.op("PACK", [first, m.const(12)], "int32", options="PackOptions", ValuesCount=2, Axis=0)
    m.out(m.op("RESHAPE", [x, built]), m.op("TILE", [x, m.const([1, 2, 1])]), m.op("EXPAND_DIMS", [x, m.const(-1)]))
    m.out(*m.op("SPLIT_V", [x, m.const([1, -1]), m.const(2)], n_out=2, options="SplitVOptions", NumSplits=2))
    m.out(*m.op("UNPACK", [x], n_out=3, options="UnpackOptions", Num=3, Axis=1))


def indices(m):
    x, at = m.input([2, 4, 3]), m.input([2, 3], "int32")
    m.out(m.op("GATHER", [x, m.const([1, 0])], options="GatherOptions", Axis=1), m.op("GATHER_ND", [x, m.const([[0, 1], [1, 3]])]))
    m.out(m.op("SCATTER_ND", [m.const([[4], [1], [4]]), m.const(normal(3, 2)), m.const([6, 2])]))
    m.out(m.op("ONE_HOT", [at, m.const(4), m.const(2.0), m.const(-1.0)], options="OneHotOptions", Axis=-1))
    m.out(*m.op("TOPK_V2", [x, m.const(2)], ["float32", "int32"], options="TopKV2Options"))


def elements(m):
    x, y = m.input([-1, 3]), m.input([3])
    m.out(m.op("GELU", [x], options="GeluOptions"), m.op("FLOOR_MOD", [x, y], options="FloorModOptions"))
    less = m.op("LESS", [x, y], "bool")
    m.out(m.op("SELECT_V2", [less, x, y]), m.op("WHERE", [less], "int64"), m.op("PRELU", [x, m.const(normal(3))]))
    m.out(m.op("CAST", [m.op("NOT_EQUAL", [x, y], "bool")], "int32", options="CastOptions", InDataType=6, OutDataType=2))


def reductions(m):
    x = m.input([-1, 3, 4])
    m.out(m.op("ARG_MAX", [x, m.const(1)], "int32", options="ArgMaxOptions", OutputType=2))
    m.out(m.op("CUMSUM", [x, m.const(2)], options="CumsumOptions", Reverse=1), m.op("L2_NORMALIZATION", [x], options="L2NormOptions"))
    m.out(m.op("REDUCE_PROD", [x, m.const([1, -1])], options="ReducerOptions", KeepDims=1))


def lstm(m):
    x = m.input([2, 3, 2])
    w, r, b = [m.const(normal(2, 2)) for _ in range(4)], [m.const(normal(2, 2)) for _ in range(4)], [m.const(normal(2)) for _ in range(4)]
    state = [m.tensor([2, 2], "float32", variable=True) for _ in range(2)]
    m.out(m.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *w, *r, None, None, None, *b, None, None, *state, None, None, None, None],
               options="UnidirectionalSequenceLSTMOptions", FusedActivationFunction=4))


def codes(m):
    q, r = Quant(0.02, 3), Quant(0.05, -128)
    x = m.op("QUANTIZE", [m.input([-1, 5, 5, 2])], "int8", q)
    qw = Quant([0.01, 0.02, 0.03], [0, 0, 0], 0)
    w = m.coded(normal(3, 3, 3, 2), "int8", qw)
    y = m.op("CONV_2D", [x, w, m.bias(normal(3), Quant(q.scale * qw.scale, [0, 0, 0]))], "int8", r, options="Conv2DOptions", StrideH=1,
             StrideW=1, FusedActivationFunction=1)
    m.out(m.op("DEQUANTIZE", [m.op("RESHAPE", [y, m.const([-1, 75])], "int8", r)]), m.op("LOGISTIC", [y], "int8", Quant(1 / 256, -128)))


def sparse(m):
    a = normal(4, 8)
    a[1] = a[:2, :4] = 0
    x = m.input([-1, 8])
    for w in (m.csr(a), m.blocked(a, 2, 4)):
        dense = m.op("DENSIFY", [w], options="DensifyOptions", shape=(4, 8))
        m.out(m.op("BATCH_MATMUL", [x, dense], options="BatchMatMulOptions", AdjY=1))


def halves(m):
    w = m.op("DEQUANTIZE", [m.const(normal(3, 4), "float16")])
    m.out(m.op("FULLY_CONNECTED", [m.input([-1, 4]), w, None], options="FullyConnectedOptions"))


def main():
    folder = os.path.join(HERE, "corpus", "tflite")
    os.makedirs(folder, exist_ok=True)
    for make in (dense, picture, grown, blocks, slices, shapes, indices, elements, reductions, lstm, codes, halves, sparse):
        m = Model()
        make(m)
        with open(os.path.join(folder, make.__name__ + ".tflite"), "wb") as f:
            f.write(m.bytes(("serving_default", ["x"], ["y"]) if make is dense else None))


if __name__ == "__main__":
    main()
