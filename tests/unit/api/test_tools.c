/*
 * Calls of tools and reasoning through the whole server: models that say one thing
 * (tests/lm/tiny.h), asked in every dialect, whole and streamed. A row lists what stands in the
 * reply, in that order.
 */
#include "api_test.h"
#include "lm/tiny.h"

static char answer[1 << 18];

/* Pieces are tokens: no two of a script are alike. '\1': a control token. */
static const char *const calls[] = {"<think>",
                                    "\nlet me",
                                    " see\n</th",
                                    "ink>",
                                    "\n\nI",
                                    " add. <to",
                                    "ol_call>\n",
                                    "{\"name\"",
                                    ": \"add\"",
                                    ", \"arguments\"",
                                    ": {\"a",
                                    "\": 1",
                                    ", \"b\": 2}",
                                    "}\n</tool_call>",
                                    "\n<tool_call>{",
                                    "\"name\": \"say\", \"arg",
                                    "uments\": {\"te",
                                    "xt\": \"x\"}}</tool_call>",
                                    NULL};
static const char *const broken[] = {
    "so <tool_call>", "{\"name\": \"add\"", ", \"arguments\": {\"a\": ",
    "oops}}",         "</tool_call>",       NULL};
static const char *const controls[] = {
    "\1[TOOL_CALLS]", "add", "\1[ARGS]", "{\"a\": ", "1, \"b\": 2}", "\1[CALLS]", NULL};
/* One that writes the wrong arguments for what UNIT asks, after a thought that its prompt began. */
static const char *const thinker[] = {"I should",
                                      " call\n",
                                      "</think>\n",
                                      "\nso: ",
                                      "<tool_call>\n{\"name\": \"add\", ",
                                      "\"arguments\": ",
                                      "{\"a\": 1}}",
                                      "\n</tool_call>",
                                      NULL};
static const char *const heads[] = {"\1<|channel|>", "final", "\1<|message|>",
                                    "{\"unit\": ",   "5}",    NULL};
static const char *const commentary[] = {
    "\1<|channel|>", "commentary to=functions.add", " json", "\1<|message|>", "{\"a\": 1}", NULL};
static const char *const plain[] = {"{\"name\": ", "\"add\", \"argu", "ments\": {\"b\": 2}}", NULL};

/* The template of each model says its family; `plain` has none, and hears of tools in a text. */
#define CHAT(before)                                                                               \
    before "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"          \
           "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
#define TOOLS "{% if tools %}{{ tools | tojson }}{% endif %}"
static const struct {
    const char *name;
    const char *const *script;
    const char *chat;
} models[] = {
    {"calls", calls, CHAT(TOOLS "{# <tool_call> <think> #}")},
    {"broken", broken, CHAT(TOOLS "{# <tool_call> #}")},
    {"controls", controls, CHAT(TOOLS "{# [TOOL_CALLS] #}")},
    {"plain", plain, CHAT("")},
    {"any", NULL, CHAT(TOOLS "{# <tool_call> #}")},
    {"forced", controls, CHAT(TOOLS "{# [TOOL_CALLS] [ARGS] #}")},
    {"thinker", thinker,
     CHAT(TOOLS "{# <tool_call> </think> #}") "{% if add_generation_prompt %}<think>\n{% endif %}"},
    {"done", thinker + 3,
     CHAT(TOOLS
          "{# <tool_call> #}") "{% if add_generation_prompt %}<think>\n</think>\n{% endif %}"},
    {"heads", heads, CHAT(TOOLS "{# <|channel|>analysis<|message|> #}")},
    {"commentary", commentary, CHAT(TOOLS "{# <|channel|>analysis<|message|> #}")},
    {"tagged", plain, CHAT(TOOLS "{# <tool_call> <function= #}")},
};

