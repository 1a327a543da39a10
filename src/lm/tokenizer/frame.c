/* What stands around the texts of encoders: [CLS] a [SEP], [CLS] a [SEP] b [SEP]. */
#include <string.h>

#include "lm/tokenizer/tokenizer_int.h"
#include "base/ban.h"

static int32_t named(const maas_tokenizer *t, const maas_lm_source *s, const char *key,
                     int32_t otherwise, const char *name)
{
    uint64_t v = 0;
    if (maas_lm_u64(s, key, &v) && v < (uint64_t)t->n)
        return (int32_t)v;
    return otherwise >= 0 || !name ? otherwise
                                   : maas_tokenizer_find(t, (maas_str){name, strlen(name)});
}

static void put(int32_t id, int32_t *list, uint32_t *n)
{
    if (id >= 0)
        list[(*n)++] = id;
}

/* WordPiece parts with the token that ends a text; the others end the first text and then part. */
void maas_tokenizer_read_frame(maas_tokenizer *t, const maas_lm_source *s)
{
    const bool wordpiece = t->kind->read == maas_wordpiece_read;
    const int32_t begin = wordpiece ? named(t, s, "tokenizer.ggml.cls_token_id", t->bos, "[CLS]")
                                    : t->bos;
    const int32_t part = named(t, s, "tokenizer.ggml.seperator_token_id", -1,
                               wordpiece ? "[SEP]" : NULL);
    const int32_t end = wordpiece ? part : t->eos;
    bool ends = wordpiece || t->kind->read == maas_unigram_read;
    if (ends)
        t->begin = wordpiece;
    maas_lm_bool(s, "tokenizer.ggml.add_bos_token", &t->begin);
    maas_lm_bool(s, "tokenizer.ggml.add_eos_token", &ends);
    if (wordpiece && t->bos < 0)
        t->bos = begin;
    if (t->begin)
        put(begin, t->frame.before, &t->frame.n_before);
    if (ends) {
        put(end, t->frame.between, &t->frame.n_between);
        put(end, t->frame.after, &t->frame.n_after);
    }
    if (!wordpiece || !ends)
        put(part, t->frame.between, &t->frame.n_between);
}

uint32_t maas_tokenizer_n_frame(const maas_tokenizer *t, bool pair)
{
    return t->frame.n_before + t->frame.n_after + (pair ? t->frame.n_between : 0);
}

void maas_tokenizer_frame(const maas_tokenizer *t, const int32_t *a, uint32_t n_a, const int32_t *b,
                          uint32_t n_b, maas_buf *out, uint32_t *second)
{
    const size_t id = sizeof(int32_t);
    maas_buf_add(out, t->frame.before, t->frame.n_before * id);
    maas_buf_add(out, a, n_a * id);
    *second = t->frame.n_before + n_a;
    if (b) {
        maas_buf_add(out, t->frame.between, t->frame.n_between * id);
        maas_buf_add(out, b, n_b * id);
        *second += t->frame.n_between;
    }
    maas_buf_add(out, t->frame.after, t->frame.n_after * id);
    if (!b)
        *second += t->frame.n_after; /* the end: there is no second text */
}
