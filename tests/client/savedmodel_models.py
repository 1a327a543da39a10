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


# ---- Keras: layers ----

@keras_case()
def activations():
    names = ("relu sigmoid tanh softmax log_softmax elu selu gelu silu softplus softsign exponential leaky_relu relu6 hard_sigmoid "
             "hard_silu mish celu linear").split()
    x = keras.Input((6,))
    return keras.Model(x, {n: L.Activation(n)(x) for n in names})


@keras_case()
def lenet():
    return chain((28, 28, 1), L.Conv2D(6, 5, padding="same", activation="tanh"), L.AveragePooling2D(2), L.Conv2D(16, 5, activation="tanh"),
                 L.MaxPooling2D(), L.Flatten(), L.Dense(84, activation="relu"), L.Dense(10, activation="softmax"))


@keras_case()
def convolutions():
    x = keras.Input((12, 10, 4))
    outs = [L.Conv2D(6, 3, strides=2, padding="same")(x), L.Conv2D(6, (3, 2), dilation_rate=2, use_bias=False)(x),
            L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x), L.SeparableConv2D(5, 3, activation="relu")(x),
            L.Conv2D(8, 3, groups=2)(x), L.DepthwiseConv2D(3, strides=2, padding="same")(x), L.ZeroPadding2D(((1, 2), (3, 0)))(x),
            L.Cropping2D(((1, 2), (0, 3)))(x), L.UpSampling2D(2)(x), L.UpSampling2D(2, interpolation="bilinear")(x)]
    return keras.Model(x, outs)


@keras_case()
def transposed():
    x = keras.Input((6, 5, 3))
    return keras.Model(x, [L.Conv2DTranspose(4, 3, strides=2, padding="same")(x), L.Conv2DTranspose(4, 3, strides=2)(x),
                           L.Conv2DTranspose(2, 2)(x)])


@keras_case()
def open_sizes():
    x = keras.Input((None, None, 3))
    return keras.Model(x, [L.Conv2DTranspose(4, 3, strides=2, padding="same")(x), L.Conv2DTranspose(4, 2, strides=3)(x),
                           L.GlobalAveragePooling2D()(L.Conv2D(4, 3, strides=2, padding="same")(x))])


@keras_case(ids=(0, 6))
def preprocessing():
    x, ids, picture = keras.Input((6,), name="x"), keras.Input((3,), dtype="int32", name="ids"), keras.Input((8, 10, 3), name="picture")
    return keras.Model([x, ids, picture], [
        L.Normalization(mean=[0.1] * 6, variance=[2.0] * 6)(x), L.Discretization([0.0, 0.3, 0.5])(x), L.Resizing(5, 7)(picture),
        L.Resizing(5, 7, crop_to_aspect_ratio=True)(picture), L.CenterCrop(5, 4)(picture), L.CategoryEncoding(6, output_mode="multi_hot")(ids)])


@keras_case()
def one_and_three_dimensions():
    x, y = keras.Input((16, 4), name="row"), keras.Input((6, 6, 6, 2), name="cube")
    return keras.Model([x, y], [
        L.Conv1D(5, 3, padding="causal", dilation_rate=2)(x), L.Conv1D(5, 3, strides=2, padding="same")(x), L.MaxPooling1D(2)(x),
        L.AveragePooling1D(3, strides=2, padding="same")(x), L.GlobalAveragePooling1D()(x), L.GlobalMaxPooling1D()(x),
        L.SeparableConv1D(4, 3)(x), L.UpSampling1D(2)(x), L.Conv1DTranspose(3, 3, strides=2)(x), L.ZeroPadding1D(2)(x),
        L.Conv3D(3, 3, padding="same")(y), L.MaxPooling3D(2)(y), L.AveragePooling3D(2)(y), L.GlobalMaxPooling3D()(y),
        L.Conv3DTranspose(2, 3, strides=2)(y)])


@keras_case()
def pools():
    x = keras.Input((9, 8, 3))
    return keras.Model(x, [L.MaxPooling2D(3, strides=2, padding="same")(x), L.AveragePooling2D((2, 3), padding="same")(x),
                           L.GlobalAveragePooling2D(keepdims=True)(x), L.GlobalMaxPooling2D()(x), L.GlobalAveragePooling2D()(x)])


