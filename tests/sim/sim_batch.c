/* sim_batch.c: what cores call. Everything lives in the run's arena, so nothing is ever too short-lived. */
#include "tests/sim/sim_batch.h"

struct sim_batch *sim_batch_new(struct sim_shell *p)
{
    struct sim_batch *b = sim_alloc(p->sim, sizeof *b);
    b->shell = p;
    b->fx.b = b->want.b = b;
    b->sends_tail = &b->sends;
    b->rows_tail = &b->rows;
    return b;
}

void *fx_alloc(struct fx *fx, size_t n)
{
    return sim_alloc(fx->b->shell->sim, n);
}

void fx_send_at(struct fx *fx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                uint64_t tag)
{
    struct sim_batch *b = fx->b;
    if (fx->quiet || !b->shell)
        return;
    struct sim *s = b->shell->sim;
    struct fx_send *f = sim_alloc(s, sizeof *f);
    *f = (struct fx_send){
        .topic = topic, .part = part, .key = sim_copy(s, key), .value = sim_copy(s, value), .tag = tag};
    *b->sends_tail = f;
    b->sends_tail = &f->next;
    b->n_sends++;
}

void fx_send(struct fx *fx, uint16_t topic, struct slice key, struct slice value, uint64_t tag)
{
    fx_send_at(fx, topic, FX_BY_KEY, key, value, tag);
}

static void add_row(struct sim_batch *b, bool append, uint8_t table, struct slice key, struct slice row)
{
    struct sim *s = b->shell->sim;
    struct fx_row *f = sim_alloc(s, sizeof *f);
    *f = (struct fx_row){.append = append, .r = {table, sim_copy(s, key), sim_copy(s, row)}};
    *b->rows_tail = f;
    b->rows_tail = &f->next;
}

void fx_put(struct fx *fx, uint8_t table, struct slice key, struct slice row)
{
    add_row(fx->b, false, table, key, row);
}

void fx_append(struct fx *fx, uint8_t table, struct slice row)
{
    add_row(fx->b, true, table, (struct slice){0}, row);
}

void fx_wake(struct fx *fx, int64_t at_ms)
{
    (void)fx; /* no core ticks yet */
    (void)at_ms;
}

void want_add(struct want *w, uint8_t table, struct slice key)
{
    struct sim_batch *b = w->b;
    struct sim *s = b->shell->sim;
    for (uint32_t i = 0; i < b->n_wants; i++)
        if (b->wants[i].table == table && b->wants[i].key.n == key.n &&
            !memcmp(b->wants[i].key.p, key.p, key.n))
            return;
    if (b->n_wants == b->cap_wants) {
        b->cap_wants = b->cap_wants ? b->cap_wants * 2 : 16;
        struct sim_row *v = sim_alloc(s, b->cap_wants * sizeof *v);
        if (b->n_wants)
            memcpy(v, b->wants, b->n_wants * sizeof *v);
        b->wants = v;
    }
    b->wants[b->n_wants++] = (struct sim_row){.table = table, .key = sim_copy(s, key)};
}
