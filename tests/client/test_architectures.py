"""test_architectures.py LM_LOGITS [--peer] [NAME ...] - a tiny model of random weights of every architecture: the logits
of all 45 tokens, given at once and a few at a time, against NumPy; with --peer against llama.cpp, too."""
import os
import subprocess
import sys
import tempfile
import numpy as np
from lm_architectures import CONTEXT, LAYERS, MODELS, VOCAB, tensors, write
from lm_reference import Reference

TOKENS = ((np.arange(45) * 37 + 11) % VOCAB).astype(np.int32)
# NumPy rounds what the cache keeps to half precision, as the program does: what is left is single precision, and a
# half that falls to the other side now and then. llama.cpp is asked to keep floats. These are bounds for 4 layers; what
# layers round adds up as steps of a random walk do.
NUMPY, PEER = 1e-3, 6e-3
passed = failed = 0


def check(name, ok, words):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok' if ok else 'not ok'} {name}: {words}", flush=True)


def compare(name, got, want, bound):
    """Bounds are in units of the logits' standard deviation; a tie between two tokens may fall either way."""
    scale, worst = want.std(), np.abs(got - want).max()
    top = np.take_along_axis(want, got.argmax(1)[:, None], 1)[:, 0]
    same = bool((want.max(1) - top <= 2 * worst).all())
    check(name, worst <= bound * scale and same,
          f"greatest difference {worst:.2g} ({worst / scale:.1g} deviations), "
          f"{(got.argmax(1) == want.argmax(1)).sum()} of {len(want)} first tokens the same")


def ours(program, path, cut, context):
    with tempfile.NamedTemporaryFile() as ids, tempfile.NamedTemporaryFile() as out:
        TOKENS.tofile(ids.name)
        r = subprocess.run([program, path, ids.name, out.name, str(cut), str(context)], capture_output=True, text=True)
        if r.returncode:
            raise ValueError(r.stderr.strip().splitlines()[-1] if r.stderr.strip() else f"ended with {r.returncode}")
        return np.fromfile(out.name, np.float32).reshape(len(TOKENS), -1)


def peers(path, context):
    """In a process of its own: it aborts where a model is not to its taste."""
    code = ("import sys, numpy as np, llama_peer as p; i, o, n = sys.argv[1:]; "
            f"p.logits(p.library(), i, {TOKENS.tolist()}, int(n)).tofile(o)")
    with tempfile.NamedTemporaryFile() as out:
        r = subprocess.run([sys.executable, "-c", code, path, out.name, str(context)], capture_output=True, text=True,
                           env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)),
                                "GGML_NO_BACKTRACE": "1"})
        if r.returncode:
            said = [line for line in r.stderr.splitlines() if "Error" in line or "ASSERT" in line]
            raise ValueError((said or [f"llama.cpp ended with {r.returncode}"])[-1])
        return np.fromfile(out.name, np.float32).reshape(len(TOKENS), -1)


def main(program, names, with_peer):
    known = subprocess.run([program, "--list"], capture_output=True, text=True).stdout.split()
    missing = sorted(set(known) - {m["arch"] for m in MODELS.values()})
    check("every architecture has a model here", not missing, " ".join(missing) or f"{len(known)} of them")
    with tempfile.TemporaryDirectory() as folder:
        for name in names or MODELS:
            m, path = MODELS[name], os.path.join(folder, name + ".gguf")
            t, context, deep = tensors(m), m.get("context", CONTEXT), np.sqrt(m.get("layers", LAYERS) / LAYERS)
            write(path, m, t)
            try:
                whole = ours(program, path, len(TOKENS), context)
                compare(name, whole, Reference(m, t, context).logits(TOKENS), NUMPY * deep)
                pieces = ours(program, path, 7, context)
                check(name + ", 7 at a time", (whole == pieces).all(), "the same bytes")
                if with_peer and m["peer"]:
                    compare(name + " and llama.cpp", whole, peers(path, context), PEER * deep)
            except ValueError as e:
                check(name, False, e)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    arguments = [a for a in sys.argv[2:] if a != "--peer"]
    sys.exit(main(sys.argv[1], arguments, "--peer" in sys.argv))
