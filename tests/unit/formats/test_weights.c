/* Weights without a graph: files of torch.save (made by tests/fuzz/make_torch_corpus.py) and
 * safetensors; then damaged ones. */
#include "maas_test.h"

#include <math.h>

#include "../../fuzz/torch_give.h"
#include "formats/zip.h"

enum { MAX_BYTES = 8192, N_MUTANTS = 3000 };

typedef struct seed {
    uint8_t bytes[MAX_BYTES];
    size_t n;
} seed;

static void load(const char *name, seed *s)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", CORPUS, name);
    FILE *f = fopen(path, "rb");
    s->n = f ? fread(s->bytes, 1, sizeof s->bytes, f) : 0;
    if (f)
        fclose(f);
    EXPECT_MSG(s->n > 0, "%s cannot be read", path);
}

/* ---- what is in them ---- */

static const struct {
    const char *file, *name;
    maas_dtype dtype;
    int rank;
    int64_t dims[2];
    double first[4];
    int n;
} given[] = {
    {"linear", "w", MAAS_F32, 2, {3, 4}, {0, 0.25, 0.5, 0.75}, 4},
    {"linear", "b", MAAS_F64, 1, {3}, {1, 2, 3}, 3},
    {"strides", "w", MAAS_F32, 2, {4, 3}, {0, 1, 2, 0.25}, 4},
    {"strides", "w", MAAS_F16, 2, {4, 3}, {0, 1, 2, 0.25}, 4},
    {"strides", "row", MAAS_F32, 1, {4}, {2, 2.25, 2.5, 2.75}, 4},
    {"strides", "one", MAAS_BF16, 2, {2, 2}, {2.75, 2.75, 2.75, 2.75}, 4},
    {"types", "half", MAAS_F32, 1, {3}, {1, 0, 1}, 3},
    {"types", "double", MAAS_F16, 1, {3}, {1, 0, 1}, 3},
    {"types", "long", MAAS_I64, 1, {3}, {1, 0, 1}, 3},
    {"types", "int", MAAS_I32, 1, {3}, {1, 0, 1}, 3},
    {"types", "short", MAAS_I16, 1, {3}, {1, 0, 1}, 3},
    {"types", "char", MAAS_I8, 1, {3}, {1, 0, 1}, 3},
    {"types", "byte", MAAS_U8, 1, {3}, {1, 0, 1}, 3},
    {"types", "bool", MAAS_BOOL, 1, {3}, {1, 0, 1}, 3},
    {"bfloat16", "w", MAAS_F32, 1, {2}, {1, -2}, 2},
    {"nested", "w", MAAS_F32, 1, {12}, {0, 0.25, 0.5, 0.75}, 4},
    {"empty", "nothing", MAAS_F32, 2, {0, 4}, {0}, 0},
    {"empty", "scalar", MAAS_F32, 0, {0}, {0}, 1},
    {"safetensors", "w", MAAS_F16, 1, {3}, {1, 2, 3}, 3},
    {"safetensors", "b", MAAS_BF16, 2, {2, 1}, {1, -2}, 2},
};

static void values_come_as_they_were_saved(void)
{
    for (size_t i = 0; i < MAAS_COUNT(given); i++) {
        seed s;
        maas_weights w;
        maas_err err = {0};
        load(given[i].file, &s);
        maas_tensor t = maas_tensor_of(given[i].dtype, given[i].rank, given[i].dims, NULL);
        maas_status st = maas_weights_open(maas_span_of(s.bytes, s.n), NULL, &w, &err);
        EXPECT_MSG(st == MAAS_OK, "%s: %s", given[i].file, err.msg);
        if (st == MAAS_OK)
            st = maas_weights_give(&w, given[i].name, &t, &err);
        EXPECT_MSG(st == MAAS_OK, "%s: %s", given[i].file, err.msg);
        for (int k = 0; k < given[i].n && st == MAAS_OK; k++)
            EXPECT_NEAR(maas_tensor_get(&t, k), given[i].first[k], 0);
        maas_weights_reset(&w);
    }
}

/* ---- what is refused ---- */

static const struct {
    const char *file, *words;
} refused[] = {
    {"big_endian", "byte order is 'big'"},
    {"past", "tensor 'w': its shape and strides go past the 12 elements"},
    {"far", "tensor 'w': its shape and strides go past"},
    {"count", "tensor 'w': its storage '0' has 4 bytes, not 2305843009213693952 float32"},
    {"no_storage", "its storage '0' is not in the archive"},
    {"packed", "is compressed"},
    {"number", "tensor 'epoch': is a int, no tensor"},
    {"list", "it holds a list, no state dict"},
    {"class", "REJECT_CLASS os.system"},
    {"module", "REJECT_CLASS torch.nn.modules.linear.Linear"},
    {"forged", "tensor 'w': "},
    {"id", "a persistent id is a int, no tuple"},
    {"legacy", "before PyTorch 1.6"},
};

