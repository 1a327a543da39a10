#!/bin/sh
# tests/server/test_edge.sh - the serving library for devices: builds without server and database, with oneDNN
# and without, needs neither at run time, and answers what the full library answers.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${MAAS_BUILD:=$PWD/build}"
passed=0 failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
verdict() { # verdict NAME STATUS
    if [ "$2" = 0 ]; then
        echo "ok $1"
        passed=$((passed + 1))
    else
        echo "not ok $1"
        tail -n 15 "$tmp/log" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}
model=tests/fuzz/corpus/onnx/mlp.onnx

for onednn in true false; do
    dir=build-edge-onednn-$onednn
    [ -f $dir/build.ninja ] || meson setup $dir -Dedge=true -Donednn=$onednn >"$tmp/log" 2>&1
    ninja -C $dir >"$tmp/log" 2>&1
    verdict "it builds (oneDNN: $onednn)" $?
    rm -rf "$tmp/root"
    DESTDIR=$tmp/root meson install -C $dir --no-rebuild >"$tmp/log" 2>&1
    [ -z "$(find "$tmp/root" -name 'libmaas.so*' -o -name maas -type f)" ]
    verdict "it installs a library alone" $?
    pc=$(find "$tmp/root" -name maas.pc)
    # shellcheck disable=SC2046
    cc -std=c99 examples/predict.c $(PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$tmp/root \
        pkg-config --static --cflags --libs maas) -o "$tmp/predict-$onednn" >"$tmp/log" 2>&1
    verdict "the example links it" $?
    ! ldd "$tmp/predict-$onednn" | grep -E 'sqlite|microhttpd|seccomp|curl' >"$tmp/log"
    verdict "it needs no server and no database" $?
    "$tmp/predict-$onednn" $model 1 2 3 4 -1 0.5 2 -3 >"$tmp/out-$onednn" 2>"$tmp/log"
    verdict "it predicts" $?
done
! ldd "$tmp/predict-false" | grep dnnl >"$tmp/log"
verdict "without oneDNN it needs none" $?

# The full library through its own program: four inputs as one matrix of NumPy.
python3 - "$tmp/x.npy" <<'EOF'
import struct, sys
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }"
head += ' ' * (-(10 + len(head) + 1) % 64) + '\n'
open(sys.argv[1], 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode()
                              + struct.pack('<8f', 1, 2, 3, 4, -1, 0.5, 2, -3))
EOF
"$MAAS_BUILD/maas" run $model --input "$tmp/x.npy" --json >"$tmp/full.json" 2>"$tmp/log"
for onednn in true false; do
    python3 - "$tmp/full.json" "$tmp/out-$onednn" 2>"$tmp/log" <<'EOF'
import json, sys
want = json.load(open(sys.argv[1]))['outputs'][0]['data']
got = [float(line) for line in open(sys.argv[2]).read().split('\n')[2:] if line]
assert len(got) == len(want) == 6, got
assert all(abs(a - b) <= 1e-5 for a, b in zip(want, got)), (want, got)
EOF
    verdict "what the full library answers (oneDNN: $onednn)" $?
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
