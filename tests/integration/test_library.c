/* libparley on a real deployment: a group from its making to its history, a member who was away, receipts, friends, presence. */
#include "client/lib/parley_history.h"
#include "common/base/rand.h"
#include "tests/support/pipeline.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PASSWORD "correct horse"

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){0});
    return 0;
}

/* Somebody with one device; what was told is kept as text. */
struct one {
    struct parley *p;
    char login[64];
    char log[8192];
    uint8_t made[PARLEY_ID]; /* the conversation of the last thing that got its place */
    enum parley_code code;
    int answers;
};

static void say(struct one *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct one *o, const char *fmt, ...)
{
    size_t n = strlen(o->log);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(o->log + n, sizeof o->log - n, fmt, ap);
    va_end(ap);
}

static void on_event(void *ctx, const struct parley_message *m)
{
    say(ctx, "%s %d %s missed=%d\n", parley_kind_name(m->kind), (int)m->seq, m->text, (int)m->missed);
}
static void on_sent(void *ctx, const struct parley_sent *s)
{
    struct one *o = ctx;
    if (s->stage == PARLEY_ACCEPTED)
        return;
    say(o, "sent %d stage=%d %s\n", (int)s->id, (int)s->stage, parley_code_name(s->code));
    memcpy(o->made, s->conversation, PARLEY_ID);
}
static void on_receipt(void *ctx, const struct parley_receipt *r)
{
    say(ctx, "receipt%s read=%d delivered=%d\n", r->own ? " own" : "", (int)r->read, (int)r->delivered);
}
static void on_typing(void *ctx, const struct parley_typist *t)
{
    (void)t;
    say(ctx, "typing\n");
}
static void on_presence(void *ctx, const struct parley_presence *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        say(ctx, "presence %d\n", v[i].online);
}
static void on_registered(void *ctx, const char *login, enum parley_code code, const char *detail,
                          const uint8_t *user)
{
    (void)login, (void)detail, (void)user;
    say(ctx, "registered %s\n", parley_code_name(code));
}

static void come(struct one *o, const char *state_file)
{
    struct parley_callbacks cb = {.message = on_event,
                                  .event = on_event,
                                  .sent = on_sent,
                                  .receipt = on_receipt,
                                  .typing = on_typing,
                                  .presence = on_presence,
                                  .registered = on_registered};
    struct parley_options opt = {.servers = pl_edges(pl, 0), .state_file = state_file, .backoff_max_ms = 500};
    o->p = parley_new(&opt, &cb, o);
    assert_non_null(o->p);
}

/* Everybody's turn, until this one's log has the text (NULL: one turn). */
static void turns(struct one *all, size_t n, const struct one *who, const char *text)
{
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    do {
        for (size_t i = 0; i < n; i++)
            if (all[i].p)
                (void)parley_run_once(all[i].p, 5);
        pl_look_after(pl);
        if (clock_mono_ms() > by)
            fail_msg("%s was never told \"%s\", but\n%s", who->login, text ? text : "", who->log);
    } while (text && !strstr(who->log, text));
}

static void got(void *arg, const struct parley_answer *a)
{
    struct one *o = arg;
    o->answers++;
    o->code = a->code;
    for (size_t i = 0; a->about == PARLEY_ASK_HISTORY && i < a->n; i++)
        say(o, "item %s%s%s\n", a->items[i].message.text, a->items[i].edited ? " edited" : "",
            a->items[i].reactions_n ? a->items[i].reactions[0].text : "");
    if (a->about == PARLEY_ASK_CONVERSATION && a->n)
        say(o, "info %s members=%u unread=%u\n", a->conversations[0].name, a->conversations[0].members,
            a->conversations[0].unread);
    for (size_t i = 0; a->about == PARLEY_ASK_CONTACTS && i < a->n; i++)
        say(o, "contact %d\n", (int)a->contacts[i].user.friend_state);
}

