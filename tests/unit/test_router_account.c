#include "router/account.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct account *sample(void)
{
    struct account *a = account_new(id_user("anna"));
    a->exists = true;
    snprintf(a->login, sizeof a->login, "anna");
    a->registered_part = 1;
    a->registered_at = 77;
    a->generation = 3;
    a->revoked_at = 99;
    a->kept_login = 98;
    a->admin = true;
    a->seen_ms = 1234567;
    account_set_verifier(a, slice_of("sealed", 6));
    account_add_key(a, slice_of((uint8_t[BODY_KEY_SEALED]){1, 2, 3}, BODY_KEY_SEALED), 80);
    account_add_key(a, slice_of((uint8_t[BODY_KEY_SEALED]){4}, BODY_KEY_SEALED), 90);
    struct account_device *d = account_add_device(a, 4, "four", "phone", 80);
    d->on = true;
    d->session = (struct session){a->user, 4, 2, 1000, 5, 81};
    d->has_stale = true;
    d->stale = (struct session){a->user, 4, 1, 900, 6, 80};
    account_add_device(a, 2, "two", "", 70);
    return a;
}

static void a_row_comes_back_as_it_was(void **state)
{
    struct account *a = sample(), *b = account_new(a->user);
    struct bytes row = {0}, again = {0};
    (void)state;
    account_pack(a, &row);
    assert_int_equal(account_unpack(b, bytes_slice(&row)), 0);
    assert_int_equal(b->next_device, 5);
    assert_int_equal(b->devices[0].number, 2); /* ascending */
    assert_int_equal(b->devices[1].session.login_offset, 81);
    assert_true(session_eq(&b->devices[1].stale, &a->devices[1].stale));
    assert_true(b->admin);
    assert_int_equal(b->seen_ms, 1234567);
    assert_int_equal(b->kept_login, 98);
    assert_int_equal(b->n_keys, 2);
    assert_int_equal(b->keys[1].since, 90);
    account_pack(b, &again);
    assert_int_equal(row.n, again.n);
    assert_memory_equal(row.p, again.p, row.n);
    account_free(a);
    account_free(b);
    bytes_release(&row);
    bytes_release(&again);
}

static void a_row_that_is_cut_or_newer_is_refused(void **state)
{
    struct account *a = sample();
    struct bytes row = {0};
    (void)state;
    account_pack(a, &row);
    for (size_t n = 0; n < row.n; n++) {
        struct account *b = account_new(a->user);
        assert_int_equal(account_unpack(b, slice_of(row.p, n)), -EBADMSG);
        account_free(b);
    }
    row.p[0] = 4;
    struct account *b = account_new(a->user);
    assert_int_equal(account_unpack(b, bytes_slice(&row)), -ENOTSUP);
    account_free(b);
    account_free(a);
    bytes_release(&row);
}

/* As versions 1 and 2 wrote it: without its end. */
static void a_row_of_an_earlier_version_is_read(void **state)
{
    struct account *a = sample(), *b = account_new(a->user);
    struct bytes row = {0};
    (void)state;
    account_pack(a, &row);
    size_t added = 2 + a->n_keys * (8 + BODY_KEY_SEALED);
    row.p[0] = 2;
    struct account *second = account_new(a->user);
    assert_int_equal(account_unpack(second, slice_of(row.p, row.n - added)), 0);
    assert_true(second->admin && !second->erased && second->n_keys == 0);
    account_free(second);
    row.p[0] = 1;
    assert_int_equal(account_unpack(b, slice_of(row.p, row.n - added - 17)), 0);
    assert_int_equal(b->n_devices, 2);
    assert_int_equal(b->revoked_at, 99);
    assert_int_equal(b->kept_login, 0);
    assert_false(b->admin);
    assert_int_equal(b->seen_ms, 0);
    account_free(a);
    account_free(b);
    bytes_release(&row);
}

static void devices_are_found_and_dropped(void **state)
{
    struct account *a = sample();
    (void)state;
    assert_int_equal(account_device_by_id(a, "two")->number, 2);
    assert_null(account_device_by_id(a, "three"));
    assert_int_equal(account_device_at(a, &a->devices[1].session)->number, 4);
    assert_null(account_device_at(a, &a->devices[1].stale));
    assert_ptr_equal(account_add_device(a, 2, "other", "", 1), &a->devices[0]);
    account_drop_device(a, 2);
    account_drop_device(a, 2);
    assert_int_equal(a->n_devices, 1);
    assert_int_equal(a->next_device, 5);
    account_free(a);
    account_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_comes_back_as_it_was),
        cmocka_unit_test(a_row_that_is_cut_or_newer_is_refused),
        cmocka_unit_test(a_row_of_an_earlier_version_is_read),
        cmocka_unit_test(devices_are_found_and_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
