/*
 * tokenizer.json as the keys tokenizer.ggml.*: the vocabulary, its merges and scores. It is read
 * with the scanner, for it has hundreds of thousands of members; names are borrowed from the file
 * where they have no escapes.
 */
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "lm/source/hf_int.h"
#include "base/ban.h"

#define FILE_NAME "tokenizer.json"
#define MAX_VOCAB (1u << 22)

/* tokenizer.ggml.token_type */
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER = 4, UNUSED = 5, BYTE = 6 };

enum { P_ADDED, P_NORMALIZER, P_PRE, P_POST, P_MODEL, N_PARTS };
enum {
    M_TYPE,
    M_VOCAB,
    M_MERGES,
    M_UNK,
    M_UNK_ID,
    M_BYTES,
    M_IGNORE,
    M_FUSE,
    M_PREFIX,
    M_SUFFIX,
    N_MODEL
};

typedef struct vocab {
    maas_hf *h;
    maas_hf_part parts[N_PARTS], model[N_MODEL];
    json_t *docs[N_PARTS]; /* of all but the model */
    maas_hf_pipeline pipeline;
    maas_str type; /* "BPE" */
    uint32_t n;
    maas_str *names; /* [n] */
    int32_t *types;
    uint8_t *edges;
    float *scores; /* NULL: none */
} vocab;

/* ---- the text ---- */

static maas_status malformed(const vocab *v, const maas_json_scan *s, const char *what)
{
    if (s && s->err.code != MAAS_OK)
        return maas_fail(v->h->err, MAAS_E_FORMAT, FILE_NAME " is %s", s->err.msg);
    return maas_fail(v->h->err, MAAS_E_FORMAT, FILE_NAME ": %s", what);
}

/* The text of the last KEY or STRING. */
static maas_status text_of(const vocab *v, const maas_json_scan *s, maas_str *out)
{
    size_t n = s->text.n;
    const char *p = (const char *)s->text.p;
    if (s->escaped && !(p = maas_json_unescape(v->h->a, s->text, &n)))
        return maas_hf_no_memory(v->h);
    *out = (maas_str){p, n};
    return MAAS_OK;
}

/* A text that is a whole part; n 0: another value. */
static maas_status part_text(const vocab *v, const maas_hf_part *p, maas_str *out)
{
    maas_json_scan s;
    *out = (maas_str){"", 0};
    maas_json_scan_init(&s, p->text);
    return p->text.n && maas_json_next(&s) == MAAS_JSON_STRING ? text_of(v, &s, out) : MAAS_OK;
}

static bool part_true(const maas_hf_part *p)
{
    return maas_span_is(p->text, "true");
}

