#!/bin/sh
# tests/client/test_words.sh - how text is cut into words before BPE, by the name a file gives:
# against the tokenizers library, and with WORDS_PEER=1 (tools/conformance.sh) against llama.cpp.
cd "$(dirname "$0")/../.." || exit 1
program=${MAAS_BUILD:-$PWD/build}/tests/conformance/lm_tokens
if [ ! -x "$program" ]; then
    echo "SKIPPED words: $program is not built"
    exit 0
fi
if [ -n "${WORDS_PEER:-}" ]; then
    if python=$(sh tests/client/venv.sh "words against llama.cpp" llama); then
        exec "$python" tests/client/test_words.py "$program" --peer "$@"
    fi
    echo "$python"
fi
python=$(sh tests/client/venv.sh words language) || { echo "$python" && exit 0; }
exec "$python" tests/client/test_words.py "$program" "$@"
