#!/usr/bin/env python3
"""The newest node tests of the ONNX project, made by its own package, through our operators.

usage: test_onnx_node_tests.py RUNNER      RUNNER is build/tests/unit/ops/onnx_run_node

Needs the package onnx. The set of Debian's libonnx-testdata (older, opset 17) runs from Meson.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import warnings


def write_case(case, root):
    """One directory in the layout of the ONNX project; False when its data are no tensors."""
    import numpy as np
    from onnx import TensorProto, numpy_helper

    directory = os.path.join(root, case.name)
    data = os.path.join(directory, "test_data_set_0")
    os.makedirs(data)
    inputs, outputs = case.data_sets[0]
    try:
        for kind, values in (("input", inputs), ("output", outputs)):
            for i, value in enumerate(values):
                if not isinstance(value, TensorProto):
                    value = numpy_helper.from_array(np.asarray(value))
                with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as f:
                    f.write(value.SerializeToString())
    except (RuntimeError, TypeError, ValueError):  # sequences, optionals
        shutil.rmtree(directory)
        return False
    with open(os.path.join(directory, "model.onnx"), "wb") as f:
        f.write(case.model.SerializeToString())
    return True


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        from onnx.backend.test.case.node import collect_testcases
    except ImportError:
        print("# the package onnx is not installed\n0 passed, 0 failed, 1 skipped")
        return 0
    warnings.simplefilter("ignore")
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as root:
        for case in collect_testcases(None):
            if case.data_sets:
                write_case(case, root)
        expected = os.path.join(here, "onnx_node_unsupported_newest.txt")
        return subprocess.run([sys.argv[1], root, expected], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
