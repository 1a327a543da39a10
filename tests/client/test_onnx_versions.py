#!/usr/bin/env python3
"""Operators in every form they had since opset 7, against ONNX Runtime.

usage: test_onnx_versions.py RUNNER [--keep FOLDER] [OPERATOR...]      RUNNER is build/tests/conformance/onnx_conformance

Each node test of the newest package `onnx` is written again for every older schema of its operator that can say the same:
attributes and inputs that the schema does not have are moved (MOVED) or left out where they say the default. ONNX Runtime
answers the old model; where it has no such kernel, onnx.reference does, and where that has none, the answer of the newest
form stands. What the old forms alone can say is in EXTRA. Exceptions, with reasons: tests/client/onnx_versions_unsupported.txt.
"""
import collections
import os
import subprocess
import sys
import tempfile
import warnings

OLDEST = 7
RANDOM = {"Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"}

# Operator, first opset that has the input: (input, attribute, kind). Before it, the attribute says it.
REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"]
MOVED = {
    **{"Reduce" + name: [(18, 1, "axes", "ints")] for name in REDUCTIONS},
    "ReduceSum": [(13, 1, "axes", "ints")],
    "Squeeze": [(13, 1, "axes", "ints")],
    "Unsqueeze": [(13, 1, "axes", "ints")],
    "Split": [(13, 1, "split", "ints")],
    "Slice": [(10, 3, "axes", "ints"), (10, 2, "ends", "ints"), (10, 1, "starts", "ints")],
    "Pad": [(11, 2, "value", "float"), (11, 1, "pads", "ints")],
    "Clip": [(11, 2, "max", "float"), (11, 1, "min", "float")],
    "TopK": [(10, 1, "k", "int")],
    "Dropout": [(12, 1, "ratio", "float")],
    "DFT": [(20, 2, "axis", "int")],
    "Upsample": [(9, 1, "scales", "floats")],
}


def schemas_by_operator():
    import onnx.defs

    found = collections.defaultdict(list)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain in ("", "ai.onnx.ml") and not schema.deprecated:
            found[schema.domain, schema.name].append(schema)
    return {key: sorted(rows, key=lambda s: s.since_version) for key, rows in found.items()}


def older_versions(rows, newest):
    """(schema, opset): each form below `newest`, at the last opset that has it."""
    versions = [s.since_version for s in rows]
    for i, schema in enumerate(rows):
        last = versions[i + 1] - 1 if i + 1 < len(versions) else schema.since_version
        if schema.since_version >= newest or (schema.domain == "" and last < OLDEST):
            continue
        yield schema, max(schema.since_version, OLDEST) if schema.domain == "" else schema.since_version


def move_inputs(node, values, opset):
    """Inputs that were attributes at this opset; None when the old form cannot say it."""
    from onnx import helper

    inputs, attributes = list(node.input), {}
    for since, at, name, kind in MOVED.get(node.op_type, []):
        if opset >= since or at >= len(inputs):
            continue
        text = inputs[at]
        if at != len(inputs) - 1:
            return None
        inputs.pop()
        if not text:
            continue
        if text not in values:
            return None
        number = values[text].reshape(-1).tolist()
        if not number:
            return None
        attributes[name] = number if kind in ("ints", "floats") else number[0]
        if kind in ("float", "floats"):
            attributes[name] = [float(v) for v in number] if kind == "floats" else float(number[0])
    while inputs and not inputs[-1]:
        inputs.pop()
    return inputs, [helper.make_attribute(k, v) for k, v in attributes.items()]


def fitting_attributes(node, schema, newest):
    """Attributes that the old schema knows; None when one that it does not know says something."""
    from onnx import helper

    kept = []
    for attribute in node.attribute:
        if attribute.name in schema.attributes:
            kept.append(attribute)
            continue
        default = newest.attributes[attribute.name].default_value
        if not default.name or helper.get_attribute_value(default) != helper.get_attribute_value(attribute):
            return None
    return kept


def types_fit(schema, kinds, names, rows):
    """Do these element types go with the schema's rows of inputs or outputs?"""
    allowed = {t.type_param_str: set(t.allowed_type_strs) for t in schema.type_constraints}
    for i, name in enumerate(names):
        row = rows[min(i, len(rows) - 1)]
        if i >= len(rows) and row.option.name != "Variadic":
            return False
        if name and kinds[name] not in allowed.get(row.type_str, {row.type_str}):
            return False
    return True


def type_text(value_info):
    from onnx import TensorProto

    if not value_info.type.HasField("tensor_type"):
        return None
    name = TensorProto.DataType.Name(value_info.type.tensor_type.elem_type).lower()
    return f"tensor({name})"


