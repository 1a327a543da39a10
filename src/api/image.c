#include "api/image.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "api/auth.h"
#include "api/classify.h"
#include "api/oip_request.h"
#include "base/mem.h"
#include "base/num.h"
#include "formats/image_recipe.h"
#include "jobs/image_pool.h"
#include "tensor/json.h"
#include "base/ban.h"

#define MAX_PICTURES 256
#define BEST         5 /* classes of an answer, unless the client says */
#define MAX_ANSWER   (64u << 20)

typedef struct picture {
    struct picture *next;
    maas_buf file; /* in the arena */
} picture;

typedef struct image_request {
    maas_prediction q;
    maas_multipart *parts; /* NULL: the body is the picture */
    picture *first, **tail;
    maas_buf *filling; /* the part that comes in: of a picture, or `k` */
    maas_buf k;
    int64_t n, best;
    maas_tensor pixels;
    maas_oip_request plain; /* for answers that are no classes */
} image_request;

bool maas_image_is(maas_req *r)
{
    const char *type = maas_req_header(r, "Content-Type");
    return type && (strncasecmp(type, "multipart/form-data", 19) == 0 ||
                    strncasecmp(type, "image/", 6) == 0);
}

/* ---- the body ---- */

static size_t max_file(const image_request *m)
{
    return (size_t)maas_app_of(m->q.req)->conf.max_body;
}

static maas_status add_picture(image_request *m, maas_err *err)
{
    picture *p = maas_arena_alloc(m->q.arena, sizeof *p);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a picture");
    if (m->n >= MAX_PICTURES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "a request has at most %d images", MAX_PICTURES);
    p->next = NULL;
    p->file = (maas_buf)MAAS_BUF_IN(m->q.arena, max_file(m));
    *m->tail = p;
    m->tail = &p->next;
    m->n++;
    m->filling = &p->file;
    return MAAS_OK;
}

static maas_status part_begin(void *user, const char *name, const char *file, const char *type,
                              maas_err *err)
{
    image_request *m = user;
    (void)file;
    (void)type;
    if (name && strcmp(name, "image") == 0)
        return add_picture(m, err);
    if (!name || strcmp(name, "k") != 0 || m->k.n)
        return maas_fail(err, MAAS_E_INVALID,
                         "the form has a field '%.40s'; 'image' (one or more) and 'k' (once) are "
                         "known",
                         name ? name : "");
    m->k = (maas_buf)MAAS_BUF_IN(m->q.arena, 32);
    m->filling = &m->k;
    return MAAS_OK;
}

static maas_status part_data(void *user, maas_span piece, maas_err *err)
{
    image_request *m = user;
    maas_buf_add(m->filling, piece.p, piece.n);
    return m->filling->failed ? maas_fail(err, MAAS_E_TOO_LARGE, "a field of the form is too large")
                              : MAAS_OK;
}

static maas_status part_end(void *user, maas_err *err)
{
    (void)user;
    (void)err;
    return MAAS_OK;
}

static void forget(void *state)
{
    maas_multipart_destroy(((image_request *)state)->parts);
}

static maas_status begin(maas_req *r, image_request **out, maas_err *err)
{
    const char *type = maas_req_header(r, "Content-Type");
    image_request *m = maas_arena_alloc(maas_req_arena(r), sizeof *m);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    *m = (image_request){.q = {.req = r, .arena = maas_req_arena(r)}, .tail = &m->first};
    maas_req_set_state(r, m, forget);
    *out = m;
    if (strncasecmp(type, "image/", 6) == 0)
        return add_picture(m, err);
    const maas_part_sink sink = {m, part_begin, part_data, part_end};
    return maas_multipart_create(type, &sink, &m->parts, err);
}

maas_status maas_image_body(maas_req *r, maas_span piece, maas_err *err)
{
    image_request *m = maas_req_state(r);
    if (!m)
        MAAS_TRY(begin(r, &m, err));
    return m->parts ? maas_multipart_feed(m->parts, piece, err) : part_data(m, piece, err);
}

