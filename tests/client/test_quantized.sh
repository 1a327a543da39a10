#!/bin/sh
# tests/client/test_quantized.sh - quantized models as `maas run` computes them, against ONNX Runtime and ml_dtypes.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "quantized models") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_quantized.py "${MAAS_BUILD:-build}/maas"
