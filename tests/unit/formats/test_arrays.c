/* IDX, NPY and NPZ: files that NumPy wrote (data/make.py) and bytes written by hand. */
#include "maas_test.h"

#include "table_dump.h"
#include "formats/npy.h"
#include "base/sys.h"
#include "base/ban.h"

typedef struct file_case {
    const char *file, *out;
} file_case;

static const file_case numpy[] = {
    {"f4.npy", "x:float[2] | [1.5,-2.0] | [3.0,4.25] | [0.0,1e30]"},
    {"f8_big_endian.npy", "x:double | 1.5 | -2.0 | 3.0"},
    {"fortran.npy", "x:int16[3,4] | [0,1,2,3,4,5,6,7,8,9,10,11] | "
                    "[12,13,14,15,16,17,18,19,20,21,22,23]"},
    {"fortran_big_endian.npy", "x:int32[2] | [0,1] | [2,3] | [4,5]"},
    {"bool.npy", "x:bool | 1 | 0 | 1"},
    {"half.npy", "x:float16 | 1.5 | 65504.0"},
    {"text_u.npy", "x:string | 'a' | 'bcd' | '\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80' | ''"},
    {"text_s.npy", "x:string | 'a' | 'bc'"},
    {"empty.npy", "x:float[3]"},
    {"version2.npy", "x:uint8 | 0 | 1 | 2"},
    {"version3.npy", "x:uint8 | 0 | 1 | 2"},
    {"two.npz", "x:float[2] y:int64 | [0.0,1.0] 0 | [2.0,3.0] 1 | [4.0,5.0] 2"},
    {"two_packed.npz", "x:float[2] y:int64 | [0.0,1.0] 0 | [2.0,3.0] 1 | [4.0,5.0] 2"},
    {"scalar.npy", "x:float | 3.0"},
    {"object.npy", "E_UNSUPPORTED: npy: elements of type '|O' are Python objects or records; save "
                   "a plain array of numbers or text"},
    {"complex.npy",
     "E_UNSUPPORTED: npy: elements of type '<c8': expected bool, int, uint, float or "
     "text"},
    {"record.npy", "E_UNSUPPORTED: npy: records are not supported; save one plain array a column"},
    {"uneven.npz", "E_FORMAT: column \"x\" has 3 rows, column \"y\" has 2"},
};

static maas_map map_file(const char *name)
{
    char path[512];
    AUTO_FD fd = -1;
    maas_map m = {0};
    maas_err err = {0};
    snprintf(path, sizeof path, "%s/%s", DATA_DIR, name);
    if (maas_sys_open(path, 0, &fd, &err) != MAAS_OK || maas_sys_map(fd, &m, &err) != MAAS_OK) {
        fprintf(stderr, "%s: %s\n", path, err.msg);
        exit(1);
    }
    return m;
}

static void files_of_numpy_read_as_written(void)
{
    for (size_t i = 0; i < MAAS_COUNT(numpy); i++) {
        maas_map m = map_file(numpy[i].file);
        char *got = dump_table(m.p, m.n, NULL, NULL, NULL);
        EXPECT_MSG(got && !strcmp(got, numpy[i].out), "%s:\n    got      %s\n    expected %s",
                   numpy[i].file, got, numpy[i].out);
        maas_free(got);
        maas_sys_unmap(&m);
    }
}

