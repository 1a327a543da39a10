#!/bin/sh
# tests/client/test_keras.sh - models as Keras saves them, .keras and .h5: we answer what Keras answers.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "Keras files" keras-files) || {
    echo "$python"
    exit 0
}
exec env KERAS_BACKEND=jax JAX_PLATFORMS=cpu "$python" tests/client/test_keras.py "$@"
