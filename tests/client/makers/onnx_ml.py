"""Models that skl2onnx and onnxmltools wrote, of old and new opsets. The judge is ONNX Runtime on the maker's file."""
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from sklearn import (compose, datasets, decomposition, discriminant_analysis, ensemble, linear_model, mixture,
                     naive_bayes, neural_network, pipeline, preprocessing, svm, tree)
from sklearn.base import is_classifier
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

from common import Model

warnings.simplefilter("ignore")


def answers(data, inputs):
    """What ONNX Runtime makes of the file; lists of maps (ZipMap) as rows."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    s = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    out = {}
    for o, v in zip(s.get_outputs(), s.run(None, inputs)):
        out[o.name] = np.array([list(row.values()) for row in v], np.float32) if isinstance(v, list) else v
    return out


def model(name, onx, inputs, **how):
    data = onx.SerializeToString()
    how = {"rtol": 1e-4, "atol": 2e-5, "ort": "the file is ONNX Runtime's own", **how}
    return Model(name=name, file_name="m.onnx", data=data, inputs=inputs, outputs=answers(data, inputs), **how)


def fitted(name, est, x, y, opset=17, kind=FloatTensorType, **options):
    est.fit(x, y)
    onx = to_onnx(est, initial_types=[("x", kind([None, x.shape[1]]))], target_opset={"": opset, "ai.onnx.ml": 3},
                  options={id(est): options} if options else None)
    dtype = {FloatTensorType: np.float32, DoubleTensorType: np.float64, Int64TensorType: np.int64}[kind]
    # ONNX Runtime sums these machines in f32
    how = {"atol": 2e-4} if isinstance(est, svm.SVR) else {}
    return model(f"{name}, opset {opset}", onx, {"x": x.astype(dtype)}, **how)


def data():
    x, y = datasets.load_iris(return_X_y=True)
    return x.astype(np.float32).astype(np.float64)[::2], y[::2]


def linear(x, y):
    two, words = y > 0, np.array(["setosa", "versicolor", "virginica"])[y]
    yield "logistic", linear_model.LogisticRegression(max_iter=500), x, y
    yield "logistic of two classes", linear_model.LogisticRegression(max_iter=500), x, two.astype(int)
    yield "logistic, text labels", linear_model.LogisticRegression(max_iter=500), x, words
    yield "SGD modified huber", linear_model.SGDClassifier(loss="modified_huber", random_state=0), x, y
    yield "ridge classifier", linear_model.RidgeClassifier(), x, y
    yield "LinearSVC", svm.LinearSVC(), x, y
    yield "LinearSVC of two classes", svm.LinearSVC(), x, two.astype(int)
    yield "linear regression", linear_model.LinearRegression(), x[:, :3], x[:, 3]
    yield "ridge of two targets", linear_model.Ridge(), x[:, :2], x[:, 2:]
    yield "elastic net", linear_model.ElasticNet(alpha=0.01), x[:, :3], x[:, 3]
    yield "poisson", linear_model.PoissonRegressor(), x[:, :3], x[:, 3]


def machines(x, y):
    two, words = (y > 0).astype(int), np.array(["setosa", "versicolor", "virginica"])[y]
    for kernel in "rbf", "poly", "sigmoid", "linear":
        kw = {"kernel": kernel, "gamma": 0.05, "coef0": 0.1}
        yield f"SVC {kernel}", svm.SVC(**kw), x, y
        yield f"SVC {kernel} of two classes", svm.SVC(**kw), x, two
        yield f"SVC {kernel} with probabilities", svm.SVC(probability=True, random_state=0, **kw), x, words
        yield f"SVR {kernel}", svm.SVR(**kw), x[:, :3], x[:, 3]
    yield "SVC of two classes with probabilities", svm.SVC(probability=True, random_state=0), x, two
    yield "NuSVC", svm.NuSVC(nu=0.2), x, words
    yield "NuSVR", svm.NuSVR(), x[:, :3], x[:, 3]
    yield "one-class SVM", svm.OneClassSVM(nu=0.1), x, None


def others(x, y):
    yield "gaussian naive Bayes", naive_bayes.GaussianNB(), x, y
    yield "bernoulli naive Bayes", naive_bayes.BernoulliNB(binarize=2.0), x, y
    yield "multinomial naive Bayes", naive_bayes.MultinomialNB(), x, y
    yield "linear discriminants", discriminant_analysis.LinearDiscriminantAnalysis(), x, y
    yield "network", neural_network.MLPClassifier(hidden_layer_sizes=(8,), max_iter=200, random_state=0), x, y
    yield "network, tanh, regression", neural_network.MLPRegressor(hidden_layer_sizes=(6,), activation="tanh",
                                                                   max_iter=200, random_state=0), x[:, :3], x[:, 3]
    yield "k-means", KMeans(3, n_init=2, random_state=0), x, None
    yield "gaussian mixture", mixture.GaussianMixture(2, random_state=0), x, None
    yield "principal components", decomposition.PCA(2), x, None
    yield "truncated SVD", decomposition.TruncatedSVD(2, random_state=0), x, None
    for step in (preprocessing.StandardScaler(), preprocessing.MinMaxScaler(clip=True), preprocessing.MaxAbsScaler(),
                 preprocessing.RobustScaler(), preprocessing.Normalizer("l1"), preprocessing.Normalizer("max"),
                 preprocessing.Binarizer(threshold=1.5), preprocessing.PolynomialFeatures(2),
                 preprocessing.KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf")):
        yield repr(step), step, x, None
    yield "scaler and logistic", pipeline.make_pipeline(preprocessing.StandardScaler(),
                                                        linear_model.LogisticRegression()), x, y


def trees(x, y):
    yield "decision tree", tree.DecisionTreeClassifier(max_depth=4, random_state=0), x, y
    yield "random forest", ensemble.RandomForestClassifier(10, max_depth=4, random_state=0), x, y
    yield "extra trees, regression", ensemble.ExtraTreesRegressor(10, max_depth=4, random_state=0), x[:, :3], x[:, 3]
    yield "gradient boosting", ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0), x, y
    yield "gradient boosting, regression", ensemble.GradientBoostingRegressor(n_estimators=8,
                                                                              random_state=0), x[:, :3], x[:, 3]


def boosted(x, y):
    """What onnxmltools makes of other makers' trees."""
    import lightgbm
    import onnxmltools
    import xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType as Floats
    two = (y > 0).astype(int)
    types, inputs = [("x", Floats([None, 4]))], {"x": x.astype(np.float32)}
    size = {"n_estimators": 6, "max_depth": 3}
    for name, est, labels in (("binary", xgboost.XGBClassifier(**size), two), ("", xgboost.XGBClassifier(**size), y),
                              ("regression", xgboost.XGBRegressor(**size), x[:, 3])):
        est.fit(x, labels)
        yield model(f"XGBoost {name} through onnxmltools", onnxmltools.convert_xgboost(est, initial_types=types),
                    inputs)
    size = {"n_estimators": 6, "num_leaves": 5, "min_child_samples": 3, "verbose": -1}
    for name, est, labels in (("binary", lightgbm.LGBMClassifier(**size), two),
                              ("", lightgbm.LGBMClassifier(**size), y),
                              ("regression", lightgbm.LGBMRegressor(**size), x[:, 3])):
        est.fit(x, labels)
        yield model(f"LightGBM {name} through onnxmltools", onnxmltools.convert_lightgbm(est, initial_types=types),
                    inputs)