def old_model(case, schema, newest, opset):
    """The model of a node test with the schema's form of its operator; None where there is none."""
    from onnx import helper

    graph = case.model.graph
    node = graph.node[0]
    kinds = {v.name: type_text(v) for v in [*graph.input, *graph.output]}
    if None in kinds.values():
        return None
    values = {v.name: as_array(x) for v, x in zip(graph.input, case.data_sets[0][0])}
    moved = move_inputs(node, values, opset)
    attributes = fitting_attributes(node, schema, newest)
    if moved is None or attributes is None:
        return None
    inputs, more = moved
    if any(a.name not in schema.attributes for a in more) or len(inputs) < schema.min_input:
        return None
    if not types_fit(schema, kinds, inputs, schema.inputs) or not types_fit(schema, kinds, node.output, schema.outputs):
        return None
    old = helper.make_node(node.op_type, inputs, list(node.output), domain=node.domain)
    old.attribute.extend([*attributes, *more])
    named = [v for v in graph.input if v.name in inputs]
    imports = [helper.make_opsetid(node.domain, opset)]
    if node.domain:
        imports.append(helper.make_opsetid("", 15))
    new_graph = helper.make_graph([old], "old", named, list(graph.output))
    return helper.make_model(new_graph, opset_imports=imports, ir_version=min(case.model.ir_version, 10))


def answers(model, feeds, fallback):
    """What the peers say the model means, and who said it."""
    import onnxruntime
    from onnx.reference import ReferenceEvaluator

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, feeds), "onnxruntime"
    except Exception:  # its exceptions have no common class; any of them means: no answer from here
        pass
    try:
        return ReferenceEvaluator(model).run(None, feeds), "reference"
    except Exception:
        return fallback, "newest"


def as_declared(model, results):
    """Element types that NumPy has not, which a peer hands out as bytes."""
    from onnx import helper

    typed = []
    for info, value in zip(model.graph.output, results):
        kind = info.type.tensor_type.elem_type
        want = helper.tensor_dtype_to_np_dtype(kind) if kind else None
        same = want is not None and want != object and getattr(value, "dtype", want) != want
        typed.append(value.view(want) if same and value.dtype.itemsize == want.itemsize else value)
    return typed


def one_node(op, opset, feeds, outputs, stored=(), **attributes):
    """A model of one node over NumPy arrays; outputs: how many; stored: which inputs are part of the model."""
    import numpy as np
    from onnx import helper, numpy_helper

    names = [f"in{i}" if x is not None else "" for i, x in enumerate(feeds)]
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(np.asarray(x).dtype), np.asarray(x).shape)
        for i, (n, x) in enumerate(zip(names, feeds))
        if x is not None and i not in stored
    ]
    made = [f"out{i}" for i in range(outputs)]
    node = helper.make_node(op, names, made, **attributes)
    infos = [helper.make_empty_tensor_value_info(n) for n in made]
    kept = [numpy_helper.from_array(np.asarray(feeds[i]), names[i]) for i in stored]
    graph = helper.make_graph([node], "extra", inputs, infos, initializer=kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)
    return model, {i.name: np.asarray(feeds[names.index(i.name)]) for i in inputs}


