/*
 * cli/events.h - Ctrl-C that ends what a command waits for instead of the program, and streams of
 * events (text/event-stream: "data: ..." lines) that are followed until then.
 *
 * One stream at a time; one thread.
 */
#ifndef MAAS_CLI_EVENTS_H
#define MAAS_CLI_EVENTS_H

#include <signal.h>

#include "cli/client.h"

/* From here on Ctrl-C is noted; reading from a terminal ends with it, too. *before: for end. */
void maas_interrupts_begin(struct sigaction *before);
void maas_interrupts_end(const struct sigaction *before);
bool maas_interrupted(void);
void maas_interrupts_forget(void);

/* What follows "data:" of one line; false: that is enough. */
typedef bool (*maas_event_fn)(void *user, maas_span data);

/* Sends `call`, whose user, sink and progress are ours, and calls `take` for each event. MAAS_OK
 * when the stream ended by itself; after Ctrl-C or enough, as maas_cli_send says it.
 */
maas_status maas_cli_events(maas_cli *cli, maas_http_call call, maas_event_fn take, void *user,
                            maas_err *err);

#endif
