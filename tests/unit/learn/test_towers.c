/* tests/unit/learn/test_towers.c - two towers, and learning from positives alone: what is made up
 * is not in the data, a known ranking is found, served vectors give the served score. */
#include "../../maas_test.h"

#include <math.h>

#include "toy.h"

#include "learn/metrics.h"
#include "learn/negatives.h"

enum { N = 12000, N_USERS = 40, N_ITEMS = 150, RANK = 3, OTHERS = 99, AT = 10 };

static int64_t user[N], item[N], ones[N], kind[N];
static float price[N];
static double affinity[N_USERS][N_ITEMS];
static toy data;

static int pick(maas_rng *rng, const double *weights, int n, double sum)
{
    double left = maas_rng_unit(rng) * sum;
    int i = 0;
    while (i < n - 1 && (left -= weights[i]) > 0)
        i++;
    return i;
}

/* Chances of an item given a user: softmax of products of vectors of RANK, plus a bias an item. */
static void make_rows(int n)
{
    static double u[N_USERS][RANK], v[N_ITEMS][RANK + 1], chance[N_USERS][N_ITEMS], sum[N_USERS];
    maas_rng rng;
    maas_rng_seed(&rng, 21);
    for (int i = 0; i < N_USERS * RANK; i++)
        u[i / RANK][i % RANK] = maas_rng_normal(&rng);
    for (int i = 0; i < N_ITEMS * (RANK + 1); i++)
        v[i / (RANK + 1)][i % (RANK + 1)] = maas_rng_normal(&rng);
    memset(sum, 0, sizeof sum);
    for (int a = 0; a < N_USERS; a++)
        for (int b = 0; b < N_ITEMS; b++) {
            affinity[a][b] = 0.5 * v[b][RANK];
            for (int k = 0; k < RANK; k++)
                affinity[a][b] += 1.2 * u[a][k] * v[b][k];
            sum[a] += chance[a][b] = exp(affinity[a][b]);
        }
    for (int i = 0; i < n; i++) {
        user[i] = (int64_t)maas_rng_below(&rng, N_USERS);
        item[i] = pick(&rng, chance[user[i]], N_ITEMS, sum[user[i]]);
        price[i] = (float)v[item[i]][RANK];
        kind[i] = item[i] % 3 + 10;
        ones[i] = 1;
    }
    toy_init(&data, n);
    toy_add(&data, "user", MAAS_I64, user);
    toy_add(&data, "item", MAAS_I64, item);
    toy_add(&data, "price", MAAS_F32, price);
    toy_add(&data, "bought", MAAS_I64, ones);
}

/* The mean NDCG that nobody can beat: rows ranked by their true chances among 99 items that their
 * user has in no row. */
static double best_ndcg(int n)
{
    static bool known[N_USERS][N_ITEMS];
    float score[OTHERS + 1], gain[OTHERS + 1] = {1};
    uint32_t order[OTHERS + 1];
    maas_rng rng;
    double sum = 0;
    memset(known, 0, sizeof known);
    for (int i = 0; i < n; i++)
        known[user[i]][item[i]] = true;
    maas_rng_seed(&rng, 5);
    for (int i = 0; i < n; i++) {
        int items[N_ITEMS], m = 0, size = 1;
        for (int b = 0; b < N_ITEMS; b++)
            if (!known[user[i]][b])
                items[m++] = b;
        score[0] = (float)affinity[user[i]][item[i]];
        for (int k = 0; k < m && size <= OTHERS; k++) {
            const int j = k + (int)maas_rng_below(&rng, (uint64_t)(m - k)), b = items[j];
            items[j] = items[k];
            score[size++] = (float)affinity[user[i]][b];
        }
        sum += maas_ndcg(score, gain, size, AT, order);
    }
    return sum / n;
}

#define SIDES "'categories':['user','item'],'towers':{'query':['user']}"

static void a_known_ranking_is_found_from_positives(void)
{
    static const char *const zoo[] = {"two_tower", "deepfm"};
    make_rows(N);
    const double best = best_ndcg(N);
    for (size_t i = 0; i < MAAS_COUNT(zoo); i++) {
        char params[400];
        maas_train_result r = {0};
        maas_err err;
        snprintf(params, sizeof params,
                 "{'layers':'%s'," SIDES ",'negatives':4,'negatives_from':'candidates','epochs':8,"
                 "'validation':0.1,'seed':1,'batch_size':128,'optimizer':{'type':'adam','lr':0.004}"
                 "}",
                 zoo[i]);
        REQUIRE_OK(toy_train(&data, "network", "bought", params, &r, &err), err);
        const double ndcg = toy_epoch_metric(&r, 7, "val_ndcg");
        EXPECT_MSG(ndcg > best - 0.05 && ndcg < best + 0.05, "%s: %g of %g, auc %g", zoo[i], ndcg,
                   best, toy_epoch_metric(&r, 7, "val_auc"));
        maas_train_result_reset(&r);
    }
}