def columns():
    """Text and numbers, a column an input."""
    rng = np.random.default_rng(0)
    color = rng.choice(["red", "green", "blue"], 60).reshape(-1, 1)
    size = rng.integers(0, 4, 60).reshape(-1, 1)
    weight = rng.normal(size=(60, 1)).astype(np.float32)
    weight[::7] = np.nan
    y = (np.nan_to_num(weight[:, 0]) + (color[:, 0] == "red") + size[:, 0] > 2).astype(int)
    import pandas as pd
    frame = pd.DataFrame({"color": color[:, 0], "size": size[:, 0], "weight": weight[:, 0]})
    types = [("color", StringTensorType([None, 1])), ("size", Int64TensorType([None, 1])),
             ("weight", FloatTensorType([None, 1]))]
    inputs = {"color": color.astype(object), "size": size.astype(np.int64), "weight": weight}
    for coder in preprocessing.OneHotEncoder(handle_unknown="ignore"), preprocessing.OrdinalEncoder():
        prepare = compose.ColumnTransformer([
            ("text", coder, ["color", "size"]),
            ("number", pipeline.make_pipeline(SimpleImputer(), preprocessing.StandardScaler()), ["weight"])])
        est = pipeline.make_pipeline(prepare, linear_model.LogisticRegression()).fit(frame, y)
        for opset, ml in (12, 1), (18, 3):
            if ml == 1 and "Ordinal" in repr(coder):
                continue  # LabelEncoder to int64 of that version is not what skl2onnx needs
            onx = to_onnx(est, initial_types=types, target_opset={"": opset, "ai.onnx.ml": ml})
            yield model(f"columns, {type(coder).__name__}, opset {opset}", onx, inputs)


