#include "tests/sim/sim_query.h"

#include "common/im/codec.h"
#include "persister/rows.h"
#include "tests/sim/sim_world.h"

#define POLL_MS 50
#define WAIT_MS 2000
#define OLD_MS  20000
#define PAGE    64

struct question {
    struct sim_query *q;
    struct session from;
    uint32_t seq_id;
    struct id16 conv;
    uint64_t after, wait;
    uint32_t limit;
    int64_t since;
};

/* ---- PostgreSQL ---- */
static const struct sim_spart *part_of(const struct sim *s, struct id16 conv)
{
    return &s->world->stores.part[STORE_CONV][sim_log_partition(s, T_CONVERSATION, slice_id(&conv))];
}

/* "{[1,5],[9,)}" */
static bool within(struct slice ranges, uint64_t seq, uint64_t *last)
{
    char text[512];
    bool in = false;
    snprintf(text, sizeof text, "%.*s", (int)ranges.n, (const char *)ranges.p);
    *last = 0;
    for (char *p = strchr(text, '['); p; p = strchr(p, '[')) {
        uint64_t from = strtoull(p + 1, &p, 10);
        uint64_t to = p[1] == ')' ? UINT64_MAX : strtoull(p + 1, &p, 10);
        in |= from <= seq && seq <= to;
        *last = to;
    }
    return in;
}

/* Each row has the offset in its key; the last one is what the column says. */
static struct slice ranges_of(const struct sim *s, struct id16 user, struct id16 conv)
{
    const struct sim_rows *rows = &part_of(s, conv)->now.rows;
    const struct sim_row *last = NULL;
    uint8_t key[KEY_PAIR];
    struct member_row row;
    pair_key(user, conv, key);
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct sim_row *r = &rows->v[i];
        if (r->table == P_MEMBER && r->key.n == KEY_MEMBER && !memcmp(r->key.p, key, sizeof key) &&
            (!last || memcmp(r->key.p, last->key.p, KEY_MEMBER) > 0))
            last = r;
    }
    return last && !member_row_parse(last->row, &row) ? row.visible : (struct slice){"", 0};
}

bool sim_query_sees(const struct sim *s, struct id16 user, struct id16 conv, uint64_t seq)
{
    uint64_t last;
    return within(ranges_of(s, user, conv), seq, &last);
}

/* Calls fn for each row of the conversation; they are in order. */
static const struct message_row *next_row(const struct sim_spart *p, struct id16 conv, size_t *at,
                                          struct message_row *row, struct message_texts *texts)
{
    while (*at < p->n_appended)
        if (!message_row_parse(p->appended[(*at)++], row, texts) && id_eq(row->conv, conv))
            return row;
    return NULL;
}

static uint64_t head_of(const struct sim *s, struct id16 conv)
{
    struct message_row row;
    struct message_texts t;
    uint64_t head = 0;
    for (size_t at = 0; next_row(part_of(s, conv), conv, &at, &row, &t);)
        head = row.seq;
    return head;
}

static bool recalled(const struct sim *s, struct id16 conv, const struct message_row *m)
{
    struct message_row row;
    struct message_texts t;
    uint64_t target = m->kind == IM__CONV_KIND__CONV_EDIT ? m->target : m->seq;
    for (size_t at = 0; next_row(part_of(s, conv), conv, &at, &row, &t);)
        if (row.kind == IM__CONV_KIND__CONV_RECALL && row.target == target)
            return true;
    return false;
}

/* ---- answers ---- */
static void reply(struct question *a, Im__FrameType type, const ProtobufCMessage *m)
{
    struct sim *s = a->q->actor.sim;
    uint8_t *payload = sim_alloc(s, protobuf_c_message_get_packed_size(m) + 1);
    size_t n = protobuf_c_message_pack(m, payload);
    Im__DeliverItem item = IM__DELIVER_ITEM__INIT, *items[1] = {&item};
    Im__DeliverRecord r = IM__DELIVER_RECORD__INIT;
    uint32_t handle = a->from.handle, device = a->from.device;
    uint64_t login = a->from.login_offset;
    item.kind = IM__ITEM_KIND__ITEM_REPLY;
    item.frame_type = type;
    item.seq_id = a->seq_id;
    item.payload = codec_bytes((struct slice){payload, n});
    item.n_handles = item.n_devices = item.n_logins = 1;
    item.handles = &handle;
    item.users = codec_bytes(slice_id(&a->from.user));
    item.devices = &device;
    item.logins = &login;
    r.version = CODEC_VERSION;
    r.epoch = a->from.epoch;
    r.n_items = 1;
    r.items = items;
    size_t size = im__deliver_record__get_packed_size(&r);
    uint8_t *value = sim_alloc(s, size);
    im__deliver_record__pack(&r, value);
    sim_send(&a->q->producer, topic_of_slot(a->from.slot), 0, (struct slice){"", 0},
             (struct slice){value, size}, NULL, NULL, 0);
}

static void refuse(struct question *a, Im__Code code)
{
    Im__HistoryRsp r = IM__HISTORY_RSP__INIT;
    r.code = code;
    reply(a, IM__FRAME_TYPE__HISTORY_RSP, &r.base);
}

static void busy(struct question *a)
{
    Im__Error e = IM__ERROR__INIT;
    e.code = IM__CODE__BUSY;
    e.retry_after_ms = 300;
    reply(a, IM__FRAME_TYPE__ERROR, &e.base);
}

struct page {
    Im__HistoryItem items[PAGE], *list[PAGE];
    Im__ChatPush events[PAGE];
};

