/* The configuration file: any bytes are either settings or a report, never a crash. */
#include "common/base/addr.h"
#include "common/base/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct settings {
    const char *listen, *mode;
    int64_t n, ms, size;
    bool on;
    struct conf_list list;
};

static const struct conf_def defs[] = {
    CONF_STR("a.listen", struct settings, listen, "127.0.0.1:1", "Address.", .check = addr_check),
    CONF_STR("a.mode", struct settings, mode, "x", "Mode.", .choices = "x|yy", .flags = CONF_RELOAD),
    CONF_INT("a.n", struct settings, n, "1", -5, 5, "Number."),
    CONF_MS("a.b.ms", struct settings, ms, "1s", 0, 1000000, "Duration."),
    CONF_SIZE("a.b.size", struct settings, size, "1KiB", 0, 1 << 30, "Size."),
    CONF_BOOL("a.b.on", struct settings, on, "false", "Switch."),
    CONF_LIST("b.list", struct settings, list, "p,q", "List.", .flags = CONF_SENSITIVE),
};
static const struct conf_table table = {defs, ARRAY_LEN(defs), 0, NULL};
static const struct conf_spec spec = {&table, 1, sizeof(struct settings), NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32], *said;
    size_t n;
    struct conf *c;
    int fd = memfd_create("conf", MFD_CLOEXEC);
    FILE *say = open_memstream(&said, &n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || !say || write(fd, data, size) != (ssize_t)size)
        abort();
    if (!conf_load(&c, &spec, path, NULL, say)) {
        conf_print(c, say);
        if (conf_reload(c, say)) /* the same file again */
            abort();
        conf_free(c);
    } else if (fflush(say) || n == 0) { /* refused without a word */
        abort();
    }
    fclose(say);
    free(said);
    close(fd);
    return 0;
}
