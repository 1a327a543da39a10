#!/usr/bin/env python3
"""The backend tests of the ONNX project, as its newest package has them, through the whole engine.

usage: test_onnx_suite.py RUNNER [--table]      RUNNER is build/tests/conformance/onnx_conformance

Node tests, simple models, PyTorch's operators and converted layers, and the light models of well-known networks. --table
prints for each operator how many of the tests with it passed, failed, are not supported and are listed. The exceptions are listed
with their reasons in tests/conformance/onnx_unsupported.txt; whatever else does not pass is a failure.
"""
import collections
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import warnings


def serialized(value, info):
    """A value of a test as the project stores it: a tensor, a sequence, an optional."""
    import numpy as np
    from onnx import numpy_helper

    if hasattr(value, "SerializeToString"):
        return value.SerializeToString()
    if info.type.HasField("sequence_type"):
        return numpy_helper.from_list(value, info.name).SerializeToString()
    if info.type.HasField("optional_type"):
        return numpy_helper.from_optional(value, info.name).SerializeToString()
    return numpy_helper.from_array(np.asarray(value), info.name).SerializeToString()


def operators(graph, found):
    for node in graph.node:
        found.add(node.op_type)
        for attribute in node.attribute:
            for sub in [attribute.g, *attribute.graphs]:
                operators(sub, found)
    return found


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def write_data(folder, inputs, outputs):
    os.makedirs(folder)
    for kind, values in (("input", inputs), ("output", outputs)):
        for i, value in enumerate(values):
            write(os.path.join(folder, f"{kind}_{i}.pb"), value)


def write_node_tests(root):
    """The tests that the package computes with NumPy; their models are made, not stored."""
    from onnx.backend.test.case.node import collect_testcases

    tests = {}
    for case in collect_testcases(None):
        folder = os.path.join(root, case.name)
        os.makedirs(folder)
        write(os.path.join(folder, "model.onnx"), case.model.SerializeToString())
        write(os.path.join(folder, "tolerance"), f"{case.rtol} {case.atol}".encode())
        for k, (inputs, outputs) in enumerate(case.data_sets or []):
            graph = case.model.graph
            write_data(
                os.path.join(folder, f"test_data_set_{k}"),
                [serialized(v, i) for v, i in zip(inputs, graph.input)],
                [serialized(v, i) for v, i in zip(outputs, graph.output)],
            )
        tests[case.name] = operators(case.model.graph, set())
    return tests


def copy_stored(source, root):
    """Models that the package stores together with their data."""
    import onnx

    tests = {}
    for folder in sorted(glob.glob(os.path.join(source, "*"))):
        name = os.path.basename(folder)
        shutil.copytree(folder, os.path.join(root, name))
        tests[name] = operators(onnx.load(os.path.join(folder, "model.onnx")).graph, set())
    return tests


def write_light(source, root):
    """Well-known networks with weights that the graph computes; the input is what the project's runner makes."""
    import onnx
    from onnx import numpy_helper
    from onnx.backend.test.runner import Runner

    tests = {}
    for path in sorted(glob.glob(os.path.join(source, "*.onnx"))):
        name = os.path.basename(path)[: -len(".onnx")]
        model = onnx.load(path)
        weights = {i.name for i in model.graph.initializer}
        inputs = [
            numpy_helper.from_array(
                Runner.generate_dummy_data(i, seed=0, name=name, random=False), i.name
            ).SerializeToString()
            for i in model.graph.input
            if i.name not in weights
        ]
        outputs = []
        for i in range(len(model.graph.output)):
            with open(f"{path[: -len('.onnx')]}_output_{i}.pb", "rb") as file:
                outputs.append(file.read())
        folder = os.path.join(root, name)
        os.makedirs(folder)
        shutil.copy(path, os.path.join(folder, "model.onnx"))
        write_data(os.path.join(folder, "test_data_set_0"), inputs, outputs)
        tests[name] = operators(model.graph, set())
    return tests


def print_table(lines, tests):
    """One line an operator: tests in which it stands that passed, failed, are not supported."""
    counts = collections.defaultdict(collections.Counter)
    for line in lines:
        for verdict in ("unsupported", "listed", "not ok", "ok"):
            if line.startswith(verdict + " "):
                name = line[len(verdict) + 1 :].split(":")[0]
                for operator in tests.get(name, ()):
                    counts[operator][verdict] += 1
                break
    print(f"{'operator':32} {'passed':>8} {'failed':>8} {'unsupported':>12} {'listed':>8}")
    for operator, count in sorted(counts.items()):
        print(f"{operator:32} {count['ok']:8} {count['not ok']:8} {count['unsupported']:12} {count['listed']:8}")


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    import onnx

    warnings.simplefilter("ignore")
    here = os.path.dirname(os.path.abspath(__file__))
    data = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
    with tempfile.TemporaryDirectory() as root:
        folders = []
        tests = {}
        for kind, make in (
            ("node", write_node_tests),
            ("simple", lambda to: copy_stored(os.path.join(data, "simple"), to)),
            ("pytorch-operator", lambda to: copy_stored(os.path.join(data, "pytorch-operator"), to)),
            ("pytorch-converted", lambda to: copy_stored(os.path.join(data, "pytorch-converted"), to)),
            ("light", lambda to: write_light(os.path.join(data, "light"), to)),
        ):
            folders.append(os.path.join(root, kind))
            os.makedirs(folders[-1])
            made = make(folders[-1])
            print(f"# onnx {onnx.__version__}, {kind}: {len(made)} tests")
            tests.update(made)
        expected = os.path.join(here, "..", "conformance", "onnx_unsupported.txt")
        run = subprocess.run(
            [sys.argv[1], "--list", expected, *folders], check=False, stdout=subprocess.PIPE, text=True
        )
    lines = run.stdout.splitlines()
    if "--table" in sys.argv:
        print_table(lines, tests)
    print("\n".join(line for line in lines if not line.startswith("ok ")))
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
