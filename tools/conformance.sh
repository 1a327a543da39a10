#!/bin/sh
# tools/conformance.sh - the tests of the ONNX project, by operator; published models; and every model of other
# libraries that the tests know, against those libraries (`make check` runs a part of them).
set -u
cd "$(dirname "$0")/.."
tools/packages.sh build check conformance || exit 1
export MAAS_BINARY="${MAAS_BINARY:-$PWD/build/maas}" MAAS_BUILD="${MAAS_BUILD:-$PWD/build}"
ninja -C "$MAAS_BUILD" tests/conformance/onnx_conformance tests/conformance/lm_logits tests/conformance/lm_tokens >/dev/null || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
sh tests/client/test_onnx_suite.sh --table | tee "$log"
sh tests/client/test_real_models.sh | tee -a "$log"
EXPORTERS_KERAS=1 sh tests/client/test_exporters.sh | tee -a "$log"
sh tests/client/test_tune_torch.sh | tee -a "$log"
LLAMA_POSITIONS=2000 sh tests/client/test_lm_llama.sh | tee -a "$log"
FOLDERS_TORCH=1 sh tests/client/test_folders.sh | tee -a "$log"
MAKERS_SUBSET=0 sh tests/client/test_makers.sh | tee -a "$log"
ARCHITECTURES_PEER=1 sh tests/client/test_architectures.sh | tee -a "$log"
WORDS_PEER=1 sh tests/client/test_words.sh | tee -a "$log"
awk '/^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3 } END { printf "%d passed, %d failed\n", p, f; exit f > 0 || p == 0 }' "$log"
