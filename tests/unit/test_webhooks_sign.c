#include "webhooks/sign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "webhooks/post.h"

#define FIRST  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SECOND "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

/* The example of the specification. */
static void the_example_of_the_standard(void **state)
{
    (void)state;
    struct sign s;
    struct bytes b = {0};
    static const char body[] = "{\"test\": 2432232314}";
    char why[100];
    assert_int_equal(sign_read(&s, FIRST "\n", why, sizeof why), 0);
    sign_write(&s, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, (struct slice){body, sizeof body - 1}, &b);
    assert_string_equal((char *)b.p, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    bytes_release(&b);
}

static void two_secrets_are_two_signatures(void **state)
{
    (void)state;
    struct sign s;
    struct bytes b = {0};
    char why[100];
    assert_int_equal(sign_read(&s, SECOND "\r\n\n" FIRST, why, sizeof why), 0);
    assert_int_equal(s.n, 2);
    sign_write(&s, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, (struct slice){"{\"test\": 2432232314}", 20},
               &b);
    assert_memory_equal(b.p, "v1,", 3);
    assert_non_null(strstr((char *)b.p, " v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    bytes_release(&b);
    sign_wipe(&s);
    assert_int_equal(s.n, 0);
}

static void what_is_no_secret_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "\n",
                                      "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                      "whsec_",
                                      "whsec_c2hvcnQ=",
                                      "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
                                      FIRST "\n" SECOND "\n" FIRST,
                                      FIRST "\nnonsense"};
    struct sign s = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char why[100] = "";
        assert_int_equal(sign_read(&s, bad[i], why, sizeof why), -EINVAL);
        assert_true(why[0]);
        assert_int_equal(s.n, 0);
    }
    char why[100] = "";
    assert_int_equal(sign_load(&s, "/nowhere/at/all", why, sizeof why), -ENOENT);
}

static bool is_public(const char *address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return post_address_public((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return post_address_public((struct sockaddr *)&v6);
}

static void addresses_that_are_not_public(void **state)
{
    (void)state;
    static const char *const closed[] = {
        "0.0.0.0",     "10.1.2.3",        "100.64.0.1",      "100.127.255.255",
        "127.0.0.1",   "169.254.169.254", "172.16.0.1",      "172.31.255.255",
        "192.0.2.1",   "192.168.0.1",     "198.18.0.1",      "198.51.100.7",
        "203.0.113.9", "224.0.0.1",       "255.255.255.255", "::",
        "::1",         "fe80::1",         "fc00::1",         "fd12::1",
        "ff02::1",     "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:db8::1", "2001::1"};
    static const char *const open[] = {"1.1.1.1",    "9.255.255.255",  "11.0.0.1",         "100.128.0.1",
                                       "172.32.0.1", "192.169.0.1",    "223.255.255.255",  "2606:4700::1111",
                                       "2a00::1",    "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        if (is_public(closed[i]))
            fail_msg("%s", closed[i]);
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (!is_public(open[i]))
            fail_msg("%s", open[i]);
    assert_false(post_address_public(&(struct sockaddr){.sa_family = AF_UNIX}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_standard),
        cmocka_unit_test(two_secrets_are_two_signatures),
        cmocka_unit_test(what_is_no_secret_is_refused),
        cmocka_unit_test(addresses_that_are_not_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