@keras_case()
def norms():
    x, y = keras.Input((8, 6, 4), name="picture"), keras.Input((7,), name="vector")
    return keras.Model([x, y], [L.BatchNormalization()(x), L.BatchNormalization()(y), L.LayerNormalization()(x), L.LayerNormalization()(y),
                                L.GroupNormalization(2)(x), L.UnitNormalization()(y), L.RMSNormalization()(y)])


@keras_case()
def resnet_block():
    x = keras.Input((16, 16, 8))
    y = x
    for filters, strides in ((8, 1), (16, 2)):
        z = L.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(y)
        z = L.ReLU()(L.BatchNormalization()(z))
        z = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same", use_bias=False)(z))
        short = y if strides == 1 else L.Conv2D(filters, 1, strides=strides)(y)
        y = L.ReLU()(L.Add()([z, short]))
    y = L.Concatenate()([y, L.Conv2D(4, 1)(y)])
    return keras.Model(x, L.Dense(5)(L.GlobalAveragePooling2D()(y)))


@keras_case()
def squeeze_and_excite():
    x = keras.Input((10, 10, 8))
    s = L.Dense(8, activation="sigmoid")(L.Dense(3, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(x)))
    return keras.Model(x, L.Multiply()([x, s]))


def plain(make):
    """A model of Keras' applications, with its own random weights."""
    def write(folder):
        keras.utils.set_random_seed(2)
        make().export(folder, verbose=False)
    return write


MODELS["mobilenet_v2"] = Case(plain(lambda: keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=10)), {}, 1e-5)
MODELS["mobilenet_v3"] = Case(plain(lambda: keras.applications.MobileNetV3Small((96, 96, 3), weights=None, classes=10)), {"": (0, 255)}, 1e-5)
MODELS["efficientnet_b0"] = Case(plain(lambda: keras.applications.EfficientNetB0(input_shape=(64, 64, 3), weights=None, classes=10)),
                                 {"": (0, 255)}, 1e-5)
MODELS["resnet50_v2"] = Case(plain(lambda: keras.applications.ResNet50V2(input_shape=(64, 64, 3), weights=None, classes=10)), {}, 1e-5)


@keras_case(ids=(0, 50))
def embedding():
    x = keras.Input((9,), dtype="int32", name="ids")
    y = L.Embedding(50, 8)(x)
    return keras.Model(x, [L.Dense(3)(L.GlobalAveragePooling1D()(y)), L.Dense(4)(y)])


@keras_case(ids=(0, 50))
def masked_embedding():
    x = keras.Input((9,), dtype="int32", name="ids")
    return keras.Model(x, L.LSTM(6)(L.Embedding(50, 8, mask_zero=True)(x)))


@keras_case()
def attention():
    x, y = keras.Input((7, 8), name="x"), keras.Input((5, 8), name="y")
    return keras.Model([x, y], [L.MultiHeadAttention(2, 4)(x, y), L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True),
                                L.Attention()([x, y]), L.AdditiveAttention()([x, y]), L.GroupQueryAttention(4, 2, 1)(x, y)])


@keras_case()
def transformer_block():
    x = keras.Input((10, 16))
    y = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(4, 4)(x, x)]))
    z = L.Dense(16)(L.Dense(32, activation="gelu")(y))
    return keras.Model(x, L.LayerNormalization()(L.Add()([y, z])))


@keras_case()
def lstm():
    return chain((7, 5), L.LSTM(8, return_sequences=True), L.LSTM(4))


@keras_case()
def gru():
    return chain((7, 5), L.GRU(8, return_sequences=True), L.GRU(4, reset_after=False))


@keras_case()
def simple_rnn_and_states():
    x = keras.Input((6, 4))
    y, h = L.SimpleRNN(5, return_sequences=True, return_state=True)(x)
    z, a, b = L.LSTM(3, return_state=True, go_backwards=True)(y)
    return keras.Model(x, [y, h, z, a, b])


@keras_case()
def bidirectional():
    return chain((7, 5), L.Bidirectional(L.LSTM(4, return_sequences=True)), L.Bidirectional(L.GRU(3), merge_mode="sum"))


@keras_case()
def open_length_lstm():
    return chain((None, 5), L.LSTM(4, return_sequences=True), L.TimeDistributed(L.Dense(2)))


