#!/bin/sh
# tests/client/test_exporters.sh - models that PyTorch's exporter makes of layers and small networks, against ONNX Runtime.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "exported models") || { echo "$python" && exit 0; }
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    echo "SKIPPED exported models: python3-torch is not installed (make conformance installs it)"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
/usr/bin/python3 tests/client/torch_exports.py "$folder" 2>/dev/null
"$python" tests/client/test_exporters.py "${MAAS_BINARY:-build/maas}" "$folder"