/* ---- what is made up ---- */

typedef struct rig {
    maas_arena arena;
    maas_recipe recipe;
    json_t *params;
    maas_features features;
    maas_target target;
    maas_negatives negatives;
    maas_split split;
} rig;

static maas_status rig_init(rig *g, const char *params, maas_err *err)
{
    const char *skip = "bought";
    maas_rng rng;
    *g = (rig){.params = toy_params(params)};
    maas_arena_init(&g->arena, NULL);
    maas_rng_seed(&rng, 1);
    MAAS_TRY(maas_learner_read("network", g->params, &g->arena, &g->recipe, err));
    const maas_recipe *r = &g->recipe;
    MAAS_TRY(maas_split_init(&g->split, data.d.n_rows, 0.2, true, &rng, NULL, err));
    MAAS_TRY(maas_target_fit(&g->target, &data.d, skip, r, &g->split.train, NULL, NULL, err));
    const maas_features_opts o = {.max_categories = 1000,
                                  .fields = true,
                                  .categories = r->categories,
                                  .towers = r->towers,
                                  .skip = &skip,
                                  .n_skip = 1};
    MAAS_TRY(maas_features_fit(&g->features, &data.d, &o, &g->split.train, NULL, NULL, err));
    return maas_negatives_init(&g->negatives, r, &g->features, &g->target, &g->split.train,
                               &g->split.val, NULL, err);
}

static void rig_reset(rig *g)
{
    maas_negatives_reset(&g->negatives);
    maas_features_reset(&g->features);
    maas_target_reset(&g->target);
    maas_split_reset(&g->split);
    maas_arena_reset(&g->arena);
    json_decref(g->params);
}

static bool bought(const maas_rows *rows, int64_t who, int64_t what)
{
    for (int64_t i = 0; i < rows->n; i++)
        if (ones[rows->at[i]] && user[rows->at[i]] == who && item[rows->at[i]] == what)
            return true;
    return false;
}

/* How often item 0, which a quarter of the rows have, is drawn, as a share. */
static double share_of_item_0(const char *from)
{
    char params[300];
    maas_err err = {0};
    maas_rng rng;
    maas_samples s = {0};
    rig g;
    int64_t hits = 0, made = 0, n = 0;
    snprintf(params, sizeof params,
             "{'layers':'two_tower'," SIDES ",'negatives':3,'negatives_from':'%s'}", from);
    EXPECT_MSG(rig_init(&g, params, &err) == MAAS_OK, "%s", err.msg);
    EXPECT(maas_negatives_room(&g.negatives, &g.split.train, &s, &err) == MAAS_OK);
    maas_rng_seed(&rng, 8);
    maas_negatives_draw(&g.negatives, &rng, &g.split.train, MAAS_KNOWN_TRAINING, &s);
    for (int64_t i = 0; i < g.split.train.n; i++) {
        const uint32_t row = g.split.train.at[i];
        EXPECT(s.rows[n] == row && s.candidates[n] == row);
        EXPECT_EQ(maas_target_code(&g.target, &s, n), (int)ones[row]);
        n++;
        for (int k = 0; ones[row] && k < 3; k++, n++, made++) {
            EXPECT(s.rows[n] == row && s.candidates[n] != row);
            EXPECT(!bought(&g.split.train, user[row], item[s.candidates[n]]));
            EXPECT_EQ(maas_target_code(&g.target, &s, n), 0);
            hits += item[s.candidates[n]] == 0;
        }
    }
    EXPECT_EQ(n, s.n);
    maas_samples_free(&s);
    rig_reset(&g);
    return (double)hits / (double)made;
}

