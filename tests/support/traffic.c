#include "tests/support/traffic.h"

#include "client/lib/parley.h"
#include "common/base/hex.h"
#include "common/base/rand.h"
#include "common/im/ids.h"
#include "tests/support/person.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PEOPLE_MAX  6
#define DEVICES_MAX 24
#define CONVS_MAX   (PEOPLE_MAX * PEOPLE_MAX)
#define TURN_MS     5
#define LOOK_MS     100
#define PASSWORD    "correct horse"
#define NOT_OURS    9999

struct device {
    struct traffic *traffic;
    struct parley *parley;
    int person;
    uint32_t number; /* for the checker */
    int64_t send_at;
    bool was_online;
    uint32_t *sends; /* message of each parley_send() id */
    size_t n_sends;
};

struct traffic {
    struct pl *pl;
    struct traffic_conf conf;
    struct checker *checker;
    char tag[16];
    char logins[PEOPLE_MAX][65];
    struct device devices[DEVICES_MAX];
    struct id16 convs[CONVS_MAX];
    int n_devices, n_people; /* the last one is away, if anybody is */
    bool sending;
    uint32_t sent;
    size_t acked, refused, reconnects, told;
    uint64_t random;
};

size_t traffic_random(struct traffic *t, size_t below)
{
    t->random = t->random * 6364136223846793005ull + 1442695040888963407ull;
    return (size_t)((t->random >> 33) % below);
}

static uint32_t conv_of(const struct traffic *t, int a, int b)
{
    return (uint32_t)((a < b ? a : b) * t->n_people + (a < b ? b : a));
}

/* ---- what the library tells ---- */

static uint32_t conv_number(const struct traffic *t, const uint8_t id[16])
{
    for (int a = 0; a < t->n_people; a++)
        for (int b = a + 1; b < t->n_people; b++)
            if (!memcmp(t->convs[conv_of(t, a, b)].b, id, 16))
                return conv_of(t, a, b);
    return NOT_OURS;
}

/* "TAG NUMBER"; other texts are of another traffic, and nobody here should see them. */
static uint32_t message_number(const struct traffic *t, const char *text)
{
    size_t n = strlen(t->tag);
    return !strncmp(text, t->tag, n) ? (uint32_t)strtoul(text + n, NULL, 10) : UINT32_MAX;
}

static void on_message(void *ctx, const struct parley_message *m)
{
    struct device *d = ctx;
    struct traffic *t = d->traffic;
    uint32_t msg = message_number(t, m->text);
    if (msg == UINT32_MAX)
        fail_msg("a message nobody sent: %s", m->text);
    checker_seen(t->checker, d->number, conv_number(t, m->conversation), m->seq, msg, m->late);
}

static void on_sent(void *ctx, const struct parley_sent *s)
{
    struct device *d = ctx;
    struct traffic *t = d->traffic;
    if (s->id == 0 || s->id > d->n_sends)
        fail_msg("an outcome of nothing that was sent");
    uint32_t msg = d->sends[s->id - 1];
    if (s->stage == PARLEY_NOT_SENT) {
        t->refused++;
        fprintf(stderr, "refused: %s %s\n", parley_code_name(s->code), s->detail);
        checker_refused(t->checker, msg);
    } else if (s->stage == PARLEY_SEQUENCED) {
        t->acked++;
        checker_placed(t->checker, msg, s->seq);
    } else {
        checker_acked(t->checker, msg);
    }
}

static void on_state(void *ctx, enum parley_state state, enum parley_code why, const char *detail)
{
    struct device *d = ctx;
    if (state == PARLEY_ENDED)
        fail_msg("%s ended: %s %s", d->traffic->logins[d->person], parley_code_name(why), detail);
    if (state == PARLEY_ONLINE) {
        d->traffic->reconnects += d->was_online;
        d->was_online = true;
    }
}

/* ---- making it ---- */

static void make_people(struct traffic *t)
{
    for (int i = 0; i < t->n_people; i++) {
        struct person p = {0};
        snprintf(t->logins[i], sizeof t->logins[i], "%s%d", t->tag, i);
        person_connect(&p, t->pl, i % pl_count(t->pl, PL_EDGE));
        assert_int_equal(person_register(&p, t->logins[i], PASSWORD), 0);
        if (i >= t->conf.people)
            assert_int_equal(person_login(&p, t->logins[i], PASSWORD, "away"), 0);
        person_free(&p);
    }
    for (int a = 0; a < t->n_people; a++)
        for (int b = a + 1; b < t->n_people; b++)
            t->convs[conv_of(t, a, b)] = id_direct(id_user(t->logins[a]), id_user(t->logins[b]));
}

