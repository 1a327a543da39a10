/*
 * lm_tokens MODEL.gguf - texts from the standard input, each ended by a zero byte, to lines of
 * token ids: what tests/client/test_words.py compares with the makers' pipelines and with
 * llama.cpp.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "lm/tokenizer.h"

static int failed(const maas_err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    return 1;
}

static int each_text(const maas_tokenizer *t, const maas_buf *in)
{
    maas_buf ids = MAAS_BUF_INIT((size_t)1 << 28);
    maas_err err = {0};
    for (size_t at = 0; at < in->n;) {
        const size_t n = strnlen(in->p + at, in->n - at);
        maas_buf_clear(&ids);
        if (maas_tokenizer_encode(t, (maas_str){in->p + at, n}, 0, &ids, &err) != MAAS_OK)
            return failed(&err);
        for (size_t i = 0; i < ids.n / sizeof(int32_t); i++)
            printf("%d ", ((const int32_t *)(const void *)ids.p)[i]);
        printf("\n");
        at += n + 1;
    }
    maas_buf_reset(&ids);
    return 0;
}

int main(int argc, char **argv)
{
    maas_err err = {0};
    maas_map map = {0};
    maas_lm_source *s = NULL;
    maas_tokenizer *t = NULL;
    maas_buf in = MAAS_BUF_INIT((size_t)1 << 28);
    char part[4096];
    const int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || maas_sys_map(fd, &map, &err) != MAAS_OK) {
        fprintf(stderr, "usage: lm_tokens MODEL.gguf <TEXTS %s\n", err.msg);
        return 2;
    }
    for (size_t n; (n = fread(part, 1, sizeof part, stdin)) > 0;)
        maas_buf_add(&in, part, n);
    const maas_lm_file file = {"model.gguf", maas_span_of(map.p, map.n)};
    if (maas_lm_source_open(&file, 1, NULL, &s, &err) != MAAS_OK ||
        maas_tokenizer_create(s, NULL, &t, &err) != MAAS_OK)
        return failed(&err);
    const int rc = each_text(t, &in);
    maas_buf_reset(&in);
    maas_tokenizer_destroy(t);
    maas_lm_source_close(s);
    return rc;
}
