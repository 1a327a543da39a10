/*
 * What models of each family say, taken apart: rows of data. Every row is fed in one piece, one
 * byte at a time, in pieces of any size, and with its markers as control tokens; all must be told
 * alike.
 */
#include "maas_test.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "lm/said.h"

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"a\":{\"type\":\"number\"},\"b\":{\"type\":\"number\"}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"say\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"text\":{\"type\":\"string\"}}}}}]";

/* Signs of the families, as their templates have them. */
#define HERMES   "<tool_call>"
#define THINKING "<tool_call> <think>"
#define LLAMA    "<|start_header_id|> {\"name\": function name, \"parameters\": dictionary}"
#define PYTHON   "<|python_tag|>"
#define MISTRAL  "[TOOL_CALLS] [THINK]"
#define GRANITE  "<|tool_call|>"
#define PHI      "<|tool_call|> <|/tool_call|>"
#define DEEPSEEK "<｜tool▁call▁begin｜> <think>"
#define CODER    "<tool_call> <function="
#define GLM      "<tool_call> <arg_key> <think>"
#define COHERE   "<|START_ACTION|> <|START_THINKING|>"
#define GEMMA    "<start_function_call>"
#define HARMONY  "<|channel|>analysis <|message|>"
#define CODE     "```tool_code"
#define PYTHONIC "[func_name1(params_name1="
#define ADD      "{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}"
#define SAY      "{\"name\": \"say\", \"arguments\": {\"text\": \"x\"}}"
#define ADD_TOLD "[add({\"a\": 1, \"b\": 2})]"
#define SAY_TOLD "[say({\"text\": \"x\"})]"

enum { NO_TOOLS = 1, IN_THOUGHT = 2, LETTERS = 4 /* not with control tokens */ };

