/* The body of an OIP request in pieces of every size, and hostile ones. */
#include "api/oip_request.h"
#include "base/mem.h"
#include "maas_test.h"

#define MAX_BODY (1u << 20)

static maas_status read_pieces(maas_oip_request *q, maas_arena *a, const char *header,
                               const void *body, size_t n, const size_t *cuts, size_t n_cuts,
                               maas_err *err)
{
    size_t at = 0;
    maas_arena_init(a, NULL);
    MAAS_TRY(maas_oip_request_begin(q, a, header, n, MAX_BODY, err));
    for (size_t i = 0; i <= n_cuts; i++) {
        size_t to = i < n_cuts ? cuts[i] : n;
        MAAS_TRY(maas_oip_request_feed(q, maas_span_of((const char *)body + at, to - at), err));
        at = to;
    }
    return maas_oip_request_end(q, err);
}

static const char json[] =
    "{\"id\":\"a\\u00e4\",\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"FP32\","
    "\"parameters\":"
    "{\"binary_data_size\":16}},{\"name\":\"t\",\"datatype\":\"BYTES\",\"shape\":[2],"
    "\"parameters\":"
    "{\"binary_data_size\":11}},{\"data\":[[1],[-2],[3]],\"name\":\"i\",\"shape\":[3,1],"
    "\"datatype\":\"INT64\"}],"
    "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":false,\"classification\":3}}],"
    "\"parameters\":{\"binary_data_output\":true,\"timeout\":5}}";
static const uint8_t tail[27] = {0,   0,  128, 63, 0, 0, 0,   64,  0, 0, 64, 64, 0,  0,
                                 128, 64, 2,   0,  0, 0, 'h', 'i', 1, 0, 0,  0,  '!'};

static void expect_the_request(const maas_oip_request *q)
{
    EXPECT_STR(q->id, "a\xc3\xa4");
    EXPECT_EQ(q->n_inputs, 3);
    EXPECT_EQ(q->n_outputs, 1);
    EXPECT(q->binary_output && q->timeout_us == 5 && q->outputs[0].binary == 0 &&
           q->outputs[0].classification == 3);
    const float *x = q->inputs[0].tensor.data;
    EXPECT(x[0] == 1 && x[1] == 2 && x[2] == 3 && x[3] == 4);
    const maas_str *t = q->inputs[1].tensor.data;
    EXPECT(t[0].n == 2 && memcmp(t[0].p, "hi", 2) == 0 && t[1].n == 1 && t[1].p[0] == '!');
    const int64_t *i = q->inputs[2].tensor.data;
    EXPECT(i[0] == 1 && i[1] == -2 && i[2] == 3 && q->inputs[2].tensor.rank == 2);
}

