"""One ONNX file and its inputs through ONNX Runtime and through `maas run`: what tests of whole models share."""
import os
import subprocess
import tempfile

import numpy as np
import onnxruntime


def answers_of_peer(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))


def answers_of_ours(binary, path, feeds):
    """{output: array}, or the sentence with which it was refused."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "run", path, "--output", folder]
        for i, (name, value) in enumerate(feeds.items()):
            file = os.path.join(folder, f"in{i}.npy")
            np.save(file, value)
            command += ["--input", f"{name}={file}"]
        run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        if run.returncode != 0:
            return run.stderr.strip() or f"exit status {run.returncode}"
        return {
            name[: -len(".npy")]: np.load(os.path.join(folder, name))
            for name in os.listdir(folder)
            if name.endswith(".npy") and not name.startswith("in")
        }


def difference(got, want, tolerance):
    """A sentence when the two differ by more than `tolerance`, relative to the larger of 1 and the largest value."""
    if got is None:
        return "it is missing"
    if got.shape != want.shape:
        return f"shape {list(got.shape)}, expected {list(want.shape)}"
    if want.dtype.kind in "OUS":
        return None if (got.astype(str) == want.astype(str)).all() else "other strings"
    if not want.size:
        return None
    apart = np.abs(got.astype(np.float64) - want.astype(np.float64))
    bound = tolerance * max(1.0, float(np.abs(want.astype(np.float64)).max()))
    return None if apart.max() <= bound else f"{apart.max():.3g} apart, at most {bound:.3g} are allowed"


def compare(binary, path, feeds, tolerance=1e-4):
    """None when both agree on every output, else a sentence."""
    want = answers_of_peer(path, feeds)
    got = answers_of_ours(binary, path, feeds)
    if isinstance(got, str):
        return got
    for name, value in want.items():
        file = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in name)
        why = difference(got.get(file), np.asarray(value), tolerance)
        if why:
            return f"output '{name}': {why}"
    return None
