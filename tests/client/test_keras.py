"""Models that Keras saves as .keras and .h5, uploaded to a server: our answers against Keras' own. Every supported layer is
there once or more; what is refused is refused with its name.

    python tests/client/test_keras.py [TEXT]      (models whose name has TEXT)"""
import inspect
import logging
import glob
import os
import re
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


def merges():
    x, y = keras.Input((5, 4), name="left"), keras.Input((5, 4), name="right")
    out = [make(name=name)([x, y]) for name, make in (
        ("sum", L.Add), ("difference", L.Subtract), ("product", L.Multiply), ("mean", L.Average), ("larger", L.Maximum),
        ("smaller", L.Minimum))]
    out += [L.Concatenate(name="beside")([x, y, out[0]]), L.Concatenate(axis=1, name="below")([x, y])]
    return keras.Model([x, y], out)


def dots():
    x, y = keras.Input((6,)), keras.Input((6,))
    return keras.Model([x, y], [L.Dot(axes=1, name="plain")([x, y]), L.Dot(axes=1, normalize=True, name="cosine")([x, y])])


def residual():
    x = keras.Input((6, 6, 4))
    y = L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(x))
    y = L.Activation("relu")(L.Add()([x, y]))
    return keras.Model(x, L.Concatenate()([y, x]))


def shared():
    x, y = keras.Input((4,)), keras.Input((4,))
    tower = L.Dense(3, activation="tanh")
    return keras.Model([x, y], L.Subtract()([tower(x), tower(y)]))


def nested():
    inner = chain((5,), L.Dense(4, activation="relu"), L.BatchNormalization(), L.Dense(3))
    a = keras.Input((3,))
    other = keras.Model(a, L.Add()([L.Dense(3)(a), a]))
    x = keras.Input((5,))
    return keras.Model(x, L.Dense(2)(other(inner(x))))


def attention(**options):
    x = keras.Input((7, 16))
    return keras.Model(x, L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(4, 5, **options)(x, x)])))


def cross_attention():
    q, v, key = keras.Input((7, 16)), keras.Input((5, 12)), keras.Input((5, 9))
    return keras.Model([q, v, key], L.MultiHeadAttention(2, 4, value_dim=3, dropout=0.1)(query=q, key=key, value=v))


def embedded():
    x = keras.Input((6,), dtype="int32")
    return keras.Model(x, L.GlobalAveragePooling1D()(L.Embedding(10, 4)(x)))


def twice_an_output():
    x = keras.Input((4,))
    y = L.Dense(3)(x)
    return keras.Model(x, [y, L.Activation("relu")(y)])