static void made_up_pairs_are_not_in_the_data(void)
{
    enum { ROWS = 1600, ITEMS = 60 };
    maas_rng rng;
    maas_rng_seed(&rng, 3);
    toy_init(&data, ROWS);
    for (int i = 0; i < ROWS; i++) {
        user[i] = i % 400;
        item[i] = i % 4 == 0 ? 0 : 1 + (int64_t)maas_rng_below(&rng, ITEMS - 1);
        ones[i] = i % 5 != 0;
    }
    toy_add(&data, "user", MAAS_I64, user);
    toy_add(&data, "item", MAAS_I64, item);
    toy_add(&data, "bought", MAAS_I64, ones);
    /* A user has item 0 four times or never: three quarters may draw it. Of the others a share of
     * 3/4 * p / ... is left, so between the share among rows and a bit less. */
    const double by_rows = share_of_item_0("rows"), once = share_of_item_0("candidates");
    EXPECT_MSG(by_rows > 0.14 && by_rows < 0.26, "%g", by_rows);
    EXPECT_MSG(once > 0.6 / ITEMS && once < 1.1 / ITEMS, "%g", once);
}

/* ---- serving ---- */

static void fill(toy_model *m, int n, int shift)
{
    for (int i = 0; i < n; i++) {
        const int other = (i + shift) % n;
        ((int64_t *)maas_exec_input(m->exec, toy_input(m, "user"))->data)[i] = user[other];
        ((int64_t *)maas_exec_input(m->exec, toy_input(m, "item"))->data)[i] = item[i];
        ((float *)maas_exec_input(m->exec, toy_input(m, "price"))->data)[i] = price[i];
    }
}

static float constant(const toy_model *m, const char *name)
{
    const maas_vid v = maas_graph_find(m->g, name);
    EXPECT_MSG(v != MAAS_NO_VALUE, "no %s", name);
    return v == MAAS_NO_VALUE ? 0 : *(const float *)maas_graph_at(m->g, v)->init.data;
}

static void vectors_are_served_beside_the_score(void)
{
    enum { ROWS = 400, DIM = 32 };
    static float candidates[ROWS * DIM];
    maas_train_result r = {0};
    maas_err err;
    toy_model m;
    make_rows(ROWS);
    REQUIRE_OK(toy_train(&data, "network", "bought",
                         "{'layers':'two_tower'," SIDES ",'negatives':2,'epochs':2}", &r, &err),
               err);
    REQUIRE_OK(toy_model_open(&m, &r.onnx, ROWS, &err), err);
    fill(&m, ROWS, 0);
    REQUIRE_OK(maas_exec_run(m.exec, &err), err);
    const maas_tensor *q = toy_output(&m, "query_vector"), *c = toy_output(&m, "candidate_vector"),
                      *p = toy_output(&m, "probabilities");
    EXPECT(q && c && p && q->dims[1] == DIM && c->dims[1] == DIM);
    const double factor = exp((double)constant(&m, "layers.8.log_scale")) / 0.1,
                 bias = constant(&m, "layers.8.bias");
    double worst = 0;
    for (int i = 0; q && c && p && i < ROWS; i++) {
        double dot = 0, length = 0;
        for (int k = 0; k < DIM; k++) {
            const double a = ((float *)q->data)[i * DIM + k], b = ((float *)c->data)[i * DIM + k];
            dot += a * b;
            length += b * b;
        }
        const double chance = 1 / (1 + exp(-(factor * dot + bias)));
        worst = fmax(worst, fabs(chance - ((float *)p->data)[2 * i + 1]));
        worst = fmax(worst, fabs(length - 1));
    }
    EXPECT_MSG(worst < 1e-5, "%g", worst);
    memcpy(candidates, c->data, sizeof candidates);
    fill(&m, ROWS, 7); /* other queries: a candidate's vector is its own */
    REQUIRE_OK(maas_exec_run(m.exec, &err), err);
    EXPECT(memcmp(candidates, toy_output(&m, "candidate_vector")->data, sizeof candidates) == 0);
    toy_model_close(&m);
    maas_train_result_reset(&r);
}

/* ---- states ---- */

typedef struct states {
    maas_buf at[8];
    int n;
} states;

static maas_status keep_state(void *user_, maas_span state, maas_err *err)
{
    states *s = user_;
    s->at[s->n] = (maas_buf)MAAS_BUF_INIT(1 << 26);
    maas_buf_add(&s->at[s->n++], state.p, state.n);
    return MAAS_OK;
}

static maas_status train_json(const json_t *p, const maas_train_hooks *hooks, maas_span resume,
                              maas_train_result *out, maas_err *err)
{
    const maas_train_job job = {.learner = "network",
                                .params = p,
                                .data = &data.d,
                                .target = "bought",
                                .n_threads = 1,
                                .hooks = hooks,
                                .resume = resume};
    *err = (maas_err){0};
    return maas_train(&job, out, err);
}

