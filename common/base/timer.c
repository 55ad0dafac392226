#include "common/base/timer.h"

#include <stdlib.h>

enum { LEVELS = 8, SLOTS = 256, WORDS = SLOTS / 64, SHIFT = 3 }; /* a slot of level n spans 8^n ms */

struct timer_wheel {
    int64_t clock; /* every slot up to here has been fired */
    int64_t now;   /* what the owner said last; ahead of the clock only while slots are being fired */
    struct timer *firing;
    uint64_t used[LEVELS][WORDS]; /* which slots have timers */
    struct timer *slot[LEVELS][SLOTS];
};

struct timer_wheel *timer_wheel_new(int64_t now_ms)
{
    struct timer_wheel *w = calloc(1, sizeof *w);
    if (w)
        w->clock = w->now = now_ms;
    return w;
}

void timer_wheel_free(struct timer_wheel *w)
{
    free(w);
}

static void list_add(struct timer **head, struct timer *t)
{
    t->next = *head;
    t->prev = head;
    if (t->next)
        t->next->prev = &t->next;
    *head = t;
}

static void list_move(struct timer **to, struct timer **from)
{
    *to = *from;
    *from = NULL;
    if (*to)
        (*to)->prev = to;
}

void timer_start(struct timer_wheel *w, struct timer *t, int64_t after_ms)
{
    timer_stop(w, t);
    const int64_t longest = ((int64_t)SLOTS - 1) << (SHIFT * (LEVELS - 1));
    if (after_ms < 1)
        after_ms = 1;
    if (after_ms > longest - (w->now - w->clock))
        after_ms = longest - (w->now - w->clock);

    /* The lowest level whose 256 slots reach that far. Rounding up keeps the timer from firing early, and a
     * slot that is ahead of the clock by 1 to 256 has an index of its own. */
    int64_t due = w->now + after_ms;
    unsigned level = 0;
    while (due - w->clock > (int64_t)(SLOTS - 1) << (SHIFT * level))
        level++;
    int64_t span = (int64_t)1 << (SHIFT * level);
    unsigned i = (unsigned)((due + span - 1) >> (SHIFT * level)) & (SLOTS - 1);
    list_add(&w->slot[level][i], t);
    w->used[level][i / 64] |= UINT64_C(1) << (i % 64);
}

void timer_stop(struct timer_wheel *w, struct timer *t)
{
    if (!t->prev)
        return;
    struct timer **head = t->prev;
    *head = t->next;
    if (t->next)
        t->next->prev = head;
    t->prev = NULL;

    /* Was it the only one of its slot? Then `head` is that slot. */
    uintptr_t at = (uintptr_t)head - (uintptr_t)w->slot;
    if (!t->next && at < sizeof w->slot) {
        unsigned i = (unsigned)(at / sizeof *head);
        w->used[i / SLOTS][i % SLOTS / 64] &= ~(UINT64_C(1) << (i % 64));
    }
    t->next = NULL;
}

/* How many slots after `from` (1 to 256) the next used one of the level is; 0: none. */
static unsigned slots_ahead(const uint64_t used[WORDS], unsigned from)
{
    for (unsigned ahead = 1; ahead <= SLOTS;) {
        unsigned i = (from + ahead) & (SLOTS - 1);
        uint64_t rest = used[i / 64] >> (i % 64);
        if (rest) {
            ahead += (unsigned)__builtin_ctzll(rest);
            return ahead <= SLOTS ? ahead : 0;
        }
        ahead += 64 - i % 64;
    }
    return 0;
}

int64_t timer_wheel_next(const struct timer_wheel *w)
{
    int64_t next = INT64_MAX;
    for (unsigned level = 0; level < LEVELS; level++) {
        int64_t span = (int64_t)1 << (SHIFT * level), at = w->clock >> (SHIFT * level);
        unsigned ahead = slots_ahead(w->used[level], (unsigned)at & (SLOTS - 1));
        if (ahead && (at + ahead) * span < next)
            next = (at + ahead) * span;
    }
    return next;
}

static size_t fire_slot(struct timer_wheel *w, unsigned level, unsigned i)
{
    size_t fired = 0;
    w->used[level][i / 64] &= ~(UINT64_C(1) << (i % 64));
    list_move(&w->firing, &w->slot[level][i]);
    while (w->firing) {
        struct timer *t = w->firing;
        timer_stop(w, t);
        t->fn(t); /* may free t, stop others in `firing`, start anything */
        fired++;
    }
    return fired;
}

size_t timer_wheel_advance(struct timer_wheel *w, int64_t now_ms)
{
    size_t fired = 0;
    if (now_ms <= w->now)
        return 0;
    w->now = now_ms;
    for (int64_t next; (next = timer_wheel_next(w)) <= now_ms;) {
        w->clock = next;
        for (unsigned level = 0; level < LEVELS; level++) {
            if (next & (((int64_t)1 << (SHIFT * level)) - 1))
                break;
            unsigned i = (unsigned)(next >> (SHIFT * level)) & (SLOTS - 1);
            if (w->used[level][i / 64] >> (i % 64) & 1)
                fired += fire_slot(w, level, i);
        }
    }
    w->clock = now_ms;
    return fired;
}
