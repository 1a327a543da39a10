#!/bin/sh
# tests/client/test_architectures.sh [NAME ...] - every architecture of language models, tiny and of random weights:
# logits against NumPy, and with ARCHITECTURES_PEER=1 (tools/conformance.sh) against llama.cpp on the same file.
cd "$(dirname "$0")/../.." || exit 1
program=${MAAS_BUILD:-$PWD/build}/tests/conformance/lm_logits
if [ ! -x "$program" ]; then
    echo "SKIPPED architectures: $program is not built"
    exit 0
fi
if [ -n "${ARCHITECTURES_PEER:-}" ]; then
    if python=$(sh tests/client/venv.sh "architectures against llama.cpp" llama); then
        exec "$python" tests/client/test_architectures.py "$program" --peer "$@"
    fi
    echo "$python"
fi
python=$(sh tests/client/venv.sh architectures language) || { echo "$python" && exit 0; }
exec "$python" tests/client/test_architectures.py "$program" "$@"
