#!/bin/sh
# tests/client/test_tool_templates.sh - chat templates of model makers, as the sources of llama-cpp-python carry them: rendered
# as Jinja2 renders them, and calls of tools that they show are read back.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "chat templates" language) || { echo "$python" && exit 0; }
dir=.cache/tool_templates
if [ ! -d $dir ]; then
    log=.cache/tool_templates.log
    if ! "$python" -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: -d .cache llama-cpp-python >$log 2>&1; then
        echo "SKIPPED chat templates: pip cannot fetch the sources of llama-cpp-python: $(tail -n 1 $log)"
        exit 0
    fi
    mkdir -p $dir
    tar xzf .cache/llama_cpp_python-*.tar.gz -C $dir --wildcards '*/models/templates/*.jinja' --strip-components 5
    rm -f .cache/llama_cpp_python-*.tar.gz
fi
exec "$python" tests/client/test_tool_templates.py $dir
