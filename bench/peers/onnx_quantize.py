"""A network in fewer bits: onnx_quantize.py DIRECTORY NAME

Reads DIRECTORY/NAME.onnx and writes NAME-int8.onnx, as ONNX Runtime's quantizer makes it (QDQ, a scale for each channel of
the weights, ranges of two random pictures), and NAME-bf16.onnx: the same file that says it may run in bfloat16.
"""
import shutil
import sys

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

stem = f"{sys.argv[1]}/{sys.argv[2]}"
with open(stem + ".inputs") as f:
    sizes = [1] + [int(v) for v in f.read().split()[4:]]  # one input, the batch first


class Rows(CalibrationDataReader):
    def __init__(self):
        self.left, self.rng = 2, np.random.default_rng(3)

    def get_next(self):
        self.left -= 1
        return {"x": self.rng.random(sizes, dtype=np.float32)} if self.left >= 0 else None


quant_pre_process(stem + ".onnx", stem + "-folded.onnx", skip_symbolic_shape=True)
quantize_static(stem + "-folded.onnx", stem + "-int8.onnx", Rows(), quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True)
model = onnx.load(stem + ".onnx")
entry = model.metadata_props.add()
entry.key, entry.value = "maas.precision", "bf16"
onnx.save(model, stem + "-bf16.onnx")
for kind in ("int8", "bf16"):
    shutil.copy(stem + ".inputs", f"{stem}-{kind}.inputs")
