/* shell_fx.c: what cores call. The simulator has its own versions of these, so nothing else lives here. */
#include "common/base/shell_int.h"

static void *must(void *p)
{
    if (!p)
        shell_no_memory();
    return p;
}

void *fx_alloc(struct fx *fx, size_t n)
{
    return must(arena_alloc(fx->b->arena, n));
}

static struct slice keep(struct arena *a, struct slice s)
{
    if (!s.p || arena_owns(a, s.p))
        return s;
    return (struct slice){must(arena_copy(a, s.p, s.n)), s.n};
}

void fx_send_at(struct fx *fx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                uint64_t tag)
{
    struct batch *b = fx->b;
    if (fx->quiet || !b->part)
        return;
    struct bsend *s = must(arena_alloc(b->arena, sizeof *s));
    *s = (struct bsend){.b = b, .tag = tag, .topic = topic, .part = part};
    s->key = keep(b->arena, key);
    s->value = keep(b->arena, value);
    *b->sends_tail = s;
    b->sends_tail = &s->next;
    if (!b->unsent)
        b->unsent = s;
}

void fx_send(struct fx *fx, uint16_t topic, struct slice key, struct slice value, uint64_t tag)
{
    fx_send_at(fx, topic, FX_BY_KEY, key, value, tag);
}

static void add_row(struct batch *b, struct store_row r)
{
    struct srow *row = must(arena_alloc(b->arena, sizeof *row));
    r.key = keep(b->arena, r.key);
    r.row = keep(b->arena, r.row);
    *row = (struct srow){.r = r};
    *b->rows_tail = row;
    b->rows_tail = &row->next;
    b->n_rows++;
    if (!b->unindexed)
        b->unindexed = row;
}

void fx_put(struct fx *fx, uint8_t table, struct slice key, struct slice row)
{
    add_row(fx->b, (struct store_row){.table = table, .key = key, .row = row});
}

void fx_append(struct fx *fx, uint8_t table, struct slice row)
{
    add_row(fx->b, (struct store_row){.table = table, .append = true, .row = row});
}

void fx_wake(struct fx *fx, int64_t at_ms)
{
    if (fx->b->part && at_ms < fx->b->part->wake_at)
        fx->b->part->wake_at = at_ms;
}

void want_add(struct want *w, uint8_t table, struct slice key)
{
    struct batch *b = w->b;
    if (row_index_find(&b->wanted, table, key))
        return;
    struct srow *row = must(arena_alloc(b->arena, sizeof *row));
    *row = (struct srow){.r = {.table = table, .key = keep(b->arena, key)}};
    row_index_put(&b->wanted, b->arena, row);
    *b->wants_tail = row;
    b->wants_tail = &row->next;
    if (!b->unloaded)
        b->unloaded = row;
}
