"""Models that Keras saves as .keras and .h5, uploaded to a server: our answers against Keras' own. Every supported layer is
there once or more; what is refused is refused with its name.

    python tests/client/test_keras.py [TEXT]      (models whose name has TEXT)"""
import inspect
import logging
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "makers"))
sys.path.insert(0, os.path.join(HERE, "..", "server"))
os.environ.setdefault("KERAS_BACKEND", "jax")
import keras
import numpy as np
from keras import layers as L

from harness import Server, check, finish
from run import infer

logging.getLogger("absl").setLevel(logging.ERROR)
random = np.random.default_rng(5)


def chain(shape, *layers, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def activations():
    names = ("relu sigmoid tanh softmax log_softmax elu selu gelu silu swish softplus softsign exponential linear leaky_relu relu6 "
             "hard_sigmoid hard_silu mish celu").split()
    x = keras.Input((6,))
    return keras.Model(x, [L.Activation(n, name="as_" + n)(x) for n in names])


def models():
    yield "dense", chain((4,), L.Dense(8, activation="relu"), L.Dropout(0.3), L.Dense(3, activation="softmax"))
    yield "dense on sequences", chain((5, 4), L.Dense(8, use_bias=False), L.Activation("tanh"))
    yield "activations", activations()
    yield "activation layers", chain((7, 5), L.ReLU(), L.ReLU(6.0, 0.1), L.LeakyReLU(0.2), L.ELU(0.7), L.PReLU(),
                                     L.PReLU(shared_axes=[1]), L.ReLU(threshold=0.2), L.Softmax(), L.Softmax(axis=1))


def input_for(t):
    """Values for an input of a model: integers are small."""
    shape = [2 if i == 0 else (d or 6) for i, d in enumerate(t.shape)]
    if "int" in t.dtype:
        return random.integers(0, 10, shape).astype(t.dtype)
    return random.standard_normal(shape).astype(t.dtype)


def shake(model):
    """Weights as after training: no zeros and ones where layers start with them."""
    for w in model.weights:
        if "float" in str(w.dtype) and "seed" not in w.path:
            v = random.uniform(0.5, 1.5, w.shape) if "variance" in w.name else random.standard_normal(w.shape)
            w.assign(v.astype(np.float32) * (0.4 if len(w.shape) > 1 else 0.5) if "variance" not in w.name else v)


def upload(server, name, path):
    with open(path, "rb") as f:
        return server.put(f"/api/v1/models/{name}/versions", f.read(), timeout=300,
                          headers={"Content-Disposition": f'attachment; filename="{os.path.basename(path)}"'})


def differences(got, want):
    for key, w in want.items():
        w = np.asarray(w)
        if key not in got:
            yield f"no output '{key}', there are {sorted(got)}"
        elif got[key].shape != w.shape:
            yield f"'{key}': shape {got[key].shape}, wanted {w.shape}"
        elif not np.allclose(got[key], w, rtol=1e-5, atol=1e-5):
            yield f"'{key}': off by {np.abs(got[key] - w).max()}"


def compare(server, folder, number, model, suffix):
    path = os.path.join(folder, "model" + suffix)
    model.save(path)
    name = f"m{number}{suffix[1:]}"
    r = upload(server, name, path)
    if r.status != 201:
        return [f"upload: {r}"]
    inputs = [input_for(t) for t in model.inputs]
    want = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    want = want if isinstance(want, (list, tuple)) else [want]
    got = infer(server, name, {t._keras_history[0].name: x for t, x in zip(model.inputs, inputs)})
    names = model.output_names if hasattr(model, "output_names") else [model.layers[-1].name]
    wrong = list(differences(got, dict(zip(names, want))))
    server.delete(f"/api/v1/models/{name}")
    return wrong


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    keras.utils.set_random_seed(3)
    server = Server()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, model) in enumerate(models()):
            if only not in name:
                continue
            shake(model)
            for suffix in (".keras", ".h5"):
                try:
                    wrong = compare(server, folder, number, model, suffix)
                except AssertionError as e:
                    wrong = [repr(e)]
                check(f"{name} {suffix}", not wrong, "\n  ".join(wrong))
    finish()


if __name__ == "__main__":
    main()
