#include "maas_test.h"

#include <poll.h>

#include "base/mailbox.h"
#include "base/mem.h"
#include "base/sys.h"

typedef struct letter {
    maas_msg msg; /* first: a message is a letter */
    int sender, number;
} letter;

enum { N_SENDERS = 4, N_LETTERS = 20000 };
static maas_mailbox box;
static letter letters[N_SENDERS][N_LETTERS];

static void *send_all(void *arg)
{
    int sender = *(int *)arg;
    for (int i = 0; i < N_LETTERS; i++) {
        letters[sender][i] = (letter){.sender = sender, .number = i};
        EXPECT(maas_mailbox_post(&box, &letters[sender][i].msg));
    }
    return NULL;
}

static void every_message_arrives_once_and_in_order(void)
{
    pthread_t threads[N_SENDERS];
    int ids[N_SENDERS], next[N_SENDERS] = {0}, n = 0;
    EXPECT_EQ(maas_mailbox_init(&box, NULL), MAAS_OK);
    for (int i = 0; i < N_SENDERS; i++) {
        ids[i] = i;
        EXPECT_EQ(pthread_create(&threads[i], NULL, send_all, &ids[i]), 0);
    }
    while (n < N_SENDERS * N_LETTERS) {
        maas_msg *m = n % 2 ? maas_mailbox_take_all(&box) : maas_mailbox_wait(&box, 10000);
        for (; m; m = m->next, n++) {
            const letter *l = (const letter *)m;
            EXPECT_EQ(l->number, next[l->sender]);
            next[l->sender]++;
        }
    }
    for (int i = 0; i < N_SENDERS; i++)
        pthread_join(threads[i], NULL);
    EXPECT(!maas_mailbox_take_all(&box));
    maas_mailbox_reset(&box);
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void the_descriptor_says_when_there_is_mail(void)
{
    letter a = {0}, b = {0};
    EXPECT_EQ(maas_mailbox_init(&box, NULL), MAAS_OK);
    EXPECT(!is_readable(box.wake_fd));
    EXPECT(maas_mailbox_post(&box, &a.msg) && maas_mailbox_post(&box, &b.msg));
    EXPECT(is_readable(box.wake_fd));
    maas_msg *m = maas_mailbox_take_all(&box);
    EXPECT(m == &a.msg && m->next == &b.msg && !b.msg.next);
    EXPECT(!is_readable(box.wake_fd));
    EXPECT(maas_mailbox_post(&box, &a.msg));
    EXPECT(is_readable(box.wake_fd));
    EXPECT(maas_mailbox_take_all(&box) == &a.msg);
    maas_mailbox_reset(&box);
}

static void waiting_ends_after_the_time_given(void)
{
    EXPECT_EQ(maas_mailbox_init(&box, NULL), MAAS_OK);
    EXPECT(!maas_mailbox_wait(&box, 0));
    uint64_t before = maas_now_ns();
    EXPECT(!maas_mailbox_wait(&box, 20));
    EXPECT(maas_now_ns() - before >= 19000000);
    maas_mailbox_reset(&box);
}

static void *close_soon(void *arg)
{
    (void)arg;
    maas_sleep_ms(10);
    maas_mailbox_close(&box);
    return NULL;
}

static void closing_wakes_the_receiver_and_refuses_senders(void)
{
    pthread_t t;
    letter a = {0};
    EXPECT_EQ(maas_mailbox_init(&box, NULL), MAAS_OK);
    EXPECT(maas_mailbox_post(&box, &a.msg));
    EXPECT(maas_mailbox_wait(&box, -1) == &a.msg);
    EXPECT_EQ(pthread_create(&t, NULL, close_soon, NULL), 0);
    EXPECT(!maas_mailbox_wait(&box, -1));
    pthread_join(t, NULL);
    EXPECT(!maas_mailbox_post(&box, &a.msg));
    EXPECT(!maas_mailbox_wait(&box, -1)); /* closed for good: never blocks again */
    maas_mailbox_reset(&box);
}

static const mt_case cases[] = {
    MT_CASE(every_message_arrives_once_and_in_order),
    MT_CASE(the_descriptor_says_when_there_is_mail),
    MT_CASE(waiting_ends_after_the_time_given),
    MT_CASE(closing_wakes_the_receiver_and_refuses_senders),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
