#include "common/im/ids.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void logins(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } t[] = {
        {"anna", "anna"},
        {"Anna.B-c_9", "anna.b-c_9"},
        {"a", NULL},
        {"", NULL},
        {".anna", NULL},
        {"anna.", NULL},
        {"an na", NULL},
        {"anna\t", NULL},
        {"anna@x", NULL},
        {"a/b", NULL},
        {"j\xc3\xb6rg", "j\xc3\xb6rg"},
        {"j\xf6rg", NULL},
        {"\xed\xa0\x80", NULL},
        {"a\x7f", NULL},
        {"--", "--"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char out[LOGIN_MAX + 1] = "before";
        int rc = login_normalise(t[i].in, strlen(t[i].in), out);
        assert_int_equal(rc, t[i].out ? 0 : -EINVAL);
        assert_string_equal(out, t[i].out ? t[i].out : "before");
    }
    char in[LOGIN_MAX + 2], out[LOGIN_MAX + 1];
    memset(in, 'x', sizeof in);
    assert_int_equal(login_normalise(in, LOGIN_MAX, out), 0);
    assert_int_equal(strlen(out), LOGIN_MAX);
    assert_int_equal(login_normalise(in, LOGIN_MAX + 1, out), -EINVAL);
    assert_int_equal(login_normalise("a\0b", 3, out), -EINVAL);
}

/* From Python: hashlib.blake2b(data, digest_size=16, key=b"parley.user") and so on. Never to change. */
static void golden(void **state)
{
    (void)state;
    char hex[ID_HEX];
    struct id16 a = id_user("anna"), b = id_user("bert");
    assert_string_equal(id_hex(a, hex), "1733267b1bb34cac88312124a9b3302e");
    assert_string_equal(id_hex(id_direct(a, b), hex), "6e5149a2bac6dfc43fb5870544330283");
    assert_string_equal(id_hex(id_message(a, 3, 258), hex), "ac908e7070e2d8852b3fd6a9f882b221");
}

static void relations(void **state)
{
    (void)state;
    struct id16 a = id_user("anna"), b = id_user("bert"), c;
    assert_true(id_eq(id_direct(a, b), id_direct(b, a)));
    assert_false(id_eq(id_direct(a, b), id_direct(a, a)));
    assert_false(id_eq(id_message(a, 1, 2), id_message(a, 2, 1)));
    assert_int_equal(id_from(a.b, 16, &c), 0);
    assert_true(id_eq(a, c));
    assert_int_equal(id_from(a.b, 15, &c), -EINVAL);
    assert_int_equal(id_from(a.b, 17, &c), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logins),
        cmocka_unit_test(golden),
        cmocka_unit_test(relations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
