/* conversation.c: parley_do() in fewer words; receipts and typing. */
#include "client/lib/client.h"
#include "common/base/clock.h"

#include <errno.h>

const char *parley_kind_name(enum parley_kind kind)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&im__conv_kind__descriptor, (int)kind);
    return v && kind ? v->name + strlen("CONV_") : "?";
}

#define DO(...) parley_do(p, &(struct parley_op){__VA_ARGS__})

int64_t parley_edit(struct parley *p, const uint8_t *conv, uint64_t seq, const char *text)
{
    return DO(.kind = PARLEY_EDIT, .conversation = conv, .target = seq, .text = text);
}

int64_t parley_recall(struct parley *p, const uint8_t *conv, uint64_t seq)
{
    return DO(.kind = PARLEY_RECALL, .conversation = conv, .target = seq);
}

int64_t parley_react(struct parley *p, const uint8_t *conv, uint64_t seq, const char *reaction)
{
    return DO(.kind = PARLEY_REACT, .conversation = conv, .target = seq, .text = reaction);
}

int64_t parley_pin(struct parley *p, const uint8_t *conv, uint64_t seq, bool on)
{
    return DO(.kind = on ? PARLEY_PIN : PARLEY_UNPIN, .conversation = conv, .target = seq);
}

int64_t parley_announce(struct parley *p, const char *text)
{
    return DO(.kind = PARLEY_ANNOUNCEMENT, .text = text);
}

/* ---- groups ---- */
int64_t parley_group_create(struct parley *p, const char *name, const char *const *logins, size_t n,
                            uint32_t flags)
{
    return DO(.kind = PARLEY_GROUP_CREATE, .text = name, .logins = logins, .logins_n = n, .flags = flags);
}

int64_t parley_group_join(struct parley *p, const uint8_t *conv, const char *text)
{
    return DO(.kind = PARLEY_GROUP_JOIN, .conversation = conv, .text = text);
}

int64_t parley_group_leave(struct parley *p, const uint8_t *conv)
{
    return DO(.kind = PARLEY_GROUP_LEAVE, .conversation = conv);
}

int64_t parley_group_dissolve(struct parley *p, const uint8_t *conv)
{
    return DO(.kind = PARLEY_GROUP_DISSOLVE, .conversation = conv);
}

int64_t parley_group_rename(struct parley *p, const uint8_t *conv, const char *name)
{
    return DO(.kind = PARLEY_GROUP_RENAME, .conversation = conv, .text = name);
}

int64_t parley_group_notice(struct parley *p, const uint8_t *conv, const char *text)
{
    return DO(.kind = PARLEY_GROUP_NOTICE, .conversation = conv, .text = text);
}

int64_t parley_group_settings(struct parley *p, const uint8_t *conv, uint32_t flags, uint32_t mask)
{
    return DO(.kind = PARLEY_GROUP_SETTINGS, .conversation = conv, .flags = flags, .flags_mask = mask);
}

int64_t parley_group_people(struct parley *p, const uint8_t *conv, enum parley_kind kind,
                            const char *const *logins, size_t n)
{
    return DO(.kind = kind, .conversation = conv, .logins = logins, .logins_n = n);
}

int64_t parley_group_invite(struct parley *p, const uint8_t *conv, const char *login)
{
    return parley_group_people(p, conv, PARLEY_GROUP_INVITE, &login, 1);
}

int64_t parley_group_remove(struct parley *p, const uint8_t *conv, const char *login)
{
    return parley_group_people(p, conv, PARLEY_GROUP_REMOVE, &login, 1);
}

int64_t parley_group_role(struct parley *p, const uint8_t *conv, const char *login, enum parley_role role)
{
    return DO(.kind = PARLEY_GROUP_ROLE, .conversation = conv, .logins = &login, .logins_n = 1, .role = role);
}

int64_t parley_group_mute(struct parley *p, const uint8_t *conv, const char *login, uint64_t duration_s)
{
    return DO(.kind = PARLEY_GROUP_MUTE, .conversation = conv, .logins = &login, .logins_n = 1,
              .duration_s = duration_s);
}

/* ---- two people ---- */
int64_t parley_friend_request(struct parley *p, const char *login, const char *text)
{
    return DO(.kind = PARLEY_FRIEND_REQUEST, .to = login, .text = text);
}

int64_t parley_friend_confirm(struct parley *p, const char *login)
{
    return DO(.kind = PARLEY_FRIEND_CONFIRM, .to = login);
}

int64_t parley_friend_refuse(struct parley *p, const char *login)
{
    return DO(.kind = PARLEY_FRIEND_REFUSE, .to = login);
}

int64_t parley_friend_remove(struct parley *p, const char *login)
{
    return DO(.kind = PARLEY_FRIEND_REMOVE, .to = login);
}

int64_t parley_block(struct parley *p, const char *login, bool on)
{
    return DO(.kind = on ? PARLEY_BLOCK : PARLEY_UNBLOCK, .to = login);
}

/* ---- receipts and typing ---- */
static struct id16 id_of(const uint8_t *p)
{
    struct id16 id;
    memcpy(id.b, p, ID_SIZE);
    return id;
}

int parley_read(struct parley *p, const uint8_t *conv, uint64_t seq)
{
    if (!conv || !seq || seq > INT64_MAX)
        return -EINVAL;
    p->poked = true;
    return receipts_add(p->receipts, id_of(conv), seq, 0);
}

int parley_typing(struct parley *p, const uint8_t *conv, bool stopped)
{
    if (!conv)
        return -EINVAL;
    if (p->st != PARLEY_ONLINE)
        return 0;
    int64_t now = clock_mono_ms();
    struct id16 id = id_of(conv);
    if (stopped ? !p->typing_at : p->typing_at && now - p->typing_at < TYPING_MS && id_eq(id, p->typing_in))
        return 0; /* known already */
    p->typing_at = stopped ? 0 : now;
    p->typing_in = id;
    Im__Typing m = IM__TYPING__INIT;
    m.conversation = (ProtobufCBinaryData){ID_SIZE, id.b};
    m.stopped = stopped;
    outward_frame(p, IM__FRAME_TYPE__TYPING, &m.base);
    p->poked = true;
    return 0;
}