static void make_device(struct traffic *t, int person, int k)
{
    static const struct parley_callbacks callbacks = {
        .state = on_state, .message = on_message, .sent = on_sent};
    char id[32];
    struct device *d = &t->devices[t->n_devices];
    snprintf(id, sizeof id, "device-%d", k);
    const struct parley_options options = {
        .servers = pl_edges(t->pl, t->n_devices),
        .device_id = id,
        .client = "traffic",
        .backoff_min_ms = 50,
        .backoff_max_ms = 1000,
        .answer_timeout_ms = (uint32_t)pl_ms(5000),
    };
    *d = (struct device){.traffic = t, .person = person, .number = (uint32_t)t->n_devices++};
    d->parley = parley_new(&options, &callbacks, d);
    assert_non_null(d->parley);
    assert_int_equal(parley_login(d->parley, t->logins[person], PASSWORD), 0);
    for (int other = 0; other < t->n_people; other++)
        if (other != person)
            checker_member(t->checker, conv_of(t, person, other), d->number);
}

struct traffic *traffic_new(struct pl *pl, const struct traffic_conf *conf)
{
    const char *seed = getenv("TEST_SEED");
    struct traffic *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->pl = pl;
    t->conf = *conf;
    t->conf.people = conf->people ? conf->people : 3;
    t->n_people = t->conf.people + conf->away;
    t->conf.devices = conf->devices ? conf->devices : 2;
    t->conf.pace_ms = conf->pace_ms ? conf->pace_ms : 40;
    t->conf.window = conf->window ? conf->window : 8;
    t->conf.seed = conf->seed ? conf->seed : seed ? strtoull(seed, NULL, 10) : rand_u64() % 1000000;
    t->random = t->conf.seed;
    t->checker = checker_new();
    assert_true(t->n_people <= PEOPLE_MAX && t->conf.people * t->conf.devices <= DEVICES_MAX);
    snprintf(t->tag, sizeof t->tag, "t%07x.", (unsigned)(rand_u64() & 0xfffffff));
    make_people(t);
    for (int i = 0; i < t->conf.people; i++)
        for (int k = 0; k < t->conf.devices; k++)
            make_device(t, i, k);
    TRAFFIC_UNTIL(t, pl, traffic_online(t));
    t->sending = true;
    return t;
}

static void traffic_free(struct traffic *t)
{
    for (int i = 0; i < t->n_devices; i++) {
        parley_free(t->devices[i].parley);
        free(t->devices[i].sends);
    }
    checker_free(t->checker);
    free(t);
}

/* ---- running ---- */

static void send_one(struct traffic *t, struct device *d)
{
    char text[64];
    int to = (d->person + 1 + (int)traffic_random(t, (size_t)t->conf.people - 1)) % t->conf.people;
    if (t->conf.away && traffic_random(t, 8) == 0)
        to = t->n_people - 1;
    uint32_t msg = t->sent++;
    snprintf(text, sizeof text, "%s%u", t->tag, msg);
    checker_sent(t->checker, msg, conv_of(t, d->person, to), d->number);
    d->sends = realloc(d->sends, (d->n_sends + 1) * sizeof *d->sends);
    assert_non_null(d->sends);
    d->sends[d->n_sends++] = msg;
    int64_t id = parley_send_text(d->parley, t->logins[to], text);
    assert_int_equal(id, d->n_sends);
}

static void send_some(struct traffic *t, int64_t now)
{
    for (int i = 0; t->sending && i < t->n_devices; i++) {
        struct device *d = &t->devices[i];
        if (now < d->send_at || parley_unresolved(d->parley) >= (size_t)t->conf.window)
            continue;
        d->send_at = now + t->conf.pace_ms / 2 + (int64_t)traffic_random(t, (size_t)t->conf.pace_ms);
        send_one(t, d);
    }
}

void traffic_turn(struct traffic *t)
{
    struct pollfd fds[DEVICES_MAX];
    pl_look_after(t->pl);
    send_some(t, clock_mono_ms());
    for (int i = 0; i < t->n_devices; i++)
        fds[i] = (struct pollfd){.fd = parley_fd(t->devices[i].parley),
                                 .events = parley_events(t->devices[i].parley)};
    poll(fds, (nfds_t)t->n_devices, TURN_MS);
    for (int i = 0; i < t->n_devices; i++)
        (void)parley_process(t->devices[i].parley, fds[i].fd >= 0 ? fds[i].revents : 0);
}

void traffic_send(struct traffic *t, bool on)
{
    t->sending = on;
}

size_t traffic_acked(const struct traffic *t)
{
    return t->acked;
}

size_t traffic_accepted(const struct traffic *t)
{
    return checker_count(t->checker, true);
}

size_t traffic_refused(const struct traffic *t)
{
    return t->refused;
}

size_t traffic_reconnects(const struct traffic *t)
{
    return t->reconnects;
}

bool traffic_online(const struct traffic *t)
{
    for (int i = 0; i < t->n_devices; i++)
        if (parley_state(t->devices[i].parley) != PARLEY_ONLINE)
            return false;
    return true;
}

