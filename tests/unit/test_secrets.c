#include "common/im/secrets.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct secrets *secrets;
static struct id16 anna;

static int setup(void **state)
{
    (void)state;
    uint8_t key[32];
    for (uint8_t i = 0; i < 32; i++)
        key[i] = (uint8_t)(i * 37 + 5);
    secrets = secrets_from_key(key, 0);
    anna = id_user("anna");
    return secrets ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    secrets_free(secrets);
    secrets_free(NULL);
    return 0;
}

static void seals(void **state)
{
    (void)state;
    uint8_t sealed[64 + SECRET_SEAL_EXTRA], again[sizeof sealed], plain[64];
    struct slice text = {"verifier", 8};
    int n = secret_seal(secrets, anna, text, sealed, sizeof sealed);
    assert_int_equal(n, 8 + SECRET_SEAL_EXTRA);
    assert_int_equal(secret_seal(secrets, anna, text, again, sizeof again), n);
    assert_memory_not_equal(sealed, again, (size_t)n); /* a new nonce each time */
    assert_int_equal(secret_seal(secrets, anna, text, again, (size_t)n - 1), -ENOSPC);
    struct slice s = {sealed, (size_t)n};
    assert_int_equal(secret_open(secrets, anna, s, plain, sizeof plain), 8);
    assert_memory_equal(plain, "verifier", 8);
    assert_int_equal(secret_open(secrets, id_user("bert"), s, plain, sizeof plain), -EBADMSG);
    assert_int_equal(secret_open(secrets, anna, s, plain, 7), -ENOSPC);
    for (int i = 0; i < n; i++) {
        sealed[i] ^= 1;
        int rc = secret_open(secrets, anna, s, plain, sizeof plain);
        assert_true(i < 5 ? rc == -ENOTSUP || rc == -EBADMSG : rc == -EBADMSG);
        sealed[i] ^= 1;
    }
    for (size_t k = 0; k < (size_t)n; k++)
        assert_true(secret_open(secrets, anna, (struct slice){sealed, k}, plain, sizeof plain) < 0);
    uint8_t other_key[32] = {9};
    struct secrets *other = secrets_from_key(other_key, 0);
    assert_int_equal(secret_open(other, anna, s, plain, sizeof plain), -ENOTSUP);
    secrets_free(other);
    other = secrets_from_key(other_key, secrets_key_id(secrets));
    assert_int_equal(secret_open(other, anna, s, plain, sizeof plain), -EBADMSG);
    secrets_free(other);
}

static void tokens(void **state)
{
    (void)state;
    struct token t = {
        .user = anna, .device = 3, .generation = 4, .issued_s = 1000, .expires_s = 2000, .login = "anna"};
    struct token out = {.device = 77};
    char text[TOKEN_TEXT_MAX];
    int n = token_sign(secrets, &t, text, sizeof text);
    assert_true(n > 0 && text[n] == '\0');
    assert_int_equal(token_check(secrets, text, (size_t)n, 1999, &out), 0);
    assert_true(id_eq(out.user, anna) && out.device == 3 && out.generation == 4);
    assert_int_equal(out.issued_s, 1000);
    assert_string_equal(out.login, "anna");
    assert_int_equal(token_check(secrets, text, (size_t)n, 2000, &out), -ETIME);
    for (int i = 0; i < n; i++) {
        char saved = text[i];
        text[i] = saved == 'A' ? 'B' : 'A';
        assert_int_equal(token_check(secrets, text, (size_t)n, 1999, &out), -EACCES);
        text[i] = saved;
        assert_int_equal(token_check(secrets, text, (size_t)i, 1999, &out), -EACCES);
    }
    assert_int_equal(token_check(secrets, ".", 1, 0, &out), -EACCES);
    assert_int_equal(token_sign(secrets, &t, text, 100), -ENOSPC);
    memset(t.login, 'x', LOGIN_MAX);
    n = token_sign(secrets, &t, text, sizeof text);
    assert_true(n > 0);
    assert_int_equal(token_check(secrets, text, (size_t)n, 1, &out), 0);
    uint8_t key[32] = {9};
    struct secrets *other = secrets_from_key(key, 0);
    assert_int_equal(token_check(other, text, (size_t)n, 1, &out), -EACCES);
    secrets_free(other);
}

static void passwords(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    assert_int_equal(password_hash("correct horse", 13, hash), 0);
    assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_int_equal(password_verify(hash, "correct horse", 13), 0);
    assert_int_equal(password_verify(hash, "correct hors", 12), -EACCES);
    assert_int_equal(password_verify(hash, "", 0), -EACCES);
    assert_int_equal(password_verify(NULL, "correct horse", 13), -EACCES);
    assert_int_equal(password_verify("garbage", "x", 1), -EACCES);
}

static void key_file(const char *content, mode_t mode, bool loopback, bool good)
{
    char path[] = "/tmp/masterXXXXXX", err[256] = "";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    fchmod(fd, mode);
    close(fd);
    struct secrets *s = secrets_load(path, loopback, err, sizeof err);
    unlink(path);
    assert_int_equal(s != NULL, good);
    assert_true(good || strstr(err, path));
    assert_true(strlen(content) < 32 || !strstr(err, content)); /* never shows the key */
    secrets_free(s);
}

#define HEX  "8f5fcd1ee2a3a4b7c9d0e1f20314253647586970a1b2c3d4e5f60718293a4b5c"

