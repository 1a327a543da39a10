/* Files that the safetensors package wrote (tests/fuzz/make_folder_corpus.py), files that are wrong
 * by hand, and mutants. */
#include "maas_test.h"

#include <fcntl.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/safetensors.h"

typedef struct rig {
    maas_budget budget;
    maas_arena a;
    maas_safetensors s;
    maas_err err;
} rig;

static maas_status open_bytes(rig *r, maas_span file)
{
    *r = (rig){.budget.limit = (size_t)16 << 20};
    maas_arena_init(&r->a, &r->budget);
    return maas_safetensors_open(file, &r->a, &r->s, &r->err);
}

static void rig_close(rig *r)
{
    maas_arena_reset(&r->a);
    EXPECT_EQ(r->budget.used, 0);
}

static void map(const char *name, maas_map *out)
{
    char path[512];
    snprintf(path, sizeof path, CORPUS "/%s", name);
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(maas_sys_map(fd, out, NULL), MAAS_OK);
}

static const maas_st_tensor *find(const rig *r, const char *name)
{
    return maas_safetensors_find(&r->s, (maas_str){name, strlen(name)});
}

/* ---- what the package writes ---- */

static void types_are_those_of_the_package(void)
{
    static const struct {
        const char *name, *type;
        maas_dtype dtype;
        size_t bytes;
    } rows[] = {
        {"float64", "F64", MAAS_F64, 48}, {"float32", "F32", MAAS_F32, 24},
        {"float16", "F16", MAAS_F16, 12}, {"int64", "I64", MAAS_I64, 48},
        {"int32", "I32", MAAS_I32, 24},   {"int16", "I16", MAAS_I16, 12},
        {"int8", "I8", MAAS_I8, 6},       {"uint8", "U8", MAAS_U8, 6},
        {"bool", "BOOL", MAAS_BOOL, 6},
    };
    rig r;
    maas_map m;
    map("types", &m);
    EXPECT_EQ(open_bytes(&r, maas_span_of(m.p, m.n)), MAAS_OK);
    EXPECT_EQ(r.s.n_tensors, MAAS_COUNT(rows));
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        const maas_st_tensor *t = find(&r, rows[i].name);
        EXPECT(t != NULL);
        if (!t)
            continue;
        EXPECT_STR(t->type->name, rows[i].type);
        EXPECT_EQ(t->type->dtype, rows[i].dtype);
        EXPECT_EQ(t->bytes, rows[i].bytes);
        EXPECT(t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 3);
    }
    float f;
    memcpy(&f, find(&r, "float32")->data + 5 * sizeof f, sizeof f);
    EXPECT_EQ((int)f, 5);
    EXPECT(find(&r, "float3") == NULL && find(&r, "") == NULL && find(&r, "zz") == NULL);
    rig_close(&r);
    maas_sys_unmap(&m);
}

static void shapes_and_notes_are_read(void)
{
    rig r;
    maas_map m;
    map("shapes", &m);
    EXPECT_EQ(open_bytes(&r, maas_span_of(m.p, m.n)), MAAS_OK);
    EXPECT_EQ(find(&r, "scalar")->rank, 0);
    EXPECT_EQ(find(&r, "scalar")->bytes, 4);
    EXPECT_EQ(find(&r, "empty")->bytes, 0);
    EXPECT_EQ(find(&r, "deep")->rank, 6);
    EXPECT(find(&r, "\xc3\xa9\" name") != NULL);
    EXPECT_EQ(r.s.n_notes, 2);
    bool seen = false;
    for (uint32_t i = 0; i < r.s.n_notes; i++)
        seen |= r.s.notes[i].text.n == 8 && memcmp(r.s.notes[i].text.p, "a \"b\" \xc3\xbc", 8) == 0;
    EXPECT(seen);
    rig_close(&r);
    maas_sys_unmap(&m);
    map("none", &m);
    EXPECT_EQ(open_bytes(&r, maas_span_of(m.p, m.n)), MAAS_OK);
    EXPECT_EQ(r.s.n_tensors, 0);
    rig_close(&r);
    maas_sys_unmap(&m);
}

/* ---- what is wrong ---- */

#define F4(name, from, to)                                                                         \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[" #from "," #to "]}"

