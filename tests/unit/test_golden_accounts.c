/* The golden log of im.user and im.vault: records of version 1, as bytes, and what router and persister make of them.
 * What they mean today they mean for ever: this file never changes. A new version of a record gets a log of its own;
 * GOLDEN_WRITE=path writes one. Rows may get other bytes, so what is kept is what they say. */
#include "common/base/hex.h"
#include "persister/core.h"
#include "persister/rows.h"
#include "router/account.h"
#include "router/rebuild.h"
#include "tests/unit/coreworld.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#define GOLDEN  "tests/golden/accounts-v1.log"
#define LOG_MAX 128

struct log {
    struct record r[LOG_MAX];
    size_t n;
    int64_t offsets[2];
    struct arena *arena;
};

/* ---- making it ---- */

static void add(struct log *l, uint16_t topic, struct id16 user, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    struct id16 *key = arena_copy(l->arena, &user, sizeof user);
    uint8_t *p = arena_alloc(l->arena, n);
    assert_non_null(key);
    assert_non_null(p);
    protobuf_c_message_pack(m, p);
    l->r[l->n] = (struct record){.topic = topic,
                                 .offset = l->offsets[topic == T_VAULT]++,
                                 .time_ms = 1700000000000 + (int64_t)l->n * 1000,
                                 .key = slice_id(key),
                                 .value = slice_of(p, n)};
    l->n++;
}

/* One record of a kind, with everything that the kind has. */
static void add_user(struct log *l, const char *login, Im__UserKind kind, uint32_t device)
{
    Im__UserRecord u = IM__USER_RECORD__INIT;
    struct id16 id = uid(login), conv = id_direct(id, uid("bert"));
    char text[64], name[16];
    uint8_t trace[24] = {1, 2, 3};
    snprintf(text, sizeof text, "%s the %zuth \xe2\x82\xac", login, l->n);
    snprintf(name, sizeof name, "device-%u", device);
    u.version = 1;
    u.kind = kind;
    u.user = codec_bytes(slice_id(&id));
    u.login = (char *)(uintptr_t)login;
    u.trace = (ProtobufCBinaryData){sizeof trace, trace};
    u.source_part = 1;
    u.source_offset = 100 + (int64_t)l->n;
    u.time_ms = 1699999999000 + (int64_t)l->n;
    u.device = device;
    switch (kind) {
    case IM__USER_KIND__USER_REGISTERED:
        u.display_name = text;
        u.token_generation = 1;
        break;
    case IM__USER_KIND__USER_DEVICE_ADDED:
        u.device_id = name;
        u.device_class = device % 2 ? "phone" : "desktop";
        break;
    case IM__USER_KIND__USER_TOKENS_REVOKED:
        u.token_generation = 2 + l->n;
        u.login_offset = device ? 90 + device : 0;
        break;
    case IM__USER_KIND__USER_PROFILE:
        u.display_name = device ? text : "";
        u.presence = device ? IM__PRIVACY__PRIVACY_UNCHANGED : IM__PRIVACY__FRIENDS;
        break;
    case IM__USER_KIND__USER_PREFS:
        u.conversation = codec_bytes(slice_id(&conv));
        u.pinned = true;
        u.muted = device;
        u.remark = text;
        u.mask = device;
        break;
    case IM__USER_KIND__USER_ADMIN:
        u.admin = device;
        break;
    default:
        break;
    }
    add(l, T_USER, id, &u.base);
}

static void add_vault(struct log *l, const char *login, size_t keys, bool erased)
{
    Im__VaultRecord v = IM__VAULT_RECORD__INIT;
    Im__BodyKey key[2], *list[2] = {&key[0], &key[1]};
    struct id16 id = uid(login);
    uint8_t verifier[40], sealed[2][77];
    memset(verifier, (int)(0x40 + l->n), sizeof verifier);
    for (size_t i = 0; i < keys; i++) {
        im__body_key__init(&key[i]);
        memset(sealed[i], (int)(0x80 + l->n + i), sizeof sealed[i]);
        key[i].id = i + 1;
        key[i].sealed = (ProtobufCBinaryData){sizeof sealed[i], sealed[i]};
        key[i].since = 100 + (int64_t)(i * 5);
    }
    v.version = 1;
    v.user = codec_bytes(slice_id(&id));
    v.erased = erased;
    v.master_key = erased ? 0 : 77;
    if (!erased)
        v.verifier = (ProtobufCBinaryData){sizeof verifier, verifier};
    v.n_keys = keys;
    v.keys = list;
    add(l, T_VAULT, id, &v.base);
}

