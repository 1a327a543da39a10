/* How a model is sampled when nobody says: what its files say, in GGUF's words and in those of
 * Hugging Face, or what is usual. */
#include "maas_test.h"

#include <fcntl.h>

#include "base/mem.h"
#include "base/sys.h"
#include "lm/folder.h"
#include "lm/sampler.h"

#define USUAL 0.8f, 0.95f, 0.05f, 40, 1, 64 /* where no file says anything */

typedef struct said {
    const char *key; /* NULL: the end */
    float value;
    bool whole;
} said;
static const struct {
    said file[4];       /* general.sampling.* of a GGUF file ... */
    const char *folder; /* ... or generation_config.json */
    float temperature, top_p, min_p;
    int32_t top_k;
    float repeat_penalty;
    int32_t repeat_last;
} rows[] = {
    {{{0}}, NULL, USUAL},
    {{{"temp", 0.6f, false}, {"top_p", 0.9f, false}}, NULL, 0.6f, 0.9f, 0, 0, 1, 64},
    {{{"top_k", 20, true}, {"min_p", 0.25f, false}}, NULL, 1, 1, 0.25f, 20, 1, 64},
    {{{"penalty_repeat", 1.5f, false}, {"penalty_last_n", 9, true}}, NULL, 1, 1, 0, 0, 1.5f, 9},
    {{{"temp", -1, false}, {"top_p", 1.5f, false}, {"top_k", 0.5f, false}}, NULL, USUAL},
    {{{"temp", 0, false}, {"top_p", 7, false}}, NULL, 0, 1, 0, 0, 1, 64},
    {{{0}}, "{\"eos_token_id\": 1}", USUAL},
    {{{0}}, "{\"temperature\": 0.7, \"top_k\": 20, \"top_p\": 0.8}", 0.7f, 0.8f, 0, 20, 1, 64},
    {{{0}}, "{\"repetition_penalty\": 1.25, \"min_p\": 0.5}", 1, 1, 0.5f, 0, 1.25f, 64},
    {{{0}}, "{\"temperature\": null, \"top_k\": \"50\", \"top_p\": -1}", USUAL},
};

static void check(size_t i, const maas_lm_source *s)
{
    const maas_sampling p = maas_sampling_of(s);
    EXPECT_MSG(p.temperature == rows[i].temperature && p.top_p == rows[i].top_p &&
                   p.min_p == rows[i].min_p && p.top_k == rows[i].top_k &&
                   p.repeat_penalty == rows[i].repeat_penalty &&
                   p.repeat_last == rows[i].repeat_last,
               "row %zu: %g %g %g %d %g %d", i, (double)p.temperature, (double)p.top_p,
               (double)p.min_p, p.top_k, (double)p.repeat_penalty, p.repeat_last);
}

static void of_gguf(size_t i)
{
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_gguf_writer w = {0};
    maas_buf file = MAAS_BUF_INIT(1 << 20);
    maas_lm_source *s;
    maas_gguf_put_str(&w, "general.architecture", (maas_str){"llama", 5});
    for (const said *k = rows[i].file; k < rows[i].file + MAAS_COUNT(rows[i].file) && k->key; k++) {
        char key[64];
        snprintf(key, sizeof key, "general.sampling.%s", k->key);
        if (k->whole)
            maas_gguf_put_u32(&w, key, (uint32_t)k->value);
        else
            maas_gguf_put_f32(&w, key, k->value);
    }
    maas_gguf_finish(&w, &file);
    const maas_lm_file f = {"model.gguf", maas_buf_span(&file)};
    EXPECT_EQ(maas_lm_source_open(&f, 1, &budget, &s, NULL), MAAS_OK);
    check(i, s);
    maas_lm_source_close(s);
    maas_gguf_writer_reset(&w);
    maas_buf_reset(&file);
}

static void of_folder(size_t i)
{
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_map m;
    folder f;
    maas_lm_source *s;
    AUTO_FD fd = open(CORPUS "/llama", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(maas_sys_map(fd, &m, NULL), MAAS_OK);
    folder_open(&f, maas_span_of(m.p, m.n));
    for (uint32_t k = 0; k < f.n; k++)
        if (strcmp(f.files[k].path, "generation_config.json") == 0)
            f.files[k].bytes = (maas_span){(const uint8_t *)rows[i].folder, strlen(rows[i].folder)};
    EXPECT_EQ(maas_lm_source_open(f.files, f.n, &budget, &s, NULL), MAAS_OK);
    check(i, s);
    maas_lm_source_close(s);
    maas_sys_unmap(&m);
}

static void what_files_say_else_what_is_usual(void)
{
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        (rows[i].folder ? of_folder : of_gguf)(i);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {MT_CASE(what_files_say_else_what_is_usual)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