/* told: text as it is, <reasoning>, [call(arguments)], and [!call(arguments)](as written). */
static const struct {
    const char *family, *says, *told;
    int how;
} rows[] = {
    {HERMES, "Hello, world\n", "Hello, world\n", 0},
    {HERMES, "1 < 2 <tool 3", "1 < 2 <tool 3", 0},
    {HERMES, "<tool_call>\n" ADD "\n</tool_call>", ADD_TOLD, 0},
    {HERMES, "I add.\n\n<tool_call>\n" ADD "\n</tool_call>\n", "I add." ADD_TOLD, 0},
    {HERMES, "<tool_call>" ADD "</tool_call>\n<tool_call>" SAY "</tool_call>", ADD_TOLD SAY_TOLD,
     0},
    {HERMES, "<tool_call>[" ADD ", " SAY "]</tool_call>", ADD_TOLD SAY_TOLD, 0},
    {HERMES, "<tool_call>" ADD "\n" SAY "</tool_call>ok", ADD_TOLD SAY_TOLD "ok", 0},
    {HERMES, "<tool_call>{\"arguments\": {\"a\": 1, \"b\": 2}, \"name\": \"add\"}</tool_call>",
     ADD_TOLD, 0},
    {HERMES, "<tool_call>{\"name\": \"add\"}</tool_call>", "[add({})]", 0},
    {HERMES, "<tool_call>{\"name\": \"add\", \"arguments\": null}</tool_call>", "[add({})]", 0},
    {HERMES, "<tool_call>{\"name\":\"say\",\"arguments\":\"{\\\"text\\\":\\\"x\\\"}\"}</tool_call>",
     "[say({\"text\":\"x\"})]", 0},
    {HERMES,
     "<tool_call>{\"arguments\":\"{\\\"text\\\":1}\",\"id\":[1,{}],\"name\":\"say\"}</tool_call>",
     "[say({\"text\":1})]", 0},
    {HERMES,
     "<tool_call>{\"type\":\"function\",\"function\":{\"name\":\"add\",\"arguments\":{}}}</"
     "tool_call>",
     "[add({})]", 0},
    {HERMES,
     "<tool_call>{\"name\":\"say\",\"arguments\":{\"text\":\"</tool_call>{\\\"\"}}</tool_call>",
     "[say({\"text\":\"</tool_call>{\\\"\"})]", LETTERS},
    {HERMES, "<tool_call>" ADD "</tool_call>", "<tool_call>" ADD "</tool_call>",
     NO_TOOLS | LETTERS},
    {HERMES, "</tool_call> a", "</tool_call> a", LETTERS},
    {HERMES, "a <tool_call>none</tool_call> b", "a <tool_call>none</tool_call> b", LETTERS},
    {HERMES, "<tool_call>{\"nome\": 1}</tool_call>", "<tool_call>{\"nome\": 1}</tool_call>",
     LETTERS},
    {HERMES, "<tool_call>{\"name\": \"a b\"}</tool_call>",
     "<tool_call>{\"name\": \"a b\"}</tool_call>", LETTERS},
    {HERMES, "<tool_call>{\"name\": \"add\"", "[!add()](<tool_call>{\"name\": \"add\")", 0},
    {HERMES, "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1",
     "[!add({\"a\": 1)](<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1)", 0},
    {HERMES, "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": oops}}</tool_call> b",
     "[!add({\"a\": oops})](<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": oops}})b", 0},
    {HERMES, "<tool_call>{\"name\": \"add\", \"arguments\": [1]}</tool_call> b",
     "[!add(, \"arguments\": [1]})](<tool_call>{\"name\": \"add\", \"arguments\": "
     "[1]}</tool_call>)b",
     0},
    {HERMES, "<tool_call>", "<tool_call>", LETTERS},
    {THINKING, "<think>\nhm\n</think>\n\nYes", "<hm>Yes", 0},
    {THINKING, "<think>\n\n</think>\n\nYes", "Yes", 0},
    {THINKING, "<think>hm, <tool_call></think><tool_call>" ADD "</tool_call>",
     "<hm, <tool_call>>" ADD_TOLD, LETTERS},
    {THINKING, "hm\n</think>\n" ADD, "<hm>" ADD, IN_THOUGHT},
    {THINKING, "<think>hm</think>a", "<hm>a", IN_THOUGHT},
    {THINKING, "hm ", "<hm>", IN_THOUGHT},
    {THINKING, "a </thi", "<a </thi>", IN_THOUGHT},
    {THINKING, "<think>hm</think>a", "<hm>a", NO_TOOLS},
    {LLAMA, "{\"name\": \"add\", \"parameters\": {\"a\": 1, \"b\": 2}}", ADD_TOLD, 0},
    {LLAMA, "\n{\"type\": \"function\", \"name\": \"add\", \"parameters\": {}}", "[add({})]", 0},
    {LLAMA, ADD "; " SAY, ADD_TOLD SAY_TOLD, 0},
    {LLAMA, "{\"name\": \"nobody\", \"parameters\": {}}",
     "{\"name\": \"nobody\", \"parameters\": {}}", 0},
    {LLAMA, "{\"city\": \"add\"} <- JSON", "{\"city\": \"add\"} <- JSON", 0},
    {LLAMA, "a " ADD, "a " ADD, 0},
    {LLAMA, "{\"name\": \"add\"} is it", "{\"name\": \"add\"} is it", 0},
    {LLAMA, ADD, ADD, NO_TOOLS},
    {PYTHON, "<|python_tag|>{\"name\": \"add\", \"parameters\": {\"a\": 1, \"b\": 2}}", ADD_TOLD,
     0},
    {PYTHON, "<|python_tag|>print(1)", "<|python_tag|>print(1)", LETTERS},
    {MISTRAL, "[TOOL_CALLS][" ADD "]", ADD_TOLD, 0},
    {MISTRAL, "[TOOL_CALLS] [" ADD ", " SAY "]", ADD_TOLD SAY_TOLD, 0},
    {MISTRAL, "[TOOL_CALLS]add[ARGS]{\"a\": 1, \"b\": 2}[TOOL_CALLS]say[ARGS]{\"text\": \"x\"}",
     ADD_TOLD SAY_TOLD, 0},
    {MISTRAL, "[TOOL_CALLS]add[CALL_ID]abc[ARGS]{}", "[add({})]", 0},
    {MISTRAL, "[THINK]hm[/THINK]yes", "<hm>yes", 0},
    {MISTRAL, "[TOOL_CALLS]add", "[TOOL_CALLS]add", LETTERS},
    {MISTRAL, "[TOOL_CALLS]add[ARGS]{\"a\"", "[!add({\"a\")]([TOOL_CALLS]add[ARGS]{\"a\")", 0},
    {GRANITE, "<|tool_call|>[" ADD ", " SAY "]", ADD_TOLD SAY_TOLD, 0},
    {PHI, "<|tool_call|>[" ADD "]<|/tool_call|>", ADD_TOLD, 0},
    {PHI, "<|tool_call|>[" ADD ", oops]<|/tool_call|>", ADD_TOLD ", oops]<|/tool_call|>", LETTERS},
    {COHERE,
     "<|START_THINKING|>hm<|END_THINKING|><|START_ACTION|>[{\"tool_call_id\": \"0\", "
     "\"tool_name\": \"add\", \"parameters\": {}}]<|END_ACTION|>",
     "<hm>[add({})]", 0},
    {DEEPSEEK,
     "hm</think>ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n"
     "{\"a\": 1, \"b\": "
     "2}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>say\n"
     "```json\n{\"text\": \"x\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "<hm>ok" ADD_TOLD SAY_TOLD, IN_THOUGHT},
    {DEEPSEEK,
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{\"a\": 1, \"b\": "
     "2}<｜tool▁call▁end｜>"
     "<｜tool▁calls▁end｜>",
     ADD_TOLD, 0},
    {DEEPSEEK, "<｜tool▁calls▁begin｜> no", "<｜tool▁calls▁begin｜> no", 0},
    {CODER,
     "ok\n<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\n2\n</"
     "parameter>"
     "\n</function>\n</tool_call>",
     "ok[add({\"a\":1,\"b\":2})]", 0},
    {CODER, "<function=say><parameter=text>\n12\n\n</parameter></function>",
     "[say({\"text\":\"12\\n\"})]", 0},
    {CODER, "<function=say><parameter=other>x < \"y\"</parameter></function>z",
     "[say({\"other\":\"x < \\\"y\\\"\"})]z", 0},
    {CODER, "<function=add></function>", "[add({})]", 0},
    {CODER, "<function=add>oops</function>", "[!add(oops)](<function=add>oops</function>)", 0},
    {CODER, "<function=add", "<function=add", LETTERS},
    {GLM,
     "<think>hm</think>\n<tool_call>say\n<arg_key>text</arg_key>\n<arg_value>x "
     "y</arg_value>\n</tool_call>",
     "<hm>[say({\"text\":\"x y\"})]", 0},
    {GLM, "<tool_call>say<arg_key>text</arg_key><arg_value>x</arg_value></tool_call>y",
     "[say({\"text\":\"x\"})]y", 0},
    {GLM, "<tool_call>say\n</tool_call>", "[say({})]", 0},
    {"<|tool_call_argument_begin|>",
     "<|tool_calls_section_begin|><|tool_call_begin|>functions.add:0<|tool_call_argument_begin|>{"
     "\"a\": 1, \"b\": 2}<|tool_call_end|><|tool_calls_section_end|>",
     ADD_TOLD, 0},
    {"<function=", "<function=add>{\"a\": 1, \"b\": 2}</function>", ADD_TOLD, 0},
    {"<tool_calls>", "<tool_calls>\n" ADD "\n" SAY "\n</tool_calls>", ADD_TOLD SAY_TOLD, 0},
    {GEMMA,
     "<start_function_call>call:say{text:<escape>a \"b\"<escape>,n:[1,{k:true}]}<end_function_call>"
     "<start_function_response>",
     "[say({\"text\":\"a \\\"b\\\"\",\"n\":[1,{\"k\":true}]})]", 0},
    {GEMMA, "<start_function_call>call:add{a:}<end_function_call>b",
     "<start_function_call>call:add{a:}<end_function_call>b", LETTERS},
    {CODE,
     "ok\n```tool_code\nadd(a=1, b=2.5)\nsay(text='it\\'s \"x\"', more=[True, None, (1,)])\n```",
     "ok[add({\"a\":1,\"b\":2.5})][say({\"text\":\"it's \\\"x\\\"\",\"more\":[true,null,[1]]})]",
     0},
    {CODE, "```tool_code\nx = 1\n```", "```tool_code\nx = 1\n```", LETTERS},
    {CODE, "```python\nx\n```", "```python\nx\n```", LETTERS},
    {PYTHONIC, "[add(a=1, b=2), say(text=\"]\")]",
     "[add({\"a\":1,\"b\":2})][say({\"text\":\"]\"})]", 0},
    {PYTHONIC, "[1, 2]", "[1, 2]", 0},
    {PYTHONIC, "[link](there)", "[link](there)", 0},
    {PYTHONIC, "[nobody(a=1)]", "[nobody(a=1)]", 0},
    {"<|tool_call>call:", "<|tool_call>call:say{text:<|\"|>x<|\"|>}<tool_call|><|tool_response>",
     "[say({\"text\":\"x\"})]", 0},
    {"<|tool_call_start|>", "ok<|tool_call_start|>[add(a=1), say(text='x')]<|tool_call_end|>",
     "ok[add({\"a\":1})][say({\"text\":\"x\"})]", 0},
    {HARMONY,
     "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>yes"
     "<|return|>",
     "<hm>yes", 0},
    {HARMONY,
     "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary "
     "to=functions.add <|constrain|>json<|message|>{\"a\": 1, \"b\": 2}<|call|>",
     "<hm>" ADD_TOLD, 0},
    {HARMONY,
     "<|channel|>commentary<|message|>I add.<|end|><|start|>assistant "
     "to=functions.add<|channel|>commentary json<|message|> {\"a\": 1, \"b\": 2}<|call|>",
     "I add." ADD_TOLD, 0},
    {HARMONY, "<|channel|>final<|message|>a <|b", "a <|b", 0},
    {HARMONY, "no head at all", "no head at all", 0},
    {HARMONY, " to=functions.add<|channel|>commentary<|message|>{\"a\"",
     "[!add({\"a\")]( to=functions.add<|channel|>commentary<|message|>{\"a\")", LETTERS},
    {"", "<tool_call>" ADD "</tool_call>", ADD_TOLD, 0},
    {"", ADD, ADD_TOLD, 0},
};

typedef struct heard {
    maas_buf text;
    bool open;
    maas_said_kind kind;
    long calls;
} heard;

static void hear(void *user, const maas_said_event *ev)
{
    static const char *const begin[] = {"", "<", "["}, *const end[] = {"", ">", ")]"};
    heard *h = user;
    h->calls += ev->what == MAAS_SAID_BEGIN && ev->kind == MAAS_SAID_CALL;
    EXPECT(h->open == (ev->what != MAAS_SAID_BEGIN));
    EXPECT(ev->what == MAAS_SAID_BEGIN || ev->kind == h->kind);
    h->open = ev->what != MAAS_SAID_END;
    h->kind = ev->kind;
    if (ev->what == MAAS_SAID_BEGIN)
        maas_buf_str(&h->text, begin[ev->kind]);
    maas_buf_add(&h->text, ev->what == MAAS_SAID_END ? "" : ev->text.p,
                 ev->what == MAAS_SAID_END ? 0 : ev->text.n);
    if (ev->what == MAAS_SAID_BEGIN && ev->kind == MAAS_SAID_CALL)
        maas_buf_char(&h->text, '(');
    if (ev->what == MAAS_SAID_END)
        maas_buf_str(&h->text, end[ev->kind]);
    if (ev->what == MAAS_SAID_END && !ev->ok) {
        maas_buf_str(&h->text, "!(");
        maas_buf_add(&h->text, ev->text.p, ev->text.n);
        maas_buf_char(&h->text, ')');
    }
}

typedef enum feeding { WHOLE, BYTES, PIECES, CONTROLS } feeding;

static size_t marker_at(const maas_said_style *y, maas_str s)
{
    for (uint32_t i = 0; i < y->n; i++)
        if (y->markers[i].text.n <= s.n &&
            memcmp(s.p, y->markers[i].text.p, y->markers[i].text.n) == 0)
            return y->markers[i].text.n;
    return 0;
}

static void feed(maas_said *s, const maas_said_style *y, maas_str text, feeding way, maas_rng *rng)
{
    while (text.n) {
        const size_t marker = way == CONTROLS ? marker_at(y, text) : 0;
        size_t n = way == WHOLE ? text.n : way == PIECES ? 1 + maas_rng_u64(rng) % 7 : 1;
        n = marker ? marker : n < text.n ? n : text.n;
        /* bytes of their own: what lies behind them is not to be read */
        char *copy = maas_strndup(text.p, n);
        EXPECT(marker ? maas_said_control(s, (maas_str){copy, n})
                      : maas_said_text(s, (maas_str){copy, n}));
        maas_free(copy);
        text.p += n;
        text.n -= n;
    }
    EXPECT(maas_said_finish(s));
}

static void say(const char *family, maas_str text, int flags, feeding way, heard *h)
{
    static maas_rng rng = {.s = {1, 2, 3, 4}};
    json_t *tools = flags & NO_TOOLS ? NULL : json_loads(tools_text, 0, NULL);
    maas_said_style y;
    maas_said_style_of((maas_str){family, strlen(family)}, NULL, &y);
    for (uint32_t i = 0; i < y.n; i++)
        y.markers[i].control = way == CONTROLS;
    *h = (heard){.text = MAAS_BUF_INIT(1u << 24)};
    const maas_said_opts o = {
        .style = &y, .tools = tools, .in_thought = flags & IN_THOUGHT, .on = hear, .user = h};
    maas_said *s = maas_said_create(&o);
    feed(s, &y, text, way, &rng);
    maas_said_destroy(s);
    json_decref(tools);
    EXPECT(!h->open);
}

/* "[!f(" of a row is "[f(" and ")]!(" as it is heard. */
static void expected(const char *told, maas_buf *out)
{
    for (bool broken = false; *told; told++) {
        if (told[0] == '[' && told[1] == '!') {
            maas_buf_char(out, '[');
            broken = true;
            told++;
        } else if (broken && strncmp(told, ")](", 3) == 0) {
            maas_buf_str(out, ")]!(");
            broken = false;
            told += 2;
        } else {
            maas_buf_char(out, *told);
        }
    }
}

static void every_family_is_heard_in_every_way(void)
{
    static const char *const names[] = {"whole", "bytes", "pieces", "controls"};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        for (int way = WHOLE; way <= CONTROLS; way++) {
            heard h;
            maas_buf want = MAAS_BUF_INIT(1u << 20);
            if (way == CONTROLS && rows[i].how & LETTERS)
                continue;
            expected(rows[i].told, &want);
            say(rows[i].family, (maas_str){rows[i].says, strlen(rows[i].says)}, rows[i].how, way,
                &h);
            EXPECT_MSG(h.text.n == want.n && memcmp(h.text.p, want.p, want.n) == 0,
                       "row %zu, %s: %s\n    gives %s\n    not   %s", i, names[way], rows[i].says,
                       h.text.p, want.p);
            maas_buf_reset(&want);
            maas_buf_reset(&h.text);
        }
}

/* What a grammar lets a family write behind a trigger is heard as the call it is, also after text,
 * where the trigger is no letter at the beginning. Families that write JSON have one. */
static void what_a_trigger_begins_is_a_call(void)
{
    static const char arguments[] = "{\"a\": 1, \"b\": 2}";
    int n_without = 0, n_bare = 0;
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        const char *between;
        maas_said_style y;
        maas_said_trigger t;
        heard h;
        uint32_t n = 0;
        maas_said_style_of((maas_str){rows[i].family, strlen(rows[i].family)}, NULL, &y);
        for (; maas_said_trigger_of(&y, n, &t); n++) {
            maas_buf text = MAAS_BUF_INIT(1u << 20);
            const char *name = memchr(t.rest.p, '\1', t.rest.n);
            const char *args = memchr(t.rest.p, '\2', t.rest.n);
            EXPECT(name && args && name < args);
            maas_buf_add(&text, t.text.p, t.text.n);
            maas_buf_printf(&text, "%.*sadd%.*s%s%.*s", (int)(name - t.rest.p), t.rest.p,
                            (int)(args - name - 1), name + 1, arguments,
                            (int)(t.rest.p + t.rest.n - args - 1), args + 1);
            say(rows[i].family, (maas_str){text.p, text.n}, 0, BYTES, &h);
            EXPECT_MSG(h.text.n == strlen(ADD_TOLD) && memcmp(h.text.p, ADD_TOLD, h.text.n) == 0,
                       "%s, trigger %u: %s is heard as %s", rows[i].family, n, text.p, h.text.p);
            n_bare += t.at_start;
            maas_buf_reset(&text);
            maas_buf_reset(&h.text);
        }
        EXPECT_EQ(n > 0, maas_said_frame(&y, &between) != NULL);
        n_without += n == 0;
    }
    EXPECT(n_without && n_bare);
}

