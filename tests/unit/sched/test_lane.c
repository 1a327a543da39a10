#include "maas_test.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/sys.h"
#include "sched/lane.h"

typedef struct job {
    maas_work work;
    int value;
} job;

static _Atomic long sum, n_runs, running, overlap;

static void add_up(void *user, maas_work *list, int n_threads)
{
    (void)n_threads;
    if (atomic_fetch_add(&running, 1) && user == NULL)
        atomic_fetch_add(&overlap, 1);
    for (maas_work *w = list, *next; w; w = next) {
        next = w->next;
        atomic_fetch_add(&sum, ((job *)w)->value);
    }
    atomic_fetch_add(&n_runs, 1);
    atomic_fetch_sub(&running, 1);
}

static void all_work_runs_once_and_never_two_runs_of_a_queue_at_once(void)
{
    maas_lanes *l;
    EXPECT_EQ(maas_lanes_create(3, 1, &l, NULL), MAAS_OK);
    maas_queue q;
    maas_queue_init(&q, add_up, NULL, 100000);
    static job jobs[10000];
    for (int i = 0; i < 10000; i++) {
        jobs[i].value = i;
        EXPECT_EQ(maas_queue_submit(l, &q, &jobs[i].work, NULL), MAAS_OK);
    }
    maas_queue_detach(l, &q);
    EXPECT_EQ(sum, 9999L * 10000 / 2);
    EXPECT_EQ(overlap, 0);
    EXPECT(n_runs >= 1);
    maas_lanes_destroy(l);
    EXPECT_EQ(maas_mem_live(), 0);
}

static _Atomic int gate;
static void wait_for_gate(void *user, maas_work *list, int n_threads)
{
    while (!atomic_load(&gate))
        maas_sleep_ms(1);
    add_up(user, list, n_threads);
}

static void a_full_queue_says_so(void)
{
    maas_lanes *l;
    EXPECT_EQ(maas_lanes_create(1, 1, &l, NULL), MAAS_OK);
    maas_queue q;
    maas_queue_init(&q, wait_for_gate, NULL, 4);
    static job jobs[20];
    int accepted = 0;
    maas_err err = {0};
    for (int i = 0; i < 20; i++) {
        jobs[i].value = 1;
        accepted += maas_queue_submit(l, &q, &jobs[i].work, &err) == MAAS_OK;
    }
    EXPECT_EQ(err.code, MAAS_E_BUSY);
    EXPECT(accepted >= 4 && accepted <= 9); /* what the lane took first, and a full queue */
    atomic_store(&gate, 1);
    maas_queue_detach(l, &q);
    EXPECT_EQ(sum, accepted);
    maas_lanes_destroy(l);
}

static maas_queue *order[64];
static _Atomic int n_order;
static void remember(void *user, maas_work *list, int n_threads)
{
    (void)list;
    (void)n_threads;
    order[atomic_fetch_add(&n_order, 1)] = user;
}

static void a_busy_queue_does_not_starve_another(void)
{
    maas_lanes *l;
    EXPECT_EQ(maas_lanes_create(1, 1, &l, NULL), MAAS_OK);
    maas_queue block, a, b;
    maas_queue_init(&block, wait_for_gate, NULL, 10);
    maas_queue_init(&a, remember, &a, 1000);
    maas_queue_init(&b, remember, &b, 1000);
    static job first, many[100], one;
    maas_queue_submit(l, &block, &first.work, NULL);
    for (int i = 0; i < 100; i++)
        maas_queue_submit(l, &a, &many[i].work, NULL);
    maas_queue_submit(l, &b, &one.work, NULL);
    atomic_store(&gate, 1);
    maas_queue_detach(l, &a);
    maas_queue_detach(l, &b);
    EXPECT_EQ(n_order, 2); /* a's hundred in one run, then b */
    EXPECT(order[0] == &a && order[1] == &b);
    maas_lanes_destroy(l);
}

static const mt_case cases[] = {
    MT_CASE(all_work_runs_once_and_never_two_runs_of_a_queue_at_once),
    MT_CASE(a_full_queue_says_so),
    MT_CASE(a_busy_queue_does_not_starve_another),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
