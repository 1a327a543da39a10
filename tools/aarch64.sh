#!/bin/sh
# tools/aarch64.sh [ROOM...] - builds for aarch64 by Debian's cross compiler and runs the unit tests of
# the rooms (default: below) on an emulated processor that has dotprod and i8mm. AARCH64_CPU names
# another (cortex-a72 has neither). Where the packages cannot be had it says SKIPPED.
set -u
cd "$(dirname "$0")/.."
dir=build-aarch64 root=build-sysroot-arm64
rooms=${*:-base tensor graph ops kernels passes}
# What the emulator cannot do is left out by name, with the reason.
without="base/sys: qemu-user of Debian 12 has no openat2
lm/tokenizer-encoders: bounds seconds
ops/gradients: minutes under an emulator
ops/hostile: minutes under an emulator
passes/gradient: minutes under an emulator"
why=$( (tools/packages.sh build aarch64 && tools/sysroot.sh "$root" arm64) 2>&1) || {
    echo "SKIPPED: aarch64: compiler, emulator or libraries cannot be had: $(echo "$why" | tail -n 1)"
    echo "0 passed, 0 failed"
    exit 0
}
[ -f "$dir/build.ninja" ] || meson setup "$dir" --cross-file "$root/root.ini" --cross-file tools/cross/aarch64.ini \
    -Dfaults=true >"$dir.setup.log" 2>&1 || {
    cat "$dir.setup.log"
    echo "0 passed, 1 failed"
    exit 1
}
rm -f "$dir.setup.log"
# Only what is run is built: test programs are named tests/unit/ROOM/....
targets=$(ninja -C "$dir" -t targets all | sed -nE 's#^(tests/unit/[^:]*/test_[^/:.]*):.*#\1#p' | while read -r t; do
    room=${t#tests/unit/}
    case " $rooms " in *" ${room%%/*} "*) echo "$t" ;; esac
done)
export CHECK_UNIT_ONLY=1 CHECK_ROOMS="$rooms" CHECK_TARGETS="$targets" CHECK_WITHOUT="$without"
export CHECK_RUNNER="qemu-aarch64 -cpu ${AARCH64_CPU:-max} -L $root"
exec tools/check.sh "$dir"
