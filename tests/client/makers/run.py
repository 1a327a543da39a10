"""Models as their makers wrote them, uploaded to a server and asked over the Open Inference Protocol: our answers
against the maker's, and our ONNX artifact against ONNX Runtime.

    python tests/client/makers/run.py [--subset N] [--only TEXT] FAMILY...      (no family: all)

--subset N takes about N models of each family, spread evenly. One case a model; the last line counts them."""
import argparse
import glob
import http.client
import importlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "..", "server"))
import numpy as np

from common import NotInstalled
from harness import Server, check, finish

OIP = {"bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8",
       "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64"}
NUMPY = {v: k for k, v in OIP.items()}


def text_bytes(v):
    return v if isinstance(v, bytes) else str(v).encode()


def pack(x):
    if x.dtype.kind in "OUS":
        out = []
        for v in x.reshape(-1):
            b = text_bytes(v)
            out.append(len(b).to_bytes(4, "little") + b)
        return "BYTES", b"".join(out)
    return OIP[x.dtype.name], np.ascontiguousarray(x).tobytes()


def unpack(kind, shape, raw):
    if kind != "BYTES":
        return np.frombuffer(raw, NUMPY[kind]).reshape(shape)
    words, at = [], 0
    while at < len(raw):
        n = int.from_bytes(raw[at:at + 4], "little")
        words.append(raw[at + 4:at + 4 + n].decode())
        at += 4 + n
    return np.array(words, dtype=object).reshape(shape)


def infer(server, name, inputs):
    """All rows in one request with binary tensors. Gives outputs by name; AssertionError with the server's words."""
    head, body = {"inputs": [], "parameters": {"binary_data_output": True}}, []
    for key, x in inputs.items():
        kind, raw = pack(np.asarray(x))
        head["inputs"].append({"name": key, "shape": list(np.shape(x)), "datatype": kind,
                               "parameters": {"binary_data_size": len(raw)}})
        body.append(raw)
    text = json.dumps(head).encode()
    r = server.post(f"/v2/models/{name}/infer", text + b"".join(body), timeout=300,
                    headers={"Inference-Header-Content-Length": str(len(text)),
                             "Content-Type": "application/octet-stream"})
    assert r.status == 200, r
    n = int(r.headers["Inference-Header-Content-Length"])
    got, at, outputs = json.loads(r.body[:n]), n, {}
    for o in got["outputs"]:
        size = o["parameters"]["binary_data_size"]
        outputs[o["name"]] = unpack(o["datatype"], o["shape"], r.body[at:at + size])
        at += size
    return outputs


def differences(got, want, m, whose, rtol):
    """Sentences about outputs that differ."""
    for key, w in want.items():
        w = np.asarray(w)
        if key not in got:
            yield f"no output '{key}' ({whose}), there are {sorted(got)}"
            continue
        g = np.asarray(got[key])
        if g.size != w.size or g.reshape(-1).shape[0] != w.reshape(-1).shape[0]:
            yield f"{whose} '{key}': shape {g.shape}, wanted {w.shape}"
            continue
        g, w = g.reshape(-1), w.reshape(-1)
        if w.dtype.kind in "OUS":
            bad = np.array([text_bytes(a) != text_bytes(b) for a, b in zip(g, w)], dtype=bool)
        elif w.dtype.kind in "iub":
            bad = g.astype(np.float64) != w.astype(np.float64)
        else:
            bad = ~np.isclose(g.astype(np.float64), w.astype(np.float64), rtol=rtol, atol=m.atol, equal_nan=True)
        if bad.any():
            i = int(np.argmax(bad))
            yield f"{whose} '{key}': {bad.sum()} of {bad.size} differ, first at {i}: {g[i]!r}, wanted {w[i]!r}"


def with_onnx_runtime(artifact, m):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.log_severity_level = 4
    s = ort.InferenceSession(artifact, options, providers=["CPUExecutionProvider"])
    feeds = {}
    for i in s.get_inputs():
        x = np.asarray(m.inputs[i.name])
        want = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
                "tensor(string)": object, "tensor(bool)": bool}[i.type]
        if want is object:
            x = np.array([text_bytes(v).decode() for v in x.reshape(-1)], dtype=object).reshape(x.shape)
        feeds[i.name] = x.astype(want)
    return dict(zip([o.name for o in s.get_outputs()], s.run(None, feeds)))


def run_model(server, family, number, m):
    name = f"{family}{number}"
    query = f"?format={m.format}" if m.format else ""
    r = server.put(f"/api/v1/models/{name}/versions{query}", m.data, timeout=300,
                   headers={"Content-Disposition": f'attachment; filename="{m.file_name}"'})
    if m.refused is not None:
        return [] if (r.status // 100 == 4 or r.status == 501) and m.refused in r.body.decode() else [f"wanted a refusal, got {r}"]
    if r.status != 201:
        return [f"upload: {r}"]
    got = infer(server, name, m.inputs)
    wrong = list(differences(got, m.outputs, m, "ours", m.rtol))
    if m.ort is True and not wrong:
        a = server.get(f"/api/v1/models/{name}/versions/1/artifact")
        try:
            theirs = with_onnx_runtime(a.body, m)
        except Exception as e:  # whatever ONNX Runtime says is the answer
            return wrong + ["ONNX Runtime: " + str(e)[:400]]
        # Kernels of ONNX Runtime sum floats in their own order; classes may not differ.
        wrong += differences({k: v for k, v in theirs.items() if k in m.outputs}, m.outputs, m, "ONNX Runtime",
                             max(m.rtol, 1e-5))
    server.delete(f"/api/v1/models/{name}")
    return wrong


def run_family(server, family, options):
    try:
        models = [m for m in importlib.import_module(family).cases()]
    except NotInstalled as e:
        print(e)
        return
    if options.only:
        models = [m for m in models if options.only in m.name]
    if options.subset and len(models) > options.subset:
        step = len(models) / options.subset
        models = [models[int(i * step)] for i in range(options.subset)]
    for i, m in enumerate(models):
        try:
            wrong = run_model(server, family, i, m)
        except (AssertionError, http.client.HTTPException, OSError) as e:
            wrong = [repr(e)]
        check(f"{family}: {m.name} ({m.made_by})" + ("" if m.ort is True else f" [ONNX Runtime: {m.ort}]"),
              not wrong, "\n  ".join(wrong))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--subset", type=int, default=0)
    p.add_argument("--only", default="")
    p.add_argument("families", nargs="*")
    options = p.parse_args()
    known = sorted(os.path.basename(f)[:-3] for f in glob.glob(HERE + "/*.py"))
    families = options.families or [f for f in known if f not in ("run", "common")]
    server = Server()
    for f in families:
        run_family(server, f, options)
    finish()


if __name__ == "__main__":
    main()
