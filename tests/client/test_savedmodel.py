"""SavedModels as Keras and TensorFlow write them, imported by folder into a server: our answers against those of TensorFlow, which runs
the same signature. Every row of the reader's tables is in a model here; what is refused is refused with its name.

    python tests/client/test_savedmodel.py [TEXT]      (models whose name has TEXT)
    python tests/client/test_savedmodel.py DIR...      (folders from elsewhere, compared with random inputs)"""
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "makers"))
sys.path.insert(0, os.path.join(HERE, "..", "server"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np
import tensorflow as tf

import savedmodel_models
from harness import BINARY, Server, check, finish
from run import infer

random = np.random.default_rng(11)


def inputs_of(function, ranges):
    """Random inputs of a signature, three rows where the size is open."""
    out = {}
    for name, spec in function.structured_input_signature[1].items():
        shape = [3 if d is None else d for d in spec.shape]
        lo, hi = ranges.get(name, ranges.get("", (-1, 1)))
        kind = spec.dtype.as_numpy_dtype
        x = random.uniform(lo, hi, shape)
        out[name] = (x > 0 if kind is np.bool_ else x).astype(kind)
    return out


def publish(server, name, folder):
    return subprocess.run([BINARY, "import", name, folder, "--url", server.url], capture_output=True, text=True)


def difference(got, want, slack):
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)}, TensorFlow {want.dtype}{list(want.shape)}"
    if got.dtype.kind in "bui":
        return None if np.array_equal(got, want) else f"{np.sum(got != want)} of {got.size} differ"
    off = np.abs(got.astype(np.float64) - want) / (1 + np.abs(want))
    same = np.isnan(got) & np.isnan(want) | (got == want)
    off = np.where(same, 0, off)
    return None if off.max(initial=0) <= slack else f"off by {off.max():.3g}"


def compare(server, name, folder, ranges, slack=1e-5):
    loaded = tf.saved_model.load(folder)
    signatures = loaded.signatures
    function = signatures["serving_default"] if "serving_default" in signatures else list(signatures.values())[0]
    inputs = inputs_of(function, ranges)
    want = {k: v.numpy() for k, v in function(**{k: tf.constant(v) for k, v in inputs.items()}).items()}
    r = publish(server, name, folder)
    if r.returncode:
        return [r.stderr.strip()]
    got = {k[:-4] if k.endswith("_out") and k[:-4] in inputs else k: v for k, v in infer(server, name, inputs).items()}
    if set(got) != set(want):
        return [f"outputs {sorted(got)}, TensorFlow {sorted(want)}"]
    return [f"{k}: {w}" for k in want if (w := difference(got[k], want[k], slack))]


def ops_of(folder):
    """Operators of all nodes of the file."""
    from tensorflow.core.protobuf import saved_model_pb2
    model = saved_model_pb2.SavedModel()
    with open(os.path.join(folder, "saved_model.pb"), "rb") as f:
        model.ParseFromString(f.read())
    graph = model.meta_graphs[0].graph_def
    return {n.op for n in graph.node} | {n.op for f in graph.library.function for n in f.node_def}


def rows():
    """Of the reader's tables."""
    for path in glob.glob(os.path.join(HERE, "..", "..", "src", "formats", "savedmodel", "*.c")):
        with open(path) as f:
            yield from re.findall(r'^    (?:\{|ONE\(|TWO\(|FORM\(|FORM2\()"(\w+)"', f.read(), re.M)


def checked(server, name, folder, ranges, slack=1e-5):
    try:
        wrong = compare(server, name, folder, ranges, slack)
    except (AssertionError, RuntimeError, ValueError) as e:
        wrong = [repr(e)]
    check(name, not wrong, "\n  ".join(wrong))


def refusals(server, home):
    for name, write, words in savedmodel_models.REFUSED:
        folder = os.path.join(home, "refused_" + name)
        write(folder)
        r = publish(server, "refused", folder)
        check(f"refused: {name}", r.returncode != 0 and all(w in r.stderr for w in words), r.stderr)


def manifest(server, home):
    """The same version from a manifest as from the folder, wherever in the upload its files are."""
    folder = os.path.join(home, "by_manifest")
    savedmodel_models.MODELS["stateful_module"].write(folder)
    r = publish(server, "by_folder", folder)
    files = {}
    for path in glob.glob(folder + "/**", recursive=True):
        if os.path.isfile(path) and "fingerprint" not in path:
            with open(path, "rb") as f:
                files["net/1/" + os.path.relpath(path, folder)] = server.blob(f.read())
    a = server.need(201, "POST", "/api/v1/models/by_manifest/versions", {"files": files})
    b = server.get("/api/v1/models/by_folder/versions/1").json()
    check("a manifest", r.returncode == 0 and a["files"]["model.onnx"] == b["files"]["model.onnx"], (r.stderr, a, b))
    check("its sources", a["lineage"]["source_format"] == "savedmodel" and len(a["lineage"]["source_files"]) == 2, a["lineage"])


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    server = Server()
    if os.path.isdir(only):
        for folder in sys.argv[1:]:
            checked(server, os.path.basename(folder.rstrip("/")) or "model", folder, {}, 1e-4)
        finish()
    used = set()
    with tempfile.TemporaryDirectory() as home:
        for name, model in savedmodel_models.MODELS.items():
            if only not in name:
                continue
            folder = os.path.join(home, name)
            try:
                model.write(folder)
            except Exception as e:  # one maker's mistake is one test that fails
                check(name, False, repr(e)[:600])
                continue
            used |= ops_of(folder)
            checked(server, name, folder, model.ranges, model.slack)
        if not only:
            refusals(server, home)
            manifest(server, home)
    if not only:
        all_rows = set(rows())
        check("every row of the reader's tables is in a model", all_rows <= used and len(all_rows) > 150, sorted(all_rows - used))
        with open(os.path.join(HERE, "..", "..", "docs", "savedmodel.md")) as f:
            named = set(re.findall(r"\b[A-Z][A-Za-z0-9]+\b", "".join(line.split("|", 2)[2] for line in f if line.startswith("| "))))
        check("docs/savedmodel.md names every row and no other", named == all_rows, named ^ all_rows)
    finish()


if __name__ == "__main__":
    main()
