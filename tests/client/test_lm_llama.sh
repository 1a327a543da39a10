#!/bin/sh
# tests/client/test_lm_llama.sh - SmolLM2-135M here and in llama.cpp (xllamacpp of PyPI), the same file: answers to ten
# questions, and the probabilities of the next token at LLAMA_POSITIONS positions of a text (200; `make conformance`: 2,000).
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "llama.cpp" llama) || { echo "$python" && exit 0; }
model=$(sh tests/client/smollm2.sh) || { echo "$model" && exit 0; }
exec "$python" tests/client/test_lm_llama.py "$model" "${LLAMA_POSITIONS:-200}"
