/* api/openai.c - what chat and completions write alike. */
#include <inttypes.h>
#include <string.h>

#include "api/openai_int.h"
#include "base/ban.h"

void maas_openai_put_str(maas_buf *b, maas_str s)
{
    maas_buf_json_str(b, s.p ? s.p : "", s.n);
}

void maas_openai_put_head(maas_talk *t, const char *object, maas_buf *b)
{
    const char *model = maas_lm_service_name(t->service);
    maas_buf_str(b, "{\"id\":");
    maas_buf_json_str(b, t->id, strlen(t->id));
    maas_buf_printf(b, ",\"object\":\"%s\",\"created\":%" PRIu64 ",\"model\":", object, t->created);
    maas_buf_json_str(b, model, strlen(model));
}

void maas_openai_put_usage(const maas_talk *t, maas_buf *b)
{
    const maas_lm_timing *x = &t->timing;
    maas_buf_printf(b,
                    "\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u,"
                    "\"prompt_tokens_details\":{\"cached_tokens\":%u},"
                    "\"completion_tokens_details\":{\"reasoning_tokens\":%u}},\"timings\":",
                    x->prompt_tokens, x->tokens, x->prompt_tokens + x->tokens, x->cached_tokens,
                    t->reasoning_tokens);
    maas_talk_put_timings(t, b);
}

void maas_openai_begin(maas_talk *t, const char *object, maas_buf *b)
{
    maas_buf_str(b, "data: ");
    maas_openai_put_head(t, object, b);
    maas_buf_printf(b, ",\"choices\":[{\"index\":%d,", t->choice);
}

void maas_openai_end(maas_buf *b)
{
    maas_buf_str(b, "}]}\n\n");
}

void maas_openai_close(maas_talk *t, const char *object, maas_buf *b)
{
    if (t->include_usage) {
        maas_buf_str(b, "data: ");
        maas_openai_put_head(t, object, b);
        maas_buf_str(b, ",\"choices\":[],");
        maas_openai_put_usage(t, b);
        maas_buf_str(b, "}\n\n");
    }
    maas_buf_str(b, "data: [DONE]\n\n");
}

void maas_openai_failed(maas_talk *t, const maas_err *err, maas_buf *b)
{
    maas_buf_str(b, "data: {\"error\":{\"message\":");
    maas_buf_json_str(b, err->msg, strlen(err->msg));
    maas_buf_str(b, ",\"type\":\"api_error\",\"param\":null,\"code\":null}}\n\n");
}
