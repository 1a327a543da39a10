#!/usr/bin/env python3
"""Writes src/lm/tokenizer/nfc.inc: what composed characters are made of, and the order of combining ones.

usage: tools/gen_nfc.py > src/lm/tokenizer/nfc.inc        (Unicode 14.0 of CPython 3.11, as far as the tokenizers package knows it:
       models were trained with what that makes of a text)

  parts    what one character decomposes into, one step; 0: nothing follows      classes  combining classes, as runs
  pairs    two characters that compose to one, in order         joins    starters that are not the first of anything new
"""
import unicodedata

import tokenizers

ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
NFC = tokenizers.normalizers.NFC().normalize_str
HANGUL = range(0xAC00, 0xAC00 + 11172)  # by arithmetic


def table(head, rows):
    print(head + " = {")
    line = "   "
    for r in rows:
        if len(line) + len(r) + 2 > 100:
            print(line)
            line = "   "
        line += " " + r + ","
    print(line + "};")


def parts():
    out = []
    for c in ALL:
        d = unicodedata.decomposition(chr(c))
        if d and not d.startswith("<") and c not in HANGUL and NFC(chr(c)) == unicodedata.normalize("NFC", chr(c)):
            ids = [int(x, 16) for x in d.split()]
            out.append((c, ids[0], ids[1] if len(ids) > 1 else 0))
    return out


def classes():
    runs = []
    for c in ALL:
        k = unicodedata.combining(chr(c))
        other = "\u0301" if k != 230 else "\u0316"  # does it change places with one of another class?
        if k and any(NFC("a" + s) != unicodedata.normalize("NFC", "a" + s) for s in (chr(c) + other, other + chr(c))):
            k = 0
        if k and runs and runs[-1][1] == c - 1 and runs[-1][2] == k:
            runs[-1] = (runs[-1][0], c, k)
        elif k:
            runs.append((c, c, k))
    return runs


print(f"/* Made by tools/gen_nfc.py, of Unicode {unicodedata.unidata_version} and tokenizers {tokenizers.__version__}. */")
rows = parts()
table("static const uint32_t nfc_parts[][3]", ["{0x%x, 0x%x, 0x%x}" % r for r in rows])
pairs = sorted((a, b, c) for c, a, b in rows if b and NFC(chr(a) + chr(b)) == chr(c))
table("static const uint32_t nfc_pairs[][3]", ["{0x%x, 0x%x, 0x%x}" % r for r in pairs])
joins = sorted({b for _, b, _ in pairs if not unicodedata.combining(chr(b))} |
               {c for c, first, _ in rows if not unicodedata.combining(chr(c)) and unicodedata.combining(chr(first))})
assert not [c for c in ALL if c not in joins and c not in HANGUL and ord(unicodedata.normalize("NFD", chr(c))[0]) in joins]
table("static const uint32_t nfc_joins[]", ["0x%x" % c for c in joins])
table("static const uint32_t nfc_classes[][3]", ["{0x%x, 0x%x, %d}" % r for r in classes()])
