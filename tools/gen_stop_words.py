#!/usr/bin/env python3
"""Writes src/formats/sklearn/stop_words.inc: the words that stop_words='english' of scikit-learn leaves out, sorted.

usage: tools/gen_stop_words.py > src/formats/sklearn/stop_words.inc      (with scikit-learn installed)
"""
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

print("/* Made by tools/gen_stop_words.py. */")
line = ""
for w in sorted(ENGLISH_STOP_WORDS):
    row = '{"%s", %d},' % (w, len(w))
    if len(line) + len(row) + 1 > 100:
        print(line)
        line = ""
    line += (" " if line else "") + row
print(line)
