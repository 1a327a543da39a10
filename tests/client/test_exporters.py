#!/usr/bin/env python3
"""Models that PyTorch and Keras exported (torch_exports.py, keras_exports.py), through ONNX Runtime and through us: the same outputs.

usage: test_exporters.py MAAS_BINARY FOLDER
"""
import glob
import os
import sys

import numpy as np

from onnx_peers import compare


def check(binary, path):
    """True or False; None when the peer cannot run the model."""
    name = os.path.basename(path)[: -len(".onnx")]
    with np.load(path[: -len(".onnx")] + ".npz") as arrays:
        feeds = {key: arrays[key] for key in arrays.files}
    try:
        why = compare(binary, path, feeds)
    except Exception as refusal:  # of ONNX Runtime: there is nothing to compare with
        print(f"SKIPPED {name}: ONNX Runtime: {str(refusal).splitlines()[0][:120]}")
        return None
    print(f"{'not ok' if why else 'ok'} {name}" + (f": {why}" if why else ""))
    return not why


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    verdicts = [check(sys.argv[1], path) for path in sorted(glob.glob(os.path.join(sys.argv[2], "*.onnx")))]
    print(f"{verdicts.count(True)} passed, {verdicts.count(False)} failed")
    return verdicts.count(False) > 0 or not verdicts


if __name__ == "__main__":
    sys.exit(main())
