#!/usr/bin/env python3
"""Writes models that Keras exports of its layers and of small networks, with inputs, into a folder.

usage: keras_exports.py FOLDER      for each model FOLDER/NAME.onnx and FOLDER/NAME.npz, as torch_exports.py does
"""
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import onnx
from keras import layers as L


def chain(shape, *layers):
    return keras.Sequential([keras.Input(shape), *layers])


def residual():
    x = keras.Input((6, 6, 4))
    y = L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(x))
    y = L.Activation("relu")(L.Add()([x, y]))
    return keras.Model(x, L.Concatenate()([y, x]))


def attention():
    x = keras.Input((7, 16))
    return keras.Model(x, L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(4, 4)(x, x)])))


def models():
    return {
        "mlp": chain((20,), L.Dense(16, activation="relu"), L.Dropout(0.2), L.Dense(4, activation="softmax")),
        "cnn": chain((16, 16, 3), L.Conv2D(8, 3, padding="same", activation="relu"), L.BatchNormalization(),
                     L.MaxPooling2D(), L.Conv2D(12, 3, strides=2, activation="elu"), L.GlobalAveragePooling2D(), L.Dense(5)),
        "depthwise": chain((15, 15, 4), L.DepthwiseConv2D(3, padding="same"), L.ReLU(6.0),
                           L.SeparableConv2D(6, 3, padding="valid"), L.Flatten(), L.Dense(3)),
        "transpose": chain((7, 7, 4), L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu"),
                           L.UpSampling2D(interpolation="bilinear"), L.Cropping2D(1), L.ZeroPadding2D(2)),
        "conv1d": chain((30, 5), L.Conv1D(8, 5, padding="causal", activation="relu"), L.AveragePooling1D(2),
                        L.GlobalMaxPooling1D()),
        "conv3d": chain((6, 7, 8, 2), L.Conv3D(4, 3, padding="same", activation="tanh"), L.MaxPooling3D(2)),
        "lstm": chain((9, 5), L.LSTM(6, return_sequences=True), L.LSTM(4), L.Dense(2)),
        "gru": chain((9, 5), L.Bidirectional(L.GRU(6)), L.Dense(2)),
        "norms": chain((9, 8), L.LayerNormalization(), L.Dense(8, activation="swish"), L.UnitNormalization()),
        "activations": chain((12,), L.LeakyReLU(), L.PReLU(), L.Activation("softplus"), L.Activation("hard_sigmoid")),
        "residual": residual(),
        "attention": attention(),
    }


def main():
    keras.utils.set_random_seed(3)
    random = np.random.default_rng(1)
    for name, model in models().items():
        file = os.path.join(sys.argv[1], "keras_" + name)
        x = random.standard_normal((2, *model.input_shape[1:])).astype(np.float32)
        try:
            model(x)
            model.export(file + ".onnx", format="onnx", verbose=False)
        except Exception as why:  # what the exporter itself cannot say
            print(f"# keras {name}: not exported: {str(why).splitlines()[0][:100]}")
            continue
        np.savez(file + ".npz", **{onnx.load(file + ".onnx").graph.input[0].name: x})


if __name__ == "__main__":
    main()
