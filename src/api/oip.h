/* api/oip.h - handlers of the Open Inference Protocol (oip.c, oip_infer.c, oip_stats.c). */
#ifndef MAAS_API_OIP_H
#define MAAS_API_OIP_H

#include "api/infer.h"

maas_status maas_oip_infer_body(maas_req *r, maas_span piece, maas_err *err);
void maas_oip_infer(maas_req *r);   /* params: model[, version] */
void maas_oip_explain(maas_req *r); /* the same body */
void maas_oip_profile(maas_req *r); /* the same body */
void maas_v1_explain(maas_req *r);
void maas_oip_server(maas_req *r);
void maas_oip_live(maas_req *r);
void maas_oip_ready(maas_req *r);
void maas_oip_model(maas_req *r);
void maas_oip_model_ready(maas_req *r);
void maas_oip_config(maas_req *r);
void maas_oip_stats(maas_req *r); /* one model */
void maas_oip_all_stats(maas_req *r);
void maas_oip_index(maas_req *r);
void maas_oip_load(maas_req *r);
void maas_oip_unload(maas_req *r);

#endif