def models():
    yield "dense", chain((4,), L.Dense(8, activation="relu"), L.Dropout(0.3), L.Dense(3, activation="softmax"))
    yield "dense on sequences", chain((5, 4), L.Dense(8, use_bias=False), L.Activation("tanh"))
    yield "activations", activations()
    yield "activation layers", chain((7, 5), L.ReLU(), L.ReLU(6.0, 0.1), L.LeakyReLU(0.2), L.ELU(0.7), L.PReLU(),
                                     L.PReLU(shared_axes=[1]), L.ReLU(threshold=0.2), L.Softmax(), L.Softmax(axis=1))
    yield "identities", chain((6, 4), L.SpatialDropout1D(0.1), L.AlphaDropout(0.1), L.GaussianDropout(0.1), L.GaussianNoise(0.1),
                              L.ActivityRegularization(0.1), L.Identity(), L.Dense(2))
    yield "cnn", chain((16, 16, 3), L.Conv2D(8, 3, padding="same", activation="relu"), L.BatchNormalization(),
                       L.MaxPooling2D(), L.Conv2D(12, 3, strides=2, activation="elu"), L.GlobalAveragePooling2D(), L.Dense(5))
    yield "same with strides", chain((11, 10, 3), L.Conv2D(4, (3, 4), strides=(2, 3), padding="same"),
                                     L.Conv2D(4, 2, dilation_rate=2, padding="same", use_bias=False))
    yield "groups", chain((9, 9, 4), L.Conv2D(6, 3, groups=2), L.AveragePooling2D(3, 2, padding="same"), L.Flatten(), L.Dense(3))
    yield "depthwise", chain((15, 15, 4), L.DepthwiseConv2D(3, padding="same", strides=2, depth_multiplier=2), L.ReLU(6.0),
                             L.SeparableConv2D(6, 3, padding="valid", depth_multiplier=3), L.Flatten(), L.Dense(3))
    yield "separable 1d", chain((15, 4), L.SeparableConv1D(5, 3, padding="same"), L.DepthwiseConv1D(3))
    for name, options in {"same": {"strides": 2, "padding": "same"}, "valid": {"strides": 2}, "wide strides": {"strides": 4},
                          "wide strides, same": {"strides": 4, "padding": "same"}, "one": {"padding": "same"}}.items():
        yield "transposed " + name, chain((7, 6, 4), L.Conv2DTranspose(5, 3, activation="relu", **options))
    yield "transposed 1d", chain((7, 4), L.Conv1DTranspose(5, 4, strides=3, padding="same"))
    yield "transposed 3d", chain((3, 4, 5, 2), L.Conv3DTranspose(3, 3, strides=2, padding="same"), L.SpatialDropout3D(0.1),
                                 L.GlobalMaxPooling3D())
    yield "channels first", chain((3, 9, 8), L.ZeroPadding2D(1, data_format="channels_first"), L.SpatialDropout2D(0.1),
                                  L.MaxPooling2D(data_format="channels_first"), L.Flatten(data_format="channels_first"))
    yield "conv1d", chain((30, 5), L.Conv1D(8, 5, padding="causal", dilation_rate=2, activation="relu"), L.AveragePooling1D(2),
                          L.MaxPooling1D(3, padding="same"), L.GlobalMaxPooling1D())
    yield "conv3d", chain((6, 7, 8, 2), L.Conv3D(4, 3, padding="same", activation="tanh"), L.MaxPooling3D(2),
                          L.AveragePooling3D(2, padding="same"), L.GlobalAveragePooling3D())
    yield "global pools", chain((6, 7, 4), L.GlobalMaxPooling2D(keepdims=True), L.Reshape((4, 1)), L.GlobalAveragePooling1D())
    yield "any size of image", chain((None, None, 3), L.Conv2D(4, 3, strides=2, padding="same"), L.MaxPooling2D(2, padding="same"),
                                     L.GlobalMaxPooling2D(), L.Dense(2))
    yield "shapes", chain((4, 6), L.Permute((2, 1)), L.Reshape((2, -1)), L.Reshape((3, 4, 2)), L.Flatten(), L.RepeatVector(3))
    yield "borders", chain((8, 9, 3), L.ZeroPadding2D(((1, 2), (0, 3))), L.Cropping2D(((2, 1), (1, 0))), L.ZeroPadding2D(2),
                           L.UpSampling2D((2, 3)), L.UpSampling2D(2, interpolation="bilinear"), L.Cropping2D(1))
    yield "borders 1d", chain((8, 3), L.ZeroPadding1D((1, 2)), L.Cropping1D((0, 1)), L.UpSampling1D(2))
    yield "borders 3d", chain((4, 5, 6, 2), L.ZeroPadding3D(1), L.Cropping3D(((1, 0), (0, 1), (1, 1))), L.UpSampling3D(2))
    yield "norms", chain((9, 8), L.LayerNormalization(), L.BatchNormalization(axis=1), L.BatchNormalization(scale=False),
                         L.LayerNormalization(center=False, scale=False), L.UnitNormalization(), L.RMSNormalization(),
                         L.BatchNormalization(center=False, epsilon=0.01))
    yield "scales", chain((5,), L.Rescaling(1 / 255, offset=-1), L.Normalization(), L.Normalization(mean=[1, 2, 3, 4, 5.5],
                                                                                                   variance=[1, 2, 3, 4, 5]))
    yield "integers", chain((5, 4), L.Rescaling(1 / 255), L.Flatten(), L.Dense(3), dtype="uint8")
    yield "merges", merges()
    yield "dots", dots()
    yield "residual", residual()
    yield "shared layer", shared()
    yield "models in a model", nested()
    yield "twice an output", twice_an_output()
    yield "embedding", embedded()
    yield "rnn", chain((9, 5), L.SimpleRNN(6, return_sequences=True, activation="relu"), L.SimpleRNN(4, use_bias=False))
    yield "lstm", chain((9, 5), L.LSTM(6, return_sequences=True), L.LSTM(4, go_backwards=True), L.Dense(2))
    yield "lstm backwards", chain((9, 5), L.LSTM(6, return_sequences=True, go_backwards=True, recurrent_activation="hard_sigmoid"))
    yield "gru", chain((9, 5), L.GRU(6, return_sequences=True), L.GRU(4, reset_after=False, activation="softsign"))
    yield "any length", chain((None, 5), L.GRU(6, return_sequences=True), L.LSTM(3))
    for mode in ("concat", "sum", "mul", "ave"):
        yield "both ways " + mode, chain((9, 5), L.Bidirectional(L.LSTM(6, return_sequences=True), merge_mode=mode),
                                         L.Bidirectional(L.GRU(3), merge_mode=mode), L.Dense(2))
    yield "a layer a step", chain((9, 5), L.TimeDistributed(L.Dense(4, activation="relu")), L.TimeDistributed(L.Dense(2)))
    yield "a convolution a step", chain((3, 8, 8, 2), L.TimeDistributed(L.Conv2D(4, 3, padding="same")),
                                        L.TimeDistributed(L.GlobalMaxPooling2D()), L.LSTM(3))
    yield "attention", attention()
    yield "attention without biases", attention(use_bias=False, value_dim=3, dropout=0.1)
    yield "attention of three", cross_attention()


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
    for layer in model.layers:
        if isinstance(layer, L.Normalization):
            layer.finalize_state()


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


def class_names(config):
    """Of all layers in a config, those in others included."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config["class_name"]
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from class_names(part)


def rows():
    """Of the reader's tables."""
    for path in glob.glob(os.path.join(HERE, "..", "..", "src", "formats", "keras", "*.c")):
        with open(path) as f:
            yield from re.findall(r'^    \{"([A-Z]\w+)"', f.read(), re.M)


def main():
    seen = set()
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    keras.utils.set_random_seed(3)
    server = Server()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, model) in enumerate(models()):
            if only not in name:
                continue
            shake(model)
            seen.update(class_names(model.get_config()))
            for suffix in (".keras", ".h5"):
                try:
                    wrong = compare(server, folder, number, model, suffix)
                except AssertionError as e:
                    wrong = [repr(e)]
                check(f"{name} {suffix}", not wrong, "\n  ".join(wrong))
    if not only:
        check("every row of the reader's tables is in a model", set(rows()) <= seen, sorted(set(rows()) - seen))
    finish()


if __name__ == "__main__":
    main()
