#!/bin/sh
# tests/client/venv.sh - prints the python of a virtual environment below .cache that has the real clients
# (tritonclient from PyPI, unchanged) and their peers (onnx, onnxruntime). Makes it when it is missing;
# prints SKIPPED and the reason, and fails, when the packages cannot be fetched.
cd "$(dirname "$0")/../.." || exit 1
venv=$PWD/.cache/venv
probe='import tritonclient.http, tritonclient.http.aio, numpy, onnx, onnxruntime, requests'
packages='tritonclient[http] numpy onnx onnxruntime requests'

if ! "$venv/bin/python" -c "$probe" 2>/dev/null; then
    log=$venv.log
    mkdir -p .cache
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