static bool is(maas_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static maas_status read_docs(vocab *v)
{
    for (int i = 0; i < P_MODEL; i++) {
        const maas_hf_part *p = &v->parts[i];
        if (!p->text.n)
            continue;
        if (p->text.n > 4 * (size_t)MAAS_MAX_HF_CONFIG)
            return maas_fail(v->h->err, MAAS_E_TOO_LARGE, FILE_NAME ": '%s' has %zu bytes", p->key,
                             p->text.n);
        maas_err why = {0};
        const maas_status st = maas_json_parse(p->text, &v->docs[i], &why);
        if (st != MAAS_OK)
            return maas_fail(v->h->err, st == MAAS_E_INVALID ? MAAS_E_FORMAT : st,
                             FILE_NAME ": '%s': %s", p->key, why.msg);
    }
    return MAAS_OK;
}

/* ---- the vocabulary ---- */

/* A row of the vocabulary; scores are 0 where it has none. */
typedef maas_status (*row_fn)(vocab *v, maas_str name, uint64_t id, double score);

static maas_status each_of_object(vocab *v, maas_json_scan *s, row_fn fn)
{
    maas_json_kind k;
    while ((k = maas_json_next(s)) == MAAS_JSON_KEY) {
        maas_str name;
        uint64_t id;
        MAAS_TRY(text_of(v, s, &name));
        k = maas_json_next(s);
        maas_span digits = s->text;
        if (k != MAAS_JSON_NUMBER || !maas_num_u64(&digits, &id) || digits.n)
            return malformed(v, s, "an id of 'vocab' is no number");
        MAAS_TRY(fn(v, name, id, 0));
    }
    return k == MAAS_JSON_CLOSE ? MAAS_OK : malformed(v, s, "'vocab' does not end");
}

static maas_status each_of_list(vocab *v, maas_json_scan *s, row_fn fn)
{
    maas_json_kind k;
    for (uint64_t id = 0; (k = maas_json_next(s)) == MAAS_JSON_ARRAY; id++) {
        maas_str name;
        double score;
        if (maas_json_next(s) != MAAS_JSON_STRING)
            return malformed(v, s, "'vocab' must be a list of text and score");
        MAAS_TRY(text_of(v, s, &name));
        k = maas_json_next(s);
        maas_span digits = s->text;
        if (k != MAAS_JSON_NUMBER || !maas_num_f64(&digits, &score) || digits.n ||
            maas_json_next(s) != MAAS_JSON_CLOSE)
            return malformed(v, s, "'vocab' must be a list of text and score");
        MAAS_TRY(fn(v, name, id, score));
    }
    return k == MAAS_JSON_CLOSE ? MAAS_OK : malformed(v, s, "'vocab' does not end");
}

static maas_status each_token(vocab *v, row_fn fn)
{
    maas_json_scan s;
    maas_json_scan_init(&s, v->model[M_VOCAB].text);
    const maas_json_kind k = v->model[M_VOCAB].text.n ? maas_json_next(&s) : MAAS_JSON_NULL;
    const bool as_list = is(v->type, "Unigram");
    if (k != (as_list ? MAAS_JSON_ARRAY : MAAS_JSON_OBJECT))
        return malformed(v, NULL, "'model' has no 'vocab'");
    return as_list ? each_of_list(v, &s, fn) : each_of_object(v, &s, fn);
}

static maas_status count_row(vocab *v, maas_str name, uint64_t id, double score)
{
    (void)name;
    (void)score;
    if (id >= MAX_VOCAB)
        return maas_fail(v->h->err, MAAS_E_TOO_LARGE, FILE_NAME ": the id %llu is too large",
                         (unsigned long long)id);
    v->n = id >= v->n ? (uint32_t)id + 1 : v->n;
    return MAAS_OK;
}

/* <0x0A> */
static bool is_byte(maas_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    return s.n == 6 && memcmp(s.p, "<0x", 3) == 0 && s.p[5] == '>' && memchr(hex, s.p[3], 16) &&
           memchr(hex, s.p[4], 16);
}

/* WordPiece marks what goes on within a word ("##ing"), GGUF what begins one. */
static maas_status wordpiece_name(vocab *v, maas_str *name)
{
    static const char inside[] = "##", begin[] = "\xe2\x96\x81";
    if (name->n > 2 && memcmp(name->p, inside, 2) == 0) {
        *name = (maas_str){name->p + 2, name->n - 2};
        return MAAS_OK;
    }
    const char *p = maas_arena_printf(v->h->a, "%s%.*s", begin, (int)name->n, name->p);
    if (!p)
        return maas_hf_no_memory(v->h);
    *name = (maas_str){p, strlen(p)};
    return MAAS_OK;
}

static maas_status put_row(vocab *v, maas_str name, uint64_t id, double score)
{
    if (id >= v->n || v->types[id] != UNUSED)
        return maas_fail(v->h->err, MAAS_E_FORMAT, FILE_NAME ": two tokens have the id %llu",
                         (unsigned long long)id);
    if (is(v->type, "WordPiece"))
        MAAS_TRY(wordpiece_name(v, &name));
    v->names[id] = name;
    v->types[id] = part_true(&v->model[M_BYTES]) && is_byte(name) ? BYTE : NORMAL;
    if (v->scores)
        v->scores[id] = (float)score;
    return MAAS_OK;
}

/* ---- added tokens ---- */

/* How they are found: bits of the key maas.token_edges. */
static const struct {
    const char *key;
    uint8_t bit;
} edges[] = {{"lstrip", MAAS_EDGE_LEFT}, {"rstrip", MAAS_EDGE_RIGHT}};

/* Is that what the vocabulary calls it? */
static bool is_name(const vocab *v, uint32_t id, maas_str text)
{
    const maas_str have = v->names[id];
    const size_t mark = is(v->type, "WordPiece") && have.n > text.n ? have.n - text.n : 0;
    return have.n - mark == text.n && memcmp(have.p + mark, text.p, text.n) == 0;
}

static maas_status put_added(vocab *v, const json_t *t)
{
    const json_t *id = json_object_get(t, "id"), *content = json_object_get(t, "content");
    const char *text = json_string_value(content);
    const size_t n = json_string_length(content);
    if (!text || !json_is_integer(id) || json_integer_value(id) < 0)
        return malformed(v, NULL, "an added token needs 'id' and 'content'");
    const uint64_t at = (uint64_t)json_integer_value(id);
    if (!v->names)
        return count_row(v, (maas_str){text, n}, at, 0);
    if (json_is_true(json_object_get(t, "single_word")))
        return maas_fail(
            v->h->err, MAAS_E_UNSUPPORTED,
            FILE_NAME ": the added token '%.60s' is a 'single_word', which is not read", text);
    for (size_t i = 0; i < MAAS_COUNT(edges); i++)
        if (json_is_true(json_object_get(t, edges[i].key)))
            v->edges[at] |= edges[i].bit;
    if (v->types[at] != UNUSED && !is_name(v, (uint32_t)at, (maas_str){text, n}))
        return maas_fail(v->h->err, MAAS_E_FORMAT, FILE_NAME ": two tokens have the id %llu",
                         (unsigned long long)at);
    const char *copy = maas_arena_strndup(v->h->a, text, n);
    if (!copy)
        return maas_hf_no_memory(v->h);
    v->names[at] = (maas_str){copy, n};
    v->types[at] = json_is_true(json_object_get(t, "special")) ? CONTROL : USER;
    return MAAS_OK;
}

static maas_status each_added(vocab *v)
{
    for (size_t i = 0; i < json_array_size(v->docs[P_ADDED]); i++)
        MAAS_TRY(put_added(v, json_array_get(v->docs[P_ADDED], i)));
    return MAAS_OK;
}

/* ---- tables ---- */

static maas_status make_names(vocab *v)
{
    MAAS_TRY(each_token(v, count_row));
    MAAS_TRY(each_added(v));
    if (!v->n)
        return malformed(v, NULL, "'vocab' is empty");
    maas_str *names = maas_arena_array(v->h->a, v->n, sizeof *names);
    v->types = maas_arena_array(v->h->a, v->n, sizeof *v->types);
    v->edges = maas_arena_array(v->h->a, v->n, 1);
    v->scores = v->pipeline.byte_level || is(v->type, "WordPiece")
                    ? NULL
                    : maas_arena_array(v->h->a, v->n, sizeof *v->scores);
    v->names = names;
    if (!names || !v->types || !v->edges ||
        (!v->scores && !v->pipeline.byte_level && !is(v->type, "WordPiece")))
        return maas_hf_no_memory(v->h);
    for (uint32_t i = 0; i < v->n; i++)
        v->types[i] = UNUSED;
    MAAS_TRY(each_token(v, put_row));
    MAAS_TRY(each_added(v));
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->types[i] != UNUSED)
            continue;
        const char *hole = maas_arena_printf(v->h->a, "[PAD%u]", i);
        if (!hole)
            return maas_hf_no_memory(v->h);
        names[i] = (maas_str){hole, strlen(hole)};
    }
    return MAAS_OK;
}

