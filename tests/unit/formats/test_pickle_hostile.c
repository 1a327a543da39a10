/* The pickle machine against pickles that mean harm: gadgets by their names, bombs by what they
 * cost. */
#include "maas_test.h"

#include <zlib.h>

#include "pickle_text.h"

/* ---- gadgets ---- */

static const char *const gadgets[][2] = {
    {"os", "system"},
    {"posix", "system"},
    {"nt", "system"},
    {"os", "popen"},
    {"subprocess", "Popen"},
    {"subprocess", "check_output"},
    {"builtins", "eval"},
    {"builtins", "exec"},
    {"builtins", "compile"},
    {"builtins", "getattr"},
    {"builtins", "__import__"},
    {"builtins", "open"},
    {"builtins", "print"},
    {"__builtin__", "eval"},
    {"__builtin__", "apply"},
    {"importlib", "import_module"},
    {"runpy", "run_path"},
    {"pty", "spawn"},
    {"socket", "socket"},
    {"shutil", "rmtree"},
    {"sys", "modules"},
    {"code", "interact"},
    {"timeit", "main"},
    {"pdb", "run"},
    {"pickle", "loads"},
    {"joblib", "load"},
    {"joblib._utils", "eval_expr"},
    {"numpy", "load"},
    {"numpy", "fromfile"},
    {"numpy.testing._private.utils", "runstring"},
    {"numpy.f2py.crackfortran", "getlincoef"},
    {"numpy.f2py.crackfortran", "myeval"},
    {"operator", "attrgetter"},
    {"operator", "methodcaller"},
    {"functools", "partialmethod"},
    {"functools", "reduce"},
    {"types", "FunctionType"},
    {"types", "CodeType"},
    {"marshal", "loads"},
    {"ctypes", "CDLL"},
    {"webbrowser", "open"},
    {"asyncio.unix_events", "_UnixSubprocessTransport._start"},
    {"cProfile", "run"},
    {"pip", "main"},
    {"torch", "load"},
    {"torch._utils", "_rebuild_tensor_v2"},
    {"torch.storage", "_load_from_bytes"},
    {"cloudpickle.cloudpickle", "_make_function"},
    {"dill._dill", "_create_function"},
    {"sklearn", "os.system"},
    {"sklearn.utils._testing", "set_random_state"},
    {"sklearn.datasets", "load_files"},
    {"sklearn.externals.joblib", "load"},
    {"_codecs", "decode"},
    {"copyreg", "add_extension"},
    {"__main__", "Mine"},
};

static void expect_named(maas_buf *file, const char *module, const char *name, const char *way)
{
    maas_buf out = MAAS_BUF_INIT(1 << 16);
    char class_name[200];
    const bool renamed = strncmp(module, "__builtin__", 11) == 0;
    snprintf(class_name, sizeof class_name, "REJECT_CLASS %s.%s", renamed ? "builtins" : module,
             name);
    if (strncmp(module, "sklearn.externals.joblib", 24) == 0)
        snprintf(class_name, sizeof class_name, "REJECT_CLASS joblib.%s", name);
    EXPECT(!file->failed);
    read_as_text((bytes){file->p, file->n}, &out);
    EXPECT_MSG(out.p[0] == '!' && strstr(out.p, class_name), "%s: %s", way, out.p);
    maas_buf_reset(&out);
    maas_buf_reset(file);
}

static void put_short(maas_buf *b, const char *text)
{
    maas_buf_printf(b, "\x8c%c%s", (int)strlen(text), text);
}

static void gadgets_are_refused_by_name_in_every_way(void)
{
    static const char *const after[] = {".", ")R.", "(S'id'\ntR.", ")\x81.", ")}\x92.", "q\x00."};
    for (size_t i = 0; i < MAAS_COUNT(gadgets); i++) {
        const char *module = gadgets[i][0], *name = gadgets[i][1];
        for (size_t k = 0; k < MAAS_COUNT(after); k++) {
            maas_buf b = MAAS_BUF_INIT(4096);
            maas_buf_printf(&b,
                            "\x80\x02"
                            "c%s\n%s\n%s",
                            module, name, after[k]);
            expect_named(&b, module, name, "GLOBAL");
            maas_buf_str(&b, "\x80\x04");
            put_short(&b, module);
            put_short(&b, name);
            maas_buf_printf(&b, "\x93%s", after[k]);
            expect_named(&b, module, name, "STACK_GLOBAL");
        }
        maas_buf b = MAAS_BUF_INIT(4096);
        maas_buf_printf(&b, "\x80\x02(S'id'\ni%s\n%s\n.", module, name);
        expect_named(&b, module, name, "INST");
        maas_buf_printf(&b, "\x80\x02(c%s\n%s\nS'id'\no.", module, name);
        expect_named(&b, module, name, "OBJ");
        maas_buf_printf(&b, "\x80\x02(S'%s'\nS'%s'\n(i%s\n%s\n.", module, name, module, name);
        expect_named(&b, module, name, "INST in INST");
        /* deep inside the state of what is known */
        maas_buf_printf(&b,
                        "\x80\x02"
                        "csklearn.svm\nSVC\n)\x81}S'a'\n]c%s\n%s\n)Rasb.",
                        module, name);
        expect_named(&b, module, name, "state");
        /* names put together from the memo */
        maas_buf_printf(&b, "c%s\n%s\n.", module, name);
        if (maas_pickle_probe(maas_span_of(b.p, b.n)))
            expect_named(&b, module, name, "protocol 0");
        maas_buf_reset(&b);
    }
}

