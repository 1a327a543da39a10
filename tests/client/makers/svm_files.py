"""Models of svm-train and liblinear-train; the judges are svm-predict and liblinear-predict of the same packages."""
import os
import shutil
import subprocess
import tempfile

import numpy as np

from common import Model, NotInstalled


def rows_of(x, y, first=1):
    """The rows in the format of both tools; zeros are left out."""
    lines = []
    for row, label in zip(x, y):
        cells = " ".join(f"{i + first}:{v:.17g}" for i, v in enumerate(row) if v != 0)
        lines.append(f"{label:.17g} {cells}")
    return "\n".join(lines) + "\n"


def table(n=90, f=5, classes=3, shift=0.0):
    rng = np.random.default_rng(f * 100 + classes)
    x = np.round(rng.normal(size=(n, f)), 3) + shift
    x[rng.random((n, f)) < 0.2] = 0
    x[:, -1] += x[:, -1] == 0  # the last column is in every row
    w = rng.normal(size=(f, classes))
    y = np.argmax((x - shift) @ w + 0.3 * rng.normal(size=(n, classes)), axis=1)
    return x, np.array([7, -3, 12, 5, 0])[y]


def run(folder, *command):
    done = subprocess.run([str(c) for c in command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (command, done.stderr, done.stdout)


def answers(folder, tool, *options):
    """What the tool says of data.txt: its first line, if words, and rows of numbers."""
    run(folder, tool, *options, "data.txt", "model", "out.txt")
    with open(os.path.join(folder, "out.txt")) as f:
        lines = [line.split() for line in f]
    head = lines.pop(0)[1:] if lines[0][0] == "labels" else None
    return head, np.array([[float(v) for v in line] for line in lines])


def train(tool, x, y, *options, first=1):
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "data.txt"), "w") as f:
        f.write(rows_of(x, y, first))
    run(folder, tool, "-q", *options, "data.txt", "model")
    with open(os.path.join(folder, "model"), "rb") as f:
        return folder, f.read()


def libsvm(name, x, y, *options, probabilities=False, first=1):
    folder, data = train("svm-train", x, y, *options, "-b", int(probabilities), first=first)
    _, plain = answers(folder, "svm-predict")
    kind = options[options.index("-s") + 1] if "-s" in options else 0
    outputs = {"value" if kind in (3, 4) else "label": plain[:, 0] if kind in (3, 4) else plain[:, 0].astype(np.int64)}
    ort = True
    if probabilities and kind in (0, 1):
        _, p = answers(folder, "svm-predict", "-b", 1)
        outputs["probabilities"] = p[:, 1:]
        if len(set(y)) > 2:
            ort = "PairwiseCoupling is an operator of our own"
    shutil.rmtree(folder)
    # the tool prints six digits
    return Model(name="libsvm " + name, file_name="a.model", data=data, inputs={"x": x}, outputs=outputs, rtol=1e-5,
                 atol=2e-6, ort=ort)


def liblinear(name, x, y, *options, probabilities=False):
    folder, data = train("liblinear-train", x, y, *options)
    _, plain = answers(folder, "liblinear-predict")
    value = "-s" in options and options[options.index("-s") + 1] in (11, 12, 13)
    outputs = {"value" if value else "label": plain[:, 0] if value else plain[:, 0].astype(np.int64)}
    if probabilities:
        _, p = answers(folder, "liblinear-predict", "-b", 1)
        outputs["probabilities"] = p[:, 1:]
    shutil.rmtree(folder)
    return Model(name="liblinear " + name, file_name="a.model", data=data, inputs={"x": x}, outputs=outputs, rtol=1e-5,
                 atol=2e-6)


KERNELS = (("linear", ("-t", 0)), ("polynomial", ("-t", 1, "-d", 2, "-r", 1, "-g", 0.3)),
           ("rbf", ("-t", 2, "-g", 0.4)), ("sigmoid", ("-t", 3, "-g", 0.1, "-r", 0.2)))


def cases():
    for tool in "svm-train", "svm-predict", "liblinear-train", "liblinear-predict":
        if not shutil.which(tool):
            raise NotInstalled(f"SKIPPED models of libsvm and liblinear: {tool} is not installed")
    two, three, five = table(classes=2), table(), table(classes=5, n=150)
    for kernel, options in KERNELS:
        yield libsvm(f"C-SVC {kernel}, two classes", *two, *options)
        yield libsvm(f"C-SVC {kernel}, three classes", *three, *options)
        yield libsvm(f"C-SVC {kernel}, probabilities", *three, *options, probabilities=True)
        yield libsvm(f"epsilon-SVR {kernel}", three[0][:, 1:], three[0][:, 0], "-s", 3, *options)
        yield libsvm(f"one class {kernel}", *three, "-s", 2, "-n", 0.2, *options)
    yield libsvm("C-SVC five classes, probabilities", *five, probabilities=True)
    yield libsvm("C-SVC two classes, probabilities", *two, probabilities=True)
    yield libsvm("nu-SVC", *three, "-s", 1, "-n", 0.3)
    yield libsvm("nu-SVR", three[0][:, 1:], three[0][:, 0], "-s", 4)
    yield libsvm("epsilon-SVR with its noise", three[0][:, 1:], three[0][:, 0], "-s", 3, probabilities=True)
    yield libsvm("far from the origin", *table(shift=1000.0), "-g", 0.5)
    yield libsvm("indices from 0", *three, first=0)
    for solver in range(8):
        for name, data in ("two", two), ("three", three):
            yield liblinear(f"solver {solver}, {name} classes", *data, "-s", solver, "-B", solver % 3 - 1,
                            probabilities=solver in (0, 6, 7))
    for solver in 11, 12, 13:
        yield liblinear(f"solver {solver}", three[0][:, 1:], three[0][:, 0], "-s", solver, "-B", solver - 12)
    refused = (b"svm_type c_svc\nkernel_type precomputed\n", "precomputed"), (b"svm_type other\n", "'other' is not known")
    for data, words in refused:
        yield Model(name=f"refused: {words}", file_name="a.model", data=data, inputs={}, outputs={}, refused=words)
