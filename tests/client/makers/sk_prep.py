"""Preparation by scikit-learn: scalers, encoders, imputers, selectors, ColumnTransformer, searches, calibration. The same
fits are made with several versions of the library."""
import inspect

from common import Model, NotInstalled, log, old

OWN = "ai.maas operators"  # why ONNX Runtime cannot open some


def fits(models):
    import pickle

    import numpy as np
    import pandas as pd
    import sklearn
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
    from sklearn.feature_selection import (RFE, RFECV, GenericUnivariateSelect, SelectFdr, SelectFpr, SelectFromModel,
                                           SelectFwe, SelectKBest, SelectPercentile, SequentialFeatureSelector,
                                           VarianceThreshold, f_classif)
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge, SGDClassifier
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.preprocessing import (Binarizer, FunctionTransformer, KBinsDiscretizer, LabelBinarizer, LabelEncoder,
                                       MaxAbsScaler, MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder,
                                       PolynomialFeatures, PowerTransformer, QuantileTransformer, RobustScaler,
                                       SplineTransformer, StandardScaler)

    version = tuple(int(p) for p in sklearn.__version__.split(".")[:2])
    own = "ai.maas operators"
    rng = np.random.RandomState(7)
    n = 120
    X = rng.normal(size=(n, 5)) * [1, 10, 0.1, 3, 1] + [0, 5, 0, -2, 1]
    y3 = np.digitize(X[:, 0] + 0.1 * X[:, 1], [-0.2, 0.9])
    y2 = (X[:, 0] + X[:, 3] > -2).astype(int)
    yr = X @ [1, 0.2, 5, -1, 0.5] + rng.normal(size=n)
    Xt = rng.normal(size=(40, 5)) * [2, 15, 0.2, 4, 2] + [0, 5, 0, -2, 1]
    towns = np.array(["Oslo", "Rome", "Paris", "K\u00f8benhavn", "\u5317\u4eac"], dtype=object)
    df = pd.DataFrame({"age": np.round(rng.uniform(18, 80, n)), "town": towns[rng.randint(0, 5, n)],
                       "size": rng.normal(size=n), "kind": np.array(["a", "b", "c"], dtype=object)[rng.randint(0, 3, n)],
                       "rooms": rng.randint(1, 5, n)})
    yd = ((df["age"] > 45) ^ (df["town"] == "Oslo")).astype(int).values
    yt = np.where(yd == 1, "yes", "no").astype(object)
    holes = df.copy()
    holes.loc[::7, "age"] = np.nan
    holes.loc[::5, "town"] = np.nan
    holes.loc[::11, "kind"] = np.nan

    def dense(a):
        return np.asarray(a.toarray() if hasattr(a, "toarray") else a)

    def feed(data):
        if not isinstance(data, pd.DataFrame):
            return {"x": np.asarray(data, dtype=np.float64)}
        if not any(data[c].dtype == object or str(data[c].dtype) in ("str", "string", "category") for c in data):
            return {"x": data.values.astype(np.float64)}
        out = {}
        for c in data:
            if data[c].dtype == object or str(data[c].dtype) in ("str", "string", "category"):
                out[c] = np.array(["" if pd.isna(v) else v for v in data[c]], dtype=object).reshape(-1, 1)
            else:
                out[c] = data[c].values.astype(np.float64).reshape(-1, 1)
        return out

    def add(name, est, data, outputs, ort=True, used=None, **more):
        inputs = data if isinstance(data, dict) else feed(data)
        if used is not None:
            inputs = {k: v for k, v in inputs.items() if k in used}
        models.append(dict(name=name, file_name="m.pkl", data=pickle.dumps(est), inputs=inputs, outputs=outputs, ort=ort,
                           **more))

    def transformer(name, est, data=X, test=None, target=None, **more):
        est.fit(data, target)
        test = data if test is None else test
        add(name, est, test, {"transformed": dense(est.transform(test)).astype(np.float64)}, **more)

    def classifier(name, est, data=X, target=y3, test=None, **more):
        est.fit(data, target)
        test = data if test is None else test
        out = {"label": est.predict(test)}
        if hasattr(est, "predict_proba"):
            out["probabilities"] = est.predict_proba(test)
        add(name, est, test, out, **more)

    def regressor(name, est, data=X, target=yr, test=None, **more):
        est.fit(data, target)
        test = data if test is None else test
        add(name, est, test, {"value": est.predict(test)}, **more)

    # ---- scalers ----
    transformer("StandardScaler", StandardScaler(), test=Xt)
    transformer("StandardScaler without mean", StandardScaler(with_mean=False))
    transformer("StandardScaler without std", StandardScaler(with_std=False))
    transformer("MinMaxScaler", MinMaxScaler(), test=Xt)
    transformer("MinMaxScaler clip", MinMaxScaler((-1, 2), clip=True), test=Xt)
    transformer("RobustScaler", RobustScaler(), test=Xt)
    transformer("RobustScaler without centering", RobustScaler(with_centering=False, quantile_range=(10, 90)))
    transformer("MaxAbsScaler", MaxAbsScaler(), test=Xt)
    for norm in ("l1", "l2", "max"):
        transformer("Normalizer " + norm, Normalizer(norm=norm), np.vstack([X, np.zeros((1, 5))]))
    transformer("Binarizer", Binarizer(threshold=0.5))
    transformer("StandardScaler of a DataFrame", StandardScaler(), df[["age", "size", "rooms"]])

    # ---- shapes ----
    for encode in ("ordinal", "onehot", "onehot-dense"):
        for strategy in ("uniform", "quantile", "kmeans"):
            transformer(f"KBinsDiscretizer {encode} {strategy}",
                        KBinsDiscretizer(4, encode=encode, strategy=strategy), test=Xt)
    transformer("PolynomialFeatures 2", PolynomialFeatures(2))
    transformer("PolynomialFeatures 3 interactions", PolynomialFeatures(3, interaction_only=True, include_bias=False))
    transformer("PolynomialFeatures (2, 3)", PolynomialFeatures((2, 3)), X[:, :3])
    transformer("QuantileTransformer uniform", QuantileTransformer(n_quantiles=30), test=Xt, ort=own)
    transformer("QuantileTransformer normal", QuantileTransformer(n_quantiles=50, output_distribution="normal"), test=Xt,
                ort=own)
    steps = np.round(X)
    transformer("QuantileTransformer repeated values", QuantileTransformer(n_quantiles=100), steps, ort=own)
    transformer("PowerTransformer yeo-johnson", PowerTransformer(), test=Xt)
    transformer("PowerTransformer yeo-johnson raw", PowerTransformer(standardize=False), X ** 3)
    transformer("PowerTransformer box-cox", PowerTransformer("box-cox"), np.exp(X[:, [0, 2]]))
    transformer("FunctionTransformer None", make_pipeline(FunctionTransformer(), StandardScaler()))
    transformer("FunctionTransformer log1p", make_pipeline(FunctionTransformer(np.log1p), MaxAbsScaler()), np.abs(X))
    transformer("FunctionTransformer exp", make_pipeline(StandardScaler(), FunctionTransformer(np.exp)), X)
    transformer("FunctionTransformer sqrt", make_pipeline(FunctionTransformer(np.sqrt), MinMaxScaler()), np.abs(X))

    for beyond in ("constant", "linear", "continue", "periodic"):
        transformer("SplineTransformer " + beyond, SplineTransformer(5, extrapolation=beyond), test=Xt)
    transformer("SplineTransformer 2 quantile", SplineTransformer(4, degree=2, knots="quantile", include_bias=False))
    transformer("SplineTransformer 1 linear", SplineTransformer(4, degree=1, extrapolation="linear"), test=Xt)
    transformer("SplineTransformer error", SplineTransformer(4, extrapolation="error"))

    # ---- what is missing ----
    Xn = X.copy()
    Xn[rng.uniform(size=X.shape) < 0.2] = np.nan
    for strategy in ("mean", "median", "most_frequent", "constant"):
        transformer("SimpleImputer " + strategy, SimpleImputer(strategy=strategy), Xn)
    transformer("SimpleImputer of -1", SimpleImputer(missing_values=-1, strategy="mean"),
                np.where(np.isnan(Xn), -1, np.round(Xn, 3)))
    transformer("SimpleImputer add_indicator", SimpleImputer(add_indicator=True),
                np.where(np.arange(5) == 2, X, Xn))
    empty = Xn.copy()
    empty[:, 1] = np.nan
    transformer("SimpleImputer empty feature", SimpleImputer(), empty)
    if version >= (1, 2):
        transformer("SimpleImputer keep_empty_features", SimpleImputer(keep_empty_features=True), empty)
    Xm = np.where(rng.uniform(size=Xt.shape) < 0.2, np.nan, Xt)
    transformer("KNNImputer", KNNImputer(), Xn, Xm)
    transformer("KNNImputer add_indicator", KNNImputer(n_neighbors=3, add_indicator=True), Xn, Xm)
    transformer("KNNImputer fitted rows", KNNImputer(n_neighbors=2), Xn)
    if version >= (1, 2):
        transformer("KNNImputer empty feature", KNNImputer(keep_empty_features=True), empty)
    transformer("IterativeImputer", IterativeImputer(random_state=0, max_iter=4), Xn, Xm)
    transformer("IterativeImputer bounds",
                IterativeImputer(random_state=0, max_iter=3, min_value=-1, max_value=2, n_nearest_features=3,
                                 add_indicator=True), Xn, Xm)
    transformer("IterativeImputer Ridge", IterativeImputer(Ridge(), random_state=0, initial_strategy="median", max_iter=3,
                                                           imputation_order="descending"), Xn, Xm)
    transformer("MissingIndicator", MissingIndicator(), Xn)
    transformer("MissingIndicator all", MissingIndicator(features="all"), np.where(np.arange(5) == 2, X, Xn))
    classifier("SimpleImputer of text, then OneHotEncoder",
               make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"),
                             LogisticRegression()), holes[["town", "kind"]].astype(object), yd)
    classifier("SimpleImputer constant text",
               make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(),
                             LogisticRegression()), holes[["town", "kind"]].astype(object), yt)

    # ---- encoders ----
    text = df[["town", "kind"]]
    strange = text.copy()
    strange.iloc[::6, 0] = "nowhere"
    numbers = np.column_stack([rng.randint(0, 4, n), rng.randint(10, 13, n)]).astype(float)
    strange_numbers = numbers.copy()
    strange_numbers[::5, 0] = 99
    transformer("OneHotEncoder text", OneHotEncoder(), text)
    transformer("OneHotEncoder numbers", OneHotEncoder(), numbers)
    transformer("OneHotEncoder drop first", OneHotEncoder(drop="first"), text)
    transformer("OneHotEncoder drop if_binary", OneHotEncoder(drop="if_binary"),
                np.column_stack([numbers, numbers[:, 0] > 1]).astype(float))
    transformer("OneHotEncoder drop list", OneHotEncoder(drop=["Rome", "b"]), text)
    transformer("OneHotEncoder ignore text", OneHotEncoder(handle_unknown="ignore"), text, strange)
    transformer("OneHotEncoder ignore numbers", OneHotEncoder(handle_unknown="ignore"), numbers, strange_numbers)
    transformer("OneHotEncoder ignore drop", OneHotEncoder(handle_unknown="ignore", drop="first"), text, strange)
    transformer("OneHotEncoder min_frequency",
                OneHotEncoder(min_frequency=24, handle_unknown="infrequent_if_exist"), text, strange)
    transformer("OneHotEncoder max_categories",
                OneHotEncoder(max_categories=3, handle_unknown="infrequent_if_exist"), text, strange)
    transformer("OneHotEncoder max_categories ignore",
                OneHotEncoder(max_categories=3, handle_unknown="ignore"), text, strange)
    transformer("OneHotEncoder max_categories numbers", OneHotEncoder(max_categories=2), numbers)
    transformer("OneHotEncoder with NaN", OneHotEncoder(), np.where(numbers == 2, np.nan, numbers))
    transformer("OneHotEncoder text with NaN", OneHotEncoder(), holes[["town", "kind"]].astype(object))
    transformer("OneHotEncoder bools", OneHotEncoder(), pd.DataFrame({"b": numbers[:, 0] > 1, "i": numbers[:, 1].astype(int)}))
    transformer("OrdinalEncoder text", OrdinalEncoder(), text)
    transformer("OrdinalEncoder numbers", OrdinalEncoder(), numbers)
    transformer("OrdinalEncoder categories given",
                OrdinalEncoder(categories=[list(towns), ["c", "b", "a"]]), text)
    transformer("OrdinalEncoder unknown -1", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), text,
                strange)
    transformer("OrdinalEncoder unknown NaN",
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), numbers, strange_numbers)
    transformer("OrdinalEncoder missing", OrdinalEncoder(encoded_missing_value=-2), holes[["town", "kind"]].astype(object))
    transformer("OrdinalEncoder missing stays", OrdinalEncoder(), np.where(numbers == 2, np.nan, numbers))
    if version >= (1, 3):
        transformer("OrdinalEncoder infrequent", OrdinalEncoder(max_categories=3, handle_unknown="use_encoded_value",
                                                               unknown_value=-1), text, strange)
        transformer("OrdinalEncoder infrequent and missing", OrdinalEncoder(min_frequency=25, encoded_missing_value=-9),
                    holes[["town", "kind"]].astype(object))
        from sklearn.preprocessing import TargetEncoder
        transformer("TargetEncoder binary", TargetEncoder(), text, strange, target=yd)
        transformer("TargetEncoder continuous", TargetEncoder(smooth=3.0), text, strange, target=yr)
        if version >= (1, 4):
            transformer("TargetEncoder multiclass", TargetEncoder(), text, strange, target=y3)
    le = LabelEncoder().fit(towns)
    add("LabelEncoder text", le, {"text": towns}, {"transformed": le.transform(towns).astype(float)})
    lb = LabelBinarizer(neg_label=-1).fit(towns)
    add("LabelBinarizer text", lb, {"text": towns}, {"transformed": lb.transform(towns).astype(float)})

    # ---- selection ----
    Xs = np.column_stack([X, rng.normal(size=(n, 4)), np.zeros(n)])
    for name, est in (("SelectKBest", SelectKBest(k=3)), ("SelectKBest all", SelectKBest(k="all")),
                      ("SelectPercentile", SelectPercentile(percentile=35)), ("SelectFpr", SelectFpr(alpha=0.2)),
                      ("SelectFdr", SelectFdr(alpha=0.3)), ("SelectFwe", SelectFwe(alpha=0.4)),
                      ("GenericUnivariateSelect", GenericUnivariateSelect(f_classif, mode="k_best", param=2)),
                      ("GenericUnivariateSelect fdr", GenericUnivariateSelect(f_classif, mode="fdr", param=0.1)),
                      ("VarianceThreshold", VarianceThreshold()), ("VarianceThreshold 0.5", VarianceThreshold(0.5))):
        transformer(name, est, Xs, target=y3)
    transformer("SelectFromModel logistic", SelectFromModel(LogisticRegression()), Xs, target=y3)
    transformer("SelectFromModel median", SelectFromModel(LogisticRegression(), threshold="1.1*median"), Xs, target=y3)
    transformer("SelectFromModel norm 2", SelectFromModel(LogisticRegression(), norm_order=2, max_features=3,
                                                          threshold=-np.inf), Xs, target=y3)
    transformer("SelectFromModel Lasso", SelectFromModel(Lasso(alpha=0.1)), Xs, target=yr)
    transformer("SelectFromModel forest", SelectFromModel(RandomForestClassifier(10, random_state=1)), Xs, target=y3)
    prefit = LogisticRegression().fit(Xs, y2)
    transformer("SelectFromModel prefit", SelectFromModel(prefit, prefit=True), Xs, target=y2)
    transformer("RFE", make_pipeline(RFE(LogisticRegression(), n_features_to_select=3), MaxAbsScaler()), Xs, target=y3)
    transformer("RFECV", make_pipeline(RFECV(Ridge(), cv=3), MaxAbsScaler()), Xs, target=yr)
    transformer("SequentialFeatureSelector", SequentialFeatureSelector(Ridge(), n_features_to_select=2, cv=2), Xs,
                target=yr)
    classifier("selection in a pipeline", make_pipeline(StandardScaler(), SelectKBest(k=4), LogisticRegression()), Xs)
    classifier("RFE predicts at the end", make_pipeline(StandardScaler(), RFE(LogisticRegression())), Xs)

    # ---- columns ----
    number_columns, text_columns = ["age", "size"], ["town", "kind"]
    prepare = ColumnTransformer([("num", StandardScaler(), number_columns),
                                 ("cat", OneHotEncoder(handle_unknown="ignore"), text_columns)])
    used = number_columns + text_columns
    classifier("ColumnTransformer by name", make_pipeline(prepare, LogisticRegression()), df, yd, used=used)
    classifier("ColumnTransformer text labels", make_pipeline(prepare, LogisticRegression()), df, yt, used=used)
    unseen = df.copy()
    unseen.loc[::4, "town"] = "Atlantis"
    classifier("ColumnTransformer unknown town", make_pipeline(prepare, LogisticRegression()), df, yd, unseen, used=used)
    regressor("ColumnTransformer regression", make_pipeline(prepare, Ridge()), df, df["age"].values * 0.5, used=used)
    transformer("ColumnTransformer remainder passthrough",
                ColumnTransformer([("c", OneHotEncoder(), ["kind"])], remainder="passthrough"), df.drop(columns="town"))
    transformer("ColumnTransformer remainder scaled",
                ColumnTransformer([("c", OneHotEncoder(), text_columns)], remainder=MinMaxScaler()), df)
    transformer("ColumnTransformer by index and slice",
                ColumnTransformer([("a", StandardScaler(), [0, 3]), ("b", "passthrough", slice(1, 3)),
                                   ("d", "drop", [4])]), X)
    transformer("ColumnTransformer by mask",
                ColumnTransformer([("a", MinMaxScaler(), np.array([True, False, True, False, False]))],
                                  remainder="passthrough"), X)
    transformer("ColumnTransformer by dtype",
                ColumnTransformer([("t", OneHotEncoder(), make_column_selector(dtype_exclude=np.number)),
                                   ("n", StandardScaler(), make_column_selector(dtype_include=np.number))]), df)
    transformer("ColumnTransformer weights",
                ColumnTransformer([("n", StandardScaler(), [0, 1]), ("m", MaxAbsScaler(), [2])],
                                  transformer_weights={"n": 0.5}), X)
    transformer("ColumnTransformer without some columns",
                ColumnTransformer([("n", StandardScaler(), [0, 1]), ("e", MaxAbsScaler(), [])]), X)
    nested = ColumnTransformer([
        ("num", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), ["age", "size"]),
        ("cat", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
         ["town", "kind"])])
    strings = holes.assign(town=holes["town"].astype(object), kind=holes["kind"].astype(object))
    classifier("ColumnTransformer of pipelines", make_pipeline(nested, LogisticRegression()), strings, yt, used=used)
    transformer("FeatureUnion", FeatureUnion([("s", StandardScaler()), ("p", PolynomialFeatures(2))],
                                             transformer_weights={"s": 2.0}), X[:, :3])
    classifier("FeatureUnion in a pipeline",
               make_pipeline(FeatureUnion([("s", StandardScaler()), ("k", SelectKBest(k=2))]), LogisticRegression()))
    regressor("TransformedTargetRegressor log",
              TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1), target=np.exp(yr / 10))
    regressor("TransformedTargetRegressor scaler", TransformedTargetRegressor(Ridge(), transformer=StandardScaler()))
    regressor("TransformedTargetRegressor two targets",
              TransformedTargetRegressor(LinearRegression(), transformer=MinMaxScaler()),
              target=np.column_stack([yr, yr ** 2]))

    # ---- searches, calibration ----
    classifier("GridSearchCV", GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2))
    classifier("GridSearchCV of a pipeline",
               GridSearchCV(make_pipeline(prepare, LogisticRegression()), {"logisticregression__C": [0.1, 1]}, cv=2), df,
               yd, used=used)
    regressor("RandomizedSearchCV", RandomizedSearchCV(Ridge(), {"alpha": [0.1, 1, 10]}, n_iter=2, random_state=0, cv=2))
    for method in ("sigmoid", "isotonic"):
        for ensemble in (True, False):
            classifier(f"CalibratedClassifierCV {method} {ensemble} binary",
                       CalibratedClassifierCV(LogisticRegression(), method=method, ensemble=ensemble, cv=3), target=y2,
                       test=Xt)
        classifier(f"CalibratedClassifierCV {method} multiclass",
                   CalibratedClassifierCV(LogisticRegression(), method=method, cv=3), test=Xt)
        classifier(f"CalibratedClassifierCV {method} of probabilities",
                   CalibratedClassifierCV(GaussianNB(), method=method, cv=2), test=Xt)
        classifier(f"CalibratedClassifierCV {method} of text labels",
                   CalibratedClassifierCV(SGDClassifier(random_state=1), method=method, cv=2), target=yt, test=Xt)
    if version >= (1, 8):
        for target in (y2, y3):
            classifier(f"CalibratedClassifierCV temperature {len(set(target))}",
                       CalibratedClassifierCV(LogisticRegression(), method="temperature", cv=2), target=target, test=Xt)
        classifier("CalibratedClassifierCV temperature of probabilities",
                   CalibratedClassifierCV(GaussianNB(), method="temperature", cv=2), target=y2, test=Xt)
    one = X[:, :1]
    regressor("IsotonicRegression clip", IsotonicRegression(out_of_bounds="clip"), one, test=Xt[:, :1])
    regressor("IsotonicRegression nan", IsotonicRegression(), one, test=Xt[:, :1])
    regressor("IsotonicRegression falling", IsotonicRegression(increasing=False, out_of_bounds="clip"), one,
              test=Xt[:, :1])
    if version >= (1, 5):
        from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
        classifier("FixedThresholdClassifier 0.3", FixedThresholdClassifier(LogisticRegression(), threshold=0.3),
                   target=y2)
        classifier("FixedThresholdClassifier decision_function",
                   FixedThresholdClassifier(LogisticRegression(), threshold=0.4, response_method="decision_function",
                                            pos_label="no"), target=yt)
        classifier("TunedThresholdClassifierCV", TunedThresholdClassifierCV(LogisticRegression(), cv=3), target=y2)
    if version >= (1, 6):
        from sklearn.frozen import FrozenEstimator
        classifier("FrozenEstimator calibrated",
                   CalibratedClassifierCV(FrozenEstimator(LogisticRegression().fit(X, y3))), test=Xt)


