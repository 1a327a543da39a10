/* api/openai_int.h - what /v1/chat/completions and /v1/completions write alike. `object`: what an
 * answer or a chunk of it calls itself. */
#ifndef MAAS_API_OPENAI_INT_H
#define MAAS_API_OPENAI_INT_H

#include "api/talk.h"

void maas_openai_put_str(maas_buf *b, maas_str s);
void maas_openai_put_head(maas_talk *t, const char *object, maas_buf *b);
void maas_openai_put_usage(const maas_talk *t, maas_buf *b);
/* An event with one choice; its members are written between the two. */
void maas_openai_begin(maas_talk *t, const char *object, maas_buf *b);
void maas_openai_end(maas_buf *b);
void maas_openai_close(maas_talk *t, const char *object, maas_buf *b); /* usage, [DONE] */
void maas_openai_failed(maas_talk *t, const maas_err *err, maas_buf *b);

#endif
