/* api/manage.h - handlers of /api/v1: data sets, blobs, models, versions, aliases, jobs, keys. */
#ifndef MAAS_API_MANAGE_H
#define MAAS_API_MANAGE_H

#include "api/app.h"

/* datasets.c */
void maas_datasets_put(maas_req *r);
void maas_datasets_list(maas_req *r);
void maas_datasets_get(maas_req *r);
void maas_datasets_delete(maas_req *r);
/* models.c */
void maas_versions_put(maas_req *r);  /* body: model file */
void maas_versions_post(maas_req *r); /* {"files":{path: sha256}} */
void maas_models_list(maas_req *r);
void maas_models_get(maas_req *r);
void maas_models_delete(maas_req *r);
void maas_versions_get(maas_req *r);
void maas_versions_delete(maas_req *r);
void maas_versions_artifact(maas_req *r);
void maas_aliases_put(maas_req *r);
void maas_aliases_delete(maas_req *r);
/* blobs.c */
maas_status maas_blobs_body(maas_req *r, maas_span piece, maas_err *err);
void maas_blobs_put(maas_req *r);
void maas_blobs_get(maas_req *r); /* how much of it is here */
/* jobs.c */
void maas_jobs_post(maas_req *r);
void maas_jobs_index(maas_req *r);
void maas_jobs_show(maas_req *r);
void maas_jobs_events(maas_req *r);
void maas_jobs_delete(maas_req *r);
/* keys.c */
void maas_keys_post(maas_req *r);
void maas_keys_list(maas_req *r);
void maas_keys_delete(maas_req *r);
/* status.c */
void maas_livez(maas_req *r);
void maas_readyz(maas_req *r);
void maas_openapi(maas_req *r);
void maas_metrics(maas_req *r);
void maas_settings_get(maas_req *r);

/* "3" of a path: a version number, or E_INVALID. */
maas_status maas_version_param(maas_req *r, int i, int64_t *out, maas_err *err);

#endif
