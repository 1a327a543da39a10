/* tests/unit/learn/test_compress.c - every step of compression against what it says: weights
 * against their bounds, products of bytes against sums in doubles, and whole jobs over a network
 * that learns.
 */
#include "../../maas_test.h"

#include "learn/compress/compress.h"
#include "learn/compress/run.h"
#include "learn/compress/step.h"
#include "learn/compress/weights.h"
#include "ops/build.h"
#include "passes/pass.h"
#include "toy.h"

/* ---- a model by hand: x [rows,IN] -> Gemm -> Relu -> Gemm -> value [rows,1] ---- */

enum { ROWS = 600, IN = 24, HIDDEN = 32 };

typedef struct hand {
    float x[ROWS * IN], y[ROWS];
    float w1[IN * HIDDEN], b1[HIDDEN], w2[HIDDEN], b2[1];
    toy t;
    maas_graph *g;
} hand;

static maas_vid floats(maas_builder *b, const char *name, int rank, const int64_t *dims, float *v)
{
    const maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, v);
    return maas_b_const(b, name, &t);
}

/* Rows whose columns differ in spread; even neurons and odd ones of different size. */
static void fill_hand(hand *h)
{
    maas_rng rng;
    maas_rng_seed(&rng, 5);
    for (int i = 0; i < ROWS * IN; i++)
        h->x[i] = (float)(maas_rng_normal(&rng) * (i % IN == 3 ? 50 : 1));
    for (int i = 0; i < IN * HIDDEN; i++)
        h->w1[i] = (float)(maas_rng_normal(&rng) * (i / HIDDEN == 3 ? 0.01 : 0.3));
    for (int i = 0; i < HIDDEN; i++) {
        h->b1[i] = (float)(0.1 * maas_rng_normal(&rng));
        h->w2[i] = (float)maas_rng_normal(&rng);
    }
    h->b2[0] = 0.5f;
}

static void predict_hand(const hand *h, const maas_graph *g, bool reference, double *out)
{
    maas_plan_opts o = MAAS_PLAN_OPTS_INIT;
    const maas_type type = maas_type_tensor(MAAS_F32, 2, (int64_t[]){ROWS, IN});
    maas_plan *p = NULL;
    maas_exec *e = NULL;
    maas_err err = {0};
    o.n_threads = 1;
    o.check = true;
    o.reference = reference;
    REQUIRE_OK(maas_plan_create(g, &type, &o, &p, &err), err);
    REQUIRE_OK(maas_exec_create(p, NULL, &e, &err), err);
    memcpy(maas_exec_input(e, 0)->data, h->x, sizeof h->x);
    REQUIRE_OK(maas_exec_run(e, &err), err);
    for (int i = 0; i < ROWS; i++)
        out[i] = maas_tensor_get(maas_exec_output(e, 0), i);
    maas_exec_destroy(e);
    maas_plan_destroy(p);
}

static void make_hand(hand *h)
{
    maas_builder b;
    maas_err err = {0};
    int64_t batch;
    double y[ROWS];
    REQUIRE_OK(maas_graph_create("hand", NULL, &h->g, &err), err);
    maas_builder_init(&b, h->g, &err);
    maas_graph_symbol(h->g, "batch", &batch, &err);
    const maas_vid x = maas_b_input(&b, "x", MAAS_F32, 2, (int64_t[]){batch, IN});
    const maas_vid w1 = floats(&b, "w1", 2, (int64_t[]){IN, HIDDEN}, h->w1);
    const maas_vid b1 = floats(&b, "b1", 1, (int64_t[]){HIDDEN}, h->b1);
    const maas_vid w2 = floats(&b, "w2", 2, (int64_t[]){HIDDEN, 1}, h->w2);
    const maas_vid b2 = floats(&b, "b2", 1, (int64_t[]){1}, h->b2);
    const maas_vid z = maas_b_op1(&b, "Relu", maas_b_op3(&b, "Gemm", x, w1, b1));
    maas_b_output(&b, "value", maas_b_op3(&b, "Gemm", z, w2, b2));
    EXPECT_MSG(b.status == MAAS_OK, "%s", err.msg);
    predict_hand(h, h->g, true, y);
    for (int i = 0; i < ROWS; i++)
        h->y[i] = (float)y[i];
    toy_init(&h->t, ROWS);
    toy_add_tensor(&h->t, "x", MAAS_F32, 1, (int64_t[]){IN}, h->x);
    toy_add(&h->t, "y", MAAS_F32, h->y);
}

