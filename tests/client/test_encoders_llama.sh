#!/bin/sh
# tests/client/test_encoders_llama.sh - embeddings and scores of the same files in llama.cpp and here.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "encoders in llama.cpp" llama) || { echo "$python" && exit 0; }
folder=$(sh tests/client/minilm.sh) || { echo "$folder" && exit 0; }
model=$(sh tests/client/smollm2.sh) || { echo "$model" && exit 0; }
exec "$python" tests/client/test_encoders_llama.py "$folder" "$model"
