#!/bin/sh
# tools/lint.sh - everything about the code that a program can judge. Exit 0: clean.
set -u
cd "$(dirname "$0")/.."
tools/packages.sh build check lint || exit 1
bad=0
note() {
    echo "lint: $1"
    bad=1
}
files=$(git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]' 'examples/*.[ch]' 'include/*.h')
unformatted=$(clang-format --dry-run $files 2>&1 | grep -oE '^[^:]+:' | sort -u | head -n 20)
[ -z "$unformatted" ] || note "run clang-format -i on: $(echo $unformatted)"
tools/check_rooms.sh || note "an include crosses rooms the wrong way"
awk -f tools/check_size.awk $(git ls-files 'src/*.c') || note "a function or a file is too long"
for f in $(git ls-files 'src/*.c'); do
    grep -q '"base/ban.h"' "$f" || note "$f does not include base/ban.h"
done
grep -nE '\b(malloc|calloc|realloc|free)\(' $(git ls-files 'src/*.c' | grep -v '^src/base/mem.c$') |
    grep -vE 'maas_|ref_free|/\*' && note "heap calls outside base/mem.c"
grep -nE '\b(TODO|FIXME|XXX|HACK)\b' $(git ls-files 'src' 'tests' 'tools' 'bench' | grep -v '^tools/lint.sh$') && note "unfinished work"
for cc in gcc clang; do
    dir=build-lint-$cc
    [ -f $dir/build.ninja ] || CC=$cc meson setup $dir -Dwerror=true -Dfaults=true >/dev/null 2>&1 || note "$cc: meson setup failed"
    ninja -C $dir >$dir/build.log 2>&1 || {
        grep -E 'error|warning' $dir/build.log | head -n 20
        note "$cc: warnings"
    }
done
[ $bad = 0 ] && echo "lint: clean"
exit $bad
