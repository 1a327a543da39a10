/* A step: the same bytes however tokens are cut into steps, in whatever company, by any number of
 * threads, for every block type that can be written and every architecture; and what is not right
 * is refused. */
#include "maas_test.h"

#include "base/mem.h"
#include "lm/model.h"
#include "lm/model/model_int.h"
#include "lm/tiny.h"

enum { N_TOKENS = 45 };

static void tokens_of(int32_t *out, int seed)
{
    for (int i = 0; i < N_TOKENS; i++)
        out[i] = (i * 37 + seed * 11) % TINY_VOCAB;
}

typedef struct rig {
    tiny t;
    maas_lm_source *source;
    maas_lm *model;
} rig;

static void rig_open_of(rig *r, const tiny_arch *arch, maas_quant_id type, int threads)
{
    maas_err err = {0};
    const maas_lm_file f = {"model.gguf", tiny_make_of(&r->t, arch, type, 9)};
    const maas_lm_opts o = {.n_threads = threads, .max_rows = 64, .max_seqs = 4};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &r->source, &err), MAAS_OK);
    EXPECT_EQ(maas_lm_create(r->source, &o, &r->model, &err), MAAS_OK);
    EXPECT_STR(err.msg, "");
}

static void rig_open(rig *r, maas_quant_id type, int threads)
{
    rig_open_of(r, tiny_archs, type, threads);
}

static void rig_close(rig *r)
{
    maas_lm_destroy(r->model);
    maas_lm_source_close(r->source);
    tiny_reset(&r->t);
}

/* The logits of the last token, tokens given `cut` at a time, beside another sequence or alone. */
static void run(rig *r, int cut, bool company, float *out)
{
    int32_t tokens[N_TOKENS], other[N_TOKENS], both[2 * N_TOKENS];
    const int32_t blocks[] = {5, 2, 9}, others[] = {1, 7, 3};
    const float *logits;
    maas_err err = {0};
    tokens_of(tokens, 1);
    tokens_of(other, 2);
    for (int past = 0; past < N_TOKENS; past += cut) {
        const int n = past + cut < N_TOKENS ? cut : N_TOKENS - past;
        const int more = company && n <= 19 ? 13 : 0;
        const maas_lm_seq seqs[] = {{more, 0, others, .state = 1}, {n, past, blocks, .state = 3}};
        const int32_t row = more + n - 1;
        memcpy(both, other, (size_t)more * sizeof *both);
        memcpy(both + more, tokens + past, (size_t)n * sizeof *both);
        const maas_lm_batch b = {both, more ? seqs : seqs + 1, &row, more ? 2 : 1, 1};
        EXPECT_EQ(maas_lm_step(r->model, &b, &logits, &err), MAAS_OK);
    }
    memcpy(out, logits, TINY_VOCAB * sizeof *out);
}

