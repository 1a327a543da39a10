/* Pictures change as they are asked to, the same way each time, and only while they are learned
 * from. */
#include "../../maas_test.h"

#include <math.h>

#include "learn/augment.h"
#include "toy.h"

enum { ROWS = 64, H = 7, W = 5, C = 3, VALUES = H * W * C, MAX_STATES = 16 };

/* How a column of pictures lies in memory; `last`: channels beside each other. */
typedef struct form {
    maas_dtype from, to;
    int rank;
    bool last;
} form;
static const form forms[] = {
    {MAAS_U8, MAAS_U8, 2, false},  {MAAS_U8, MAAS_U8, 3, false},   {MAAS_U8, MAAS_U8, 3, true},
    {MAAS_U8, MAAS_F32, 3, false}, {MAAS_F32, MAAS_F32, 2, false}, {MAAS_F32, MAAS_F32, 3, true},
};

static uint8_t bytes[ROWS * VALUES];
static float floats[ROWS * VALUES];
static uint32_t order[ROWS];

typedef struct rig {
    const form *form;
    int64_t channels, n; /* n: values of a picture */
    maas_ds_column column;
    maas_feature feature;
    maas_features features;
    maas_augment augment;
    float out[ROWS * VALUES];
} rig;

static void fill(void)
{
    maas_rng r;
    maas_rng_seed(&r, 71);
    for (int i = 0; i < ROWS * VALUES; i++) {
        bytes[i] = (uint8_t)(1 + maas_rng_below(&r, 255)); /* no zeros: those are what is outside */
        floats[i] = maas_rng_normal(&r) + 3;
    }
    for (uint32_t i = 0; i < ROWS; i++)
        order[i] = i * 5 % ROWS;
}

static void gather(rig *g, const maas_augment_spec *spec, uint64_t seed, int parts)
{
    static uint8_t raw[ROWS * VALUES];
    const form *f = g->form;
    const maas_samples s = {.rows = order, .n = ROWS};
    maas_err err = {0};
    g->channels = f->rank == 3 ? C : 1;
    g->n = H * W * g->channels;
    g->column = (maas_ds_column){.desc = {.name = "p", .dtype = f->from, .rank = f->rank},
                                 .data = f->from == MAAS_U8 ? (void *)bytes : (void *)floats};
    const int64_t dims[] = {f->last || f->rank == 2 ? H : C, f->last || f->rank == 2 ? W : H,
                            f->last ? C : W};
    memcpy(g->column.desc.dims, dims, sizeof dims);
    g->feature = (maas_feature){.col = &g->column};
    g->features = (maas_features){
        .f = &g->feature, .n = 1, .raw = f->to, .layout = MAAS_LAYOUT_TENSOR};
    EXPECT_MSG(maas_augment_init(&g->augment, spec, &g->features, &err) == MAAS_OK, "%s", err.msg);
    void *out = f->to == MAAS_U8 ? (void *)raw : (void *)g->out;
    for (int i = 0; i < parts; i++)
        maas_augment_gather(&g->augment, seed, &s, ROWS * i / parts, ROWS * (i + 1) / parts, out);
    for (int64_t i = 0; f->to == MAAS_U8 && i < ROWS * g->n; i++)
        g->out[i] = raw[i];
}

/* Value of channel c at (y, x) of a picture of the column, 0 outside; where it is in a picture. */
static int64_t place(const rig *g, int64_t c, int64_t y, int64_t x)
{
    return g->form->last ? (y * W + x) * C + c : (c * H + y) * W + x;
}
static float was(const rig *g, int64_t row, int64_t c, int64_t y, int64_t x)
{
    if (y < 0 || y >= H || x < 0 || x >= W)
        return 0;
    const int64_t i = order[row] * g->n + place(g, c, y, x);
    return g->form->from == MAAS_U8 ? bytes[i] : floats[i];
}
static float is(const rig *g, int64_t row, int64_t c, int64_t y, int64_t x)
{
    return g->out[row * g->n + place(g, c, y, x)];
}

/* How many values differ from the column's picture, mirrored and shifted. */
static int differing(const rig *g, int64_t row, bool mx, bool my, int dx, int dy)
{
    int n = 0;
    for (int64_t c = 0; c < g->channels; c++)
        for (int64_t y = 0; y < H; y++)
            for (int64_t x = 0; x < W; x++)
                n += is(g, row, c, y, x) !=
                     was(g, row, c, (my ? H - 1 - y : y) + dy, (mx ? W - 1 - x : x) + dx);
    return n;
}