static maas_status finish_body(maas_req *r, image_request *m, maas_err *err)
{
    const char *k = maas_req_query(r, "k");
    char text[33] = "";
    if (!m)
        return maas_fail(err, MAAS_E_INVALID, "the request has no body: send an image");
    if (m->parts)
        MAAS_TRY(maas_multipart_finish(m->parts, err));
    if (!m->n)
        return maas_fail(err, MAAS_E_INVALID, "the form has no field 'image'");
    if (m->k.n) {
        memcpy(text, m->k.p, m->k.n);
        k = text;
    }
    m->best = BEST;
    if (k && (!maas_parse_i64(k, &m->best) || m->best < 1 || m->best > 100000))
        return maas_fail(err, MAAS_E_INVALID, "'k' must be a number of classes, not '%.32s'", k);
    return MAAS_OK;
}

/* ---- decoding ---- */

static maas_status find_model(maas_req *r, image_request *m, maas_err *err)
{
    maas_app *app = maas_app_of(r);
    bool must_load = false;
    maas_status st = maas_models_find(app->models, maas_caller(r)->tenant, m->q.name, m->q.version,
                                      &m->q.model, &must_load, err);
    if (!must_load)
        return st;
    *err = (maas_err){0};
    return maas_models_load(app->models, maas_caller(r)->tenant, m->q.name, m->q.version, false,
                            &m->q.model, err);
}

static maas_status decode_pictures(maas_req *r, image_request *m, maas_err *err)
{
    const char *meta = maas_instance_meta(m->q.model, MAAS_META_IMAGE);
    maas_image_fit fit;
    if (!meta)
        return maas_fail(err, MAAS_E_MEDIA,
                         "model '%s' takes no images: it was imported without an image recipe",
                         maas_instance_name(m->q.model));
    MAAS_TRY(maas_image_recipe_fit(meta, &fit, err));
    const size_t each = maas_image_fit_bytes(&fit);
    const int64_t dims[] = {m->n, fit.height, fit.width, fit.colours == MAAS_IMAGE_GREY ? 1 : 3};
    uint8_t *at = maas_arena_array(m->q.arena, (size_t)m->n, each);
    if (!at)
        return maas_fail(err, MAAS_E_NOMEM, "memory for %lld images", (long long)m->n);
    m->pixels = maas_tensor_of(MAAS_U8, 4, dims, at);
    int64_t i = 1;
    for (const picture *p = m->first; p; p = p->next, at += each, i++) {
        maas_err why = {0};
        maas_status st = maas_image_pool_decode(maas_app_of(r)->images,
                                                maas_span_of(p->file.p, p->file.n), &fit, at, &why);
        if (st != MAAS_OK && m->n > 1)
            return maas_fail(err, st, "image %lld: %s", (long long)i, why.msg);
        if (st != MAAS_OK)
            return maas_fail(err, st, "%s", why.msg);
    }
    return MAAS_OK;
}

static maas_status decode(maas_prediction *q, maas_err *err)
{
    const image_request *m = q->own;
    const int at = maas_instance_find_input(q->model, "image", 5);
    if (at < 0 || maas_instance_n_inputs(q->model) != 1)
        return maas_fail(err, MAAS_E_INVALID,
                         "the model takes more than an image: send all of its inputs as tensors");
    q->run.in[at] = m->pixels;
    return MAAS_OK;
}

/* ---- the answer ---- */

/* The output whose classes have these names; without names the first one that has a row of numbers
 * for each image; -1: none. */
static int class_output(const maas_prediction *q, const image_request *m, const maas_labels *l)
{
    for (uint32_t i = 0; i < maas_instance_n_outputs(q->model); i++) {
        const maas_tensor *t = &q->run.out[i];
        const bool rows = t->dtype != MAAS_STRING && t->rank >= 2 && t->dims[0] == m->n;
        const int64_t n = rows ? maas_dims_product(t->dims, 1, t->rank) : 0;
        if (n > 1 && (l->n ? n == l->n : t->rank == 2))
            return (int)i;
    }
    return -1;
}

static void put_predictions(const maas_ranked *ranked, int64_t rows, int64_t k,
                            const maas_labels *l, maas_buf *out)
{
    char buf[32];
    for (int64_t i = 0; i < rows * k; i++) {
        const char *label = maas_label_text(l, ranked[i].index, buf);
        maas_buf_str(out, i % k ? "," : i ? "],[" : "[");
        maas_buf_char(out, '{');
        if (*label) {
            maas_buf_str(out, "\"label\":");
            maas_buf_json_str(out, label, strlen(label));
            maas_buf_char(out, ',');
        }
        maas_buf_printf(out, "\"score\":%.9g,\"index\":%lld}", ranked[i].score,
                        (long long)ranked[i].index);
    }
    maas_buf_str(out, rows > 0 && k > 0 ? "]" : "");
}

