#!/bin/sh
# tests/client/test_lm_npm.sh - the clients of OpenAI, Anthropic and Ollama, unchanged from npm, against our server.
cd "$(dirname "$0")/../.." || exit 1
command -v node >/dev/null && command -v npm >/dev/null || { echo "SKIPPED clients of npm: node and npm are not installed" && exit 0; }
python=$(sh tests/client/venv.sh "clients of language models" language) || { echo "$python" && exit 0; }
model=$(sh tests/client/smollm2.sh) || { echo "$model" && exit 0; }
packages=.cache/npm
if [ ! -d $packages/node_modules/openai ] || [ ! -d $packages/node_modules/@anthropic-ai/sdk ] || [ ! -d $packages/node_modules/ollama ]; then
    mkdir -p $packages
    if ! npm install --prefix $packages --no-audit --no-fund --ignore-scripts openai @anthropic-ai/sdk ollama >$packages.log 2>&1; then
        echo "SKIPPED clients of npm: npm cannot install them: $(grep -m1 -E 'ERR|error' $packages.log)"
        exit 0
    fi
fi
cp tests/client/lm_npm.mjs $packages/ # where it finds them
exec "$python" tests/client/test_lm_npm.py "$model" $packages/lm_npm.mjs