def node(name, op, inputs, outputs, ml=1, opset=17, domain="ai.onnx.ml", **attrs):
    """One operator alone."""
    h = onnx.helper
    kinds = {"O": onnx.TensorProto.STRING}
    ins = [h.make_tensor_value_info(k, kinds.get(v.dtype.char) or h.np_dtype_to_tensor_dtype(v.dtype),
                                    [None] + list(v.shape[1:])) for k, v in inputs.items()]
    outs = [h.make_tensor_value_info(k, t, None) for k, t in outputs.items()]
    n = h.make_node(op, list(inputs), list(outputs), domain=domain, **attrs)
    graph = h.make_graph([n], "g", ins, outs)
    opsets = [h.make_opsetid("ai.onnx.ml", ml), h.make_opsetid("", opset)]
    return model(name, h.make_model(graph, opset_imports=opsets, ir_version=8), inputs)


def nodes():
    f, i, s = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.STRING
    words = np.array([["a", "b"], ["c", "zz"]], object)
    whole = np.array([[1, 2], [3, -4]], np.int64)
    yield node("CategoryMapper to numbers", "CategoryMapper", {"x": words}, {"y": i}, cats_strings=["a", "b", "c"],
               cats_int64s=[3, 2, 1])
    yield node("CategoryMapper to text", "CategoryMapper", {"x": whole}, {"y": s}, cats_strings=["a", "b", "c", "a"],
               cats_int64s=[3, 2, 1, 3], default_string="none")
    yield node("LabelEncoder 1", "LabelEncoder", {"x": words}, {"y": i}, classes_strings=["a", "b", "c"])
    yield node("LabelEncoder 4", "LabelEncoder", {"x": words}, {"y": f}, ml=4, keys_strings=["a", "b", "a"],
               values_floats=[1.0, 2.0, 3.0], default_float=9.0)
    yield node("OneHotEncoder of text", "OneHotEncoder", {"x": words}, {"y": f}, cats_strings=["a", "b", "c"])
    yield node("OneHotEncoder of numbers", "OneHotEncoder", {"x": whole.astype(np.float64) + 0.3}, {"y": f},
               cats_int64s=[1, 2, 3, -3])
    yield node("FeatureVectorizer", "FeatureVectorizer", {"x": whole, "w": whole[:, :1]}, {"y": f},
               inputdimensions=[3, 1])
    x = np.array([[.1, .2], [.5, .3], [-.2, .9]], np.float32)
    for post in "NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO":
        kw = {"kernel_type": "RBF", "kernel_params": [.5, 0., 3.], "post_transform": post}
        yield node(f"SVMClassifier {post}, two classes", "SVMClassifier", {"x": x}, {"l": i, "s": f},
                   coefficients=[.3, -.5], support_vectors=[.1, .2, .3, .4], vectors_per_class=[1, 1], rho=[.1],
                   classlabels_ints=[4, 7], **kw)
        yield node(f"SVMClassifier {post}, three classes", "SVMClassifier", {"x": x.astype(np.float64)},
                   {"l": s, "s": f}, coefficients=[.3, -.5, .1, .2, .3, .4],
                   support_vectors=[.1, .2, .3, .4, .5, .6], vectors_per_class=[1, 1, 1], rho=[.1, .2, .3],
                   classlabels_strings=["a", "b", "c"], **kw)
        kw = {"kernel_type": "LINEAR", "kernel_params": [0., 0., 3.], "post_transform": post}
        yield node(f"SVMClassifier {post}, linear form", "SVMClassifier", {"x": x}, {"l": i, "s": f},
                   coefficients=[.3, -.5, .1, .2], rho=[.1], classlabels_ints=[4, 7], **kw)
        yield node(f"LinearClassifier {post}", "LinearClassifier", {"x": x}, {"l": i, "s": f},
                   coefficients=[.3, .5, .1, .2, .7, .1], intercepts=[.1, 0., .2], classlabels_ints=[4, 7, 9],
                   post_transform=post)
    yield node("LinearClassifier PROBIT", "LinearClassifier", {"x": x}, {"l": i, "s": f},
               coefficients=[.3, .5, .1, .2, .7, .1], intercepts=[.1, 0.1, .2], classlabels_ints=[4, 7, 9],
               post_transform="PROBIT")
    for dtype in np.float32, np.float64, np.int32, np.int64:
        x = np.array([[-1, 2], [3, -4], [0, 0]], dtype)
        yield node(f"Scaler of {dtype.__name__}", "Scaler", {"x": x}, {"y": f}, offset=[1., 2.], scale=[2., 3.])
        yield node(f"Normalizer of {dtype.__name__}", "Normalizer", {"x": x}, {"y": f}, norm="L2")


