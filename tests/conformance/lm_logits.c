/*
 * lm_logits MODEL.gguf TOKENS OUT CUT - the logits of every token of one sequence, given CUT tokens
 * at a time: what tests/client/test_architectures.py compares with a reference and with llama.cpp.
 * TOKENS: int32 in a file; OUT: float [tokens][vocabulary]. A fifth argument is the context of the
 * sequence (0: the file's), a sixth the file of an adapter that is added.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "lm/model/model_int.h"

static int failed(const maas_err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    return 1;
}

/* Blocks of the cache from the last to the first: a table that counts up would hide a wrong one. */
static int run(maas_lm *m, const int32_t *tokens, int32_t n, int32_t cut, FILE *to)
{
    const maas_lm_info *info = maas_lm_about(m);
    int32_t *rows = maas_alloc((size_t)cut * sizeof *rows);
    int32_t *blocks = maas_alloc((size_t)info->n_blocks * sizeof *blocks);
    maas_err err = {0};
    maas_status st = MAAS_OK;
    for (int32_t i = 0; i < info->n_blocks; i++)
        blocks[i] = info->n_blocks - 1 - i;
    for (int32_t past = 0; past < n && st == MAAS_OK; past += cut) {
        const maas_lm_seq seq = {n - past < cut ? n - past : cut, past, blocks, info->n_adapters,
                                 1};
        const float *logits;
        for (int32_t i = 0; i < seq.n; i++)
            rows[i] = i;
        st = maas_lm_step(m, &(maas_lm_batch){tokens + past, &seq, rows, 1, seq.n}, &logits, &err);
        if (st == MAAS_OK)
            fwrite(logits, sizeof *logits, (size_t)seq.n * (size_t)info->n_vocab, to);
    }
    maas_free(rows);
    maas_free(blocks);
    return st == MAAS_OK ? 0 : failed(&err);
}

static bool mapped(const char *path, maas_map *out, maas_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && maas_sys_map(fd, out, err) == MAAS_OK;
}

int main(int argc, char **argv)
{
    maas_err err = {0};
    maas_map model = {0}, ids = {0}, adapter = {0};
    maas_lm_source *source = NULL;
    maas_lm *m = NULL;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < maas_lm_n_archs; i++)
            printf("%s\n", maas_lm_archs[i].name);
        return 0;
    }
    const long cut = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
    const maas_lm_opts o = {.n_threads = 1,
                            .max_context = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : 0};
    if (cut < 1 || cut > 512 || !mapped(argv[1], &model, &err) || !mapped(argv[2], &ids, &err) ||
        (argc > 6 && !mapped(argv[6], &adapter, &err))) {
        fprintf(stderr, "usage: lm_logits MODEL.gguf TOKENS OUT CUT [CONTEXT [ADAPTER.gguf]] %s\n",
                err.msg);
        return 2;
    }
    const maas_lm_file files[] = {{"model.gguf", maas_span_of(model.p, model.n)},
                                  {"adapters/a.gguf", maas_span_of(adapter.p, adapter.n)}};
    if (maas_lm_source_open(files, argc > 6 ? 2 : 1, NULL, &source, &err) != MAAS_OK ||
        maas_lm_create(source, &o, &m, &err) != MAAS_OK)
        return failed(&err);
    FILE *to = fopen(argv[3], "wb");
    if (!to)
        return 2;
    const int rc = run(m, (const int32_t *)(const void *)ids.p, (int32_t)(ids.n / 4), (int32_t)cut,
                       to);
    fclose(to);
    maas_lm_destroy(m);
    maas_lm_source_close(source);
    return rc;
}
