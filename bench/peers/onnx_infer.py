"""ONNX Runtime on one network: onnx_infer.py STEM BATCH THREADS [SECONDS]

Reads STEM.onnx and STEM.dims. Prints `us MEDIAN least LEAST cpu USED` of one call; leaves the input in STEM.BATCH.rows and the
first output in STEM.BATCH.answers, both raw floats.
"""
import sys
import time

import numpy as np
import onnxruntime as ort

stem, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 3.0
with open(stem + ".dims") as f:
    sizes = [batch] + [int(v) for v in f.read().split()]
options = ort.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
session = ort.InferenceSession(stem + ".onnx", options, providers=["CPUExecutionProvider"])
x = np.random.default_rng(5).random(sizes, dtype=np.float32)
feed = {session.get_inputs()[0].name: x}
answers = session.run(None, feed)[0]
x.tofile(f"{stem}.{batch}.rows")
answers.astype(np.float32).tofile(f"{stem}.{batch}.answers")
times, used, end = [], [], time.perf_counter() + seconds
while len(times) < 5 or time.perf_counter() < end:
    t, u = time.perf_counter(), time.process_time()
    session.run(None, feed)
    times.append((time.perf_counter() - t) * 1e6)
    used.append((time.process_time() - u) * 1e6)
print(f"us {np.median(times):.1f} least {min(times):.1f} cpu {np.median(used):.1f}")
