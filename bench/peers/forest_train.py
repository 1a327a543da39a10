"""Tables for learners made of trees, and scikit-learn's own forest on them.

    forest_train.py tables letter|synthetic DIRECTORY [LetterRecognition.rda]   writes train.x ...
    forest_train.py train DIRECTORY TREES THREADS                               prints the line tools/bench.sh reads
"""
import os
import resource
import sys
import time

import numpy as np


def letter(rda):
    """20,000 x 16 whole numbers, 26 classes; a generated table of that shape where R's is not there."""
    if rda:
        import rdata
        table = rdata.read_rda(rda)["LetterRecognition"]
        y = table.iloc[:, 0].astype("category").cat.codes.to_numpy(np.int64)
        return table.iloc[:, 1:].to_numpy(np.float32), y, "Letter"
    from sklearn.datasets import make_classification
    x, y = make_classification(20000, 16, n_informative=12, n_redundant=2, n_classes=26, n_clusters_per_class=1,
                               class_sep=1.5, random_state=7)
    edges = np.quantile(x, np.linspace(0, 1, 17)[1:-1], axis=0)
    x = np.stack([np.searchsorted(edges[:, c], x[:, c]) for c in range(16)], 1)
    return x.astype(np.float32), y.astype(np.int64), "Letter-like"


def synthetic():
    from sklearn.datasets import make_classification
    x, y = make_classification(550000, 30, n_informative=15, n_redundant=5, n_classes=2, flip_y=0.02, random_state=7)
    return x.astype(np.float32), y.astype(np.int64), "synthetic"


def tables(which, directory, rda=None):
    x, y, name = letter(rda) if which == "letter" else synthetic()
    order = np.random.default_rng(7).permutation(len(y))
    n = len(y) * 10 // 11 if which == "synthetic" else len(y) - 4000
    os.makedirs(directory, exist_ok=True)
    for part, rows in (("train", order[:n]), ("test", order[n:])):
        x[rows].tofile(f"{directory}/{part}.x")
        y[rows].tofile(f"{directory}/{part}.y")
    print(f"table {name} rows {n} columns {x.shape[1]} classes {len(set(y))}")


def train(directory, trees, threads):
    import sklearn
    from sklearn.ensemble import RandomForestClassifier
    y, yt = (np.fromfile(f"{directory}/{p}.y", np.int64) for p in ("train", "test"))
    x, xt = (np.fromfile(f"{directory}/{p}.x", np.float32).reshape(len(v), -1) for p, v in (("train", y), ("test", yt)))
    model = RandomForestClassifier(trees, n_jobs=threads, random_state=7)
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    model.fit(x, y)
    seconds, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    print(f"seconds {seconds:.3f} cpu {cpu:.3f} accuracy {model.score(xt, yt):.4f} threads {threads} "
          f"version scikit-learn-{sklearn.__version__}")


if __name__ == "__main__":
    if sys.argv[1] == "tables":
        tables(*sys.argv[2:])
    else:
        train(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