/* Bytes changed, put in, taken out, and markers put anywhere: whole and in pieces must still be
 * told alike, and nothing may be lost but markers and blanks. */
static void whatever_a_model_says_is_told_alike(void)
{
    static const char *const bits[] = {
        "<tool_call>", "</tool_call>", "<think>", "</think>",   "{", "}",  "\"",  "[TOOL_CALLS]",
        "[ARGS]",      "\\",           "```",     "<function=", "(", "\n", "\xff"};
    maas_rng rng;
    maas_rng_seed(&rng, 5);
    for (int round = 0; round < 20000; round++) {
        const size_t i = maas_rng_below(&rng, MAAS_COUNT(rows));
        maas_buf text = MAAS_BUF_INIT(1u << 16);
        heard whole, pieces;
        for (const char *p = rows[i].says; *p; p++) {
            const uint64_t what = maas_rng_below(&rng, 40);
            if (what == 0)
                maas_buf_str(&text, bits[maas_rng_below(&rng, MAAS_COUNT(bits))]);
            if (what != 1)
                maas_buf_char(&text, what == 2 ? (char)maas_rng_u64(&rng) : *p);
        }
        say(rows[i].family, (maas_str){text.p ? text.p : "", text.n}, rows[i].how, WHOLE, &whole);
        say(rows[i].family, (maas_str){text.p ? text.p : "", text.n}, rows[i].how, PIECES, &pieces);
        EXPECT_MSG(whole.text.n == pieces.text.n &&
                       (!whole.text.n || memcmp(whole.text.p, pieces.text.p, whole.text.n) == 0),
                   "%s: %s\n    whole  %s\n    pieces %s", rows[i].family, text.p, whole.text.p,
                   pieces.text.p);
        maas_buf_reset(&whole.text);
        maas_buf_reset(&pieces.text);
        maas_buf_reset(&text);
    }
}

