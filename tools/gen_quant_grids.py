#!/usr/bin/env python3
"""Writes src/tensor/quant_grids.inc: the grids of GGUF's IQ types, as the `gguf` package has them.

usage: pip install gguf; tools/gen_quant_grids.py > src/tensor/quant_grids.inc
"""
from gguf import quants

# name, class, bits of a digit, digits of a point: a point fits 16 bits, its first digit in the lowest
GRIDS = [("iq1", quants.IQ1_S, 2, 8), ("iq2_xxs", quants.IQ2_XXS, 2, 8), ("iq2_xs", quants.IQ2_XS, 2, 8),
         ("iq2_s", quants.IQ2_S, 2, 8), ("iq3_xxs", quants.IQ3_XXS, 4, 4), ("iq3_s", quants.IQ3_S, 4, 4)]
ROW = 12

print("/* Made by tools/gen_quant_grids.py: points of grids, digits of two bits, or of four for iq3. */")
for name, cls, bits, digits in GRIDS:
    cls.init_grid()
    points = cls.grid.reshape(-1, digits)
    codes = [sum(cls.grid_map.index(int(v)) << bits * i for i, v in enumerate(p)) for p in points]
    assert len(codes) == cls.grid_shape[0] and max(codes) < 1 << 16
    print("static const uint16_t %s_grid[%d] = {" % (name, len(codes)))
    for at in range(0, len(codes), ROW):
        print("    " + " ".join("0x%04x," % c for c in codes[at:at + ROW]))
    print("};")
