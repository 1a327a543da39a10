#!/bin/sh
# tests/client/test_folders.sh - Hugging Face folders that transformers saves, against what it computes. Only when torch is
# there already or FOLDERS_TORCH is set (make conformance): it is a very large package.
cd "$(dirname "$0")/../.." || exit 1
if [ -z "${FOLDERS_TORCH:-}" ] && ! .cache/venv-transformers/bin/python -c 'import torch' 2>/dev/null; then
    echo "SKIPPED folders of transformers: FOLDERS_TORCH is not set (make conformance sets it), torch is a very large package"
    exit 0
fi
python=$(sh tests/client/venv.sh "folders of transformers" transformers) || { echo "$python" && exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" tests/client/folder_models.py "$folder" >"$folder.log" 2>&1 || { cat "$folder.log" && exit 1; }
"$python" tests/client/test_folders.py "$folder"
