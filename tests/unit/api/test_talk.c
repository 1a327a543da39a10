/* A language model through the whole server: many streams at once get the answers they get alone,
 * those that leave stop nobody, and what is wrong is refused by name. */
#include <pthread.h>

#include "api_test.h"
#include "lm/tiny.h"

enum { N_STREAMS = 64, TOKENS = 24 };
static char answer[1 << 16];

static void publish(api *a)
{
    tiny t = {0};
    const maas_span file = tiny_make(&t, MAAS_Q_Q8_0, 3);
    maas_buf request = MAAS_BUF_INIT(64u << 20);
    maas_buf_printf(&request,
                    "PUT /api/v1/models/tiny/versions HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    file.n);
    maas_buf_add(&request, file.p, file.n);
    EXPECT_MSG(api_raw(a, request.p, request.n, answer, sizeof answer) == 201, "%s", answer);
    maas_buf_reset(&request);
    tiny_reset(&t);
}

static int connect_to(const api *a)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(maas_http_port(a->app.http)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void send_request(int fd, int i, int tokens)
{
    char body[512], text[1024];
    int n = snprintf(body, sizeof body,
                     "{\"model\":\"tiny\",\"prompt\":\"the words of %d\",\"max_tokens\":%d,"
                     "\"seed\":%d,\"ignore_eos\":true,\"stream\":true}",
                     i % 8, tokens, i % 8);
    n = snprintf(text, sizeof text,
                 "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 "Content-Length: %d\r\n\r\n%s",
                 n, body);
    EXPECT_EQ(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
}

/* The texts of all events, one after the other, as they are written; pause: a slow reader. */
static void stream(const api *a, int i, int pause_ms, char *out, size_t size)
{
    static const char key[] = "\"text\":";
    maas_buf all = MAAS_BUF_INIT(1u << 20);
    char piece[2048];
    int fd = connect_to(a);
    send_request(fd, i, TOKENS);
    for (ssize_t n; (n = recv(fd, piece, sizeof piece, 0)) > 0;) {
        maas_buf_add(&all, piece, (size_t)n);
        if (pause_ms)
            maas_sleep_ms(pause_ms);
    }
    close(fd);
    out[0] = 0;
    EXPECT(all.p && strstr(all.p, "200 OK") && strstr(all.p, "data: [DONE]"));
    for (const char *p = all.p; p && (p = strstr(p, key)) != NULL;) {
        p += sizeof key - 1;
        const char *end = strstr(p, ",\"logprobs\"");
        const size_t n = end ? (size_t)(end - p) : 0, at = strlen(out);
        if (at + n < size)
            snprintf(out + at, size - at, "%.*s", (int)n, p);
    }
    maas_buf_reset(&all);
}

typedef struct client {
    const api *a;
    int i;
    char text[8192];
} client;

static void *client_main(void *arg)
{
    client *c = arg;
    if (c->i % 4 == 3) { /* leaves after a few bytes */
        char some[64];
        int fd = connect_to(c->a);
        send_request(fd, c->i, 100);
        EXPECT(recv(fd, some, sizeof some, 0) > 0);
        close(fd);
    } else {
        stream(c->a, c->i, c->i % 4 == 2 ? 5 : 0, c->text, sizeof c->text);
    }
    return NULL;
}

static void many_streams_say_what_one_says(void)
{
    static client clients[N_STREAMS];
    static char alone[8][8192];
    pthread_t threads[N_STREAMS];
    api a;
    api_start(&a);
    publish(&a);
    for (int i = 0; i < 8; i++)
        stream(&a, i, 0, alone[i], sizeof alone[i]);
    EXPECT(strlen(alone[0]) > TOKENS);
    for (int i = 0; i < N_STREAMS; i++) {
        clients[i] = (client){.a = &a, .i = i};
        EXPECT_EQ(pthread_create(&threads[i], NULL, client_main, &clients[i]), 0);
    }
    for (int i = 0; i < N_STREAMS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N_STREAMS; i++)
        EXPECT_MSG(i % 4 == 3 || strcmp(clients[i].text, alone[i % 8]) == 0,
                   "stream %d: %s, not %s", i, clients[i].text, alone[i % 8]);
    api_stop(&a);
}

static void unloading_ends_what_is_under_way(void)
{
    api a;
    char piece[4096];
    api_start(&a);
    publish(&a);
    int fd = connect_to(&a);
    send_request(fd, 0, 100);
    EXPECT(recv(fd, piece, sizeof piece, 0) > 0);
    EXPECT_EQ(api_request(&a, "POST", "/v2/repository/models/tiny/unload", "", "{}", answer,
                          sizeof answer),
              200);
    while (recv(fd, piece, sizeof piece, 0) > 0)
        ;
    close(fd);
    api_stop(&a);
}

#define BETWEEN "\"input_prefix\":\"a\",\"input_suffix\":\"b\""
static const struct {
    const char *path, *body, *words;
    int status;
} wrong[] = {
    {"/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"a\",\"n\":1000}", "'n'", 400},
    {"/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"a\",\"temperature\":-1}", "temperature",
     400},
    {"/v1/completions", "{\"model\":\"tiny\",\"prompt\":[1.5]}", "prompt", 400},
    {"/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"a\",\"mirostat\":3}", "'mirostat'", 400},
    {"/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"a\",\"dry_sequence_breakers\":[1]}",
     "'dry_sequence_breakers'", 400},
    {"/v2/models/tiny/generate", "{\"text_input\":\"a\",\"timeout\":\"1\"}", "'timeout'", 400},
    {"/v1/completions", "{\"model\":\"nobody\",\"prompt\":\"a\"}", "not_found_error", 404},
    {"/v1/completions", "{", "invalid_request_error", 400},
    {"/v1/messages", "{\"model\":\"tiny\",\"messages\":[]}", "max_tokens", 400},
    {"/v1/messages", "[]", "invalid_request_error", 400},
    {"/api/generate", "{\"model\":\"tiny\",\"prompt\":5}", "'prompt'", 400},
    {"/api/generate", "{\"model\":\"tiny\",\"prompt\":\"a\",\"options\":{\"top_p\":7}}", "top_p",
     400},
    {"/api/chat", "{}", "'model'", 400},
    {"/v2/models/tiny/generate", "{\"parameters\":{}}", "text_input", 400},
    {"/v2/models/tiny/infer", "{\"inputs\":[]}", "language model", 400},
    {"/tokenize", "{\"model\":\"tiny\"}", "prompt", 400},
    {"/detokenize", "{\"model\":\"tiny\",\"tokens\":[-1]}", "tokens[0]", 400},
    {"/infill", "{\"model\":\"tiny\",\"input_suffix\":\"b\"}", "'input_prefix'", 400},
    {"/infill", "{\"model\":\"tiny\",\"input_prefix\":\"a\",\"input_suffix\":5}", "'input_suffix'",
     400},
    {"/infill", "{\"model\":\"tiny\"," BETWEEN ",\"prompt\":[]}", "'prompt'", 400},
    {"/infill", "{\"model\":\"tiny\"," BETWEEN ",\"n_predict\":\"all\"}", "'n_predict'", 400},
    {"/infill", "{\"model\":\"tiny\"," BETWEEN ",\"input_extra\":{}}", "'input_extra'", 400},
    {"/infill", "{\"model\":\"tiny\"," BETWEEN ",\"input_extra\":[{\"filename\":\"f\"}]}",
     "'input_extra[0].text'", 400},
    {"/infill",
     "{\"model\":\"tiny\"," BETWEEN ",\"input_extra\":[{\"text\":\"t\",\"filename\":1}]}",
     "'input_extra[0].filename'", 400},
    {"/infill", "{\"model\":\"tiny\"," BETWEEN "}", "was not made to fill in", 400},
    {"/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"a\",\"suffix\":\"b\"}",
     "was not made to fill in", 400},
    {"/api/generate", "{\"model\":\"tiny\",\"prompt\":\"a\",\"suffix\":\"b\"}",
     "{\"error\":\"the model was not made to fill in", 400},
};

static void what_is_wrong_is_refused_by_name(void)
{
    api a;
    api_start(&a);
    publish(&a);
    for (size_t i = 0; i < MAAS_COUNT(wrong); i++) {
        int st = api_request(&a, "POST", wrong[i].path, "", wrong[i].body, answer, sizeof answer);
        EXPECT_MSG(st == wrong[i].status && strstr(answer, wrong[i].words), "%s %s: %d %s",
                   wrong[i].path, wrong[i].body, st, answer);
    }
    api_stop(&a);
}

/* The first plain character of a JSON text after `key` in the answer. */
static char some_letter(const char *key)
{
    const char *p = strstr(answer, key);
    EXPECT(p != NULL);
    for (p = p ? p + strlen(key) + 1 : "\""; *p && *p != '"'; p++)
        if (*p == '\\')
            p += p[1] == 'u' ? 5 : 1;
        else if (*p >= '!' && *p <= '~')
            return *p;
    return 0;
}

/* A body in chunks as one piece, in place: an event may go on in the next chunk. */
static void join_chunks(void)
{
    char *body = strstr(answer, "\r\n\r\n");
    if (!body || !strstr(answer, "chunked"))
        return;
    char *from = body + 4, *to = from, *end = from + strlen(from);
    for (;;) {
        char *data;
        const size_t n = strtoul(from, &data, 16), left = (size_t)(end - data);
        if (data == from || left < n + 4 || n == 0) /* not a size; cut; the last one */
            break;
        memmove(to, data + 2, n);
        to += n;
        from = data + 2 + n + 2;
    }
    *to = 0;
}

/* All that comes until the connection closes, whole or streamed, into `answer`. */
static void post_and_read(const api *a, const char *path, const char *body)
{
    char text[2048];
    size_t got = 0;
    int fd = connect_to(a);
    const int n = snprintf(text, sizeof text,
                           "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                           "Content-Length: %zu\r\n\r\n%s",
                           path, strlen(body), body);
    EXPECT_EQ(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
    for (ssize_t more; got < sizeof answer - 1 &&
                       (more = recv(fd, answer + got, sizeof answer - 1 - got, 0)) > 0;)
        got += (size_t)more;
    answer[got] = 0;
    close(fd);
    join_chunks();
}

/* The texts of choice `index` of a stream in `answer`, one after the other. */
static void texts_of(int index, char *out, size_t size)
{
    char key[64];
    const int n = snprintf(key, sizeof key, "\"index\":%d,\"text\":", index);
    out[0] = 0;
    for (const char *p = answer; (p = strstr(p, key)) != NULL;) {
        p += n;
        const char *end = strstr(p, ",\"logprobs\"");
        const size_t len = end ? (size_t)(end - p) : 0, at = strlen(out);
        if (at + len < size)
            snprintf(out + at, size - at, "%.*s", (int)len, p);
    }
}

/* Each as if it were alone with its seed; side by side in a stream; the prompt computed once. */
static void choices_are_made_at_once(void)
{
    enum { N_CHOICES = 5 };
    static const char form[] =
        "{\"model\":\"tiny\",\"prompt\":\"many words of a prompt that is long "
        "enough\",\"max_tokens\":"
        "20,\"ignore_eos\":true,\"stream\":true,\"seed\":%d,\"n\":%d,\"stream_options\":{"
        "\"include_usage\":true}}";
    static char alone[N_CHOICES][4096], text[4096];
    char body[512];
    int switches = 0, at = 0;
    api a;
    api_start(&a);
    publish(&a);
    for (int i = 0; i < N_CHOICES; i++) {
        snprintf(body, sizeof body, form, 7 + i, 1);
        post_and_read(&a, "/v1/completions", body);
        texts_of(0, alone[i], sizeof alone[i]);
        EXPECT(strlen(alone[i]) > 20);
    }
    snprintf(body, sizeof body, form, 7, N_CHOICES);
    post_and_read(&a, "/v1/completions", body);
    for (int i = 0; i < N_CHOICES; i++) {
        texts_of(i, text, sizeof text);
        EXPECT_MSG(strcmp(text, alone[i]) == 0, "choice %d: %s, not %s", i, text, alone[i]);
    }
    for (const char *p = answer; (p = strstr(p, "\"index\":")) != NULL; p++) {
        const int index = p[8] - '0';
        switches += index != at;
        at = index;
    }
    EXPECT_MSG(switches > 30, "%d switches in %s", switches, answer);
    EXPECT_MSG(strstr(answer, "\"completion_tokens\":100,"), "%s", answer);
    EXPECT(strstr(answer, "data: [DONE]"));
    api_stop(&a);
}

/* ---- what is between two texts ---- */

static const char *const fill_script[] = {
    "\1<|fim_prefix|>", "\1<|fim_suffix|>", "\1<|fim_middle|>", "x):", "\n    return", " x", NULL};
static const char *const repo_script[] = {"\1<|fim_prefix|>",
                                          "\1<|fim_suffix|>",
                                          "\1<|repo_name|>",
                                          "\1<|file_sep|>",
                                          "\1<|fim_middle|>",
                                          "and so on",
                                          NULL};

static void publish_script(api *a, const char *name, const char *const *script)
{
    tiny t = {0};
    tiny_script = script;
    const maas_span file = tiny_make(&t, MAAS_Q_F16, 3);
    maas_buf request = MAAS_BUF_INIT(64u << 20);
    maas_buf_printf(&request,
                    "PUT /api/v1/models/%s/versions HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    name, file.n);
    maas_buf_add(&request, file.p, file.n);
    EXPECT_MSG(api_raw(a, request.p, request.n, answer, sizeof answer) == 201, "%s", answer);
    maas_buf_reset(&request);
    tiny_reset(&t);
    tiny_script = NULL;
}

/* As llama-server orders them: files, the prefix and what is begun behind it, the suffix. Marks
 * that a user writes are letters. */
#define FILL "<|fim_prefix|>def f(<|fim_suffix|> + 1<|fim_middle|>"
static const struct {
    const char *model, *more;
    const char *has[6];
} infills[] = {
    {"filler",
     "\"n_predict\":8",
     {"\"content\":\"x):\\n    return x\"", "\"stop\":true",
      "\"tokens_predicted\":4,\"tokens_evaluated\":13,\"tokens_cached\":17",
      "\"prompt\":\"" FILL "\"",
      "\"has_new_line\":true,\"truncated\":false,\"stop_type\":\"eos\""}},
    {"filler", "\"n_predict\":2", {"\"content\":\"x):\\n    return\"", "\"stop_type\":\"limit\""}},
    {"filler",
     "\"n_predict\":-1,\"seed\":-1,\"stop\":[\"ret\"]",
     {"\"content\":\"x):\\n    \"", "\"stop_type\":\"word\",\"stopping_word\":\"ret\""}},
    {"filler",
     "\"n_predict\":0",
     {"\"content\":\"\"", "\"tokens_predicted\":0,\"tokens_evaluated\":13"}},
    {"filler",
     "\"prompt\":\"<|fim_middle|>\"",
     {"\"tokens_evaluated\":27", "def f(<|fim_middle|><|fim_suffix|>"}},
    {"filler",
     "\"input_extra\":[{\"text\":\"old\"}]",
     {"\"prompt\":\"\\n\\n--- snippet ---\\n\\nold" FILL "\""}},
    {"repo",
     "\"input_extra\":[{\"text\":\"a\",\"filename\":\"a.c\"},{\"text\":\"b\"}]",
     {"\"content\":\"and so on\"",
      "\"prompt\":\"<|repo_name|>myproject\\n<|file_sep|>a.c\\na<|file_sep|>tmp\\nb"
      "<|file_sep|>filename\\n" FILL "\""}},
};

static void what_is_between_two_texts_is_filled_in(void)
{
    char body[1024];
    api a;
    api_start(&a);
    publish_script(&a, "filler", fill_script);
    publish_script(&a, "repo", repo_script);
    for (size_t i = 0; i < MAAS_COUNT(infills); i++) {
        snprintf(body, sizeof body,
                 "{\"model\":\"%s\",\"input_prefix\":\"def f(\",\"input_suffix\":\" + 1\","
                 "\"temperature\":0,%s}",
                 infills[i].model, infills[i].more);
        const int st = api_request(&a, "POST", "/infill", "", body, answer, sizeof answer);
        EXPECT_MSG(st == 200, "%s: %d %s", body, st, answer);
        for (size_t k = 0; k < 6 && infills[i].has[k]; k++)
            EXPECT_MSG(strstr(answer, infills[i].has[k]), "%s: no %s in %s", body,
                       infills[i].has[k], answer);
    }
    post_and_read(&a, "/infill",
                  "{\"model\":\"filler\",\"input_prefix\":\"def f(\",\"input_suffix\":\" + 1\","
                  "\"temperature\":0,\"stream\":true}");
    EXPECT(strstr(answer, "data: {\"index\":0,\"content\":\"x):\",\"tokens\":[],\"id_slot\":0,"
                          "\"stop\":false}"));
    EXPECT(strstr(answer, "\"content\":\" x\""));
    EXPECT(strstr(answer, "data: {\"index\":0,\"content\":\"\",\"tokens\":[],\"id_slot\":0,"
                          "\"stop\":true"));
    EXPECT(!strstr(answer, "[DONE]"));
    api_stop(&a);
}

static void ended_by_what(api *a, bool stream)
{
    static const char form[] = "{\"model\":\"tiny\",\"max_tokens\":60,\"temperature\":0,"
                               "\"ignore_eos\":true,\"stream\":%s,\"stop_sequences\":[%s],"
                               "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}";
    char body[512], want[64];
    snprintf(body, sizeof body, form, "false", "");
    EXPECT_EQ(api_request(a, "POST", "/v1/messages", "", body, answer, sizeof answer), 200);
    EXPECT_MSG(strstr(answer, "\"stop_reason\":\"max_tokens\",\"stop_sequence\":null"), "%s",
               answer);
    const char letter = some_letter("\"text\":");
    snprintf(want, sizeof want, "\"never said\",\"%c\"", letter);
    snprintf(body, sizeof body, form, stream ? "true" : "false", want);
    post_and_read(a, "/v1/messages", body);
    snprintf(want, sizeof want, "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"%c\"",
             letter);
    EXPECT_MSG(strstr(answer, want), "no %s in %s", want, answer);
}

/* What ended an answer, what it cost, and all ways to sample, by their names on the wire. */
static void answers_say_how_they_came_about(void)
{
    static const char *const keys[] = {"\"prompt_per_token_ms\":", "\"predicted_n\":40",
                                       "\"cache_n\":", "\"draft_n\":", "\"draft_n_accepted\":"};
    static const char *const metrics[] = {
        "maas_lm_time_to_first_token_seconds_count{model=\"tiny\",version=\"1\"} ",
        "maas_lm_time_per_output_token_seconds_bucket{model=\"tiny\",version=\"1\",le=\"",
        "maas_lm_request_queue_time_seconds_sum{",
        "maas_lm_request_generation_tokens_sum{model=\"tiny\",version=\"1\"} ",
        "maas_lm_request_ends_total{model=\"tiny\",version=\"1\",finished_reason=\"deadline\"} 1",
        "maas_lm_draft_tokens_total{model=\"tiny\",version=\"1\"} ",
        "maas_lm_draft_failures_total{model=\"tiny\",version=\"1\"} 0",
        "maas_lm_cache_usage_ratio{model=\"tiny\",version=\"1\"} 0"};
    char body[1024];
    api a;
    api_start(&a);
    publish(&a);
    EXPECT_EQ(
        api_request(&a, "POST", "/v1/completions", "",
                    "{\"model\":\"tiny\",\"prompt\":\"a b a b a b a b a b\",\"max_tokens\":40,"
                    "\"ignore_eos\":true,\"temperature\":0,\"speculative.n_max\":5}",
                    answer, sizeof answer),
        200);
    for (size_t i = 0; i < MAAS_COUNT(keys); i++)
        EXPECT_MSG(strstr(answer, keys[i]), "no %s in %s", keys[i], answer);
    const char letter = some_letter("\"text\":");
    EXPECT_MSG(letter, "%s", answer);
    snprintf(body, sizeof body,
             "{\"model\":\"tiny\",\"prompt\":\"a b a b a b a b a b\",\"max_tokens\":40,"
             "\"ignore_eos\":true,\"temperature\":0,\"stop\":[\"\\u0001zz\",\"%c\"]}",
             letter);
    EXPECT_EQ(api_request(&a, "POST", "/v1/completions", "", body, answer, sizeof answer), 200);
    snprintf(body, sizeof body, "\"finish_reason\":\"stop\",\"stop_reason\":\"%c\"", letter);
    EXPECT_MSG(strstr(answer, body), "no %s in %s", body, answer);
    ended_by_what(&a, false);
    ended_by_what(&a, true);
    EXPECT_EQ(api_request(&a, "POST", "/v1/completions", "",
                          "{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":8,\"typical_p\":0.9,"
                          "\"top_n_sigma\":2,\"xtc_probability\":0.5,\"xtc_threshold\":0.1,"
                          "\"mirostat\":2,\"mirostat_tau\":3,\"mirostat_eta\":0.2,"
                          "\"dry_multiplier\":0.8,\"dry_base\":1.5,\"dry_allowed_length\":3,"
                          "\"dry_penalty_last_n\":100,\"dry_sequence_breakers\":[\"x\",\":\"]}",
                          answer, sizeof answer),
              200);
    EXPECT_EQ(api_request(&a, "POST", "/v2/models/tiny/generate", "",
                          "{\"text_input\":\"a\",\"parameters\":{\"timeout\":1}}", answer,
                          sizeof answer),
              504);
    EXPECT_MSG(strstr(answer, "deadline"), "%s", answer);
    EXPECT_EQ(api_request(&a, "GET", "/metrics", "", "", answer, sizeof answer), 200);
    for (size_t i = 0; i < MAAS_COUNT(metrics); i++)
        EXPECT_MSG(strstr(answer, metrics[i]), "no %s in %s", metrics[i], answer);
    api_stop(&a);
}

/* Whose requests they were, by the public ids of keys; other dialects count, too. */
static void each_key_has_its_counts(void)
{
    static const char body[] = "{\"model\":\"tiny\",\"max_tokens\":4,\"ignore_eos\":true,"
                               "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}";
    AUTO(maas_json_unref)
    json_t *scopes = json_pack("[s, s, s]", "infer", "ops", "admin"), *key = NULL;
    char header[200], want[200];
    api a;
    api_start(&a);
    publish(&a);
    EXPECT_EQ(api_request(&a, "POST", "/v1/chat/completions", "", body, answer, sizeof answer),
              200);
    EXPECT_EQ(api_request(&a, "GET", "/metrics", "", "", answer, sizeof answer), 200);
    EXPECT(!strstr(answer, "maas_lm_key_tokens_total{"));
    EXPECT_EQ(maas_registry_key_create(a.app.registry, 1, "k", scopes, "*", 0, &key, NULL),
              MAAS_OK);
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n",
             json_string_value(json_object_get(key, "key")));
    EXPECT_EQ(api_request(&a, "POST", "/v1/chat/completions", header, body, answer, sizeof answer),
              200);
    EXPECT_EQ(api_request(&a, "POST", "/v1/messages", header, body, answer, sizeof answer), 200);
    EXPECT_EQ(api_request(&a, "GET", "/metrics", header, "", answer, sizeof answer), 200);
    const char *id = json_string_value(json_object_get(key, "id"));
    snprintf(want, sizeof want,
             "maas_lm_key_tokens_total{model=\"tiny\",version=\"1\",key=\"%s\"} 8\n", id);
    EXPECT_MSG(strstr(answer, want), "no %s in %s", want, answer);
    api_stop(&a);
}

static const mt_case cases[] = {
    MT_CASE(many_streams_say_what_one_says),   MT_CASE(unloading_ends_what_is_under_way),
    MT_CASE(what_is_wrong_is_refused_by_name), MT_CASE(choices_are_made_at_once),
    MT_CASE(answers_say_how_they_came_about),  MT_CASE(what_is_between_two_texts_is_filled_in),
    MT_CASE(each_key_has_its_counts),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