static void cuts_company_and_threads_change_nothing(void)
{
    static float want[TINY_VOCAB], got[TINY_VOCAB];
    static const int cuts[] = {1, 2, 7, 16, 19, 33};
    for (size_t i = 0; i < maas_n_quants; i++) {
        if (!maas_quants[i].from_f32)
            continue;
        for (int threads = 1; threads <= 2; threads++) {
            rig r;
            rig_open(&r, (maas_quant_id)maas_quants[i].id, threads);
            if (threads == 1)
                run(&r, N_TOKENS, false, want);
            for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++) {
                run(&r, cuts[k], k % 2 != 0, got);
                EXPECT_MSG(memcmp(got, want, sizeof got) == 0, "%s, %d at a time, %d threads",
                           maas_quants[i].name, cuts[k], threads);
            }
            rig_close(&r);
        }
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* One architecture: few tokens at a time by one thread, many of them in company by two. */
static void keeps_to_itself(const tiny_arch *arch)
{
    static float want[TINY_VOCAB], got[TINY_VOCAB];
    static const struct {
        int cut, threads;
        bool company;
    } rows[] = {{N_TOKENS, 1, false}, {7, 1, true}, {1, 1, false}, {19, 2, true}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        rig r;
        rig_open_of(&r, arch, MAAS_Q_Q8_0, rows[k].threads);
        if (!r.model)
            return;
        run(&r, rows[k].cut, rows[k].company, k ? got : want);
        rig_close(&r);
        EXPECT_MSG(!k || (isfinite(got[0]) && memcmp(got, want, sizeof got) == 0),
                   "%s, %d at a time, %d threads", arch->name, rows[k].cut, rows[k].threads);
    }
}

/* Every row of the table; one that nobody wrote a model for fails by its name. Two cases, because a
 * case has only so much time. */
static void part_of_the_table(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const tiny_arch *arch = tiny_arch_of(maas_lm_archs[i].name);
        EXPECT_MSG(arch, "tests/lm/tiny.h has no model of %s", maas_lm_archs[i].name);
        if (arch)
            keeps_to_itself(arch);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}
static void every_architecture_keeps_to_itself(void)
{
    part_of_the_table(0, maas_lm_n_archs / 2);
}
static void the_others_do_too(void)
{
    part_of_the_table(maas_lm_n_archs / 2, maas_lm_n_archs);
}

/* A file that has more than its architecture computes is not computed without it. */
static void weights_that_nothing_reads_are_refused(void)
{
    tiny_arch more = *tiny_arch_of("llama");
    more.has |= TINY_POST;
    tiny t;
    maas_err err = {0};
    maas_lm_source *s = NULL;
    maas_lm_info info;
    const maas_lm_file f = {"model.gguf", tiny_make_of(&t, &more, MAAS_Q_Q8_0, 9)};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &s, &err), MAAS_OK);
    EXPECT_EQ(maas_lm_check(s, &info, &err), MAAS_E_UNSUPPORTED);
    EXPECT_MSG(strstr(err.msg, "post_attention_norm.weight' is no part of a llama"), "%s", err.msg);
    maas_lm_source_close(s);
    tiny_reset(&t);
    const tiny_arch nobody = {"hal9000", 0, 1};
    const maas_lm_file g = {"model.gguf", tiny_make_of(&t, &nobody, MAAS_Q_Q8_0, 9)};
    err = (maas_err){0};
    EXPECT_EQ(maas_lm_source_open(&g, 1, NULL, &s, &err), MAAS_OK);
    EXPECT_EQ(maas_lm_check(s, &info, &err), MAAS_E_UNSUPPORTED);
    EXPECT_MSG(strstr(err.msg, "'hal9000' is not known; "), "%s", err.msg);
    maas_lm_source_close(s);
    tiny_reset(&t);
    const tiny_arch typo = {"qwen3meo", 0, 1};
    const maas_lm_file h = {"model.gguf", tiny_make_of(&t, &typo, MAAS_Q_Q8_0, 9)};
    err = (maas_err){0};
    EXPECT_EQ(maas_lm_source_open(&h, 1, NULL, &s, &err), MAAS_OK);
    EXPECT_EQ(maas_lm_check(s, &info, &err), MAAS_E_UNSUPPORTED);
    EXPECT_MSG(strstr(err.msg, "did you mean 'qwen3moe'?"), "%s", err.msg);
    maas_lm_source_close(s);
    tiny_reset(&t);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* What an architecture cannot do without is missed by its name. */
