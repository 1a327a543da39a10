"""PMML. Models of scikit-learn are written out here, element by element, and scikit-learn is the judge; rules of the
standard that no such model needs are small documents with the answers worked out by hand."""
import os

import numpy as np
from sklearn import datasets, ensemble, linear_model, tree

from common import ROOT, Model

NAN = float("nan")


def field(name, kind="double", optype="continuous", inside=""):
    return f'<DataField name="{name}" optype="{optype}" dataType="{kind}">{inside}</DataField>'


def values(*v):
    return "".join(f'<Value value="{x}"/>' for x in v)


def document(fields, model, version="4.4", transformations=""):
    return (f'<?xml version="1.0" encoding="UTF-8"?><PMML xmlns="http://www.dmg.org/PMML-{version.replace(".", "_")}" '
            f'version="{version}"><Header><Application name="a test"/></Header><DataDictionary>{"".join(fields)}'
            f'</DataDictionary>{transformations}{model}</PMML>')


def schema(active, target="y", **attrs):
    return "<MiningSchema>" + "".join(
        f'<MiningField name="{n}"{attrs.get(n, "")}/>' for n in active) + (
        f'<MiningField name="{target}" usageType="target"/>' if target else "") + "</MiningSchema>"


def column(*v):
    text = any(isinstance(x, str) for x in v)
    return np.array(v, dtype=object if text else np.float64).reshape(-1, 1)


def case(name, xml, inputs, outputs, **how):
    return Model(name=name, file_name="m.pmml", data=xml.encode(), inputs=inputs, outputs=outputs, rtol=1e-9, atol=1e-12,
                 **how)


def named(x):
    return {f"x{i}": np.ascontiguousarray(x[:, i:i + 1].astype(np.float64)) for i in range(x.shape[1])}


X_FIELDS = [f"x{i}" for i in range(4)]


# ---- models of scikit-learn ----

def nodes(t, i, score, predicate="<True/>"):
    """A node and what is below it."""
    left, right = t.children_left[i], t.children_right[i]
    inner = ""
    if left >= 0:
        test = '<SimplePredicate field="x%d" operator="%s" value="%r"/>'
        at = (t.feature[i], "lessOrEqual", float(t.threshold[i])), (t.feature[i], "greaterThan", float(t.threshold[i]))
        inner = nodes(t, left, score, test % at[0]) + nodes(t, right, score, test % at[1])
    attrs, inside = score(t, i)
    return f'<Node id="{i}" {attrs}>{predicate}{inside}{inner}</Node>'


def class_score(labels):
    def score(t, i):
        p = t.value[i][0] / t.value[i][0].sum()
        inside = "".join(f'<ScoreDistribution value="{label}" recordCount="{float(v)!r}"/>' for label, v in zip(labels, p))
        return f'score="{labels[int(np.argmax(p))]}"', inside
    return score


def value_score(t, i):
    return f'score="{float(t.value[i][0][0])!r}"', ""


def tree_model(est, kind, score, extra=""):
    return (f'<TreeModel functionName="{kind}" splitCharacteristic="binarySplit" {extra}>{schema(X_FIELDS)}'
            f'{nodes(est.tree_, 0, score)}</TreeModel>')


def segments(kind, method, models, weights=None):
    weights = weights or [1] * len(models)
    inside = "".join(f'<Segment id="{i}" weight="{w}"><True/>{m}</Segment>'
                     for i, (m, w) in enumerate(zip(models, weights)))
    return (f'<MiningModel functionName="{kind}">{schema(X_FIELDS)}<Segmentation multipleModelMethod="{method}">{inside}'
            f'</Segmentation></MiningModel>')


