#include "common/im/endpoint.h"

#include "common/base/bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ONE "{\"name\": \"crm\", \"url\": \"https://a.example/x\", \"secret_file\": \"s\""

static void all_of_it(void **state)
{
    (void)state;
    struct endpoints all;
    char why[200] = "", group[ENDPOINT_GROUP_MAX];
    const struct conf_json conf = {
        "[" ONE ", \"events\": [\"message\", \"group_join\"], \"conversations\": "
        "[\"000102030405060708090a0b0c0d0e0f\"]}, {\"name\": \"b-2\", \"url\": \"http://b\", "
        "\"secret_file\": \"/etc/s\"}]",
        "/conf"};
    assert_int_equal(endpoints_read(&all, &conf, why, sizeof why), 0);
    assert_int_equal(all.n, 2);
    const struct endpoint *crm = endpoints_find(&all, "crm"), *b = endpoints_find(&all, "b-2");
    assert_non_null(crm);
    assert_null(endpoints_find(&all, "c"));
    assert_string_equal(crm->secret_file, "/conf/s");
    assert_string_equal(b->secret_file, "/etc/s");
    const struct id16 conv = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}, other = {{1}};
    assert_true(endpoint_wants(crm, IM__CONV_KIND__CONV_MESSAGE, conv));
    assert_true(endpoint_wants(crm, IM__CONV_KIND__CONV_GROUP_JOIN, conv));
    assert_false(endpoint_wants(crm, IM__CONV_KIND__CONV_EDIT, conv));
    assert_false(endpoint_wants(crm, IM__CONV_KIND__CONV_MESSAGE, other));
    assert_true(endpoint_wants(b, IM__CONV_KIND__CONV_EDIT, other));
    assert_false(endpoint_wants(b, 64, other));
    assert_string_equal(endpoint_group("t.parley-webhooks", "crm", 3, group), "t.parley-webhooks.crm.3");
    endpoints_release(&all);
    assert_int_equal(endpoints_read(&all, &(struct conf_json){NULL, NULL}, why, sizeof why), 0);
    assert_int_equal(all.n, 0);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } bad[] = {
        {"{}", "a list"},
        {"[3]", "an object"},
        {"[{\"url\": \"https://x\"}]", "a name"},
        {"[{\"name\": \"a b\", \"url\": \"https://x\"}]", "a name"},
        {"[{\"name\": \"a\", \"url\": \"ftp://x\", \"secret_file\": \"s\"}]", "https://"},
        {"[{\"name\": \"a\", \"url\": \"https://x y\", \"secret_file\": \"s\"}]", "blanks"},
        {"[{\"name\": \"a\", \"url\": \"https://x\"}]", "secret_file"},
        {"[" ONE ", \"events\": \"message\"}]", "events as a list"},
        {"[" ONE ", \"events\": [\"none\"]}]", "events such as"},
        {"[" ONE ", \"events\": [\"nonsense\"]}]", "events such as"},
        {"[" ONE ", \"conversations\": [\"12\"]}]", "32 hexadecimal"},
        {"[" ONE ", \"filter\": 1}]", "no \"filter\""},
        {"[" ONE "}, " ONE "}]", "in entry 2 a name that no other has"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char why[200] = "";
        assert_int_equal(endpoints_check(bad[i].json, why, sizeof why), -EINVAL);
        if (!strstr(why, bad[i].says))
            fail_msg("%s: %s", bad[i].json, why);
    }
    struct bytes many = {0};
    char why[200];
    for (int i = 0; i <= ENDPOINTS_MAX; i++)
        bytes_str(&many, i ? ",{}" : "[{}");
    bytes_str(&many, "]");
    assert_int_equal(endpoints_check((char *)many.p, why, sizeof why), -EINVAL);
    bytes_release(&many);
}

/* Every event has a name, which is no other's; numbers fit the set. */
static void every_kind_has_a_name(void **state)
{
    (void)state;
    char name[40];
    assert_string_equal(endpoint_event(IM__CONV_KIND__CONV_FRIEND_REQUEST, name), "friend_request");
    assert_null(endpoint_event(19, name));
    for (unsigned i = 0; i < im__conv_kind__descriptor.n_values; i++)
        assert_in_range(im__conv_kind__descriptor.values[i].value, 0, 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(every_kind_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
