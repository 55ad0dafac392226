/* sim.c: events, chance, the trace. */
#include "tests/sim/sim.h"

#include <stdarg.h>

struct sim_event {
    int64_t at;
    uint64_t order;
    struct sim_actor *actor;
    uint32_t life;
    sim_fn *fn;
    void *ctx;
    uint64_t arg;
};

/* ---- memory ---- */
void *sim_alloc(struct sim *s, size_t n)
{
    void *p = arena_alloc(s->arena, n);
    if (!p)
        abort();
    return memset(p, 0, n);
}

struct slice sim_copy(struct sim *s, struct slice v)
{
    if (!v.n)
        return (struct slice){"", 0};
    void *p = arena_copy(s->arena, v.p, v.n);
    if (!p)
        abort();
    return (struct slice){p, v.n};
}

/* ---- events: a heap by time, then by the order in which they were made ---- */
static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct sim *s, struct sim_event e)
{
    if (s->n_heap == s->cap_heap) {
        s->cap_heap = s->cap_heap ? s->cap_heap * 2 : 1024;
        s->heap = realloc(s->heap, s->cap_heap * sizeof *s->heap);
        if (!s->heap)
            abort();
    }
    size_t i = s->n_heap++;
    for (; i && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

static struct sim_event pop(struct sim *s)
{
    struct sim_event top = s->heap[0], last = s->heap[--s->n_heap];
    size_t i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= s->n_heap)
            break;
        if (k + 1 < s->n_heap && before(&s->heap[k + 1], &s->heap[k]))
            k++;
        if (!before(&s->heap[k], &last))
            break;
        s->heap[i] = s->heap[k];
        i = k;
    }
    if (s->n_heap)
        s->heap[i] = last;
    return top;
}

void sim_at(struct sim *s, struct sim_actor *a, int64_t delay, sim_fn *fn, void *ctx, uint64_t arg)
{
    push(s, (struct sim_event){.at = s->now + (delay > 0 ? delay : 0),
                               .order = ++s->order,
                               .actor = a,
                               .life = a ? a->life : 0,
                               .fn = fn,
                               .ctx = ctx,
                               .arg = arg});
}

bool sim_step(struct sim *s)
{
    if (!s->n_heap || s->verdict[0])
        return false;
    struct sim_event e = pop(s);
    s->now = e.at;
    if (e.actor && (!e.actor->alive || e.actor->life != e.life))
        return true;
    if (e.actor && e.actor->paused_until > s->now) {
        e.at = e.actor->paused_until; /* keeps its order: what waited goes on as it came */
        push(s, e);
        return true;
    }
    s->n_events++;
    e.fn(e.ctx, e.arg);
    if (s->doomed) {
        struct sim_actor *a = s->doomed;
        s->doomed = NULL;
        a->doomed = false;
        if (a->alive)
            a->kill(a);
    }
    return true;
}

int64_t sim_delay(struct sim *s)
{
    uint64_t r = rng_next(&s->rng);
    int64_t us = 100 + (int64_t)(r % 900);
    if ((r >> 32) % 16 == 0)
        us += (int64_t)((r >> 36) % 20000);
    if ((r >> 32) % 512 == 1)
        us += (int64_t)((r >> 41) % 400000);
    return us;
}

/* ---- the trace: the last lines are kept, all of them are printed on request ---- */
#define TAIL_LINES 4096
static char *tail[TAIL_LINES];
static size_t n_tail;

void sim_trace_clear(void)
{
    for (size_t i = 0; i < TAIL_LINES; i++) {
        free(tail[i]);
        tail[i] = NULL;
    }
    n_tail = 0;
}

void sim_say(struct sim *s, const char *fmt, ...)
{
    char line[512];
    int n = snprintf(line, sizeof line, "%9.3f ", (double)s->now / SEC);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    va_end(ap);
    char **at = &tail[n_tail++ % TAIL_LINES];
    free(*at);
    *at = strdup(line);
}

void sim_print_tail(size_t lines)
{
    size_t have = n_tail < TAIL_LINES ? n_tail : TAIL_LINES;
    size_t from = lines < have ? n_tail - lines : n_tail - have;
    for (size_t i = from; i < n_tail; i++)
        puts(tail[i % TAIL_LINES]);
}

void sim_fail(struct sim *s, const char *verdict, const char *fmt, ...)
{
    if (s->verdict[0])
        return;
    snprintf(s->verdict, sizeof s->verdict, "%s", verdict);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->why, sizeof s->why, fmt, ap);
    va_end(ap);
    sim_trace(s, "VERDICT %s: %s", s->verdict, s->why);
}

/* ---- faults ---- */
void sim_fault(struct sim *s, enum sim_fault f)
{
    s->fired[f]++;
    sim_trace(s, "FAULT %s", sim_fault_names[f]);
}

bool sim_point(struct sim_actor *a, const char *point)
{
    struct sim *s = a->sim;
    if (sim_gone(a))
        return true;
    if (!s->trap.point || s->calm || strcmp(s->trap.point, point) != 0 || --s->trap.n)
        return false;
    s->trap.point = NULL;
    s->doomed = a;
    a->doomed = true;
    sim_trace(s, "%s dies at %s", a->name, point);
    sim_fault(s, FAULT_CRASH_POINT);
    return true;
}
