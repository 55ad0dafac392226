#include "common/im/presence.h"
#include "tests/unit/offlinerun.h"

/* Events that an edge hands on for connections that it cannot name: written again for their users. */

#define PARTS 2

static struct presence *presence;

static void connected(struct world *w, const struct session *s, bool over)
{
    uint8_t key[KEY_PRESENCE];
    Im__PresenceRecord r = IM__PRESENCE_RECORD__INIT;
    Im__Session pb;
    session_to_pb(s, &pb);
    r.version = 1;
    r.session = &pb;
    key_presence(s, key);
    assert_int_equal(presence_feed(presence, slice_of(key, sizeof key), pack(w, &r.base)), 0);
    if (over)
        assert_int_equal(presence_feed(presence, slice_of(key, sizeof key), (struct slice){NULL, 0}), 0);
}

static struct session somebody(const char *login, uint32_t device, uint32_t handle)
{
    return (struct session){.user = uid(login),
                            .device = device,
                            .slot = 1,
                            .epoch = 5,
                            .handle = handle,
                            .login_offset = handle};
}

static struct record handed_on(struct world *w, uint32_t *handles, size_t n)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffGroup g = IM__OFF_GROUP__INIT;
    struct id16 c = conv(7);
    g.conversation = codec_bytes(slice_id(&c));
    g.seq = 9;
    g.slot = 1;
    g.epoch = 5;
    g.handles = handles;
    g.n_handles = n;
    m.version = 1;
    m.body_case = IM__OFFLINE_RECORD__BODY_GROUP;
    m.group = &g;
    return (struct record){.topic = T_OFFLINE, .offset = w->offset++, .value = pack(w, &m.base)};
}

static struct world *begin(void)
{
    static struct offline_settings with;
    with = settings;
    presence = presence_new(NULL);
    assert_int_equal(presence_remember(presence, 8), 0);
    with.presence = presence;
    with.parts = PARTS;
    return world_new(&offline_core, &with);
}

static void end(struct world *w)
{
    world_free(w);
    presence_free(presence);
}

/* How many users the next record names, all of them of its partition; the conversation and place are those handed on. */
static size_t users_of_next(struct world *w)
{
    const struct sent_record *s = next(w, T_OFFLINE);
    Im__OfflineRecord *m;
    DECODE(w, offline, s->value, &m);
    assert_int_equal(m->body_case, IM__OFFLINE_RECORD__BODY_GROUP);
    assert_true(id_eq(codec_id(m->group->conversation), conv(7)));
    assert_int_equal(m->group->seq, 9);
    assert_int_equal(m->group->n_handles, 0);
    assert_true(m->group->left); /* it may be the event of their leaving */
    for (size_t i = 0; i < m->group->users.len; i += ID_SIZE) {
        struct slice user = {m->group->users.data + i, ID_SIZE};
        assert_int_equal((topics_murmur2(user) & 0x7fffffff) % PARTS, s->part);
    }
    return m->group->users.len / ID_SIZE;
}

static void users_are_looked_up_each_once(void **state)
{
    (void)state;
    static const char *const names[] = {"anna", "bert", "carl", "dora", "emil", "fred"};
    struct world *w = begin();
    uint32_t handles[8] = {100, 101, 102, 103, 104, 105, 200, 999};
    for (uint32_t i = 0; i < 6; i++) {
        struct session s = somebody(names[i], 1, 100 + i);
        connected(w, &s, i % 2);
    }
    struct session second = somebody("anna", 2, 200);
    connected(w, &second, false);
    struct record r = handed_on(w, handles, 8); /* 999 is nobody */
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    size_t n = 0;
    while (w->seen < w->run.fx.n_sends)
        n += users_of_next(w);
    assert_int_equal(n, 6);
    assert_int_equal(w->run.fx.n_puts, 0);
    end(w);
}

static void nobody_known_is_nobody_told(void **state)
{
    (void)state;
    struct world *w = begin();
    uint32_t handles[2] = {1, 2};
    struct record r = handed_on(w, handles, 2);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    no_more(w);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_looked_up_each_once),
        cmocka_unit_test(nobody_known_is_nobody_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