static const struct {
    const char *head;
    size_t data; /* bytes after it */
    maas_status status;
    const char *words; /* NULL: it is right */
} heads[] = {
    {"{" F4("a", 0, 16) "," F4("b", 16, 32) "}", 32, MAAS_OK, NULL},
    {"{" F4("b", 16, 32) "," F4("a", 0, 16) "}  \n", 32, MAAS_OK, NULL},
    {"[]", 0, MAAS_E_FORMAT, "no { at byte 8"},
    {"{\"a\":1}", 0, MAAS_E_FORMAT, "must be an object"},
    {"{" F4("a", 0, 16) "", 16, MAAS_E_FORMAT, "malformed JSON"},
    {"{" F4("a", 0, 16) "} x", 16, MAAS_E_FORMAT, "malformed JSON"},
    {"{" F4("a", 0, 16) "," F4("a", 16, 32) "}", 32, MAAS_E_FORMAT, "'a' comes twice"},
    {"{" F4("a", 0, 16) "," F4("b", 8, 24) "}", 24, MAAS_E_FORMAT, "may not overlap"},
    {"{" F4("a", 0, 16) "," F4("b", 0, 16) "}", 16, MAAS_E_FORMAT, "may not overlap"},
    {"{" F4("a", 0, 16) "," F4("b", 20, 36) "}", 36, MAAS_E_FORMAT, "nor have gaps"},
    {"{" F4("a", 4, 20) "}", 20, MAAS_E_FORMAT, "nor have gaps"},
    {"{" F4("a", 0, 16) "}", 20, MAAS_E_FORMAT, "4 bytes after the last tensor"},
    {"{}", 1, MAAS_E_FORMAT, "1 bytes after the last tensor"},
    {"{" F4("a", 0, 16) "}", 12, MAAS_E_FORMAT, "the file is cut"},
    {"{" F4("a", 0, 12) "}", 12, MAAS_E_FORMAT, "its shape has 16 bytes"},
    {"{" F4("a", 16, 0) "}", 16, MAAS_E_FORMAT, "its shape has 16 bytes"},
    {"{" F4("a", 0, 18446744073709551615) "}", 16, MAAS_E_FORMAT, "its shape has 16 bytes"},
    {"{" F4("a", 0, 1e1) "}", 16, MAAS_E_FORMAT, "must be two numbers"},
    {"{" F4("a", -0, 16) "}", 16, MAAS_E_FORMAT, "must be two numbers"},
    {"{\"\":{}}", 0, MAAS_E_FORMAT, "a name is empty"},
    {"{\"a\\u0001\":{}}", 0, MAAS_E_FORMAT, "control character"},
    {"{\"a\":{}}", 0, MAAS_E_FORMAT, "needs dtype, shape and data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, MAAS_E_FORMAT, "comes twice"},
    {"{\"a\":{\"stride\":1}}", 0, MAAS_E_FORMAT, "does not have"},
    {"{\"a\":{\"dtype\":\"F128\"}}", 0, MAAS_E_UNSUPPORTED, "dtype 'F128'"},
    {"{\"a\":{\"dtype\":3}}", 0, MAAS_E_FORMAT, "'dtype' must be a text"},
    {"{\"a\":{\"shape\":[1,1,1,1,1,1,1,1,1]}}", 0, MAAS_E_FORMAT, "up to 8 sizes"},
    {"{\"a\":{\"shape\":[-1]}}", 0, MAAS_E_FORMAT, "up to 8 sizes"},
    {"{\"a\":{\"shape\":[[1]]}}", 0, MAAS_E_FORMAT, "up to 8 sizes"},
    {"{\"a\":{\"shape\":[9223372036854775807]}}", 0, MAAS_E_FORMAT, "too large"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1099511627776,1099511627776,1099511627776],"
     "\"data_offsets\":[0,0]}}",
     0, MAAS_E_FORMAT, "too large"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, MAAS_E_FORMAT,
     "no whole number of bytes"},
    {"{\"__metadata__\":{\"a\":1}}", 0, MAAS_E_FORMAT, "must be texts"},
    {"{\"__metadata__\":[]}", 0, MAAS_E_FORMAT, "must be an object"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, MAAS_E_FORMAT, "comes twice"},
};

static void put_head(maas_buf *b, uint64_t n, const char *head, size_t data)
{
    maas_buf_clear(b);
    maas_buf_add(b, &n, sizeof n);
    maas_buf_str(b, head);
    for (size_t i = 0; i < data; i++)
        maas_buf_char(b, 0);
}

