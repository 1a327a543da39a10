/* api/rerank.c - /v1/rerank, /v2/rerank and /rerank: how well documents fit a query, the best
 * first; the shapes of Jina and Cohere. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/embed.h"
#include "api/embeddings.h"
#include "base/mem.h"
#include "base/ban.h"

typedef struct wish {
    uint32_t top, max_tokens; /* 0: all; tokens of a document: what fits */
    bool documents, raw;      /* returned with the results; logits instead of probabilities */
} wish;

/* A document is a text, or an object with one. */
static const json_t *text_of(const json_t *document)
{
    return json_is_object(document) ? json_object_get(document, "text") : document;
}

static maas_str str_of(const json_t *text)
{
    return (maas_str){json_string_value(text), json_string_length(text)};
}

/* ---- the answer ---- */

typedef struct result {
    double score;
    uint32_t index;
} result;

static int best_first(const void *a, const void *b)
{
    const result *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void put_result(const maas_embed *e, const result *x, maas_buf *b)
{
    const wish *w = e->own;
    const json_t *documents = json_object_get(e->body, "documents");
    const float score = (float)x->score;
    maas_buf_printf(b, "{\"index\":%" PRIu32 ",\"relevance_score\":", x->index);
    if (isfinite(score))
        maas_buf_printf(b, "%.9g", (double)score);
    else
        maas_buf_str(b, "null");
    if (w->documents) {
        const maas_str text = str_of(text_of(json_array_get(documents, x->index)));
        maas_buf_str(b, ",\"document\":{\"text\":");
        maas_buf_json_str(b, text.p, text.n);
        maas_buf_char(b, '}');
    }
    maas_buf_char(b, '}');
}

static void write_results(maas_embed *e, maas_buf *b)
{
    const wish *w = e->own;
    const char *model = maas_lm_service_name(e->service), *id = maas_req_id(e->req);
    result *all = maas_arena_array(maas_req_arena(e->req), e->n, sizeof *all);
    if (!all) {
        b->failed = true;
        return;
    }
    for (uint32_t i = 0; i < e->n; i++) {
        const double logit = (double)e->answers[i];
        all[i] = (result){w->raw ? logit : 1 / (1 + exp(-logit)), i};
    }
    qsort(all, e->n, sizeof *all, best_first);
    maas_buf_str(b, "{\"id\":");
    maas_buf_json_str(b, id, strlen(id));
    maas_buf_str(b, ",\"object\":\"list\",\"model\":");
    maas_buf_json_str(b, model, strlen(model));
    maas_buf_str(b, ",\"results\":[");
    for (uint32_t i = 0; i < e->n && (!w->top || i < w->top); i++) {
        maas_buf_str(b, i ? "," : "");
        put_result(e, &all[i], b);
    }
    maas_buf_printf(b, "],\"usage\":{\"prompt_tokens\":%" PRIu64 ",\"total_tokens\":%" PRIu64 "}}",
                    e->n_tokens, e->n_tokens);
}

/* ---- the request ---- */

static maas_status read_flag(const json_t *body, const char *name, bool *out, maas_err *err)
{
    const json_t *v = json_object_get(body, name);
    if (v && !json_is_null(v) && !json_is_boolean(v))
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be true or false", name);
    *out = json_is_true(v);
    return MAAS_OK;
}

static maas_status read_count(const json_t *body, const char *name, uint32_t *out, maas_err *err)
{
    const json_t *v = json_object_get(body, name);
    if (!v || json_is_null(v))
        return MAAS_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be a whole number from 1 on", name);
    *out = (uint32_t)json_integer_value(v);
    return MAAS_OK;
}

static maas_status read_wish(maas_embed *e, maas_err *err)
{
    wish *w = maas_arena_alloc(maas_req_arena(e->req), sizeof *w);
    if (!w)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a request");
    e->own = w;
    MAAS_TRY(read_count(e->body, "top_n", &w->top, err));
    MAAS_TRY(read_count(e->body, "max_tokens_per_doc", &w->max_tokens, err));
    MAAS_TRY(read_flag(e->body, "return_documents", &w->documents, err));
    MAAS_TRY(read_flag(e->body, "raw_scores", &w->raw, err));
    return read_flag(e->body, "truncate", &e->truncate, err);
}

static maas_status read_pairs(maas_embed *e, maas_err *err)
{
    const json_t *query = json_object_get(e->body, "query");
    const json_t *documents = json_object_get(e->body, "documents");
    char name[48];
    MAAS_TRY(read_wish(e, err));
    if (!json_is_string(query))
        return maas_fail(err, MAAS_E_INVALID, "'query' must be a text");
    if (!json_is_array(documents))
        return maas_fail(err, MAAS_E_INVALID, "'documents' must be a list of texts");
    MAAS_TRY(maas_embed_room(e, json_array_size(documents), "documents", err));
    for (size_t i = 0; i < json_array_size(documents); i++) {
        const json_t *text = text_of(json_array_get(documents, i));
        snprintf(name, sizeof name, "documents[%zu]", i);
        if (!json_is_string(text))
            return maas_fail(err, MAAS_E_INVALID, "'%s' must be a text, or {\"text\": ...}", name);
        MAAS_TRY(maas_embed_pair(e, name, str_of(query), str_of(text),
                                 ((const wish *)e->own)->max_tokens, err));
    }
    return MAAS_OK;
}

static bool on_io(maas_req *r)
{
    return maas_embed_run(maas_embed_open(r, MAAS_LM_RANKS, false), read_pairs, write_results);
}

void maas_rerank(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, on_io);
}