static json_t *spec_of(const char *step)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(4096);
    maas_buf_printf(&text, "{'steps':[%s]}", step);
    return toy_params(text.p);
}

/* The steps on a clone; the clone, or NULL. */
static maas_graph *apply_spec(const hand *h, const json_t *j, json_t *said, maas_err *err)
{
    maas_arena a;
    maas_compress_spec spec;
    maas_train_job job = {.data = &h->t.d, .target = "y", .n_threads = 1, .parent = h->g};
    maas_step_call c = {.job = &job, .whole = &spec, .seen = &h->t.d, .said = said};
    maas_arena_init(&a, NULL);
    maas_status st = maas_compress_spec_read(j, &a, &spec, err);
    if (st == MAAS_OK)
        spec.validation = 0.2, spec.seed = 1; /* which a job takes from the parent */
    for (size_t i = 0; st == MAAS_OK && i < spec.steps.n; i++) {
        c.spec = (const maas_step_spec *)spec.steps.items + i;
        if (!c.g)
            st = maas_graph_clone(h->g, NULL, &c.g, err);
        if (st == MAAS_OK)
            st = maas_graph_infer(c.g, err);
        if (st == MAAS_OK)
            st = maas_compress_apply(&c, err);
    }
    maas_arena_reset(&a);
    if (st != MAAS_OK)
        maas_graph_destroy(STEAL(c.g));
    return c.g;
}

static maas_graph *apply(const hand *h, const char *step, json_t *said, maas_err *err)
{
    json_t *j = spec_of(step);
    maas_graph *g = apply_spec(h, j, said, err);
    json_decref(j);
    return g;
}

static const maas_tensor *constant(const maas_graph *g, const char *name)
{
    const maas_vid v = maas_graph_find(g, name);
    EXPECT_MSG(v != MAAS_NO_VALUE, "the model has no '%s'", name);
    return v == MAAS_NO_VALUE ? NULL : &maas_graph_at(g, v)->init;
}

/* ---- what each step must have done to w1, with numbers ---- */

static void check_f16(const hand *h, const maas_graph *g, const json_t *said)
{
    const maas_tensor *t = constant(g, "w1.f16");
    for (int i = 0; t && i < IN * HIDDEN; i++)
        EXPECT(fabs(maas_tensor_get(t, i) - h->w1[i]) <= fabs(h->w1[i]) * 0x1p-11 + 0x1p-25);
}

static void check_bf16(const hand *h, const maas_graph *g, const json_t *said)
{
    const maas_tensor *t = constant(g, "w1.bf16");
    for (int i = 0; t && i < IN * HIDDEN; i++)
        EXPECT(fabs(maas_tensor_get(t, i) - h->w1[i]) <= fabs(h->w1[i]) * 0x1p-8);
}

static void check_bf16_compute(const hand *h, const maas_graph *g, const json_t *said)
{
    check_bf16(h, g, said);
    EXPECT(maas_graph_wants_bf16(g));
}

static void check_int8(const hand *h, const maas_graph *g, const json_t *said)
{
    const maas_tensor *q = constant(g, "w1.int8"), *s = constant(g, "w1.scale");
    for (int i = 0; q && s && i < IN * HIDDEN; i++) {
        const double step = maas_tensor_get(s, maas_n_elems(s) == 1 ? 0 : i % HIDDEN);
        EXPECT(fabs(maas_tensor_get(q, i) * step - h->w1[i]) <= step * 0.50001);
        EXPECT(maas_tensor_get(q, i) >= -127);
    }
}

/* Scales of static products carry that of the input: only the codes can be looked at. */
static void check_codes(const hand *h, const maas_graph *g, const json_t *said)
{
    const maas_tensor *q = constant(g, "w1.int8");
    for (int o = 0; q && o < HIDDEN; o++) {
        double most = 0;
        for (int i = 0; i < IN; i++)
            most = fmax(most, fabs(h->w1[i * HIDDEN + o]));
        for (int i = 0; i < IN; i++)
            EXPECT(fabs(maas_tensor_get(q, i * HIDDEN + o) * most / 127 - h->w1[i * HIDDEN + o]) <=
                   most / 127 * 0.50001);
    }
}