static int64_t id_of(const vocab *v, maas_str name)
{
    for (uint32_t i = 0; name.n && i < v->n; i++)
        if (v->names[i].n == name.n && memcmp(v->names[i].p, name.p, name.n) == 0)
            return i;
    return -1;
}

/* "left right": as it is in the file, or from a pair. A side with a blank in it can come from no
 * text: it keeps its rank, and that is all. */
static maas_status merge_text(const vocab *v, maas_json_scan *s, maas_json_kind k, maas_str *out)
{
    maas_str left = {0}, right = {0};
    if (k == MAAS_JSON_STRING)
        return text_of(v, s, out);
    if (k != MAAS_JSON_ARRAY || maas_json_next(s) != MAAS_JSON_STRING)
        return malformed(v, s, "'merges' must be texts or pairs");
    MAAS_TRY(text_of(v, s, &left));
    if (maas_json_next(s) != MAAS_JSON_STRING)
        return malformed(v, s, "'merges' must be texts or pairs");
    MAAS_TRY(text_of(v, s, &right));
    if (maas_json_next(s) != MAAS_JSON_CLOSE)
        return malformed(v, s, "'merges' must be texts or pairs");
    *out = (maas_str){"", 0};
    if (!left.n || !right.n || memchr(left.p, ' ', left.n) || memchr(right.p, ' ', right.n))
        return MAAS_OK;
    char *p = maas_arena_alloc(v->h->a, left.n + right.n + 1);
    if (!p)
        return maas_hf_no_memory(v->h);
    memcpy(p, left.p, left.n);
    p[left.n] = ' ';
    memcpy(p + left.n + 1, right.p, right.n);
    *out = (maas_str){p, left.n + right.n + 1};
    return MAAS_OK;
}

