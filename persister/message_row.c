#include "common/base/utf8.h"
#include "persister/rows.h"

#include <errno.h>

/* The struct, then text, content type, data, trace, users, logins. */

static const char not_text[] = "application/octet-stream";

static uint8_t *put(uint8_t *p, struct slice s)
{
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

/* Those that the outcome marks, as push_chat tells them: of a message, which marks none, all that it mentions. */
static bool told(const struct conv_outcome *o, size_t i)
{
    return (o->changed[0] | o->changed[1]) == 0 || (o->changed[i / 64] >> i % 64 & 1);
}

static struct slice told_users(struct fx *fx, const struct convrec *rec, const struct conv_outcome *o)
{
    const uint8_t *users = rec->event.users.p;
    uint8_t *all = fx_alloc(fx, rec->event.users.n), *p = all;
    for (size_t i = 0; i < rec->event.users.n / ID_SIZE; i++)
        if (told(o, i))
            p = put(p, (struct slice){users + i * ID_SIZE, ID_SIZE});
    return (struct slice){all, (size_t)(p - all)};
}

/* {"anna","bert"}: every name in quotes, so that it may be anything. */
static struct slice told_logins(struct fx *fx, const struct convrec *rec, const struct conv_outcome *o)
{
    size_t room = 2;
    for (size_t i = 0; i < rec->n_logins; i++)
        room += 2 * rec->logins[i].n + 3;
    char *all = fx_alloc(fx, room), *p = all;
    *p++ = '{';
    for (size_t i = 0; i < rec->n_logins; i++) {
        struct slice login = row_login(rec->logins[i]);
        if (!told(o, i))
            continue;
        if (p > all + 1)
            *p++ = ',';
        *p++ = '"';
        for (const char *c = login.p, *end = c + login.n; c < end; c++) {
            if (*c == '"' || *c == '\\')
                *p++ = '\\';
            *p++ = *c;
        }
        *p++ = '"';
    }
    *p++ = '}';
    return (struct slice){all, (size_t)(p - all)};
}

/* The reducer does not look at bodies, so neither may this refuse one: what is not text is kept as data. */
static void clean(const struct convrec_body *b, struct message_texts *t)
{
    t->text = b->text;
    t->type = b->content_type;
    t->data = b->sealed.n ? b->sealed : b->data; /* sealed: by whom has no keys */
    if (!utf8_valid(t->text.p, t->text.n)) {
        t->data = t->data.n ? t->data : t->text;
        t->text = (struct slice){0};
        t->type = (struct slice){not_text, sizeof not_text - 1};
    }
    if (!utf8_valid(t->type.p, t->type.n))
        t->type = (struct slice){not_text, sizeof not_text - 1};
}

struct slice message_row_pack(struct fx *fx, const struct convrec *rec, const struct conv_outcome *out,
                              const struct record *r, uint32_t flags)
{
    struct message_texts t = {.trace = rec->trace};
    clean(&rec->body, &t);
    if (rec->event.users.n)
        t.users = told_users(fx, rec, out);
    if (rec->n_logins)
        t.logins = told_logins(fx, rec, out);
    const struct message_row row = {
        .conv = rec->event.conv,
        .sender = rec->event.user,
        .msg_id = rec->msg_id,
        .device = rec->event.device,
        .kind = (uint16_t)rec->event.kind,
        .role = (uint16_t)rec->event.role,
        .seq = out->seq,
        .client_seq = rec->event.client_seq,
        .key_id = rec->body.key_id,
        .target = rec->event.target,
        .reply_to = rec->event.reply_to,
        .time_ms = out->time_ms,
        .until_ms = out->until_ms,
        .source_part = rec->source_part,
        .source_offset = rec->source_offset,
        .conv_part = r->part,
        .conv_offset = r->offset,
        .flags = flags,
        .text_n = (uint32_t)t.text.n,
        .type_n = (uint32_t)t.type.n,
        .data_n = (uint32_t)t.data.n,
        .trace_n = (uint32_t)t.trace.n,
        .users_n = (uint32_t)t.users.n,
        .logins_n = (uint32_t)t.logins.n,
    };
    size_t n = sizeof row + t.text.n + t.type.n + t.data.n + t.trace.n + t.users.n + t.logins.n;
    uint8_t *p = fx_alloc(fx, n);
    memcpy(p, &row, sizeof row);
    put(put(put(put(put(put(p + sizeof row, t.text), t.type), t.data), t.trace), t.users), t.logins);
    return (struct slice){p, n};
}

static struct slice take(const uint8_t **p, uint32_t n)
{
    struct slice s = {*p, n};
    *p += n;
    return s;
}

int message_row_parse(struct slice s, struct message_row *row, struct message_texts *t)
{
    if (s.n < sizeof *row)
        return -EBADMSG;
    memcpy(row, s.p, sizeof *row);
    const uint8_t *p = (const uint8_t *)s.p + sizeof *row;
    if (s.n != sizeof *row + (size_t)row->text_n + row->type_n + row->data_n + row->trace_n + row->users_n +
                   row->logins_n)
        return -EBADMSG;
    t->text = take(&p, row->text_n);
    t->type = take(&p, row->type_n);
    t->data = take(&p, row->data_n);
    t->trace = take(&p, row->trace_n);
    t->users = take(&p, row->users_n);
    t->logins = take(&p, row->logins_n);
    return 0;
}

bool message_row_wide(struct slice s)
{
    struct message_row row;
    memcpy(&row, s.p, sizeof row);
    return row.target || row.reply_to || row.until_ms || row.flags || row.role || row.users_n || row.logins_n;
}
