#!/bin/sh
# tests/client/test_low_precision.sh - networks that ONNX Runtime's quantizer writes, as `maas run` computes them and as
# ONNX Runtime does; and in bfloat16.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "low precision") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_low_precision.py "${MAAS_BUILD:-build}/maas"
