#!/bin/sh
# tools/check_rooms.sh - every #include between rooms must be allowed by tools/rooms.txt.
cd "$(dirname "$0")/.." || exit 1
bad=0
while IFS=: read -r room uses; do
    [ -d "src/$room" ] || continue
    for hit in $(grep -rnoE '^ *# *include "[a-z]+/' "src/$room" --include='*.[ch]' | tr -d ' '); do
        target=${hit##*\"}
        target=${target%/}
        case " $room $uses " in
        *" $target "*) ;;
        *)
            echo "${hit%%#*} '$room' may not use '$target'"
            bad=1
            ;;
        esac
    done
done <tools/rooms.txt
for dir in src/*/; do
    room=$(basename "$dir")
    [ -n "$(ls "$dir" 2>/dev/null)" ] || continue
    grep -q "^$room:" tools/rooms.txt || { echo "src/$room is not in tools/rooms.txt"; bad=1; }
    [ -f "src/$room/README.md" ] || { echo "src/$room has no README.md"; bad=1; }
done
exit $bad
