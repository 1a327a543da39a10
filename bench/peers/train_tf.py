"""784-128-128-10 with Adam in TensorFlow: a whole epoch is one graph. `xla` as last argument compiles it."""
import os
import sys

import fashion

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
directory, batch, epochs, threads = fashion.parse_args()

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
xla = sys.argv[-1] == "xla"
tf.random.set_seed(7)
x, y = (tf.constant(a) for a in fashion.images(directory, "train"))
SIZES = (784, 128, 128, 10)
weights = []
for n_in, n_out in zip(SIZES, SIZES[1:]):
    weights.append(tf.Variable(tf.random.normal((n_in, n_out)) * (2 / n_in) ** 0.5))
    weights.append(tf.Variable(tf.zeros(n_out)))
m = [tf.Variable(tf.zeros_like(w)) for w in weights]
v = [tf.Variable(tf.zeros_like(w)) for w in weights]
t = tf.Variable(0.0)


def forward(h):
    h = tf.nn.relu(tf.matmul(h, weights[0]) + weights[1])
    h = tf.nn.relu(tf.matmul(h, weights[2]) + weights[3])
    return tf.matmul(h, weights[4]) + weights[5]


def step(rows):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tf.gather(y, rows), logits=forward(tf.gather(x, rows))))
    t.assign_add(1.0)
    rate = 0.001 * tf.sqrt(1 - tf.pow(0.999, t)) / (1 - tf.pow(0.9, t))
    for w, g, mi, vi in zip(weights, tape.gradient(loss, weights), m, v):
        if xla:
            mi.assign(0.9 * mi + 0.1 * g)
            vi.assign(0.999 * vi + 0.001 * g * g)
            w.assign_sub(rate * mi / (tf.sqrt(vi) + 1e-8))
        else:  # one kernel that does all of it
            tf.raw_ops.ResourceApplyAdam(
                var=w.handle, m=mi.handle, v=vi.handle, beta1_power=tf.pow(0.9, t),
                beta2_power=tf.pow(0.999, t), lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8,
                grad=g)


n, whole = len(x), len(x) // batch * batch


@tf.function(jit_compile=xla)
def epoch(order):
    for at in tf.range(0, whole, batch):
        step(tf.slice(order, [at], [batch]))
    if whole < n:
        step(order[whole:])


def train_epoch():
    epoch(tf.constant(np.random.permutation(n).astype(np.int32)))
    weights[0].numpy()  # waits


def accuracy():
    tx, ty = fashion.images(directory, "t10k")
    return float((forward(tx).numpy().argmax(1) == ty).mean())


fashion.run(n, epochs, train_epoch, accuracy, threads,
            f"tensorflow-{tf.__version__}{'-xla' if xla else ''}")
