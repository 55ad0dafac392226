/* sim.h: one simulated world: its time, its one source of chance, its events, its verdict.
 *
 * Everything that happens is an event of some actor (a process, a client) or of nobody (the broker, a store, the
 * network). A dead actor's events are dropped, a paused one's wait until it goes on, in their order. Memory of a run
 * comes from one arena and goes with it; what the product's cores allocate is freed by closing them. One thread. */
#ifndef PARLEY_SIM_SIM_H
#define PARLEY_SIM_SIM_H

#include "common/base/arena.h"
#include "common/base/core.h"
#include "common/base/macros.h"
#include "common/base/rand.h"
#include "tests/sim/sim_conf.h"

#define MS  1000 /* simulated time is in microseconds */
#define SEC (1000 * MS)

struct sim;
struct sim_log;
struct sim_event;
struct secrets;

struct sim_actor {
    struct sim *sim;
    char name[24];
    uint32_t life; /* counts its deaths */
    bool alive;
    bool doomed; /* dies when the present event is over; has no effect on anything until then */
    int64_t paused_until;
    void (*kill)(struct sim_actor *);
};

struct sim_trap { /* kill whoever passes this point for the n-th time from now */
    const char *point;
    uint32_t n;
};

struct sim {
    struct rng rng;
    int64_t now; /* microseconds */
    struct arena *arena;
    struct sim_event *heap;
    size_t n_heap, cap_heap;
    uint64_t order, n_events;
    struct sim_conf conf;
    struct sim_log *log;
    struct sim_actor *doomed;
    struct sim_trap trap;
    uint64_t fired[SIM_FAULTS];
    bool calm; /* no more trouble: everything heals */
    bool tracing;
    char verdict[24], why[400]; /* "": fine so far */
    struct secrets *secrets;
    struct sim_world *world;
};

typedef void sim_fn(void *ctx, uint64_t arg);

void sim_at(struct sim *, struct sim_actor *, int64_t delay, sim_fn *, void *ctx, uint64_t arg);
/* The next event; false: there is none, or a verdict was given. */
bool sim_step(struct sim *);
void *sim_alloc(struct sim *, size_t n); /* zeroed, lives as long as the run */
struct slice sim_copy(struct sim *, struct slice);

/* ---- chance ---- */
static inline uint64_t sim_below(struct sim *s, uint64_t n)
{
    return n ? rng_below(&s->rng, n) : 0;
}
static inline int64_t sim_between(struct sim *s, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(&s->rng, (uint64_t)(high - low + 1));
}
static inline bool sim_chance(struct sim *s, unsigned per_mille)
{
    return per_mille && rng_below(&s->rng, 1000) < per_mille;
}
int64_t sim_delay(struct sim *); /* of a message between two machines: mostly short */

/* ---- what happened ---- */
#define sim_trace(s, ...)              \
    do {                               \
        if ((s)->tracing)              \
            sim_say((s), __VA_ARGS__); \
    } while (0)
void sim_say(struct sim *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sim_fail(struct sim *, const char *verdict, const char *fmt, ...)
    PRINTF_LIKE(3, 4); /* the first one stays */
void sim_print_tail(size_t lines);
void sim_trace_clear(void);

/* A place where the actor may be killed; true: it is, and has no effect any more. */
bool sim_point(struct sim_actor *, const char *point);
static inline bool sim_gone(const struct sim_actor *a)
{
    return !a->alive || a->doomed;
}
void sim_fault(struct sim *, enum sim_fault);

#endif
