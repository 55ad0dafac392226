#include "common/base/log.h"
#include "common/base/log_line.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int file;

static void log_to_file(enum log_format format, enum log_level level)
{
    log_flush_all();
    if (file)
        close(file);
    char name[] = "/tmp/parley-test-log-XXXXXX";
    file = mkstemp(name);
    unlink(name);
    log_setup(&(struct log_options){.process = "test", .level = level, .format = format, .fd = file});
}

static char *written(void) /* the caller frees */
{
    off_t n = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)n + 1);
    assert_int_equal(pread(file, text, (size_t)n, 0), n);
    return text;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

static size_t line(char out[LOG_LINE], enum log_format format, bool colour, const struct log_field *f,
                   size_t n)
{
    struct log_options how = {.process = "edge", .format = format, .colour = colour};
    size_t len =
        log_line_format(out, &(struct log_line){&how, 1000000000123, LOG_WARNINGS, "it \"broke\"", 0, f, n});
    assert_true(len < LOG_LINE);
    assert_int_equal(out[len - 1], '\n');
    out[len - 1] = '\0';
    return len - 1;
}

static void text_lines(void **state)
{
    (void)state;
    char out[LOG_LINE];
    const struct log_field f[] = {
        log_int("n", -3),           log_uint("big", UINT64_MAX),
        log_bool("yes", true),      log_str("plain", "a/b:c"),
        log_str("none", NULL),      log_str("spaced", "a b\n\033[31m"),
        log_str("empty", ""),       log_text("cut", "\xff\xc3\xa9z", 4),
        log_hex("id", "\1\xab", 2), log_err(-ECONNREFUSED),
    };
    line(out, LOG_TEXT, false, f, sizeof f / sizeof *f);
    assert_string_equal(
        out, "2001-09-09T01:46:40.123Z warn  edge: it \\\"broke\\\" n=-3 big=18446744073709551615 yes=true "
             "plain=a/b:c spaced=\"a b\\n\\x1b[31m\" empty=\"\" cut=\"\\xff\xc3\xa9z\" id=01ab "
             "error=\"Connection refused\"");
    line(out, LOG_TEXT, true, NULL, 0);
    assert_string_equal(out, "2001-09-09T01:46:40.123Z \033[33mwarn \033[0m edge: it \\\"broke\\\"");
}

static void json_lines(void **state)
{
    (void)state;
    char out[LOG_LINE];
    const struct log_field f[] = {log_int("n", -3), log_str("s", "a\"\n\x01\xff\xc2\x85z"),
                                  log_hex("id", "\1\xab", 2), log_bool("no", false)};
    size_t n = line(out, LOG_JSON, true, f, 4);
    json_t *j = json_loadb(out, n, 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "time")), "2001-09-09T01:46:40.123Z");
    assert_string_equal(json_string_value(json_object_get(j, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(j, "process")), "edge");
    assert_string_equal(json_string_value(json_object_get(j, "msg")), "it \"broke\"");
    assert_int_equal(json_integer_value(json_object_get(j, "n")), -3);
    assert_string_equal(json_string_value(json_object_get(j, "s")), "a\"\n\x01\xef\xbf\xbd\xc2\x85z");
    assert_string_equal(json_string_value(json_object_get(j, "id")), "01ab");
    assert_true(json_is_false(json_object_get(j, "no")));
    json_decref(j);
}

static void long_lines_stay_valid(void **state)
{
    (void)state;
    char out[LOG_LINE], value[3000];
    memset(value, '\x01', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    const struct log_field f[] = {log_str("a", value), log_int("n", 5), log_str("b", value)};
    size_t n = line(out, LOG_JSON, false, f, 3);
    json_t *j = json_loadb(out, n, 0, NULL);
    assert_non_null(j);
    assert_true(json_is_true(json_object_get(j, "truncated")));
    json_decref(j);
    memset(value, 'x', sizeof value - 1);
    line(out, LOG_TEXT, false, f, 2);
    assert_non_null(strstr(out, "xx\xe2\x80\xa6\" n=5"));
}

static void levels(void **state)
{
    (void)state;
    enum log_level level;
    log_to_file(LOG_TEXT, LOG_WARNINGS);
    log_debug("no");
    log_info("no", log_int("x", 1));
    log_warn("yes");
    log_set_level(LOG_NOTHING);
    log_error("no");
    assert_int_equal(log_parse_level("debug", &level), 0);
    log_set_level(level);
    log_debug("yes", log_int("x", 1));
    assert_int_equal(log_parse_level("loud", &level), -EINVAL);
    char *text = written();
    assert_int_equal(count(text, "yes"), 2);
    assert_int_equal(count(text, "\n"), 2);
    assert_int_equal(count(text, "no"), 0);
    free(text);
}

static void repeats_are_counted(void **state)
{
    (void)state;
    log_to_file(LOG_TEXT, LOG_INFORMATION);
    for (int i = 0; i < LOG_BURST + 8; i++)
        log_info("same", log_int("i", i));
    log_info("other");
    log_flush(); /* their time is not over */
    char *text = written();
    assert_int_equal(count(text, "same"), LOG_BURST);
    assert_int_equal(count(text, "other"), 1);
    free(text);
    log_flush_all();
    log_flush_all();
    text = written();
    assert_int_equal(count(text, "same (repeated 8 times)"), 1);
    free(text);
}

static void *chatter(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        log_info("from a thread", log_int("i", i));
    return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
    (void)state;
    pthread_t t[4];
    log_to_file(LOG_JSON, LOG_INFORMATION);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, chatter, NULL), 0);
    log_flush_all();
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    log_flush_all();
    char *text = written(), *rest;
    int64_t lines = 0;
    for (char *l = strtok_r(text, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest)) {
        json_t *j = json_loads(l, 0, NULL);
        assert_non_null(j);
        json_t *repeated = json_object_get(j, "repeated");
        lines += repeated ? json_integer_value(repeated) : 1;
        json_decref(j);
    }
    assert_int_equal(lines, 800); /* written or counted, none forgotten */
    free(text);
}

static void colour_is_asked_for(void **state)
{
    (void)state;
    assert_false(log_want_colour(file)); /* not a terminal */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(long_lines_stay_valid),
        cmocka_unit_test(levels),
        cmocka_unit_test(repeats_are_counted),
        cmocka_unit_test(threads_do_not_mix_lines),
        cmocka_unit_test(colour_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