def sklearn_models():
    x, y = datasets.load_iris(return_X_y=True)
    x = np.round(x, 1).astype(np.float32).astype(np.float64)
    labels = ["setosa", "versicolor", "virginica"]
    words = np.array(labels, dtype=object)[y]
    doubles = floats = [field(n) for n in X_FIELDS]
    y_class, y_int = field("y", "string", "categorical", values(*labels)), field("y", "integer", "categorical", values(0, 1, 2))
    y_value = field("y")
    est = tree.DecisionTreeClassifier(max_depth=4, random_state=0).fit(x, words)
    answer = {"label": est.predict(x), "probabilities": est.predict_proba(x)}
    for strategy in "none", "lastPrediction", "nullPrediction":
        yield case(f"decision tree, {strategy}", document(floats + [y_class], tree_model(
            est, "classification", class_score(labels), f'missingValueStrategy="{strategy}"')), named(x), answer)
    est = tree.DecisionTreeClassifier(max_depth=3, random_state=0).fit(x, y)
    yield case("decision tree, integer labels", document(floats + [y_int], tree_model(
        est, "classification", class_score([0, 1, 2])), "4.1"), named(x), {"label": est.predict(x)})
    est = tree.DecisionTreeRegressor(max_depth=5, random_state=0).fit(x, x[:, 3] * 3.7)
    yield case("regression tree", document(floats + [y_value], tree_model(est, "regression", value_score)), named(x),
               {"value": est.predict(x)})
    est = ensemble.RandomForestClassifier(8, max_depth=4, random_state=0).fit(x, words)
    trees = [tree_model(e, "classification", class_score(labels)) for e in est.estimators_]
    yield case("random forest, average", document(floats + [y_class], segments("classification", "average", trees)),
               named(x), {"label": est.predict(x), "probabilities": est.predict_proba(x)})
    votes = np.stack([e.predict(x) for e in est.estimators_]).astype(int)
    share = np.stack([(votes == k).mean(axis=0) for k in range(3)], axis=1)
    yield case("random forest, votes", document(floats + [y_class], segments("classification", "majorityVote", trees)),
               named(x), {"probabilities": share, "label": np.array(labels, dtype=object)[np.argmax(share, axis=1)]})
    est = ensemble.RandomForestRegressor(6, max_depth=4, random_state=0).fit(x[:, :], x[:, 2])
    trees = [tree_model(e, "regression", value_score) for e in est.estimators_]
    yield case("forest, average", document(floats + [y_value], segments("regression", "average", trees)), named(x),
               {"value": est.predict(x)})
    each = np.stack([e.predict(x) for e in est.estimators_])
    w = [1, 2, 3, 4, 5, 6]
    for method, want in (("sum", each.sum(axis=0)), ("weightedAverage", np.average(each, axis=0, weights=w)),
                         ("max", each.max(axis=0))):
        yield case(f"forest, {method}", document(floats + [y_value], segments("regression", method, trees, w)), named(x),
                   {"value": want})
    yield from boosted(x, y, floats)
    yield from regressions(x, y, doubles, labels, y_class, y_value)


def boosted(x, y, floats):
    """A chain as exporters write it: sums of trees become fields, from which a regression makes probabilities."""
    est = ensemble.GradientBoostingClassifier(n_estimators=6, max_depth=2, init="zero", random_state=0).fit(x, y)
    chain, tables = "", ""
    for k in range(3):
        trees = [tree_model(e, "regression", value_score, 'missingValueStrategy="defaultChild"')
                 for e in est.estimators_[:, k]]
        inside = "".join(f'<Segment id="{i}"><True/>{m}</Segment>' for i, m in enumerate(trees))
        chain += (f'<Segment id="s{k}"><True/><MiningModel functionName="regression">{schema(X_FIELDS, None)}'
                  f'<Output><OutputField name="raw{k}" dataType="double" optype="continuous"/>'
                  f'<OutputField name="f{k}" dataType="double" optype="continuous" feature="transformedValue">'
                  f'<Apply function="*"><FieldRef field="raw{k}"/><Constant>{est.learning_rate!r}</Constant></Apply>'
                  f'</OutputField></Output>'
                  f'<Targets><Target field="y" rescaleConstant="0"/></Targets>'
                  f'<Segmentation multipleModelMethod="sum">{inside}</Segmentation></MiningModel></Segment>')
        tables += (f'<RegressionTable intercept="0" targetCategory="{k}"><NumericPredictor name="f{k}" coefficient="1"/>'
                   f'</RegressionTable>')
    last = (f'<Segment id="last"><True/><RegressionModel functionName="classification" normalizationMethod="softmax">'
            f'{schema(["f0", "f1", "f2"])}{tables}</RegressionModel></Segment>')
    model = (f'<MiningModel functionName="classification">{schema(X_FIELDS)}'
             f'<Segmentation multipleModelMethod="modelChain">{chain}{last}</Segmentation></MiningModel>')
    target = field("y", "integer", "categorical", values(0, 1, 2))
    yield case("boosting, model chain", document(floats + [target], model), named(x),
               {"label": est.predict(x), "probabilities": est.predict_proba(x)})


