#!/bin/sh
# tools/embed_text.sh FILE... - text files as rows of C, {"name without its ending", "text"}: what a table includes.
for f in "$@"; do
    name=$(basename "$f")
    printf '{"%s",\n' "${name%.*}"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/ "/' -e 's/$/\\n"/' "$f"
    printf '},\n'
done
