/*
 * tests/client/onnx_copy.c - reads a model and writes it again: IN.onnx OUT.onnx. Exit 0, or 1 and
 * `STATUS words` on standard error. For test_onnx_roundtrip.py, which compares the two files.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/onnx.h"

static maas_status copy(const char *from, const char *to, maas_err *err)
{
    AUTO_FD in = -1;
    AUTO_FD out = -1;
    maas_map map = {0};
    maas_graph *g = NULL;
    AUTO(maas_buf_reset) maas_buf file = MAAS_BUF_INIT(256u << 20);
    MAAS_TRY(maas_sys_open(from, O_RDONLY, &in, err));
    MAAS_TRY(maas_sys_open(to, O_WRONLY | O_CREAT | O_TRUNC, &out, err));
    MAAS_TRY(maas_sys_map(in, &map, err));
    maas_status st = maas_onnx_read(maas_span_of(map.p, map.n), NULL, &g, err);
    if (st == MAAS_OK)
        st = maas_onnx_write(g, NULL, NULL, &file, err);
    if (st == MAAS_OK)
        st = maas_sys_write(out, file.p, file.n, err);
    maas_graph_destroy(g);
    maas_sys_unmap(&map);
    return st;
}

int main(int argc, char **argv)
{
    maas_err err = {0};
    if (argc != 3)
        return 2;
    maas_status st = copy(argv[1], argv[2], &err);
    if (st != MAAS_OK)
        fprintf(stderr, "%s %s\n", maas_status_describe(st)->name, err.msg);
    return st != MAAS_OK;
}