@keras_case()
def unrolled_lstm():
    return chain((4, 5), L.LSTM(4, unroll=True))


@keras_case()
def conv_lstm():
    return chain((4, 8, 8, 2), L.ConvLSTM2D(3, 3, padding="same"))


@keras_case()
def merges():
    x, y = keras.Input((5, 4), name="left"), keras.Input((5, 4), name="right")
    outs = [make()([x, y]) for make in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Concatenate)]
    outs += [L.Dot(axes=2)([x, y]), L.Dot(axes=2, normalize=True)([x, y]), L.Concatenate(axis=1)([x, y])]
    return keras.Model([x, y], outs)


@keras_case()
def shapes():
    x = keras.Input((4, 6))
    return keras.Model(x, [L.Reshape((3, 8))(x), L.Permute((2, 1))(x), L.Flatten()(x), L.RepeatVector(3)(L.Flatten()(x)),
                           L.Reshape((-1, 2))(x), L.Dropout(0.5)(x), L.GaussianNoise(0.1)(x), L.Rescaling(2.0, offset=-1)(x)])


@keras_case()
def wide_and_deep():
    a, b = keras.Input((4,), name="wide"), keras.Input((9,), name="deep")
    y = L.Dense(8, activation="relu")(b)
    return keras.Model([a, b], L.Dense(1, activation="sigmoid")(L.Concatenate()([a, y])))


@keras_case()
def unet():
    x = keras.Input((16, 16, 3))
    a = L.Conv2D(8, 3, padding="same", activation="relu")(x)
    b = L.Conv2D(16, 3, padding="same", activation="relu")(L.MaxPooling2D()(a))
    c = L.Conv2DTranspose(8, 2, strides=2, padding="same")(b)
    return keras.Model(x, L.Conv2D(2, 1)(L.Concatenate()([a, c])))


# ---- functions of TensorFlow ----

def module_case(*specs, slack=1e-5, **ranges):
    """A function of tensors, which gives a dictionary."""
    def add(function):
        def write(folder):
            module = tf.Module()
            module.f = tf.function(function, input_signature=list(specs))
            tf.saved_model.save(module, folder, signatures={"serving_default": module.f})
        MODELS[function.__name__] = Case(write, {"" if k == "lo_hi" else k: v for k, v in ranges.items()}, slack)
        return function
    return add


def spec(*shape, dtype=tf.float32, name="x"):
    return tf.TensorSpec(shape, dtype, name=name)


R = tf.raw_ops


@module_case(spec(None, 5))
def unary(x):
    names = "Abs Atan Ceil Cos Cosh Elu Erf Erfc Exp Expm1 Floor IsFinite IsInf IsNan Neg Relu Relu6 Selu Sigmoid Sign Sin Sinh Softplus " \
            "Softsign Square Tan Tanh Asinh ZerosLike OnesLike Rint Round"
    out = {}
    for n in names.split():
        op = getattr(R, n)
        key = "features" if n in ("Elu", "Relu", "Relu6", "Selu", "Softplus", "Softsign") else "x"
        out[n] = op(**{key: x * 3})
    for n in "Acos Asin Atanh".split():
        out[n] = getattr(R, n)(x=x * 0.9)
    p = tf.abs(x) + 0.5
    for n in "Log Log1p Reciprocal Rsqrt Sqrt".split():
        out[n] = getattr(R, n)(x=p)
    out["Acosh"] = R.Acosh(x=p + 1)
    out["leaky"] = R.LeakyRelu(features=x, alpha=0.3)
    out["loss"] = R.L2Loss(t=x)
    out["bucket"] = R.Bucketize(input=x, boundaries=[-0.5, 0.0, 0.7])
    out["cast"] = tf.cast(x * 10, tf.int32)
    return out


