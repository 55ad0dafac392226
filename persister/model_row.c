#include "common/base/utf8.h"
#include "persister/rows.h"

#include <errno.h>

#define LOGIN_LONGEST 256 /* an index entry has to fit a page, whatever the log says */

struct slice row_text(struct slice s)
{
    return utf8_valid(s.p, s.n) ? s : (struct slice){"", 0};
}

struct slice row_login(struct slice s)
{
    return s.n <= LOGIN_LONGEST ? row_text(s) : (struct slice){"", 0};
}

/* A row is its struct, in which each slice has only its length, and then what the slices held. */
static struct slice pack(struct fx *fx, const void *head, size_t head_n, const struct slice *parts, size_t n)
{
    size_t all = head_n;
    for (size_t i = 0; i < n; i++)
        all += parts[i].n;
    uint8_t *row = fx_alloc(fx, all), *p = row + head_n;
    memcpy(row, head, head_n);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].n)
            memcpy(p, parts[i].p, parts[i].n);
        p += parts[i].n;
    }
    return (struct slice){row, all};
}

static int parse(struct slice row, void *head, size_t head_n, struct slice *const *parts, size_t n)
{
    if (row.n < head_n)
        return -EBADMSG;
    memcpy(head, row.p, head_n);
    const uint8_t *p = (const uint8_t *)row.p + head_n, *end = (const uint8_t *)row.p + row.n;
    for (size_t i = 0; i < n; i++) {
        if (parts[i]->n > (size_t)(end - p))
            return -EBADMSG;
        parts[i]->p = p;
        p += parts[i]->n;
    }
    return p == end ? 0 : -EBADMSG;
}

struct slice conversation_row_pack(struct fx *fx, const struct conversation_row *r)
{
    struct conversation_row head;
    memset(&head, 0, sizeof head); /* the padding too: rows are compared as bytes */
    head.owner = r->owner;
    head.created_ms = r->created_ms;
    head.dissolved_ms = r->dissolved_ms;
    head.type = r->type;
    head.flags = r->flags;
    head.members = r->members;
    head.named = r->named;
    head.noticed = r->noticed;
    head.name.n = r->name.n;
    head.notice.n = r->notice.n;
    const struct slice parts[] = {r->name, r->notice};
    return pack(fx, &head, sizeof head, parts, 2);
}

int conversation_row_parse(struct slice row, struct conversation_row *r)
{
    struct slice *const parts[] = {&r->name, &r->notice};
    return parse(row, r, sizeof *r, parts, 2);
}

struct slice member_row_pack(struct fx *fx, const struct member_row *r)
{
    struct member_row head;
    memset(&head, 0, sizeof head);
    head.peer = r->peer;
    head.joined = r->joined;
    head.muted_until_ms = r->muted_until_ms;
    head.friend_ms = r->friend_ms;
    head.role = r->role;
    head.friend = r->friend;
    head.blocked = r->blocked;
    head.has_text = r->has_text;
    head.login.n = r->login.n;
    head.peer_login.n = r->peer_login.n;
    head.friend_text.n = r->friend_text.n;
    head.visible.n = r->visible.n;
    const struct slice parts[] = {r->login, r->peer_login, r->friend_text, r->visible};
    return pack(fx, &head, sizeof head, parts, 4);
}

int member_row_parse(struct slice row, struct member_row *r)
{
    struct slice *const parts[] = {&r->login, &r->peer_login, &r->friend_text, &r->visible};
    return parse(row, r, sizeof *r, parts, 4);
}

struct slice marks_row_pack(struct fx *fx, const struct marks_row *r)
{
    return pack(fx, r, sizeof *r, NULL, 0);
}

int marks_row_parse(struct slice row, struct marks_row *r)
{
    return parse(row, r, sizeof *r, NULL, 0);
}

struct slice ask_row_pack(struct fx *fx, const struct ask_row *r)
{
    struct ask_row head;
    memset(&head, 0, sizeof head);
    head.time_ms = r->time_ms;
    head.login.n = r->login.n;
    head.text.n = r->text.n;
    const struct slice parts[] = {r->login, r->text};
    return pack(fx, &head, sizeof head, parts, 2);
}

int ask_row_parse(struct slice row, struct ask_row *r)
{
    struct slice *const parts[] = {&r->login, &r->text};
    return parse(row, r, sizeof *r, parts, 2);
}

void pair_key(struct id16 first, struct id16 second, uint8_t out[KEY_PAIR])
{
    memcpy(out, first.b, ID_SIZE);
    memcpy(out + ID_SIZE, second.b, ID_SIZE);
}

static void put_number(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

void block_key(struct id16 conv, uint64_t block, uint8_t out[KEY_BLOCK])
{
    memcpy(out, conv.b, ID_SIZE);
    put_number(out + ID_SIZE, block);
}

void conv_key(struct id16 conv, int64_t offset, uint8_t out[KEY_CONV])
{
    block_key(conv, (uint64_t)offset, out);
}

void member_key(struct id16 user, struct id16 conv, int64_t offset, uint8_t out[KEY_MEMBER])
{
    pair_key(user, conv, out);
    put_number(out + KEY_PAIR, (uint64_t)offset);
}
