#include "lm/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "lm/tokenizer/tokenizer_int.h"
#include "ops/unicode.h"
#include "base/ban.h"

/* ---- reading ---- */

static maas_status read_names(maas_tokenizer *t, const maas_lm_source *s, maas_err *err)
{
    const maas_lm_array *names = maas_lm_array_of(s, "tokenizer.ggml.tokens");
    const maas_lm_array *types = maas_lm_array_of(s, "tokenizer.ggml.token_type");
    if (!names || names->of != MAAS_GGUF_STRING || !names->n || names->n > MAAS_MAX_VOCAB)
        return maas_fail(err, MAAS_E_FORMAT,
                         "the key tokenizer.ggml.tokens is missing, or too "
                         "long");
    if (types && (types->of == MAAS_GGUF_STRING || types->n != names->n))
        return maas_fail(err, MAAS_E_FORMAT,
                         "tokenizer.ggml.token_type must have a number for "
                         "each token");
    t->n = (int32_t)names->n;
    t->names = names->strings;
    t->types = maas_arena_array(&t->arena, names->n, 1);
    t->pieces = maas_arena_array(&t->arena, names->n, sizeof *t->pieces);
    t->ends = maas_arena_array(&t->arena, names->n, 1);
    if (!t->types || !t->pieces || !t->ends ||
        !maas_token_table_make(&t->by_name, t->names, (uint32_t)t->n, &t->arena))
        return maas_fail(err, MAAS_E_NOMEM, "the vocabulary");
    for (int32_t i = 0; i < t->n; i++) {
        const int64_t type = types ? maas_gguf_i64(types, (uint64_t)i) : MAAS_TOKEN_NORMAL;
        t->types[i] = (uint8_t)(type >= 0 && type <= MAAS_TOKEN_BYTE ? type : MAAS_TOKEN_NORMAL);
    }
    return MAAS_OK;
}

static int32_t id_of(const maas_tokenizer *t, const maas_lm_source *s, const char *key)
{
    uint64_t v = 0;
    return maas_lm_u64(s, key, &v) && v < (uint64_t)t->n ? (int32_t)v : -1;
}

/* What ends a text or a turn: said by the file, or known by its name. */
static void read_ends(maas_tokenizer *t, const maas_lm_source *s)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    static const char *const names[] = {
        "<|im_end|>",      "<|eot_id|>", "<|eom_id|>", "<|end|>",  "<end_of_turn>", "<|endoftext|>",
        "<|end_of_text|>", "<EOT>",      "<|return|>", "<|call|>", "<|fim_pad|>"};
    for (size_t i = 0; i < MAAS_COUNT(keys); i++) {
        const int32_t id = id_of(t, s, keys[i]);
        if (id >= 0)
            t->ends[id] = 1;
    }
    const maas_lm_array *more = maas_lm_array_of(s, "maas.eos_token_ids");
    for (uint64_t i = 0; more && more->of != MAAS_GGUF_STRING && i < more->n; i++) {
        const int64_t id = maas_gguf_i64(more, i);
        if (id >= 0 && id < t->n)
            t->ends[id] = 1;
    }
    for (size_t i = 0; i < MAAS_COUNT(names); i++) {
        const int32_t id = maas_tokenizer_find(t, (maas_str){names[i], strlen(names[i])});
        if (id >= 0 && t->types[id] != MAAS_TOKEN_NORMAL)
            t->ends[id] = 1;
    }
    /* where a turn is several messages, <|end|> ends one of them */
    const int32_t end = maas_tokenizer_find(t, (maas_str){"<|end|>", 7});
    if (end >= 0 && end != t->eos && maas_tokenizer_find(t, (maas_str){"<|return|>", 10}) >= 0)
        t->ends[end] = 0;
}

static bool is_found_in_text(const maas_tokenizer *t, int32_t i)
{
    return t->names[i].n && (t->types[i] == MAAS_TOKEN_CONTROL || t->types[i] == MAAS_TOKEN_USER);
}

