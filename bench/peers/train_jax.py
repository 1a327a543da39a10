"""784-128-128-10 with Adam in JAX: a whole epoch is one compiled scan."""
import fashion

directory, batch, epochs, threads = fashion.parse_args()

import functools

import jax
import jax.numpy as jnp

x, y = (jnp.asarray(a) for a in fashion.images(directory, "train"))
SIZES = (784, 128, 128, 10)


def start(key):
    weights = []
    for n_in, n_out in zip(SIZES, SIZES[1:]):
        key, sub = jax.random.split(key)
        weights.append((jax.random.normal(sub, (n_in, n_out)) * (2 / n_in) ** 0.5,
                        jnp.zeros(n_out)))
    return weights


def forward(weights, h):
    for w, b in weights[:-1]:
        h = jax.nn.relu(h @ w + b)
    return h @ weights[-1][0] + weights[-1][1]


def loss_of(weights, xb, yb):
    z = forward(weights, xb)
    picked = jnp.take_along_axis(z, yb[:, None], 1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(z, axis=1) - picked)


def step(state, rows):
    weights, m, v, t = state
    g = jax.grad(loss_of)(weights, x[rows], y[rows])
    t += 1
    rate = 0.001 * jnp.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t)
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-8), weights, m, v)
    return (weights, m, v, t), None


@functools.partial(jax.jit, donate_argnums=0)
def epoch(state, key):
    order = jax.random.permutation(key, len(x))
    whole = len(x) // batch * batch
    state, _ = jax.lax.scan(step, state, order[:whole].reshape(-1, batch))
    if whole < len(x):
        state, _ = step(state, order[whole:])
    return state


key = jax.random.key(7)
weights = start(key)
zeros = functools.partial(jax.tree.map, jnp.zeros_like)
state = (weights, zeros(weights), zeros(weights), jnp.float32(0))


def train_epoch():
    global state, key
    key, sub = jax.random.split(key)
    state = jax.block_until_ready(epoch(state, sub))


def accuracy():
    tx, ty = fashion.images(directory, "t10k")
    return float((forward(state[0], tx).argmax(1) == ty).mean())


fashion.run(len(x), epochs, train_epoch, accuracy, threads, f"jax-{jax.__version__}")
