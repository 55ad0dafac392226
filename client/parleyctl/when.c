#include "client/parleyctl/when.h"

#include "client/parleyctl/ctl.h"
#include "common/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int64_t unit_ms(const char *unit)
{
    return !strcmp(unit, "s")   ? 1000
           : !strcmp(unit, "m") ? 60000
           : !strcmp(unit, "h") ? 3600000
           : !strcmp(unit, "d") ? 86400000
                                : 0;
}

int when_parse(const char *text, int64_t *ms)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end != text && !errno && n >= 0 && (!*end || unit_ms(end))) {
        *ms = *end ? clock_wall_ms() - n * unit_ms(end) : n;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct tm tm = {0};
        const char *rest = strptime(text, forms[i], &tm);
        if (rest && i == 0 && *rest == '.') /* fractions are left out */
            rest += 1 + strspn(rest + 1, "0123456789");
        if (rest && (!*rest || !strcmp(rest, "Z"))) {
            *ms = (int64_t)timegm(&tm) * 1000;
            return 0;
        }
    }
    return -EINVAL;
}

int when_option(const char *text, const char *option, int64_t *ms)
{
    if (when_parse(text, ms) == 0)
        return 0;
    ctl_complain("%s needs a time like 2026-05-01T12:00:00Z or 2h (ago), not \"%s\"", option, text);
    return CTL_USAGE;
}

void when_text(int64_t ms, char out[32])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 32 - n, ".%03dZ", (int)(ms % 1000));
}

void when_span(int64_t ms, char out[24])
{
    double s = (double)ms / 1000;
    if (s < 100)
        snprintf(out, 24, "%.1f s", s);
    else if (s < 6000)
        snprintf(out, 24, "%.0f min", s / 60);
    else if (s < 172800)
        snprintf(out, 24, "%.1f h", s / 3600);
    else
        snprintf(out, 24, "%.1f d", s / 86400);
}
