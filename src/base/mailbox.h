/*
 * base/mailbox.h - the one way a thread talks to another thread.
 *
 * Many senders, one receiver. A message is owned by the mailbox from post() until the receiver
 * takes it. `lock` is a leaf: nothing else is locked while it is held.
 */
#ifndef MAAS_BASE_MAILBOX_H
#define MAAS_BASE_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>

#include "base/status.h"

typedef struct maas_msg {
    struct maas_msg *next;
} maas_msg;

typedef struct maas_mailbox {
    int wake_fd; /* eventfd, non-blocking; the receiver's poll loop watches it */
    pthread_mutex_t lock;
    maas_msg *head, **tail; /* under lock */
    bool closed;            /* under lock */
} maas_mailbox;

maas_status maas_mailbox_init(maas_mailbox *mb, maas_err *err);
void maas_mailbox_reset(maas_mailbox *mb);             /* must be empty */
bool maas_mailbox_post(maas_mailbox *mb, maas_msg *m); /* false: closed, the sender still owns m */
maas_msg *maas_mailbox_take_all(maas_mailbox *mb);     /* oldest first; NULL when empty  */
/* Waits until there is mail or `timeout_ms` passed (-1: for ever). */
maas_msg *maas_mailbox_wait(maas_mailbox *mb, int timeout_ms);
void maas_mailbox_close(maas_mailbox *mb); /* later posts are refused; the receiver wakes */

#endif
