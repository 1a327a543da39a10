"""Texts by scikit-learn: CountVectorizer, TfidfVectorizer, HashingVectorizer and what stands behind them, asked with
texts of random characters from all of Unicode."""
import inspect

from common import Model, NotInstalled, log, old


def fits(models):
    import pickle

    import numpy as np
    import sklearn
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import (CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer)
    from sklearn.feature_selection import SelectKBest, chi2
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import FeatureUnion, make_pipeline
    import pandas as pd

    own = "ai.maas operators"
    rng = np.random.RandomState(3)
    words = ("the cat sat on a mat with an old d\u00e9j\u00e0 vu \u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3 "
             "\u0130stanbul Stra\u00dfe na\u00efve co-op don't x_y 42nd 3.14 \u5317\u4eac \u6771\u4eac \ud55c\uad6d\uc5b4 "
             "\ufb01ne \u0644\u0627 \u0915\u094d\u0937 \U0001f600 \u01c5 e\u0301t\u00e9 \u216b \u00b2").split(" ")

    def sentence():
        return " ".join(words[i] if rng.uniform() < 0.8 else words[i].upper() for i in rng.randint(0, len(words), 9))

    every = [c for c in range(0x110000) if not 0xd800 <= c < 0xe000 and c != 0]
    special = [0x20, 0x20, 0xa0, 0x9, 0x2003, 0x3a3, 0x3c3, 0x27, 0x2e, 0x130, 0x49, 0x5f, 0x301, 0x1c5, 0xac00, 0xfdfa,
               0x2b0, 0x660, 0x10400, 0xb2, 0xe9, 0x41, 0x62]

    def noise():
        pick = [special[rng.randint(len(special))] if rng.uniform() < 0.6 else
                rng.randint(0x20, 0x2500) if rng.uniform() < 0.6 else every[rng.randint(len(every))]
                for _ in range(rng.randint(0, 60))]
        return "".join(map(chr, pick))

    known = [sentence() for _ in range(60)] + [noise() for _ in range(60)]
    asked = [sentence() for _ in range(20)] + [noise() for _ in range(80)] + known[60:90] + ["", " ", "\u03a3"]
    y = np.array([("cat" in t.lower()) + 0 for t in known])

    def text_input(texts):
        return {"text": np.array(texts, dtype=object)}

    def add(name, est, texts, outputs, inputs=None):
        models.append(dict(name=name, file_name="m.pkl", data=pickle.dumps(est), inputs=inputs or text_input(texts),
                           outputs=outputs, ort=own))

    def vectorizer(name, est, fit=True):
        est = est.fit(known) if fit else est
        add(name, est, asked, {"transformed": est.transform(asked).toarray().astype(np.float64)})

    vectorizer("CountVectorizer", CountVectorizer())
    vectorizer("CountVectorizer binary", CountVectorizer(binary=True))
    vectorizer("CountVectorizer case", CountVectorizer(lowercase=False))
    for accents in ("ascii", "unicode"):
        vectorizer("CountVectorizer " + accents, CountVectorizer(strip_accents=accents))
        vectorizer("CountVectorizer case " + accents, CountVectorizer(strip_accents=accents, lowercase=False))
        vectorizer("CountVectorizer char " + accents, CountVectorizer(analyzer="char", strip_accents=accents))
    vectorizer("CountVectorizer 1 to 3 words", CountVectorizer(ngram_range=(1, 3)))
    vectorizer("CountVectorizer 2 words", CountVectorizer(ngram_range=(2, 2), min_df=2))
    vectorizer("CountVectorizer char 1 to 3", CountVectorizer(analyzer="char", ngram_range=(1, 3), max_features=400))
    vectorizer("CountVectorizer char_wb 2 to 4", CountVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=400))
    vectorizer("CountVectorizer char_wb 5", CountVectorizer(analyzer="char_wb", ngram_range=(5, 6)))
    vectorizer("CountVectorizer english", CountVectorizer(stop_words="english", ngram_range=(1, 2)))
    vectorizer("CountVectorizer stop list", CountVectorizer(stop_words=["cat", "mat", "cat", "vu"]))
    vectorizer("CountVectorizer vocabulary", CountVectorizer(vocabulary={"mat": 0, "cat": 1, "stra\u00dfe": 2}))
    for i, pattern in enumerate((r"(?u)\b\w+\b", r"\w{3,}", r"[a-zA-Z]+", r"\S+", r"[^\W\d_]+", r"\b[a-z]{2,}\b", r"\d+",
                                 r"[\w'-]+")):
        vectorizer("CountVectorizer pattern " + pattern, CountVectorizer(token_pattern=pattern))
    vectorizer("TfidfVectorizer", TfidfVectorizer())
    vectorizer("TfidfVectorizer sublinear", TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)))
    vectorizer("TfidfVectorizer l1", TfidfVectorizer(norm="l1"))
    vectorizer("TfidfVectorizer no norm", TfidfVectorizer(norm=None, smooth_idf=False))
    vectorizer("TfidfVectorizer no idf", TfidfVectorizer(use_idf=False, binary=True))
    vectorizer("TfidfVectorizer char_wb", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), max_features=300))
    vectorizer("TfidfVectorizer float32", TfidfVectorizer(dtype=np.float32))
    vectorizer("HashingVectorizer", HashingVectorizer(n_features=256), fit=False)
    vectorizer("HashingVectorizer no signs", HashingVectorizer(n_features=100, alternate_sign=False, norm="l1"), fit=False)
    vectorizer("HashingVectorizer no norm", HashingVectorizer(n_features=64, norm=None, ngram_range=(1, 2)), fit=False)
    vectorizer("HashingVectorizer binary", HashingVectorizer(n_features=16, binary=True, norm=None), fit=False)
    vectorizer("HashingVectorizer char", HashingVectorizer(n_features=512, analyzer="char", ngram_range=(2, 5)), fit=False)
    vectorizer("HashingVectorizer wide", HashingVectorizer(n_features=2 ** 14, strip_accents="unicode"), fit=False)
    vectorizer("CountVectorizer and TfidfTransformer", make_pipeline(CountVectorizer(), TfidfTransformer()))
    vectorizer("HashingVectorizer and TfidfTransformer",
               make_pipeline(HashingVectorizer(n_features=128, norm=None, alternate_sign=False),
                             TfidfTransformer(sublinear_tf=True)))
    vectorizer("FeatureUnion of words and characters",
               FeatureUnion([("w", TfidfVectorizer()), ("c", CountVectorizer(analyzer="char", max_features=50))]))

    def classifier(name, est, target=y):
        est.fit(known, target)
        out = {"label": est.predict(asked)}
        if hasattr(est, "predict_proba"):
            out["probabilities"] = est.predict_proba(asked)
        add(name, est, asked, out)

    classifier("TfidfVectorizer, LogisticRegression", make_pipeline(TfidfVectorizer(), LogisticRegression()))
    classifier("text labels", make_pipeline(CountVectorizer(), LogisticRegression()), np.where(y == 1, "cat", "none"))
    classifier("HashingVectorizer, SGDClassifier",
               make_pipeline(HashingVectorizer(n_features=1024), SGDClassifier(loss="modified_huber", random_state=0)))
    classifier("CountVectorizer, SelectKBest",
               make_pipeline(CountVectorizer(), SelectKBest(chi2, k=20), LogisticRegression()))
    classifier("GridSearchCV of texts",
               GridSearchCV(make_pipeline(TfidfVectorizer(), LogisticRegression()), {"logisticregression__C": [1, 10]},
                            cv=2))
    df = pd.DataFrame({"title": known, "price": rng.normal(size=len(known)), "shop": rng.choice(["a", "b"], len(known))})
    columns = ColumnTransformer([("t", TfidfVectorizer(), "title"), ("p", "passthrough", ["price"])])
    est = make_pipeline(columns, LogisticRegression()).fit(df, y)
    add("ColumnTransformer with a text column", est, None,
        {"label": est.predict(df), "probabilities": est.predict_proba(df)},
        {"title": df[["title"]].values.astype(object), "price": df[["price"]].values})


def refusals():
    import pickle

    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    texts = ["one two", "three four"]

    def refuse(name, est, words):
        return Model(name=name, file_name="m.pkl", data=pickle.dumps(est), inputs={}, outputs={}, refused=words)

    yield refuse("a pattern that is not a run of one class", TfidfVectorizer(token_pattern=r"(?u)\b\w\w+\b|!").fit(texts),
                 "token pattern")
    own = CountVectorizer().fit(texts)
    own.tokenizer = np.log1p  # any name that may occur in a file
    yield refuse("a tokenizer of their own", own, "tokenizer is a function")


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