static int by_text(const void *a, const void *b, void *names)
{
    const maas_str *n = names, x = n[*(const int32_t *)a], y = n[*(const int32_t *)b];
    if (x.p[0] != y.p[0])
        return (uint8_t)x.p[0] < (uint8_t)y.p[0] ? -1 : 1;
    return x.n > y.n ? -1 : x.n < y.n;
}

static maas_status read_edges(maas_tokenizer *t, const maas_lm_source *s, maas_err *err)
{
    const maas_lm_array *a = maas_lm_array_of(s, "maas.token_edges");
    if (!a || a->of == MAAS_GGUF_STRING || a->n != (uint64_t)t->n)
        return MAAS_OK;
    t->edges = maas_arena_array(&t->arena, (size_t)t->n, 1);
    if (!t->edges)
        return maas_fail(err, MAAS_E_NOMEM, "the vocabulary");
    for (int32_t i = 0; i < t->n; i++)
        t->edges[i] = (uint8_t)maas_gguf_i64(a, (uint64_t)i);
    return MAAS_OK;
}

static maas_status list_special(maas_tokenizer *t, maas_err *err)
{
    uint32_t n = 0, k = 0;
    for (int32_t i = 0; i < t->n; i++)
        n += is_found_in_text(t, i);
    t->special = maas_arena_array(&t->arena, n + 1u, sizeof *t->special);
    if (!t->special)
        return maas_fail(err, MAAS_E_NOMEM, "the vocabulary");
    for (int32_t i = 0; i < t->n; i++)
        if (is_found_in_text(t, i))
            t->special[k++] = i;
    qsort_r(t->special, n, sizeof *t->special, by_text, (void *)(uintptr_t)t->names);
    for (uint32_t i = 0; i < n; i++)
        t->special_from[(uint8_t)t->names[t->special[i]].p[0] + 1]++;
    for (int c = 0; c < 256; c++)
        t->special_from[c + 1] += t->special_from[c];
    return MAAS_OK;
}

/* ---- kinds ---- */

typedef struct words {
    const maas_tokenizer *t;
    maas_merge_work *work;
    maas_buf *out;
} words;

static maas_status encode_word(void *user, maas_str word, maas_err *err)
{
    words *w = user;
    return maas_bpe_word(w->t, word, w->work, w->out, err);
}

static maas_status bpe_text(const maas_tokenizer *t, maas_str text, bool first, maas_merge_work *w,
                            maas_buf *out, maas_err *err)
{
    words all = {t, w, out};
    (void)first;
    return maas_pre_split(t->pre, text, encode_word, &all, err);
}

static const maas_tokenizer_kind kinds[] = {
    {"gpt2", maas_bpe_read, bpe_text},
    {"llama", maas_spm_read, maas_spm_text},
    {"bert", maas_wordpiece_read, maas_wordpiece_text},
    {"t5", maas_unigram_read, maas_unigram_text},
};

static const maas_tokenizer_kind *kind_of(maas_str name)
{
    for (size_t i = 0; i < MAAS_COUNT(kinds); i++)
        if (strlen(kinds[i].name) == name.n && memcmp(kinds[i].name, name.p, name.n) == 0)
            return &kinds[i];
    return NULL;
}

static maas_status read_all(maas_tokenizer *t, const maas_lm_source *s, maas_err *err)
{
    maas_str model = {"", 0};
    maas_lm_str(s, "tokenizer.ggml.model", &model);
    t->kind = kind_of(model);
    if (!t->kind)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "tokenizers of the kind '%.*s' are not read; gpt2, llama, bert and t5 are",
                         (int)(model.n < 40 ? model.n : 40), model.p);
    t->is_bpe = t->kind->read == maas_bpe_read;
    MAAS_TRY(read_names(t, s, err));
    for (int b = 0; b < 256; b++)
        t->bytes[b] = -1;
    t->bos = id_of(t, s, "tokenizer.ggml.bos_token_id");
    t->eos = id_of(t, s, "tokenizer.ggml.eos_token_id");
    t->unknown = id_of(t, s, "tokenizer.ggml.unknown_token_id");
    t->begin = !t->is_bpe;
    t->space_prefix = !t->is_bpe;
    maas_lm_bool(s, "tokenizer.ggml.add_bos_token", &t->begin);
    maas_lm_bool(s, "tokenizer.ggml.add_space_prefix", &t->space_prefix);
    maas_lm_bool(s, "maas.normalize.nfc", &t->nfc);
    MAAS_TRY(t->kind->read(t, s, err));
    if (!maas_token_table_make(&t->by_piece, t->pieces, (uint32_t)t->n, &t->arena))
        return maas_fail(err, MAAS_E_NOMEM, "the vocabulary");
    read_ends(t, s);
    maas_tokenizer_read_frame(t, s);
    maas_tokenizer_read_fill(t, s);
    MAAS_TRY(read_edges(t, s, err));
    return list_special(t, err);
}

