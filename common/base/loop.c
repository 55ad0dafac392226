#include "common/base/loop.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EVENTS = 256 };

METRIC_HISTOGRAM(turn_time, "parley_loop_turn_seconds",
                 "Work between two waits of the event loop; the rate of its sum is the loop's busy share.",
                 1e-6);

struct loop {
    int epoll;
    int code; /* -1 while running */
    bool again;
    int64_t now_us;
    struct timer_wheel *timers;
    struct loop_hook *hooks;
    struct loop_hook *next_hook; /* while hooks run: which one is next, if none is removed */
    struct loop_job *jobs, **jobs_end;
    struct loop_fd signals;
    struct loop_signal *signal_list;
    sigset_t signal_set;
    int n_events, at_event; /* what the present turn has still to report */
    struct epoll_event events[EVENTS];
};

int loop_new(struct loop **out)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    int rc = 0;
    l->code = -1;
    l->now_us = clock_mono_us();
    l->jobs_end = &l->jobs;
    sigemptyset(&l->signal_set);
    l->timers = timer_wheel_new(l->now_us / 1000);
    l->epoll = l->timers ? epoll_create1(EPOLL_CLOEXEC) : -1;
    if (!l->timers)
        rc = -ENOMEM;
    else if (l->epoll < 0)
        rc = -errno;
    if (rc) {
        timer_wheel_free(l->timers);
        free(l);
        return rc;
    }
    *out = l;
    return 0;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    if (l->signals.fn)
        close(l->signals.fd);
    timer_wheel_free(l->timers);
    close(l->epoll);
    free(l);
}

int64_t loop_now_ms(const struct loop *l)
{
    return l->now_us / 1000;
}

int64_t loop_now_us(const struct loop *l)
{
    return l->now_us;
}

/* ---- descriptors ---- */

static int control(struct loop *l, int op, struct loop_fd *f, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = f};
    return epoll_ctl(l->epoll, op, fd, &e) ? -errno : 0;
}

int loop_add(struct loop *l, struct loop_fd *f, int fd, uint32_t events, loop_fd_fn *fn)
{
    int rc = control(l, EPOLL_CTL_ADD, f, fd, events);
    if (!rc)
        *f = (struct loop_fd){fn, fd, events};
    return rc;
}

int loop_mod(struct loop *l, struct loop_fd *f, uint32_t events)
{
    if (f->events == events)
        return 0;
    int rc = control(l, EPOLL_CTL_MOD, f, f->fd, events);
    if (!rc)
        f->events = events;
    return rc;
}

void loop_del(struct loop *l, struct loop_fd *f)
{
    if (!f->fn)
        return;
    (void)control(l, EPOLL_CTL_DEL, f, f->fd, 0);
    for (int i = l->at_event; i < l->n_events; i++) {
        if (l->events[i].data.ptr == f)
            l->events[i].data.ptr = NULL;
    }
    *f = (struct loop_fd){.fd = -1};
}

/* ---- timers ---- */

void loop_timer_start(struct loop *l, struct timer *t, int64_t after_ms)
{
    timer_start(l->timers, t, after_ms);
}

void loop_timer_stop(struct loop *l, struct timer *t)
{
    timer_stop(l->timers, t);
}

/* ---- hooks and jobs ---- */

void loop_hook(struct loop *l, struct loop_hook *h, void (*fn)(struct loop_hook *))
{
    struct loop_hook **end = &l->hooks;
    while (*end)
        end = &(*end)->next;
    *h = (struct loop_hook){.fn = fn};
    *end = h;
}

void loop_unhook(struct loop *l, struct loop_hook *h)
{
    for (struct loop_hook **at = &l->hooks; *at; at = &(*at)->next) {
        if (*at == h) {
            *at = h->next;
            if (l->next_hook == h)
                l->next_hook = h->next;
            return;
        }
    }
}

static void run_hooks(struct loop *l)
{
    for (struct loop_hook *h = l->hooks; h; h = l->next_hook) {
        l->next_hook = h->next;
        h->fn(h);
    }
}

void loop_defer(struct loop *l, struct loop_job *j, void (*fn)(struct loop_job *))
{
    if (j->prev)
        return;
    *j = (struct loop_job){.fn = fn, .prev = l->jobs_end};
    *l->jobs_end = j;
    l->jobs_end = &j->next;
}

void loop_cancel(struct loop *l, struct loop_job *j)
{
    if (!j->prev)
        return;
    *j->prev = j->next;
    if (j->next)
        j->next->prev = j->prev;
    else
        l->jobs_end = j->prev;
    j->prev = NULL;
}

