/* cli/model_show.c - the page of `maas models show`. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/model.h"
#include "cli/print.h"
#include "base/ban.h"

static uint64_t count_of(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (uint64_t)n : 0;
}

static void print_ports(const char *title, const json_t *ports)
{
    maas_text_table t;
    size_t i;
    json_t *p;
    maas_text_table_init(&t, "llll");
    json_array_foreach((json_t *)ports, i, p)
    {
        maas_text_table_cell(&t, "%s", i ? "" : title);
        maas_text_table_str(&t, p, "name");
        maas_text_table_str(&t, p, "datatype");
        maas_text_table_shape(&t, json_object_get(p, "shape"));
    }
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
}

static void put_count(maas_text_table *t, const json_t *o, const char *key)
{
    char text[32];
    if (json_is_integer(json_object_get(o, key)))
        maas_text_table_cell(t, "%s", maas_human_count(count_of(o, key), text));
    else
        maas_text_table_cell(t, "-");
}

static void print_layers(const json_t *info)
{
    maas_text_table t;
    size_t i;
    json_t *l;
    maas_text_table_init(&t, "lllrrr");
    for (const char *const *h = (const char *const[]){"layer", "output", "shape", "parameters",
                                                      "bytes", "operations per row", NULL};
         *h; h++)
        maas_text_table_cell(&t, "%s", *h);
    json_array_foreach(json_object_get(info, "layers"), i, l)
    {
        maas_text_table_str(&t, l, "op");
        maas_text_table_str(&t, l, "output");
        maas_text_table_shape(&t, json_object_get(l, "shape"));
        put_count(&t, l, "parameters");
        put_count(&t, l, "bytes");
        put_count(&t, l, "flops_per_row");
    }
    putchar('\n');
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
}

/* What a model says of itself: "architecture llama", "context 8192". */
static void print_meta(const json_t *meta)
{
    const char *key;
    json_t *v;
    char number[32];
    maas_text_table t;
    maas_text_table_init(&t, "ll");
    json_object_foreach((json_t *)meta, key, v)
    {
        if (!json_is_number(v) && !json_string_length(v))
            continue;
        maas_text_table_cell(&t, "%s", key);
        if (json_is_string(v))
            maas_text_table_cell(&t, "%s", json_string_value(v));
        else
            maas_text_table_cell(&t, "%s", maas_human_number(v, number));
    }
    if (t.n) {
        putchar('\n');
        maas_text_table_print(&t, stdout);
    }
    maas_text_table_reset(&t);
}

static void print_info(const json_t *info)
{
    char params[32], bytes[32], flops[32];
    if (!json_is_object(info))
        return;
    if (json_array_size(json_object_get(info, "layers")))
        print_layers(info);
    else /* a language model is told by its numbers */
        print_meta(json_object_get(info, "meta"));
    printf("\n%s parameters, %s", maas_human_count(count_of(info, "parameters"), params),
           maas_human_bytes(count_of(info, "bytes"), bytes));
    if (json_is_integer(json_object_get(info, "flops_per_row")))
        printf(", %s operations per row", maas_human_count(count_of(info, "flops_per_row"), flops));
    putchar('\n');
}

static void print_metrics(const json_t *metrics)
{
    const char *key;
    json_t *v;
    char number[32];
    bool any = false;
    json_object_foreach((json_t *)metrics, key, v)
    {
        if (!json_is_number(v))
            continue;
        printf("%s%s %s", any ? "  " : "metrics: ", key, maas_human_number(v, number));
        any = true;
    }
    if (any)
        putchar('\n');
}

/* Members that are text or a "name:version" pair. */
static void print_lineage(const json_t *lineage)
{
    const char *key;
    json_t *v;
    maas_text_table t;
    maas_text_table_init(&t, "ll");
    json_object_foreach((json_t *)lineage, key, v)
    {
        const char *name = json_string_value(json_object_get(v, "name"));
        name = name ? name : json_string_value(json_object_get(v, "model"));
        if (!json_is_string(v) && !name)
            continue;
        maas_text_table_cell(&t, "  %s", key);
        if (name)
            maas_text_table_cell(&t, "%s:%lld", name,
                                 (long long)json_integer_value(json_object_get(v, "version")));
        else
            maas_text_table_cell(&t, "%s", json_string_value(v));
    }
    if (t.n) {
        printf("lineage:\n");
        maas_text_table_print(&t, stdout);
    }
    maas_text_table_reset(&t);
}

void maas_cli_model_print(const json_t *model, const json_t *version)
{
    const char *alias;
    json_t *v;
    int64_t number = json_integer_value(json_object_get(version, "version"));
    const char *created = json_string_value(json_object_get(version, "created_at"));
    printf("%s:%lld  %s  %s", json_string_value(json_object_get(version, "name")),
           (long long)number, json_string_value(json_object_get(version, "format")),
           created ? created : "");
    json_object_foreach(json_object_get(model, "aliases"), alias, v)
    {
        if (json_integer_value(v) == number)
            printf("  @%s", alias);
    }
    printf("\n\n");
    print_ports("inputs", json_object_get(version, "inputs"));
    print_ports("outputs", json_object_get(version, "outputs"));
    print_info(json_object_get(version, "info"));
    print_metrics(json_object_get(version, "metrics"));
    print_lineage(json_object_get(version, "lineage"));
}
