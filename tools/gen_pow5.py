#!/usr/bin/env python3
"""Writes src/base/num_pow5.inc: for q = -342..324 the 128 leading bits of 10^q (those of 5^q), rounded down.

usage: tools/gen_pow5.py > src/base/num_pow5.inc
"""


def leading_bits(q):
    """floor(5^q * 2^s) for the s that makes it a number of exactly 128 bits."""
    if q >= 0:
        n = 5**q
        shift = 128 - n.bit_length()
        return n << shift if shift >= 0 else n >> -shift
    d = 5**-q
    n = (1 << (127 + d.bit_length())) // d
    return n >> (n.bit_length() - 128)


print("/* Made by tools/gen_pow5.py: {high, low} 64 bits of 10^q, q = -342..324. */")
for q in range(-342, 325):
    n = leading_bits(q)
    assert n.bit_length() == 128
    print("{0x%016x, 0x%016x}," % (n >> 64, n & (1 << 64) - 1), end="\n" if (q + 342) % 2 else " ")
print()