static void what_is_held_is_bounded(void)
{
    maas_buf text = MAAS_BUF_INIT((size_t)64 << 20);
    heard h;
    maas_buf_str(&text, "<tool_call>{\"a\": \"");
    while (text.n < MAAS_SAID_MAX_HELD + 1000)
        maas_buf_str(&text, "0123456789 bytes that are no name; ");
    say(HERMES, (maas_str){text.p, text.n}, 0, WHOLE, &h);
    EXPECT(h.text.n == text.n && memcmp(h.text.p, text.p, text.n) == 0);
    maas_buf_reset(&h.text);
    maas_buf_clear(&text);
    for (int i = 0; i < 3 * MAAS_SAID_MAX_CALLS; i++)
        maas_buf_str(&text, "<tool_call>{\"name\": \"add\"}</tool_call>");
    say(HERMES, (maas_str){text.p, text.n}, 0, WHOLE, &h);
    EXPECT_EQ(h.calls, MAAS_SAID_MAX_CALLS);
    maas_buf_reset(&h.text);
    maas_buf_clear(&text);
    while (text.n < 4u << 20) /* nothing is searched twice */
        maas_buf_str(&text, "<tool_call>{\"name\": {");
    say(HERMES, (maas_str){text.p, text.n}, 0, WHOLE, &h);
    EXPECT(h.text.n == text.n);
    maas_buf_reset(&h.text);
    maas_buf_reset(&text);
}

static const mt_case cases[] = {
    MT_CASE(whatever_a_model_says_is_told_alike),
    MT_CASE(what_is_held_is_bounded),
    MT_CASE(every_family_is_heard_in_every_way),
    MT_CASE(what_a_trigger_begins_is_a_call),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
