#include "api/reply.h"

#include "base/ban.h"

#define TREE_MAX (1ull << 30)

void maas_reply_json(maas_req *r, int http_status, maas_buf *in_arena)
{
    maas_err err = {0};
    if (in_arena->failed) {
        maas_fail(&err, MAAS_E_NOMEM, "memory for the answer");
        maas_req_fail(r, &err);
        return;
    }
    maas_req_allow_gzip(r);
    maas_req_reply(r, http_status, "application/json", in_arena->p, in_arena->n, true);
}

void maas_reply_tree(maas_req *r, int http_status, json_t *tree)
{
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), TREE_MAX);
    if (tree)
        maas_json_dump(tree, &b);
    else
        b.failed = true;
    json_decref(tree);
    maas_reply_json(r, http_status, &b);
}

void maas_reply_status(maas_req *r, maas_status st, const maas_err *err)
{
    if (st == MAAS_OK)
        maas_req_reply(r, 204, "application/json", "", 0, false);
    else
        maas_req_fail(r, err);
}

maas_status maas_body_object(maas_req *r, json_t **out, maas_err *err)
{
    json_t *tree = NULL;
    MAAS_TRY(maas_json_parse(maas_req_body(r), &tree, err));
    if (!json_is_object(tree)) {
        json_decref(tree);
        return maas_fail(err, MAAS_E_INVALID, "the body must be a JSON object");
    }
    *out = tree;
    return MAAS_OK;
}
