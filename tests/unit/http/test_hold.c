/* Requests that other threads have: suspended, streamed, left by their peers, taken by a stop. */
#include "http_test.h"

static _Atomic int n_gone, n_done;
static maas_req *_Atomic parked;

static void *answer_later(void *arg)
{
    maas_req *r = arg;
    maas_sleep_ms(10);
    maas_req_reply(r, 200, "text/plain", "late", 4, false);
    maas_req_resume(r);
    atomic_fetch_add(&n_done, 1);
    return NULL;
}

static void on_thread(void *(*fn)(void *), maas_req *r)
{
    pthread_t t;
    pthread_create(&t, NULL, fn, r);
    pthread_detach(t);
}

static void later(maas_req *r)
{
    maas_req_suspend(r);
    on_thread(answer_later, r);
}

/* The other thread may be faster than the handler. */
static void at_once(maas_req *r)
{
    maas_req_suspend(r);
    maas_req_reply(r, 200, "text/plain", "now", 3, false);
    maas_req_resume(r);
}

static void *wait_gone(void *arg)
{
    maas_req *r = arg;
    if (WAIT_UNTIL(maas_req_gone(r)))
        atomic_fetch_add(&n_gone, 1);
    maas_req_reply(r, 200, NULL, NULL, 0, false);
    maas_req_resume(r);
    atomic_fetch_add(&n_done, 1);
    return NULL;
}

static void until_gone(maas_req *r)
{
    maas_req_suspend(r);
    on_thread(wait_gone, r);
}

static void park(maas_req *r)
{
    maas_req_suspend(r);
    atomic_store(&parked, r);
}

static void *five_events(void *arg)
{
    for (int i = 0; i < 5; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "data: %d\n\n", i);
        EXPECT(maas_req_stream_write(arg, text, (size_t)n));
        maas_sleep_ms(10);
    }
    maas_req_stream_end(arg);
    atomic_fetch_add(&n_done, 1);
    return NULL;
}

static void events(maas_req *r)
{
    EXPECT(maas_req_stream_begin(r, 200, "text/event-stream"));
    on_thread(five_events, r);
}

static void *begin_and_stream(void *arg)
{
    EXPECT(maas_req_stream_begin(arg, 200, "text/event-stream"));
    return five_events(arg);
}

static void events_after_suspend(maas_req *r)
{
    maas_req_suspend(r);
    on_thread(begin_and_stream, r);
}

static void *write_for_ever(void *arg)
{
    static char text[4096];
    while (maas_req_stream_write(arg, text, sizeof text))
        maas_sleep_ms(1);
    atomic_fetch_add(&n_gone, 1);
    maas_req_stream_end(arg);
    atomic_fetch_add(&n_done, 1);
    return NULL;
}

static void endless(maas_req *r)
{
    maas_req_stream_begin(r, 200, "text/event-stream");
    on_thread(write_for_ever, r);
}

enum { AHEAD = 64 << 10, MUCH = 16 << 20 };
static _Atomic int n_waits, n_let_go;
static _Atomic size_t n_written;

static void let_go(void *user)
{
    atomic_fetch_add(&n_let_go, 1);
    atomic_store((_Atomic bool *)user, false);
}

/* Much more than the queue takes, by a writer that waits for its reader. */
static void *write_with_care(void *arg)
{
    static char text[4096];
    _Atomic bool waits = false;
    while (atomic_load(&n_written) < MUCH && maas_req_stream_write(arg, text, sizeof text)) {
        atomic_fetch_add(&n_written, sizeof text);
        EXPECT(maas_req_stream_backlog(arg) <= AHEAD + sizeof text);
        atomic_store(&waits, true);
        if (!maas_req_stream_wait(arg, AHEAD, let_go, (void *)&waits))
            continue;
        atomic_fetch_add(&n_waits, 1);
        EXPECT(WAIT_UNTIL(!atomic_load(&waits)));
    }
    EXPECT_EQ(atomic_load(&n_waits), atomic_load(&n_let_go));
    maas_req_stream_end(arg);
    atomic_fetch_add(&n_done, 1);
    return NULL;
}

static void careful(maas_req *r)
{
    maas_req_stream_begin(r, 200, "text/event-stream");
    on_thread(write_with_care, r);
}

static void *write_once(void *arg)
{
    maas_req_stream_write(arg, "x", 1);
    if (WAIT_UNTIL(maas_req_gone(arg)))
        atomic_fetch_add(&n_gone, 1);
    EXPECT(!maas_req_stream_write(arg, "x", 1));
    maas_req_stream_end(arg);
    atomic_fetch_add(&n_done, 1);
    return NULL;
}

static void quiet(maas_req *r)
{
    maas_req_stream_begin(r, 200, "text/event-stream");
    on_thread(write_once, r);
}