static void say_missing(void *ctx, uint32_t msg, uint32_t conv, uint64_t placed)
{
    const struct traffic *t = ctx;
    char id[ID_HEX];
    fprintf(stderr, "    message %u of conversation %s, place %llu, never came\n", msg,
            id_hex(t->convs[conv], id), (unsigned long long)placed);
}

void traffic_in_time(struct traffic *t, int64_t by, const char *what)
{
    if (clock_mono_ms() <= by)
        return;
    for (int i = 0; i < t->n_devices; i++) {
        const struct device *d = &t->devices[i];
        fprintf(stderr, "device %d of %s: state %d at %s, %zu sends without outcome\n", i,
                t->logins[d->person], parley_state(d->parley), parley_server(d->parley),
                parley_unresolved(d->parley));
        checker_missing(t->checker, d->number, say_missing, t);
    }
    fail_msg("waited too long for %s (seed %llu, %u sent, %zu acked, %zu reconnects)", what,
             (unsigned long long)t->conf.seed, t->sent, t->acked, t->reconnects);
}

void traffic_more(struct traffic *t, size_t acked)
{
    size_t upto = t->acked + acked;
    TRAFFIC_UNTIL(t, t->pl, t->acked >= upto);
}

int traffic_edge(struct traffic *t)
{
    size_t at = traffic_random(t, (size_t)t->n_devices);
    for (int k = 0; k < t->n_devices; k++) {
        const struct parley *p = t->devices[(at + (size_t)k) % (size_t)t->n_devices].parley;
        for (int i = 0; i < pl_count(t->pl, PL_EDGE) && parley_state(p) == PARLEY_ONLINE; i++)
            if (!strcmp(parley_server(p), pl_edge(t->pl, i)))
                return i;
    }
    fail_msg("nobody is online");
    return 0;
}

int traffic_stop(struct traffic *t, enum pl_kind kind, int i, int signal)
{
    pl_expect_end(t->pl, kind, i);
    pl_signal(t->pl, kind, i, signal);
    TRAFFIC_UNTIL(t, t->pl, !pl_running(t->pl, kind, i));
    return pl_wait_end(t->pl, kind, i);
}

/* ---- the end ---- */

bool traffic_resolved(const struct traffic *t)
{
    for (int i = 0; i < t->n_devices; i++)
        if (parley_unresolved(t->devices[i].parley))
            return false;
    return true;
}

static bool all_seen(const struct traffic *t)
{
    for (int i = 0; i < t->n_devices; i++)
        if (!checker_seen_all(t->checker, t->devices[i].number))
            return false;
    return true;
}

/* Asks only now and then: it costs something. */
static bool settled(struct traffic *t, int64_t *next)
{
    int64_t now = clock_mono_ms();
    if (!traffic_resolved(t) || now < *next)
        return false;
    *next = now + LOOK_MS;
    return all_seen(t) && pl_number(t->pl, "SELECT count(*) FROM messages WHERE text LIKE '%s%%'", t->tag) >=
                              (int64_t)t->acked;
}

static void history_row(void *ctx, char **columns)
{
    struct traffic *t = ctx;
    uint8_t id[16] = {0};
    for (size_t i = 0; i < 16 && columns[0][2 * i]; i++)
        id[i] = (uint8_t)strtoul((char[3]){columns[0][2 * i], columns[0][2 * i + 1], 0}, NULL, 16);
    checker_history(t->checker, conv_number(t, id), strtoull(columns[1], NULL, 10),
                    message_number(t, columns[2]));
}

static void tell(void *ctx, enum breach kind, const char *what)
{
    struct traffic *t = ctx;
    if (t->told++ < 20)
        fprintf(stderr, "%s: %s\n", breach_names[kind], what);
}

void traffic_settle(struct traffic *t)
{
    int64_t next = 0, by = clock_mono_ms() + pl_ms(t->conf.settle_ms ? t->conf.settle_ms : PL_WAIT_MS);
    bool late = false;
    t->sending = false;
    while (!settled(t, &next) && !(late = clock_mono_ms() > by))
        traffic_turn(t);
    while (!pl_rows(t->pl, history_row, t, /* a connection of before a kill shows only when it is used */
                    "SELECT encode(conv, 'hex'), seq, text FROM messages WHERE text LIKE '%s%%'", t->tag)) {
        assert_true(clock_mono_ms() <= by + pl_ms(PL_WAIT_MS));
        traffic_turn(t);
    }
    size_t breaches = checker_judge(t->checker, tell, t);
    fprintf(stderr, "traffic: seed %llu, %u sent, %zu acked, %zu refused, %zu reconnects\n",
            (unsigned long long)t->conf.seed, t->sent, t->acked, t->refused, t->reconnects);
    if (late)
        traffic_in_time(t, 0, "everything to be seen; judged as it is");
    if (breaches)
        fail_msg("%zu breaches (seed %llu)", breaches, (unsigned long long)t->conf.seed);
    traffic_free(t);
}