static void what_is_wrong_is_named(void)
{
    maas_buf b = MAAS_BUF_INIT(1 << 20);
    rig r;
    for (size_t i = 0; i < MAAS_COUNT(heads); i++) {
        put_head(&b, strlen(heads[i].head), heads[i].head, heads[i].data);
        EXPECT_MSG(open_bytes(&r, maas_buf_span(&b)) == heads[i].status, "%s: %s", heads[i].head,
                   r.err.msg);
        EXPECT_MSG(!heads[i].words || strstr(r.err.msg, heads[i].words), "%s: %s", heads[i].head,
                   r.err.msg);
        rig_close(&r);
    }
    put_head(&b, UINT64_MAX, "{}", 0);
    EXPECT_EQ(open_bytes(&r, maas_buf_span(&b)), MAAS_E_TOO_LARGE);
    rig_close(&r);
    put_head(&b, 3, "{}", 0);
    EXPECT_EQ(open_bytes(&r, maas_buf_span(&b)), MAAS_E_FORMAT);
    rig_close(&r);
    EXPECT_EQ(open_bytes(&r, maas_span_of("abc", 3)), MAAS_E_FORMAT);
    rig_close(&r);
    maas_buf_reset(&b);
}

static void an_index_says_where_tensors_are(void)
{
    static const struct {
        const char *text;
        maas_status status;
    } rows[] = {
        {"{\"weight_map\":{\"a\":1}}", MAAS_E_FORMAT},
        {"{\"weight_map\":{\"a\":\"f\",\"a\":\"f\"}}", MAAS_E_FORMAT},
        {"{\"weight_map\":{},\"weight_map\":{}}", MAAS_E_FORMAT},
        {"{\"metadata\":{}}", MAAS_E_FORMAT},
        {"{\"weight_map\":{\"a\":\"\"}}", MAAS_E_FORMAT},
        {"{\"weight_map\":{\"a\":\"f\"}", MAAS_E_FORMAT},
        {"[]", MAAS_E_FORMAT},
    };
    maas_arena a;
    maas_st_index x;
    maas_arena_init(&a, NULL);
    EXPECT_EQ(maas_st_index_read(maas_span_str("{\"metadata\":{\"total_size\":1e3},\"weight_map\":{"
                                               "\"b\":\"two\",\"a\":\"one\"}}"),
                                 &a, &x, NULL),
              MAAS_OK);
    const maas_str *file = maas_st_index_file(&x, (maas_str){"b", 1});
    EXPECT(x.n == 2 && file && file->n == 3 && memcmp(file->p, "two", 3) == 0);
    EXPECT(maas_st_index_file(&x, (maas_str){"c", 1}) == NULL);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_err err = {0};
        EXPECT_EQ(maas_st_index_read(maas_span_str(rows[i].text), &a, &x, &err), rows[i].status);
        EXPECT(err.msg[0]);
    }
    maas_arena_reset(&a);
}

/* ---- mutants ---- */

static void mutants_are_refused_or_whole(void)
{
    static const int seeds = 20000;
    maas_map m;
    maas_rng rng;
    int accepted = 0;
    map("shapes", &m);
    uint8_t *copy = maas_alloc(m.n);
    maas_rng_seed(&rng, 3);
    for (int i = 0; i < seeds; i++) {
        rig r;
        memcpy(copy, m.p, m.n);
        for (uint64_t k = 1 + maas_rng_below(&rng, 3); k; k--)
            copy[maas_rng_below(&rng, m.n)] ^= (uint8_t)(1u << maas_rng_below(&rng, 8));
        const size_t n = maas_rng_below(&rng, 5) ? m.n : maas_rng_below(&rng, m.n + 1);
        const maas_status st = open_bytes(&r, maas_span_of(copy, n));
        EXPECT(st == MAAS_OK || r.err.msg[0]);
        accepted += st == MAAS_OK;
        for (uint32_t k = 0; st == MAAS_OK && k < r.s.n_tensors; k++) {
            const maas_st_tensor *t = &r.s.tensors[k];
            EXPECT(t->data >= copy + 8 && t->bytes <= (size_t)(copy + n - t->data));
            EXPECT(maas_safetensors_find(&r.s, t->name) == t);
        }
        rig_close(&r);
    }
    EXPECT(accepted > seeds / 50);
    maas_free(copy);
    maas_sys_unmap(&m);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(types_are_those_of_the_package), MT_CASE(shapes_and_notes_are_read),
    MT_CASE(what_is_wrong_is_named),         MT_CASE(an_index_says_where_tensors_are),
    MT_CASE(mutants_are_refused_or_whole),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