/* Every picture is one of those that it may become, and all of them come. */
static void pictures_are_mirrored_and_shifted(void)
{
    static rig g;
    const maas_augment_spec spec = {.on = true, .flip = 3, .crop = 1};
    for (size_t f = 0; f < MAAS_COUNT(forms); f++) {
        int seen[36] = {0}, kinds = 0, of_none = 0;
        g.form = &forms[f];
        for (uint64_t seed = 0; seed < 10; seed++) {
            gather(&g, &spec, seed * 1000, 1);
            for (int64_t row = 0; row < ROWS; row++) {
                int found = -1;
                for (int k = 0; k < 36; k++)
                    if (!differing(&g, row, k & 1, k & 2, k / 4 % 3 - 1, k / 12 - 1))
                        found = k;
                of_none += found < 0;
                if (found >= 0)
                    seen[found]++;
            }
        }
        for (int k = 0; k < 36; k++)
            kinds += seen[k] > 0;
        EXPECT_MSG(of_none == 0 && kinds == 36, "form %zu: %d pictures of no kind, %d kinds", f,
                   of_none, kinds);
    }
}

static void only_what_is_asked_for_happens(void)
{
    static rig g;
    const maas_augment_spec across = {.on = true, .flip = MAAS_FLIP_HORIZONTAL},
                            down = {.on = true, .flip = MAAS_FLIP_VERTICAL}, nothing = {.on = true};
    for (size_t f = 0; f < MAAS_COUNT(forms); f++) {
        g.form = &forms[f];
        gather(&g, &nothing, 1, 1);
        for (int64_t row = 0; row < ROWS; row++)
            EXPECT_EQ(differing(&g, row, false, false, 0, 0), 0);
        gather(&g, &across, 2, 1);
        for (int64_t row = 0; row < ROWS; row++)
            EXPECT(!differing(&g, row, false, false, 0, 0) ||
                   !differing(&g, row, true, false, 0, 0));
        gather(&g, &down, 3, 1);
        for (int64_t row = 0; row < ROWS; row++)
            EXPECT(!differing(&g, row, false, false, 0, 0) ||
                   !differing(&g, row, false, true, 0, 0));
    }
}

static void a_square_is_put_out(void)
{
    static rig g;
    const maas_augment_spec spec = {.on = true, .cutout = 4};
    for (size_t f = 0; f < MAAS_COUNT(forms); f++) {
        int whole = 0;
        g.form = &forms[f];
        gather(&g, &spec, 4, 1);
        for (int64_t row = 0; row < ROWS; row++) {
            int zeros = 0;
            for (int64_t i = 0; i < g.n; i++)
                zeros += g.out[row * g.n + i] == 0;
            EXPECT_EQ(zeros, differing(&g, row, false, false, 0, 0));
            EXPECT(zeros > 0 && zeros <= 16 * g.channels && zeros % g.channels == 0);
            whole += zeros == 16 * g.channels;
        }
        EXPECT(whole > 0 && whole < ROWS);
    }
}

/* y = a v + b for all values of a picture: a from two of them, and where the bounds are. */
static void tones_keep_to_their_bounds(void)
{
    static rig g;
    const maas_augment_spec spec = {.on = true, .brightness = 0.2, .contrast = 0.3};
    for (size_t f = 0; f < MAAS_COUNT(forms); f++) {
        double least = 10, most = 0;
        g.form = &forms[f];
        gather(&g, &spec, 5, 1);
        const bool rounded = forms[f].from == MAAS_U8;
        for (int64_t row = 0; row < ROWS; row++) {
            double mean = 0, now = 0, above = 0, then = 0;
            for (int64_t i = 0; i < g.n; i++) {
                mean += (double)(rounded ? (float)bytes[order[row] * g.n + i]
                                         : floats[order[row] * g.n + i]);
                now += (double)g.out[row * g.n + i];
            }
            mean /= (double)g.n;
            now /= (double)g.n;
            for (int64_t i = 0; i < g.n; i++) {
                const double v = (double)(rounded ? (float)bytes[order[row] * g.n + i]
                                                  : floats[order[row] * g.n + i]);
                above += fabs(v - mean);
                then += fabs((double)g.out[row * g.n + i] - now);
                EXPECT(!rounded || (g.out[row * g.n + i] >= 0 && g.out[row * g.n + i] <= 255));
            }
            const double bright = now / mean, all = then / above;
            EXPECT_MSG(bright > 0.79 - 0.1 * rounded && bright < 1.21 && all > 0.5 && all < 1.57,
                       "brightness %g, both %g", bright, all);
            least = fmin(least, bright);
            most = fmax(most, bright);
        }
        EXPECT(least < 0.87 && most > 1.1);
    }
}

static void threads_and_seeds(void)
{
    static rig g, in_parts, other;
    const maas_augment_spec spec = {
        .on = true, .flip = 3, .crop = 2, .cutout = 2, .brightness = 0.1};
    for (size_t f = 0; f < MAAS_COUNT(forms); f++) {
        g.form = in_parts.form = other.form = &forms[f];
        gather(&g, &spec, 6, 1);
        gather(&in_parts, &spec, 6, 3);
        gather(&other, &spec, 7, 1);
        const size_t n = (size_t)(ROWS * g.n) * sizeof(float);
        EXPECT(memcmp(g.out, in_parts.out, n) == 0 && memcmp(g.out, other.out, n) != 0);
    }
}

/* ---- in training ---- */

static int64_t k[ROWS];
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