static void what_is_missing_is_named(void)
{
    static const struct {
        const char *arch;
        uint32_t without;
        maas_status want;
        const char *words;
    } rows[] = {
        {"qwen3", TINY_QK_NORM, MAAS_E_FORMAT, "'blk.0.attn_q_norm.weight' is missing"},
        {"gpt-oss", TINY_SINKS, MAAS_E_FORMAT, "'blk.0.attn_sinks.weight' is missing"},
        {"gemma2", TINY_POST, MAAS_E_FORMAT, "'blk.0.post_attention_norm.weight' is missing"},
        {"gpt2", TINY_POSITIONS, MAAS_E_FORMAT, "'position_embd.weight' is missing"},
        {"llama", TINY_FFN_NORM, MAAS_E_FORMAT, "'blk.0.ffn_norm.weight' is missing"},
        {"llama", TINY_GATE, MAAS_E_FORMAT, "'ffn_up.weight' of layer 0 has another shape"},
        {"qwen3moe", TINY_EXPERTS, MAAS_E_FORMAT, "'ffn_up.weight' of layer 0 has another shape"},
        {"granite", TINY_SCALES, MAAS_E_FORMAT, "granite.logit_scale is missing"},
        {"command-r", TINY_SCALES, MAAS_E_FORMAT, "command-r.logit_scale is missing"},
        {"deepseek2", TINY_LATENT, MAAS_E_FORMAT, "latent attention of rank 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tiny_arch less = *tiny_arch_of(rows[i].arch);
        tiny t;
        maas_err err = {0};
        maas_lm_source *s = NULL;
        maas_lm_info info;
        less.has &= ~rows[i].without;
        const maas_lm_file f = {"model.gguf", tiny_make_of(&t, &less, MAAS_Q_Q8_0, 9)};
        EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &s, &err), MAAS_OK);
        EXPECT_EQ(maas_lm_check(s, &info, &err), rows[i].want);
        EXPECT_MSG(strstr(err.msg, rows[i].words), "%s: %s", rows[i].arch, err.msg);
        maas_lm_source_close(s);
        tiny_reset(&t);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Numbers of a state that cannot be: told by the name of their key, or by the weight that has
 * another shape. */
static void states_that_cannot_be_are_named(void)
{
    static const struct {
        const char *arch, *key;
        uint32_t says;
        maas_status want;
        const char *words;
    } rows[] = {
        {"mamba2", "ssm.inner_size", 0, MAAS_E_FORMAT, "mamba2.ssm.inner_size is missing"},
        {"mamba2", "ssm.inner_size", UINT32_MAX, MAAS_E_TOO_LARGE, "ssm.inner_size is 4294967295"},
        {"mamba2", "ssm.inner_size", 130, MAAS_E_FORMAT,
         "130 channels cannot be shared by 4 heads"},
        {"mamba2", "ssm.state_size", 0, MAAS_E_FORMAT, "mamba2.ssm.state_size is missing"},
        {"mamba2", "ssm.state_size", 1 << 30, MAAS_E_TOO_LARGE, "ssm.state_size is 1073741824"},
        {"mamba2", "ssm.state_size", 1024, MAAS_E_FORMAT, "'ssm_in.weight' of layer 0"},
        {"mamba2", "ssm.conv_kernel", 1, MAAS_E_FORMAT, "mamba2.ssm.conv_kernel is missing, or"},
        {"mamba2", "ssm.conv_kernel", 17, MAAS_E_TOO_LARGE, "ssm.conv_kernel is 17, at most 16"},
        {"mamba2", "ssm.conv_kernel", 5, MAAS_E_FORMAT, "'ssm_conv1d.weight' of layer 0"},
        {"mamba2", "ssm.time_step_rank", 0, MAAS_E_FORMAT, "mamba2.ssm.time_step_rank is missing"},
        {"mamba2", "ssm.time_step_rank", 3, MAAS_E_FORMAT, "128 channels cannot be shared by 3"},
        {"mamba2", "ssm.group_count", 0, MAAS_E_FORMAT, "mamba2.ssm.group_count is missing"},
        {"mamba2", "ssm.group_count", 3, MAAS_E_FORMAT, "4 heads cannot be shared by 3 groups"},
        {"mamba2", "ssm.group_count", 5000, MAAS_E_TOO_LARGE, "ssm.group_count is 5000"},
        {"mamba", "ssm.state_size", 1024, MAAS_E_FORMAT, "'ssm_x.weight' of layer 0"},
        {"mamba", "ssm.time_step_rank", 65537, MAAS_E_TOO_LARGE, "ssm.time_step_rank is 65537"},
        {"mamba", "ssm.inner_size", 64, MAAS_E_FORMAT, "'ssm_in.weight' of layer 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tiny_arch other = *tiny_arch_of(rows[i].arch);
        tiny t;
        maas_err err = {0};
        maas_lm_source *s = NULL;
        maas_lm_info info;
        other.key = rows[i].key;
        other.says = rows[i].says;
        const maas_lm_file f = {"model.gguf", tiny_make_of(&t, &other, MAAS_Q_Q8_0, 9)};
        EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &s, &err), MAAS_OK);
        EXPECT_EQ(maas_lm_check(s, &info, &err), rows[i].want);
        EXPECT_MSG(strstr(err.msg, rows[i].words), "%s %u: %s", rows[i].key, rows[i].says, err.msg);
        maas_lm_source_close(s);
        tiny_reset(&t);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* A sequence that begins finds nothing of the one whose state it has now. */
static void old_states_are_forgotten(void)
{
    static float want[TINY_VOCAB], got[TINY_VOCAB];
    static const char *const names[] = {"mamba", "mamba2"};
    for (size_t i = 0; i < 2; i++) {
        rig r;
        rig_open_of(&r, tiny_arch_of(names[i]), MAAS_Q_Q8_0, 1);
        run(&r, 7, false, want);
        for (int cut = 1; cut < 20; cut += 9) {
            run(&r, cut, true, got);
            EXPECT_MSG(memcmp(got, want, sizeof got) == 0, "%s, %d at a time", names[i], cut);
        }
        rig_close(&r);
    }
}

/* The same weights in few bits say nearly the same: all types run the same network. */
static void types_agree(void)
{
    static float exact[TINY_VOCAB], got[TINY_VOCAB];
    static const struct {
        maas_quant_id id;
        double least; /* correlation with the logits of floats */
    } rows[] = {{MAAS_Q_BF16, 0.999}, {MAAS_Q_F16, 0.999}, {MAAS_Q_Q8_0, 0.995},
                {MAAS_Q_Q5_1, 0.97},  {MAAS_Q_Q5_0, 0.95}, {MAAS_Q_Q4_1, 0.9},
                {MAAS_Q_Q4_0, 0.85}};
    rig r;
    rig_open(&r, MAAS_Q_F32, 1);
    run(&r, N_TOKENS, false, exact);
    rig_close(&r);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        double xy = 0, xx = 0, yy = 0;
        rig_open(&r, rows[k].id, 1);
        run(&r, N_TOKENS, false, got);
        rig_close(&r);
        for (int i = 0; i < TINY_VOCAB; i++) {
            xy += (double)exact[i] * (double)got[i];
            xx += (double)exact[i] * (double)exact[i];
            yy += (double)got[i] * (double)got[i];
        }
        EXPECT_MSG(xy / sqrt(xx * yy) > rows[k].least, "%s: %g", maas_quant_of(rows[k].id)->name,
                   xy / sqrt(xx * yy));
    }
}

static void wrong_steps_are_refused(void)
{
    const int32_t blocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                  far[] = {1 << 20};
    int32_t tokens[80] = {0}, bad[] = {TINY_VOCAB}, row = 0, no_row = 70;
    const maas_lm_seq one = {1, 0, blocks}, none = {0, 0, blocks},
                      late = {2, TINY_CONTEXT - 1, blocks}, lost = {1, 0, far},
                      many = {65, 0, blocks};
    const maas_lm_batch wrong[] = {{tokens, &none, &row, 1, 1}, {tokens, &late, &row, 1, 1},
                                   {tokens, &lost, &row, 1, 1}, {tokens, &many, &row, 1, 1},
                                   {bad, &one, &row, 1, 1},     {tokens, &one, &no_row, 1, 1},
                                   {tokens, &one, &row, 0, 1},  {tokens, &one, &row, 99, 1}};
    const float *logits;
    rig r;
    rig_open(&r, MAAS_Q_Q8_0, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        maas_err err = {0};
        EXPECT_EQ(maas_lm_step(r.model, &wrong[i], &logits, &err), MAAS_E_INVALID);
    }
    rig_close(&r);
}

/* A large step comes after small ones, whose executors move into its memory; wherever that ends,
 * every number of rows goes on as before. */
static void memory_may_end_while_it_grows(void)
{
    const int32_t blocks[] = {5, 2, 9}, row = N_TOKENS - 1;
    static float want[TINY_VOCAB], got[TINY_VOCAB];
    int32_t tokens[N_TOKENS];
    maas_status st = MAAS_E_NOMEM;
    long n = 1;
    tokens_of(tokens, 1);
    for (; st != MAAS_OK && n < 20000; n++) {
        const maas_lm_seq seq = {N_TOKENS, 0, blocks};
        const float *logits;
        maas_err err = {0};
        rig r;
        rig_open(&r, MAAS_Q_Q4_1, 1);
        run(&r, 1, false, want);
        run(&r, 7, false, got);
        EXPECT(memcmp(got, want, sizeof got) == 0);
        maas_mem_fail_at(n);
        st = maas_lm_step(r.model, &(maas_lm_batch){tokens, &seq, &row, 1, 1}, &logits, &err);
        maas_mem_fail_at(0);
        EXPECT(st == MAAS_OK || st == MAAS_E_NOMEM);
        for (int cut = 1; cut < 2 * N_TOKENS; cut += N_TOKENS - 1) {
            run(&r, cut, false, got);
            EXPECT_MSG(memcmp(got, want, sizeof got) == 0, "allocation %ld, %d at a time", n, cut);
        }
        rig_close(&r);
    }
    EXPECT_EQ(st, MAAS_OK);
    EXPECT(n > 20);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(cuts_company_and_threads_change_nothing),
    MT_CASE(every_architecture_keeps_to_itself),
    MT_CASE(the_others_do_too),
    MT_CASE(weights_that_nothing_reads_are_refused),
    MT_CASE(what_is_missing_is_named),
    MT_CASE(states_that_cannot_be_are_named),
    MT_CASE(old_states_are_forgotten),
    MT_CASE(types_agree),
    MT_CASE(wrong_steps_are_refused),
    MT_CASE(memory_may_end_while_it_grows),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