static maas_status put_merges(vocab *v)
{
    maas_json_scan s;
    maas_json_kind k;
    uint64_t n = 0;
    const maas_span text = v->model[M_MERGES].text;
    maas_json_scan_init(&s, text);
    if (!text.n || maas_json_next(&s) != MAAS_JSON_ARRAY)
        return malformed(v, NULL, "'model' has no 'merges'");
    for (maas_json_scan ahead = s; (k = maas_json_next(&ahead)) != MAAS_JSON_CLOSE; n++)
        if (k == MAAS_JSON_ERROR || (k == MAAS_JSON_ARRAY && !maas_json_skip(&ahead)))
            return malformed(v, &ahead, "'merges' does not end");
    maas_str *list = maas_arena_array(v->h->a, n + 1, sizeof *list);
    if (!list)
        return maas_hf_no_memory(v->h);
    for (uint64_t i = 0; i < n; i++)
        MAAS_TRY(merge_text(v, &s, maas_json_next(&s), &list[i]));
    return maas_hf_put_strs(v->h, "tokenizer.ggml.merges", list, n);
}

/* ---- ids ---- */

/* A token that tokenizer_config.json names, as text or as an object; -1: it does not. */
static int64_t named_token(const vocab *v, const char *key)
{
    const json_t *t = json_object_get(v->h->tokenizer, key);
    t = json_is_object(t) ? json_object_get(t, "content") : t;
    return json_is_string(t) ? id_of(v, (maas_str){json_string_value(t), json_string_length(t)})
                             : -1;
}

static int64_t number_of(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : -1;
}

static maas_status put_id(vocab *v, const char *key, int64_t id)
{
    return id >= 0 && id < (int64_t)v->n ? maas_hf_put_u64(v->h, key, (uint64_t)id) : MAAS_OK;
}

/* All that end an answer: of generation_config.json, or of config.json. */
static maas_status put_ends(vocab *v)
{
    const json_t *list = json_object_get(v->h->generation, "eos_token_id");
    int64_t first = v->pipeline.eos.n ? id_of(v, v->pipeline.eos) : named_token(v, "eos_token");
    uint64_t n = 0;
    list = list && !json_is_null(list) ? list : json_object_get(v->h->config, "eos_token_id");
    list = list && !json_is_null(list) ? list : json_object_get(v->h->text, "eos_token_id");
    const size_t many = json_is_array(list) ? json_array_size(list) : 1;
    int32_t *ids = maas_arena_array(v->h->a, many + 1, sizeof *ids);
    if (!ids)
        return maas_hf_no_memory(v->h);
    for (size_t i = 0; i < many; i++) {
        const int64_t id = number_of(json_is_array(list) ? json_array_get(list, i) : list);
        if (id < 0 || id >= (int64_t)v->n)
            continue;
        first = first < 0 ? id : first;
        ids[n++] = (int32_t)id;
    }
    MAAS_TRY(put_id(v, "tokenizer.ggml.eos_token_id", first));
    return maas_hf_put_numbers(v->h, "maas.eos_token_ids", MAAS_GGUF_I32, ids, n);
}

static maas_status put_ids(vocab *v)
{
    const int64_t bos = v->pipeline.bos.n ? id_of(v, v->pipeline.bos)
                        : v->h->tokenizer ? named_token(v, "bos_token")
                                          : number_of(json_object_get(v->h->text, "bos_token_id"));
    maas_str unk;
    MAAS_TRY(part_text(v, &v->model[M_UNK], &unk));
    maas_span digits = v->model[M_UNK_ID].text;
    int64_t unknown = id_of(v, unk);
    if (unknown < 0 && digits.n && !maas_num_i64(&digits, &unknown))
        unknown = -1;
    const int64_t eos = id_of(v, v->pipeline.eos);
    MAAS_TRY(put_id(v, "tokenizer.ggml.bos_token_id", bos));
    if (is(v->type, "WordPiece"))
        MAAS_TRY(put_id(v, "tokenizer.ggml.cls_token_id", bos));
    if (is(v->type, "WordPiece") || v->pipeline.parts)
        MAAS_TRY(put_id(v, "tokenizer.ggml.seperator_token_id", eos));
    MAAS_TRY(put_id(v, "tokenizer.ggml.unknown_token_id", unknown));
    MAAS_TRY(put_id(v, "tokenizer.ggml.padding_token_id", named_token(v, "pad_token")));
    return put_ends(v);
}

/* ---- the whole ---- */

