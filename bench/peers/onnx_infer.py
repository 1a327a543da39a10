"""ONNX Runtime on one network: onnx_infer.py STEM BATCH THREADS [SECONDS]

Reads STEM.onnx and STEM.inputs (onnx_models.py). Prints `us MEDIAN least LEAST cpu USED first MS memory MIB`: of one call; from
the file to the first answer; what the process grew by at its peak. Leaves the inputs in STEM.BATCH.NAME.rows and the first output in
STEM.BATCH.answers, raw.
"""
import resource
import sys
import time

import numpy as np
import onnxruntime as ort

stem, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 3.0


def resident():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def values(rng, kind, value, sizes):
    sizes = [batch if s == "b" else int(s) for s in sizes]
    dtype = np.float32 if kind == "f32" else np.int64
    if value.startswith("="):
        return np.full(sizes, int(value[1:]), dtype)
    return rng.random(sizes, dtype=dtype) if kind == "f32" else rng.integers(0, int(value), sizes)


rng, feed = np.random.default_rng(5), {}
with open(stem + ".inputs") as f:
    for name, kind, value, *sizes in map(str.split, f):
        feed[name] = values(rng, kind, value, sizes)
        feed[name].tofile(f"{stem}.{batch}.{name}.rows")
options = ort.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
before, t = resident(), time.perf_counter()
session = ort.InferenceSession(stem + ".onnx", options, providers=["CPUExecutionProvider"])
answers = session.run(None, feed)[0]
first = (time.perf_counter() - t) * 1e3
answers.astype(np.float32).tofile(f"{stem}.{batch}.answers")
times, used, end = [], [], time.perf_counter() + seconds
while len(times) < 5 or time.perf_counter() < end:
    t, u = time.perf_counter(), time.process_time()
    session.run(None, feed)
    times.append((time.perf_counter() - t) * 1e6)
    used.append((time.process_time() - u) * 1e6)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(f"us {np.median(times):.1f} least {min(times):.1f} cpu {np.median(used):.1f} first {first:.1f} memory {grown:.1f}")