def table(coefficients, intercept, label=None):
    return (f'<RegressionTable intercept="{float(intercept)!r}"' + (f' targetCategory="{label}"' if label else "") + ">" +
            "".join(f'<NumericPredictor name="x{i}" coefficient="{float(c)!r}"/>' for i, c in enumerate(coefficients)) +
            "</RegressionTable>")


def regressions(x, y, doubles, labels, y_class, y_value):
    words = np.array(labels, dtype=object)[y]
    est = linear_model.LogisticRegression(max_iter=500).fit(x, words)
    tables = "".join(table(c, i, label) for c, i, label in zip(est.coef_, est.intercept_, labels))
    model = (f'<RegressionModel functionName="classification" normalizationMethod="softmax">{schema(X_FIELDS)}{tables}'
             '</RegressionModel>')
    yield case("logistic regression, softmax", document(doubles + [y_class], model), named(x),
               {"label": est.predict(x), "probabilities": est.predict_proba(x)})
    two = np.where(y > 0, "yes", "no").astype(object)
    est = linear_model.LogisticRegression(max_iter=500).fit(x, two)
    model = ('<RegressionModel functionName="classification" normalizationMethod="logit">' + schema(X_FIELDS) +
             table(est.coef_[0], est.intercept_[0], "yes") + '<RegressionTable intercept="0" targetCategory="no"/>'
             '</RegressionModel>')
    yield case("logistic regression, logit", document(
        doubles + [field("y", "string", "categorical", values("no", "yes"))], model), named(x),
        {"label": est.predict(x), "probabilities": est.predict_proba(x)[:, ::-1]})
    est = linear_model.LinearRegression().fit(x, x[:, 3] * 2 + 1)
    z = est.predict(x)
    from scipy.stats import norm
    for link, want in (("none", z), ("logit", 1 / (1 + np.exp(-z))), ("exp", np.exp(z)), ("probit", norm.cdf(z)),
                       ("cloglog", 1 - np.exp(-np.exp(z))), ("loglog", np.exp(-np.exp(-z)))):
        model = (f'<RegressionModel functionName="regression" normalizationMethod="{link}">{schema(X_FIELDS)}'
                 f'{table(est.coef_, est.intercept_)}</RegressionModel>')
        yield case(f"linear regression, {link}", document(doubles + [y_value], model), named(x), {"value": want},
                   ort=True if link != "probit" else "it has no Erf of doubles")


# ---- rules of the standard ----

def node(predicate, score, inside="", name="", attrs=""):
    return f'<Node id="{name}" score="{score}" {attrs}>{predicate}{inside}</Node>'


def simple(name, op, value=None):
    return f'<SimplePredicate field="{name}" operator="{op}"' + (f' value="{value}"' if value is not None else "") + "/>"


def small_tree(inside, attrs="", kind="regression", active=("a", "b")):
    return f'<TreeModel functionName="{kind}" {attrs}>{schema(active)}{inside}</TreeModel>'


AB = [field("a"), field("b"), field("y")]