static maas_status put_keys(vocab *v)
{
    maas_hf *h = v->h;
    const char *model = is(v->type, "Unigram")     ? "t5"
                        : is(v->type, "WordPiece") ? "bert"
                        : v->pipeline.byte_level   ? "gpt2"
                                                   : "llama";
    MAAS_TRY(maas_hf_put_text(h, "tokenizer.ggml.model", model));
    MAAS_TRY(maas_hf_put_strs(h, "tokenizer.ggml.tokens", v->names, v->n));
    MAAS_TRY(maas_hf_put_numbers(h, "tokenizer.ggml.token_type", MAAS_GGUF_I32, v->types, v->n));
    MAAS_TRY(maas_hf_put_numbers(h, "maas.token_edges", MAAS_GGUF_U8, v->edges, v->n));
    if (v->scores)
        MAAS_TRY(maas_hf_put_numbers(h, "tokenizer.ggml.scores", MAAS_GGUF_F32, v->scores, v->n));
    if (is(v->type, "BPE"))
        MAAS_TRY(put_merges(v));
    return put_ids(v);
}

static maas_status check_model(vocab *v)
{
    maas_str prefix, suffix;
    MAAS_TRY(part_text(v, &v->model[M_TYPE], &v->type));
    MAAS_TRY(part_text(v, &v->model[M_PREFIX], &prefix));
    MAAS_TRY(part_text(v, &v->model[M_SUFFIX], &suffix));
    if (!v->type.n)
        v->type = (maas_str){"BPE", 3};
    if (!is(v->type, "BPE") && !is(v->type, "Unigram") && !is(v->type, "WordPiece"))
        return maas_fail(v->h->err, MAAS_E_UNSUPPORTED,
                         FILE_NAME ": models of the type '%.*s' are not read",
                         (int)(v->type.n < 40 ? v->type.n : 40), v->type.p);
    if ((is(v->type, "BPE") && prefix.n) || suffix.n ||
        (is(v->type, "WordPiece") && !is(prefix, "##")))
        return maas_fail(v->h->err, MAAS_E_UNSUPPORTED,
                         FILE_NAME ": 'continuing_subword_prefix' must be '##' for WordPiece and "
                                   "empty else, 'end_of_word_suffix' empty");
    return MAAS_OK;
}

static maas_status read_all(vocab *v, maas_span text)
{
    maas_hf *h = v->h;
    MAAS_TRY(maas_hf_find_parts(h, FILE_NAME, text, v->parts, N_PARTS));
    if (!v->parts[P_MODEL].text.n)
        return malformed(v, NULL, "it has no 'model'");
    MAAS_TRY(maas_hf_find_parts(h, FILE_NAME, v->parts[P_MODEL].text, v->model, N_MODEL));
    MAAS_TRY(check_model(v));
    MAAS_TRY(read_docs(v));
    v->pipeline.type = v->type;
    v->pipeline.ignore_merges = part_true(&v->model[M_IGNORE]);
    v->pipeline.fuse_unknown = part_true(&v->model[M_FUSE]);
    v->pipeline.normalizer = v->docs[P_NORMALIZER];
    v->pipeline.pre_tokenizer = v->docs[P_PRE];
    v->pipeline.post_processor = v->docs[P_POST];
    MAAS_TRY(maas_hf_read_pipeline(v->h, &v->pipeline));
    MAAS_TRY(make_names(v));
    return put_keys(v);
}

maas_status maas_hf_read_tokens(maas_hf *h)
{
    const maas_lm_file *f = maas_hf_file(h, FILE_NAME);
    vocab v = {
        .h = h,
        .parts = {{"added_tokens", {0}},
                  {"normalizer", {0}},
                  {"pre_tokenizer", {0}},
                  {"post_processor", {0}},
                  {"model", {0}}},
        .model = {{"type", {0}},
                  {"vocab", {0}},
                  {"merges", {0}},
                  {"unk_token", {0}},
                  {"unk_id", {0}},
                  {"byte_fallback", {0}},
                  {"ignore_merges", {0}},
                  {"fuse_unk", {0}},
                  {"continuing_subword_prefix", {0}},
                  {"end_of_word_suffix", {0}}},
    };
    if (!f)
        return maas_fail(h->err, MAAS_E_INVALID,
                         "there is no " FILE_NAME "; tokenizer.model is not read: save the "
                         "tokenizer again with a fast one");
    if (f->bytes.n > MAAS_MAX_HF_TOKENIZER)
        return maas_fail(h->err, MAAS_E_TOO_LARGE, FILE_NAME " has %zu bytes", f->bytes.n);
    const maas_status st = read_all(&v, f->bytes);
    for (int i = 0; i < N_PARTS; i++)
        json_decref(v.docs[i]);
    return st;
}
