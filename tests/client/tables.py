"""Data sets of several client tests: columns that are arrays, and pictures."""
import gzip
import io
import os

import numpy as np

FASHION = os.environ.get("MAAS_FASHION", "/usr/share/datasets/fashion-mnist")


def add_columns(server, name, columns):
    """A data set of numpy arrays by name, as multipart parts."""
    body = b""
    for key, v in columns.items():
        b = io.BytesIO()
        np.save(b, v)
        body += f'--parts\r\nContent-Disposition: form-data; name="{key}"; filename="{key}.npy"\r\n\r\n'.encode()
        body += b.getvalue() + b"\r\n"
    return server.need(201, "PUT", f"/api/v1/datasets/{name}", body + b"--parts--\r\n",
                       headers={"Content-Type": "multipart/form-data; boundary=parts"})


def pictures(n):
    """n pictures of 28 x 28 bytes of ten kinds, and their kinds: of Debian's dataset-fashion-mnist where it is installed,
    else ten blurred patterns with noise."""
    path = f"{FASHION}/train-images-idx3-ubyte.gz"
    if os.path.exists(path):
        with gzip.open(path) as f:
            x = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:n]
        with gzip.open(path.replace("images-idx3", "labels-idx1")) as f:
            return x, np.frombuffer(f.read(), np.uint8, offset=8)[:n]
    rng = np.random.default_rng(5)
    smooth = rng.normal(size=(10, 7, 7)).repeat(4, 1).repeat(4, 2)
    y = rng.integers(0, 10, n).astype(np.uint8)
    x = 128 + 30 * smooth[y] + 75 * rng.normal(size=(n, 28, 28))
    return np.clip(x, 0, 255).astype(np.uint8), y