static void make(struct log *l)
{
    static const char *const people[] = {"anna", "bert", "zo\xc3\xab"};
    for (size_t i = 0; i < 2; i++) {
        add_vault(l, people[i], i, false);
        add_user(l, people[i], IM__USER_KIND__USER_REGISTERED, 0);
        for (uint32_t d = 1; d <= 4; d++)
            add_user(l, people[i], IM__USER_KIND__USER_DEVICE_ADDED, d);
        add_user(l, people[i], IM__USER_KIND__USER_DEVICE_DROPPED, 2);
        for (uint32_t k = 0; k < 2; k++) {
            add_user(l, people[i], IM__USER_KIND__USER_TOKENS_REVOKED, k);
            add_user(l, people[i], IM__USER_KIND__USER_PROFILE, k);
            add_user(l, people[i], IM__USER_KIND__USER_PREFS, k);
            add_user(l, people[i], IM__USER_KIND__USER_ADMIN, 1 - k);
        }
        add_user(l, people[i], IM__USER_KIND__USER_SEEN, 0);
        add_user(l, people[i], IM__USER_KIND__USER_REGISTERED, 0); /* a repeat: the first one counts */
        add_vault(l, people[i], 2, false);
    }
    add_user(l, "bert", IM__USER_KIND__USER_ERASED, 0);
    add_vault(l, "bert", 0, true);
    add_user(l, "anna", 4711, 0); /* a kind of a later release: nothing for everybody */
}

/* ---- what they make of it, as text ---- */

