"""Fashion-MNIST in memory, the clock of the epochs, and the line that tools/bench.sh reads."""
import gzip
import os
import statistics
import sys
import time

import numpy as np


def parse_args():
    """DIRECTORY BATCH EPOCHS THREADS; the process keeps to that many cores."""
    directory, batch, epochs, threads = sys.argv[1], *map(int, sys.argv[2:5])
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    return directory, batch, epochs, threads


def images(directory, which):
    """[n][784] float32 in 0..1 and [n] int32."""
    with gzip.open(f"{directory}/{which}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(f"{directory}/{which}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(), np.uint8, offset=8)
    return (x / np.float32(255)).astype(np.float32), y.astype(np.int32)


def run(n_rows, epochs, train_epoch, accuracy, threads, version):
    """train_epoch() returns when the work is done. The median leaves out the one that compiles."""
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        train_epoch()
        seconds.append(time.perf_counter() - start)
    rate = n_rows / statistics.median(seconds)
    print(f"samples/s {rate:.0f} accuracy {accuracy():.4f} threads {threads} version {version}")