static void the_rest_is_refused_with_words(void)
{
    for (size_t i = 0; i < MAAS_COUNT(refused); i++) {
        seed s;
        maas_weights w;
        maas_err err = {0};
        load(refused[i].file, &s);
        EXPECT(maas_weights_open(maas_span_of(s.bytes, s.n), NULL, &w, &err) != MAAS_OK);
        EXPECT_MSG(strstr(err.msg, refused[i].words), "%s: %s", refused[i].file, err.msg);
    }
}

static void what_does_not_fit_is_refused(void)
{
    seed s;
    maas_weights w;
    maas_err err = {0}, type = {0};
    const int64_t dims[] = {4, 3}, three[] = {3};
    load("linear", &s);
    EXPECT_EQ(maas_weights_open(maas_span_of(s.bytes, s.n), NULL, &w, &err), MAAS_OK);
    maas_tensor t = maas_tensor_of(MAAS_F32, 2, dims, NULL);
    maas_tensor b = maas_tensor_of(MAAS_I64, 1, three, NULL);
    EXPECT_EQ(maas_weights_give(&w, "w", &t, &err), MAAS_E_FORMAT);
    EXPECT_MSG(strstr(err.msg, "weight 'w' is [3,4], the graph's is [4,3]"), "%s", err.msg);
    EXPECT_EQ(maas_weights_give(&w, "b", &b, &type), MAAS_E_FORMAT);
    EXPECT_MSG(strstr(type.msg, "weight 'b' is float32, the graph's is int64"), "%s", type.msg);
    maas_weights_reset(&w);
}

static void nothing_may_be_left_over(void)
{
    seed s;
    maas_weights w;
    maas_err err = {0};
    const int64_t dims[] = {3, 4}, one[] = {1};
    char name[8];
    load("linear", &s);
    EXPECT_EQ(maas_weights_open(maas_span_of(s.bytes, s.n), NULL, &w, &err), MAAS_OK);
    maas_tensor t = maas_tensor_of(MAAS_F32, 2, dims, NULL), x = t;
    maas_tensor scalar = maas_tensor_of(MAAS_F32, 1, one, NULL);
    maas_tensor whole = maas_tensor_of(MAAS_I64, 2, dims, NULL);
    EXPECT_EQ(maas_weights_give(&w, "w", &t, &err), MAAS_OK);
    EXPECT_EQ(maas_weights_give(&w, "epsilon", &scalar, &err), MAAS_OK);
    EXPECT_EQ(maas_weights_give(&w, "shape", &whole, &err), MAAS_OK);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "v%d", i);
        EXPECT_EQ(maas_weights_give(&w, name, &x, &err), MAAS_OK);
    }
    EXPECT(x.data == NULL);
    EXPECT_EQ(maas_weights_done(&w, &err), MAAS_E_FORMAT);
    EXPECT_MSG(strcmp(err.msg,
                      "no initializer of the graph is called 'b'; the weights have nothing "
                      "for 'v0', 'v1', 'v2' and 2 more: names must be equal") == 0,
               "%s", err.msg);
    maas_weights_reset(&w);
}

/* A counter that nobody takes is no mistake; a weight is. */
static void counters_may_be_left_over(void)
{
    seed s;
    maas_weights w;
    maas_err err = {0};
    const int64_t dims[] = {3};
    load("types", &s);
    EXPECT_EQ(maas_weights_open(maas_span_of(s.bytes, s.n), NULL, &w, &err), MAAS_OK);
    for (const char *const *name = (const char *const[]){"float", "double", "half", NULL}; *name;
         name++) {
        maas_tensor t = maas_tensor_of(MAAS_F32, 1, dims, NULL);
        EXPECT_EQ(maas_weights_give(&w, *name, &t, &err), MAAS_OK);
    }
    EXPECT_MSG(maas_weights_done(&w, &err) == MAAS_OK, "%s", err.msg);
    maas_weights_reset(&w);
}

/* ---- zip64: the end of a directory that says where the real one is ---- */

