"""The SavedModels of test_savedmodel.py: Keras layers and functions of TensorFlow, with random weights."""
import keras
import numpy as np
import tensorflow as tf

L = keras.layers
MODELS = {}
REFUSED = []
random = np.random.default_rng(3)


class Case:
    def __init__(self, write, ranges, slack):
        self.write, self.ranges, self.slack = write, ranges, slack


def case(slack=1e-5, **ranges):
    """A function that writes its folder. Ranges of inputs by name; `lo_hi` for all others."""
    ranges = {"" if k == "lo_hi" else k: v for k, v in ranges.items()}

    def add(write):
        MODELS[write.__name__] = Case(write, ranges, slack)
        return write
    return add


def export(make):
    """Weights are random, statistics too."""
    keras.utils.set_random_seed(1)
    model = make()
    for w in model.weights:
        if w.dtype.startswith("float"):
            x = random.standard_normal(w.shape).astype(np.float32) * 0.3
            w.assign(np.abs(x) + 0.5 if "variance" in w.path else x if w.ndim < 2 else np.array(w) if w.ndim == 4 else x)
    return model


def keras_case(slack=1e-5, **ranges):
    def add(make):
        def write(folder):
            export(make).export(folder, verbose=False)
        MODELS[make.__name__] = Case(write, {"" if k == "lo_hi" else k: v for k, v in ranges.items()}, slack)
        return make
    return add


def chain(shape, *layers, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


@keras_case()
def dense():
    return chain((6,), L.Dense(8, activation="relu"), L.Dense(3, activation="softmax"))
