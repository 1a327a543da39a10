#!/bin/sh
# tests/server/test_images.sh - a picture in, labels out: a model with a recipe, real curl, every kind of
# picture, and what is none.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${MAAS_BINARY:=$PWD/build/maas}"
maas=$MAAS_BINARY
model=$PWD/tests/data/images/colours.onnx pictures=$PWD/tests/fuzz/corpus/image
passed=0 failed=0
tmp=$(mktemp -d)
unset MAAS_URL MAAS_KEY MAAS_CA http_proxy https_proxy all_proxy 2>/dev/null
"$maas" serve --listen 127.0.0.1:0 --data "$tmp/data" --log-level error >"$tmp/address" 2>"$tmp/log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$tmp"' EXIT
while ! grep -q listening "$tmp/address" 2>/dev/null && kill -0 $server; do sleep 0.1; done
MAAS_URL=$(sed -n 's/^listening on //p' "$tmp/address")
export MAAS_URL
infer=$MAAS_URL/v2/models/colours/infer

verdict() { # verdict NAME STATUS
    if [ "$2" = 0 ]; then
        echo "ok $1"
        passed=$((passed + 1))
    else
        echo "not ok $1"
        sed 's/^/    /' "$tmp/out" | head -n 6
        failed=$((failed + 1))
    fi
}
# t NAME CODE PATTERN CURL-ARGUMENTS...: the answer has that HTTP status, and the pattern.
t() {
    name=$1 want=$2 pattern=$3
    shift 3
    got=$(curl -sS -o "$tmp/out" -w '%{http_code}' "$@" 2>>"$tmp/out")
    [ "$got" = "$want" ] || echo " (HTTP $got, expected $want)" >>"$tmp/out"
    grep -qE -- "$pattern" "$tmp/out" && [ "$got" = "$want" ]
    verdict "$name" $?
}

cd "$tmp" || exit 1
printf 'red\ngreen\nblue\n' >labels.txt
echo '{"fit":"stretch","softmax":true}' >recipe.json
awk 'BEGIN { printf "P3 40 30 255\n"; for (i = 0; i < 1200; i++) print "250 10 5" }' >red.ppm
awk 'BEGIN { printf "P3 7 90 255\n"; for (i = 0; i < 630; i++) print "9 240 11" }' >green.ppm

# ---- importing ----
"$maas" import colours "$model" --image-recipe recipe.json --labels labels.txt >out 2>&1
verdict "import with a recipe and labels" $?
grep -q 'image  UINT8  \[?,16,24,3\]' out
verdict "the model takes bytes of the model's size" $?
"$maas" import named "$model" --image-recipe imagenet >out 2>&1
verdict "import with a recipe by name" $?
t "the same by a form" 200 '"version"' -X PUT "$MAAS_URL/api/v1/models/colours/versions" -F "model=@$model" \
    -F image_recipe=@recipe.json -F labels=@labels.txt
t "a recipe that is none" 400 "'squeeze' is not known" -X PUT --data-binary "@$model" \
    "$MAAS_URL/api/v1/models/bad/versions?image_recipe=squeeze"
t "a recipe that does not fit" 400 'the model takes 16' -X PUT "$MAAS_URL/api/v1/models/bad/versions" -F "model=@$model" \
    -F 'image_recipe={"size":99}'
t "two models in a form" 400 'one file' -X PUT "$MAAS_URL/api/v1/models/bad/versions" -F "model=@$model" -F "more=@$model"
curl -sS -X PUT --data-binary "@$model" -o out "$MAAS_URL/api/v1/models/plain/versions"

# ---- asking ----
t "labels with scores" 200 '"predictions":\[\[\{"label":"red","score":0\.99[0-9]*,"index":0\},\{"label":"green"' \
    -F image=@red.ppm "$infer"
t "in Triton's form, too" 200 '"datatype":"BYTES","shape":\[1,3\],"data":\["0\.99[0-9]*:0:red",' -F image=@red.ppm "$infer"
t "as many as are asked for" 200 '"predictions":\[\[\{"label":"green","score":[0-9.]*,"index":1\}\]\]' -F k=1 -F image=@green.ppm "$infer"
t "several at once" 200 '"predictions":\[\[\{"label":"red"[^]]*\],\[\{"label":"green"[^]]*\]\]' -F image=@red.ppm -F image=@green.ppm "$infer"
t "the body is the picture" 200 '^[^{]*\{"model_name":"colours".*\[\[\{"label":"green"[^,]*,[^,]*,"index":1\}\]\]' \
    -H 'Content-Type: image/x-portable-pixmap' --data-binary @green.ppm "$infer?k=1"
t "a version" 200 '"model_version":"1"' -F image=@red.ppm "$MAAS_URL/v2/models/colours/versions/1/infer"
for kind in jpeg png webp; do
    t "$kind" 200 '"predictions":\[\[\{"label"' -F "image=@$pictures/${kind}_rgb" "$infer"
    t "$kind that ends early" 400 'damaged' -F "image=@$pictures/${kind}_rgb_cut" "$infer"
done
t "bmp" 200 '"predictions"' -F "image=@$pictures/bits24_core.bmp" "$infer"
t "names in the classification extension" 200 '"0?-?[0-9.]*:[012]:(red|green|blue)"' "$infer" -d "$(awk 'BEGIN {
    printf "{\"inputs\":[{\"name\":\"image\",\"datatype\":\"UINT8\",\"shape\":[1,16,24,3],\"data\":[200"
    for (i = 1; i < 1152; i++) printf ",200"
    printf "]}],\"outputs\":[{\"name\":\"scores\",\"parameters\":{\"classification\":1}}]}" }')"
t "a model without labels: numbers" 200 '"score":[-0-9.]*,"index":0' -F image=@red.ppm "$MAAS_URL/v2/models/named/infer"

# ---- what is refused ----
t "no picture" 415 'no image of a known kind' -F image=@labels.txt "$infer"
t "which of several" 415 'image 2: ' -F image=@red.ppm -F image=@labels.txt "$infer"
t "a kind that is not read" 415 'GIF' -F "image=@$pictures/gif" "$infer"
t "a wall of pixels" 413 'refused as an attack|at most' -F "image=@$pictures/p5_huge.pgm" "$infer"
t "an unknown field" 400 "'picture'" -F picture=@red.ppm "$infer"
t "no field" 400 "no field 'image'" -F k=3 "$infer"
t "k that is none" 400 "'k' must be" -F k=many -F image=@red.ppm "$infer"
t "a model without a recipe" 415 'without an image recipe' -F image=@red.ppm "$MAAS_URL/v2/models/plain/infer"
t "no such model" 404 'nothing' -F image=@red.ppm "$MAAS_URL/v2/models/nothing/infer"
t "explain takes tensors" 415 'tensors' -F image=@red.ppm "$MAAS_URL/v2/models/colours/explain"
t "an empty body" 400 '.' -X POST -H 'Content-Type: image/png' "$infer"

# ---- many at once, bad ones among them ----
for i in $(seq 24); do
    if [ $((i % 4)) = 0 ]; then f=$pictures/jpeg_rgb_cut; else f=red.ppm; fi
    curl -sS -o "many.$i" -F "image=@$f" "$infer" &
    pids="${pids-} $!"
done
# shellcheck disable=SC2086
wait $pids
cat many.* >out
[ "$(grep -l '"label":"red"' many.* | wc -l)" = 18 ] && [ "$(grep -l damaged many.* | wc -l)" = 6 ]
verdict "24 at once, 6 of them damaged" $?

echo "$passed passed, $failed failed"
[ $failed = 0 ]