static void check_pruned(const hand *h, const maas_graph *g, const json_t *said)
{
    const maas_tensor *t = constant(g, "w1");
    double largest_gone = 0, smallest_kept = INFINITY;
    int gone = 0;
    for (int i = 0; t && i < IN * HIDDEN; i++)
        if (maas_tensor_get(t, i) == 0) {
            gone++;
            largest_gone = fmax(largest_gone, fabs(h->w1[i]));
        } else {
            EXPECT(maas_tensor_get(t, i) == (double)h->w1[i]);
            smallest_kept = fmin(smallest_kept, fabs(h->w1[i]));
        }
    EXPECT_EQ(gone, IN * HIDDEN / 2);
    EXPECT(largest_gone <= smallest_kept);
    EXPECT_NEAR(json_number_value(json_object_get(said, "sparsity")), 0.5, 1e-9);
}

static void check_pruned_model(const hand *h, const maas_graph *g, const json_t *said)
{
    EXPECT_EQ(json_integer_value(json_object_get(said, "zeros")), (IN + 1) * HIDDEN * 4 / 5);
}

static void check_neurons(const hand *h, const maas_graph *g, const json_t *said)
{
    const maas_tensor *w1 = constant(g, "w1"), *b1 = constant(g, "b1"), *w2 = constant(g, "w2");
    if (!w1 || !b1 || !w2)
        return;
    EXPECT_EQ(w1->dims[1], HIDDEN / 2);
    EXPECT_EQ(b1->dims[0], HIDDEN / 2);
    EXPECT_EQ(w2->dims[0], HIDDEN / 2);
}

static void check_rank(const hand *h, const maas_graph *g, const json_t *said)
{
    EXPECT_EQ(json_integer_value(json_object_get(json_object_get(said, "ranks"), "w1")), 10);
    EXPECT_EQ(constant(g, "w1.left")->dims[1], 10);
    EXPECT_EQ(constant(g, "w1.right")->dims[0], 10);
}

static void check_cluster(const hand *h, const maas_graph *g, const json_t *said)
{
    const maas_tensor *at = constant(g, "w1.index"), *book = constant(g, "w1.codebook");
    if (!at || !book)
        return;
    const int64_t k = maas_n_elems(book);
    double off = 0;
    EXPECT(at->dtype == MAAS_U4 && k <= 16);
    for (int i = 0; i < IN * HIDDEN; i++) {
        double nearest = INFINITY;
        for (int64_t c = 0; c < k; c++)
            nearest = fmin(nearest, fabs(maas_tensor_get(book, c) - h->w1[i]));
        EXPECT(fabs(maas_tensor_get(book, maas_tensor_get_i64(at, i)) - h->w1[i]) <=
               nearest + 1e-6);
        off += nearest * nearest;
    }
    /* Sixteen numbers for a normal distribution: 0.0975 of its deviation at best (Max 1960). */
    EXPECT_MSG(sqrt(off / (IN * HIDDEN)) < 0.11 * 0.3, "off by %g", sqrt(off / (IN * HIDDEN)));
}

static void check_clip(const hand *h, const maas_graph *g, const json_t *said)
{
    const maas_tensor *t = constant(g, "w1");
    for (int i = 0; t && i < IN * HIDDEN; i++)
        EXPECT_NEAR(maas_tensor_get(t, i), fmin(fmax(h->w1[i], -0.5), 0.5), 0);
    EXPECT_NEAR(json_number_value(json_object_get(json_object_get(said, "thresholds"), "w1")), 0.5,
                0);
}

/*
 * off: of all outputs, root of the mean square of what changed, over the deviation of the outputs.
 * size: bytes of the file over those of the model as it was. Bounds follow from the model. Column 3
 * of the input reaches 170 where the others have deviation 1, so one byte for all columns has a
 * step of 340/255, an error of step/sqrt(12) = 0.39 in each of them, and so in the sum. The same
 * column makes the errors of weights 50 times as large: 50 * 0.75/127/sqrt(12) beside a sum of
 * 0.3*sqrt(24), that is 0.06. Where inputs are smoothed first, neither happens.
 */