def missing_values():
    a, b = column(1, 9, NAN, NAN, 1), column(0, 0, 0, 9, NAN)
    children = node(simple("a", "lessThan", 5), 1, name="l") + node(simple("a", "greaterOrEqual", 5), 2, name="r")
    for strategy, lost in (("none", NAN), ("lastPrediction", 7), ("nullPrediction", NAN), ("defaultChild", 2)):
        root = node("<True/>", 7, children, attrs='defaultChild="r"')
        yield case(f"missing: {strategy}", document(AB, small_tree(root, f'missingValueStrategy="{strategy}"')),
                   {"a": a, "b": b}, {"value": column(1, 2, lost, lost, 1)[:, 0]})
    root = node("<True/>", 7, children)
    yield case("missing: none, last prediction without a true child", document(AB, small_tree(
        root, 'noTrueChildStrategy="returnLastPrediction"')), {"a": a, "b": b}, {"value": column(1, 2, 7, 7, 1)[:, 0]})
    surrogate = ('<CompoundPredicate booleanOperator="surrogate">' + simple("a", "lessThan", 5) +
                 simple("b", "lessThan", 5) + "<False/></CompoundPredicate>")
    root = node("<True/>", 7, node(surrogate, 1) + node("<True/>", 2))
    yield case("surrogate", document(AB, small_tree(root)), {"a": a, "b": b}, {"value": column(1, 2, 1, 2, 1)[:, 0]})
    for op, want in (("and", (1, 2, 2, 2, 2)), ("or", (1, 1, 1, 2, 1)), ("xor", (2, 1, 2, 2, 2))):
        both = f'<CompoundPredicate booleanOperator="{op}">' + simple("a", "lessThan", 5) + simple("b", "lessThan", 5)
        root = node("<True/>", 7, node(both + "</CompoundPredicate>", 1) + node("<True/>", 2))
        yield case(f"compound: {op}", document(AB, small_tree(root)), {"a": a, "b": b}, {"value": column(*want)[:, 0]})
    root = node("<True/>", 7, node(simple("a", "isMissing"), 1) + node(simple("b", "isNotMissing"), 2))
    yield case("is missing", document(AB, small_tree(root)), {"a": a, "b": b}, {"value": column(2, 2, 1, 1, NAN)[:, 0]})
    leaf = node("<True/>", 7, children)
    replace = small_tree(leaf).replace('<MiningField name="a"/>', '<MiningField name="a" missingValueReplacement="8"/>')
    yield case("missing: replaced", document(AB, replace), {"a": a, "b": b}, {"value": column(1, 2, 2, 2, 1)[:, 0]})


def floats():
    """Fields of type float are compared as such: 0.1 is equal to 0.1f."""
    fields = [field("a", "float"), field("y")]
    root = node("<True/>", 0, node(simple("a", "equal", "0.1"), 1) + node("<True/>", 2))
    for kind in "float", "double":
        fields[0] = field("a", kind)
        yield case(f"compared as {kind}", document(fields, small_tree(root, active=("a",))),
                   {"a": column(0.1, float(np.float32(0.1)), 0.2)},
                   {"value": column(1, 1 if kind == "float" else 2, 2)[:, 0]})


def text_fields():
    color = column("red", "blue", "green", "", "mauve")
    fields = [field("a", "string", "categorical", values("red", "blue", "green")), field("y")]
    put = '<Array type="string" n="2">red "bl\\"ue"</Array>'
    sets = f'<SimpleSetPredicate field="a" booleanOperator="isIn">{put}</SimpleSetPredicate>'
    root = node("<True/>", 0, node(sets.replace('bl\\"ue', "blue"), 1) + node(simple("a", "notEqual", "red"), 2))
    for treatment, lost in (("", NAN), ('invalidValueTreatment="asIs"', 2), ('invalidValueTreatment="asMissing"', NAN)):
        model = small_tree(root, active=("a",)).replace('<MiningField name="a"', f'<MiningField name="a" {treatment}')
        yield case(f"text in sets, {treatment or 'invalid'}", document(fields, model), {"a": color},
                   {"value": column(1, 1, 2, NAN, lost)[:, 0]})
    terms = ('<CategoricalPredictor name="a" value="red" coefficient="2"/>'
             '<CategoricalPredictor name="a" value="blue" coefficient="3"/>')
    model = (f'<RegressionModel functionName="regression">{schema(["a"])}<RegressionTable intercept="1">{terms}'
             '</RegressionTable></RegressionModel>')
    yield case("regression over categories", document([field("a", "string", "categorical"), field("y")], model),
               {"a": color}, {"value": column(3, 4, 1, 1, 1)[:, 0]})