static void hex(struct bytes *out, const char *name, const void *p, size_t n)
{
    char *text = malloc(2 * n + 1);
    assert_non_null(text);
    bytes_printf(out, " %s=%s", name, hex_encode(text, p, n));
    free(text);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines in order, whatever order they were made in. */
static char *sorted(char *text)
{
    char *lines[512], *out = calloc(1, strlen(text) + 2);
    size_t n = 0;
    assert_non_null(out);
    for (char *line = strsep(&text, "\n"); line && *line && n < 512; line = strsep(&text, "\n"))
        lines[n++] = line;
    qsort(lines, n, sizeof *lines, by_key);
    for (size_t i = 0, at = 0; i < n; i++)
        at += (size_t)snprintf(out + at, strlen(lines[i]) + 2, "%s\n", lines[i]);
    return out;
}

static void say_account(struct bytes *out, struct slice key, struct slice row)
{
    struct id16 id;
    assert_int_equal(id_from(key.p, key.n, &id), 0);
    struct account *a = account_new(id);
    assert_int_equal(account_unpack(a, row), 0);
    hex(out, "router user", id.b, ID_SIZE);
    bytes_printf(out,
                 " exists=%d erased=%d login=%s registered=%" PRId32 "/%" PRId64 " generation=%" PRIu64
                 " revoked=%" PRId64 " kept=%" PRIu64 " admin=%d seen=%" PRId64 " next=%" PRIu32,
                 a->exists, a->erased, a->login, a->registered_part, a->registered_at, a->generation,
                 a->revoked_at, a->kept_login, a->admin, a->seen_ms, a->next_device);
    hex(out, "verifier", a->verifier, a->verifier_n);
    for (size_t i = 0; i < a->n_keys; i++) {
        bytes_printf(out, " key since %" PRId64, a->keys[i].since);
        hex(out, "is", a->keys[i].sealed, sizeof a->keys[i].sealed);
    }
    for (size_t i = 0; i < a->n_devices; i++)
        bytes_printf(out, " device=%" PRIu32 "/%s/%s/%" PRId64, a->devices[i].number, a->devices[i].id,
                     a->devices[i].class, a->devices[i].added_at);
    bytes_str(out, "\n");
    account_free(a);
}

static char *router_says(const struct log *l, uint32_t slices)
{
    struct bytes out = {0};
    struct slice key, row;
    for (uint32_t i = 0; i < slices; i++) {
        struct rebuild *b = rebuild_new(i, slices, INT64_MAX);
        for (size_t k = 0; k < l->n; k++)
            assert_int_equal(rebuild_feed(b, &l->r[k]), 0);
        while (rebuild_row(b, &key, &row))
            say_account(&out, key, row);
        rebuild_free(b);
    }
    char *text = sorted((char *)out.p);
    bytes_release(&out);
    return text;
}

static void text(struct bytes *out, const char *name, struct slice s)
{
    bytes_printf(out, " %s=%.*s", name, (int)s.n, s.n ? (const char *)s.p : "");
}

static void say_row(struct bytes *out, uint8_t table, struct slice row)
{
    struct account_row a;
    struct device_row d;
    struct prefs_row p;
    struct erased_row e;
    struct slice verifier;
    uint32_t master;
    if (table == P_ACCOUNT && !account_row_parse(row, &a)) {
        bytes_printf(out,
                     " account generation=%" PRId64 " source=%" PRId32 "/%" PRId64 " registered=%" PRId64
                     " seen=%" PRId64 " presence=%u admin=%u",
                     a.token_generation, a.source_part, a.source_offset, a.registered_ms, a.seen_ms,
                     a.presence, a.admin);
        text(out, "login", a.login);
        text(out, "name", a.display_name);
    } else if (table == P_DEVICE && !device_row_parse(row, &d)) {
        bytes_printf(out, " device added=%" PRId64 " dropped=%" PRId64, d.added_ms, d.dropped_ms);
        text(out, "id", d.device_id);
        text(out, "class", d.device_class);
    } else if (table == P_PREFS && !prefs_row_parse(row, &p)) {
        bytes_printf(out, " prefs source=%" PRId64 " pinned=%d muted=%d", p.source_offset, p.pinned, p.muted);
        text(out, "remark", p.remark);
    } else if (table == P_ERASED && !erased_row_parse(row, &e)) {
        bytes_printf(out, " erased source=%" PRId64 " at=%" PRId64, e.source_offset, e.erased_ms);
    } else if (table == P_VERIFIER && !verifier_row_parse(row, &master, &verifier)) {
        bytes_printf(out, " verifier master=%" PRIu32, master);
        hex(out, "is", verifier.p, verifier.n);
    } else {
        fail_msg("a row of table %u cannot be read", table);
    }
}

static char *persister_says(const struct log *l, size_t batch)
{
    static const struct persister_settings settings = {.cache_bytes = 1 << 20};
    struct run run = {0};
    struct bytes out = {0};
    run_open(&run, &persister_users, &settings, NULL, 0, 0);
    for (size_t i = 0; i < l->n; i += batch)
        assert_int_equal(run_batch(&run, &l->r[i], l->n - i < batch ? l->n - i : batch), CORE_OK);
    for (struct stored *s = run.store; s; s = s->hh.next) {
        hex(&out, "persister key", s->key + 1, s->key_n - 1);
        say_row(&out, s->key[0], slice_of(s->row, s->row_n));
        bytes_str(&out, "\n");
    }
    run_release(&run);
    char *text = sorted((char *)out.p);
    bytes_release(&out);
    return text;
}

static void digest_of(const char *text, char hexed[65])
{
    uint8_t d[32];
    crypto_generichash(d, sizeof d, (const uint8_t *)text, strlen(text), NULL, 0);
    hex_encode(hexed, d, sizeof d);
}

/* ---- the file ---- */

static void write_golden(const char *path)
{
    struct log l = {.arena = arena_new(0)};
    char *says[2], d[65], *h;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    make(&l);
    fprintf(f, "# record: user|vault offset time_ms key value\n# what router and persister make of it; and "
               "its digest\n");
    for (size_t i = 0; i < l.n; i++) {
        char key[33];
        h = malloc(2 * l.r[i].value.n + 1);
        assert_non_null(h);
        fprintf(f, "record %s %" PRId64 " %" PRId64 " %s %s\n", l.r[i].topic == T_USER ? "user" : "vault",
                l.r[i].offset, l.r[i].time_ms, hex_encode(key, l.r[i].key.p, ID_SIZE),
                hex_encode(h, l.r[i].value.p, l.r[i].value.n));
        free(h);
    }
    says[0] = router_says(&l, 1);
    says[1] = persister_says(&l, 1);
    for (int i = 0; i < 2; i++) {
        digest_of(says[i], d);
        fprintf(f, "%sdigest %s %s\n", says[i], i ? "persister" : "router", d);
        free(says[i]);
    }
    fclose(f);
    arena_free(l.arena);
}

struct golden {
    struct log log;
    struct bytes says[2];
    char digest[2][65];
};

static void take_record(struct log *l, const char *line)
{
    static char key[64], value[16384];
    char topic[8];
    int64_t offset, time_ms;
    assert_int_equal(
        sscanf(line, "record %7s %" SCNd64 " %" SCNd64 " %63s %16383s", topic, &offset, &time_ms, key, value),
        5);
    struct id16 *id = arena_alloc(l->arena, sizeof *id);
    size_t n = strlen(value) / 2;
    uint8_t *bytes = arena_alloc(l->arena, n);
    assert_int_equal(hex_decode(id->b, ID_SIZE, key) + hex_decode(bytes, n, value), 0);
    assert_true(l->n < LOG_MAX);
    l->r[l->n++] = (struct record){.topic = strcmp(topic, "user") ? T_VAULT : T_USER,
                                   .offset = offset,
                                   .time_ms = time_ms,
                                   .key = slice_id(id),
                                   .value = slice_of(bytes, n)};
}

static int setup(void **state)
{
    char line[32768];
    struct golden *g = calloc(1, sizeof *g);
    if (getenv("GOLDEN_WRITE"))
        write_golden(getenv("GOLDEN_WRITE"));
    FILE *f = fopen(GOLDEN, "r");
    assert_non_null(g);
    assert_non_null(f);
    g->log.arena = arena_new(0);
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "record ", 7))
            take_record(&g->log, line);
        else if (sscanf(line, "digest router %64s", g->digest[0]) != 1 &&
                 sscanf(line, "digest persister %64s", g->digest[1]) != 1 && *line != '#')
            bytes_str(&g->says[*line == ' ' ? line[1] == 'p' : *line == 'p'], line);
    }
    fclose(f);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    struct golden *g = *state;
    bytes_release(&g->says[0]);
    bytes_release(&g->says[1]);
    arena_free(g->log.arena);
    free(g);
    return 0;
}

