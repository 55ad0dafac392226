/* Typing and groups through real processes, as far as fanout decides about them. */
#include "tests/support/person.h"

#include "common/base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.settings = NULL});
    return 0;
}

/* `who` types until `sees` does; a signal may be lost, so it is said again. */
static void shows(struct person *who, struct person *sees, Im__Typing req, bool group)
{
    struct raw_frame *f;
    while ((f = raw_wait(sees->raw, IM__FRAME_TYPE__TYPING_PUSH, 1))) /* of others, before */
        raw_frame_free(f);
    for (int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS); !f && clock_mono_ms() < by;) {
        assert_int_equal(raw_send(who->raw, IM__FRAME_TYPE__TYPING, 0, &req.base), 0);
        f = raw_wait(sees->raw, IM__FRAME_TYPE__TYPING_PUSH, 1100);
        pl_look_after(pl);
    }
    assert_non_null(f);
    const Im__TypingPush *p = (const Im__TypingPush *)f->msg;
    assert_non_null(p);
    assert_string_equal(p->login, who->login);
    assert_int_equal(p->group, group);
    assert_int_equal(f->seq_id, 0); /* nothing to be confirmed */
    raw_frame_free(f);
}

static void the_other_sees_one_type_also_after_fanout_died(void **state)
{
    (void)state;
    struct person a, b;
    Im__Typing req = IM__TYPING__INIT;
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    person_placed(&a, person_say(&a, b.login, "hello"));
    req.with = b.login;
    shows(&a, &b, req, false);
    for (int i = 0; i < pl_count(pl, PL_FANOUT); i++) {
        pl_expect_end(pl, PL_FANOUT, i);
        pl_stop(pl, PL_FANOUT, i, SIGKILL);
        pl_start(pl, PL_FANOUT, i, NULL);
    }
    pl_wait_ready(pl);
    shows(&a, &b, req, false); /* the conversation is in no memory: it is read for this */
    person_placed(&a, person_say(&a, b.login, "still here"));
    person_free(&a);
    person_free(&b);
}

static const Im__MsgAck *stage(struct person *p, Im__Stage want, struct raw_frame **keep)
{
    for (;;) {
        struct raw_frame *f = raw_wait(p->raw, IM__FRAME_TYPE__MSG_ACK, pl_ms(PL_WAIT_MS));
        assert_non_null(f);
        const Im__MsgAck *a = (const Im__MsgAck *)f->msg;
        assert_non_null(a);
        assert_int_not_equal(a->stage, IM__STAGE__STAGE_REFUSED);
        if (a->stage == want) {
            *keep = f;
            return a;
        }
        raw_frame_free(f);
    }
}

static void a_groups_members_hear_of_it_and_of_who_types_there(void **state)
{
    (void)state;
    struct person a, b, c;
    struct raw_frame *f, *push;
    uint8_t group[16];
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    person_new(&c, pl, 0, "cyd", "phone");
    Im__ConvOp op = IM__CONV_OP__INIT;
    char *logins[] = {b.login, c.login};
    op.client_seq = a.next++;
    op.kind = IM__CONV_KIND__CONV_GROUP_CREATE;
    op.text = (char *)(uintptr_t) "us";
    op.logins = logins;
    op.n_logins = 2;
    assert_int_equal(raw_send(a.raw, IM__FRAME_TYPE__CONV_OP, 5, &op.base), 0);
    const Im__MsgAck *ack = stage(&a, IM__STAGE__SEQUENCED, &f);
    assert_int_equal(ack->seq, 1);
    assert_int_equal(ack->conversation.len, 16);
    memcpy(group, ack->conversation.data, 16);
    raw_frame_free(f);
    struct person *others[] = {&b, &c};
    for (size_t i = 0; i < 2; i++) {
        push = raw_wait(others[i]->raw, IM__FRAME_TYPE__CHAT_PUSH, pl_ms(PL_WAIT_MS));
        assert_non_null(push);
        const Im__ChatPush *p = (const Im__ChatPush *)push->msg;
        assert_int_equal(p->kind, IM__CONV_KIND__CONV_GROUP_CREATE);
        assert_int_equal(p->seq, 1);
        assert_true(p->group);
        raw_frame_free(push);
    }
    Im__Typing req = IM__TYPING__INIT;
    req.conversation = (ProtobufCBinaryData){16, group};
    shows(&b, &a, req, true);
    shows(&a, &c, req, true);
    person_free(&a);
    person_free(&b);
    person_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_other_sees_one_type_also_after_fanout_died),
        cmocka_unit_test(a_groups_members_hear_of_it_and_of_who_types_there),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