maas_status maas_tokenizer_create(const maas_lm_source *s, maas_budget *budget,
                                  maas_tokenizer **out, maas_err *err)
{
    maas_tokenizer *t = maas_calloc(1, sizeof *t);
    if (!t)
        return maas_fail(err, MAAS_E_NOMEM, "a tokenizer");
    maas_arena_init(&t->arena, budget);
    maas_status st = read_all(t, s, err);
    if (st == MAAS_OK)
        *out = t;
    else
        maas_tokenizer_destroy(t);
    return st;
}

void maas_tokenizer_destroy(maas_tokenizer *t)
{
    if (!t)
        return;
    maas_arena_reset(&t->arena);
    maas_free(t);
}

/* ---- text to tokens ---- */

typedef struct encoder {
    const maas_tokenizer *t;
    maas_merge_work work;
    maas_buf *out;
    bool after_special; /* nothing, or a special token, came before */
} encoder;

static maas_status encode_normal(encoder *e, maas_str text, maas_err *err)
{
    if (!text.n)
        return MAAS_OK;
    const bool first = e->after_special;
    e->after_special = false;
    return e->t->kind->text(e->t, text, first, &e->work, e->out, err);
}

static maas_status encode_plain(encoder *e, maas_str text, maas_err *err)
{
    if (!e->t->nfc || maas_nfc_is(text))
        return encode_normal(e, text, err);
    maas_buf composed = MAAS_BUF_INIT((size_t)1 << 32);
    maas_status st = maas_nfc(text, &composed, err);
    if (st == MAAS_OK)
        st = encode_normal(e, (maas_str){composed.p, composed.n}, err);
    maas_buf_reset(&composed);
    return st;
}

/* Markup is what a template writes: <...> and [...]. Other added tokens are plain words. */
static bool is_markup(maas_str s)
{
    return s.n > 2 &&
           ((s.p[0] == '<' && s.p[s.n - 1] == '>') || (s.p[0] == '[' && s.p[s.n - 1] == ']'));
}

/* The special token that begins at p, the longest; -1. */
static int32_t special_at(const maas_tokenizer *t, const char *p, size_t left, bool trusted)
{
    const uint8_t c = (uint8_t)p[0];
    for (uint32_t i = t->special_from[c]; i < t->special_from[c + 1]; i++) {
        const int32_t id = t->special[i];
        const maas_str name = t->names[id];
        if (name.n > left || memcmp(name.p, p, name.n) != 0)
            continue;
        if (trusted || (t->types[id] == MAAS_TOKEN_USER && !is_markup(name)))
            return id;
    }
    return -1;
}

