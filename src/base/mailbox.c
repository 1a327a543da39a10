#include "base/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/ban.h"

maas_status maas_mailbox_init(maas_mailbox *mb, maas_err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return maas_fail(err, maas_status_of_errno(errno), "cannot make a mailbox: %m");
    *mb = (maas_mailbox){.wake_fd = fd};
    mb->tail = &mb->head;
    pthread_mutex_init(&mb->lock, NULL);
    return MAAS_OK;
}

void maas_mailbox_reset(maas_mailbox *mb)
{
    MAAS_CHECK(!mb->head);
    pthread_mutex_destroy(&mb->lock);
    close(mb->wake_fd);
    *mb = (maas_mailbox){.wake_fd = -1};
}

bool maas_mailbox_post(maas_mailbox *mb, maas_msg *m)
{
    pthread_mutex_lock(&mb->lock);
    bool accepted = !mb->closed, was_empty = !mb->head;
    if (accepted) {
        m->next = NULL;
        *mb->tail = m;
        mb->tail = &m->next;
    }
    pthread_mutex_unlock(&mb->lock);
    if (accepted && was_empty)
        (void)eventfd_write(mb->wake_fd, 1); /* only the first post pays a system call */
    return accepted;
}

static maas_msg *detach(maas_mailbox *mb, bool *out_closed)
{
    pthread_mutex_lock(&mb->lock);
    maas_msg *list = mb->head;
    mb->head = NULL;
    mb->tail = &mb->head;
    *out_closed = mb->closed;
    pthread_mutex_unlock(&mb->lock);
    return list;
}

/* The wake-up is consumed before the list is detached: a post in between is taken now and wakes
 * once in vain, where the other order would lose the wake-up of a message left behind. */
maas_msg *maas_mailbox_take_all(maas_mailbox *mb)
{
    eventfd_t ignored;
    bool closed;
    (void)eventfd_read(mb->wake_fd, &ignored);
    return detach(mb, &closed);
}

maas_msg *maas_mailbox_wait(maas_mailbox *mb, int timeout_ms)
{
    uint64_t start = maas_now_ns();
    for (;;) {
        eventfd_t ignored;
        bool closed;
        (void)eventfd_read(mb->wake_fd, &ignored);
        maas_msg *list = detach(mb, &closed);
        uint64_t waited_ms = (maas_now_ns() - start) / 1000000u;
        if (list || closed || (timeout_ms >= 0 && waited_ms >= (uint64_t)timeout_ms))
            return list;
        struct pollfd p = {.fd = mb->wake_fd, .events = POLLIN};
        (void)poll(&p, 1, timeout_ms < 0 ? -1 : timeout_ms - (int)waited_ms);
    }
}

void maas_mailbox_close(maas_mailbox *mb)
{
    pthread_mutex_lock(&mb->lock);
    mb->closed = true;
    pthread_mutex_unlock(&mb->lock);
    (void)eventfd_write(mb->wake_fd, 1);
}
