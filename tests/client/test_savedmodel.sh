#!/bin/sh
# tests/client/test_savedmodel.sh - SavedModels of TensorFlow and Keras: we answer what TensorFlow answers.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "SavedModels" savedmodel) || {
    echo "$python"
    exit 0
}
exec env TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 "$python" tests/client/test_savedmodel.py "$@"
