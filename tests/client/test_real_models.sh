#!/bin/sh
# tests/client/test_real_models.sh - models that others published, against ONNX Runtime. Packages stay below .cache.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "published models") || { echo "$python" && exit 0; }
exec "$python" tests/client/test_real_models.py "${MAAS_BINARY:-build/maas}" .cache/models