static void every_cut_gives_the_same(void)
{
    uint8_t body[sizeof json - 1 + sizeof tail];
    char header[16];
    memcpy(body, json, sizeof json - 1);
    memcpy(body + sizeof json - 1, tail, sizeof tail);
    snprintf(header, sizeof header, "%zu", sizeof json - 1);
    for (size_t first = 0; first <= sizeof body; first++) {
        const size_t cuts[3] = {first, first + (sizeof body - first) / 2,
                                first + (sizeof body - first) / 2};
        maas_arena a;
        maas_oip_request q;
        maas_err err = {0};
        EXPECT_MSG(read_pieces(&q, &a, header, body, sizeof body, cuts, 3, &err) == MAAS_OK,
                   "cut at %zu: %s", first, err.msg);
        if (!mt_failed)
            expect_the_request(&q);
        maas_arena_reset(&a);
    }
    size_t each[sizeof body];
    for (size_t i = 0; i < sizeof body; i++)
        each[i] = i;
    maas_arena a;
    maas_oip_request q;
    maas_err err = {0};
    EXPECT_EQ(read_pieces(&q, &a, header, body, sizeof body, each, sizeof body, &err), MAAS_OK);
    expect_the_request(&q);
    maas_arena_reset(&a);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void every_end_but_the_last_is_refused(void)
{
    uint8_t body[sizeof json - 1 + sizeof tail + 1];
    char header[16];
    memcpy(body, json, sizeof json - 1);
    memcpy(body + sizeof json - 1, tail, sizeof tail);
    snprintf(header, sizeof header, "%zu", sizeof json - 1);
    for (size_t n = 0; n <= sizeof body; n++) {
        maas_arena a;
        maas_oip_request q;
        maas_err err = {0};
        maas_status st = read_pieces(&q, &a, header, body, n, NULL, 0, &err);
        EXPECT_MSG((st == MAAS_OK) == (n == sizeof body - 1), "%zu of %zu bytes: %d", n,
                   sizeof body - 1, (int)st);
        EXPECT(st == MAAS_OK || st == MAAS_E_INVALID);
        maas_arena_reset(&a);
    }
}

/* One byte of the JSON at a time becomes another: never a crash, never an answer without words. */
static void changed_bytes_do_no_harm(void)
{
    uint8_t body[sizeof json - 1 + sizeof tail];
    char header[16];
    maas_rng rng;
    maas_rng_seed(&rng, 11);
    snprintf(header, sizeof header, "%zu", sizeof json - 1);
    for (int round = 0; round < 40000; round++) {
        maas_arena a;
        maas_oip_request q;
        maas_err err = {0};
        memcpy(body, json, sizeof json - 1);
        memcpy(body + sizeof json - 1, tail, sizeof tail);
        for (uint64_t k = maas_rng_below(&rng, 3) + 1; k; k--)
            body[maas_rng_below(&rng, sizeof body)] =
                "\0{}[]\",:0919-e.ntf\xff\x80\\"[maas_rng_below(&rng, 22)];
        const size_t cut = maas_rng_below(&rng, sizeof body);
        maas_status st = read_pieces(&q, &a, header, body, sizeof body, &cut, 1, &err);
        EXPECT(st == MAAS_OK || err.msg[0]);
        maas_arena_reset(&a);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void promises_are_not_believed(void)
{
    static const struct {
        const char *header, *body;
        maas_status st;
    } rows[] = {
        {NULL,
         "{\"inputs\":[{\"name\":\"x\",\"shape\":[100000000000],\"datatype\":\"FP32\",\"data\":[1]"
         "}]}",
         MAAS_E_INVALID},
        {NULL,
         "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"data\":[1],\"shape\":[100000000000]"
         "}]}",
         MAAS_E_INVALID},
        {NULL, "{\"inputs\":[{\"name\":\"x\",\"shape\":[0],\"datatype\":\"FP32\",\"data\":[1]}]}",
         MAAS_E_INVALID},
        {NULL, "{\"inputs\":[{\"name\":\"x\",\"shape\":[0],\"datatype\":\"FP32\",\"data\":[]}]}",
         MAAS_OK},
        {NULL,
         "{\"inputs\":[{\"name\":\"x\",\"shape\":[9223372036854775807,2],\"datatype\":\"FP32\","
         "\"data\":[1]}]}",
         MAAS_OK},
        {"99999999999999999999", "{}", MAAS_E_INVALID},
        {"1048577", "{}", MAAS_E_INVALID},
        {"+2", "{}", MAAS_OK},
        {"2", "{}", MAAS_OK},
        {"", "{}", MAAS_E_INVALID},
        {" 2", "{}", MAAS_OK},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_arena a;
        maas_oip_request q;
        maas_err err = {0};
        maas_status st = read_pieces(&q, &a, rows[i].header, rows[i].body, strlen(rows[i].body),
                                     NULL, 0, &err);
        if (rows[i].st != MAAS_OK)
            EXPECT_MSG(st == rows[i].st, "row %zu: %d %s", i, (int)st, err.msg);
        EXPECT_MSG(maas_arena_bytes(&a) < 1 << 20, "row %zu took %zu bytes", i,
                   maas_arena_bytes(&a));
        maas_arena_reset(&a);
    }
}

/* A binary size that the rest of the body cannot hold must not be allocated. */
static void a_binary_size_is_bounded(void)
{
    static const char body[] =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":"
        "{\"binary_data_size\":300000000}}]}";
    char header[16];
    maas_arena a;
    maas_oip_request q;
    maas_err err = {0};
    snprintf(header, sizeof header, "%zu", sizeof body - 1);
    EXPECT(read_pieces(&q, &a, header, body, sizeof body - 1, NULL, 0, &err) != MAAS_OK);
    EXPECT(maas_arena_bytes(&a) < 1 << 20);
    maas_arena_reset(&a);
}

static const mt_case cases[] = {
    MT_CASE(every_cut_gives_the_same), MT_CASE(every_end_but_the_last_is_refused),
    MT_CASE(changed_bytes_do_no_harm), MT_CASE(promises_are_not_believed),
    MT_CASE(a_binary_size_is_bounded),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