/* A name that is changed on its way: control characters, blanks, names in names, too long ones. */
static void odd_names_are_refused(void)
{
    static const char *const modules[] = {"sklearn.svm\t", "sklearn. svm", " os", "",
                                          "sklearn.svm\x01"};
    maas_buf out = MAAS_BUF_INIT(1 << 16);
    for (size_t i = 0; i < MAAS_COUNT(modules); i++) {
        maas_buf b = MAAS_BUF_INIT(4096);
        maas_buf_printf(&b,
                        "\x80\x02"
                        "c%s\nSVC\n.",
                        modules[i]);
        read_as_text((bytes){b.p, b.n}, &out);
        EXPECT_MSG(strstr(out.p, "REJECT_CLASS"), "%s", out.p);
        maas_buf_reset(&b);
    }
    maas_buf b = MAAS_BUF_INIT(4096);
    maas_buf_str(&b, "\x80\x02"
                     "csklearn.svm.");
    for (int i = 0; i < 600; i++)
        maas_buf_char(&b, 'a');
    maas_buf_str(&b, "\nSVC\n.");
    read_as_text((bytes){b.p, b.n}, &out);
    EXPECT(strstr(out.p, "REJECT_CLASS"));
    maas_buf_reset(&b);
    maas_buf_reset(&out);
}

/* ---- bombs ---- */

/* Each list holds the one before twice: 2^60 values that cost the file 4 bytes a level. */
static void shared_lists_cost_what_the_file_pays(void)
{
    maas_buf b = MAAS_BUF_INIT(1 << 16);
    maas_budget budget = {.limit = 4u << 20};
    maas_pickle p;
    maas_err err = {0};
    maas_buf_str(&b, "\x80\x02]");
    for (int i = 0; i < 60; i++)
        maas_buf_printf(&b, "2\x86");
    maas_buf_char(&b, '.');
    EXPECT_EQ(maas_pickle_read(maas_buf_span(&b), &budget, &p, &err), MAAS_OK);
    EXPECT(budget.used < 1u << 20);
    const maas_pk *v = p.root;
    for (int i = 0; i < 60; i++) {
        EXPECT(maas_pk_at(v, 0) == maas_pk_at(v, 1));
        v = maas_pk_at(v, 0);
    }
    EXPECT_EQ(maas_pk_kind_of(v), MAAS_PK_LIST);
    maas_pickle_reset(&p);
    maas_buf_reset(&b);
}

/* Many small values are bounded by the limit, not by the file's wish. */
static void values_are_charged(void)
{
    const size_t n = 3u << 20;
    char *file = malloc(n);
    memset(file, ']', n);
    file[0] = '\x80';
    file[1] = 2;
    maas_budget budget = {.limit = 16u << 20};
    maas_pickle p;
    maas_err err = {0};
    EXPECT(maas_pickle_read(maas_span_of(file, n), &budget, &p, &err) != MAAS_OK);
    EXPECT(err.msg[0]);
    EXPECT_EQ(budget.used, 0);
    free(file);
}

static void a_compressed_bomb_stops(void)
{
    const size_t n = 96u << 20;
    uLongf packed_n = compressBound(n);
    uint8_t *plain = calloc(n, 1), *packed = malloc(packed_n);
    maas_budget budget = {.limit = 1u << 30};
    maas_pickle p;
    maas_err err = {0};
    EXPECT_EQ(compress2(packed, &packed_n, plain, n, 9), Z_OK);
    EXPECT(maas_pickle_read(maas_span_of(packed, packed_n), &budget, &p, &err) != MAAS_OK);
    EXPECT_MSG(strstr(err.msg, "grows beyond"), "%s", err.msg);
    EXPECT_EQ(budget.used, 0);
    free(plain);
    free(packed);
}

static const mt_case cases[] = {
    MT_CASE(gadgets_are_refused_by_name_in_every_way),
    MT_CASE(odd_names_are_refused),
    MT_CASE(shared_lists_cost_what_the_file_pays),
    MT_CASE(values_are_charged),
    MT_CASE(a_compressed_bomb_stops),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
