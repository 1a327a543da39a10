#!/bin/sh
# tools/conformance.sh - the ONNX standard's own node tests, for every operator we have.
set -u
cd "$(dirname "$0")/.."
tools/packages.sh build check || exit 1
export MAAS_BINARY="${MAAS_BINARY:-$PWD/build/maas}" MAAS_BUILD="${MAAS_BUILD:-$PWD/build}"
exec sh tests/client/test_onnx_nodes.sh