static const struct step_case {
    const char *step, *json;
    double off, size;
    void (*check)(const hand *h, const maas_graph *g, const json_t *said);
} cases[] = {
    {"f16", "'f16'", 1e-3, 0.7, check_f16},
    {"bf16", "'bf16'", 8e-3, 0.7, check_bf16},
    {"bf16", "{'type':'bf16','compute':true}", 8e-3, 0.7, check_bf16_compute},
    {"int8", "{'type':'int8','min_elements':1}", 7e-2, 0.55, check_int8},
    {"int8", "{'type':'int8','per_channel':false}", 7e-2, 0.5, check_int8},
    {"dynamic_int8", "{'type':'dynamic_int8','min_elements':1}", 0.42, 0.65, check_codes},
    {"dynamic_int8", "{'type':'dynamic_int8','reduce_range':true}", 0.42, 0.65, NULL},
    {"static_int8", "{'type':'static_int8','min_elements':1}", 0.42, 0.65, check_codes},
    {"static_int8", "{'type':'static_int8','format':'qdq'}", 0.42, 0.65, check_int8},
    {"static_int8", "{'type':'static_int8','method':'percentile'}", 0.42, 0.65, check_codes},
    {"static_int8", "{'type':'static_int8','method':'entropy'}", 0.5, 0.65, check_codes},
    {"qat", "{'type':'qat','fine_tune':1,'lr':1e-12,'min_elements':1}", 0.42, 0.65, check_codes},
    {"qat", "{'type':'qat','fine_tune':2,'lr':0.001,'format':'qdq'}", 0.42, 0.65, NULL},
    {"qat", "{'type':'qat','fine_tune':1,'lr':0.001,'ranges':'learned','per_channel':false}", 0.42,
     0.65, NULL},
    {"smooth_quant", "'smooth_quant'", 1e-6, 1.12, NULL}, /* a Mul, and the word that it was done */
    {"smooth_quant", "'smooth_quant','static_int8'", 0.06, 0.7, NULL},
    {"prune_magnitude", "'prune_magnitude'", 0.7, 1.01, check_pruned},
    {"prune_magnitude", "{'type':'prune_magnitude','scope':'model','sparsity':0.8}", 1.5, 1.01,
     check_pruned_model},
    {"prune_neurons", "{'type':'prune_neurons','ratio':0.5}", 0.7, 0.6, check_neurons},
    {"prune_neurons", "{'type':'prune_neurons','ratio':0.5,'by':'norm'}", 2, 0.6, check_neurons},
    {"low_rank", "{'type':'low_rank','rank':10,'min_elements':1}", 0.8, 0.9, check_rank},
    {"cluster", "{'type':'cluster','min_elements':100}", 1, 0.4, check_cluster},
    {"cluster", "{'type':'cluster','bits':8,'min_elements':100}", 0.02, 0.7, NULL},
    {"clip", "{'type':'clip','threshold':0.5}", 0.7, 1.01, check_clip},
    {"clip", "'clip'", 0.1, 1.01, NULL},
};

static double root_of_changes(const double *want, const double *got)
{
    double mean = 0, var = 0, off = 0;
    for (int i = 0; i < ROWS; i++)
        mean += want[i] / ROWS;
    for (int i = 0; i < ROWS; i++) {
        var += pow(want[i] - mean, 2);
        off += pow(want[i] - got[i], 2);
    }
    return sqrt(off / var);
}

static size_t bytes_of(const maas_graph *g)
{
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(1u << 24);
    maas_err err = {0};
    EXPECT_MSG(maas_onnx_write(g, NULL, NULL, &out, &err) == MAAS_OK, "%s", err.msg);
    return out.n;
}

