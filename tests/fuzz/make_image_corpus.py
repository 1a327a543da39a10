"""Writes corpus/image: small pictures of every kind that is read, and broken ones.

The pictures of the libraries' kinds come from the node tests of the ONNX project (argument 1: a
folder that holds test_image_decoder_*); the others are written here.
"""
import pathlib
import struct
import sys

out = pathlib.Path(__file__).parent / "corpus" / "image"
out.mkdir(parents=True, exist_ok=True)


def save(name, data):
    (out / name).write_bytes(data)


def bmp(bits, width, height, palette=b"", packing=0, masks=b"", core=False):
    row = (width * bits + 31) // 32 * 4
    rows = bytes(i * 37 & 255 if bits > 8 else 0x1B for i in range(row * abs(height)))
    if core:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, packing, len(rows), 0, 0, len(palette) // 4, 0)
    at = 14 + len(head) + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(rows), 0, 0, at) + head + masks + palette + rows


def tiff(bits, meaning, packing, strip, more=()):
    rows = [(256, 3, 1, 4), (257, 3, 1, 3), (258, 3, 1, bits), (259, 3, 1, packing), (262, 3, 1, meaning), (278, 3, 1, 3)]
    rows += list(more)
    at = 8 + 2 + 12 * (len(rows) + 2) + 4
    rows += [(273, 4, 1, at), (279, 4, 1, len(strip))]
    entries = b"".join(struct.pack("<HHII", *r) for r in sorted(rows))
    return b"II*\0" + struct.pack("<IH", 8, len(rows)) + entries + struct.pack("<I", 0) + strip


def main():
    save("p1.pbm", b"P1\n# bits\n3 2\n101\n0 1 0\n")
    save("p2.pgm", b"P2 3 1 15 0 7 15")
    save("p3.ppm", b"P3 1 2 9 0 1 2 3 4 9")
    save("p4.pbm", b"P4 10 2\n\xa5\x40\x5a\x80")
    save("p5.pgm", b"P5 2 2 65535\n" + bytes(range(8)))
    save("p6.ppm", b"P6 2 1 255\n" + bytes(range(6)))
    save("p6_cut.ppm", b"P6 200 100 255\n" + bytes(range(6)))
    save("p5_huge.pgm", b"P5 32768 2048 255\n")
    save("p2_long.pgm", b"P2 99999999999999999999 1 255 0")
    grey = b"".join(bytes((i, i, i, 0)) for i in range(0, 256, 17))
    save("bits1.bmp", bmp(1, 9, 3, grey[:8]))
    save("bits4.bmp", bmp(4, 5, -3, grey))
    save("bits8_few.bmp", bmp(8, 5, 2, grey))
    save("bits16.bmp", bmp(16, 3, 2))
    save("bits16_masks.bmp", bmp(16, 3, 2, packing=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)))
    save("bits24_core.bmp", bmp(24, 3, 2, core=True))
    save("bits32.bmp", bmp(32, 2, 2))
    save("rle.bmp", bmp(8, 5, 2, grey, packing=1))
    save("mask_none.bmp", bmp(16, 3, 2, packing=3, masks=struct.pack("<III", 0xF800, 0, 0x1F)))
    save("flat.bmp", bmp(24, 3, 2)[:60])
    save("grey.tif", tiff(8, 1, 1, bytes(range(12))))
    save("bits.tif", tiff(1, 0, 1, b"\xa0\x40\xe0"))
    save("packbits.tif", tiff(8, 1, 32773, b"\xfd\x07\x03\x01\x02\x03\x04\x80\xfd\x09"))
    save("palette.tif", tiff(8, 3, 1, bytes(range(12)), [(320, 3, 768, 400)]) + bytes(i & 255 for i in range(2000)))
    save("lzw.tif", tiff(8, 1, 5, bytes(12)))
    save("gif", b"GIF89a\1\0\1\0")
    tests = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for kind in ("jpeg_rgb", "png_rgb", "webp_rgb", "tiff_rgb") if tests else ():
        raw = (tests / f"test_image_decoder_decode_{kind}" / "test_data_set_0" / "input_0.pb").read_bytes()
        marks = {"jpeg_rgb": b"\xff\xd8\xff", "png_rgb": b"\x89PNG", "webp_rgb": b"RIFF", "tiff_rgb": b"II*\0"}
        at = raw.index(marks[kind])
        data = raw[at:]
        save(kind, data)
        save(kind + "_cut", data[: len(data) * 2 // 3])


main()
