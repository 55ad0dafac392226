/* loop.h: one thread, one epoll: the heart of every process.
 *
 * A turn: run the hooks, wait, fire what the descriptors report, fire timers, run deferred jobs.
 *
 *     hooks (in order of registration) → epoll_wait → descriptors, wakers, signals → timers → deferred jobs
 *
 * A hook is where a process looks at what a turn has gathered and carries it out (step a batch, flush
 * sockets); it runs before every wait. Everything handed to the loop is embedded in its owner's struct and
 * found again with container_of(); adding, changing and removing never allocates. Only loop_wake() may be
 * called from another thread. Callbacks may remove and free anything, themselves included. How long turns
 * take is measured: parley_loop_turn_seconds.
 */
#ifndef PARLEY_BASE_LOOP_H
#define PARLEY_BASE_LOOP_H

#include "common/base/macros.h"
#include "common/base/timer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

int MUST_CHECK loop_new(struct loop **out); /* -errno */
void loop_free(struct loop *);              /* owners have removed what they added */

/* Turns until loop_stop(); returns the code given there, or -errno. */
int loop_run(struct loop *);
/* One turn that waits at most `max_wait_ms` (-1: as long as nothing happens). 0 or -errno. For tests. */
int loop_turn(struct loop *, int max_wait_ms);
void loop_stop(struct loop *, int code); /* at the end of this turn, or before the first; code >= 0 */
void loop_again(struct loop *);          /* there is more to do: the next wait returns at once */

/* ---- time: monotonic, read once after each wait ---- */
int64_t loop_now_ms(const struct loop *);
int64_t loop_now_us(const struct loop *);

/* ---- descriptors ---- */
struct loop_fd;
typedef void loop_fd_fn(struct loop_fd *, uint32_t events); /* EPOLLIN | EPOLLOUT | EPOLLHUP | … */

struct loop_fd { /* 16 bytes; private; zeroed: not added */
    loop_fd_fn *fn;
    int fd;
    uint32_t events;
};

/* Level-triggered unless `events` says EPOLLET. The caller closes the descriptor, after loop_del(). */
int MUST_CHECK loop_add(struct loop *, struct loop_fd *, int fd, uint32_t events, loop_fd_fn *);
int loop_mod(struct loop *, struct loop_fd *, uint32_t events); /* no system call when nothing changes */
void loop_del(struct loop *, struct loop_fd *); /* fine when not added; pending events are dropped */

/* ---- timers: see timer.h for how late they may be ---- */
void loop_timer_start(struct loop *, struct timer *, int64_t after_ms);
void loop_timer_stop(struct loop *, struct timer *);

/* ---- hooks: before each wait, in the order they were added, until loop_free() or loop_unhook() ---- */
struct loop_hook {
    void (*fn)(struct loop_hook *);
    struct loop_hook *next;
};
void loop_hook(struct loop *, struct loop_hook *, void (*fn)(struct loop_hook *));
void loop_unhook(struct loop *, struct loop_hook *);

/* ---- deferred jobs: once, at the end of this turn, in the order they were deferred. Zeroed: not queued ---- */
struct loop_job {
    void (*fn)(struct loop_job *);
    struct loop_job *next, **prev;
};
/* Without effect while the job is queued. */
void loop_defer(struct loop *, struct loop_job *, void (*fn)(struct loop_job *));
void loop_cancel(struct loop *, struct loop_job *); /* fine when not queued */

/* ---- wakers: another thread (librdkafka's too) asks the loop to look at something ---- */
struct loop_waker {
    struct loop_fd watch;
    void (*fn)(struct loop_waker *); /* once for any number of wakes since the last time */
};
int MUST_CHECK loop_waker_init(struct loop *, struct loop_waker *, void (*fn)(struct loop_waker *));
void loop_waker_release(struct loop *, struct loop_waker *);
void loop_wake(struct loop_waker *); /* any thread, any signal handler */
/* For rd_kafka_queue_io_event_enable(): write a uint64_t 1 to it. Stays the waker's. */
int loop_waker_fd(const struct loop_waker *);

/* ---- signals as events. Blocks the signal in the calling thread: call before starting others ---- */
struct loop_signal {
    int signo;
    void (*fn)(struct loop_signal *);
    struct loop_signal *next;
};
int MUST_CHECK loop_signal_add(struct loop *, struct loop_signal *, int signo,
                               void (*fn)(struct loop_signal *));

#endif