static const struct {
    const char *name, *bytes;
    size_t n;
    const char *out;
} idx[] = {
#define IDX(name, bytes, out)                                                                      \
    {                                                                                              \
        name, bytes, sizeof bytes - 1, out                                                         \
    }
    IDX("images", "\0\0\x08\3\0\0\0\2\0\0\0\1\0\0\0\2\1\2\3\xff", "x:uint8[1,2] | [1,2] | [3,255]"),
    IDX("int8", "\0\0\x09\1\0\0\0\2\x80\x7f", "x:int8 | -128 | 127"),
    IDX("int16", "\0\0\x0b\1\0\0\0\2\x80\0\1\2", "x:int16 | -32768 | 258"),
    IDX("int32", "\0\0\x0c\1\0\0\0\1\xff\xff\xff\xfe", "x:int32 | -2"),
    IDX("float", "\0\0\x0d\2\0\0\0\1\0\0\0\2\x3f\x80\0\0\xc0\x20\0\0", "x:float[2] | [1.0,-2.5]"),
    IDX("double", "\0\0\x0e\1\0\0\0\1\x3f\xf8\0\0\0\0\0\0", "x:double | 1.5"),
    IDX("no rows", "\0\0\x08\2\0\0\0\0\0\0\0\2", "x:uint8[2]"),
    IDX("cut", "\0\0\x08\1\0\0\0\3\1\2",
        "E_FORMAT: column \"x\": the header promises 3 bytes of elements, the file has 2"),
    IDX("too long", "\0\0\x08\1\0\0\0\1\1\2",
        "E_FORMAT: column \"x\": the header promises 1 bytes of elements, the file has 2"),
    IDX("cut header", "\0\0\x08\2\0\0\0\1\0",
        "E_FORMAT: idx: the file ends in the header, at byte 9"),
    IDX("type 0x0a", "\0\0\x0a\1\0\0\0\1\1",
        "E_FORMAT: idx: byte 0: expected 00 00, an element type and a number of dimensions"),
    IDX("nine dimensions", "\0\0\x08\x09\0\0\0\1",
        "E_FORMAT: idx: byte 3: 9 dimensions, 1 to 8 are possible"),
    IDX("a zero inside", "\0\0\x08\2\0\0\0\1\0\0\0\0", "E_FORMAT: idx: byte 8: dimension 2 is 0"),
    IDX("huge", "\0\0\x0e\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        "E_TOO_LARGE: column \"x\": "),
};

static void idx_reads_as_written(void)
{
    for (size_t i = 0; i < MAAS_COUNT(idx); i++) {
        char *got = dump_table(idx[i].bytes, idx[i].n, "idx", NULL, NULL);
        EXPECT_MSG(got && !strncmp(got, idx[i].out, strlen(idx[i].out)),
                   "%s:\n    got      %s\n    expected %s", idx[i].name, got, idx[i].out);
        maas_free(got);
    }
}

/* A header by hand around the dictionary under test. */
static char *read_dict(const char *dict, const void *data, size_t n)
{
    char file[1024] = "\x93NUMPY\1";
    size_t len = strlen(dict);
    file[8] = (char)len;
    memcpy(file + 10, dict, len);
    memcpy(file + 10 + len, data, n);
    return dump_table(file, 10 + len + n, "npy", NULL, NULL);
}

static void npy_dictionaries_by_the_letter(void)
{
    static const struct {
        const char *dict, *out;
    } dicts[] = {
        {"{'descr':'|u1','fortran_order':False,'shape':(2,)}", "x:uint8 | 1 | 2"},
        {"{\"shape\": (2L,), \"fortran_order\": True, \"descr\": \"|u1\", }\n", "x:uint8 | 1 | 2"},
        {"{'descr':'|u1','fortran_order':False,'shape':(1,2)}", "x:uint8[2] | [1,2]"},
        {"{'descr':'|u1','fortran_order':False,'shape':(3,)}",
         "E_FORMAT: column \"x\": the header"},
        {"{'descr':'|u1','fortran_order':False}", "E_FORMAT: npy: byte 47"},
        {"{'descr':'|u1','descr':'|u1','shape':(2,)}", "E_FORMAT: npy: byte"},
        {"{'descr':'|u1','fortran_order':0,'shape':(2,)}", "E_FORMAT: npy: byte 41 of the header: "
                                                           "expected True or False"},
        {"{'descr':'|u1','fortran_order':False,'shape':(-2,)}", "E_FORMAT: npy: byte"},
        {"{'descr':'|u1','fortran_order':False,'shape':(2,0)}", "E_FORMAT: npy: dimension 2 is 0"},
        {"{'descr':'|u1','fortran_order':False,'shape':(1,1,1,1,1,1,1,1,2)}",
         "E_FORMAT: npy: byte"},
        {"{'descr':'|u1','fortran_order':False,'shape':(2,)}x", "E_FORMAT: npy: byte"},
        {"{'descr':__import__('os'),'fortran_order':False,'shape':(2,)}", "E_FORMAT: npy: byte"},
        {"{'descr':'|u1','fortran_order':False,'shape':(99999999999999999999,)}", "E_FORMAT: npy"},
        {"{'descr':'|u1','fortran_order':False,'shape':(4611686018427387904,4)}", "E_TOO_LARGE: "},
        {"{'descr':'<U0','fortran_order':False,'shape':(2,)}", "E_FORMAT: npy: '<U0' is no width"},
        {"{", "E_FORMAT: npy: byte 11"},
        {"", "E_FORMAT: npy: byte 10"},
    };
    for (size_t i = 0; i < MAAS_COUNT(dicts); i++) {
        char *got = read_dict(dicts[i].dict, "\1\2", 2);
        EXPECT_MSG(got && !strncmp(got, dicts[i].out, strlen(dicts[i].out)), "%s\n    gave %s",
                   dicts[i].dict, got);
        maas_free(got);
    }
}

