#!/bin/sh
# tests/server/test_lib.sh - the library as a user gets it: installed below a prefix of its own, found by
# pkg-config, built against as C99 and as C++, and it exports what maas.h says and nothing else.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${MAAS_BUILD:=$PWD/build}"
: "${MAAS_BINARY:=$MAAS_BUILD/maas}"
passed=0 failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
verdict() { # verdict NAME STATUS
    if [ "$2" = 0 ]; then
        echo "ok $1"
        passed=$((passed + 1))
    else
        echo "not ok $1"
        sed 's/^/    /' "$tmp/log" | head -n 15
        failed=$((failed + 1))
    fi
}

ninja -C "$MAAS_BUILD" maas src/lib/libmaas.a src/lib/libmaas.so.0.1.0 >"$tmp/log" 2>&1
DESTDIR=$tmp/root meson install -C "$MAAS_BUILD" --no-rebuild >"$tmp/log" 2>&1
verdict "meson install" $?
pc=$(find "$tmp/root" -name maas.pc)
header=$(find "$tmp/root" -name maas.h)
shared=$(find "$tmp/root" -name 'libmaas.so.0.*' -type f)
[ -n "$pc" ] && [ -n "$header" ] && [ -n "$shared" ] && [ -n "$(find "$tmp/root" -name libmaas.a)" ] &&
    [ -x "$(find "$tmp/root" -name maas -type f)" ]
verdict "header, both libraries, pkg-config file and program are there" $?
[ -n "$(find "$tmp/root" -name 'maas.1*')" ]
verdict "and the man page" $?

sed -n 's/^MAAS_API .*[ *]\(maas_[a-z_]*\)(.*/\1/p' include/maas.h | sort >"$tmp/said"
nm -D --defined-only "$shared" | awk '{ print $3 }' | sort >"$tmp/exported"
[ -s "$tmp/said" ] && diff "$tmp/said" "$tmp/exported" >"$tmp/log"
verdict "the shared library exports exactly the header's functions" $?

# The prefix is where the files are now, not where they would be without DESTDIR.
flags() {
    PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$tmp/root pkg-config "$@" maas
}
sanitize=
nm "$MAAS_BINARY" 2>/dev/null | grep -q __asan_init && sanitize='-fsanitize=address,undefined'
for std in c99 c11; do
    # shellcheck disable=SC2046,SC2086
    cc -std=$std -pedantic -Wall -Wextra -Werror $sanitize examples/predict.c $(flags --cflags --libs) \
        -o "$tmp/predict-$std" >"$tmp/log" 2>&1
    verdict "the example builds as $std against the installed library" $?
done
cat >"$tmp/header.cc" <<'EOF'
#include <maas.h>
int main() { maas_load_opts o = MAAS_LOAD_OPTS_INIT; return o.size != sizeof o || !maas_version()[0]; }
EOF
if command -v c++ >/dev/null; then
    # shellcheck disable=SC2046,SC2086
    c++ -std=c++11 -pedantic -Wall -Wextra -Werror $sanitize "$tmp/header.cc" $(flags --cflags --libs) -o "$tmp/cxx" >"$tmp/log" 2>&1 &&
        LD_LIBRARY_PATH=$(dirname "$shared") "$tmp/cxx" >>"$tmp/log" 2>&1
    verdict "the header is C++, too" $?
fi
# shellcheck disable=SC2046,SC2086
cc -std=c99 $sanitize examples/predict.c $(flags --cflags) "$(find "$tmp/root" -name libmaas.a)" \
    $(flags --libs --static | sed 's/-lmaas\b//') -o "$tmp/predict-static" >"$tmp/log" 2>&1
verdict "the example links the static library" $?

# A model to run: 2a - b, learned by the server of this build.
awk 'BEGIN { print "a,b,target"; for (i = 0; i < 200; i++) print i % 20 "," (i * 7) % 13 "," 2 * (i % 20) - (i * 7) % 13 }' >"$tmp/v.csv"
"$MAAS_BINARY" serve --listen 127.0.0.1:0 --data "$tmp/data" >"$tmp/address" 2>"$tmp/serve.log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$tmp"' EXIT
for _ in $(seq 100); do
    grep -q '^listening on ' "$tmp/address" 2>/dev/null && break
    sleep 0.1
done
unset MAAS_KEY
MAAS_URL=$(sed -n 's/^listening on //p' "$tmp/address")
export MAAS_URL
{ "$MAAS_BINARY" dataset add v "$tmp/v.csv" && "$MAAS_BINARY" train line --dataset v --learner linear_regression &&
    "$MAAS_BINARY" models download line -o "$tmp/line.onnx"; } >"$tmp/log" 2>&1
verdict "a model to run" $?
kill $server && wait $server 2>/dev/null

for program in predict-c99 predict-static; do
    LD_LIBRARY_PATH=$(dirname "$shared") "$tmp/$program" "$tmp/line.onnx" 3 4 10 5 >"$tmp/log" 2>&1 &&
        awk 'NR > 2 { n++; want = n == 1 ? 2 : 15; bad += $1 < want - 0.2 || $1 > want + 0.2 }
             END { exit bad || n != 2 }' "$tmp/log"
    verdict "$program predicts what was learned" $?
done
LD_LIBRARY_PATH=$(dirname "$shared") "$tmp/predict-c99" "$tmp/v.csv" 1 >"$tmp/log" 2>&1
[ $? = 1 ] && grep -q 'no model file' "$tmp/log"
verdict "a file that is no model is refused in words" $?

echo "$passed passed, $failed failed"
[ $failed = 0 ]
