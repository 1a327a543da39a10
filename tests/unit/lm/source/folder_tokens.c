/*
 * folder_tokens FOLDER [special] - texts from the standard input, each with its length (u32) before
 * it, to lines of token ids: what tests/client/test_tokenizer_json.py compares with tokenizers.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lm/files.h"
#include "lm/tokenizer.h"

static int failed(const maas_err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    return 1;
}

static int each_text(const maas_tokenizer *t, unsigned flags)
{
    maas_buf ids = MAAS_BUF_INIT((size_t)1 << 28), text = MAAS_BUF_INIT((size_t)1 << 28);
    maas_err err = {0};
    for (uint32_t n; fread(&n, sizeof n, 1, stdin) == 1;) {
        maas_buf_clear(&text);
        maas_buf_clear(&ids);
        if (!maas_buf_reserve(&text, n + 1) || fread(text.p, 1, n, stdin) != n)
            return 1;
        if (maas_tokenizer_encode(t, (maas_str){text.p, n}, flags, &ids, &err) != MAAS_OK)
            return failed(&err);
        for (size_t i = 0; i < ids.n / sizeof(int32_t); i++)
            printf("%d ", ((const int32_t *)(const void *)ids.p)[i]);
        printf("\n");
    }
    maas_buf_reset(&text);
    maas_buf_reset(&ids);
    return 0;
}

int main(int argc, char **argv)
{
    maas_err err = {0};
    maas_lm_files files = {0};
    maas_lm_source *s = NULL;
    maas_tokenizer *t = NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: folder_tokens FOLDER [special] <TEXTS\n");
        return 2;
    }
    int rc = maas_lm_files_open(&files, argv[1], &err) == MAAS_OK &&
                     maas_lm_source_open(files.list, files.n, NULL, &s, &err) == MAAS_OK &&
                     maas_tokenizer_create(s, NULL, &t, &err) == MAAS_OK
                 ? each_text(t, argc > 2 ? MAAS_TOKENS_SPECIAL : 0)
                 : failed(&err);
    maas_tokenizer_destroy(t);
    maas_lm_source_close(s);
    maas_lm_files_reset(&files);
    return rc;
}
