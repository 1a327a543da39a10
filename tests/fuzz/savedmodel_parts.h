/*
 * tests/fuzz/savedmodel_parts.h - the three files of a SavedModel in one, for the fuzz target and
 * the mutation test: bytes of saved_model.pb and of variables.index as u32, then the files, then
 * the only shard. What is too long is cut.
 */
#ifndef MAAS_TEST_SAVEDMODEL_PARTS_H
#define MAAS_TEST_SAVEDMODEL_PARTS_H

#include "formats/members.h"
#include "formats/savedmodel/savedmodel.h"

typedef struct savedmodel_parts {
    maas_member list[3];
    maas_members all;
} savedmodel_parts;

static void savedmodel_split(maas_span file, savedmodel_parts *out)
{
    uint32_t n[2] = {0};
    maas_span part[3] = {{0}};
    for (int i = 0; i < 2; i++)
        maas_span_u32le(&file, &n[i]);
    for (int i = 0; i < 2; i++)
        maas_span_take(&file, n[i] < file.n ? n[i] : file.n, &part[i]);
    part[2] = file;
    static const char *const names[] = {"saved_model.pb", "variables/variables.index",
                                        "variables/variables.data-00000-of-00001"};
    for (int i = 0; i < 3; i++)
        out->list[i] = (maas_member){names[i], part[i], false};
    out->all = (maas_members){out->list, 3};
}

static inline maas_status savedmodel_read_parts(maas_span file, maas_budget *budget,
                                                maas_graph **out, maas_err *err)
{
    savedmodel_parts p;
    savedmodel_split(file, &p);
    const maas_onnx_opts o = {.budget = budget, .external = maas_members_external, .user = &p.all};
    return maas_savedmodel_read_with(p.list[0].bytes, &o, out, err);
}

#endif
