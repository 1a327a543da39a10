#!/bin/sh
# tests/client/test_adapters.sh - low-rank adapters in GGUF: logits against NumPy with the weights merged and against llama.cpp
# with the same files, and a server that gives each request the adapter it names.
cd "$(dirname "$0")/../.." || exit 1
program=${MAAS_BUILD:-$PWD/build}/tests/conformance/lm_logits
if [ ! -x "$program" ]; then
    echo "SKIPPED adapters: $program is not built"
    exit 0
fi
python=$(sh tests/client/venv.sh adapters llama) || { echo "$python" && exit 0; }
model=$(sh tests/client/smollm2.sh) || { echo "$model" && exit 0; }
exec "$python" tests/client/test_adapters.py "$program" "$model"
