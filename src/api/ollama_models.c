/* api/ollama_models.c - what Ollama's clients ask about the server and its language models. */
#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/ollama.h"
#include "api/reply.h"
#include "base/mem.h"
#include "base/sys.h"
#include "serve/lm_service.h"
#include "base/ban.h"

void maas_ollama_root(maas_req *r)
{
    static const char text[] = "Ollama is running";
    maas_req_reply(r, 200, "text/plain; charset=utf-8", text, sizeof text - 1, false);
}

void maas_ollama_version(maas_req *r)
{
    maas_reply_tree(r, 200, json_pack("{s:s}", "version", maas_version()));
}

static bool is_language_model(const maas_snap_version *v)
{
    return v->format && strcmp(v->format, "gguf") == 0;
}

static json_t *details(const char *family)
{
    return json_pack("{s:s, s:s, s:s, s:[s], s:s, s:s}", "parent_model", "", "format", "gguf",
                     "family", family, "families", family, "parameter_size", "",
                     "quantization_level", "");
}

static json_t *tag(maas_app *app, const char *name, const maas_snap_version *v)
{
    char when[32];
    AUTO_FD fd = -1;
    uint64_t bytes = 0;
    if (maas_blob_open(app->registry, v->artifact_hex, &fd, &bytes, NULL) != MAAS_OK)
        bytes = 0;
    maas_time_rfc3339(app->started_ms, when);
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:o}", "name", name, "model", name, "modified_at",
                     when, "size", (json_int_t)bytes, "digest", v->artifact_hex, "details",
                     details(""));
}

static bool tags_on_io(maas_req *r)
{
    maas_app *app = maas_app_of(r);
    const maas_tenant t = maas_caller(r)->tenant;
    const maas_snapshot *s = maas_registry_snapshot(app->registry);
    json_t *list = json_array();
    maas_err ignored = {0};
    for (uint32_t i = 0; s && i < maas_snapshot_n_models(s, t); i++) {
        const maas_snap_version *v;
        uint32_t n;
        const char *name = maas_snapshot_model(s, t, i, &v, &n);
        if (n && is_language_model(&v[n - 1]) && maas_may_use_model(r, name, &ignored) == MAAS_OK)
            json_array_append_new(list, tag(app, name, &v[n - 1]));
    }
    maas_snapshot_unref(s);
    maas_reply_tree(r, 200, json_pack("{s:o}", "models", list));
    return true;
}

void maas_ollama_tags(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, tags_on_io);
}

typedef struct ps {
    const maas_req *req;
    json_t *list;
} ps;

static void add_running(void *user, maas_lm_service *s)
{
    ps *p = user;
    const maas_lm_info *i = maas_lm_service_about(s);
    const char *name = maas_lm_service_name(s);
    maas_err ignored = {0};
    if (maas_may_use_model(p->req, name, &ignored) != MAAS_OK)
        return;
    json_array_append_new(
        p->list, json_pack("{s:s, s:s, s:I, s:s, s:o, s:s, s:i, s:i}", "name", name, "model", name,
                           "size", (json_int_t)maas_lm_service_bytes(s), "digest", "", "details",
                           details(i->arch), "expires_at", "2318-01-01T00:00:00Z", "size_vram", 0,
                           "context_length", i->n_context));
}

void maas_ollama_ps(maas_req *r)
{
    ps p = {r, json_array()};
    maas_models_each_lm(maas_app_of(r)->models, add_running, &p);
    maas_reply_tree(r, 200, json_pack("{s:o}", "models", p.list));
}

/* Every model that chats can be given tools. */
static json_t *capabilities(const maas_chat *chat)
{
    json_t *all = json_pack("[s]", "completion");
    const maas_said_style *y = chat ? maas_chat_style(chat) : NULL;
    if (chat)
        json_array_append_new(all, json_string("tools"));
    if (y && y->n && y->markers[0].role == MAAS_SAID_THINK)
        json_array_append_new(all, json_string("thinking"));
    return all;
}

static json_t *shown(const maas_lm_service *s)
{
    const maas_lm_info *i = maas_lm_service_about(s);
    const maas_chat *chat;
    maas_err ignored = {0};
    const bool chats = maas_lm_service_chat(s, &chat, &ignored) == MAAS_OK;
    json_t *info = json_pack("{s:s, s:I}", "general.architecture", i->arch,
                             "general.parameter_count", (json_int_t)i->n_params);
    const struct {
        const char *key;
        int32_t value;
    } numbers[] = {{"context_length", i->n_context_train},
                   {"embedding_length", i->n_embd},
                   {"block_count", i->n_layers},
                   {"attention.head_count", i->n_heads},
                   {"attention.head_count_kv", i->n_kv_heads},
                   {"vocab_size", i->n_vocab}};
    for (size_t k = 0; k < MAAS_COUNT(numbers); k++) {
        char key[128];
        snprintf(key, sizeof key, "%s.%s", i->arch, numbers[k].key);
        json_object_set_new(info, key, json_integer(numbers[k].value));
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "modelfile", "", "parameters", "",
                     "template", chats ? "{{ .Prompt }}" : "", "details", details(i->arch),
                     "model_info", info, "capabilities", capabilities(chats ? chat : NULL));
}

static maas_status find_shown(maas_req *r, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *body = NULL;
    MAAS_TRY(maas_body_object(r, &body, err));
    const char *model = json_string_value(json_object_get(body, "model"));
    if (!model)
        model = json_string_value(json_object_get(body, "name"));
    const size_t n = model ? strlen(model) : 0;
    maas_lm_service *s;
    if (!model)
        return maas_fail(err, MAAS_E_INVALID, "'model' is missing");
    if (n > 7 && strcmp(model + n - 7, ":latest") == 0)
        model = maas_arena_strndup(maas_req_arena(r), model, n - 7);
    if (!model)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a request");
    MAAS_TRY(maas_may_use_model(r, model, err));
    MAAS_TRY(maas_models_load_lm(maas_app_of(r)->models, maas_caller(r)->tenant, model, &s, err));
    *out = shown(s);
    maas_lm_service_unref(s);
    return MAAS_OK;
}

static bool show_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *out = NULL;
    if (find_shown(r, &out, &err) == MAAS_OK)
        maas_reply_tree(r, 200, out);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_ollama_show(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, show_on_io);
}
