"""Small SavedModels for the fuzz target and the mutation test, three files in one (savedmodel_parts.h):
    PYTHON tests/fuzz/make_savedmodel_corpus.py      (a Python with the packages of tests/client/venv.sh savedmodel)"""
import os
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "client"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import savedmodel_models as models

L = keras.layers


def picture():
    x = keras.Input((6, 6, 2))
    y = L.DepthwiseConv2D(3, padding="same")(L.Conv2D(3, 3, strides=2, padding="same")(x))
    z = L.BatchNormalization()(L.Conv2D(3, 1)(y))
    return keras.Model(x, L.GlobalAveragePooling2D()(L.ReLU()(L.Add()([y, z]))))


def dense():
    return models.chain((4,), L.Dense(3, activation="relu"), L.Dense(2, activation="softmax"))


def lstm():
    return models.chain((3, 2), L.LSTM(2, return_sequences=True))


def embedding():
    return models.chain((3,), L.Embedding(5, 2), L.GlobalAveragePooling1D(), dtype="int32")


def pruned(folder):
    """Without what nobody reads: objects, saving, debug information."""
    model = saved_model_pb2.SavedModel()
    with open(os.path.join(folder, "saved_model.pb"), "rb") as f:
        model.ParseFromString(f.read())
    meta = model.meta_graphs[0]
    meta.ClearField("object_graph_def")
    meta.meta_info_def.ClearField("stripped_op_list")
    functions = meta.graph_def.library.function
    kept = [f for f in functions if "traced_save" not in f.signature.name]
    for f in kept:
        for of in (f.attr, f.arg_attr, f.resource_arg_unique_id):
            of.clear()
    del functions[:]
    functions.extend(kept)
    for node in list(meta.graph_def.node) + [n for f in functions for n in f.node_def]:
        node.ClearField("experimental_debug_info")
        for key in [k for k in node.attr if k.startswith("_") or k in ("config_proto", "Tin", "Tout")]:
            del node.attr[key]
    return model.SerializeToString(deterministic=True)


def read(path):
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as f:
        return f.read()


def main():
    out = os.path.join(HERE, "corpus", "savedmodel")
    os.makedirs(out, exist_ok=True)
    makers = {m.__name__: (lambda folder, m=m: models.export(m).export(folder, verbose=False)) for m in (picture, dense, lstm, embedding)}
    makers |= {n: models.MODELS[n].write for n in ("tf1_graph", "branches", "loops", "slices", "indices", "reshapes", "pictures", "borders")}
    with tempfile.TemporaryDirectory() as home:
        for name, write in makers.items():
            folder = os.path.join(home, name)
            write(folder)
            variables = os.path.join(folder, "variables", "variables.")
            graph, index, data = pruned(folder), read(variables + "index"), read(variables + "data-00000-of-00001")
            with open(os.path.join(out, name + ".parts"), "wb") as f:
                f.write(struct.pack("<II", len(graph), len(index)) + graph + index + data)
            print(name, len(graph), len(index), len(data))


if __name__ == "__main__":
    main()
