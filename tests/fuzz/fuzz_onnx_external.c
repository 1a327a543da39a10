/* tests/fuzz/fuzz_onnx_external.c - bytes as a model with data outside: the last ones are also a
 * file "x.data" beside it. */
#include "formats/members.h"
#include "onnx_run.h"

static maas_status read_with_data(maas_span file, maas_budget *budget, maas_graph **out,
                                  maas_err *err)
{
    const size_t n = file.n < 64 ? file.n : 64;
    maas_member list[] = {{"model.onnx", file, false},
                          {"x.data", maas_span_of(file.p + file.n - n, n), false}};
    maas_members members = {list, 2};
    const maas_onnx_opts opts = {
        .budget = budget, .external = maas_members_external, .user = &members};
    return maas_onnx_read(file, &opts, out, err);
}

static maas_status look_at(void *user, const char *location, maas_err *err)
{
    (void)err;
    *(size_t *)user += strlen(location);
    return MAAS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    maas_err err = {0};
    size_t n = 0;
    (void)maas_onnx_externals(maas_span_of(data, size), look_at, &n, &err);
    (void)model_run_bytes(maas_span_of(data, size), read_with_data);
    return 0;
}
