"""Writes .tflite files operator by operator, with the schema's own names and field numbers (packages tflite and
flatbuffers): what tests/client/test_tflite.py compares, and what the corpus of the fuzz target is made from."""
import importlib

import flatbuffers
import numpy as np

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9, "float64": 10}


def schema(name):
    return importlib.import_module("tflite." + name)


def enum(of, name):
    return getattr(getattr(schema(of), of), name)


def table(b, name, **fields):
    """A table of scalars and of what is already written (offsets)."""
    s = schema(name)
    getattr(s, name + "Start")(b)
    for field, value in fields.items():
        if value is not None:
            getattr(s, name + "Add" + field)(b, value)
    return getattr(s, name + "End")(b)


def vector(b, values, kind):
    """Numbers, or offsets (kind None)."""
    values = list(values)
    size, put = {"i4": (4, b.PrependInt32), "i8": (8, b.PrependInt64), "f4": (4, b.PrependFloat32),
                 None: (4, b.PrependUOffsetTRelative)}[kind]
    b.StartVector(size, len(values), size)
    for v in reversed(values):
        put(v)
    return b.EndVector()


class Quant:
    def __init__(self, scale, zero=0, axis=0):
        self.scale, self.zero, self.axis = np.atleast_1d(np.float32(scale)), np.atleast_1d(np.int64(zero)), axis

    def shaped(self, v, rank):
        if len(v) == 1:
            return v[0]
        return v.reshape([-1 if i == self.axis else 1 for i in range(rank)])

    def codes(self, x, dtype):
        info = np.iinfo(dtype)
        q = np.rint(x / self.shaped(self.scale, x.ndim)) + self.shaped(self.zero, x.ndim)
        return np.clip(q, info.min, info.max).astype(dtype)

    def numbers(self, q):
        return ((q.astype(np.int64) - self.shaped(self.zero, q.ndim)) * self.shaped(self.scale, q.ndim)).astype(np.float32)