def refusals():
    """What must be refused, and the words."""
    import pickle

    import numpy as np
    import pandas as pd
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.impute import KNNImputer
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, QuantileTransformer
    X = np.random.RandomState(0).normal(size=(20, 3))

    def refuse(name, est, words):
        return Model(name=name, file_name="m.pkl", data=pickle.dumps(est), inputs={}, outputs={}, refused=words)

    yield refuse("FunctionTransformer of a function that is not known", FunctionTransformer(np.sinh).fit(X), "sinh")
    yield refuse("a target transformer without an inverse of ours",
                 TransformedTargetRegressor(Ridge(), transformer=QuantileTransformer(n_quantiles=5)).fit(X, X[:, 0]),
                 "QuantileTransformer")
    holes = np.where(X > 1, np.nan, X)
    yield refuse("neighbours weighed by distance", KNNImputer(weights="distance").fit(holes), "'distance'")
    yield refuse("neighbours at equal distances", KNNImputer().fit(np.round(holes)), "twice")
    both = pd.DataFrame({"a": np.array(["", "x", None] * 5, dtype=object)})
    yield refuse("empty text and missing value", OneHotEncoder().fit(both), "empty text")


def cases():
    models = []
    fits(models)
    for m in models:
        yield Model(**m)
    yield from refusals()
    for version in ("sklearn-1.1.3", "sklearn-1.3.2", "sklearn-1.5.2"):
        try:
            yield from old(version, inspect.getsource(fits) + "\nfits(models)\n")
        except NotInstalled as e:
            log(e)
