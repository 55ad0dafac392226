/* convfold_state.c: how a conversation stands, as JSON. */
#include "client/parleyctl/convfold.h"

#include "client/parleyctl/when.h"
#include "common/base/hex.h"

static const char *const types[] = {"nothing", "direct", "group", "system"};
static const char *const roles[] = {"none", "member", "admin", "owner"};
static const char *const friends[] = {"none", "asked", "asked me", "friend"};

static json_t *flags(uint32_t bits)
{
    static const char *const names[] = {"approval", "history", "quiet", "private"};
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (bits & 1u << i)
            json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *intervals(const struct conv *c, struct id16 user)
{
    struct conv_interval v[CONV_VISIBLE];
    size_t n = conv_visible(c, user, v);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("[II]", (json_int_t)v[i].from, (json_int_t)v[i].to));
    return list;
}

static void set_muted(json_t *j, const struct conv_member_view *m, const struct convfold *f, bool portable)
{
    char until[32];
    if (m->muted_until_ms < 0) {
        json_object_set_new(j, "muted", json_string("for ever"));
    } else if (m->muted_until_ms > f->last_ms && !portable) {
        when_text(m->muted_until_ms, until);
        json_object_set_new(j, "muted", json_string(until));
    }
}

static json_t *member(const struct convfold *f, struct id16 user, bool portable)
{
    struct conv_member_view m;
    char hex[ID_HEX], id[ID_HEX];
    if (!conv_member(f->conv, user, &m))
        return NULL;
    json_t *j =
        json_pack("{ss ss ss so sI sI}", "user", convfold_login(f, user, hex), "id", id_hex(user, id), "role",
                  m.role < ARRAY_LEN(roles) ? roles[m.role] : "?", "sees", intervals(f->conv, user), "read",
                  (json_int_t)m.read, "delivered", (json_int_t)m.delivered);
    set_muted(j, &m, f, portable);
    if (conv_type(f->conv) == CONV_DIRECT) {
        uint32_t friend = conv_friend(f->conv, user);
        json_object_set_new(j, "friend", json_string(friend < ARRAY_LEN(friends) ? friends[friend] : "?"));
        json_object_set_new(j, "blocks", json_boolean(conv_blocked_by(f->conv, user)));
    }
    return j;
}

static json_t *pins(const struct convfold *f)
{
    const uint64_t *v;
    size_t n = conv_pins(f->conv, &v);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((json_int_t)v[i]));
    return list;
}

static void set_group(json_t *j, const struct convfold *f)
{
    json_object_set_new(j, "name", json_string(f->name ? f->name : ""));
    json_object_set_new(j, "notice", json_string(f->notice ? f->notice : ""));
    json_object_set_new(j, "flags", flags(conv_flags(f->conv)));
    json_object_set_new(j, "members", json_integer(conv_count(f->conv)));
    json_object_set_new(j, "dissolved", json_boolean(conv_dissolved(f->conv)));
}

json_t *convfold_state(const struct convfold *f, bool portable)
{
    char id[ID_HEX], digest[65], when[32];
    uint8_t hash[32];
    XXH128_canonical_t content;
    json_t *people = json_array();
    enum conv_type type = conv_type(f->conv);
    for (const struct id16 *p = NULL; (p = convfold_next(f, p));) {
        json_t *m = member(f, *p, portable);
        if (m)
            json_array_append_new(people, m);
    }
    XXH128_canonicalFromHash(&content, XXH3_128bits_digest(f->content));
    json_t *j = json_pack("{ss ss sI so so ss}", "conversation", id_hex(f->id, id), "type", types[type],
                          "head", (json_int_t)conv_head(f->conv), "people", people, "pins", pins(f),
                          "content", hex_encode(digest, content.digest, sizeof content.digest));
    if (type == CONV_GROUP)
        set_group(j, f);
    if (portable)
        return j;
    conv_digest(f->conv, hash);
    json_object_set_new(j, "digest", json_string(hex_encode(digest, hash, sizeof hash)));
    json_object_set_new(j, "records", json_integer(f->records));
    json_object_set_new(j, "offset", json_integer(f->last_offset));
    when_text(f->last_ms < 0 ? 0 : f->last_ms, when);
    json_object_set_new(j, "time", json_string(when));
    return j;
}