class Model:
    """real: the same net without quantization, from the numbers that codes stand for."""

    def __init__(self, real=False):
        self.real = real
        self.tensors, self.ops, self.ins, self.outs, self.buffers = [], [], [], [], [b""]
        self.used, self.lo, self.hi, self.sparse = set(), {}, {}, {}

    def tensor(self, shape, dtype, quant=None, name=None, data=None, signature=None, variable=False):
        if data is not None:
            self.buffers.append(data)
        name = f"t{len(self.tensors)}" if name is None else name
        self.tensors.append((list(shape), np.dtype(dtype).name, quant, name, len(self.buffers) - 1 if data is not None else 0,
                             signature, variable))
        return len(self.tensors) - 1

    def input(self, shape, dtype="float32", quant=None, name=None, lo=-2, hi=2):
        """-1: open in the signature, 1 in the shape, as the converter writes it."""
        if self.real and quant:
            dtype, quant = "float32", None
        open_ = any(d < 0 for d in shape)
        i = self.tensor([1 if d < 0 else d for d in shape], dtype, quant, name or f"in{len(self.ins)}",
                        signature=list(shape) if open_ else None)
        self.lo[i], self.hi[i] = lo, hi
        self.ins.append(i)
        return i

    def const(self, a, dtype=None, quant=None):
        a = np.asarray(a)
        if self.real and quant:
            a, dtype, quant = quant.numbers(a), "float32", None
        a = a.astype(dtype or {"float64": "float32", "int64": "int32"}.get(a.dtype.name, a.dtype.name))
        return self.tensor(a.shape, a.dtype, quant, data=a.tobytes())

    def coded(self, x, dtype, quant):
        """A constant of codes for real numbers."""
        return self.const(quant.codes(np.asarray(x, np.float32), dtype), quant=quant)

    def csr(self, a):
        """A constant of two dimensions without its zeros: rows are dense, columns compressed."""
        found = [np.flatnonzero(row) for row in a]
        values = np.concatenate([row[at] for row, at in zip(a, found)])
        i = self.tensor(a.shape, a.dtype, data=values.astype(a.dtype).tobytes())
        self.sparse[i] = ([0, 1], [], [("dense", a.shape[0]), ("csr", np.cumsum([0] + [len(at) for at in found]), np.concatenate(found))])
        return i

    def blocked(self, a, high, wide):
        """The same of blocks: those that have a number other than zero are there as a whole."""
        rows, columns = a.shape[0] // high, a.shape[1] // wide
        cut = a.reshape(rows, high, columns, wide).transpose(0, 2, 1, 3)
        found = [[c for c in range(columns) if np.any(cut[r, c])] for r in range(rows)]
        values = np.concatenate([cut[r, c].ravel() for r in range(rows) for c in found[r]])
        i = self.tensor(a.shape, a.dtype, data=values.astype(a.dtype).tobytes())
        self.sparse[i] = ([0, 1, 2, 3], [0, 1], [("dense", rows), ("csr", np.cumsum([0] + [len(f) for f in found]), sum(found, [])),
                                                 ("dense", high), ("dense", wide)])
        return i

    def bias(self, x, quant, dtype="int32"):
        """Codes of the scale that products have; without their zero points."""
        return self.const(np.rint(x / quant.scale).astype(dtype), dtype, quant)

    def op(self, name, ins, dtype="float32", quant=None, options=None, n_out=1, shape=(), custom=None, **fields):
        """Numbers of its outputs, or the one; options: "Conv2DOptions" with fields."""
        if self.real and quant:
            dtype, quant = "float32", None
        dtypes = dtype if isinstance(dtype, (list, tuple)) else [dtype] * n_out
        outs = [self.tensor(shape, d, quant) for d in dtypes]
        self.ops.append((name, [-1 if i is None else i for i in ins], outs, options, fields, custom))
        self.used.add(name)
        return outs[0] if len(outs) == 1 else outs

    def out(self, *tensors):
        self.outs += tensors
        return self

    # ---- bytes ----

    def write_quant(self, b, q):
        if q is None:
            return None
        scale, zero = vector(b, q.scale, "f4"), vector(b, q.zero, "i8")
        return table(b, "QuantizationParameters", Scale=scale, ZeroPoint=zero, QuantizedDimension=q.axis)

    def write_level(self, b, level):
        if level[0] == "dense":
            return table(b, "DimensionMetadata", Format=0, DenseSize=int(level[1]))
        segments, indices = [table(b, "Int32Vector", Values=vector(b, v, "i4")) for v in level[1:]]
        return table(b, "DimensionMetadata", Format=1, ArraySegmentsType=1, ArraySegments=segments, ArrayIndicesType=1,
                     ArrayIndices=indices)

    def write_sparsity(self, b, order, blocks, levels):
        o, m = vector(b, order, "i4"), vector(b, blocks, "i4") if blocks else None
        levels = vector(b, [self.write_level(b, level) for level in levels], None)
        return table(b, "SparsityParameters", TraversalOrder=o, BlockMap=m, DimMetadata=levels)

    def write_tensor(self, b, t, number):
        p = self.write_sparsity(b, *self.sparse[number]) if number in self.sparse else None
        shape, dtype, quant, name, buffer, signature, variable = t
        s = vector(b, shape, "i4")
        g = vector(b, signature, "i4") if signature else None
        n, q = b.CreateString(name), self.write_quant(b, quant)
        return table(b, "Tensor", Shape=s, Type=TYPES[dtype], Buffer=buffer, Name=n, Quantization=q, ShapeSignature=g,
                     IsVariable=variable or None, Sparsity=p)

    def write_op(self, b, op, codes):
        name, ins, outs, options, fields, custom = op
        i, o = vector(b, ins, "i4"), vector(b, outs, "i4")
        fields = {k: vector(b, v, "i4") if isinstance(v, (list, tuple)) else v for k, v in fields.items()}
        at = table(b, options, **fields) if options else None
        kind = enum("BuiltinOptions", options) if options else None
        return table(b, "Operator", OpcodeIndex=codes.index((name, custom)), Inputs=i, Outputs=o, BuiltinOptionsType=kind,
                     BuiltinOptions=at)

    def write_buffer(self, b, data):
        if not data:
            return table(b, "Buffer")
        b.StartVector(1, len(data), 16)
        b.head = b.head - len(data)
        b.Bytes[b.head:b.head + len(data)] = data
        return table(b, "Buffer", Data=b.EndVector())

    def write_code(self, b, name, custom):
        code = enum("BuiltinOperator", name)
        c = b.CreateString(custom) if custom else None
        return table(b, "OperatorCode", DeprecatedBuiltinCode=min(code, 127), BuiltinCode=code, CustomCode=c,
                     Version=VERSIONS.get(name, 1))

    def write_names(self, b, tensors, names):
        maps = []
        for i, name in zip(tensors, names):
            n = b.CreateString(name)
            maps.append(table(b, "TensorMap", Name=n, TensorIndex=i))
        return vector(b, maps, None)

    def bytes(self, signature=None):
        """signature: (key, names of inputs, names of outputs)"""
        b = flatbuffers.Builder(1024)
        codes = sorted({(op[0], op[5]) for op in self.ops}, key=str)
        tensors = vector(b, [self.write_tensor(b, t, i) for i, t in enumerate(self.tensors)], None)
        ops = vector(b, [self.write_op(b, op, codes) for op in self.ops], None)
        ins, outs = vector(b, self.ins, "i4"), vector(b, self.outs, "i4")
        graph = vector(b, [table(b, "SubGraph", Tensors=tensors, Inputs=ins, Outputs=outs, Operators=ops)], None)
        buffers = vector(b, [self.write_buffer(b, d) for d in self.buffers], None)
        kinds = vector(b, [self.write_code(b, *c) for c in codes], None)
        signed = None
        if signature:
            key = b.CreateString(signature[0])
            i, o = self.write_names(b, self.ins, signature[1]), self.write_names(b, self.outs, signature[2])
            signed = vector(b, [table(b, "SignatureDef", SignatureKey=key, Inputs=i, Outputs=o, SubgraphIndex=0)], None)
        text = b.CreateString("made by tests/client/tflite_files.py")
        root = table(b, "Model", Version=3, OperatorCodes=kinds, Subgraphs=graph, Description=text, Buffers=buffers,
                     SignatureDefs=signed)
        b.Finish(root, file_identifier=b"TFL3")
        return bytes(b.Output())


# Versions of operators that a newer feature needs; LiteRT refuses some types under version 1.
VERSIONS = {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 5, "FULLY_CONNECTED": 9, "GATHER": 5, "BATCH_MATMUL": 4, "STRIDED_SLICE": 4, "BROADCAST_TO": 2,
            "RESIZE_BILINEAR": 3, "RESIZE_NEAREST_NEIGHBOR": 3, "TRANSPOSE_CONV": 3, "UNIDIRECTIONAL_SEQUENCE_LSTM": 1}