@module_case(spec(None, 5), spec(None, 5, name="y"), y=(0.5, 3))
def binary(x, y):
    out = {n: getattr(R, n)(x=x, y=y) for n in
           ("Add AddV2 Div DivNoNan Equal FloorDiv FloorMod Greater GreaterEqual Less LessEqual Maximum Minimum Mul MulNoNan NotEqual "
            "RealDiv SquaredDifference Sub").split()}
    out["pow"] = R.Pow(x=y, y=x)
    out["sum"] = R.AddN(inputs=[x, y, x])
    out["zero"] = R.DivNoNan(x=x, y=tf.round(y) - 1)
    out["clip"] = R.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=0.25)
    out["bias"] = tf.nn.bias_add(x, tf.constant([1.0, 2, 3, 4, 5]))
    out["atan2"] = R.Atan2(y=x, x=y - 1.5)
    out["atan2_zero"] = R.Atan2(y=x, x=tf.zeros_like(x))
    out["xlogy"] = R.Xlogy(x=tf.nn.relu(x), y=y)
    out["xdivy"] = R.Xdivy(x=tf.nn.relu(x), y=y)
    out["and"] = R.LogicalAnd(x=x > 0, y=y > 1)
    out["or"] = R.LogicalOr(x=x > 0, y=R.LogicalNot(x=y > 1))
    out["select"] = R.Select(condition=x > 0, x=x, y=y)
    out["select2"] = R.SelectV2(condition=x[:, :1] > 0, t=x, e=y)
    out["rows"] = R.Select(condition=x[:, 0] > 0, x=x, y=y)
    return out


@module_case(spec(None, 6, dtype=tf.int32), spec(None, 6, dtype=tf.int32, name="y"), x=(-9, 9), y=(1, 5))
def integers(x, y):
    return {"bit_and": R.BitwiseAnd(x=x, y=y), "bit_or": R.BitwiseOr(x=x, y=y), "bit_xor": R.BitwiseXor(x=x, y=y), "bit_not": R.Invert(x=x),
            "remainder": R.TruncateMod(x=x, y=y), "counts": R.DenseBincount(input=y, size=6, weights=tf.constant([], tf.float32)),
            "marks": R.DenseBincount(input=y, size=6, weights=tf.constant([], tf.float32), binary_output=True),
            "div": x // y, "mod": x % y, "trunc": R.TruncateDiv(x=x, y=y), "sum": tf.reduce_sum(x, 1), "abs": abs(x), "neg": -x,
            "max": tf.maximum(x, y), "wide": tf.cast(x, tf.int64) * 3, "float": tf.cast(x, tf.float32) / 2}


@module_case(spec(None, 4, 6))
def reductions(x):
    b = x > 0.2
    out = {n: getattr(R, n)(input=x, axis=[1]) for n in "EuclideanNorm Max Mean Min Prod Sum".split()}
    out |= {"keep": tf.reduce_sum(x, [1, 2], keepdims=True), "all": tf.reduce_all(b, 1), "any": tf.reduce_any(b, 2),
            "logsumexp": tf.reduce_logsumexp(x, 2), "std": tf.math.reduce_std(x, 1), "argmax": tf.argmax(x, 2),
            "argmin": tf.argmin(x, 1, output_type=tf.int32), "cumsum": tf.cumsum(x, 1), "cumsum2": tf.cumsum(x, 2, exclusive=True, reverse=True)}
    top = tf.math.top_k(x, 3)
    return out | {"values": top.values, "indices": top.indices, "softmax": tf.nn.softmax(x), "log_softmax": tf.nn.log_softmax(x, 1)}


@module_case(spec(None, 4, 6), spec(None, 6, 3, name="y"))
def products(x, y):
    w = tf.constant(random.standard_normal((6, 5)).astype(np.float32))
    return {"batch": x @ y, "adjoint": tf.linalg.matmul(x, tf.transpose(y, [0, 2, 1]), transpose_b=True), "dot": tf.tensordot(x, w, 1),
            "einsum": tf.einsum("bij,bjk->bik", x, y), "einsum2": tf.einsum("bij,jk->bki", x, w), "band": tf.linalg.band_part(x, 1, 2),
            "lower": tf.linalg.band_part(x, -1, 0), "flat": tf.matmul(tf.reshape(x, [-1, 6]), w), "flat_t": R.MatMul(a=x[:, 0], b=w),
            "old": R.BatchMatMul(x=x, y=y), "three": R.BatchMatMulV3(x=x, y=y, Tout=tf.float32)}


