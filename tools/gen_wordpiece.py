#!/usr/bin/env python3
"""Writes src/lm/tokenizer/wordpiece.inc: what BERT's normalizer makes of each character, asked of the tokenizers package.

usage: tools/gen_wordpiece.py > src/lm/tokenizer/wordpiece.inc     (CPython 3.11, the package tokenizers 0.23)

  dropped  what clean_text takes out      punct    what is a word of its own
  mark     what strip_accents leaves nothing of
  plain    what becomes something else than its lower case (Hangul syllables are decomposed by arithmetic)
"""
import tokenizers
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xAC00 + 11172)
OFF = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
clean = BertNormalizer(**{**OFF, "clean_text": True})
fold = BertNormalizer(**{**OFF, "strip_accents": True, "lowercase": True})
cut = BertPreTokenizer()


def table(head, rows):
    print(head + " = {")
    line = "   "
    for r in rows:
        if len(line) + len(r) + 2 > 100:
            print(line)
            line = "   "
        line += " " + r + ","
    print(line + "};")


def ranges(name, chars):
    out = []
    for c in chars:
        if out and (out[-1][1] == c - 1 or (out[-1][1] == 0xD7FF and c == 0xE000)):
            out[-1][1] = c
        else:
            out.append([c, c])
    table(f"static const uint32_t wordpiece_{name}[][2]", ["{0x%x, 0x%x}" % tuple(r) for r in out])


def lower(c):
    return "i" if c == 0x130 else chr(c).lower()


print("/* Made by tools/gen_wordpiece.py, of tokenizers %s. */" % tokenizers.__version__)
ranges("dropped", [c for c in ALL if clean.normalize_str("a" + chr(c) + "b") == "ab"])
ranges("punct", [c for c in ALL if len(cut.pre_tokenize_str("a" + chr(c) + "b")) == 3])
ranges("mark", [c for c in ALL if fold.normalize_str(chr(c)) == ""])
rows, out = [], []
for c in ALL:
    to = fold.normalize_str(chr(c))
    if to and to != lower(c) and c not in HANGUL:
        rows.append("{0x%x, %d, %d}" % (c, len(out), len(to)))
        out += [ord(x) for x in to]
assert len(out) < 65536 and max(len(fold.normalize_str(chr(c))) for c in ALL) <= 4
print("static const struct {\n    uint32_t c;\n    uint16_t at;\n    uint8_t n;")
table("} wordpiece_plain[]", rows)
table("static const uint32_t wordpiece_plain_to[]", ["0x%x" % c for c in out])