static maas_status train(const char *params, const maas_train_hooks *hooks, maas_span resume,
                         maas_train_result *out, maas_err *err)
{
    json_t *p = toy_params(params);
    const maas_status st = train_json(p, hooks, resume, out, err);
    json_decref(p);
    return st;
}

static void a_resumed_run_draws_the_same(void)
{
    static const char *const ways[] = {
        "{'layers':'two_tower'," SIDES ",'negatives':3,'epochs':3}",
        "{'layers':'deepfm'," SIDES ",'negatives':2,'epochs':3,'validation':0.2,"
        "'negatives_from':'candidates'}",
    };
    make_rows(900);
    for (size_t w = 0; w < MAAS_COUNT(ways); w++) {
        states s = {0};
        const maas_train_hooks hooks = {.user = &s, .checkpoint = keep_state};
        maas_train_result whole = {0};
        maas_err err;
        REQUIRE_OK(train(ways[w], &hooks, (maas_span){0}, &whole, &err), err);
        EXPECT(s.n >= 2);
        for (int i = 0; i < s.n; i++) {
            maas_train_result part = {0};
            REQUIRE_OK(train(ways[w], NULL, maas_buf_span(&s.at[i]), &part, &err), err);
            EXPECT_MSG(part.onnx.n == whole.onnx.n &&
                           memcmp(part.onnx.p, whole.onnx.p, part.onnx.n) == 0,
                       "%s from state %d", ways[w], i);
            EXPECT(json_equal(part.metrics, whole.metrics));
            maas_train_result_reset(&part);
            maas_buf_reset(&s.at[i]);
        }
        maas_train_result_reset(&whole);
    }
}

static void an_update_keeps_towers_and_may_change_negatives(void)
{
    maas_train_result r = {0}, next = {0};
    maas_err err = {0};
    maas_graph *g = NULL;
    maas_onnx_opts o = {0};
    make_rows(900);
    REQUIRE_OK(toy_train(&data, "network", "bought",
                         "{'layers':'two_tower'," SIDES ",'negatives':2,'epochs':2}", &r, &err),
               err);
    REQUIRE_OK(maas_onnx_read(maas_buf_span(&r.onnx), &o, &g, &err), err);
    static const struct {
        const char *params;
        maas_status want;
    } ways[] = {{"{'negatives':5,'epochs':1}", MAAS_OK},
                {"{'towers':{'query':['item']}}", MAAS_E_INVALID}};
    for (size_t i = 0; i < MAAS_COUNT(ways); i++) {
        json_t *p = toy_params(ways[i].params);
        const maas_train_job job = {.learner = "network",
                                    .params = p,
                                    .data = &data.d,
                                    .target = "bought",
                                    .parent = g,
                                    .n_threads = 1};
        err = (maas_err){0};
        const maas_status st = maas_train(&job, &next, &err);
        EXPECT_MSG(st == ways[i].want, "%s: %s", ways[i].params, err.msg);
        json_decref(p);
        maas_train_result_reset(&next);
    }
    maas_graph_destroy(g);
    maas_train_result_reset(&r);
}

static void failed_allocations_leave_nothing(void)
{
    static const char params[] = "{'layers':'two_tower'," SIDES
                                 ",'negatives':1,'epochs':1,'validation':0.3}";
    maas_train_result r = {0};
    maas_err err;
    make_rows(60);
    REQUIRE_OK(train(params, NULL, (maas_span){0}, &r, &err), err);
    maas_train_result_reset(&r);
    const long live = maas_mem_live();
    bool done = false;
    for (long n = 1; !done; n += n < 150 ? 1 : 41) {
        json_t *p = toy_params(params);
        maas_mem_fail_at(n);
        const maas_status st = train_json(p, NULL, (maas_span){0}, &r, &err);
        maas_mem_fail_at(0);
        json_decref(p);
        done = st == MAAS_OK;
        EXPECT_MSG(done || st == MAAS_E_NOMEM || st == MAAS_E_INVALID, "allocation %ld: %d, %s", n,
                   st, err.msg);
        maas_train_result_reset(&r);
        EXPECT_MSG(maas_mem_live() == live, "allocation %ld: %ld alive", n, maas_mem_live() - live);
    }
}

/* ---- words ---- */

