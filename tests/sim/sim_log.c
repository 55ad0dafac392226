#include "tests/sim/sim_log.h"

#include "tests/sim/sim_describe.h"

void sim_log_init(struct sim *s)
{
    struct sim_log *l = s->log = sim_alloc(s, sizeof *s->log);
    for (size_t t = 0; t < SIM_TOPICS; t++)
        l->parts[t] = t >= T_DELIVER0 || t == T_LEASE ? 1 : (int32_t)s->conf.parts;
    l->parts[T_CONVERSATION] = l->parts[T_SIGNAL] = (int32_t)s->conf.conv_parts;
}

int32_t sim_log_partition(const struct sim *s, uint16_t topic, struct slice key)
{
    return (int32_t)((topics_murmur2(key) & 0x7fffffff) % (uint32_t)s->log->parts[topic]);
}

int64_t sim_log_end(const struct sim *s, uint16_t topic, int32_t part)
{
    return s->log->part[topic][part].n;
}

static struct sim_part *part_of(struct sim_reader *r)
{
    return &r->sim->log->part[r->topic][r->part];
}

static void fetch(void *ctx, uint64_t arg)
{
    struct sim_reader *r = ctx;
    (void)arg;
    r->scheduled = false;
    if (r->closed || r->full)
        return;
    uint64_t n = 1 + sim_below(r->sim, 8);
    while (n-- && !r->closed && r->at < part_of(r)->n && !sim_gone(r->actor)) {
        struct record rec = part_of(r)->v[r->at];
        r->at++;
        r->full = !r->deliver(r->ctx, &rec);
        if (r->full && !r->closed)
            return;
    }
    sim_reader_kick(r);
}

static void schedule(struct sim_reader *r)
{
    if (r->scheduled || r->closed || r->full || r->at >= part_of(r)->n)
        return;
    r->scheduled = true;
    int64_t lag = r->lag && !r->sim->calm ? sim_between(r->sim, 0, r->lag) : 0;
    sim_at(r->sim, r->actor, sim_delay(r->sim) + lag, fetch, r, 0);
}

void sim_reader_kick(struct sim_reader *r)
{
    r->full = false;
    schedule(r);
}

void sim_reader_open(struct sim_reader *r, struct sim_actor *a, uint16_t topic, int32_t part, int64_t at,
                     bool (*deliver)(void *, const struct record *), void *ctx)
{
    *r = (struct sim_reader){.sim = a->sim,
                             .actor = a,
                             .life = a->life,
                             .topic = topic,
                             .part = part,
                             .at = at,
                             .deliver = deliver,
                             .ctx = ctx};
    r->next = part_of(r)->readers;
    part_of(r)->readers = r;
    schedule(r);
}

void sim_reader_close(struct sim_reader *r)
{
    if (r->closed || !r->sim)
        return;
    r->closed = true;
    struct sim_reader **at = &part_of(r)->readers;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
}

int64_t sim_log_append(struct sim *s, uint16_t topic, int32_t part, struct slice key, struct slice value)
{
    struct sim_part *p = &s->log->part[topic][part];
    if (p->n == p->cap) {
        int64_t cap = p->cap ? p->cap * 2 : 64;
        struct record *v = sim_alloc(s, (size_t)cap * sizeof *v);
        if (p->n)
            memcpy(v, p->v, (size_t)p->n * sizeof *v);
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n] = (struct record){.topic = topic,
                                 .part = part,
                                 .offset = p->n,
                                 .time_ms = s->now / MS + 1700000000000,
                                 .key = key,
                                 .value = value};
    sim_trace(s, "log: %s", sim_describe(s, &p->v[p->n]));
    int64_t offset = p->n++;
    for (struct sim_reader *r = p->readers; r; r = r->next)
        if (r->actor->alive && r->life == r->actor->life)
            schedule(r);
    return offset;
}
