#!/usr/bin/env python3
"""Writes src/ops/unicode.inc: what text operators must know of Unicode to answer as Python's str and re do.

usage: tools/gen_unicode.py > src/ops/unicode.inc        (CPython 3.11: Unicode 14.0, as most wheels are used with)

  word     what re's \\w matches: str.isalnum() and the underscore      space    str.isspace()
  digit    re's \\d: str.isdecimal()                                    lower    str.lower(), one character to one
  upper    str.upper(), where it gives one character
  cased, ignorable   what decides whether a capital sigma is final      strip    NFKD without combining characters
"""
import unicodedata

ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xAC00 + 11172)  # decomposed by arithmetic


def ranges(name, test):
    out, start, last = [], None, None
    for c in ALL:
        if test(chr(c)):
            if start is None:
                start = c
            last = c
        elif start is not None:
            out.append((start, last))
            start = None
    if start is not None:
        out.append((start, last))
    table(f"static const uint32_t uni_{name}[][2]", ["{0x%x, 0x%x}" % r for r in out])


def table(head, rows):
    print(head + " = {")
    line = "   "
    for r in rows:
        if len(line) + len(r) + 2 > 100:
            print(line)
            line = "   "
        line += " " + r + ","
    print(line + "};")


def ignorable(c):
    return ("A" + c + "\u03a3").lower().endswith("\u03c2") and not (c + "\u03a3").lower().endswith("\u03c2")


def cased(c):
    return (c + "\u03a3").lower().endswith("\u03c2")


def lower():
    pairs = [(c, chr(c).lower()) for c in ALL if chr(c).lower() != chr(c)]
    assert [c for c, low in pairs if len(low) != 1] == [0x130]
    print("typedef struct uni_run {\n    uint32_t first, last;\n    uint8_t step;\n    int32_t delta;\n} uni_run;")
    runs("lower", [(c, ord(low) - c) for c, low in pairs if len(low) == 1])


def upper():
    pairs = [(c, chr(c).upper()) for c in ALL if chr(c).upper() != chr(c)]
    runs("upper", [(c, ord(up) - c) for c, up in pairs if len(up) == 1])


def runs(name, pairs):
    """Runs {first, last, step, delta}: characters first, first + step, ... last become themselves + delta."""
    runs = []
    for c, delta in pairs:
        if runs:
            first, last, step, d = runs[-1]
            gap = c - last
            if d == delta and gap <= 2 and (step == 0 or step == gap):
                runs[-1] = (first, c, gap, d)
                continue
        runs.append((c, c, 0, delta))
    table(f"static const uni_run uni_{name}[]", ["{0x%x, 0x%x, %d, %d}" % (a, b, max(s, 1), d) for a, b, s, d in runs])


def strip():
    rows, out = [], []
    for c in ALL:
        if c in HANGUL:
            continue
        to = [ord(x) for x in unicodedata.normalize("NFKD", chr(c)) if not unicodedata.combining(x)]
        if to != [c]:
            rows.append("{0x%x, %d, %d}" % (c, len(out), len(to)))
            out += to
    print("static const struct {\n    uint32_t c;\n    uint16_t at;\n    uint8_t n;")
    table("} uni_strip[]", rows)
    assert len(out) < 65536
    table("static const uint32_t uni_stripped[]", ["0x%x" % c for c in out])


print("/* Made by tools/gen_unicode.py: Unicode %s. */" % unicodedata.unidata_version)
ranges("word", lambda c: c.isalnum() or c == "_")
ranges("space", str.isspace)
ranges("digit", str.isdecimal)
ranges("cased", cased)
ranges("ignorable", ignorable)
lower()
upper()
strip()
