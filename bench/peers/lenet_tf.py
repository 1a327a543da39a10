"""The zoo's LeNet with Adam in TensorFlow on Fashion-MNIST: Keras layers, a whole epoch is one graph."""
import os

import fashion

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
directory, batch, epochs, threads = fashion.parse_args()

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.random.set_seed(7)
x, y = fashion.images(directory, "train")
x, y = tf.constant(x.reshape(-1, 28, 28, 1)), tf.constant(y)
layers = tf.keras.layers
net = tf.keras.Sequential([layers.Input((28, 28, 1)), layers.Conv2D(6, 5, padding="same", activation="relu"),
                           layers.MaxPool2D(), layers.Conv2D(16, 5, activation="relu"), layers.MaxPool2D(),
                           layers.Flatten(), layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"),
                           layers.Dense(10)])
adam = tf.keras.optimizers.Adam(0.001)
adam.build(net.trainable_variables)
n, whole = len(x), len(x) // batch * batch


def step(rows):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tf.gather(y, rows), logits=net(tf.gather(x, rows), training=True)))
    adam.apply_gradients(zip(tape.gradient(loss, net.trainable_variables), net.trainable_variables))


@tf.function
def epoch(order):
    for at in tf.range(0, whole, batch):
        step(tf.slice(order, [at], [batch]))
    if whole < n:
        step(order[whole:])


def train_epoch():
    epoch(tf.constant(np.random.permutation(n).astype(np.int32)))
    net.trainable_variables[0].numpy()  # waits


def accuracy():
    tx, ty = fashion.images(directory, "t10k")
    return float((net(tx.reshape(-1, 28, 28, 1)).numpy().argmax(1) == ty).mean())


fashion.run(n, epochs, train_epoch, accuracy, threads, f"tensorflow-{tf.__version__}")
