#!/bin/sh
# tests/client/venv.sh WHAT_FOR [SET] - prints the python of a virtual environment below .cache that has a set of
# packages from PyPI, and makes it when it is missing. Prints SKIPPED and the reason, and fails, when the packages
# cannot be fetched. Sets:
#   clients           the real client (tritonclient, unchanged), onnx, onnxruntime (the default)
#   makers            the newest libraries whose model files we read, and their peers
#   language          the clients of language models, and what their files and templates are checked against
#   llama             llama.cpp, ready made, and what writes its files
#   transformers      transformers and torch: what Hugging Face folders are checked against
#   tokenizers        what makes and reads tokenizer.json and safetensors
#   encoders          clients of embeddings, and the tokenizers of their makers
#   structured        the same clients, and what checks the JSON that they get
#   keras             Keras and what it exports ONNX with
#   keras-files       Keras with JAX below it, and h5py: what .keras and .h5 files are checked against
#   savedmodel        TensorFlow, which writes and runs SavedModels
#   tflite            LiteRT, which runs .tflite files, and what writes them field by field
#   sklearn-VERSION   one older scikit-learn with what it needs
cd "$(dirname "$0")/../.." || exit 1
set_name=${2:-clients}
case $set_name in
clients)
    packages='tritonclient[http] numpy onnx onnxruntime requests'
    probe='import tritonclient.http, tritonclient.http.aio, numpy, onnx, onnxruntime, requests'
    ;;
makers)
    packages='numpy pandas scikit-learn xgboost-cpu lightgbm catboost shap onnx onnxruntime skl2onnx onnxmltools requests joblib lz4'
    probe='import sklearn, xgboost, lightgbm, catboost, shap, onnx, onnxruntime, skl2onnx, onnxmltools, requests, joblib, lz4, pandas'
    ;;
language)
    packages='openai anthropic ollama jinja2 gguf tokenizers numpy requests'
    probe='import openai, anthropic, ollama, jinja2, gguf, tokenizers, numpy, requests'
    ;;
llama)
    packages='xllamacpp gguf tokenizers numpy'
    probe='import xllamacpp, gguf, tokenizers, numpy'
    ;;
transformers)
    packages='torch transformers peft tokenizers safetensors gguf numpy'
    probe='import torch, transformers, peft, tokenizers, safetensors, gguf, numpy'
    ;;
tokenizers)
    packages='tokenizers safetensors numpy'
    probe='import tokenizers, safetensors, numpy'
    ;;
encoders)
    packages='openai ollama gguf numpy tokenizers sentencepiece protobuf'
    probe='import openai, ollama, gguf, numpy, tokenizers, sentencepiece, google.protobuf'
    ;;
structured)
    packages='openai anthropic ollama pydantic jsonschema[format]'
    probe='import openai, anthropic, ollama, pydantic, jsonschema, rfc3339_validator'
    ;;
keras)
    packages='tensorflow-cpu tf2onnx onnx numpy'
    probe='import keras, tf2onnx, onnx'
    ;;
keras-files)
    packages='keras jax h5py numpy'
    probe='import os; os.environ["KERAS_BACKEND"] = "jax"; import keras, h5py'
    ;;
savedmodel)
    packages='tensorflow-cpu keras numpy'
    probe='import tensorflow, keras'
    ;;
tflite)
    packages='ai-edge-litert tflite flatbuffers numpy'
    probe='import ai_edge_litert.interpreter, tflite, flatbuffers, numpy'
    ;;
sklearn-*)
    packages="scikit-learn==${set_name#sklearn-} numpy<2 scipy<1.14 pandas<2.3 joblib"
    probe='import sklearn, joblib, pandas'
    ;;
*)
    echo "SKIPPED ${1:-client tests}: there is no set of packages '$set_name'"
    exit 1
    ;;
esac
venv=$PWD/.cache/venv
[ "$set_name" = clients ] || venv=$venv-$set_name

mkdir -p .cache
exec 9>"$venv.lock" && flock 9 # several tests may want it at once
if ! "$venv/bin/python" -c "$probe" 2>/dev/null; then
    log=$venv.log
    for python in python3 /usr/bin/python3; do
        rm -rf "$venv"
        $python -m venv "$venv" >"$log" 2>&1 && break
    done
    # shellcheck disable=SC2086
    if ! "$venv/bin/python" -m pip install -q --disable-pip-version-check $packages >>"$log" 2>&1 ||
        ! "$venv/bin/python" -c "$probe" 2>>"$log"; then
        echo "SKIPPED ${1:-client tests}: pip cannot install $packages: $(tail -n 1 "$log")"
        exit 1
    fi
fi
echo "$venv/bin/python"
