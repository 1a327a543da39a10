/*
 * api/embed.h - a request to an encoder on its way: texts, tokens or pairs become a maas_embed_ask,
 * and the answers come back to a dialect that writes them.
 *
 * A dialect opens one on the io thread, adds its inputs, and starts it; the writer runs on the
 * lane's thread. Inputs are bounded in number and tokens; one that is too long is refused by name,
 * unless it may be cut.
 *
 * Lifetime: in the request's arena, until the reply is sent.
 */
#ifndef MAAS_API_EMBED_H
#define MAAS_API_EMBED_H

#include "api/app.h"
#include "base/json.h"

enum { MAAS_MAX_EMBED_INPUTS = 2048, MAAS_MAX_EMBED_TOKENS = 1 << 22 };

typedef struct maas_embed maas_embed;
struct maas_embed {
    maas_req *req;
    json_t *body;             /* a reference */
    maas_lm_service *service; /* a reference */
    const maas_tokenizer *tokenizer;
    int32_t n_out, n_context; /* numbers of an answer; tokens of a text */
    int32_t n_keep;           /* of an answer that are wanted */
    bool truncate;            /* texts that are too long are cut, not refused */
    void (*write)(maas_embed *e, maas_buf *out);
    void *own; /* of the dialect */
    uint32_t n, cap;
    uint64_t n_tokens; /* of all inputs */
    float *answers;    /* [n][n_out], in the order that inputs were added */
    /* private */
    maas_embed_ask ask;
    maas_encoder_text *texts;
    size_t *at; /* where tokens of each begin */
    maas_buf tokens, scratch;
};

/* The body's model, which must do `task`; NULL: replied already. strip_latest: as Ollama names it.
 */
maas_embed *maas_embed_open(maas_req *r, maas_lm_task task, bool strip_latest);
/* `what` names the input in errors: "input". */
maas_status maas_embed_room(maas_embed *e, size_t n, const char *what, maas_err *err);
maas_status maas_embed_text(maas_embed *e, const char *what, const json_t *text, maas_err *err);
maas_status maas_embed_ids(maas_embed *e, const char *what, const json_t *ids, maas_err *err);
/* Only the second text of a pair is ever cut, to max_tokens (0: what fits) of its own. */
maas_status maas_embed_pair(maas_embed *e, const char *what, maas_str a, maas_str b,
                            uint32_t max_tokens, maas_err *err);
/* "dimensions" of the body: the first of them, brought to length 1 again. */
maas_status maas_embed_dimensions(maas_embed *e, maas_err *err);
/* Reads the inputs and starts; true: replied already, false: the lane replies. e may be NULL. */
bool maas_embed_run(maas_embed *e, maas_status (*read)(maas_embed *e, maas_err *err),
                    void (*write)(maas_embed *e, maas_buf *out));

void maas_embed_put_floats(const float *v, int32_t n, maas_buf *out); /* [0.1,...] */
void maas_embed_put_base64(const float *v, int32_t n, maas_buf *out); /* "..." of little endian */

#endif