/* Jobs that jobs defer run in the same pass. */
static void run_jobs(struct loop *l)
{
    while (l->jobs) {
        struct loop_job *j = l->jobs;
        loop_cancel(l, j);
        j->fn(j);
    }
}

/* ---- wakers ---- */

static void on_wake(struct loop_fd *f, uint32_t events)
{
    (void)events;
    struct loop_waker *w = container_of(f, struct loop_waker, watch);
    uint64_t n;
    if (read(f->fd, &n, sizeof n) == sizeof n)
        w->fn(w);
}

int loop_waker_init(struct loop *l, struct loop_waker *w, void (*fn)(struct loop_waker *))
{
    *w = (struct loop_waker){.fn = fn, .watch.fd = -1};
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = loop_add(l, &w->watch, fd, EPOLLIN, on_wake);
    if (rc)
        close(fd);
    return rc;
}

void loop_waker_release(struct loop *l, struct loop_waker *w)
{
    int fd = w->watch.fd;
    if (!w->watch.fn)
        return;
    loop_del(l, &w->watch);
    close(fd);
}

void loop_wake(struct loop_waker *w)
{
    int saved = errno;
    uint64_t one = 1;
    while (write(w->watch.fd, &one, sizeof one) < 0 && errno == EINTR)
        ; /* EAGAIN: 2^64 wakes are waiting, so it wakes anyhow */
    errno = saved;
}

int loop_waker_fd(const struct loop_waker *w)
{
    return w->watch.fd;
}

/* ---- signals ---- */

static void on_signal(struct loop_fd *f, uint32_t events)
{
    (void)events;
    struct loop *l = container_of(f, struct loop, signals);
    struct signalfd_siginfo info;
    while (read(f->fd, &info, sizeof info) == sizeof info) {
        for (struct loop_signal *s = l->signal_list; s; s = s->next) {
            if ((uint32_t)s->signo == info.ssi_signo)
                s->fn(s);
        }
    }
}

int loop_signal_add(struct loop *l, struct loop_signal *s, int signo, void (*fn)(struct loop_signal *))
{
    sigset_t set = l->signal_set;
    sigaddset(&set, signo);
    int fd = signalfd(l->signals.fn ? l->signals.fd : -1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (!l->signals.fn) {
        int rc = loop_add(l, &l->signals, fd, EPOLLIN, on_signal);
        if (rc) {
            close(fd);
            return rc;
        }
    }
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (rc)
        return -rc;
    l->signal_set = set;
    *s = (struct loop_signal){signo, fn, l->signal_list};
    l->signal_list = s;
    return 0;
}

/* ---- turning ---- */

static int wait_ms(struct loop *l, int max_wait_ms, int64_t now_us)
{
    if (l->again || l->jobs || l->code >= 0)
        return 0;
    int64_t next = timer_wheel_next(l->timers);
    if (next == INT64_MAX)
        return max_wait_ms;
    int64_t ms = next - now_us / 1000;
    if (ms < 0)
        ms = 0;
    if (max_wait_ms >= 0 && ms > max_wait_ms)
        ms = max_wait_ms;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

int loop_turn(struct loop *l, int max_wait_ms)
{
    run_hooks(l);
    int64_t before_us = clock_mono_us();
    int ms = wait_ms(l, max_wait_ms, before_us);
    l->again = false;
    metric_observe(&turn_time, before_us - l->now_us);
    int n = epoll_wait(l->epoll, l->events, EVENTS, ms);
    if (n < 0 && errno != EINTR)
        return -errno;
    l->now_us = clock_mono_us();
    l->n_events = n > 0 ? n : 0;
    for (l->at_event = 0; l->at_event < l->n_events;) {
        struct epoll_event *e = &l->events[l->at_event++];
        struct loop_fd *f = e->data.ptr; /* NULL: deleted earlier in this turn */
        if (f)
            f->fn(f, e->events);
    }
    l->n_events = 0;
    timer_wheel_advance(l->timers, l->now_us / 1000);
    run_jobs(l);
    return 0;
}

void loop_stop(struct loop *l, int code)
{
    l->code = code;
}

void loop_again(struct loop *l)
{
    l->again = true;
}

int loop_run(struct loop *l)
{
    int rc = 0;
    while (l->code < 0 && !rc)
        rc = loop_turn(l, -1);
    if (!rc)
        rc = l->code;
    l->code = -1;
    return rc;
}
