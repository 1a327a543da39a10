"""Generated graphs of tests and benches: a stochastic block model with features."""
import collections

import numpy as np

Graph = collections.namedtuple("Graph", "x y edges")


def communities(n, classes, words, seed, degree=6, inside=0.8, noise=2.0):
    """n nodes of so many classes, n * degree / 2 edges, `inside` of them within a class; features are the class's
    direction and noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    members = [np.flatnonzero(y == k) for k in range(classes)]
    m = n * degree // 2
    a = rng.integers(0, n, m)
    same = rng.random(m) < inside
    mates = np.zeros(m, np.int64)
    for k, of_class in enumerate(members):
        at = np.flatnonzero(y[a] == k)
        mates[at] = of_class[rng.integers(0, len(of_class), len(at))]
    b = np.where(same, mates, rng.integers(0, n, m))
    x = rng.normal(size=(classes, words))[y] + noise * rng.normal(size=(n, words))
    return Graph(x.astype(np.float32), y, np.stack([a, b], 1))
