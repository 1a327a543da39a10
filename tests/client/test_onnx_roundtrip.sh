#!/bin/sh
# tests/client/test_onnx_roundtrip.sh - what we write, ONNX Runtime opens and agrees with.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "ONNX round trip") || { echo "$python" && exit 0; }
exec "$python" tests/client/test_onnx_roundtrip.py "${ONNX_COPY:-${MAAS_BUILD:-build}/tests/unit/formats/onnx_copy}"
