/* Encoders: the same bytes in whatever company and by any number of threads, for every
 * architecture, block type and pooling; what is missing is named; no damaged file does harm. What
 * they answer is compared with others in tests/client/test_encoders.py. */
#include "maas_test.h"

#include "base/mem.h"
#include "lm/encoder.h"
#include "lm/tiny_encoder.h"
#include "lm/tokenizer.h"

enum { N_TEXTS = 7 };

typedef struct rig {
    tiny t;
    maas_lm_source *source;
    maas_encoder *encoder;
} rig;

static void rig_open(rig *r, int row, maas_quant_id type, uint32_t pooling, int threads)
{
    maas_err err = {0};
    const maas_lm_file f = {"model.gguf", tiny_encoder_make(&r->t, row, type, pooling, 9, NULL)};
    const maas_encoder_opts o = {.n_threads = threads, .max_rows = 256};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &r->source, &err), MAAS_OK);
    EXPECT_EQ(maas_encoder_create(r->source, &o, &r->encoder, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
}

static void rig_close(rig *r)
{
    maas_encoder_destroy(r->encoder);
    maas_lm_source_close(r->source);
    tiny_reset(&r->t);
}

/* Texts of 33 to 39 tokens, which are padded alike. */
static void texts_of(maas_encoder_text *texts, int32_t tokens[N_TEXTS][64], float *out,
                     int32_t n_out)
{
    for (int i = 0; i < N_TEXTS; i++) {
        for (int k = 0; k < 64; k++)
            tokens[i][k] = (k * 37 + i * 11) % ENC_VOCAB;
        texts[i] = (maas_encoder_text){tokens[i], 33 + i, 12 + i, out + i * n_out};
    }
}

static void run(rig *r, int at_a_time, float *out)
{
    static int32_t tokens[N_TEXTS][64];
    const int32_t n_out = maas_encoder_about(r->encoder)->n_out;
    maas_encoder_text texts[N_TEXTS];
    maas_err err = {0};
    texts_of(texts, tokens, out, n_out);
    for (int i = 0; i < N_TEXTS; i += at_a_time) {
        const int n = i + at_a_time < N_TEXTS ? at_a_time : N_TEXTS - i;
        EXPECT_EQ(maas_encoder_run(r->encoder, texts + i, n, &err), MAAS_OK);
        EXPECT_STR(err.msg, "");
    }
}

static void company_and_threads_change_nothing(void)
{
    static float want[N_TEXTS * ENC_EMBD], got[N_TEXTS * ENC_EMBD];
    static const int at_a_time[] = {2, 3, 5};
    for (size_t i = 0; i < maas_n_quants; i++)
        for (int row = 0; maas_quants[i].from_f32 && row < TINY_N_ENCODERS; row++)
            for (int threads = 1; threads <= 2; threads++) {
                rig r;
                rig_open(&r, row, (maas_quant_id)maas_quants[i].id, 1 + (uint32_t)(i % 4), threads);
                if (threads == 1)
                    run(&r, 1, want);
                for (size_t k = 0; k < 3; k++) {
                    run(&r, at_a_time[k], got);
                    const size_t n = (size_t)maas_encoder_about(r.encoder)->n_out * N_TEXTS;
                    EXPECT_MSG(memcmp(got, want, n * sizeof *got) == 0,
                               "%s, %s, %d at a time, %d threads", tiny_encoders[row].arch,
                               maas_quants[i].name, at_a_time[k], threads);
                }
                rig_close(&r);
            }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Answers are of length 1 and differ; poolings of one model differ. */
static void poolings_are_what_they_say(void)
{
    static float out[4][N_TEXTS * ENC_EMBD];
    for (int row = 0; row < TINY_N_ENCODERS; row++) {
        for (uint32_t p = MAAS_POOL_MEAN; p <= MAAS_POOL_RANK; p++) {
            rig r;
            rig_open(&r, row, MAAS_Q_F32, p, 1);
            EXPECT_EQ(maas_encoder_about(r.encoder)->n_out, p == MAAS_POOL_RANK ? 1 : ENC_EMBD);
            run(&r, 4, out[p - 1]);
            for (int i = 0; p != MAAS_POOL_RANK && i < N_TEXTS; i++) {
                double length = 0;
                for (int k = 0; k < ENC_EMBD; k++)
                    length += pow((double)out[p - 1][i * ENC_EMBD + k], 2);
                EXPECT_NEAR(length, 1, 1e-6);
            }
            rig_close(&r);
        }
        EXPECT(memcmp(out[0], out[1], sizeof out[0]) && memcmp(out[1], out[2], sizeof out[0]));
        EXPECT(out[3][0] != out[3][1]);
    }
}

static void wrong_texts_are_refused(void)
{
    int32_t tokens[ENC_CONTEXT + 1] = {0}, bad[] = {ENC_VOCAB}, negative[] = {-1};
    float out[2 * ENC_EMBD];
    const maas_encoder_text ok = {tokens, 3, 3, out}, other = {tokens, 30, 30, out};
    const maas_encoder_text wrong[][2] = {{{tokens, 0, 0, out}, ok},
                                          {{tokens, ENC_CONTEXT + 1, 0, out}, ok},
                                          {{bad, 1, 1, out}, ok},
                                          {{negative, 1, 1, out}, ok},
                                          {ok, other}};
    rig r;
    rig_open(&r, 0, MAAS_Q_F32, 1, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        maas_err err = {0};
        EXPECT_EQ(maas_encoder_run(r.encoder, wrong[i], i == 4 ? 2 : 1, &err), MAAS_E_INVALID);
    }
    maas_err err = {0};
    EXPECT_EQ(maas_encoder_run(r.encoder, &ok, 0, &err), MAAS_E_INVALID);
    EXPECT_EQ(maas_encoder_run(r.encoder, &ok, 1, NULL), MAAS_OK);
    rig_close(&r);
}

static void lengths_pad_little(void)
{
    rig r;
    rig_open(&r, 0, MAAS_Q_F32, 1, 1);
    for (int32_t n = 1; n <= ENC_CONTEXT; n++) {
        const int32_t to = maas_encoder_length(r.encoder, n);
        EXPECT_MSG(to >= n && to <= ENC_CONTEXT && (n < 8 || to <= n * 3 / 2), "%d: %d", n, to);
        EXPECT(maas_encoder_room(r.encoder, to) >= 1);
    }
    rig_close(&r);
}

/* Many shapes: plans not used for long are made anew. */
static void shapes_come_and_go(void)
{
    int32_t tokens[ENC_CONTEXT] = {0};
    float out[8 * ENC_EMBD], first[ENC_EMBD];
    maas_encoder_text texts[8];
    maas_err err = {0};
    rig r;
    rig_open(&r, 1, MAAS_Q_Q8_0, 2, 1);
    for (int round = 0; round < 2; round++)
        for (int32_t n = 1; n <= ENC_CONTEXT; n += 5)
            for (int b = 1; b <= 8; b *= 2) {
                if (b > maas_encoder_room(r.encoder, maas_encoder_length(r.encoder, n)))
                    continue;
                for (int i = 0; i < b; i++)
                    texts[i] = (maas_encoder_text){tokens, n, n, out + i * ENC_EMBD};
                EXPECT_EQ(maas_encoder_run(r.encoder, texts, b, &err), MAAS_OK);
                if (b == 1)
                    memcpy(first, out, sizeof first);
                EXPECT_EQ(memcmp(first, out + (b - 1) * ENC_EMBD, sizeof first), 0);
            }
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static maas_status check(maas_span file, maas_err *err)
{
    const maas_lm_file f = {"model.gguf", file};
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_lm_source *s = NULL;
    maas_encoder_info info;
    maas_status st = maas_lm_source_open(&f, 1, &budget, &s, err);
    if (st == MAAS_OK)
        st = maas_encoder_check(s, &info, err);
    maas_lm_source_close(s);
    return st;
}

static void what_is_missing_is_named(void)
{
    for (int row = 0; row < TINY_N_ENCODERS; row++) {
        tiny all;
        const maas_lm_file f = {"model.gguf", tiny_encoder_make(&all, row, MAAS_Q_F32, 4, 9, NULL)};
        maas_lm_source *s = NULL;
        EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &s, NULL), MAAS_OK);
        for (uint32_t i = 0; i < maas_lm_n_weights(s); i++) {
            char name[80];
            const maas_str n = maas_lm_weight_at(s, i)->name;
            snprintf(name, sizeof name, "%.*s", (int)n.n, n.p);
            const bool may = strcmp(name, "token_types.weight") == 0 ||
                             strcmp(name, "cls.weight") == 0 ||
                             strcmp(name, "blk.0.attn_norm.weight") == 0;
            tiny t;
            maas_err err = {0};
            const maas_status st = check(tiny_encoder_make(&t, row, MAAS_Q_F32, 4, 9, name), &err);
            EXPECT_MSG(st == (may ? MAAS_OK : MAAS_E_FORMAT), "%s: %d", name, st);
            EXPECT_MSG(may || strstr(err.msg, strstr(name, "attn_qkv")   ? "attn_q"
                                              : strstr(name, "ffn_gate") ? "ffn_up"
                                                                         : name),
                       "%s: %s", name, err.msg);
            tiny_reset(&t);
        }
        maas_lm_source_close(s);
        tiny_reset(&all);
    }
}

/* ---- language models that are pooled ---- */

enum { LONG = 90 };

static void open_causal(rig *r, const char *arch, maas_quant_id type, uint32_t pooling,
                        int32_t max_rows)
{
    maas_err err = {0};
    const maas_lm_file f = {"model.gguf",
                            tiny_make_pooled(&r->t, tiny_arch_of(arch), type, pooling, 4)};
    const maas_encoder_opts o = {.n_threads = 1, .max_rows = max_rows};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &r->source, &err), MAAS_OK);
    EXPECT(maas_encoder_is(r->source));
    EXPECT_EQ(maas_encoder_create(r->source, &o, &r->encoder, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
}

static void ids_of(int32_t *ids, int seed)
{
    for (int i = 0; i < LONG; i++)
        ids[i] = (i * 37 + seed * 11) % TINY_VOCAB;
}

/* What the last norm gives, times the embeddings, are the logits that the same file writes with. */
static void the_last_token_is_what_logits_are_made_of(void)
{
    int32_t ids[LONG];
    const int32_t blocks[] = {0, 1, 2, 3, 4, 5}, row = LONG - 1;
    const maas_lm_seq seq = {LONG, 0, blocks};
    const maas_lm_batch batch = {ids, &seq, &row, 1, 1};
    const maas_lm_opts o = {.n_threads = 1, .max_rows = 128, .max_seqs = 1};
    const float *logits, *w;
    float v[TINY_EMBD];
    double ab = 0, aa = 0, bb = 0;
    maas_lm *lm = NULL;
    rig r;
    open_causal(&r, "llama", MAAS_Q_F32, MAAS_POOL_LAST, 32);
    ids_of(ids, 1);
    const maas_encoder_text text = {ids, LONG, LONG, v};
    EXPECT_EQ(maas_encoder_run(r.encoder, &text, 1, NULL), MAAS_OK);
    EXPECT_EQ(maas_lm_create(r.source, &o, &lm, NULL), MAAS_OK);
    EXPECT_EQ(maas_lm_step(lm, &batch, &logits, NULL), MAAS_OK);
    w = (const float *)(const void *)maas_lm_weight_of(r.source, "token_embd.weight")->data;
    for (int i = 0; i < TINY_VOCAB; i++) {
        double dot = 0;
        for (int k = 0; k < TINY_EMBD; k++)
            dot += (double)w[i * TINY_EMBD + k] * (double)v[k];
        ab += dot * (double)logits[i];
        aa += dot * dot;
        bb += (double)logits[i] * (double)logits[i];
    }
    EXPECT_NEAR(ab / sqrt(aa * bb), 1, 1e-10);
    maas_lm_destroy(lm);
    rig_close(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Steps of 32 rows cut the long text; beside it or alone, of whatever step, the same bytes. */
static void keep_texts_apart(const char *arch)
{
    static const int32_t lengths[] = {1, 9, 12, 30, LONG};
    enum { N = sizeof lengths / sizeof *lengths };
    static float want[N][TINY_EMBD], got[N][TINY_EMBD];
    int32_t ids[N][LONG];
    for (uint32_t pooling = MAAS_POOL_MEAN; pooling <= MAAS_POOL_LAST; pooling++)
        for (int32_t rows = 32; rows <= 512; rows *= 4) {
            rig r;
            open_causal(&r, arch, MAAS_Q_Q8_0, pooling, rows);
            for (int i = 0; i < N; i++) {
                maas_encoder_text same[4];
                ids_of(ids[i], i);
                const int32_t room = maas_encoder_room(r.encoder,
                                                       maas_encoder_length(r.encoder, lengths[i]));
                const int n = room < 4 ? (int)room : 4;
                float other[TINY_EMBD];
                for (int k = 0; k < n; k++)
                    same[k] = (maas_encoder_text){ids[i], lengths[i], lengths[i],
                                                  k == n - 1 ? (rows == 32 ? want[i] : got[i])
                                                             : other};
                EXPECT_EQ(maas_encoder_run(r.encoder, same, n, NULL), MAAS_OK);
                EXPECT_MSG(rows == 32 || memcmp(want[i], got[i], sizeof want[i]) == 0,
                           "%s, pooling %u, %d rows, %d tokens", arch, pooling, rows, lengths[i]);
            }
            rig_close(&r);
        }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void pooled_models_keep_their_texts_apart(void)
{
    keep_texts_apart("llama");
    keep_texts_apart("mamba2");
}

static void pooled_models_that_rank_are_refused(void)
{
    tiny t;
    maas_err err = {0};
    EXPECT_EQ(check(tiny_causal_make(&t, MAAS_Q_F32, MAAS_POOL_RANK, 1), &err), MAAS_E_UNSUPPORTED);
    EXPECT(strstr(err.msg, "pooling_type"));
    tiny_reset(&t);
}

/* A file with some bytes of its head changed: refused, or it runs. */
static void damaged_files_do_no_harm(void)
{
    int32_t tokens[] = {2, 5, 6, 3};
    maas_rng rng;
    maas_rng_seed(&rng, 3);
    int n_open = 0;
    for (int i = 0; i < 1500; i++) {
        tiny t;
        const maas_span whole = tiny_encoder_make(&t, i % TINY_N_ENCODERS, MAAS_Q_Q8_0,
                                                  1 + (uint32_t)i % 4, 1, NULL);
        const size_t head = whole.n - t.data.n;
        for (int k = 0; k < 1 + i % 3; k++)
            ((uint8_t *)(uintptr_t)whole.p)[maas_rng_below(&rng, head)] = (uint8_t)maas_rng_u64(
                &rng);
        maas_budget budget = {.limit = (size_t)64 << 20};
        const maas_lm_file f = {"model.gguf", whole};
        const maas_encoder_opts o = {.n_threads = 1, .budget = &budget};
        maas_err err = {0};
        maas_lm_source *s = NULL;
        maas_encoder *e = NULL;
        maas_tokenizer *k = NULL;
        if (maas_lm_source_open(&f, 1, &budget, &s, &err) == MAAS_OK) {
            maas_tokenizer_create(s, &budget, &k, &err);
            err = (maas_err){0};
            if (maas_encoder_create(s, &o, &e, &err) == MAAS_OK) {
                AUTO_FREE float *out = maas_alloc((size_t)maas_encoder_about(e)->n_out * 4);
                const maas_encoder_text text = {tokens, 4, 2, out};
                maas_status st = maas_encoder_run(e, &text, 1, &err);
                EXPECT_MSG(st == MAAS_OK || err.msg[0], "file %d: %d", i, st);
                n_open += st == MAAS_OK;
            } else {
                EXPECT_MSG(err.msg[0], "file %d is refused without a word", i);
            }
        }
        maas_encoder_destroy(e);
        maas_tokenizer_destroy(k);
        maas_lm_source_close(s);
        tiny_reset(&t);
    }
    EXPECT_MSG(n_open > 50, "only %d files were opened", n_open);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(company_and_threads_change_nothing),
    MT_CASE(poolings_are_what_they_say),
    MT_CASE(wrong_texts_are_refused),
    MT_CASE(lengths_pad_little),
    MT_CASE(shapes_come_and_go),
    MT_CASE(what_is_missing_is_named),
    MT_CASE(the_last_token_is_what_logits_are_made_of),
    MT_CASE(pooled_models_keep_their_texts_apart),
    MT_CASE(pooled_models_that_rank_are_refused),
    MT_CASE(damaged_files_do_no_harm),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