static void headers_are_read_back(void)
{
    static const int64_t dims[] = {1000000000000, 3, 28, 28};
    for (int t = 1; t < 17; t++)
        for (int rank = 0; rank <= 4; rank++) {
            AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(4096);
            maas_npy h;
            const char *numpy_name = maas_dtype_describe((maas_dtype)t)->numpy;
            maas_status st = maas_npy_put_header(&b, (maas_dtype)t, rank, dims, NULL);
            EXPECT_EQ(st, numpy_name ? MAAS_OK : MAAS_E_UNSUPPORTED);
            if (st != MAAS_OK)
                continue;
            EXPECT_EQ(b.n % 64, 0);
            EXPECT_EQ(maas_npy_header(maas_buf_span(&b), &h, NULL), MAAS_OK);
            EXPECT(h.dtype == (maas_dtype)t && h.rank == rank && h.header_bytes == b.n);
            EXPECT(!memcmp(h.dims, dims, (size_t)rank * sizeof *dims));
        }
}

/* Every byte of a zip file changed: refused, or read to the end (the dump looks at every cell). */
static void archives_with_any_byte_changed_are_refused_or_safe(void)
{
    static const char *const files[] = {"two.npz", "two_packed.npz", "text_u.npy", "fortran.npy"};
    for (size_t f = 0; f < MAAS_COUNT(files); f++) {
        maas_map m = map_file(files[f]);
        uint8_t *copy = malloc(m.n); /* exactly the size: ASan sees a read past it */
        int n_refused = 0;
        for (size_t at = 0; at < m.n; at++) {
            memcpy(copy, m.p, m.n);
            copy[at] = (uint8_t)(copy[at] ^ (1u << at % 8)) | (at % 3 == 0 ? 0x80 : 0);
            char *got = dump_table(copy, m.n, f < 2 ? "npz" : "npy", NULL, NULL);
            n_refused += got && !strncmp(got, "E_", 2);
            EXPECT(got && !strstr(got, "do not agree"));
            maas_free(got);
        }
        for (size_t n = 0; n < m.n; n++) {
            uint8_t *cut = malloc(n ? n : 1);
            memcpy(cut, m.p, n);
            char *got = dump_table(cut, n, f < 2 ? "npz" : "npy", NULL, NULL);
            EXPECT_MSG(got && !strncmp(got, "E_", 2), "%s cut to %zu: %s", files[f], n, got);
            maas_free(got);
            free(cut);
        }
        EXPECT_MSG(n_refused > 50, "%s: %d refused", files[f], n_refused);
        free(copy);
        maas_sys_unmap(&m);
    }
}

static const mt_case cases[] = {
    MT_CASE(files_of_numpy_read_as_written),
    MT_CASE(idx_reads_as_written),
    MT_CASE(npy_dictionaries_by_the_letter),
    MT_CASE(headers_are_read_back),
    MT_CASE(archives_with_any_byte_changed_are_refused_or_safe),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
