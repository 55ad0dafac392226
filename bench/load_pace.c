/* load_pace.c: when the next message leaves.
 *
 *   --in-flight N   N messages in all; each that is done makes the next connection send one
 *   --window N      N on every connection
 *   --rate N        open loop: at intended times, whatever comes back; a connection whose window is full keeps the
 *                   intended time, from which the latency counts */
#include "bench/load.h"
#include "bench/result.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

static bool sending(const struct load *l)
{
    return (l->phase == LOAD_WARM || l->phase == LOAD_MEASURE) && !l->holding;
}

static void fill(struct conn *c)
{
    struct load *l = c->l;
    while (c->sent - c->finished < l->o.window && sending(l))
        conn_chat(c, now_ns());
}

static void next_in_turn(struct load *l)
{
    struct conn *c = &l->conns[l->turn++ % l->n];
    if (sending(l))
        conn_chat(c, now_ns());
}

static void send_due(struct conn *c)
{
    while (c->due_n && c->sent - c->finished < c->l->o.window) {
        conn_chat(c, c->due[c->due_head]);
        c->due_head = (c->due_head + 1) % c->due_cap;
        c->due_n--;
    }
}

static void put_due(struct conn *c, int64_t at)
{
    if (c->due_n == c->due_cap) {
        uint32_t cap = c->due_cap ? c->due_cap * 2 : 64;
        int64_t *due = malloc(cap * sizeof *due);
        if (!due)
            abort();
        for (uint32_t i = 0; i < c->due_n; i++)
            due[i] = c->due[(c->due_head + i) % c->due_cap];
        free(c->due);
        c->due = due;
        c->due_cap = cap;
        c->due_head = 0;
    }
    c->due[(c->due_head + c->due_n++) % c->due_cap] = at;
}

static int64_t gap_ns(struct load *l)
{
    double gap = 1e9 / (double)l->o.rate;
    if (l->o.poisson) /* as independent people send; the same for the same seed */
        gap *= -log(((double)(rng_next(&l->rng) >> 11) + 1) / 9007199254740993.0);
    return (int64_t)gap;
}

static void arm(struct load *l)
{
    struct itimerspec t = {
        .it_value = {.tv_sec = l->next_due_ns / 1000000000, .tv_nsec = l->next_due_ns % 1000000000}};
    timerfd_settime(l->pace_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static void on_pace(struct loop_fd *w, uint32_t events)
{
    struct load *l = container_of(w, struct load, pace);
    uint64_t times;
    (void)events;
    if (read(l->pace_fd, &times, sizeof times) < 0 && errno != EAGAIN)
        return;
    int64_t now = now_ns();
    if (l->phase != LOAD_WARM && l->phase != LOAD_MEASURE)
        return;
    if (now - l->next_due_ns > (int64_t)l->late_max_ns)
        l->late_max_ns = (uint64_t)(now - l->next_due_ns);
    while (l->next_due_ns <= now) {
        struct conn *c = &l->conns[l->turn++ % l->n];
        put_due(c, l->next_due_ns);
        send_due(c);
        l->next_due_ns += gap_ns(l);
    }
    arm(l);
}

int pace_start(struct load *l)
{
    l->pace_fd = -1;
    if (l->o.rate) {
        l->pace_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (l->pace_fd < 0 || loop_add(l->loop, &l->pace, l->pace_fd, EPOLLIN, on_pace) < 0)
            return -errno;
        l->next_due_ns = now_ns();
        arm(l);
    } else if (l->o.in_flight) {
        for (uint64_t i = 0; i < l->o.in_flight; i++)
            next_in_turn(l);
    } else {
        pace_resume(l);
    }
    return 0;
}

void pace_stop(struct load *l)
{
    if (!l->o.rate || l->pace_fd < 0)
        return;
    loop_del(l->loop, &l->pace);
    close(l->pace_fd);
    l->pace_fd = -1;
}

/* After the end of the window an open loop still sends what was due in it. */
void pace_done(struct load *l, struct conn *sender)
{
    if (l->o.rate)
        send_due(sender);
    else if (l->o.in_flight)
        next_in_turn(l);
    else
        fill(sender);
}

void pace_resume(struct load *l)
{
    if (l->o.rate)
        return;
    if (l->o.in_flight) {
        while (l->sent - l->done < l->o.in_flight && sending(l))
            next_in_turn(l);
        return;
    }
    for (size_t i = 0; i < l->n; i++)
        fill(&l->conns[i]);
}