static void publish(api *a)
{
    for (size_t i = 0; i < MAAS_COUNT(models); i++) {
        tiny t = {0};
        tiny_script = models[i].script;
        tiny_chat = models[i].chat;
        const maas_span file = tiny_make(&t, MAAS_Q_F16, 3);
        maas_buf request = MAAS_BUF_INIT(64u << 20);
        maas_buf_printf(&request,
                        "PUT /api/v1/models/%s/versions HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        models[i].name, file.n);
        maas_buf_add(&request, file.p, file.n);
        EXPECT_MSG(api_raw(a, request.p, request.n, answer, sizeof answer) == 201, "%s", answer);
        maas_buf_reset(&request);
        tiny_reset(&t);
    }
}

/* The body of a reply that ends with its connection, without the marks between its chunks. */
static int ask(api *a, const char *path, const char *body, char *out, size_t size)
{
    size_t got = 0;
    maas_buf text = MAAS_BUF_INIT(1u << 20);
    api_connect(a);
    maas_buf_printf(&text,
                    "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                    "Content-Length: %zu\r\n\r\n%s",
                    path, strlen(body), body);
    EXPECT_EQ(send(a->fd, text.p, text.n, MSG_NOSIGNAL), text.n);
    maas_buf_reset(&text);
    for (ssize_t n; (n = read(a->fd, out + got, size - 1 - got)) > 0;)
        got += (size_t)n;
    close(STEAL_FD(a->fd));
    out[got] = '\0';
    char *from = strstr(out, "\r\n\r\n"), *to = out;
    const int status = got > 12 ? atoi(out + 9) : 0;
    const bool chunked = from && memmem(out, (size_t)(from - out), "chunked", 7);
    from += from ? 4 : 0;
    while (from && chunked) {
        const size_t n = strtoul(from, &from, 16);
        memmove(to, from + 2, n);
        to += n;
        from = n ? from + 2 + n + 2 : NULL;
    }
    if (chunked)
        *to = '\0';
    else
        memmove(out, from, strlen(from) + 1);
    return status;
}

#define TEXTS 14
typedef struct row {
    const char *path, *model, *more; /* of the body, after model, messages and tools */
    const char *has[TEXTS];          /* in this order */
    const char * not ;
} row;
#define FUNCTION(name, parameters)                                                                 \
    "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"parameters\":" parameters "}}"
#define OPENAI_TOOLS                                                                               \
    "\"tools\":[" FUNCTION("add", "{\"type\":\"object\"}") "," FUNCTION("say", "{}") "]"
/* What a grammar leaves is finite: a model without sense ends it, too. */
#define UNIT                                                                                       \
    "{\"type\":\"object\",\"properties\":{\"unit\":{\"enum\":[\"C\",\"F\"]}},\"required\":["       \
    "\"unit\"],"                                                                                   \
    "\"additionalProperties\":false}"
#define STRICT_TOOLS                                                                               \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"strict\":true,"            \
    "\"parameters\":" UNIT "}}," FUNCTION("say", UNIT) "]"
#define FLAT_TOOLS                                                                                 \
    "\"tools\":[{\"type\":\"function\",\"name\":\"add\",\"parameters\":{\"type\":\"object\"}}]"
#define ANTHROPIC_TOOLS                                                                            \
    "\"max_tokens\":60,\"tools\":[{\"name\":\"add\",\"input_schema\":{\"type\":\"object\"}}]"
#define CHAT_PATH "/v1/chat/completions"
#define ADD       "\"arguments\":\"{\\\"a\\\": 1, \\\"b\\\": 2}\""
#define DELTA     "\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"

static const row rows[] = {
    {CHAT_PATH,
     "calls",
     OPENAI_TOOLS,
     {"\"content\":\"I add.\"", "\"reasoning_content\":\"let me see\"",
      "\"tool_calls\":[{\"id\":\"call_", "\"type\":\"function\",\"function\":{\"name\":\"add\"",
      ADD, "\"id\":\"call_", "\"name\":\"say\"", "{\\\"text\\\": \\\"x\\\"}",
      "\"finish_reason\":\"tool_calls\"", "\"reasoning_tokens\":3"},
     NULL},
    {CHAT_PATH,
     "calls",
     OPENAI_TOOLS ",\"parallel_tool_calls\":false",
     {"\"name\":\"add\"", "\"finish_reason\":\"tool_calls\""},
     "\"say\""},
    {CHAT_PATH,
     "calls",
     OPENAI_TOOLS ",\"stream\":true",
     {"\"delta\":{\"reasoning_content\":\"let me\"}", "\"delta\":{\"content\":\"I\"}",
      "\"delta\":{\"content\":\" add.\"}", "\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_",
      "\"name\":\"add\",\"arguments\":\"\"}}]}", DELTA "\"{\\\"a\"", DELTA "\"\\\": 1\"",
      DELTA "\", \\\"b\\\": 2}\"", "\"tool_calls\":[{\"index\":1,\"id\":\"call_",
      "\"name\":\"say\"", "{\"index\":1,\"function\":{\"arguments\":",
      "\"delta\":{},\"logprobs\":null,\"finish_reason\":\"tool_calls\"", "data: [DONE]"},
     "tool_call>"},
    {CHAT_PATH,
     "calls",
     "\"tool_choice\":\"none\"," OPENAI_TOOLS,
     {"\"content\":\"I add. <tool_call>", "\"finish_reason\":\"stop\""},
     "tool_calls"},
    {CHAT_PATH,
     "calls",
     OPENAI_TOOLS ",\"logprobs\":true,\"top_logprobs\":1,\"stream\":true",
     {"\"reasoning_content\"", "\"token\":\"<think>\"", "\"token\":\"\\nlet me\"",
      "\"tool_calls\""},
     NULL},
    {CHAT_PATH,
     "broken",
     OPENAI_TOOLS,
     {"\"content\":\"so<tool_call>{\\\"name\\\": \\\"add\\\", \\\"arguments\\\": {\\\"a\\\": "
      "oops}}",
      "\"finish_reason\":\"stop\""},
     "tool_calls"},
    {CHAT_PATH,
     "broken",
     OPENAI_TOOLS ",\"stream\":true",
     {"\"name\":\"add\"", DELTA "\"{\\\"a\\\": \"", DELTA "\"oops}\"",
      "\"finish_reason\":\"stop\""},
     NULL},
    {CHAT_PATH,
     "controls",
     OPENAI_TOOLS,
     {"\"content\":null", "\"name\":\"add\"", ADD, "\"finish_reason\":\"tool_calls\""},
     NULL},
    {CHAT_PATH,
     "controls",
     "\"n\":2",
     {"\"content\":\"add{\\\"a\\\": 1, \\\"b\\\": 2}\""},
     "tool_calls"},
    {CHAT_PATH,
     "plain",
     OPENAI_TOOLS,
     {"\"name\":\"add\"", "\"arguments\":\"{\\\"b\\\": 2}\"", "\"finish_reason\":\"tool_calls\""},
     NULL},
    {CHAT_PATH, "plain", "\"n\":1", {"\"content\":\"{\\\"name\\\": "}, "tool_calls"},
    {"/v1/completions",
     "calls",
     "\"prompt\":\"\\n\",\"max_tokens\":60",
     {"\"text\":\"<think>\\nlet me see\\n</think>", "<tool_call>{"},
     NULL},
    {"/v1/responses",
     "calls",
     FLAT_TOOLS,
     {"\"output\":[{\"id\":\"rs_", "\"type\":\"reasoning\"", "\"text\":\"let me see\"",
      "\"type\":\"message\"", "\"text\":\"I add.\"", "\"type\":\"function_call\"", ADD,
      "\"call_id\":\"call_", "\"name\":\"add\"", "\"name\":\"say\"", "\"tools\":[{",
      "\"reasoning_tokens\":3"},
     NULL},
    {"/v1/responses",
     "calls",
     FLAT_TOOLS ",\"stream\":true",
     {"event: response.created", "response.reasoning_text.delta", "response.output_text.delta",
      "event: response.output_item.added", "\"output_index\":2,\"item\":{\"id\":\"fc_",
      "event: response.function_call_arguments.delta", "\"output_index\":2,\"delta\":\"{\\\"a\"",
      "event: response.function_call_arguments.done", ADD, "event: response.output_item.done",
      "\"status\":\"completed\"", "event: response.completed"},
     NULL},
    {"/v1/messages",
     "calls",
     ANTHROPIC_TOOLS,
     {"\"type\":\"thinking\",\"thinking\":\"let me see\"", "\"type\":\"text\",\"text\":\"I add.\"",
      "\"type\":\"tool_use\",\"id\":\"call_", "\"name\":\"add\",\"input\":{\"a\": 1, \"b\": 2}",
      "\"name\":\"say\"", "\"stop_reason\":\"tool_use\""},
     NULL},
    {"/v1/messages",
     "calls",
     ANTHROPIC_TOOLS ",\"stream\":true",
     {"\"content_block\":{\"type\":\"thinking\"", "thinking_delta",
      "content_block_stop\",\"index\":0", "\"index\":1,\"content_block\":{\"type\":\"text\"",
      "text_delta", "content_block_stop\",\"index\":1",
      "\"index\":2,\"content_block\":{\"type\":\"tool_use\"", "\"input\":{}}",
      "\"input_json_delta\",\"partial_json\":\"{\\\"a\"", "content_block_stop\",\"index\":2",
      "\"stop_reason\":\"tool_use\"", "message_stop"},
     NULL},
    {"/v1/messages",
     "calls",
     ANTHROPIC_TOOLS ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}",
     {"\"name\":\"add\"", "\"stop_reason\":\"tool_use\""},
     "\"say\""},
    {"/api/chat",
     "calls",
     OPENAI_TOOLS ",\"stream\":false",
     {"\"content\":\"I add.\"", "\"thinking\":\"let me see\"", "\"tool_calls\":[{\"id\"",
      "\"function\":{\"index\":0,\"name\":\"add\",\"arguments\":{\"a\": 1, \"b\": 2}}}",
      "\"index\":1,\"name\":\"say\"", "\"done_reason\":\"stop\""},
     NULL},
    {"/api/chat",
     "calls",
     OPENAI_TOOLS,
     {"\"content\":\"\",\"thinking\":\"let me\"", "\"content\":\"I\"}",
      "\"name\":\"add\",\"arguments\":{\"a\": 1, \"b\": 2}", "\"index\":1,\"name\":\"say\"",
      "\"done\":true"},
     "tool_call>"},
    {"/api/chat",
     "broken",
     OPENAI_TOOLS,
     {"\"content\":\"so\"", "\"content\":\"<tool_call>{\\\"name\\\": ", "\"done\":true"},
     "tool_calls"},
    {"/api/generate",
     "calls",
     "\"prompt\":\"a\",\"stream\":false",
     {"\"response\":\"I add. <tool_call>", "\"thinking\":\"let me see\""},
     NULL},
};

