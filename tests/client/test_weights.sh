#!/bin/sh
# tests/client/test_weights.sh - weights of PyTorch and safetensors on an ONNX graph. PyTorch itself where it is there already: of
# Debian (python3-torch), or of test_folders.sh and test_transformers.sh.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "weights without a graph") || {
    echo "$python"
    exit 0
}
for torch in "${WEIGHTS_TORCH:-}" /usr/bin/python3 .cache/venv-transformers/bin/python; do
    if [ -n "$torch" ] && "$torch" -c 'import torch, numpy' 2>/dev/null; then
        export WEIGHTS_TORCH="$torch"
        break
    fi
    unset WEIGHTS_TORCH
done
exec "$python" tests/client/test_weights.py