@module_case(spec(None, 4, 6))
def reshapes(x):
    parts = tf.split(x, 3, axis=2)
    sizes = tf.split(x, [1, -1, 2], axis=2)
    out = {"reshape": tf.reshape(x, [-1, 8, 3]), "dynamic": tf.reshape(x, tf.stack([tf.shape(x)[0], 24])), "expand": tf.expand_dims(x, -2),
           "squeeze": tf.squeeze(x[:, :1], 1), "transpose": tf.transpose(x, [2, 0, 1]), "tile": tf.tile(x, [1, 2, 1]),
           "fill": tf.fill(tf.shape(x), 2.5), "range": x[0, 0] * tf.cast(tf.range(6), tf.float32), "stack": tf.stack([x, x * 2], 1),
           "rank": tf.cast(R.Rank(input=x), tf.float32) + x, "size": R.Size(input=x), "shape": tf.shape(x), "concat": tf.concat([x, x], 1),
           "shape64": tf.shape(x, out_type=tf.int64), "broadcast": tf.broadcast_to(x[:, :1], tf.shape(x)),
           "line": R.LinSpace(start=0.0, stop=1.0, num=6) + x, "line1": tf.linspace(0.0, 1.0, 6) + x, "snapshot": R.Snapshot(input=x), "old": R.Concat(concat_dim=2, values=[x, x])}
    out |= {f"part{i}": p for i, p in enumerate(parts)} | {f"size{i}": p for i, p in enumerate(sizes)}
    out |= {f"row{i}": p for i, p in enumerate(tf.unstack(x, axis=1))} | {f"n{i}": p for i, p in enumerate(R.ShapeN(input=[x, x[0]]))}
    out["args"] = tf.broadcast_dynamic_shape(tf.shape(x), tf.shape(x[:, :1]))
    out["identities"] = R.IdentityN(input=[x, x])[1] + tf.stop_gradient(x) + R.PreventGradient(input=x, message="")
    out["ensured"] = tf.ensure_shape(x, [None, 4, 6])
    return out


@module_case(spec(None, 5, 6, 4))
def slices(x):
    i = tf.shape(x)[0] - 1
    return {"a": x[:, 1:4, ::2], "b": x[..., 1], "c": x[:, -2], "d": x[:, ::-1], "e": x[:, tf.newaxis, 2:, :, -1], "f": x[0, ..., 1:3],
            "g": tf.slice(x, [0, 1, 0, 1], [-1, 3, 2, 2]), "h": x[:, 3:0:-2], "i": x[i], "j": x[:i], "k": tf.reverse(x, [1, 3]),
            "l": tf.roll(x, [1, -2], [1, 2]), "m": x[-1:], "n": x[:, :, i:], "o": x[..., -1, :]}


@module_case(spec(None, 5, 6, 3))
def borders(x):
    y = tf.nn.relu(tf.nn.conv2d(x, tf.constant(random.standard_normal((3, 3, 3, 4)).astype(np.float32) * 0.3), 1, "SAME"))
    return {"pad": tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]), "value": tf.pad(x, [[0, 0], [1, 0], [2, 1], [1, 0]], constant_values=2.5),
            "reflect": tf.pad(x, [[0, 0], [2, 1], [1, 1], [0, 0]], "REFLECT"), "symmetric": tf.pad(x, [[0, 0], [2, 1], [1, 1], [0, 2]], "SYMMETRIC"),
            "first": tf.pad(y, [[0, 0], [1, 1], [0, 2], [0, 0]]), "concat": tf.concat([y, y], 3), "split": tf.split(y, 2, 3)[1],
            "mean": tf.reduce_mean(y, [1, 2]), "channel": tf.reduce_max(y, 3), "scaled": y * tf.constant([1.0, 2, 3, 4]) + y[:, :1, :1],
            "line": y[:, 2], "biased": tf.nn.bias_add(y, tf.constant([1.0, 2, 3, 4]))}


