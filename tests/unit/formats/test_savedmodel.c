/* SavedModels: files damaged byte by byte, layouts, what is folded, refusals by their words.
 * Numbers are compared with TensorFlow's in tests/client/test_savedmodel.py. */
#include "../../fuzz/savedmodel_parts.h"
#include "maas_test.h"

#include "base/mem.h"
#include "formats/model.h"
#include "formats/savedmodel/sm_int.h"
#include "graph/op.h"

typedef struct bytes {
    uint8_t p[65536];
    size_t n;
} bytes;

static bytes load(const char *name)
{
    static bytes b;
    char path[512];
    snprintf(path, sizeof path, "%s/savedmodel/%s.parts", CORPUS, name);
    FILE *f = fopen(path, "rb");
    b.n = 0;
    EXPECT_MSG(f != NULL, "%s", path);
    if (f) {
        b.n = fread(b.p, 1, sizeof b.p, f);
        fclose(f);
    }
    return b;
}

static maas_budget budget = {.limit = 16 << 20};

/* In memory of exactly its size, so that a read past the end is seen. */
static maas_status read_exact(const bytes *b, maas_graph **out, uint8_t **copy, maas_err *err)
{
    *copy = malloc(b->n ? b->n : 1);
    memcpy(*copy, b->p, b->n);
    return savedmodel_read_parts(maas_span_of(*copy, b->n), &budget, out, err);
}

static uint32_t count(const maas_graph *g, const char *op, bool computed)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += strcmp(g->nodes[i].op->name, op) == 0 &&
             !(computed && maas_graph_at(g, g->nodes[i].in[0])->flags & MAAS_VALUE_CONST);
    return n;
}

/* The graph of a file that must be read; the caller frees both. */
static maas_graph *graph_of(const char *name, uint8_t **copy)
{
    const bytes b = load(name);
    maas_err err = {0};
    maas_graph *g = NULL;
    EXPECT_MSG(read_exact(&b, &g, copy, &err) == MAAS_OK, "%s: %s", name, err.msg);
    return g;
}

static void a_signature_names_inputs_and_outputs(void)
{
    const bytes b = load("tf1_graph");
    savedmodel_parts p;
    const maas_model_format *format = NULL;
    maas_err err = {0};
    uint8_t *copy;
    savedmodel_split(maas_span_of(b.p, b.n), &p);
    EXPECT_EQ(maas_model_format_find(p.list[0].bytes, NULL, &format, &err), MAAS_OK);
    EXPECT(format && strcmp(format->name, "savedmodel") == 0);
    maas_graph *g = graph_of("tf1_graph", &copy);
    if (g) {
        EXPECT_EQ(g->n_outputs, 2);
        EXPECT(maas_graph_find(g, "argmax") == g->outputs[0] &&
               maas_graph_find(g, "y") == g->outputs[1] && maas_graph_find(g, "x") == g->inputs[0]);
        const maas_type *x = &maas_graph_at(g, g->inputs[0])->type;
        EXPECT(x->rank == 2 && x->dims[0] < MAAS_DIM_UNKNOWN && x->dims[1] == 6);
        EXPECT(maas_graph_find(g, "net/w") != MAAS_NO_VALUE);
    }
    maas_graph_destroy(g);
    free(copy);
}

/* Convolutions, a norm, a sum and a mean: channels are moved once, before the first. */
static void channels_stay_first(void)
{
    uint8_t *copy;
    maas_graph *g = graph_of("picture", &copy);
    if (g) {
        EXPECT_EQ(count(g, "Conv", false), 3);
        EXPECT_EQ(count(g, "Transpose", true), 1);
    }
    maas_graph_destroy(g);
    free(copy);
}

/* A layer of LSTM is one Loop; what it needs of shapes is no node in its body. */
static void a_recurrent_layer_is_a_loop(void)
{
    uint8_t *copy;
    maas_graph *g = graph_of("lstm", &copy);
    if (g)
        EXPECT_EQ(count(g, "Loop", false), 1);
    maas_graph_destroy(g);
    free(copy);
}

/* CRC-32C of "123456789" is 0xe3069283 (RFC 3720, B.4); as it is masked by LevelDB. */
static void checksums(void)
{
    const uint32_t plain = 0xe3069283u;
    EXPECT_EQ(sm_crc(maas_span_str("123456789")), (plain >> 15 | plain << 17) + 0xa282ead8u);
}

/* ---- damage ---- */

static uint32_t n_read, n_refused;

static void try_bytes(const bytes *b)
{
    maas_err err = {0};
    maas_graph *g = NULL;
    uint8_t *copy;
    const maas_status st = read_exact(b, &g, &copy, &err);
    EXPECT(st == MAAS_OK || err.msg[0]);
    n_refused += st != MAAS_OK;
    n_read += st == MAAS_OK;
    maas_graph_destroy(g);
    free(copy);
}

static void every_byte_is_checked(void)
{
    static const char *const names[] = {"tf1_graph", "branches", "embedding", "slices"};
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, 0x0a};
    n_read = n_refused = 0;
    for (size_t k = 0; k < MAAS_COUNT(names); k++) {
        bytes b = load(names[k]);
        for (size_t at = 0; at < b.n; at += 5) {
            const uint8_t was = b.p[at];
            b.p[at] = odd[at / 5 % MAAS_COUNT(odd)];
            try_bytes(&b);
            b.p[at] = was;
        }
    }
    EXPECT_MSG(n_refused > 1000 && n_read > 1000, "%u refused, %u read", n_refused, n_read);
}

/* Where the blocks of an index are: what its footer and its index block say. */
static bool block(maas_span index, size_t at, size_t n, uint8_t *to)
{
    const uint32_t crc = n + 5 <= index.n && at <= index.n - n - 5
                             ? sm_crc(maas_span_of(index.p + at, n + 1))
                             : 0;
    memcpy(to, &crc, sizeof crc);
    return crc != 0;
}

