/* Several batches a step: the same weights as from one batch of all their rows. */
#include "../../maas_test.h"

#include <math.h>

#include "learn/trainer.h"
#include "toy.h"

enum { N = 150, MAX_STATES = 16 };

static float x[2][N];
static int64_t k[N], word[N];

static void make(toy *t, uint64_t seed)
{
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    for (int i = 0; i < N; i++) {
        k[i] = (int64_t)maas_rng_below(&rng, 3);
        word[i] = (int64_t)maas_rng_below(&rng, 5) + (k[i] == 2);
        for (int d = 0; d < 2; d++)
            x[d][i] = maas_rng_normal(&rng) + (float)(k[i] == d);
    }
    toy_init(t, N);
    toy_add(t, "a", MAAS_F32, x[0]);
    toy_add(t, "b", MAAS_F32, x[1]);
    toy_add(t, "w", MAAS_I64, word);
    toy_add(t, "k", MAAS_I64, k);
}

static maas_status train(const toy *t, const char *params, const maas_train_hooks *hooks,
                         maas_span resume, maas_train_result *out, maas_err *err)
{
    json_t *p = toy_params(params);
    maas_train_job job = {.learner = "network",
                          .params = p,
                          .data = &t->d,
                          .target = "k",
                          .n_threads = 1,
                          .hooks = hooks,
                          .resume = resume};
    *err = (maas_err){0};
    maas_status st = maas_train(&job, out, err);
    json_decref(p);
    return st;
}

/* The largest difference of a weight, over the largest weight. */
static double weights_differ(const maas_buf *a, const maas_buf *b, uint32_t *out_n)
{
    const maas_buf *files[] = {a, b};
    maas_graph *g[2];
    double largest = 0, most = 0;
    for (int i = 0; i < 2; i++)
        MAAS_CHECK(maas_onnx_read(maas_buf_span(files[i]), NULL, &g[i], NULL) == MAAS_OK);
    MAAS_CHECK(g[0]->n_values == g[1]->n_values);
    *out_n = 0;
    for (uint32_t v = 0; v < g[0]->n_values; v++) {
        const maas_tensor *p = &maas_graph_at(g[0], v)->init, *q = &maas_graph_at(g[1], v)->init;
        const int64_t n = p->data && p->dtype == MAAS_F32 ? maas_n_elems(p) : 0;
        for (int64_t i = 0; i < n; i++) {
            const double u = (double)((const float *)p->data)[i];
            largest = fmax(largest, fabs(u));
            most = fmax(most, fabs(u - (double)((const float *)q->data)[i]));
        }
        *out_n += (uint32_t)n;
    }
    maas_graph_destroy(g[0]);
    maas_graph_destroy(g[1]);
    return most / largest;
}

/* 150 rows are three steps of 48 and one of 6, which is no whole batch. */
static const char *const layers[] = {
    "[{'type':'dense','units':8,'activation':'tanh'},{'type':'dense'}]",
    "[{'type':'fields','dim':4},{'type':'flatten'},{'type':'dense','units':8,'activation':'tanh'},{"
    "'type':'dense'}]",
};
static void three_batches_are_one_of_three_times_the_rows(void)
{
    static toy t;
    make(&t, 61);
    for (size_t l = 0; l < MAAS_COUNT(layers); l++)
        for (int o = 0; o < MAAS_N_OPTIMIZERS; o++) {
            maas_train_result r[3] = {0};
            maas_err err;
            uint32_t n = 0;
            for (int i = 0; i < 3; i++) {
                char params[600];
                /* rates of one magnitude: sums are rounded in another order, Adam divides by them
                 */
                snprintf(params, sizeof params,
                         "{'layers':%s,%s'optimizer':{'type':'%s','lr':0.01},'epochs':4,'seed':3,"
                         "'batch_size':%d,'accumulate':%d,'clip_norm':0.5,'weight_decay':%g}",
                         layers[l], l ? "'categories':['w']," : "", maas_optimizers[o].doc.name,
                         i ? 16 : 48, i == 1 ? 3 : 1, l ? 0 : 0.01);
                REQUIRE_OK(train(&t, params, NULL, (maas_span){0}, &r[i], &err), err);
            }
            const double same = weights_differ(&r[0].onnx, &r[1].onnx, &n);
            const double other = weights_differ(&r[0].onnx, &r[2].onnx, &n);
            const bool sparse = l && o != 0; /* a table by rows: what a batch has not, stays */
            EXPECT_MSG(n > 40 && (sparse || same < 2e-4) && other > 1e-3,
                       "layers %zu, %s: %g, with single batches %g", l, maas_optimizers[o].doc.name,
                       same, other);
            for (int i = 0; i < 3; i++)
                maas_train_result_reset(&r[i]);
        }
}

typedef struct states {
    maas_buf at[MAX_STATES];
    int n;
} states;

static maas_status keep(void *user, maas_span state, maas_err *err)
{
    states *s = user;
    if (s->n == MAX_STATES)
        return MAAS_OK;
    s->at[s->n] = (maas_buf)MAAS_BUF_INIT(1u << 20);
    maas_buf_add(&s->at[s->n++], state.p, state.n);
    return MAAS_OK;
}

#define RICH                                                                                       \
    "{'layers':[{'type':'dense','units':8,'activation':'relu'},{'type':'batch_norm'},"             \
    "{'type':'dropout','rate':0.3},{'type':'dense'}],'epochs':5,'batch_size':16,'accumulate':2,"   \
    "'seed':7,'validation':0.2}"

static void resumed_from_any_state_it_ends_in_the_same_bytes(void)
{
    static toy t;
    static states kept;
    make(&t, 62);
    const maas_train_hooks hooks = {.user = &kept, .checkpoint = keep};
    maas_train_result whole = {0};
    maas_err err;
    REQUIRE_OK(train(&t, RICH, &hooks, (maas_span){0}, &whole, &err), err);
    EXPECT(kept.n > 1);
    for (int i = 0; i < kept.n; i++) {
        maas_train_result r = {0};
        REQUIRE_OK(train(&t, RICH, NULL, maas_buf_span(&kept.at[i]), &r, &err), err);
        EXPECT(r.onnx.n == whole.onnx.n && memcmp(r.onnx.p, whole.onnx.p, whole.onnx.n) == 0);
        EXPECT(r.state.n == whole.state.n && memcmp(r.state.p, whole.state.p, r.state.n) == 0);
        maas_train_result_reset(&r);
        maas_buf_reset(&kept.at[i]);
    }
    maas_train_result_reset(&whole);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(three_batches_are_one_of_three_times_the_rows),
    MT_CASE(resumed_from_any_state_it_ends_in_the_same_bytes),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