def extra_cases():
    """What only old forms say: (name, model, feeds)."""
    import numpy as np

    rng = np.random.default_rng(7)
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    flat = rng.standard_normal((4, 6)).astype(np.float32)
    per = [np.abs(rng.standard_normal(3)).astype(np.float32) + 0.5 for _ in range(4)]
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for opset in (7, 11, 12):
            yield f"{op}_{opset}_default", *one_node(op, opset, [x], 1)
            yield f"{op}_{opset}_axis2", *one_node(op, opset, [x], 1, axis=2)
            yield f"{op}_{opset}_negative", *one_node(op, opset, [x], 1, axis=-2)
            yield f"{op}_{opset}_axis0", *one_node(op, opset, [x], 1, axis=0)
    for opset in (7, 9, 13):
        yield f"BatchNormalization_{opset}", *one_node("BatchNormalization", opset, [x, *per], 1, epsilon=1e-3)
    yield "BatchNormalization_7_spatial", *one_node("BatchNormalization", 7, [x, *per], 1, spatial=1)
    for opset in (7, 10, 11):
        yield f"Dropout_{opset}", *one_node("Dropout", opset, [x], 1, ratio=0.3)
    yield "Dropout_10_mask", *one_node("Dropout", 10, [x], 2)
    yield "Dropout_7_mask", *one_node("Dropout", 7, [x], 2)
    for opset in (7, 10):
        yield f"Clip_{opset}_both", *one_node("Clip", opset, [x], 1, min=-0.5, max=0.5)
        yield f"Clip_{opset}_low", *one_node("Clip", opset, [x], 1, min=-0.5)
        yield f"Clip_{opset}_none", *one_node("Clip", opset, [x], 1)
    for mode in ("constant", "reflect", "edge"):
        yield f"Pad_10_{mode}", *one_node("Pad", 10, [x], 1, mode=mode, pads=[0, 0, 1, 2, 0, 0, 1, 3], value=1.5)
    yield "Pad_7_crop", *one_node("Pad", 7, [x], 1, pads=[0, 0, -1, 2, 0, 1, 0, -1])
    yield "Pad_11", *one_node("Pad", 11, [flat, np.array([1, 0, 0, 2])], 1)
    yield "Slice_9", *one_node("Slice", 9, [x], 1, starts=[1, -3], ends=[100, -1], axes=[2, 3])
    yield "Slice_7_all", *one_node("Slice", 7, [flat], 1, starts=[1, 2], ends=[3, 5])
    for opset in (7, 10, 11, 24):
        k = [] if opset < 10 else [np.array([3])]
        more = {"k": 3} if opset < 10 else {}
        yield f"TopK_{opset}", *one_node("TopK", opset, [flat, *k], 2, axis=0, **more)
    for opset in (7, 9):
        scales = [1.0, 1.0, 2.0, 3.0]
        inputs = [x] if opset < 9 else [x, np.array(scales, np.float32)]
        more = {"scales": scales} if opset < 9 else {}
        yield f"Upsample_{opset}_nearest", *one_node("Upsample", opset, inputs, 1, mode="nearest", **more)
        yield f"Upsample_{opset}_linear", *one_node("Upsample", opset, inputs, 1, mode="linear", **more)
    for opset in (10, 11):
        for way, scales in (("up", [1, 1, 1.5, 2.25]), ("down", [1, 1, 0.6, 0.5])):
            scales = np.array(scales, np.float32)
            inputs = [x, scales] if opset < 11 else [x, np.array([], np.float32), scales]
            for mode in ("nearest", "linear"):
                model = one_node("Resize", opset, inputs, 1, stored=range(1, len(inputs)), mode=mode)
                yield f"Resize_{opset}_{mode}_{way}", *model
    regions = np.array([[0, 0, 0, 3, 2], [1, 1, 1, 4, 3]], np.float32)
    yield "GlobalLpPool_7", *one_node("GlobalLpPool", 7, [x], 1, p=3)
    yield "MaxRoiPool_7", *one_node("MaxRoiPool", 7, [x, regions], 1, pooled_shape=[2, 2])
    at = np.array([[0, 2, 1], [1, 0, 2]])
    data = rng.standard_normal((3, 3)).astype(np.float32)
    update = rng.standard_normal((2, 3)).astype(np.float32)
    for op, opset in (("Scatter", 9), ("Scatter", 10), ("ScatterElements", 11), ("ScatterElements", 16)):
        yield f"{op}_{opset}", *one_node(op, opset, [data, at, update], 1, axis=0)
    for opset in (7, 11, 13):
        yield f"Flatten_{opset}", *one_node("Flatten", opset, [x], 1, axis=2)
        yield f"Concat_{opset}", *one_node("Concat", opset, [x, x], 1, axis=1)
        yield f"Gemm_{opset}", *one_node("Gemm", opset, [flat, flat.T, flat[:, :4]], 1, alpha=0.5, beta=2.0)
        yield f"ArgMax_{opset}", *one_node("ArgMax", opset, [x], 1, axis=2, keepdims=0)
        yield f"Gather_{opset}", *one_node("Gather", opset, [x, np.array([0, 2])], 1, axis=1)
        yield f"MaxPool_{opset}", *one_node("MaxPool", opset, [x], 1, kernel_shape=[2, 3], strides=[2, 1], auto_pad="SAME_UPPER")
        yield f"AveragePool_{opset}", *one_node("AveragePool", opset, [x], 1, kernel_shape=[2, 3], pads=[1, 1, 0, 1])
    for opset in (7, 11, 12):
        yield f"Split_{opset}_equal", *one_node("Split", opset, [flat], 2, axis=0)
        yield f"Split_{opset}_sizes", *one_node("Split", opset, [flat], 2, axis=1, split=[4, 2])
        yield f"ReduceSum_{opset}", *one_node("ReduceSum", opset, [x], 1, axes=[1, 3], keepdims=0)
        yield f"ReduceSum_{opset}_all", *one_node("ReduceSum", opset, [x], 1)
        yield f"Squeeze_{opset}", *one_node("Squeeze", opset, [x[:1]], 1, axes=[0])
        yield f"Unsqueeze_{opset}", *one_node("Unsqueeze", opset, [x], 1, axes=[0, 3])
        yield f"Cast_{opset}", *one_node("Cast", opset, [x * 3], 1, to=7)
    for opset in (8, 9, 12, 13):
        yield f"Expand_{opset}", *one_node("Expand", opset, [flat, np.array([2, 1, 6])], 1)
        yield f"Where_{max(opset, 9)}_{opset}", *one_node("Where", max(opset, 9), [flat > 0, flat, -flat], 1)
    for opset in (7, 8, 12, 13):
        for op in ("Max", "Min", "Sum", "Mean"):
            feeds = [flat, flat * 2] if opset < 8 else [flat, flat[:1], flat[:, :1]]
            yield f"{op}_{opset}", *one_node(op, opset, feeds, 1)
    for opset in (7, 14):
        weights = [rng.standard_normal(s).astype(np.float32) * 0.3 for s in ((1, 12, 2), (1, 12, 3), (1, 24))]
        sequence = rng.standard_normal((4, 2, 2)).astype(np.float32)
        yield f"LSTM_{opset}", *one_node("LSTM", opset, [sequence, *weights], 3, hidden_size=3)
        weights = [rng.standard_normal(s).astype(np.float32) * 0.3 for s in ((1, 9, 2), (1, 9, 3), (1, 18))]
        yield f"GRU_{opset}", *one_node("GRU", opset, [sequence, *weights], 2, hidden_size=3)