#define BOTH "'categories':['user','item'],"
static void mistakes_are_named(void)
{
    static const struct {
        const char *params, *words;
    } bad[] = {
        {"'layers':'two_tower'," BOTH "'negatives':1", "params.towers is missing"},
        {"'layers':'deepfm'," BOTH "'negatives':1", "params.negatives needs params.towers"},
        {"'layers':'mlp','towers':{'query':['user']}", "params.towers needs a layer of fields"},
        {"'layers':'two_tower','towers':['user']", "params.towers must be an object"},
        {"'layers':'two_tower','towers':{}", "params.towers must be an object"},
        {"'layers':'two_tower','towers':{'items':['item']}", "params.towers.items"},
        {"'layers':'two_tower','towers':{'query':[]}", "params.towers.query must list"},
        {"'layers':'two_tower','towers':{'query':[1]}", "params.towers.query[0]"},
        {"'layers':'two_tower','towers':{'query':['who']},'negatives':1", "no column 'who'"},
        {"'layers':'two_tower','towers':{'query':['user','user']},'negatives':1", "comes twice"},
        {"'layers':'two_tower','towers':{'query':['user'],'candidate':['user']},'negatives':1",
         "params.towers.candidate: column 'user' comes twice"},
        {"'layers':'two_tower','towers':{'query':['user'],'candidate':['item']},'negatives':1",
         "column 'price' is on neither side"},
        {"'layers':'two_tower','towers':{'query':['user','item','price']},'negatives':1",
         "no column is left for candidate"},
        {"'layers':'two_tower'," SIDES, "1 class"},
        {"'layers':'two_tower'," SIDES ",'negatives':1,'class_weight':'balanced'",
         "params.class_weight"},
        {"'layers':'two_tower'," SIDES ",'negatives':1,'loss':'mse'", "params.negatives"},
        {"'layers':[{'type':'fields','name':'a'},{'type':'similarity','inputs':['a']}]",
         "params.layers[1].inputs"},
        {"'layers':[{'type':'fields','name':'a'},{'type':'flatten','name':'b'},{'type':'similarity'"
         ",'inputs':['a','b']}],'negatives':1," SIDES,
         "params.layers[2]: similarity takes"},
        {"'layers':[{'type':'fields','tower':'query','numbers':false},'flatten','dense'],"
         "'negatives':1,'towers':{'query':['price']}," BOTH "'seed':1",
         "no column of tower query is a category"},
    };
    make_rows(200);
    for (size_t i = 0; i < MAAS_COUNT(bad); i++) {
        char params[400];
        maas_train_result r = {0};
        maas_err err;
        snprintf(params, sizeof params, "{%s}", bad[i].params);
        EXPECT_MSG(toy_train(&data, "network", "bought", params, &r, &err) == MAAS_E_INVALID, "%s",
                   bad[i].params);
        EXPECT_MSG(strstr(err.msg, bad[i].words) != NULL, "%s: %s", bad[i].params, err.msg);
        maas_train_result_reset(&r);
    }
}

static void positives_that_cannot_be_told_apart_are_refused(void)
{
    maas_train_result r = {0};
    maas_err err;
    make_rows(200);
    data.cols[3].data = kind; /* one class that is no 1 */
    for (int i = 0; i < 200; i++) {
        item[i] = 4;
        price[i] = 1;
        kind[i] = -2;
    }
    const char *params = "{'layers':'two_tower'," SIDES ",'negatives':1,'epochs':1}";
    EXPECT_EQ(toy_train(&data, "network", "bought", params, &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "whole number above 0") != NULL, "%s", err.msg);
    data.cols[3].data = ones;
    EXPECT_EQ(toy_train(&data, "network", "bought", params, &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "1 different candidates") != NULL, "%s", err.msg);
    item[7] = 5; /* every user but one has all there is: it ends, all the same */
    REQUIRE_OK(toy_train(&data, "network", "bought", params, &r, &err), err);
    maas_train_result_reset(&r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(a_known_ranking_is_found_from_positives),
        MT_CASE(made_up_pairs_are_not_in_the_data),
        MT_CASE(vectors_are_served_beside_the_score),
        MT_CASE(a_resumed_run_draws_the_same),
        MT_CASE(an_update_keeps_towers_and_may_change_negatives),
        MT_CASE(failed_allocations_leave_nothing),
        MT_CASE(mistakes_are_named),
        MT_CASE(positives_that_cannot_be_told_apart_are_refused),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
