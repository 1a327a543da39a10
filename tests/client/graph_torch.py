#!/usr/bin/env python3
"""Graph networks in plain PyTorch operators: what ours are compared with.

usage: graph_torch.py FILE.npz     x, y, edges [e, 2] (directed), weight [e], train (rows), kind, lr, steps and the first
weights "w:NAME"; writes FILE.npz.out.npz: the loss of every step, the logits of all nodes after the last one, seconds;
and the logits in doubles, where "doubles" is in the file. Sums along edges are index_add_, or torch.sparse.mm where "sparse"
is in the file

Runs under the Python that has torch (Debian: python3-torch).
"""
import sys
import time

import numpy as np
import torch
from torch.nn import functional as F

f = np.load(sys.argv[1])
y, train, kind, n = torch.tensor(f["y"]), torch.tensor(f["train"]), str(f["kind"]), len(f["x"])
torch.set_num_threads(int(f["threads"]) if "threads" in f else 2)


def run(real):
    """Losses, logits, seconds; all numbers are of type `real`."""
    x, w = torch.tensor(f["x"], dtype=real), torch.tensor(f["weight"], dtype=real)
    src, dst = torch.tensor(f["edges"][:, 0].copy()), torch.tensor(f["edges"][:, 1].copy())
    if kind == "gcn":
        own = torch.arange(n)
        src, dst, w = torch.cat([src, own]), torch.cat([dst, own]), torch.cat([w, torch.ones(n, dtype=real)])
    degree = torch.zeros(n, dtype=real).index_add_(0, dst, w)
    by = (degree[src] * degree[dst]).rsqrt() * w if kind == "gcn" else w / degree.clamp(min=1e-30)[dst]
    weights = {k[2:]: torch.tensor(f[k], dtype=real, requires_grad=True) for k in f.files if k.startswith("w:")}
    layers = sorted({int(k.split(".")[1]) for k in weights})

    matrix = torch.sparse_coo_tensor(torch.stack([dst, src]), by, (n, n)).coalesce() if "sparse" in f else None

    def neighbours(h):
        if matrix is not None:
            return torch.sparse.mm(matrix, h)
        return torch.zeros(n, h.shape[1], dtype=real).index_add_(0, dst, h[src] * by[:, None])

    def forward(h):
        for i in layers:
            p = {k.split(".")[2]: v for k, v in weights.items() if int(k.split(".")[1]) == i}
            if kind == "gcn":
                h = neighbours(h @ p["weight"]) + p["bias"]
            else:
                h = h @ p["weight"] + neighbours(h @ p["neighbours"]) + p["bias"]
            if i != layers[-1]:
                h = F.relu(h if kind == "gcn" else F.normalize(h))
        return h

    optimizer = torch.optim.Adam(weights.values(), lr=float(f["lr"]))
    losses, began = [], time.monotonic()
    for _ in range(int(f["steps"])):
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(x)[train], y[train])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    seconds = time.monotonic() - began
    with torch.no_grad():
        return losses, forward(x).numpy(), seconds


losses, z, seconds = run(torch.float32)
exact = {"z64": run(torch.float64)[1]} if "doubles" in f else {}
np.savez(sys.argv[1] + ".out.npz", losses=losses, z=z, seconds=seconds, **exact)