static void the_large_form_of_a_zip_is_read(void)
{
    seed s;
    maas_zip z;
    maas_err err = {0};
    static uint8_t large[MAX_BYTES + 128];
    load("linear", &s);
    const size_t end = s.n - 22; /* no comment */
    uint64_t n = s.bytes[end + 10], bytes = 0, at = 0, where = end;
    memcpy(&bytes, s.bytes + end + 12, 4);
    memcpy(&at, s.bytes + end + 16, 4);
    memcpy(large, s.bytes, end);
    memcpy(large + end, "PK\6\6", 4);
    memcpy(large + end + 32, &n, 8);
    memcpy(large + end + 40, &bytes, 8);
    memcpy(large + end + 48, &at, 8);
    memcpy(large + end + 56, "PK\6\7", 4);
    memcpy(large + end + 56 + 8, &where, 8);
    memcpy(large + end + 76, s.bytes + end, 22);
    memset(large + end + 76 + 8, 0xff, 12);
    const size_t size = end + 98;
    maas_weights w;
    EXPECT_MSG(maas_weights_open(maas_span_of(large, size), NULL, &w, &err) == MAAS_OK, "%s",
               err.msg);
    EXPECT_EQ(w.n, 2);
    maas_weights_reset(&w);
    for (uint64_t bad = UINT64_MAX; bad; bad = bad >> 7) {
        maas_err words = {0};
        if (bad == where)
            continue;
        memcpy(large + end + 56 + 8, &bad, 8);
        EXPECT(maas_zip_open(&z, maas_span_of(large, size), 100, &words) == MAAS_E_FORMAT);
    }
    memcpy(large + end + 56 + 8, &where, 8);
    for (int field = 40; field <= 48; field += 8) {
        const uint64_t old = field == 40 ? bytes : at, bad = UINT64_MAX - 8;
        maas_err words = {0};
        memcpy(large + end + field, &bad, 8);
        EXPECT(maas_zip_open(&z, maas_span_of(large, size), 100, &words) == MAAS_E_FORMAT);
        memcpy(large + end + field, &old, 8);
    }
    EXPECT_EQ(maas_zip_open(&z, maas_span_of(large, size), 3, &err), MAAS_E_TOO_LARGE);
}

/* ---- damaged ---- */

static uint64_t state;
static uint64_t draw(uint64_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % n;
}

static const uint64_t numbers[] = {0, 1, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 1ull << 62};

static void damage(seed *s)
{
    const size_t at = draw(s->n);
    uint64_t number = numbers[draw(MAAS_COUNT(numbers))];
    const size_t most = s->n - at, n = 1 + draw(8), part = n < most ? n : most;
    switch (draw(4)) {
    case 0:
        s->bytes[at] ^= (uint8_t)(1u << draw(8));
        break;
    case 1:
        s->bytes[at] = (uint8_t)draw(256);
        break;
    case 2:
        memcpy(s->bytes + at, &number, part);
        break;
    default:
        memmove(s->bytes + at, s->bytes + draw(s->n - part + 1), part);
    }
}

/* In a block of its own size, so that reading past the end is seen. */
static maas_status give_exact(const seed *s, maas_err *err)
{
    uint8_t *exact = maas_calloc(s->n, 1);
    memcpy(exact, s->bytes, s->n);
    const maas_status st = torch_give_bytes(maas_span_of(exact, s->n), err);
    maas_free(exact);
    return st;
}

static void mutants_are_safe_to_read(void)
{
    static const char *const files[] = {"linear", "strides", "types",  "bfloat16",   "nested",
                                        "empty",  "count",   "forged", "safetensors"};
    unsigned n_accepted = 0;
    for (unsigned i = 0; i < N_MUTANTS; i++) {
        seed s;
        maas_err err = {0};
        load(files[i % MAAS_COUNT(files)], &s);
        state = i;
        for (uint64_t k = 1 + draw(4); k; k--)
            damage(&s);
        n_accepted += give_exact(&s, &err) == MAAS_OK;
    }
    printf("%u of %u accepted\n", n_accepted, N_MUTANTS);
    EXPECT(n_accepted > N_MUTANTS / 20 && n_accepted < N_MUTANTS);
}

static void cuts_are_refused(void)
{
    static const char *const files[] = {"linear", "nested", "safetensors"};
    for (size_t i = 0; i < MAAS_COUNT(files); i++) {
        seed s;
        load(files[i], &s);
        while (s.n > 1) {
            maas_err err = {0};
            s.n--;
            EXPECT_MSG(give_exact(&s, &err) != MAAS_OK, "%s cut to %zu", files[i], s.n);
        }
    }
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(values_come_as_they_were_saved), MT_CASE(the_rest_is_refused_with_words),
        MT_CASE(what_does_not_fit_is_refused),   MT_CASE(nothing_may_be_left_over),
        MT_CASE(counters_may_be_left_over),      MT_CASE(the_large_form_of_a_zip_is_read),
        MT_CASE(mutants_are_safe_to_read),       MT_CASE(cuts_are_refused),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
