#!/usr/bin/env python3
"""Operators of com.microsoft that ONNX Runtime's optimizers make of transformers, recurrent networks and attention:
random models of one operator each, as `maas run` computes them and as ONNX Runtime does.

    python test_transformers.py PATH_OF_maas [WORD]   # only the cases with WORD in their name
"""
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx_peers import answers_of_ours, answers_of_peer

MAAS, WORD = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
rng = np.random.default_rng(23)
passed = failed = 0
folder = tempfile.mkdtemp(prefix="maas-transformers-")
onnxruntime.set_default_logger_severity(4)


def f32(*shape, lo=-1.0, hi=1.0):
    return rng.uniform(lo, hi, shape).astype(np.float32)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def case(name, op, inputs, outputs=1, domain="com.microsoft", consts=(), opset=21, tolerance=2e-5,
         want=None, first=None, **attributes):
    """`inputs` are {name: array or None} in order; those named in `consts` are initializers. `outputs` are bits. `want`:
    answers where the peer has no code for the operator. `first`: of axis 2 of what has four, only so many count."""
    global passed, failed
    if WORD not in name:
        return
    feeds = {k: v for k, v in inputs.items() if v is not None and k not in consts}
    names = [k if v is not None else "" for k, v in inputs.items()]
    while names and not names[-1]:
        names.pop()
    wanted = [f"y{i}" if outputs >> i & 1 else "" for i in range(8)]
    while not wanted[-1]:
        wanted.pop()
    graph = helper.make_graph(
        [helper.make_node(op, names, wanted, domain=domain, **attributes)], "g",
        [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in feeds.items()],
        [helper.make_tensor_value_info(k, TensorProto.UNDEFINED, None) for k in wanted if k],
        [numpy_helper.from_array(inputs[k], k) for k in consts])
    for o in graph.output:
        whole = op == "EmbedLayerNormalization" and o.name == "y1"
        o.type.tensor_type.elem_type = TensorProto.INT32 if whole else TensorProto.FLOAT
    model = helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)])
    path = os.path.join(folder, "m.onnx")
    onnx.save(model, path)
    problem = ""
    try:
        want = want or answers_of_peer(path, feeds)
    except Exception as e:  # noqa: BLE001 - whatever the peer cannot do proves nothing
        problem = f"ONNX Runtime: {str(e)[-200:]}"
    got = answers_of_ours(MAAS, path, feeds)
    if want is not None and isinstance(got, str):
        problem = got[-300:]
    elif want is not None:
        for k, w in want.items():
            g = got[k]
            if first is not None and w.ndim == 4:
                g, w = g[:, :, :first], w[:, :, :first]
            if g.shape != w.shape:
                problem += f"{k} is {g.shape}, expected {w.shape}; "
            elif w.size and not np.max(np.abs(g - w)) <= tolerance * (1 + np.max(np.abs(w))):
                problem += f"{k} is off by {np.max(np.abs(g - w))}; "
    passed, failed = passed + (not problem), failed + bool(problem)
    print(("not ok " if problem else "ok ") + name + (f": {problem}" if problem else ""))


def elements():
    x, b = f32(2, 3, 8, lo=-3, hi=3), f32(8)
    case("Gelu", "Gelu", {"x": x})
    case("BiasGelu", "BiasGelu", {"x": x, "b": b})
    case("FastGelu", "FastGelu", {"x": x})
    case("FastGelu with bias", "FastGelu", {"x": x, "b": b})
    case("QuickGelu", "QuickGelu", {"x": x})
    case("QuickGelu alpha", "QuickGelu", {"x": x}, alpha=1.5)
    skip, wide, mask = f32(2, 3, 8), f32(2, 3, 4, 5), f32(2, 1, 1, 5)
    case("BiasAdd", "BiasAdd", {"x": x, "b": b, "skip": skip}, want={"y0": x + b + skip})
    case("BiasSoftmax", "BiasSoftmax", {"x": wide, "b": mask}, axis=3, is_inner_broadcast=1, want={"y0": softmax(wide + mask)})


def norms():
    x, skip, scale, beta, bias = f32(2, 3, 16), f32(2, 3, 16), f32(16), f32(16), f32(16)
    case("SimplifiedLayerNormalization", "SimplifiedLayerNormalization", {"x": x, "s": scale}, domain="", epsilon=1e-6,
         axis=-1, stash_type=1)
    for k, b in (("", None), (" with bias", bias)):
        for out in (1, 9):
            case(f"SkipLayerNormalization{k} {out}", "SkipLayerNormalization",
                 {"x": x, "skip": skip, "s": scale, "beta": beta, "b": b}, out, epsilon=1e-5)
            case(f"SkipSimplifiedLayerNormalization{k} {out}", "SkipSimplifiedLayerNormalization",
                 {"x": x, "skip": skip, "s": scale, "b": b}, out, epsilon=1e-5)
    case("SkipLayerNormalization without beta", "SkipLayerNormalization", {"x": x, "skip": skip, "s": scale}, epsilon=1e-5)
    ids = rng.integers(0, 7, (2, 5)).astype(np.int32)
    parts = {"ids": ids, "segments": rng.integers(0, 2, (2, 5)).astype(np.int32), "words": f32(7, 16), "places": f32(9, 16),
             "kinds": f32(2, 16), "s": scale, "beta": beta}
    parts["mask"] = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
    case("EmbedLayerNormalization", "EmbedLayerNormalization", parts, 7, epsilon=1e-6)
    case("EmbedLayerNormalization without segments", "EmbedLayerNormalization",
         {**parts, "segments": None, "kinds": None}, 3, epsilon=1e-6)
    case("GroupNormalization of opset 18", "GroupNormalization", {"x": f32(2, 6, 3, 5), "s": f32(3), "b": f32(3)},
         domain="", opset=18, num_groups=3, epsilon=1e-3)


