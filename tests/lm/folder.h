/* tests/lm/folder.h - a Hugging Face folder in one piece of memory: for each file a line
 * "NAME LENGTH", then its bytes (tests/fuzz/make_folder_corpus.py). */
#ifndef TESTS_LM_FOLDER_H
#define TESTS_LM_FOLDER_H

#include <string.h>

#include "base/num.h"
#include "lm/source.h"

enum { FOLDER_FILES = 16, FOLDER_NAME = 64 };

typedef struct folder {
    char names[FOLDER_FILES][FOLDER_NAME];
    maas_lm_file files[FOLDER_FILES];
    uint32_t n;
} folder;

/* As far as it can be taken apart: the last file may be cut. */
static inline void folder_open(folder *f, maas_span s)
{
    f->n = 0;
    while (s.n && f->n < FOLDER_FILES) {
        char *name = f->names[f->n];
        maas_lm_file *to = &f->files[f->n];
        const uint8_t *blank = memchr(s.p, ' ', s.n);
        const size_t n = blank ? (size_t)(blank - s.p) : s.n;
        uint64_t bytes = 0;
        if (!blank || n == 0 || n >= FOLDER_NAME)
            return;
        memcpy(name, s.p, n);
        name[n] = '\0';
        maas_span_skip(&s, n + 1);
        if (!maas_num_u64(&s, &bytes) || !maas_span_skip(&s, 1))
            return;
        to->path = name;
        maas_span_take(&s, bytes < s.n ? (size_t)bytes : s.n, &to->bytes);
        f->n++;
    }
}

#endif