@module_case(spec(None, 6, 8, 4))
def pictures(x):
    y = tf.nn.conv2d(x, tf.constant(random.standard_normal((3, 3, 4, 8)).astype(np.float32)), [1, 2, 1, 1], [[0, 0], [1, 0], [2, 1], [0, 0]])
    out = {"explicit": y, "space": tf.nn.space_to_depth(x, 2), "depth": tf.nn.depth_to_space(x, 2),
           "lrn": tf.nn.local_response_normalization(x, 2), "max": tf.nn.max_pool2d(x, 2, 2, "SAME"),
           "to_batch": tf.batch_to_space(tf.space_to_batch(x, [2, 2], [[0, 0], [2, 0]]), [2, 2], [[0, 0], [2, 0]]),
           "row": tf.space_to_batch(x[:, 0], [2], [[1, 1]])}
    for half in (False, True):
        out[f"nearest{half}"] = R.ResizeNearestNeighbor(images=x, size=[9, 5], half_pixel_centers=half)
        out[f"bilinear{half}"] = R.ResizeBilinear(images=x, size=[9, 5], half_pixel_centers=half)
    out["bilinear_aligned"] = R.ResizeBilinear(images=x, size=[11, 15], align_corners=True)
    out["nearest_aligned"] = R.ResizeNearestNeighbor(images=x, size=[11, 15], align_corners=True)
    stats = [tf.constant(v) for v in np.abs(random.standard_normal((4, 4)).astype(np.float32)) + 0.2]
    for n in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        out[n] = getattr(R, n)(x=x, scale=stats[0], offset=stats[1], mean=stats[2], variance=stats[3], is_training=False)[0]
    return out


@module_case(spec(None, 6, 8, 4), slack=2e-3)
def bicubic(x):  # TensorFlow takes cubic weights from a table of 1024 places, we compute them
    return {"y": R.ResizeBicubic(images=x, size=[12, 13], half_pixel_centers=True)}


@module_case(spec(None, 6), spec(None, 3, dtype=tf.int32, name="at"), at=(0, 6))
def indices(x, at):
    table = tf.constant(random.standard_normal((6, 4)).astype(np.float32))
    return {"gather": tf.gather(table, at), "axis": tf.gather(x, [5, 0, 2], axis=1), "batch": tf.gather(x, at, axis=1, batch_dims=1),
            "nd": tf.gather_nd(table, tf.stack([at, at % 4], -1)), "one_hot": tf.one_hot(at, 6), "off": tf.one_hot(at - 1, 4, 2.0, -1.0, axis=1),
            "scatter": tf.scatter_nd(at[:, :1], x, [6, 6]), "old": R.Gather(params=table, indices=at),
            "add": tf.tensor_scatter_nd_add(table, at[:, :1], x[:, :4]), "set": tf.tensor_scatter_nd_update(table, [[1], [3]], table[:2]),
            "where": tf.where(x > 0.5)[:0], "sequence": tf.reverse_sequence(x, at[:, 0], seq_axis=1, batch_axis=0)}


@module_case(spec(None, 4), spec(dtype=tf.bool, name="flag"))
def branches(x, flag):
    y = tf.cond(flag, lambda: x * 2 + 1, lambda: tf.nn.relu(x) - 3)
    z = R.StatelessIf(cond=tf.reduce_sum(x) > 0, input=[x, y], Tout=[tf.float32],
                      then_branch=tf.function(lambda a, b: [a + b]).get_concrete_function(tf.TensorSpec([None, 4]), tf.TensorSpec([None, 4])),
                      else_branch=tf.function(lambda a, b: [a - b]).get_concrete_function(tf.TensorSpec([None, 4]), tf.TensorSpec([None, 4])))
    w = R.If(cond=flag, input=[x, y], Tout=[tf.float32],
             then_branch=tf.function(lambda a, b: [a * b]).get_concrete_function(tf.TensorSpec([None, 4]), tf.TensorSpec([None, 4])),
             else_branch=tf.function(lambda a, b: [b]).get_concrete_function(tf.TensorSpec([None, 4]), tf.TensorSpec([None, 4])))
    return {"y": y, "z": z[0], "w": w[0], "constant": tf.cond(tf.constant(True), lambda: x + 7, lambda: x)}


@module_case(spec(None, 4), spec(dtype=tf.int32, name="n"), n=(3, 7))
def loops(x, n):
    w = tf.constant(random.standard_normal((4, 4)).astype(np.float32) * 0.3)
    total = tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, tf.tanh(a @ w) + x), (0, x))[1]
    until = tf.while_loop(lambda i, a: tf.reduce_sum(tf.abs(a)) > 0.1, lambda i, a: (i + 1, a * 0.5), (0, x))
    nested = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.while_loop(lambda j, b: j < i, lambda j, b: (j + 1, b + x), (0, a))[1]), (0, x))[1]
    mapped = tf.map_fn(lambda row: tf.reduce_sum(row) * row, x)
    array = tf.TensorArray(tf.float32, 3)
    for k in range(3):
        array = array.write(k, x[:, k])
    gathered = tf.TensorArray(tf.float32, 4).unstack(tf.transpose(x))
    return {"total": total, "steps": until[0], "until": until[1], "nested": nested, "mapped": mapped, "stacked": array.stack(),
            "list": gathered.gather([2, 0]), "length": R.TensorListLength(input_handle=R.TensorListFromTensor(tensor=x, element_shape=[4])), "read": gathered.read(1)}