static void run_case(const hand *h, const struct step_case *c)
{
    json_t *said = json_object();
    double want[ROWS], exact[ROWS], fast[ROWS];
    maas_err err = {0};
    maas_graph *g = apply(h, c->json, said, &err);
    EXPECT_MSG(g != NULL, "%s: %s", c->json, err.msg);
    if (g) {
        predict_hand(h, h->g, true, want);
        predict_hand(h, g, true, exact);
        predict_hand(h, g, false, fast);
        /* Rounded inputs of the second product may fall to the other side of a step. */
        EXPECT_MSG(root_of_changes(exact, fast) < 2e-3, "%s: kernels are off by %g", c->json,
                   root_of_changes(exact, fast));
        EXPECT_MSG(root_of_changes(want, exact) <= c->off, "%s: off by %g", c->json,
                   root_of_changes(want, exact));
        const double size = (double)bytes_of(g) / (double)bytes_of(h->g);
        EXPECT_MSG(size <= c->size, "%s: size %g", c->json, size);
        if (c->check)
            c->check(h, g, said);
    }
    maas_graph_destroy(g);
    json_decref(said);
}

static void steps_do_what_they_say(void)
{
    static hand h;
    fill_hand(&h);
    make_hand(&h);
    for (size_t i = 0; i < MAAS_COUNT(cases); i++)
        run_case(&h, &cases[i]);
    maas_graph_destroy(h.g);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* What needs training or deeper models is tested in test_compress_jobs.c and
 * test_compress_conv.c. */
static void every_step_has_a_case(void)
{
    for (int s = 0; s < MAAS_N_COMPRESS_STEPS; s++) {
        const char *name = maas_compress_steps[s].doc.name;
        bool found = strcmp(name, "distil") == 0 || strcmp(name, "prune_blocks") == 0 ||
                     strcmp(name, "prune_channels") == 0;
        for (size_t i = 0; i < MAAS_COUNT(cases); i++)
            found |= strcmp(cases[i].step, name) == 0;
        EXPECT_MSG(found, "step %s has no case", name);
    }
}

/* ---- products of bytes against sums in doubles ---- */

/* relu(x W1 + b1) by what the file says: codes, scales, zero point. */
static void product(const hand *h, const maas_graph *g, float sx, int zero, double *out)
{
    const maas_tensor *q = constant(g, "w1.int8"), *s = constant(g, "w1.scale");
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < HIDDEN; o++) {
            double sum = 0;
            for (int i = 0; i < IN; i++) {
                double code = rint((double)(h->x[r * IN + i] / sx)) + zero;
                code = fmin(fmax(code, 0), 255);
                sum += (code - zero) * maas_tensor_get(q, i * HIDDEN + o);
            }
            out[r * HIDDEN + o] = fmax(sum * maas_tensor_get(s, o) + (double)h->b1[o], 0);
        }
}

static void static_products_are_exact_sums(void)
{
    static hand h;
    static double hidden[ROWS * HIDDEN], got[ROWS];
    json_t *said = json_object();
    maas_err err = {0};
    fill_hand(&h);
    make_hand(&h);
    maas_graph *g = apply(&h, "{'type':'static_int8','min_elements':100}", said, &err);
    EXPECT_MSG(g != NULL, "%s", err.msg);
    if (!g)
        return;
    const json_t *range = json_object_get(json_object_get(said, "ranges"), "x");
    const double lo = json_number_value(json_array_get(range, 0)),
                 hi = json_number_value(json_array_get(range, 1));
    const float sx = (float)(hi - lo) / 255;
    product(&h, g, sx, (int)rint(-lo / (double)sx), hidden);
    predict_hand(&h, g, false, got); /* the second product is too small for the step */
    for (int r = 0; r < ROWS; r++) {
        double y = (double)h.b2[0];
        for (int o = 0; o < HIDDEN; o++)
            y += hidden[r * HIDDEN + o] * (double)h.w2[o];
        EXPECT_NEAR(got[r], y, 2e-4 * (1 + fabs(y)));
    }
    maas_graph_destroy(g);
    maas_graph_destroy(h.g);
    json_decref(said);
}

