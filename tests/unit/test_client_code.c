/* The library's numbers are the protocol's. */
#include "client/lib/parley_history.h"
#include "common/im/codes.h"
#include "proto/client.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void codes_are_the_protocols(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *d = &im__code__descriptor;
    for (unsigned i = 0; i < d->n_values; i++) {
        enum parley_code code = (enum parley_code)d->values[i].value;
        assert_string_equal(parley_code_name(code), d->values[i].name);
        assert_true(strlen(parley_code_text(code)) > 3);
    }
    unsigned known = 0;
    for (unsigned c = 0; c < 900; c++)
        known += strcmp(parley_code_name((enum parley_code)c), "UNKNOWN") != 0;
    assert_int_equal(known, d->n_values);
}

static void kinds_are_the_protocols(void **state)
{
    (void)state;
    static const struct {
        enum parley_kind kind;
        const char *name;
    } some[] = {
        {PARLEY_MESSAGE, "MESSAGE"},
        {PARLEY_EDIT, "EDIT"},
        {PARLEY_RECALL, "RECALL"},
        {PARLEY_REACT, "REACT"},
        {PARLEY_PIN, "PIN"},
        {PARLEY_UNPIN, "UNPIN"},
        {PARLEY_ANNOUNCEMENT, "ANNOUNCEMENT"},
        {PARLEY_GROUP_CREATE, "GROUP_CREATE"},
        {PARLEY_GROUP_JOIN, "GROUP_JOIN"},
        {PARLEY_GROUP_LEAVE, "GROUP_LEAVE"},
        {PARLEY_GROUP_INVITE, "GROUP_INVITE"},
        {PARLEY_GROUP_REMOVE, "GROUP_REMOVE"},
        {PARLEY_GROUP_ROLE, "GROUP_ROLE"},
        {PARLEY_GROUP_HAND_OVER, "GROUP_HAND_OVER"},
        {PARLEY_GROUP_MUTE, "GROUP_MUTE"},
        {PARLEY_GROUP_UNMUTE, "GROUP_UNMUTE"},
        {PARLEY_GROUP_RENAME, "GROUP_RENAME"},
        {PARLEY_GROUP_NOTICE, "GROUP_NOTICE"},
        {PARLEY_GROUP_SETTINGS, "GROUP_SETTINGS"},
        {PARLEY_GROUP_DISSOLVE, "GROUP_DISSOLVE"},
        {PARLEY_GROUP_APPROVE, "GROUP_APPROVE"},
        {PARLEY_GROUP_DECLINE, "GROUP_DECLINE"},
        {PARLEY_FRIEND_REQUEST, "FRIEND_REQUEST"},
        {PARLEY_FRIEND_CONFIRM, "FRIEND_CONFIRM"},
        {PARLEY_FRIEND_REFUSE, "FRIEND_REFUSE"},
        {PARLEY_FRIEND_REMOVE, "FRIEND_REMOVE"},
        {PARLEY_BLOCK, "BLOCK"},
        {PARLEY_UNBLOCK, "UNBLOCK"},
    };
    size_t n = sizeof some / sizeof *some;
    for (size_t i = 0; i < n; i++)
        assert_string_equal(parley_kind_name(some[i].kind), some[i].name);
    assert_int_equal(n + 2,
                     im__conv_kind__descriptor.n_values); /* CONV_NONE and CONV_RECEIPT are nobody's deed */
    assert_string_equal(parley_kind_name((enum parley_kind)99), "?");
}

static void other_numbers_too(void **state)
{
    (void)state;
    assert_int_equal(PARLEY_ACCEPTED, IM__STAGE__ACCEPTED);
    assert_int_equal(PARLEY_SEQUENCED, IM__STAGE__SEQUENCED);
    assert_int_equal(PARLEY_NOT_SENT, IM__STAGE__STAGE_REFUSED);
    assert_int_equal(PARLEY_NOTED, IM__STAGE__NOTED);
    assert_int_equal(PARLEY_ROLE_OWNER, IM__ROLE__OWNER);
    assert_int_equal(PARLEY_ROLE_ADMIN, IM__ROLE__ADMIN);
    assert_int_equal(PARLEY_GROUP_APPROVAL, IM__GROUP_FLAG__GROUP_APPROVAL);
    assert_int_equal(PARLEY_GROUP_HISTORY, IM__GROUP_FLAG__GROUP_HISTORY);
    assert_int_equal(PARLEY_GROUP_QUIET, IM__GROUP_FLAG__GROUP_QUIET);
    assert_int_equal(PARLEY_GROUP_PRIVATE, IM__GROUP_FLAG__GROUP_PRIVATE);
    assert_int_equal(PARLEY_BEFORE, IM__DIRECTION__BEFORE);
    assert_int_equal(PARLEY_AFTER, IM__DIRECTION__AFTER);
    assert_int_equal(PARLEY_AROUND, IM__DIRECTION__AROUND);
    assert_int_equal(PARLEY_ASKED, IM__FRIEND_STATE__ASKED);
    assert_int_equal(PARLEY_ASKED_ME, IM__FRIEND_STATE__ASKED_ME);
    assert_int_equal(PARLEY_FRIEND, IM__FRIEND_STATE__FRIEND);
    assert_int_equal(PARLEY_EVERYONE, IM__PRIVACY__EVERYONE);
    assert_int_equal(PARLEY_FRIENDS, IM__PRIVACY__FRIENDS);
    assert_int_equal(PARLEY_NOBODY, IM__PRIVACY__NOBODY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_the_protocols),
        cmocka_unit_test(kinds_are_the_protocols),
        cmocka_unit_test(other_numbers_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
