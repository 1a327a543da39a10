#!/bin/sh
# tests/client/test_lm_clients.sh - the clients of OpenAI, Anthropic and Ollama, unchanged from PyPI, against our server.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "clients of language models" language) || { echo "$python" && exit 0; }
model=$(sh tests/client/smollm2.sh) || { echo "$model" && exit 0; }
exec "$python" tests/client/test_lm_clients.py "$model"