@case()
def stateful_module(folder):
    class Net(tf.Module):
        def __init__(self):
            self.w = tf.Variable(random.standard_normal((5, 3)).astype(np.float32), name="w")
            self.b = tf.Variable(random.standard_normal(3).astype(np.float32), name="w")
            self.table = tf.Variable(random.standard_normal((5, 7)).astype(np.float32))

        @tf.function(input_signature=[spec(None, 5)])
        def f(self, x):
            return {"y": x @ self.w + self.b, "row": tf.gather(self.table, tf.argmax(x, 1))}
    net = Net()
    tf.saved_model.save(net, folder, signatures={"serving_default": net.f})


@case()
def only_signature(folder):
    module = tf.Module()
    module.f = tf.function(lambda x: {"twice": 2 * x}, input_signature=[spec(None, 3)])
    tf.saved_model.save(module, folder, signatures={"double_it": module.f})


@case()
def scalars_and_types(folder):
    module = tf.Module()
    module.f = tf.function(lambda a, b: {"a": a * 2, "b": b + 1, "same": a}, input_signature=[spec(dtype=tf.float64, name="a"),
                                                                                           spec(2, dtype=tf.int64, name="b")])
    tf.saved_model.save(module, folder, signatures={"serving_default": module.f})


def tf1_case(resource):
    """A graph of TensorFlow 1: variables by name, a Saver, SavedModelBuilder."""
    def write(folder):
        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 6], name="x")
            keep = v1.placeholder_with_default(1.0, [], name="keep")
            with v1.variable_scope("net", use_resource=resource):
                w = v1.get_variable("w", [6, 4], initializer=v1.random_normal_initializer(seed=1))
                b = v1.get_variable("b", [4], initializer=v1.random_normal_initializer(seed=2))
            y = tf.nn.relu(v1.nn.xw_plus_b(x, w, b)) * keep
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(session, folder, inputs={"x": x}, outputs={"y": y, "argmax": tf.argmax(y, 1)})
    return write


MODELS["tf1_graph"] = Case(tf1_case(False), {}, 1e-5)
MODELS["tf1_resources"] = Case(tf1_case(True), {}, 1e-5)


# ---- what is refused ----

def refuse(name, *words):
    def add(write):
        REFUSED.append((name, write, words))
        return write
    return add


def save_function(folder, function, *specs, signatures=("serving_default",)):
    module = tf.Module()
    module.f = tf.function(function, input_signature=list(specs))
    tf.saved_model.save(module, folder, signatures={n: module.f for n in signatures})


@refuse("unknown_operator", "Betainc", "not supported")
def _(folder):
    save_function(folder, lambda x: {"y": tf.math.betainc(x, x, x)}, spec(None, 3))


@refuse("strings", "input 's'", "type 7")
def _(folder):
    save_function(folder, lambda s: {"y": tf.strings.length(s)}, spec(None, dtype=tf.string, name="s"))


@refuse("several_signatures", "'one', 'two'", "serving_default")
def _(folder):
    save_function(folder, lambda x: {"y": x + 1}, spec(None, 3), signatures=("one", "two"))


@refuse("no_signature", "no signature")
def _(folder):
    tf.saved_model.save(tf.Module(), folder)


@refuse("no_variables", "variable", "variables/variables.index")
def _(folder):
    stateful_module(folder)
    import shutil
    shutil.rmtree(folder + "/variables")


@refuse("flipped_bits", "another checksum")
def _(folder):
    stateful_module(folder)
    path = folder + "/variables/variables.data-00000-of-00001"
    with open(path, "r+b") as f:
        all_bytes = f.read()
        f.seek(0)
        f.write(bytes(b ^ 16 for b in all_bytes))
