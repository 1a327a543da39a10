#!/bin/sh
# tests/client/test_graph_torch.sh - graph networks from the same first weights have the losses that PyTorch has.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "graph networks against PyTorch") || { echo "$python" && exit 0; }
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    echo "SKIPPED graph networks against PyTorch: python3-torch is not installed (make conformance installs it)"
    exit 0
fi
exec "$python" tests/client/test_graph_torch.py