def write_case(folder, model, feeds, results):
    from onnx import numpy_helper
    import numpy as np

    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data)
    with open(os.path.join(folder, "model.onnx"), "wb") as file:
        file.write(model.SerializeToString())
    half = any(np.asarray(x).dtype.itemsize == 2 and np.asarray(x).dtype.kind not in "iu" for x in feeds.values())
    largest = max([1.0] + [float(np.nanmax(np.abs(r))) for r in results if np.asarray(r).dtype == np.float32 and np.size(r)])
    with open(os.path.join(folder, "tolerance"), "w", encoding="ascii") as file:
        file.write("1e-2 1e-2" if half else f"1e-3 {1e-5 * min(largest, 1e6)}")
    for kind, values in (("input", [feeds[i.name] for i in model.graph.input]), ("output", results)):
        for i, value in enumerate(values):
            with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(np.asarray(value)).SerializeToString())


def as_array(value):
    from onnx import TensorProto, numpy_helper

    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def old_forms(only):
    """(name, model, feeds, answer of the newest form) of every node test in every older form."""
    from onnx.backend.test.case.node import collect_testcases

    schemas = schemas_by_operator()
    for case in collect_testcases(None):
        graph = case.model.graph
        node = graph.node[0]
        rows = schemas.get((node.domain, node.op_type), [])
        if len(graph.node) != 1 or not case.data_sets or len(rows) < 2 or node.op_type in RANDOM:
            continue
        if case.name.startswith("test_training_dropout"):
            continue
        if only and node.op_type not in only:
            continue
        newest = max(o.version for o in case.model.opset_import if o.domain == node.domain)
        now = [s for s in rows if s.since_version <= newest][-1]
        inputs, outputs = ([as_array(v) for v in values] for values in case.data_sets[0])
        for schema, opset in older_versions(rows, now.since_version):
            model = old_model(case, schema, now, opset)
            if model is None:
                continue
            feeds = {v.name: x for v, x in zip(graph.input, inputs) if v.name in {i.name for i in model.graph.input}}
            yield f"{case.name[5:]}_at_{opset}", model, feeds, outputs


def write_all(root, only):
    import onnx
    from onnx import helper

    said = collections.Counter()
    for name, model, feeds, newest in old_forms(only):
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError:
            said["not legal"] += 1
            continue
        results, who = answers(model, feeds, newest)
        said[who] += 1
        write_case(os.path.join(root, name), model, feeds, as_declared(model, results))
    for name, model, feeds in extra_cases():
        if only and name.split("_")[0] not in only:
            continue
        results, who = answers(model, feeds, None)
        if results is None:
            print(f"not ok {name}: no peer runs it")
            said["nobody"] += 1
            continue
        said[who] += 1
        for info, value in zip(model.graph.output, results):
            info.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        write_case(os.path.join(root, "extra_" + name), model, feeds, results)
    print("# old forms, by who answers: " + ", ".join(f"{n} {who}" for who, n in sorted(said.items())), flush=True)


def main():
    arguments = sys.argv[1:]
    if not arguments:
        print(__doc__)
        return 2
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as missing:
        print(f"SKIPPED old forms of operators: {missing}")
        return 0
    warnings.simplefilter("ignore")
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as root:
        if "--keep" in arguments:
            at = arguments.index("--keep")
            root = arguments[at + 1]
            del arguments[at : at + 2]
        write_all(root, set(arguments[1:]))
        listed = os.path.join(here, "onnx_versions_unsupported.txt")
        return subprocess.run([arguments[0], "--quiet", "--list", listed, root], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