/* Blocks of which every byte is damaged in turn, with checksums that are right again. */
static void every_byte_of_the_index_is_checked(void)
{
    const bytes whole = load("dense");
    savedmodel_parts p;
    savedmodel_split(maas_span_of(whole.p, whole.n), &p);
    const maas_span index = p.list[1].bytes;
    const size_t from = (size_t)(index.p - whole.p), footer = index.n - 48;
    /* one block of data, then one of meta data without entries (8 bytes), then the index */
    const size_t meta = index.p[footer] & 0x7f
                            ? (size_t)(index.p[footer] & 0x7f) | (size_t)index.p[footer + 1] << 7
                            : 0;
    const size_t n_data = meta - 5;
    EXPECT(n_data > 100 && n_data < index.n);
    n_read = n_refused = 0;
    for (size_t at = 0; at < n_data; at++)
        for (int bit = 0; bit < 8; bit++) {
            static bytes b;
            b = whole;
            b.p[from + at] ^= (uint8_t)(1 << bit);
            EXPECT(block(maas_span_of(b.p + from, index.n), 0, n_data, b.p + from + n_data + 1));
            try_bytes(&b);
        }
    EXPECT_MSG(n_refused > 500 && n_read > 50, "%u refused, %u read", n_refused, n_read);
}

/* An index block that names one block over and over would have it summed each time. */
static void blocks_do_not_overlap(void)
{
    static uint8_t file[8 + 5 + 64 + 5 + 48];
    const uint8_t restarts[8] = {0, 0, 0, 0, 1, 0, 0, 0};
    uint8_t *index = file + 13, *footer = file + sizeof file - 48;
    size_t n = 0;
    memset(file, 0, sizeof file);
    file[4] = 1; /* a block of one restart, without entries */
    EXPECT(block(maas_span_of(file, sizeof file), 0, 8, file + 9));
    for (uint8_t k = 0; k < 2; k++) {
        const uint8_t entry[6] = {0, 1, 2, (uint8_t)('a' + k), 0, 8};
        memcpy(index + n, entry, sizeof entry);
        n += sizeof entry;
    }
    memcpy(index + n, restarts, sizeof restarts);
    n += sizeof restarts;
    EXPECT(block(maas_span_of(file, sizeof file), 13, n, index + n + 1));
    footer[2] = 13;
    footer[3] = (uint8_t)n;
    const uint64_t magic = 0xdb4775248b80fb57ull;
    memcpy(footer + 40, &magic, sizeof magic);
    maas_err err = {0};
    sm s = {.err = &err};
    EXPECT(sm_bundle_read(&s, maas_span_of(file, sizeof file)) != MAAS_OK);
    EXPECT_MSG(strstr(err.msg, "overlaps") != NULL, "%s", err.msg);
}

static void cuts_are_refused(void)
{
    const bytes whole = load("dense");
    savedmodel_parts p;
    savedmodel_split(maas_span_of(whole.p, whole.n), &p);
    /* the first bytes of the shard are weights */
    for (size_t n = 0; n < whole.n - p.list[2].bytes.n; n += 7) {
        static bytes b;
        b = whole;
        b.n = n;
        n_read = 0;
        try_bytes(&b);
        EXPECT_MSG(n_read == 0, "cut at %zu", n);
    }
}

static void every_refusal_has_its_words(void)
{
    static const struct {
        const char *file;
        int part; /* which file, from its end */
        size_t from_end;
        const char *words;
    } rows[] = {
        {"dense", 1, 1, "it does not end as a table of LevelDB does"},
        {"dense", 1, 100, "has another checksum"},
        {"tf1_graph", 2, 2,
         "its bytes in variables/variables.data-00000-of-00001 have another checksum"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        bytes b = load(rows[i].file);
        savedmodel_parts p;
        maas_err err = {0};
        maas_graph *g = NULL;
        uint8_t *copy;
        savedmodel_split(maas_span_of(b.p, b.n), &p);
        const maas_span part = p.list[rows[i].part].bytes;
        b.p[(size_t)(part.p - b.p) + part.n - rows[i].from_end] ^= 0x10;
        EXPECT(read_exact(&b, &g, &copy, &err) != MAAS_OK);
        EXPECT_MSG(strstr(err.msg, rows[i].words), "row %zu: %s", i, err.msg);
        maas_graph_destroy(g);
        free(copy);
    }
}

/* Memory that runs out at any place is an error in words. */
static void a_small_budget_is_an_error(void)
{
    const bytes b = load("loops");
    for (size_t limit = 1 << 14; limit < 1 << 21; limit += limit / 7) {
        maas_budget few = {.limit = limit};
        maas_graph *g = NULL;
        maas_err err = {0};
        const maas_status st = savedmodel_read_parts(maas_span_of(b.p, b.n), &few, &g, &err);
        EXPECT_MSG(st == MAAS_OK || (st == MAAS_E_NOMEM && err.msg[0]), "%d %s", st, err.msg);
        maas_graph_destroy(g);
        EXPECT_EQ(few.used, 0);
    }
}

static const mt_case cases[] = {MT_CASE(blocks_do_not_overlap),
                                MT_CASE(a_signature_names_inputs_and_outputs),
                                MT_CASE(channels_stay_first),
                                MT_CASE(a_recurrent_layer_is_a_loop),
                                MT_CASE(checksums),
                                MT_CASE(every_byte_is_checked),
                                MT_CASE(every_byte_of_the_index_is_checked),
                                MT_CASE(cuts_are_refused),
                                MT_CASE(every_refusal_has_its_words),
                                MT_CASE(a_small_budget_is_an_error)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