static void put_item(struct sim *s, struct page *g, size_t i, const struct message_row *row,
                     const struct message_texts *t, bool blank)
{
    struct message_row *kept = sim_alloc(s, sizeof *kept);
    Im__ChatPush *p = &g->events[i];
    *kept = *row;
    im__chat_push__init(p);
    p->conversation = codec_bytes(slice_id(&kept->conv));
    p->seq = row->seq;
    p->sender = codec_bytes(slice_id(&kept->sender));
    p->sender_device = row->device;
    p->client_seq = row->client_seq;
    p->kind = (Im__ConvKind)row->kind;
    p->target = row->target;
    p->group = true;
    if (!blank) {
        char *text = sim_alloc(s, t->text.n + 1);
        memcpy(text, t->text.p, t->text.n);
        p->text = text;
    }
    im__history_item__init(&g->items[i]);
    g->items[i].event = p;
    g->list[i] = &g->items[i];
}

static void answer_page(struct question *a)
{
    struct sim *s = a->q->actor.sim;
    struct slice ranges = ranges_of(s, a->from.user, a->conv);
    struct page *g = sim_alloc(s, sizeof *g);
    Im__HistoryRsp r = IM__HISTORY_RSP__INIT;
    struct message_row row;
    struct message_texts t;
    uint64_t last;
    if (ranges.n <= 2) {
        refuse(a, IM__CODE__NOT_A_MEMBER);
        return;
    }
    for (size_t at = 0; next_row(part_of(s, a->conv), a->conv, &at, &row, &t);) {
        if (row.seq <= a->after || !within(ranges, row.seq, &last))
            continue;
        r.more_after = r.n_items == a->limit;
        if (r.more_after)
            break;
        put_item(s, g, r.n_items++, &row, &t, recalled(s, a->conv, &row));
    }
    within(ranges, 0, &last);
    r.items = g->list;
    r.conversation = codec_bytes(slice_id(&a->conv));
    r.head = head_of(s, a->conv);
    if (r.head > last)
        r.head = last;
    reply(a, IM__FRAME_TYPE__HISTORY_RSP, &r.base);
}

static void answer(void *ctx, uint64_t arg)
{
    struct question *a = ctx;
    struct sim *s = a->q->actor.sim;
    bool late = s->now - a->since >= WAIT_MS * MS;
    (void)arg;
    if (s->world->stores.down_until[1] <= s->now && head_of(s, a->conv) >= a->wait)
        answer_page(a);
    else if (!late)
        sim_at(s, &a->q->actor, POLL_MS * MS, answer, a, 0);
    else if (s->world->stores.down_until[1] > s->now)
        busy(a);
    else
        refuse(a, IM__CODE__BEHIND);
}

/* ---- questions ---- */
static void take(struct sim_query *q, const Im__QueryRecord *m)
{
    struct sim *s = q->actor.sim;
    Im__HistoryReq *r = m->frame_type == IM__FRAME_TYPE__HISTORY_REQ
                            ? im__history_req__unpack(NULL, m->payload.len, m->payload.data)
                            : NULL;
    if (!r) {
        sim_fail(s, "poison", "a question that cannot be read");
        return;
    }
    struct question *a = sim_alloc(s, sizeof *a);
    *a = (struct question){.q = q,
                           .seq_id = m->seq_id,
                           .conv = codec_id(r->conversation),
                           .after = r->seq,
                           .wait = r->wait ? r->wait->seq : 0,
                           .limit = r->limit,
                           .since = s->now};
    session_from_pb(m->session, &a->from);
    im__history_req__free_unpacked(r, NULL);
    sim_at(s, &q->actor, sim_delay(s), answer, a, 0);
}

static bool on_record(void *ctx, const struct record *r)
{
    struct sim_query *q = ctx;
    struct sim *s = q->actor.sim;
    q->committed[r->part] = r->offset + (sim_chance(s, 900) ? 1 : 0);
    if (s->now / MS - (r->time_ms - 1700000000000) > OLD_MS)
        return true;
    Im__QueryRecord *m = im__query_record__unpack(NULL, r->value.n, r->value.p);
    if (m)
        take(q, m);
    else
        sim_fail(s, "poison", "a record of im.query that cannot be read");
    im__query_record__free_unpacked(m, NULL);
    return true;
}

/* ---- lives ---- */
static void start(void *ctx, uint64_t arg)
{
    struct sim_query *q = ctx;
    struct sim *s = q->actor.sim;
    (void)arg;
    q->actor.alive = true;
    q->producer = (struct sim_producer){.actor = &q->actor};
    for (int32_t i = 0; i < s->log->parts[T_QUERY]; i++) {
        q->readers[i] = sim_alloc(s, sizeof *q->readers[i]);
        sim_reader_open(q->readers[i], &q->actor, T_QUERY, i, q->committed[i], on_record, q);
    }
}

static void kill(struct sim_actor *a)
{
    struct sim_query *q = (struct sim_query *)a;
    struct sim *s = a->sim;
    if (!a->alive)
        return;
    sim_trace(s, "%s dies", a->name);
    sim_producer_crash(&q->producer);
    for (int32_t i = 0; i < s->log->parts[T_QUERY]; i++)
        sim_reader_close(q->readers[i]);
    a->alive = false;
    a->life++;
    sim_at(s, NULL, sim_between(s, 1, 3000) * MS, start, q, 0);
}

void sim_query_init(struct sim *s)
{
    struct sim_query *q = &s->world->query;
    q->actor = (struct sim_actor){.sim = s, .name = "query", .kill = kill};
    start(q, 0);
}
