# tools/check_size.awk - functions over 60 lines need a reason (a comment with the word "long:" right
# above), over 100 fail; files over 600 lines need a line in tools/big_files.txt, over 1000 fail.
# K&R style: a function body starts with { in column 1 and ends with } in column 1.
FNR == 1 { if (file) end_file(); file = FILENAME; start = 0 }
/^\{/ { start = FNR; why = reason }
/^[A-Za-z].*\(/ { if (!start) name = $0 }
/long:/ { reason = 1 }
/^\}/ {
    if (start) {
        n = FNR - start + 1
        if (n > 100 || (n > 60 && !why)) { printf "%s:%d: function of %d lines: %s\n", FILENAME, start, n, name; bad = 1 }
    }
    start = 0; reason = 0
}
{ lines = FNR }
END { end_file(); exit bad }
function end_file() {
    if (lines > 600) big[file] = lines
    if (lines > 1000) { printf "%s: %d lines\n", file, lines; bad = 1 }
    else if (lines > 600 && system("grep -q '^" file " ' tools/big_files.txt 2>/dev/null") != 0) {
        printf "%s: %d lines and no reason in tools/big_files.txt\n", file, lines; bad = 1
    }
}
