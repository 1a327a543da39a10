#include "jobs/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

typedef union fd_space { /* aligned room for the ancillary data */
    struct cmsghdr header;
    char bytes[CMSG_SPACE(MAAS_WIRE_MAX_FDS * sizeof(int))];
} fd_space;

maas_status maas_wire_send(int fd, const void *record, size_t n, const int *fds, int n_fds,
                           maas_err *err)
{
    fd_space space = {0};
    struct iovec v = {(void *)record, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    MAAS_CHECK(n_fds >= 0 && n_fds <= MAAS_WIRE_MAX_FDS);
    if (n_fds) {
        m.msg_control = space.bytes;
        m.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)n_fds * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)n ? MAAS_OK
                              : maas_fail(err, MAAS_E_UNAVAILABLE, "the helper process is gone");
}

bool maas_wire_receive(int fd, void *record, size_t n, int fds[MAAS_WIRE_MAX_FDS], int *out_n_fds)
{
    fd_space space = {0};
    struct iovec v = {record, n};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = space.bytes,
                       .msg_controllen = sizeof space.bytes};
    ssize_t got;
    do
        got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    *out_n_fds = 0;
    if (got <= 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        *out_n_fds = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), (size_t)*out_n_fds * sizeof(int));
    }
    return got == (ssize_t)n;
}

maas_status maas_wire_put_json(int fd, const json_t *j, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(MAAS_WIRE_MAX_JSON);
    uint32_t n = 0;
    maas_buf_add(&b, &n, sizeof n);
    maas_json_dump(j, &b);
    if (b.failed)
        return maas_fail(err, MAAS_E_TOO_LARGE, "a message for a child process is too large");
    n = (uint32_t)(b.n - sizeof n);
    memcpy(b.p, &n, sizeof n);
    return maas_sys_write(fd, b.p, b.n, err);
}

static maas_status read_exactly(int fd, void *p, size_t n, uint64_t deadline_ns, maas_err *err)
{
    char *at = p;
    while (n) {
        uint64_t now = maas_now_ns();
        int wait = deadline_ns == UINT64_MAX ? -1
                   : now >= deadline_ns      ? 0
                                             : (int)((deadline_ns - now) / 1000000 + 1);
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int ready = poll(&pfd, 1, wait);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            return maas_fail(err, MAAS_E_TIMEOUT, "the child process took too long");
        ssize_t got = read(fd, at, n);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return maas_fail(err, MAAS_E_UNAVAILABLE, "the child process closed its connection");
        at += got;
        n -= (size_t)got;
    }
    return MAAS_OK;
}

static uint64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? UINT64_MAX : maas_now_ns() + (uint64_t)timeout_ms * 1000000;
}

maas_status maas_wire_get_bytes(int fd, int timeout_ms, void *p, size_t n, maas_err *err)
{
    return read_exactly(fd, p, n, deadline_of(timeout_ms), err);
}

maas_status maas_wire_get_json(int fd, int timeout_ms, json_t **out, maas_err *err)
{
    const uint64_t deadline = deadline_of(timeout_ms);
    uint32_t n;
    MAAS_TRY(read_exactly(fd, &n, sizeof n, deadline, err));
    if (n > MAAS_WIRE_MAX_JSON)
        return maas_fail(err, MAAS_E_FORMAT, "a child process sent a message of %u bytes", n);
    AUTO_FREE char *text = maas_alloc((size_t)n + 1);
    if (!text)
        return maas_fail(err, MAAS_E_NOMEM, "reading from a child process");
    MAAS_TRY(read_exactly(fd, text, n, deadline, err));
    return maas_json_parse(maas_span_of(text, n), out, err);
}