static void inline_stream(maas_req *r)
{
    maas_req_stream_begin(r, 200, "text/plain");
    maas_req_stream_write(r, "all ", 4);
    maas_req_stream_write(r, "at once", 7);
    maas_req_stream_end(r);
}

static const maas_route routes[] = {
    {ROW("GET", "/later", later)},
    {ROW("GET", "/at-once", at_once)},
    {ROW("GET", "/gone", until_gone)},
    {ROW("GET", "/park", park)},
    {ROW("GET", "/events", events)},
    {ROW("GET", "/events2", events_after_suspend)},
    {ROW("GET", "/endless", endless)},
    {ROW("GET", "/quiet", quiet)},
    {ROW("GET", "/inline", inline_stream)},
    {ROW("GET", "/careful", careful)},
    {0},
};

static maas_http *begin(wire *w)
{
    maas_http_opts o = test_opts(routes);
    maas_http *h = test_start(&o);
    wire_open(w, h);
    return h;
}

static void end(maas_http *h, wire *w)
{
    if (w->fd >= 0)
        wire_close(w);
    maas_http_stop(h, 2000);
    EXPECT(WAIT_UNTIL(maas_mem_live() == 0));
}

static void another_thread_answers(void)
{
    wire w;
    maas_http *h = begin(&w);
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(wire_get(&w, "/later"), 200);
        EXPECT_STR(w.body, "late");
        EXPECT_EQ(wire_get(&w, "/at-once"), 200);
        EXPECT_STR(w.body, "now");
    }
    EXPECT(wire_say(
        &w, "GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /at-once HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_EQ(wire_read(&w, false), 200);
    EXPECT_STR(w.body, "late");
    EXPECT_EQ(wire_read(&w, false), 200);
    EXPECT_STR(w.body, "now");
    end(h, &w);
}

static void a_peer_that_leaves_is_noticed(void)
{
    wire w;
    maas_http *h = begin(&w);
    EXPECT_EQ(wire_get(&w, "/later"),
              200); /* watched since here: the second suspend adds nothing */
    EXPECT(wire_say(&w, "GET /gone HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT(WAIT_UNTIL(maas_http_in_flight(h) == 1));
    maas_sleep_ms(20);
    EXPECT_EQ(atomic_load(&n_gone), 0);
    wire_close(&w);
    EXPECT(WAIT_UNTIL(atomic_load(&n_done) == 2));
    EXPECT_EQ(atomic_load(&n_gone), 1);
    EXPECT(WAIT_UNTIL(maas_http_in_flight(h) == 0 && maas_http_connections(h) == 0));
    end(h, &w);
}

static void read_events(wire *w, const char *path)
{
    char text[100];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    EXPECT(wire_say(w, text) && wire_head(w));
    EXPECT_EQ(w->status, 200);
    EXPECT_STR(wire_header(w, "content-type"), "text/event-stream");
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(wire_chunk(w), 1);
        snprintf(text, sizeof text, "data: %d\n\n", i);
        EXPECT_STR(w->body, text); /* one write, one chunk, at once: nothing is held back */
    }
    EXPECT_EQ(wire_chunk(w), 0);
}

static void events_arrive_one_by_one(void)
{
    wire w;
    maas_http *h = begin(&w);
    read_events(&w, "/events");
    read_events(&w, "/events2"); /* keep-alive goes on after a stream */
    EXPECT(wire_say(&w, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n") && wire_head(&w));
    EXPECT_EQ(wire_chunk(&w), 1);
    EXPECT_STR(w.body, "all at once");
    EXPECT_EQ(wire_chunk(&w), 0);
    EXPECT(WAIT_UNTIL(atomic_load(&n_done) == 2));
    EXPECT_EQ(wire_ask(&w, "HEAD /inline HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    EXPECT_STR(wire_header(&w, "connection"), "close");
    end(h, &w);
}

static void slow_and_absent_readers_end_a_stream(void)
{
    wire w;
    maas_http *h = begin(&w);
    EXPECT(wire_say(&w, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")); /* and never read */
    EXPECT(WAIT_UNTIL(atomic_load(&n_done) == 1));
    wire_close(&w);
    wire_open(&w, h);
    EXPECT(wire_say(&w, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n") && wire_head(&w));
    EXPECT_EQ(wire_chunk(&w), 1);
    wire_close(&w);
    EXPECT(WAIT_UNTIL(atomic_load(&n_done) == 2));
    wire_open(&w, h);
    EXPECT(wire_say(&w, "GET /quiet HTTP/1.1\r\nHost: x\r\n\r\n") && wire_head(&w));
    EXPECT_EQ(wire_chunk(&w), 1);
    wire_close(&w); /* nobody writes: the watcher must see it */
    EXPECT(WAIT_UNTIL(atomic_load(&n_done) == 3));
    EXPECT_EQ(atomic_load(&n_gone), 3);
    end(h, &w);
}

static void a_writer_can_wait_for_its_reader(void)
{
    wire w;
    size_t got = 0;
    maas_http *h = begin(&w);
    EXPECT(wire_say(&w, "GET /careful HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    EXPECT(WAIT_UNTIL(atomic_load(&n_waits) > 0));
    maas_sleep_ms(50);
    const size_t ahead = atomic_load(&n_written);
    EXPECT(ahead < MUCH); /* it stands still */
    for (ssize_t n; (n = recv(w.fd, w.buf, sizeof w.buf, 0)) > 0;)
        got += (size_t)n;
    EXPECT(got > MUCH && got < MUCH + MUCH / 8); /* frames of chunks */
    EXPECT(WAIT_UNTIL(atomic_load(&n_done) == 1));
    EXPECT_EQ(atomic_load(&n_written), MUCH);
    wire_close(&w);
    atomic_store(&n_written, 0);
    wire_open(&w, h);
    EXPECT(wire_say(&w, "GET /careful HTTP/1.1\r\nHost: x\r\n\r\n"));
    const int before = atomic_load(&n_waits);
    EXPECT(WAIT_UNTIL(atomic_load(&n_waits) > before));
    wire_close(&w); /* who waits is told, and writes no more */
    EXPECT(WAIT_UNTIL(atomic_load(&n_done) == 2));
    end(h, &w);
}

static void a_forced_stop_takes_requests_back(void)
{
    wire w, s;
    maas_http *h = begin(&w);
    wire_open(&s, h);
    EXPECT(wire_say(&w, "GET /park HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT(wire_say(&s, "GET /quiet HTTP/1.1\r\nHost: x\r\n\r\n") && wire_head(&s));
    EXPECT(WAIT_UNTIL(atomic_load(&parked) && maas_http_in_flight(h) == 2));
    maas_http_stop(h, 50);
    EXPECT_EQ(wire_read(&w, false), 503);
    EXPECT_EQ(wire_chunk(&s), 1);
    EXPECT_EQ(wire_chunk(&s), -1); /* cut, not ended */
    maas_req *r = atomic_load(&parked);
    EXPECT(maas_req_gone(r)); /* its holder comes back after the server is gone */
    maas_req_reply(r, 200, "text/plain", "too late", 8, false);
    maas_req_resume(r);
    wire_close(&s);
    wire_close(&w);
    EXPECT(WAIT_UNTIL(maas_mem_live() == 0));
}

static void a_stop_waits_for_what_is_in_flight(void)
{
    wire w[8];
    maas_http *h = begin(&w[0]);
    for (int i = 1; i < 8; i++)
        wire_open(&w[i], h);
    for (int i = 0; i < 8; i++)
        EXPECT(wire_say(&w[i], "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT(WAIT_UNTIL(maas_http_in_flight(h) + (uint32_t)atomic_load(&n_done) >= 8));
    maas_http_stop(h, 5000);
    for (int i = 0; i < 8; i++) {
        EXPECT_EQ(wire_read(&w[i], false), 200);
        EXPECT_STR(w[i].body, "late");
        EXPECT_EQ(wire_read(&w[i], false), 0);
        wire_close(&w[i]);
    }
    EXPECT(WAIT_UNTIL(maas_mem_live() == 0));
}

static void *hammer(void *arg)
{
    static const char *const paths[] = {"/later", "/at-once", "/inline", "/gone", "/quiet"};
    maas_rng rng;
    maas_rng_seed(&rng, (uint64_t)(uintptr_t)&rng);
    for (int i = 0; i < 60; i++) {
        wire *w = malloc(sizeof *w);
        wire_open(w, arg);
        for (int k = 0; k < 3; k++) {
            char text[100];
            const char *path = paths[maas_rng_below(&rng, MAAS_COUNT(paths))];
            snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
            wire_say(w, text);
            if (path[1] == 'g' || path[1] == 'q' || maas_rng_below(&rng, 3) == 0)
                break; /* leaves in the middle */
            wire_head(w);
        }
        wire_close(w);
        free(w);
    }
    return NULL;
}

static void peers_that_come_and_go_at_random(void)
{
    wire w;
    maas_http *h = begin(&w);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, hammer, h);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    EXPECT(WAIT_UNTIL(maas_http_in_flight(h) == 0));
    EXPECT_EQ(wire_get(&w, "/at-once"), 200);
    end(h, &w);
}

static const mt_case cases[] = {
    MT_CASE(another_thread_answers),
    MT_CASE(a_peer_that_leaves_is_noticed),
    MT_CASE(events_arrive_one_by_one),
    MT_CASE(slow_and_absent_readers_end_a_stream),
    MT_CASE(a_writer_can_wait_for_its_reader),
    MT_CASE(a_forced_stop_takes_requests_back),
    MT_CASE(a_stop_waits_for_what_is_in_flight),
    MT_CASE(peers_that_come_and_go_at_random),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
