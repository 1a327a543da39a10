/*
 * *.safetensors as weights: names by the tables of hf_arch.c, matrices as they lie in the file.
 * Vectors are F32 in a source: others are rewritten into memory of ours.
 */
#include <string.h>

#include "base/mem.h"
#include "formats/safetensors.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

#define INDEX_FILE "model.safetensors.index.json"

/* Element types of weights that are computed with. */
static const struct {
    const char *name;
    maas_quant_id type;
} types[] = {{"F32", MAAS_Q_F32}, {"F16", MAAS_Q_F16}, {"BF16", MAAS_Q_BF16}};

/* ---- names ---- */

static bool has_prefix(maas_str s, const char *prefix)
{
    const size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

static bool has_suffix(maas_str s, const char *suffix)
{
    const size_t n = strlen(suffix);
    return s.n >= n && memcmp(s.p + s.n - n, suffix, n) == 0;
}

/* Does `name` begin with `pattern`, up to the end or a point? Each '%' is a number;
 * *rest: what comes after. */
static bool matches(maas_str name, const char *pattern, maas_str numbers[2], maas_str *rest)
{
    size_t at = 0, n = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '%') {
            if (at == name.n || name.p[at++] != *pattern)
                return false;
            continue;
        }
        const size_t from = at;
        while (at < name.n && name.p[at] >= '0' && name.p[at] <= '9')
            at++;
        const maas_str v = {name.p + from, at - from};
        if (!v.n || v.n > 6 || (v.n > 1 && v.p[0] == '0') || n == 2)
            return false;
        numbers[n++] = v;
    }
    *rest = (maas_str){name.p + at, name.n - at};
    return at == name.n || name.p[at] == '.';
}

/* The name that GGUF has for it; *row NULL: none is known. */
static maas_status renamed(maas_hf *h, maas_str name, maas_str *out, const maas_hf_weight **row,
                           maas_str *expert)
{
    maas_str numbers[2] = {{"", 0}, {"", 0}}, rest;
    *row = NULL;
    for (size_t i = 0; i < MAAS_COUNT(h->arch->tables) && h->arch->tables[i]; i++)
        for (const maas_hf_weight *w = h->arch->tables[i]; w->from; w++) {
            if (!matches(name, w->from, numbers, &rest))
                continue;
            *row = w;
            *expert = numbers[1];
            if (!w->to)
                return MAAS_OK;
            const char *mark = strchrnul(w->to, '%');
            out->p = maas_arena_printf(h->a, "%.*s%.*s%s%.*s", (int)(mark - w->to), w->to,
                                       (int)numbers[0].n, numbers[0].p, *mark ? mark + 1 : "",
                                       (int)rest.n, rest.p);
            out->n = out->p ? strlen(out->p) : 0;
            return out->p ? MAAS_OK : maas_hf_no_memory(h);
        }
    return MAAS_OK;
}

/* The name with the prefix "model.", if it has one that stands for it. */
static maas_status unprefixed(maas_hf *h, maas_str *name)
{
    if (has_prefix(*name, "language_model.lm_head"))
        *name = (maas_str){name->p + strlen("language_model."),
                           name->n - strlen("language_model.")};
    for (const char *const *p = h->arch->prefixes; *p; p++) {
        if (!has_prefix(*name, *p))
            continue;
        const size_t n = strlen(*p);
        const char *to = maas_arena_printf(h->a, "model.%.*s", (int)(name->n - n), name->p + n);
        if (!to)
            return maas_hf_no_memory(h);
        *name = (maas_str){to, strlen(to)};
        break;
    }
    return MAAS_OK;
}

maas_status maas_hf_rename(maas_hf *h, maas_str name, maas_str *out, const maas_hf_weight **row)
{
    maas_str expert;
    MAAS_TRY(unprefixed(h, &name));
    return renamed(h, name, out, row, &expert);
}