/* Tools that are strict, and formats, of models that would write something else: what they think is
 * their own, and so is the text before a call. */
#define FORMAT                                                                                     \
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":" UNIT "}}"
#define ONE_STRICT STRICT_TOOLS ",\"parallel_tool_calls\":false"
#define UNIT_C     "\\\"unit\\\": \\\"C\\\"" /* within a text of JSON */
static const row held[] = {
    {CHAT_PATH,
     "calls",
     ONE_STRICT,
     {"\"content\":\"I add.\"", "\"reasoning_content\":\"let me see\"", "\"name\":\"add\"", UNIT_C,
      "\"finish_reason\":\"tool_calls\""},
     "\\\"a\\\""},
    {CHAT_PATH,
     "calls",
     ONE_STRICT ",\"stream\":true",
     {"\"delta\":{\"reasoning_content\":\"let me\"}", "\"delta\":{\"content\":\"I\"}",
      "\"name\":\"add\"", "u", "n", "i", "t", "\"finish_reason\":\"tool_calls\""},
     "\\\"a\\\""},
    {CHAT_PATH, /* each call, not the first alone; free text does not end the answer of this one */
     "calls",
     STRICT_TOOLS ",\"max_tokens\":200",
     {"\"name\":\"add\"", UNIT_C, "\"name\":", UNIT_C},
     "\\\"a\\\""},
    {CHAT_PATH,
     "thinker",
     ONE_STRICT,
     {"\"content\":\"so:\"", "\"reasoning_content\":\"I should call\"", "\"name\":\"add\"", UNIT_C},
     NULL},
    {CHAT_PATH,
     "thinker",
     ONE_STRICT ",\"tool_choice\":\"required\"",
     {"\"content\":null", "\"reasoning_content\":\"I should call\"", "\"name\":\"add\"", UNIT_C},
     NULL},
    {CHAT_PATH,
     "forced",
     ONE_STRICT,
     {"\"content\":null", "\"name\":\"add\"", UNIT_C, "\"finish_reason\":\"tool_calls\""},
     NULL},
    {CHAT_PATH,
     "plain",
     ONE_STRICT,
     {"\"content\":null", "\"name\":\"add\"", UNIT_C, "\"finish_reason\":\"tool_calls\""},
     NULL},
    {CHAT_PATH,
     "commentary",
     ONE_STRICT,
     {"\"content\":null", "\"name\":\"add\"", UNIT_C, "\"finish_reason\":\"tool_calls\""},
     NULL},
    {CHAT_PATH,
     "calls",
     FORMAT,
     {"\"content\":\"{", UNIT_C, "\"reasoning_content\":\"let me see\"",
      "\"finish_reason\":\"stop\""},
     NULL},
    {CHAT_PATH,
     "thinker",
     FORMAT ",\"stream\":true",
     {"\"reasoning_content\":\"I should\"", "\"delta\":{\"content\":\"{",
      "\"finish_reason\":\"stop\""},
     "so:"},
    {CHAT_PATH, "done", FORMAT, {"\"content\":\"{", UNIT_C}, "reasoning_content"},
    {CHAT_PATH, "heads", FORMAT, {"\"content\":\"{", UNIT_C, "\"finish_reason\":\"stop\""}, ": 5"},
    {CHAT_PATH,
     "plain",
     FORMAT,
     {"\"content\":\"{", UNIT_C, "\"finish_reason\":\"stop\""},
     "\\\"name"},
    {"/v1/messages",
     "thinker",
     "\"max_tokens\":100,\"output_format\":{\"type\":\"json_schema\",\"schema\":" UNIT "}",
     {"\"thinking\":\"I should call\"", "\"text\":\"{", UNIT_C},
     NULL},
    {"/api/chat",
     "thinker",
     "\"stream\":false,\"format\":" UNIT,
     {"\"content\":\"{", UNIT_C, "\"thinking\":\"I should call\""},
     NULL},
    {"/v1/completions",
     "calls",
     "\"prompt\":\"\\n\",\"max_tokens\":60,\"guided_json\":" UNIT,
     {"\"text\":\"{", UNIT_C},
     "think"},
};

