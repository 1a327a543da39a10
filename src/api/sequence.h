/*
 * api/sequence.h - requests of OIP that belong together: parameters sequence_id, sequence_start and
 * sequence_end. What the model remembers is kept by the server (serve/sequences.h), so a client
 * sends only what is new; inputs of states that it does send are taken as they are.
 */
#ifndef MAAS_API_SEQUENCE_H
#define MAAS_API_SEQUENCE_H

#include "api/oip_request.h"

/* Replies in the end, now or later: after earlier requests of the same sequence. */
void maas_sequence_infer(maas_req *r, maas_oip_request *o);

#endif
