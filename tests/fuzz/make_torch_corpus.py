#!/usr/bin/env python3
"""Writes files as torch.save does (since PyTorch 1.6) without PyTorch: a zip of a pickle of protocol 2, whose storages are persistent
ids, and of their elements. tests/client/test_weights.py compares with the real one where it is installed.

usage: make_torch_corpus.py FOLDER
"""
import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

TYPES = {"Float": "f", "Double": "d", "Half": "e", "Long": "q", "Int": "i", "Short": "h", "Char": "b", "Byte": "B", "Bool": "?"}

torch = types.ModuleType("torch")
torch._utils = types.ModuleType("torch._utils")
exec("def _rebuild_tensor_v2(*args): pass", torch._utils.__dict__)
torch._utils._rebuild_tensor_v2.__module__ = "torch._utils"
for kind in [*TYPES, "BFloat16"]:
    setattr(torch, kind + "Storage", type(kind + "Storage", (), {"__module__": "torch"}))


class Storage:
    def __init__(self, kind, values, location="cpu", count=None):
        self.kind, self.location = kind, location
        self.bytes = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{TYPES[kind]}", *values)
        self.count = count if count is not None else len(self.bytes) // (2 if kind == "BFloat16" else struct.calcsize(TYPES[kind]))


class Tensor:
    def __init__(self, storage, shape, strides=None, offset=0):
        if strides is None:
            strides, step = [], 1
            for n in reversed(shape):
                strides.insert(0, step)
                step *= max(n, 1)
        self.args = (storage, offset, tuple(shape), tuple(strides), False, collections.OrderedDict())

    def __reduce_ex__(self, protocol):
        return torch._utils._rebuild_tensor_v2, self.args


class Pickler(pickle.Pickler):
    def __init__(self, to):
        super().__init__(to, 2)
        self.storages = []

    def persistent_id(self, x):
        if not isinstance(x, Storage):
            return None
        if x not in self.storages:
            self.storages.append(x)
        return "storage", getattr(torch, x.kind + "Storage"), str(self.storages.index(x)), x.location, x.count


def state_dict(**tensors):
    """As a module gives it: with the attribute _metadata."""
    d = collections.OrderedDict((k.replace("__", "."), v) for k, v in tensors.items())
    d._metadata = collections.OrderedDict([("", {"version": 1})])
    return d


def pickled(root):
    """data.pkl and the storages."""
    own = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules["torch"], sys.modules["torch._utils"] = torch, torch._utils
    try:
        b = io.BytesIO()
        p = Pickler(b)
        p.dump(root)
        return b.getvalue(), p.storages
    finally:
        for name, module in own.items():
            if module:
                sys.modules[name] = module
            else:
                del sys.modules[name]


def save(root, folder="archive", byteorder=b"little", packing=zipfile.ZIP_STORED, pkl=None, drop=(), more=()):
    data, storages = pickled(root)
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", packing) as z:
        def put(name, body):
            if name not in drop:
                z.writestr(zipfile.ZipInfo(f"{folder}/{name}"), body, packing)
        put("data.pkl", pkl or data)
        if byteorder:
            put("byteorder", byteorder)
        for i, s in enumerate(storages):
            put(f"data/{i}", s.bytes)
        for name, body in more:
            put(name, body)
        put("version", b"3\n")
    return b.getvalue()


def corpus():
    w = Storage("Float", [i / 4 for i in range(12)])
    yield "linear", save(state_dict(w=Tensor(w, (3, 4)), b=Tensor(Storage("Float", [1, 2, 3]), (3,))))
    yield "strides", save(state_dict(w=Tensor(w, (4, 3), (1, 4)), row=Tensor(w, (4,), (1,), 8), one=Tensor(w, (2, 2), (0, 0), 11)))
    yield "types", save(state_dict(**{k.lower(): Tensor(Storage(k, [1, 0, 1]), (3,)) for k in TYPES}))
    yield "bfloat16", save(state_dict(w=Tensor(Storage("BFloat16", b"\x80\x3f\x00\xc0"), (2,))))
    yield "nested", save({"epoch": 3, "state_dict": state_dict(w=Tensor(w, (12,))), "optimizer": {"lr": 0.1, "m": [Tensor(w, (12,))]}})
    yield "empty", save(state_dict(nothing=Tensor(Storage("Float", []), (0, 4)), scalar=Tensor(w, ())))
    yield "big_endian", save(state_dict(w=Tensor(w, (12,))), byteorder=b"big")
    yield "past", save(state_dict(w=Tensor(w, (4, 4))))
    yield "far", save(state_dict(w=Tensor(w, (2, 2), (1 << 62, 1 << 62))))
    yield "count", save(state_dict(w=Tensor(Storage("Float", [1], count=1 << 61), (1 << 61,))))
    yield "no_storage", save(state_dict(w=Tensor(w, (12,))), drop=["data/0"])
    yield "packed", save(state_dict(w=Tensor(w, (12,))), packing=zipfile.ZIP_DEFLATED)
    yield "number", save(state_dict(w=Tensor(w, (12,)), epoch=3))
    yield "list", save([Tensor(w, (12,))])
    yield "class", save(None, pkl=b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    yield "module", save(None, pkl=b"\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81.")
    yield "forged", save(None, pkl=b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(N}))t" + b"Rs.")
    yield "id", save(None, pkl=b"\x80\x02K\x01Q.")
    head = b'{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"b":{"dtype":"BF16","shape":[2,1],"data_offsets":[12,16]}}'
    yield "safetensors", struct.pack("<Q", len(head)) + head + struct.pack("<3f2H", 1, 2, 3, 0x3F80, 0xC000)
    yield "legacy", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."


if __name__ == "__main__":
    for name, body in corpus():
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            f.write(body)