static void try_rows(const row *all, size_t n)
{
    api a;
    api_start(&a);
    publish(&a);
    for (size_t i = 0; i < n; i++) {
        char body[2048];
        snprintf(body, sizeof body,
                 "{\"model\":\"%s\",\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":"
                 "\"a\"}],"
                 "\"input\":\"a\",%s}",
                 all[i].model, all[i].more);
        const int status = ask(&a, all[i].path, body, answer, sizeof answer);
        EXPECT_MSG(status == 200, "row %zu, %s: %d %s", i, all[i].path, status, answer);
        const char *at = answer;
        for (size_t k = 0; k < TEXTS && all[i].has[k] && at; k++) {
            const char *found = strstr(at, all[i].has[k]);
            EXPECT_MSG(found, "row %zu, %s %s: no %s in %s", i, all[i].path, all[i].more,
                       all[i].has[k], at);
            at = found ? found + strlen(all[i].has[k]) : NULL;
        }
        EXPECT_MSG(!all[i].not || !strstr(answer, all[i].not ), "row %zu: %s in %s", i, all[i].not,
                   answer);
    }
    api_stop(&a);
}

static void every_dialect_tells_calls_and_thoughts(void)
{
    try_rows(rows, MAAS_COUNT(rows));
}

static void thoughts_are_free_and_calls_are_right(void)
{
    try_rows(held, MAAS_COUNT(held));
}

