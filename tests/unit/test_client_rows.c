/* Rows fit the screen and are clean, whatever others called themselves; events in words; wrapping. */
#include "client/parley/show_rows.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NASTY              \
    "\033[31m\xe2\x80\xae" \
    "a name that is much longer than any column has room for 漢字漢字漢字漢字漢字 \xff\xc2\x9b"

static void assert_row(const char *row)
{
    if (show_width(row) > 79)
        fail_msg("wide: %d columns: %s", show_width(row), row);
    assert_null(strchr(row, 033));
    assert_null(strstr(row, "\xe2\x80\xae"));
    assert_null(strstr(row, "\xff"));
}

static const struct parley_person person = {.login = NASTY};

static void rows_fit(void **state)
{
    char row[ROW];
    struct parley_item last = {.message = {.kind = PARLEY_MESSAGE,
                                           .sender_login = NASTY,
                                           .peer_login = "",
                                           .text = NASTY,
                                           .content_type = ""}};
    struct parley_conversation c = {.name = NASTY,
                                    .peer = person,
                                    .peer_name = NASTY,
                                    .remark = NASTY,
                                    .notice = "",
                                    .unread = 1000,
                                    .last = &last,
                                    .pinned = true,
                                    .muted = true};
    (void)state;
    for (int i = 0; i < 4; i++) {
        c.group = i & 1;
        last.recalled = i & 2;
        row_conversation(row, &c);
        assert_row(row);
        assert_non_null(strstr(row, "999+ new"));
    }
    row_member(row, &(struct parley_member){person, NASTY, PARLEY_ROLE_MEMBER, 1600000000000, 1, 1, true});
    assert_row(row);
    row_applicant(row, &(struct parley_applicant){person, NASTY, 1600000000000});
    assert_row(row);
    struct parley_user u = {person, NASTY, NASTY, PARLEY_ASKED_ME, false, false, 1600000000000};
    row_user(row, &u);
    assert_row(row);
    u.blocked = true;
    row_user(row, &u);
    assert_row(row);
    row_contact(row, &(struct parley_contact){.user = u, .text = NASTY});
    char *second = strchr(row, '\n');
    assert_non_null(second);
    *second = '\0';
    assert_row(row);
    assert_row(second + 1);
    row_device(row, &(struct parley_device){4000000000, NASTY, NASTY, 1600000000000, true, true});
    assert_row(row);
    row_presence(row, NASTY, &(struct parley_presence){.last_seen_ms = 1600000000000});
    assert_row(row);
}

static void items_tell_what_became_of_them(void **state)
{
    char text[4000];
    const struct parley_reaction r[] = {{{.login = "carol"}, "👍"}, {{.login = "dave"}, "\033[2J"}};
    struct parley_item m = {.message = {.kind = PARLEY_MESSAGE,
                                        .seq = 3,
                                        .sender_login = "bob",
                                        .peer_login = "",
                                        .text = "hi",
                                        .content_type = "",
                                        .reply_to = 2},
                            .edited = true,
                            .pinned = true,
                            .read_by = 4,
                            .reactions = r,
                            .reactions_n = 2};
    (void)state;
    row_item(text, sizeof text, &m, "", "|");
    assert_non_null(
        strstr(text, "bob: (to #2) hi (changed) (pinned) [👍 carol, \xef\xbf\xbd[2J dave] (read by 4)"));
    json_t *j = row_item_json(&m);
    assert_int_equal(json_array_size(json_object_get(j, "reactions")), 2);
    assert_true(json_is_true(json_object_get(j, "edited")));
    json_decref(j);
    m.recalled = true;
    row_item(text, sizeof text, &m, "", "|");
    assert_non_null(strstr(text, "bob took this back"));
}

static void events_are_words(void **state)
{
    static const struct parley_person two[] = {{.login = "bob"}, {.login = "\033carol"}};
    static const struct {
        struct parley_message m;
        const char *want;
    } cases[] = {
        {{.kind = PARLEY_GROUP_CREATE, .text = "lunch", .people = two, .people_n = 2},
         "ann made the group \"lunch\" with bob and \xef\xbf\xbd"
         "carol"},
        {{.kind = PARLEY_GROUP_INVITE, .people = two, .people_n = 1}, "ann invited bob"},
        {{.kind = PARLEY_GROUP_ROLE, .people = two, .people_n = 1, .role = PARLEY_ROLE_ADMIN},
         "ann made bob an admin"},
        {{.kind = PARLEY_GROUP_SETTINGS, .flags = PARLEY_GROUP_QUIET}, "ann changed the settings: quiet"},
        {{.kind = PARLEY_EDIT, .target = 4, .text = "new"}, "ann changed #4: new"},
        {{.kind = PARLEY_RECALL, .target = 4}, "ann took #4 back"},
        {{.kind = PARLEY_REACT, .target = 4, .text = "+1"}, "ann: +1 to #4"},
        {{.kind = PARLEY_REACT, .target = 4}, "ann took the reaction to #4 back"},
        {{.kind = PARLEY_FRIEND_REQUEST, .text = "hi"}, "ann asks to be friends: hi"},
        {{.kind = PARLEY_ANNOUNCEMENT, .text = "all"}, "ann announces: all"},
    };
    char text[1000];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parley_message m = cases[i].m;
        m.sender_login = "ann";
        m.peer_login = m.content_type = "";
        m.text = m.text ? m.text : "";
        show_event(text, sizeof text, &m, "|");
        assert_string_equal(text, cases[i].want);
    }
}

static void text_wraps(void **state)
{
    static const struct {
        const char *text, *want;
        int at;
    } cases[] = {
        {"one two three four", "one two\n  three\n  four", 2},
        {"abcdefghijklmnop", "abcdefgh\n  ijklmnop", 2},
        {"a\nb", "a\n  b", 2},
        {"漢字漢字漢字", "漢字漢\n  字漢字", 3},
        {"", "", 5},
    };
    char out[200];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        show_wrap(out, sizeof out, cases[i].text, cases[i].at, 2, 10);
        assert_string_equal(out, cases[i].want);
    }
    show_column(out, sizeof out, "漢字漢字", 5);
    assert_string_equal(out, "漢字…");
    show_column(out, sizeof out, "ab", 4);
    assert_string_equal(out, "ab  ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_fit),
        cmocka_unit_test(items_tell_what_became_of_them),
        cmocka_unit_test(events_are_words),
        cmocka_unit_test(text_wraps),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