static void is_it(const struct golden *g, int which, char *now)
{
    char d[65];
    digest_of(now, d);
    assert_string_equal(now, (const char *)g->says[which].p);
    assert_string_equal(d, g->digest[which]);
    free(now);
}

static void the_router_makes_the_same_of_it(void **state)
{
    const struct golden *g = *state;
    assert_true(g->log.n > 30);
    is_it(g, 0, router_says(&g->log, 1));
    is_it(g, 0, router_says(&g->log, 3));
}

static void the_persister_makes_the_same_of_it(void **state)
{
    const struct golden *g = *state;
    is_it(g, 1, persister_says(&g->log, 1));
    is_it(g, 1, persister_says(&g->log, 7));
    is_it(g, 1, persister_says(&g->log, LOG_MAX));
}

/* A record that reads otherwise is noticed: each byte of the log matters to one of them, or to none for ever. */
static void a_change_is_noticed(void **state)
{
    struct golden *g = *state;
    struct log copy = g->log;
    size_t noticed = 0;
    for (size_t i = 0; i < g->log.n; i++) {
        copy.r[i].value.n = 0; /* as if it had never been */
        char *a = router_says(&copy, 1), *b = persister_says(&copy, 1);
        noticed += strcmp(a, (const char *)g->says[0].p) != 0 || strcmp(b, (const char *)g->says[1].p) != 0;
        free(a);
        free(b);
        copy.r[i] = g->log.r[i];
    }
    assert_true(noticed > g->log.n / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_router_makes_the_same_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_persister_makes_the_same_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_is_noticed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
