#!/bin/sh
# tests/client/test_transformers.sh - operators of transformers and recurrent networks, against ONNX Runtime.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "operators of transformers") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_transformers.py "${MAAS_BUILD:-build}/maas"