/* The loss of a training that moves nothing is that of the graph it leaves: both round alike. */
static void what_is_trained_for_is_what_is_served(void)
{
    static hand h;
    static const char *const steps[] = {
        "{'type':'qat','fine_tune':1,'lr':1e-12,'min_elements':1}",
        "{'type':'qat','fine_tune':1,'lr':1e-12,'min_elements':1,'per_channel':false}",
        ("{'type':'qat','fine_tune':1,'lr':1e-12,'min_elements':1,'reduce_range':true,"
         "'format':'qdq','method':'entropy','ranges':'learned'}")};
    double got[ROWS];
    fill_hand(&h);
    make_hand(&h);
    for (size_t i = 0; i < MAAS_COUNT(steps); i++) {
        json_t *said = json_object();
        maas_err err = {0};
        maas_graph *g = apply(&h, steps[i], said, &err);
        EXPECT_MSG(g != NULL, "%s: %s", steps[i], err.msg);
        double off = 0;
        if (g)
            predict_hand(&h, g, true, got);
        for (int r = 0; g && r < ROWS; r++)
            off += pow(got[r] - (double)h.y[r], 2) / ROWS;
        const double loss = json_number_value(json_object_get(said, "loss"));
        EXPECT_MSG(off > 1e-3 && fabs(loss - off) < 1e-3 * off, "%s: loss %g, served %g", steps[i],
                   loss, off);
        maas_graph_destroy(g);
        json_decref(said);
    }
    maas_graph_destroy(h.g);
}

/* Neurons that are always the same go first, and nothing changes: what they said is in the bias. */
static void neurons_that_say_nothing_go_without_loss(void)
{
    static hand h;
    double want[ROWS], got[ROWS];
    json_t *said = json_object();
    maas_err err = {0};
    fill_hand(&h);
    for (int o = 0; o < HIDDEN; o += 4)
        for (int i = 0; i < IN; i++) {
            h.w1[i * HIDDEN + o] = 0;
            h.b1[o] = o % 8 ? -1 : 2; /* dead, or always 2 */
        }
    make_hand(&h);
    maas_graph *g = apply(&h, "{'type':'prune_neurons','ratio':0.25}", said, &err);
    EXPECT_MSG(g != NULL, "%s", err.msg);
    if (g) {
        EXPECT_EQ(constant(g, "w1")->dims[1], HIDDEN * 3 / 4);
        predict_hand(&h, h.g, true, want);
        predict_hand(&h, g, true, got);
        EXPECT(root_of_changes(want, got) < 1e-6);
    }
    maas_graph_destroy(g);
    maas_graph_destroy(h.g);
    json_decref(said);
}

static void a_matrix_of_low_rank_is_kept(void)
{
    static hand h;
    static float left[IN * 5], right[5 * HIDDEN];
    double want[ROWS], got[ROWS];
    json_t *said = json_object();
    maas_rng rng;
    maas_err err = {0};
    fill_hand(&h);
    maas_rng_seed(&rng, 8);
    for (int i = 0; i < IN * 5; i++)
        left[i] = (float)maas_rng_normal(&rng);
    for (int i = 0; i < 5 * HIDDEN; i++)
        right[i] = (float)maas_rng_normal(&rng);
    for (int i = 0; i < IN * HIDDEN; i++) {
        h.w1[i] = 0;
        for (int k = 0; k < 5; k++)
            h.w1[i] += left[i / HIDDEN * 5 + k] * right[k * HIDDEN + i % HIDDEN];
    }
    make_hand(&h);
    maas_graph *g = apply(&h, "{'type':'low_rank','energy':0.999999,'min_elements':1}", said, &err);
    EXPECT_MSG(g != NULL, "%s", err.msg);
    if (g) {
        EXPECT_EQ(json_integer_value(json_object_get(json_object_get(said, "ranks"), "w1")), 5);
        predict_hand(&h, h.g, true, want);
        predict_hand(&h, g, true, got);
        EXPECT(root_of_changes(want, got) < 1e-5);
    }
    maas_graph_destroy(g);
    maas_graph_destroy(h.g);
    json_decref(said);
}

/* ---- small parts ---- */

static void every_rung_can_be_read(void)
{
    for (size_t i = 0; i < maas_n_compress_rungs; i++) {
        json_t *steps = maas_compress_rung(i, 2), *o = json_pack("{s:o}", "steps", steps);
        maas_err err = {0};
        EXPECT_MSG(o && maas_compress_check(o, &err) == MAAS_OK, "rung %zu: %s", i, err.msg);
        json_decref(o);
    }
}