def numbers_and_targets():
    fields = [field("a", "double", "continuous", '<Interval closure="closedOpen" leftMargin="0" rightMargin="10"/>'),
              field("b"), field("y")]
    a, b = column(1, 0, 10, 11, NAN), column(2, 2, 2, 2, 2)
    terms = ('<NumericPredictor name="a" exponent="2" coefficient="1"/><PredictorTerm coefficient="0.5">'
             '<FieldRef field="a"/><FieldRef field="b"/></PredictorTerm>')

    def model(mining, targets=""):
        fields_of = schema(["a", "b"]).replace('<MiningField name="a"', f'<MiningField name="a" {mining}')
        return (f'<RegressionModel functionName="regression">{fields_of}{targets}<RegressionTable intercept="1">{terms}'
                '</RegressionTable></RegressionModel>')
    yield case("invalid numbers", document(fields, model("")), {"a": a, "b": b},
               {"value": column(3, 1, NAN, NAN, NAN)[:, 0]})
    yield case("invalid numbers as they are", document(fields, model('invalidValueTreatment="asIs"')), {"a": a, "b": b},
               {"value": column(3, 1, 111, 133, NAN)[:, 0]})
    bounds = 'invalidValueTreatment="asIs" outliers="asExtremeValues" lowValue="0.5" highValue="10"'
    yield case("extreme values", document(fields, model(bounds)), {"a": a, "b": b},
               {"value": column(3, 1.75, 111, 111, NAN)[:, 0]})
    targets = ('<Targets><Target field="y" min="2" max="100" rescaleFactor="1.5" rescaleConstant="0.1" '
               'castInteger="round"><TargetValue defaultValue="50"/></Target></Targets>')
    yield case("targets", document(fields, model('invalidValueTreatment="asIs"', targets)), {"a": a, "b": b},
               {"value": column(5, 3, 150, 150, 75)[:, 0]})


def derived():
    fields = [field("a"), field("c", "string", "categorical"), field("y")]
    made = (
        '<DerivedField name="n" optype="continuous" dataType="double"><NormContinuous field="a" mapMissingTo="-1" '
        'outliers="asExtremeValues"><LinearNorm orig="0" norm="0"/><LinearNorm orig="2" norm="1"/>'
        '<LinearNorm orig="10" norm="2"/></NormContinuous></DerivedField>'
        '<DerivedField name="d" optype="continuous" dataType="double"><NormDiscrete field="c" value="x"/></DerivedField>'
        '<DerivedField name="bin" optype="categorical" dataType="string"><Discretize field="a" defaultValue="far" '
        'mapMissingTo="none"><DiscretizeBin binValue="near"><Interval closure="closedOpen" leftMargin="0" '
        'rightMargin="3"/></DiscretizeBin></Discretize></DerivedField>'
        '<DerivedField name="m" optype="continuous" dataType="double"><MapValues outputColumn="out" dataType="double" '
        'defaultValue="9"><FieldColumnPair field="c" column="in"/><InlineTable><row><in>x</in><out>1.5</out></row>'
        '<row><in>z &amp; w</in><out>2.5</out></row></InlineTable></MapValues></DerivedField>'
        '<DerivedField name="e" optype="continuous" dataType="double"><Apply function="if"><Apply '
        'function="greaterThan"><FieldRef field="a"/><Constant>3</Constant></Apply><Apply function="ln">'
        '<FieldRef field="a"/></Apply><Apply function="-"><FieldRef field="a"/><Constant>1</Constant></Apply></Apply>'
        '</DerivedField>')
    a, c = column(1, 6, 20, NAN, -1), column("x", "z & w", "q", "x", "")
    want = {"n": (.5, 1.5, 2, -1, 0), "d": (1, 0, 0, 1, NAN), "m": (1.5, 2.5, 9, 1.5, NAN),
            "e": (0, np.log(6), np.log(20), NAN, -2)}
    for name, v in want.items():
        if name == "m":
            v = (1.5, 2.5, 9, 1.5, 9)  # an empty cell of text is missing: no row of the table is that
        model = (f'<RegressionModel functionName="regression">{schema(["a", "c"])}<LocalTransformations>{made}'
                 f'</LocalTransformations><RegressionTable intercept="0"><NumericPredictor name="{name}" '
                 'coefficient="1"/></RegressionTable></RegressionModel>')
        yield case(f"derived: {name}", document(fields, model), {"a": a, "c": c}, {"value": column(*v)[:, 0]})
    root = node("<True/>", 0, node(simple("bin", "equal", "near"), 1) + node(simple("bin", "equal", "none"), 2) +
                node("<True/>", 3))
    model = small_tree(root, active=("a", "c"))
    yield case("derived: text in a tree", document(
        fields, model, transformations=f"<TransformationDictionary>{made}</TransformationDictionary>"),
        {"a": a, "c": c}, {"value": column(1, 3, 3, 2, 3)[:, 0]})


