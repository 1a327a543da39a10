#!/bin/sh
# tests/client/test_tune_torch.sh - fine-tuning of exported graphs ends in the weights that PyTorch ends in.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "fine-tuning") || { echo "$python" && exit 0; }
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    echo "SKIPPED fine-tuning against PyTorch: python3-torch is not installed (make conformance installs it)"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
/usr/bin/python3 tests/client/tune_torch.py "$folder" 2>/dev/null
"$python" tests/client/test_tune_torch.py "$folder"