static void wrong_specs_are_refused_by_name(void)
{
    static const struct {
        const char *json, *words;
    } wrong[] = {
        {"{}", "either 'steps' or a 'target'"},
        {"{'steps':[]}", "either 'steps' or a 'target'"},
        {"{'steps':['int8'],'target':{'size_ratio':0.5}}", "either 'steps' or a 'target'"},
        {"{'steps':['int9']}", "compress.steps[0].type: no 'int9' here"},
        {"{'steps':['f16',{'type':'int8','bits':4}]}", "compress.steps[1].bits"},
        {"{'steps':[{'type':'cluster','bits':9}]}", "bits"},
        {"{'steps':[{'type':'prune_magnitude','sparsity':1}]}", "sparsity"},
        {"{'steps':[{'type':'static_int8','method':'best'}]}", "minmax, percentile, entropy"},
        {"{'steps':'int8'}", "compress.steps must be an array"},
        {"{'steps':['int8'],'metric':'beauty'}", "beauty"},
        {"{'steps':['int8'],'metric':3}", "compress.metric"},
        {"{'steps':['int8'],'max_metric_drop':-1}", "max_metric_drop"},
        {"{'steps':['int8'],'teacher':1}", "compress.teacher"},
        {"{'steps':[{'type':'distil','student':{'layers':[{'type':'nothing'}]}}]}", "student"},
        {"{'steps':[{'type':'distil','features':'layers.1'}]}", "features must be a list"},
        {"{'steps':[{'type':'distil','features':['a',{'teacher':'b'}]}]}", "features[1]"},
        {"{'target':{}}", "'size_ratio' or 'latency_ratio'"},
        {"{'target':{'size_ratio':2}}", "size_ratio"},
        {"{'step':['int8']}", "step"},
    };
    for (size_t i = 0; i < MAAS_COUNT(wrong); i++) {
        json_t *j = toy_params(wrong[i].json);
        maas_err err = {0};
        EXPECT_MSG(maas_compress_check(j, &err) == MAAS_E_INVALID &&
                       strstr(err.msg, wrong[i].words),
                   "%s: %s", wrong[i].json, err.msg);
        json_decref(j);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void weights_that_are_no_numbers_are_refused(void)
{
    static hand h;
    json_t *said = json_object();
    fill_hand(&h);
    h.w1[7] = NAN;
    make_hand(&h);
    for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
        maas_err err = {0};
        EXPECT_MSG(!apply(&h, cases[i].json, said, &err) && err.code == MAAS_E_INVALID &&
                       strstr(err.msg, "weight 'w1' is not finite at place 7"),
                   "%s: %s", cases[i].json, err.msg);
    }
    maas_graph_destroy(h.g);
    json_decref(said);
}

static void memory_that_ends_is_said(void)
{
    static hand h;
    fill_hand(&h);
    make_hand(&h);
    for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
        json_t *spec = spec_of(cases[i].json);
        for (long n = 1;; n += 1 + n / 8) {
            json_t *said = json_object();
            const long before = maas_mem_live();
            maas_err err = {0};
            const long began = maas_mem_n_allocs();
            maas_mem_fail_at(n);
            maas_graph *g = apply_spec(&h, spec, said, &err);
            maas_mem_fail_at(0);
            const bool done = maas_mem_n_allocs() - began < n;
            EXPECT_MSG(g || err.code == MAAS_E_NOMEM, "%s, allocation %ld: %s", cases[i].json, n,
                       err.msg);
            maas_graph_destroy(g);
            json_object_clear(said);
            EXPECT_EQ(maas_mem_live(), before);
            json_decref(said);
            if (done)
                break;
        }
        json_decref(spec);
    }
    maas_graph_destroy(h.g);
}

int main(int argc, char **argv)
{
    static const mt_case all[] = {
        MT_CASE(steps_do_what_they_say),          MT_CASE(every_step_has_a_case),
        MT_CASE(static_products_are_exact_sums),  MT_CASE(neurons_that_say_nothing_go_without_loss),
        MT_CASE(a_matrix_of_low_rank_is_kept),    MT_CASE(every_rung_can_be_read),
        MT_CASE(wrong_specs_are_refused_by_name), MT_CASE(weights_that_are_no_numbers_are_refused),
        MT_CASE(memory_that_ends_is_said),        MT_CASE(what_is_trained_for_is_what_is_served),
    };
    return mt_main(argc, argv, all, sizeof all / sizeof *all);
}
