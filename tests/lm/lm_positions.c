/*
 * lm_positions MODEL.gguf - tokens (int32) on standard input become logits on standard output: of
 * each position, [n_vocab] floats. For test_lm_llama.py, which compares them with another
 * program's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "lm/model.h"

enum { MOST = 4096, ROWS = 64 }; /* ROWS: a step's */

static int fail(const maas_err *err)
{
    fprintf(stderr, "lm_positions: %s\n", err->msg);
    return 1;
}

static int write_all(maas_lm *m, const int32_t *tokens, int32_t n, maas_err *err)
{
    static int32_t blocks[MOST / MAAS_PAGE + 1], rows[ROWS];
    const size_t width = (size_t)maas_lm_about(m)->n_vocab;
    for (int32_t i = 0; i < MOST / MAAS_PAGE + 1; i++)
        blocks[i] = i;
    for (int32_t i = 0; i < ROWS; i++)
        rows[i] = i;
    for (int32_t past = 0; past < n; past += ROWS) {
        const int32_t now = n - past < ROWS ? n - past : ROWS;
        const maas_lm_seq seq = {.n = now, .past = past, .blocks = blocks};
        const maas_lm_batch b = {
            .tokens = tokens + past, .seqs = &seq, .n_seqs = 1, .out_rows = rows, .n_out = now};
        const float *logits;
        if (maas_lm_step(m, &b, &logits, err) != MAAS_OK)
            return fail(err);
        if (fwrite(logits, width * sizeof *logits, (size_t)now, stdout) != (size_t)now)
            return 1;
    }
    return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    static int32_t tokens[MOST];
    maas_map map = {0};
    maas_err err = {0};
    maas_lm_source *s = NULL;
    maas_lm *m = NULL;
    const maas_lm_opts o = {.max_context = MOST, .max_rows = ROWS, .max_seqs = ROWS};
    const int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0 || maas_sys_map(fd, &map, &err) != MAAS_OK) {
        fprintf(stderr, "usage: lm_positions MODEL.gguf <TOKENS >LOGITS\n");
        return 2;
    }
    const maas_lm_file file = {"model.gguf", maas_span_of(map.p, map.n)};
    const size_t n = fread(tokens, sizeof *tokens, MOST, stdin);
    int rc = 1;
    if (maas_lm_source_open(&file, 1, NULL, &s, &err) == MAAS_OK &&
        maas_lm_create(s, &o, &m, &err) == MAAS_OK)
        rc = write_all(m, tokens, (int32_t)n, &err);
    else
        fail(&err);
    maas_lm_destroy(m);
    maas_lm_source_close(s);
    maas_sys_unmap(&map);
    close(fd);
    return rc;
}