/* The first byte of the last character before text[at]. */
static size_t before(maas_str text, size_t at)
{
    at--;
    while (at > 0 && ((uint8_t)text.p[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static uint32_t char_at(maas_str text, size_t at, size_t *n)
{
    uint32_t c = (uint8_t)text.p[at];
    *n = maas_utf8_len(maas_span_of(text.p + at, text.n - at));
    if (*n)
        maas_uni_get(text.p + at, &c);
    *n = *n ? *n : 1;
    return c;
}

/* Blanks beside a special token that belong to it. */
static void take_edges(const maas_tokenizer *t, int32_t id, maas_str text, size_t from, size_t *at,
                       size_t *to)
{
    const unsigned e = t->edges ? t->edges[id] : 0;
    size_t n;
    while ((e & MAAS_EDGE_LEFT) && *at > from &&
           maas_uni_is_space(char_at(text, before(text, *at), &n)))
        *at = before(text, *at);
    while ((e & MAAS_EDGE_RIGHT) && *to < text.n && maas_uni_is_space(char_at(text, *to, &n)))
        *to += n;
}

static maas_status encode_text(encoder *e, maas_str text, bool trusted, maas_err *err)
{
    size_t from = 0;
    for (size_t at = 0; at < text.n;) {
        const int32_t id = special_at(e->t, text.p + at, text.n - at, trusted);
        if (id < 0) {
            at++;
            continue;
        }
        size_t begin = at, end = at + e->t->names[id].n;
        take_edges(e->t, id, text, from, &begin, &end);
        MAAS_TRY(encode_plain(e, (maas_str){text.p + from, begin - from}, err));
        maas_buf_add(e->out, &id, sizeof id);
        e->after_special = !e->t->prefix_once;
        from = at = end;
    }
    return encode_plain(e, (maas_str){text.p + from, text.n - from}, err);
}

maas_status maas_tokenizer_encode_pieces(const maas_tokenizer *t, const maas_text_piece *p,
                                         uint32_t n, unsigned flags, maas_buf *out, maas_err *err)
{
    encoder e = {.t = t, .out = out, .after_special = true};
    maas_status st = MAAS_OK;
    if ((flags & MAAS_TOKENS_BEGIN) && t->begin && t->bos >= 0)
        maas_buf_add(out, &t->bos, sizeof t->bos);
    for (uint32_t i = 0; i < n && st == MAAS_OK; i++)
        st = encode_text(&e, p[i].text, p[i].trusted, err);
    maas_merge_free(&e.work);
    if (flags & MAAS_TOKENS_END)
        maas_buf_add(out, t->frame.after, t->frame.n_after * sizeof *t->frame.after);
    if (st == MAAS_OK && out->failed)
        st = maas_fail(err, MAAS_E_TOO_LARGE, "the text has too many tokens");
    return st;
}

maas_status maas_tokenizer_encode(const maas_tokenizer *t, maas_str text, unsigned flags,
                                  maas_buf *out, maas_err *err)
{
    const maas_text_piece one = {text, (flags & MAAS_TOKENS_SPECIAL) != 0};
    return maas_tokenizer_encode_pieces(t, &one, 1, flags, out, err);
}

/* ---- tokens to text ---- */

int32_t maas_tokenizer_n(const maas_tokenizer *t)
{
    return t->n;
}

static bool is_id(const maas_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->n;
}

maas_str maas_tokenizer_piece(const maas_tokenizer *t, int32_t id)
{
    return is_id(t, id) && t->types[id] != MAAS_TOKEN_CONTROL ? t->pieces[id] : (maas_str){"", 0};
}

maas_str maas_tokenizer_name(const maas_tokenizer *t, int32_t id)
{
    return is_id(t, id) ? t->names[id] : (maas_str){"", 0};
}

int32_t maas_tokenizer_find(const maas_tokenizer *t, maas_str name)
{
    return maas_token_table_find(&t->by_name, name);
}

bool maas_tokenizer_is_special(const maas_tokenizer *t, int32_t id)
{
    return is_id(t, id) && t->types[id] == MAAS_TOKEN_CONTROL;
}

bool maas_tokenizer_is_end(const maas_tokenizer *t, int32_t id)
{
    return is_id(t, id) && t->ends[id];
}

int32_t maas_tokenizer_bos(const maas_tokenizer *t)
{
    return t->bos;
}

int32_t maas_tokenizer_eos(const maas_tokenizer *t)
{
    return t->eos;
}

void maas_tokenizer_decode(const maas_tokenizer *t, const int32_t *ids, uint32_t n, bool special,
                           maas_buf *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const maas_str s = special && maas_tokenizer_is_special(t, ids[i])
                               ? maas_tokenizer_name(t, ids[i])
                               : maas_tokenizer_piece(t, ids[i]);
        const bool drop = i == 0 && !t->is_bpe && t->space_prefix && s.n && s.p[0] == ' ';
        maas_buf_add(out, s.p + drop, s.n - drop);
    }
}