def old_forms():
    """Operators in the forms they had before opset 13."""
    f, i = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    x = {"x": np.random.default_rng(1).normal(size=(4, 3, 2)).astype(np.float32)}
    flat = {"x": x["x"].reshape(4, 6)}
    y = {"y": f}
    for op, opset, inputs, outputs, attrs in (
            ("Clip", 7, x, y, {"min": -.5, "max": .5}), ("Clip", 10, x, y, {"max": .5}), ("Clip", 7, x, y, {}),
            ("Softmax", 7, flat, y, {}), ("Softmax", 11, x, y, {}), ("Softmax", 11, x, y, {"axis": 2}),
            ("Softmax", 11, x, y, {"axis": -1}), ("LogSoftmax", 9, x, y, {"axis": 0}),
            ("Slice", 9, x, y, {"starts": [1, 0], "ends": [3, 1]}),
            ("Slice", 9, x, y, {"starts": [-2], "ends": [9], "axes": [1]}),
            ("Pad", 10, flat, y, {"pads": [0, 1, 0, 2], "value": 1.5}), ("Pad", 7, flat, y, {"pads": [0, 1, 0, 2]}),
            ("TopK", 9, flat, {"y": f, "i": i}, {"k": 2}), ("Split", 11, flat, {"y": f, "z": f}, {"axis": 1}),
            ("Split", 11, flat, {"y": f, "z": f}, {"axis": 1, "split": [2, 4]}),
            ("Unsqueeze", 11, x, y, {"axes": [0, 4]}), ("ReduceSum", 12, x, y, {"axes": [1], "keepdims": 0}),
            ("ReduceMean", 7, x, y, {"axes": [0, 2]}), ("ArgMax", 7, x, {"y": i}, {"axis": 1}),
            ("Dropout", 7, x, y, {"ratio": 0.3}), ("Squeeze", 9, {"x": x["x"][:, :1]}, y, {"axes": [1]})):
        yield node(f"{op} {attrs}, opset {opset}", op, inputs, outputs, opset=opset, domain="", **attrs)


def cases():
    x, y = data()
    for opset in 9, 12, 17:
        for name, est, a, b in linear(x, y):
            yield fitted(name, est, a, b, opset)
    for name, est, a, b in list(machines(x, y)) + list(others(x, y)):
        yield fitted(name, est, a, b)
    for name, est, a, b in list(linear(x, y)) + list(others(x, y)):
        if type(est).__name__ in ("KMeans", "LogisticRegression", "MLPClassifier", "StandardScaler", "Ridge", "PCA"):
            plain = {"zipmap": False} if is_classifier(est) else {}
            yield fitted(name + " in FP64", est, a, b, kind=DoubleTensorType, **plain)
    for name, est, a, b in trees(x, y):
        yield fitted(name, est, a, b)
    yield fitted("no ZipMap", linear_model.LogisticRegression(max_iter=500), x, y, zipmap=False)
    yield fitted("a column a class", linear_model.LogisticRegression(max_iter=500), x, y, zipmap="columns")
    yield from boosted(x, y)
    yield from columns()
    yield from nodes()
    yield from old_forms()