def products():
    for ta in (0, 1):
        for tb in (0, 1):
            a = f32(2, 5, 3) if ta else f32(2, 3, 5)
            b = f32(4, 5) if tb else f32(5, 4)
            case(f"FusedMatMul {ta}{tb}", "FusedMatMul", {"a": a, "b": b}, transA=ta, transB=tb, alpha=0.5)
    for act, more in (("Relu", {}), ("LeakyRelu", {"activation_alpha": 0.3}), ("Tanh", {}), ("Sigmoid", {}),
                      ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.6})):
        case(f"FusedGemm {act}", "FusedGemm", {"a": f32(3, 5), "b": f32(4, 5), "c": f32(4)}, transB=1, alpha=1.5,
             activation=act, **more)


def attention():
    masks = {"none": None, "keys": np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32), "lengths": np.array([3, 5], np.int32),
             "queries": rng.integers(0, 2, (2, 5, 5)).astype(np.int32) | np.eye(5, dtype=np.int32)}
    for name, mask in masks.items():
        for causal in (0, 1):
            case(f"Attention mask {name} causal {causal}", "Attention",
                 {"x": f32(2, 5, 12), "w": f32(12, 36), "b": f32(36), "mask": mask}, num_heads=3, unidirectional=causal)
    case("Attention bias", "Attention", {"x": f32(2, 5, 12), "w": f32(12, 36), "b": f32(36), "m": None, "p": None,
                                         "bias": f32(2, 3, 5, 5)}, num_heads=3, scale=0.7)
    case("Attention past", "Attention", {"x": f32(2, 2, 12), "w": f32(12, 36), "b": f32(36), "m": None,
                                         "past": f32(2, 2, 3, 4, 4)}, 3, num_heads=3, unidirectional=1)
    case("Attention sizes", "Attention", {"x": f32(2, 5, 12), "w": f32(12, 6 + 6 + 9), "b": f32(21)}, num_heads=3,
         qkv_hidden_sizes=[6, 6, 9])
    q, k, v = f32(2, 4, 12), f32(2, 6, 12), f32(2, 6, 12)
    pad = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], np.int32)
    case("MultiHeadAttention", "MultiHeadAttention", {"q": q, "k": k, "v": v}, num_heads=3)
    case("MultiHeadAttention bias", "MultiHeadAttention", {"q": q, "k": k, "v": v, "b": f32(36)}, num_heads=3)
    case("MultiHeadAttention padding", "MultiHeadAttention", {"q": q, "k": k, "v": v, "b": None, "pad": pad}, num_heads=3)
    case("MultiHeadAttention lengths", "MultiHeadAttention",
         {"q": q, "k": k, "v": v, "b": None, "pad": np.array([2, 6], np.int32)}, num_heads=3)
    case("MultiHeadAttention scores", "MultiHeadAttention",
         {"q": q, "k": k, "v": v, "b": None, "pad": pad, "more": f32(1, 3, 4, 6)}, num_heads=3, scale=0.4)
    packed = f32(2, 4, 3, 3, 4)
    a, b, c = packed.transpose(3, 0, 2, 1, 4)
    y = softmax(a @ b.transpose(0, 1, 3, 2) / 2) @ c
    case("MultiHeadAttention packed", "MultiHeadAttention", {"q": packed}, num_heads=3,
         want={"y0": y.transpose(0, 2, 1, 3).reshape(2, 4, 12)})
    case("MultiHeadAttention past", "MultiHeadAttention",
         {"q": f32(2, 2, 12), "k": f32(2, 2, 12), "v": f32(2, 2, 12), "b": None, "pad": None, "more": None,
          "pk": f32(2, 3, 5, 4), "pv": f32(2, 3, 5, 4)}, 7, num_heads=3, unidirectional=1)