static void make(toy *t)
{
    fill();
    for (int i = 0; i < ROWS; i++)
        k[i] = bytes[i * VALUES] > 128;
    toy_init(t, ROWS);
    toy_add_tensor(t, "p", MAAS_U8, 3, (const int64_t[]){C, H, W}, bytes);
    toy_add(t, "k", MAAS_I64, k);
}

static maas_status train(const toy *t, const char *augment, double lr, int n_threads, states *kept,
                         maas_span resume, maas_train_result *out, maas_err *err)
{
    char text[400];
    snprintf(text, sizeof text,
             "{'layers':['flatten',{'type':'dense'}],'epochs':4,'batch_size':10,'seed':3,"
             "'validation':0.25,'optimizer':{'type':'sgd','lr':%g}%s%s}",
             lr, augment ? ",'augment':" : "", augment ? augment : "");
    json_t *p = toy_params(text);
    const maas_train_hooks hooks = {.user = kept, .checkpoint = keep};
    maas_train_job job = {.learner = "network",
                          .params = p,
                          .data = &t->d,
                          .target = "k",
                          .n_threads = n_threads,
                          .hooks = kept ? &hooks : NULL,
                          .resume = resume};
    *err = (maas_err){0};
    maas_status st = maas_train(&job, out, err);
    json_decref(p);
    return st;
}

#define ALL "{'flip':'both','crop':1,'brightness':0.2,'contrast':0.2,'cutout':2}"

static void validation_sees_pictures_as_they_are(void)
{
    static toy t;
    make(&t);
    maas_train_result plain = {0}, changed = {0};
    maas_err err;
    REQUIRE_OK(train(&t, NULL, 0, 1, NULL, (maas_span){0}, &plain, &err), err);
    REQUIRE_OK(train(&t, ALL, 0, 1, NULL, (maas_span){0}, &changed, &err), err);
    EXPECT(toy_metric(&plain, "val_loss") == toy_metric(&changed, "val_loss"));
    EXPECT(toy_metric(&plain, "loss") != toy_metric(&changed, "loss"));
    maas_train_result_reset(&plain);
    maas_train_result_reset(&changed);
}

static void the_same_job_is_the_same_bytes(void)
{
    static toy t;
    static states kept;
    maas_train_result whole = {0}, r = {0};
    maas_err err;
    make(&t);
    REQUIRE_OK(train(&t, ALL, 0.1, 1, &kept, (maas_span){0}, &whole, &err), err);
    EXPECT(kept.n > 1);
    for (int i = 0; i < kept.n; i++) {
        REQUIRE_OK(train(&t, ALL, 0.1, 1, NULL, maas_buf_span(&kept.at[i]), &r, &err), err);
        EXPECT(r.onnx.n == whole.onnx.n && memcmp(r.onnx.p, whole.onnx.p, whole.onnx.n) == 0);
        maas_train_result_reset(&r);
        maas_buf_reset(&kept.at[i]);
    }
    maas_train_result_reset(&whole);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void what_has_no_pictures_is_refused(void)
{
    static toy t;
    static float column[ROWS];
    maas_train_result r = {0};
    maas_err err;
    make(&t);
    toy_add(&t, "more", MAAS_F32, column);
    EXPECT_EQ(train(&t, ALL, 0.1, 1, NULL, (maas_span){0}, &r, &err), MAAS_E_INVALID);
    make(&t);
    t.cols[0].desc.rank = 1;
    t.cols[0].desc.dims[0] = VALUES;
    EXPECT_EQ(train(&t, ALL, 0.1, 1, NULL, (maas_span){0}, &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "params.augment"), "%s", err.msg);
    make(&t);
    EXPECT_EQ(train(&t, "{'flip':'sideways'}", 0.1, 1, NULL, (maas_span){0}, &r, &err),
              MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "params.augment.flip"), "%s", err.msg);
}

/* Numbers of words in the form of a picture. */
static void words_are_no_pictures(void)
{
    static toy t;
    maas_err err = {0};
    maas_train_result r = {0};
    make(&t);
    json_t *p = toy_params("{'layers':[{'type':'embedding','dim':2},'flatten',{'type':'dense'}],"
                           "'epochs':1,'augment':{'flip':'both'}}");
    const maas_train_job job = {
        .learner = "network", .params = p, .data = &t.d, .target = "k", .n_threads = 1};
    EXPECT_EQ(maas_train(&job, &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "params.augment") != NULL, "%s", err.msg);
    maas_train_result_reset(&r);
    json_decref(p);
}

static const mt_case cases[] = {
    MT_CASE(pictures_are_mirrored_and_shifted),
    MT_CASE(only_what_is_asked_for_happens),
    MT_CASE(a_square_is_put_out),
    MT_CASE(tones_keep_to_their_bounds),
    MT_CASE(threads_and_seeds),
    MT_CASE(validation_sees_pictures_as_they_are),
    MT_CASE(the_same_job_is_the_same_bytes),
    MT_CASE(what_has_no_pictures_is_refused),
    MT_CASE(words_are_no_pictures),
};
int main(int argc, char **argv)
{
    fill();
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