def scorecards():
    def attribute(predicate, score):
        return f'<Attribute partialScore="{score}">{predicate}</Attribute>'
    cards = ("<Characteristics><Characteristic name=\"1\">" + attribute(simple("a", "isMissing"), 5) +
             attribute(simple("a", "lessThan", 3), 10) + attribute(simple("a", "greaterOrEqual", 3), 20) +
             '</Characteristic><Characteristic name="2">' + attribute(simple("b", "greaterThan", 0), 1.5) +
             attribute("<True/>", -1.5) + "</Characteristic></Characteristics>")
    model = f'<Scorecard functionName="regression" initialScore="100">{schema(["a", "b"])}{cards}</Scorecard>'
    yield case("scorecard", document(AB, model, "4.2"), {"a": column(1, 3, NAN), "b": column(1, NAN, -1)},
               {"value": column(111.5, 118.5, 103.5)[:, 0]})


def choices():
    """selectFirst, and conditions of segments."""
    def segment(predicate, value):
        return (f"<Segment>{predicate}<RegressionModel functionName=\"regression\">{schema(['a'])}"
                f'<RegressionTable intercept="{value}"><NumericPredictor name="a" coefficient="1"/></RegressionTable>'
                "</RegressionModel></Segment>")
    parts = segment(simple("b", "lessThan", 0), 100) + segment(simple("b", "lessThan", 5), 200)
    a, b = column(1, 2, 3, 4), column(-1, 1, 9, NAN)
    for method, want in (("selectFirst", (101, 202, NAN, NAN)), ("sum", (302, 202, NAN, NAN)),
                         ("average", (151, 202, NAN, NAN))):
        model = (f'<MiningModel functionName="regression">{schema(["a", "b"])}<Segmentation multipleModelMethod="{method}">'
                 f"{parts}</Segmentation></MiningModel>")
        yield case(f"segments with conditions: {method}", document(AB, model), {"a": a, "b": b},
                   {"value": column(*want)[:, 0]})


def files():
    """Files that others wrote: examples of KServe and MLServer."""
    x, _ = datasets.load_iris(return_X_y=True)
    path = os.path.join(ROOT, "tests", "data", "models")
    for name, label in (("rpart_iris.pmml", lambda r: "setosa" if r[2] < 2.45 else "versicolor" if r[3] < 1.75
                         else "virginica"),):
        with open(os.path.join(path, name), "rb") as f:
            data = f.read()
        inputs = {n: x[:, i:i + 1].copy() for i, n in
                  enumerate(["Sepal_Length", "Sepal_Width", "Petal_Length", "Petal_Width"])}
        yield Model(name=name, file_name=name, data=data, inputs=inputs,
                    outputs={"label": np.array([label(r) for r in x], dtype=object)})
    with open(os.path.join(path, "dt_iris.pmml"), "rb") as f:
        data = f.read()
    yield Model(name="dt_iris.pmml", file_name="dt_iris.pmml", data=data,
                inputs={"Sepal_Length": column(5.1, 6.0, 5.9), "Petal_Length": column(1.4, 5.5, 4.2),
                        "Petal_Width": column(0.2, 2.1, 1.3)},
                outputs={"label": np.array(["Iris-setosa", "Iris-virginica", "Iris-versicolor"], dtype=object)})


def refusals():
    for name, xml, words in (
            ("neural network", document(AB, "<NeuralNetwork/>"), "NeuralNetwork"),
            ("doctype", '<!DOCTYPE a [<!ENTITY b "c">]><PMML/>', "DOCTYPE"),
            ("version", document(AB, "<TreeModel/>", "3.2"), "version '3.2'"),
            ("two models", document(AB, small_tree(node("<True/>", 1)) * 2), "a second model"),
            ("an unknown field", document(AB, small_tree(node(simple("q", "equal", 1), 1))), "field 'q' is not known"),
            ("weightedConfidence", document(AB, small_tree(node("<True/>", 1), 'missingValueStrategy='
                                                           '"weightedConfidence"')), "weightedConfidence"),
            ("a function", document(AB, small_tree(node("<True/>", 1)), transformations="<TransformationDictionary>"
                                    '<DerivedField name="d" dataType="double"><Apply function="concat"/></DerivedField>'
                                    "</TransformationDictionary>"), "'concat'")):
        yield Model(name=f"refused: {name}", file_name="m.pmml", data=xml.encode(), inputs={}, outputs={}, refused=words,
                    format="pmml")


def cases():
    for family in (sklearn_models, missing_values, floats, text_fields, numbers_and_targets, derived, scorecards, choices, files,
                   refusals):
        yield from family()