#define HEX2 "9f5fcd1ee2a3a4b7c9d0e1f20314253647586970a1b2c3d4e5f60718293a4b5c"

/* systemd's credentials are readable by an access list, which shows as the group's permission; nowhere else is that right. */
static void handed_over(void **state)
{
    (void)state;
    key_file(HEX "\n", 0440, false, false);
    setenv("CREDENTIALS_DIRECTORY", "/tmp", 1);
    key_file(HEX "\n", 0440, false, true);
    key_file(HEX "\n", 0400, false, true);
    key_file(HEX "\n", 0444, false, false);
    key_file(HEX "\n", 0460, false, false);
    setenv("CREDENTIALS_DIRECTORY", "/tm", 1);
    key_file(HEX "\n", 0440, false, false);
    unsetenv("CREDENTIALS_DIRECTORY");
}

static struct secrets *ring(const char *content)
{
    char path[] = "/tmp/masterXXXXXX", err[256];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
    struct secrets *s = secrets_load(path, false, err, sizeof err);
    unlink(path);
    assert_non_null(s);
    return s;
}

/* Each key opens and checks; the last or the marked one seals and signs. */
static void rings(void **state)
{
    (void)state;
    struct secrets *old = ring("1 " HEX "\n"), *both = ring("1 " HEX "\n2 " HEX2 "\n"),
                   *ahead = ring("* 1 " HEX "\n2 " HEX2 "\n");
    struct id16 user = id_user("anna");
    struct token t = {.user = user, .expires_s = 100, .login = "anna"}, out;
    uint8_t sealed[64], plain[64];
    char text[TOKEN_TEXT_MAX];
    assert_int_equal(secrets_key_id(old), 1);
    assert_int_equal(secrets_key_id(both), 2);
    assert_int_equal(secrets_key_id(ahead), 1);
    assert_true(secrets_has(both, 1) && secrets_has(ahead, 2) && !secrets_has(old, 2));
    int n = secret_seal(old, user, (struct slice){"abc", 3}, sealed, sizeof sealed);
    assert_int_equal(secret_sealed_by((struct slice){sealed, (size_t)n}), 1);
    assert_int_equal(secret_open(both, user, (struct slice){sealed, (size_t)n}, plain, sizeof plain), 3);
    n = secret_seal(both, user, (struct slice){"abc", 3}, sealed, sizeof sealed);
    assert_int_equal(secret_sealed_by((struct slice){sealed, (size_t)n}), 2);
    assert_int_equal(secret_open(ahead, user, (struct slice){sealed, (size_t)n}, plain, sizeof plain), 3);
    assert_int_equal(secret_open(old, user, (struct slice){sealed, (size_t)n}, plain, sizeof plain),
                     -ENOTSUP);
    n = token_sign(old, &t, text, sizeof text);
    assert_int_equal(token_check(both, text, (size_t)n, 1, &out), 0);
    n = token_sign(both, &t, text, sizeof text);
    assert_int_equal(token_check(ahead, text, (size_t)n, 1, &out), 0);
    assert_int_equal(token_check(old, text, (size_t)n, 1, &out), -EACCES);
    secrets_free(old);
    secrets_free(both);
    secrets_free(ahead);
}

static void key_files(void **state)
{
    (void)state;
    key_file(HEX, 0600, false, true);
    key_file(HEX "\n", 0400, false, true);
    key_file(HEX "\n", 0640, false, false);
    key_file(HEX "\n", 0604, true, false);
    key_file(HEX "0\n", 0600, false, false);
    key_file("8f5f\n", 0600, false, false);
    key_file("", 0600, false, false);
    key_file("zz" HEX, 0600, false, false);
    key_file(SECRET_DEMO_KEY, 0600, true, true);
    key_file(SECRET_DEMO_KEY, 0600, false, false);
    key_file("0000000000000000000000000000000000000000000000000000000000000000", 0600, false, false);
    key_file("# rings\n\n" HEX "\n* 7 " HEX2 "\n", 0600, false, true);
    key_file(HEX "\n" HEX "\n", 0600, false, false); /* one number twice */
    key_file("* " HEX "\n* " HEX2 "\n", 0600, false, false);
    key_file("7x " HEX "\n", 0600, false, false);
    key_file(HEX "\n" SECRET_DEMO_KEY "\n", 0600, false, false);
    key_file("#\n", 0600, false, false);
    char err[256];
    assert_null(secrets_load("/nonexistent", true, err, sizeof err));
    assert_non_null(strstr(err, "parleyctl init"));
    assert_null(secrets_load("/dev/null", true, err, sizeof err));
}

static void makes_a_key(void **state)
{
    (void)state;
    char dir[] = "/tmp/masterXXXXXX", path[64], err[256];
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
    assert_int_equal(secrets_create(path), 0);
    assert_int_equal(secrets_create(path), -EEXIST);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct secrets *a = secrets_load(path, false, err, sizeof err),
                   *b = secrets_load(path, false, err, sizeof err);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(secrets_key_id(a), secrets_key_id(b));
    secrets_free(a);
    secrets_free(b);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handed_over), cmocka_unit_test(rings),     cmocka_unit_test(seals),
        cmocka_unit_test(tokens),      cmocka_unit_test(passwords), cmocka_unit_test(key_files),
        cmocka_unit_test(makes_a_key),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