#define ASKED "\"model\":\"calls\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]"
static const struct {
    const char *path, *body, *words;
} wrong[] = {
    {CHAT_PATH, "{" ASKED ",\"tools\":5}", "'tools'"},
    {CHAT_PATH, "{" ASKED ",\"tools\":[5]}", "tools[0]"},
    {CHAT_PATH, "{" ASKED ",\"tools\":[{\"type\":\"web_search\"}]}", "web_search"},
    {CHAT_PATH, "{" ASKED ",\"tools\":[{\"type\":\"function\"}]}", "tools[0].function"},
    {CHAT_PATH, "{" ASKED ",\"tools\":[" FUNCTION("a b", "{}") "]}", "tools[0].function.name"},
    {CHAT_PATH, "{" ASKED ",\"tools\":[" FUNCTION("a", "[]") "]}", "parameters"},
    {CHAT_PATH, "{" ASKED ",\"tools\":[" FUNCTION("a", "{}") "," FUNCTION("a", "{}") "]}",
     "tools[1]"},
    {CHAT_PATH, "{" ASKED "," OPENAI_TOOLS ",\"tool_choice\":\"maybe\"}", "tool_choice"},
    {CHAT_PATH,
     "{" ASKED "," OPENAI_TOOLS
     ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"no\"}}}",
     "'no'"},
    {CHAT_PATH, "{" ASKED "," OPENAI_TOOLS ",\"parallel_tool_calls\":1}", "parallel_tool_calls"},
    {CHAT_PATH, "{" ASKED ",\"tool_choice\":\"required\"}", "'tools'"},
    {CHAT_PATH, "{" ASKED "," OPENAI_TOOLS ",\"response_format\":{\"type\":\"json_object\"}}",
     "format"},
    {CHAT_PATH,
     "{" ASKED
     ",\"tool_choice\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\","
     "\"strict\":true,\"parameters\":{\"type\":\"object\",\"minProperties\":\"x\"}}}]}",
     "'tools' that are strict"},
    {CHAT_PATH,
     "{" ASKED ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"strict\":true,"
     "\"parameters\":{\"type\":\"object\",\"minProperties\":\"x\"}}}]}",
     "'tools' that are strict"},
    {CHAT_PATH,
     "{\"model\":\"tagged\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]," STRICT_TOOLS "}",
     "'tools' that are strict: the model writes"},
    {CHAT_PATH,
     "{" ASKED
     ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"not\":{}}}}}",
     "'response_format': the schema"},
    {CHAT_PATH, "{" ASKED ",\"functions\":[]}", "'tools'"},
    {CHAT_PATH, "{\"model\":\"calls\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}",
     "messages[0]: 'tool_calls[0].function.name'"},
    {"/v1/responses", "{\"model\":\"calls\",\"input\":[{\"type\":\"function_call\"}]}", "input[0]"},
    {"/v1/responses", "{\"model\":\"calls\",\"input\":[{\"type\":\"picture\"}]}", "picture"},
    {"/v1/responses", "{\"model\":\"calls\",\"input\":\"a\",\"tools\":[{\"type\":\"web_search\"}]}",
     "web_search"},
    {"/v1/messages",
     "{" ASKED ",\"max_tokens\":1,\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}]}",
     "bash_20250124"},
    {"/v1/messages",
     "{\"model\":\"calls\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{"
     "\"type\":\"tool_result\"}]}]}",
     "messages[0]: a block tool_result"},
    {"/v1/messages",
     "{\"model\":\"calls\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{"
     "\"type\":\"image\"}]}]}",
     "'image'"},
    {"/api/chat", "{" ASKED ",\"tools\":{}}", "'tools'"},
};

static void what_is_wrong_is_refused_by_name(void)
{
    api a;
    api_start(&a);
    publish(&a);
    for (size_t i = 0; i < MAAS_COUNT(wrong); i++) {
        const int status = ask(&a, wrong[i].path, wrong[i].body, answer, sizeof answer);
        EXPECT_MSG(status >= 400 && status < 500 && strstr(answer, wrong[i].words), "%s: %d %s",
                   wrong[i].body, status, answer);
    }
    api_stop(&a);
}

static const mt_case cases[] = {
    MT_CASE(every_dialect_tells_calls_and_thoughts),
    MT_CASE(thoughts_are_free_and_calls_are_right),
    MT_CASE(what_is_wrong_is_refused_by_name),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
