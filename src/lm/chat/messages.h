/* lm/chat/messages.h - conversations as clients write them, in the form that a template wants. */
#ifndef MAAS_LM_CHAT_MESSAGES_H
#define MAAS_LM_CHAT_MESSAGES_H

#include "lm/said.h"

typedef struct maas_chat_ways { /* of a template, found by trying it */
    bool tools;                 /* it shows tools to the model; else they are described in a text */
    bool calls;                 /* it shows calls that were; else they are written as text */
    bool system;                /* it takes a message of the system */
    bool text_arguments;        /* arguments are a text for it, not an object */
    bool empty_content;         /* of a message that has calls alone: "", not null */
    uint32_t id_length;         /* of the identifiers of calls; 0: any */
    const char *frame, *between; /* how a call is written as text (maas_said_frame) */
} maas_chat_ways;

/* Appends messages to `out`; the tools are described there when the template does not. E_INVALID
 * names the message. */
maas_status maas_chat_messages(const maas_chat_ways *w, const json_t *messages, const json_t *tools,
                               json_t *out, maas_err *err);

#endif