static void ask(struct one *all, size_t n, struct one *o, struct parley_question q)
{
    int had = o->answers;
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    q.timeout_ms = 30000;
    assert_true(parley_ask(o->p, &q, got, o) > 0);
    while (o->answers == had) {
        turns(all, n, o, NULL);
        assert_true(clock_mono_ms() < by);
    }
    if (o->code)
        fail_msg("question %d: %s", (int)q.about, parley_code_name(o->code));
}

static void a_group_and_a_member_who_was_away(void **state)
{
    (void)state;
    static struct one all[3];
    struct one *alice = &all[0], *bob = &all[1], *carol = &all[2];
    char file[256];
    uint8_t group[PARLEY_ID], who[1][PARLEY_ID];
    snprintf(file, sizeof file, "%s/bob.state", pl_folder(pl));
    for (size_t i = 0; i < 3; i++) {
        snprintf(all[i].login, sizeof all[i].login, "%s-%08x", (const char *[]){"alice", "bob", "carol"}[i],
                 (unsigned)rand_u64());
        come(&all[i], i == 1 ? file : NULL);
        assert_int_equal(parley_register(all[i].p, all[i].login, PASSWORD, ""), 0);
        turns(all, 3, &all[i], "registered OK");
        assert_int_equal(parley_login(all[i].p, all[i].login, PASSWORD), 0);
        while (parley_state(all[i].p) != PARLEY_ONLINE)
            turns(all, 3, &all[i], NULL);
    }
    memcpy(who[0], parley_user_id(bob->p), PARLEY_ID);
    parley_group_create(alice->p, "lunch", (const char *[]){bob->login, carol->login}, 2, 0);
    turns(all, 3, alice, "sent 1 stage=2 OK");
    memcpy(group, alice->made, PARLEY_ID);
    turns(all, 3, bob, "GROUP_CREATE 1 lunch missed=0");
    turns(all, 3, carol, "GROUP_CREATE 1 lunch missed=0");
    parley_send_group(alice->p, group, "one");
    turns(all, 3, bob, "MESSAGE 2 one missed=0");
    parley_typing(alice->p, group, false);
    turns(all, 3, carol, "typing");

    parley_free(bob->p); /* gone, without a word */
    bob->p = NULL;
    parley_send_group(alice->p, group, "two");
    parley_edit(alice->p, group, 2, "first");
    turns(all, 3, carol, "EDIT 4 first missed=0");
    parley_react(carol->p, group, 3, "+1");
    turns(all, 3, carol, "sent 1 stage=2 OK");
    come(bob, file);
    assert_int_equal(parley_login_token(bob->p, NULL), 0);
    turns(all, 3, bob, "REACT 5 +1 missed=0");
    const char *at = strstr(bob->log, "MESSAGE 3 two missed=0\n");
    assert_non_null(at);
    assert_non_null(strstr(at, "EDIT 4 first missed=0\nREACT 5 +1"));

    ask(all, 3, alice, (struct parley_question){.about = PARLEY_ASK_HISTORY, .conversation = group});
    assert_non_null(strstr(alice->log, "item first edited\nitem two+1\n"));
    parley_read(bob->p, group, 3);
    turns(all, 3, alice, "receipt read=3");
    ask(all, 3, carol, (struct parley_question){.about = PARLEY_ASK_CONVERSATION, .conversation = group});
    assert_non_null(strstr(carol->log, "info lunch members=3 unread=2\n"));

    parley_friend_request(alice->p, bob->login, "it is me");
    turns(all, 3, bob, "FRIEND_REQUEST 1 it is me");
    parley_friend_confirm(bob->p, alice->login);
    turns(all, 3, alice, "FRIEND_CONFIRM 2");
    parley_send_text(bob->p, alice->login, "hello");
    turns(all, 3, bob, "receipt read=0 delivered=3"); /* told by the library itself */
    ask(all, 3, alice, (struct parley_question){.about = PARLEY_ASK_CONTACTS});
    assert_int_equal(parley_watch(alice->p, who, 1, NULL), 0);
    turns(all, 3, alice, "presence 1");
    parley_stop(bob->p, 0);
    turns(all, 3, alice, "presence 0");
    for (size_t i = 0; i < 3; i++)
        parley_free(all[i].p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_and_a_member_who_was_away),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
