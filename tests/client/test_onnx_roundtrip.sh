#!/bin/sh
# tests/client/test_onnx_roundtrip.sh - what we write, ONNX Runtime opens and agrees with. Installs
# onnx and onnxruntime into a virtual environment outside of the tree (MAAS_TEST_VENV).
cd "$(dirname "$0")/../.." || exit 1
venv=${MAAS_TEST_VENV:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/maas-venv-onnx}
if ! "$venv/bin/python" -c 'import onnx, onnxruntime' 2>/dev/null; then
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install -q onnx onnxruntime; } >/dev/null 2>&1; then
        echo "SKIPPED onnx round trip: onnx and onnxruntime cannot be installed here"
        exit 0
    fi
fi
exec "$venv/bin/python" tests/client/test_onnx_roundtrip.py \
    "${ONNX_COPY:-${MAAS_BUILD:-build}/tests/unit/formats/onnx_copy}"
