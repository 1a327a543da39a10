"""What the families of makers' models share: a model as its maker wrote it with what the maker answers, and models
made by an older version of a library in its own virtual environment."""
import dataclasses
import os
import pickle
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


@dataclasses.dataclass
class Model:
    name: str  # unique in its family; what a reader of a failure needs to know
    file_name: str
    data: bytes  # the maker's file
    inputs: dict  # input name -> array; dtype object for text
    outputs: dict  # output name -> array: what the maker answers; labels (ints, text) are compared exactly
    rtol: float = 1e-6
    atol: float = 1e-7
    ort: object = True  # ONNX Runtime opens our artifact and agrees; or the reason (text) why it cannot
    format: str = None  # ?format= of the upload; None: by content
    made_by: str = "newest"
    refused: str = None  # instead of outputs: words that the refusal must contain


class NotInstalled(Exception):
    pass


def old(version, code):
    """Runs `code` in the virtual environment sklearn-VERSION. It appends dicts with the fields of Model to the list
    `models`. Raises NotInstalled with the reason when the packages cannot be had."""
    made = subprocess.run(["sh", os.path.join(ROOT, "tests/client/venv.sh"), "models of " + version, version],
                          capture_output=True, text=True)
    if made.returncode:
        raise NotInstalled(made.stdout.strip())
    program = ("import pickle, sys, warnings\nwarnings.simplefilter('ignore')\nmodels = []\n" + code +
               "\nsys.stdout.buffer.write(b'MODELS' + pickle.dumps(models, 4))\n")
    env = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    done = subprocess.run([made.stdout.strip(), "-c", program], capture_output=True, env=env)
    if done.returncode:
        raise RuntimeError(version + ": " + done.stderr.decode(errors="replace")[-2000:])
    for m in pickle.loads(done.stdout.split(b"MODELS", 1)[1]):
        yield Model(**dict(m, made_by=version))


def log(*words):
    print(*words, file=sys.stderr)