def grouped():
    heads, kv, d = 4, 2, 16
    turn = np.arange(32)[:, None] / 10000 ** (np.arange(d // 2) / (d // 2))
    cos, sin = np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)
    for rotary in (0, 1):
        for window in (-1, 3):
            for steps, past, length in ((5, 0, 5), (1, 6, 7), (3, 4, 7), (1, 16, 7)):
                n = 1 if steps > 1 and past else 2
                inputs = {"q": f32(n, steps, heads * d), "k": f32(n, steps, kv * d), "v": f32(n, steps, kv * d),
                          "pk": f32(n, kv, past, d) if past else None, "pv": f32(n, kv, past, d) if past else None,
                          "last": np.array([length - 1] * n, np.int32), "total": np.array([length], np.int32),
                          "cos": cos if rotary else None, "sin": sin if rotary else None}
                # what a longer buffer holds behind the last key means nothing
                case(f"GroupQueryAttention steps {steps} past {past} rotary {rotary} window {window}", "GroupQueryAttention",
                     inputs, 7, first=length, num_heads=heads, kv_num_heads=kv, do_rotary=rotary, local_window_size=window)
    case("GroupQueryAttention packed", "GroupQueryAttention",
         {"q": f32(2, 3, (heads + 2 * kv) * d), "k": None, "v": None, "pk": None, "pv": None,
          "last": np.array([2, 2], np.int32), "total": np.array([3], np.int32)}, 7, num_heads=heads, kv_num_heads=kv,
         softcap=5.0)
    for shape in ((2, 3, 64), (2, 4, 3, 16)):
        for interleaved in (0, 1):
            for name, ids in (("all", np.array([2], np.int64)), ("each", np.array([[0, 1, 2], [4, 5, 6]], np.int64))):
                case(f"RotaryEmbedding {len(shape)}d interleaved {interleaved} {name}", "RotaryEmbedding",
                     {"x": f32(*shape), "ids": ids, "cos": cos, "sin": sin}, interleaved=interleaved, num_heads=4)


def recurrent():
    lens = np.array([3, 5], np.int32)
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        for direction, d in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            for extra in range(4):
                inputs = {"x": f32(5, 2, 7), "w": f32(d, gates * 9, 7), "r": f32(d, gates * 9, 9),
                          "b": f32(d, 2 * gates * 9) if extra else None, "lens": lens if extra & 1 else None,
                          "h": f32(d, 2, 9) if extra > 1 else None}
                if op == "LSTM":
                    inputs |= {"c": f32(d, 2, 9) if extra > 1 else None, "p": f32(d, 27) if extra == 3 else None}
                more = {"linear_before_reset": extra & 1} if op == "GRU" else {}
                for fixed in ((), ("w", "r")):
                    case(f"{op} {direction} {extra} {'constant' if fixed else 'computed'}", op, inputs,
                         7 if op == "LSTM" else 3, "", fixed, 14, direction=direction, hidden_size=9, **more)
    case("LSTM of other activations", "LSTM", {"x": f32(5, 2, 7), "w": f32(1, 36, 7), "r": f32(1, 36, 9)}, 7, "", (), 14,
         hidden_size=9, activations=["HardSigmoid", "Softsign", "Relu"], activation_alpha=[0.3], activation_beta=[0.4])


def standard():
    for heads, kv in ((4, 4), (4, 2)):
        for causal in (0, 1):
            q, k, v = f32(2, 5, heads * 8), f32(2, 5, kv * 8), f32(2, 5, kv * 8)
            for name, mask in (("none", None), ("floats", f32(5, 5)), ("bools", rng.random((2, 1, 5, 5)) < 0.8)):
                case(f"attention of opset 23, heads {heads} {kv} causal {causal} mask {name}", "Attention",
                     {"q": q, "k": k, "v": v, "m": mask}, 1, "", (), 23, is_causal=causal, q_num_heads=heads,
                     kv_num_heads=kv)
    for equation, shapes in (("ij,jk->ik", ((3, 4), (4, 5))), ("bhqd,bhkd->bhqk", ((2, 3, 4, 5), (2, 3, 6, 5))),
                             ("...ij,...kj->...ik", ((2, 3, 4), (2, 5, 4))), ("ii->i", ((4, 4),)), ("ij,j", ((3, 4), (4,))),
                             ("bqhd,bkhd->bhqk", ((2, 3, 4, 5), (2, 6, 4, 5))), ("i,j,k->kji", ((2,), (3,), (4,)))):
        case(f"Einsum {equation}", "Einsum", {f"x{i}": f32(*s) for i, s in enumerate(shapes)}, 1, "", (), 13,
             equation=equation)


def convolutions():
    x, w, b = f32(2, 3, 7, 6), f32(4, 3, 3, 3), f32(4)
    for activation, params in (("Relu", None), ("Sigmoid", None), ("Tanh", None), ("LeakyRelu", [0.2]),
                               ("Clip", [-0.5, 0.75]), ("HardSigmoid", [0.3, 0.4])):
        extra = {"activation_params": params} if params else {}
        for z in (None, f32(2, 4, 7, 6)):
            case(f"FusedConv {activation} {z is not None}", "FusedConv", {"x": x, "w": w, "b": b, "z": z},
                 consts=("w", "b"), pads=[1, 1, 1, 1], activation=activation, **extra)


for part in (convolutions, elements, norms, products, attention, grouped, recurrent, standard):
    part()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