const maas_quant *maas_hf_type(const char *name)
{
    for (size_t i = 0; i < MAAS_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return maas_quant_of(types[i].type);
    return NULL;
}

static bool is_tied(const maas_hf *h)
{
    const json_t *t = json_object_get(h->config, "tie_word_embeddings");
    return json_is_true(t ? t : json_object_get(h->text, "tie_word_embeddings"));
}

static bool is_ignored(const maas_hf *h, maas_str name)
{
    for (const char *const *p = h->arch->ignored; p && *p; p++)
        if (has_prefix(name, *p))
            return true;
    return has_suffix(name, ".rotary_emb.inv_freq");
}

/* ---- a weight ---- */

static maas_status take_shape(maas_hf *h, const maas_st_tensor *t, maas_gguf_tensor *w)
{
    for (size_t i = 0; i < MAAS_COUNT(types) && !w->type; i++)
        if (strcmp(types[i].name, t->type->name) == 0)
            w->type = maas_quant_of(types[i].type);
    if (!w->type)
        return maas_fail(h->err, MAAS_E_UNSUPPORTED,
                         "weight '%.*s' is of the type %s; F32, F16 and BF16 are read",
                         (int)t->name.n, t->name.p, t->type->name);
    if (t->rank < 1 || t->rank > 4)
        return maas_fail(h->err, MAAS_E_FORMAT, "weight '%.*s' has rank %d", (int)t->name.n,
                         t->name.p, t->rank);
    w->rank = t->rank;
    memcpy(w->dims, t->dims, (size_t)t->rank * sizeof *t->dims);
    w->data = t->data;
    w->bytes = t->bytes;
    return MAAS_OK;
}

/* A vector as floats that a kernel can read, and with 1 added where the file leaves that out. */
static maas_status take_vector(maas_hf *h, maas_gguf_tensor *w)
{
    const bool plus_one = (h->arch->flags & MAAS_HF_NORM_PLUS_ONE) &&
                          has_suffix(w->name, "_norm.weight");
    const size_t n = (size_t)w->dims[0];
    if (w->type->id == MAAS_Q_F32 && !plus_one && (uintptr_t)w->data % sizeof(float) == 0)
        return MAAS_OK;
    float *to = maas_arena_array(h->a, n, sizeof *to);
    if (!to)
        return maas_hf_no_memory(h);
    w->type->to_f32(w->data, to, w->dims[0]);
    for (size_t i = 0; plus_one && i < n; i++)
        to[i] += 1;
    w->type = maas_quant_of(MAAS_Q_F32);
    w->data = (const uint8_t *)to;
    w->bytes = n * sizeof *to;
    return MAAS_OK;
}

static maas_status take_tensor(maas_hf *h, const maas_st_tensor *t)
{
    maas_gguf_tensor w = {0};
    maas_str name = t->name, expert;
    const maas_hf_weight *row;
    if (is_ignored(h, name))
        return MAAS_OK;
    MAAS_TRY(unprefixed(h, &name));
    MAAS_TRY(renamed(h, name, &w.name, &row, &expert));
    if (!row || w.name.n > MAAS_MAX_GGUF_NAME)
        return maas_fail(h->err, MAAS_E_UNSUPPORTED, "a %s has no weight '%.*s'", h->arch->name,
                         (int)(t->name.n < 160 ? t->name.n : 160), t->name.p);
    if (!row->to)
        return MAAS_OK;
    if (is_tied(h) && has_prefix(w.name, "output."))
        return MAAS_OK; /* the embeddings are used, whatever the file has */
    MAAS_TRY(take_shape(h, t, &w));
    MAAS_TRY(maas_hf_change_of(h, row->how, &w));
    if (row->how == MAAS_HF_EXPERT)
        return maas_hf_add_expert(h, &w, expert);
    if (w.rank == 1)
        MAAS_TRY(take_vector(h, &w));
    return maas_hf_put_tensor(h, &w);
}

/* ---- files ---- */

static maas_status read_file(maas_hf *h, const maas_lm_file *f, const maas_st_index *x, uint32_t *n)
{
    maas_safetensors s;
    maas_status st = maas_safetensors_open(f->bytes, h->a, &s, h->err);
    for (uint32_t i = 0; st == MAAS_OK && i < s.n_tensors; i++) {
        const maas_str name = s.tensors[i].name;
        const maas_str *file = x ? maas_st_index_file(x, name) : NULL;
        if (x && (!file || file->n != strlen(f->path) || memcmp(file->p, f->path, file->n) != 0))
            st = maas_fail(h->err, MAAS_E_FORMAT, INDEX_FILE " has '%.*s' %s%.*s", (int)name.n,
                           name.p, file ? "in " : "nowhere", file ? (int)file->n : 0,
                           file ? file->p : "");
        else
            st = take_tensor(h, &s.tensors[i]);
    }
    *n += st == MAAS_OK ? s.n_tensors : 0;
    if (st != MAAS_OK)
        maas_err_prefix(h->err, "%.80s", f->path);
    return st;
}

/* Every file that the index names, once; and every name in it was there. */
static maas_status read_sharded(maas_hf *h, const maas_lm_file *index)
{
    maas_st_index x;
    uint32_t n = 0;
    maas_status st = maas_st_index_read(index->bytes, h->a, &x, h->err);
    if (st != MAAS_OK) {
        maas_err_prefix(h->err, INDEX_FILE);
        return st;
    }
    for (uint32_t i = 0; i < h->n_files; i++) {
        bool named = false;
        const maas_str path = {h->files[i].path, strlen(h->files[i].path)};
        for (uint32_t k = 0; k < x.n && !named; k++)
            named = x.places[k].file.n == path.n && memcmp(x.places[k].file.p, path.p, path.n) == 0;
        if (named)
            MAAS_TRY(read_file(h, &h->files[i], &x, &n));
    }
    if (n == x.n)
        return MAAS_OK;
    for (uint32_t k = 0; k < x.n; k++) {
        const char *path = maas_arena_strndup(h->a, x.places[k].file.p, x.places[k].file.n);
        if (!path)
            return maas_hf_no_memory(h);
        if (!maas_hf_file(h, path))
            return maas_fail(h->err, MAAS_E_INVALID,
                             "the file '%.80s' is missing, which " INDEX_FILE " names", path);
    }
    return maas_fail(h->err, MAAS_E_FORMAT, INDEX_FILE " has %u weights, the files have %u", x.n,
                     n);
}

static maas_status read_plain(maas_hf *h)
{
    const maas_lm_file *one = maas_hf_file(h, "model.safetensors");
    uint32_t n = 0, n_files = 0;
    for (uint32_t i = 0; i < h->n_files; i++) {
        const maas_lm_file *f = &h->files[i];
        if (!has_suffix((maas_str){f->path, strlen(f->path)}, ".safetensors") || (one && f != one))
            continue;
        MAAS_TRY(read_file(h, f, NULL, &n));
        n_files++;
    }
    if (n_files)
        return MAAS_OK;
    return maas_fail(h->err, MAAS_E_INVALID,
                     "there is no model.safetensors; weights in other files are not read: save the "
                     "model again with save_pretrained");
}

maas_status maas_hf_read_weights(maas_hf *h)
{
    const maas_lm_file *index = maas_hf_file(h, INDEX_FILE);
    MAAS_TRY(index ? read_sharded(h, index) : read_plain(h));
    MAAS_TRY(maas_hf_join_experts(h));
    bool head = is_tied(h) || h->arch->flags & MAAS_HF_ENCODER;
    for (uint32_t i = 0; i < h->out->n_tensors && !head; i++)
        head = has_prefix(h->out->tensors[i].name, "output.");
    return head ? MAAS_OK
                : maas_fail(h->err, MAAS_E_FORMAT,
                            "the weight 'lm_head.weight' is missing, and tie_word_embeddings is "
                            "false");
}
