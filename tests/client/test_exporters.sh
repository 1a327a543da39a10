#!/bin/sh
# tests/client/test_exporters.sh - models that PyTorch and Keras export of layers and small networks, against ONNX
# Runtime. Keras only when EXPORTERS_KERAS is set (make conformance): it is a large package.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "exported models") || { echo "$python" && exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
made=
if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    made=torch
    /usr/bin/python3 tests/client/torch_exports.py "$folder" 2>/dev/null
else
    echo "SKIPPED models of PyTorch: python3-torch is not installed (make conformance installs it)"
fi
if [ -n "${EXPORTERS_KERAS:-}" ]; then
    if keras=$(sh tests/client/venv.sh "models of Keras" keras); then
        made=keras
        "$keras" tests/client/keras_exports.py "$folder" 2>/dev/null
    else
        echo "$keras"
    fi
fi
[ -n "$made" ] || exit 0
"$python" tests/client/test_exporters.py "${MAAS_BINARY:-build/maas}" "$folder"