static maas_status put_classes(maas_prediction *q, int at, const maas_labels *l, maas_buf *out,
                               maas_err *err)
{
    const image_request *m = q->own;
    const char *name = maas_instance_outputs(q->model)[at].name;
    int64_t k = m->best, rows;
    maas_ranked *ranked;
    maas_tensor texts;
    MAAS_TRY(maas_rank(q->arena, &q->run.out[at], true, &k, &rows, &ranked, err));
    for (int64_t i = 0; i < rows * k; i++)
        if (!isfinite(ranked[i].score))
            return maas_fail(err, MAAS_E_INVALID, "output '%s' has scores that are no numbers",
                             name);
    MAAS_TRY(maas_rank_texts(q->arena, ranked, rows, k, l, &texts, err));
    maas_buf_str(out, "{\"model_name\":");
    maas_buf_json_str(out, maas_instance_name(q->model), strlen(maas_instance_name(q->model)));
    maas_buf_printf(out, ",\"model_version\":\"%lld\",\"outputs\":[{\"name\":",
                    (long long)maas_instance_version(q->model));
    maas_buf_json_str(out, name, strlen(name));
    maas_buf_printf(out, ",\"datatype\":\"BYTES\",\"shape\":[%lld,%lld],\"data\":", (long long)rows,
                    (long long)k);
    maas_json_encode_tensor(&texts, out);
    maas_buf_str(out, "}],\"predictions\":[");
    put_predictions(ranked, rows, k, l, out);
    maas_buf_str(out, "]}");
    return MAAS_OK;
}

static maas_status put_tensors(maas_prediction *q, maas_err *err)
{
    image_request *m = q->own;
    const uint32_t n = maas_instance_n_outputs(q->model);
    const char **names = maas_arena_array(q->arena, n, sizeof *names);
    if (!names)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    for (uint32_t i = 0; i < n; i++)
        names[i] = maas_instance_outputs(q->model)[i].name;
    return maas_oip_reply_tensors(q, &m->plain, names, q->run.out, n, NULL, err);
}

static maas_status encode(maas_prediction *q, maas_err *err)
{
    maas_buf out = MAAS_BUF_IN(q->arena, MAX_ANSWER);
    AUTO(maas_labels_reset) maas_labels l;
    maas_labels_of(q->model, &l);
    const int at = class_output(q, q->own, &l);
    if (at < 0)
        return put_tensors(q, err);
    MAAS_TRY(put_classes(q, at, &l, &out, err));
    if (out.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    maas_req_reply(q->req, 200, "application/json", out.p, out.n, true);
    return MAAS_OK;
}

static const maas_codec codec = {"image", decode, encode, NULL};

/* ---- the way of a request ---- */

static bool image_on_io(maas_req *r)
{
    image_request *m = maas_req_state(r);
    maas_err err = {0};
    maas_status st = find_model(r, m, &err);
    if (st == MAAS_OK)
        st = decode_pictures(r, m, &err);
    if (st == MAAS_OK)
        return maas_infer_proceed(&m->q);
    maas_instance_unref(STEAL(m->q.model));
    maas_req_fail(r, &err);
    return true;
}

void maas_image_infer(maas_req *r)
{
    image_request *m = maas_req_state(r);
    maas_err err = {0};
    maas_status st = finish_body(r, m, &err);
    if (st == MAAS_OK)
        st = maas_may_use_model(r, maas_req_param(r, 0), &err);
    if (st != MAAS_OK) {
        maas_req_fail(r, &err);
        return;
    }
    m->q = (maas_prediction){.req = r,
                             .arena = maas_req_arena(r),
                             .codec = &codec,
                             .own = m,
                             .name = maas_req_param(r, 0),
                             .version = maas_req_param(r, 1),
                             .begin_ns = maas_req_start_ns(r)};
    maas_iopool_run(maas_app_of(r)->image_io, r, image_on_io);
}
