#include "client/parley/settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_SIZE 512

void complain(const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fputs("parley: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void settings_init(struct settings *s)
{
    const char *server = getenv("PARLEY_SERVER"), *user = getenv("PARLEY_USER"),
               *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME"), *device = getenv("PARLEY_DEVICE");
    *s = (struct settings){.timeout_ms = TIMEOUT_DEFAULT, .device = device && *device ? device : "terminal"};
    snprintf(s->servers, sizeof s->servers, "%s", server && *server ? server : "127.0.0.1:7000");
    snprintf(s->user, sizeof s->user, "%s", user ? user : "");
    if (state && *state == '/')
        snprintf(s->dir, sizeof s->dir, "%s/parley", state);
    else
        snprintf(s->dir, sizeof s->dir, "%s/.local/state/parley", home && *home ? home : ".");
}

/* All folders of the path, for nobody else. */
static int make_dirs(const char *path)
{
    char part[4096];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i])
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) && errno != EEXIST)
            return -errno;
        part[i] = path[i];
    }
    return 0;
}

/* A name as part of a file name. */
static void plain_name(char *out, size_t n, const char *name)
{
    size_t used = 0;
    for (; *name && used + 4 < n; name++) {
        unsigned char c = (unsigned char)*name;
        if (isalnum(c) || c == '-' || c == '_' || (c == '.' && used))
            out[used++] = (char)tolower(c);
        else
            used += (size_t)snprintf(out + used, n - used, "%%%02x", c);
    }
    out[used] = '\0';
}

static void last_user(struct settings *s)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/user", s->dir);
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (!fgets(s->user, sizeof s->user, f))
        s->user[0] = '\0';
    s->user[strcspn(s->user, "\n")] = '\0';
    fclose(f);
}

int settings_finish(struct settings *s)
{
    char user[400], device[400];
    if (!s->user[0])
        last_user(s);
    if (s->no_state || !s->user[0])
        return 0;
    int rc = make_dirs(s->dir);
    if (rc) {
        complain("cannot make the folder %s: %s (--no-state does without it)", s->dir, strerror(-rc));
        return EXIT_TROUBLE;
    }
    plain_name(user, sizeof user, s->user);
    plain_name(device, sizeof device, s->device);
    snprintf(s->state_file, sizeof s->state_file, "%s/%s@%s", s->dir, user, device);
    return 0;
}

void settings_remember(const struct settings *s, const char *user)
{
    char path[4096];
    if (s->no_state || !*user)
        return;
    snprintf(path, sizeof path, "%s/user", s->dir);
    FILE *f = fopen(path, "we");
    if (!f)
        return;
    fprintf(f, "%s\n", user);
    fclose(f);
}

static bool read_line(int fd, char *out, size_t size)
{
    size_t n = 0;
    char c;
    ssize_t got = 0;
    while (n + 1 < size && (got = read(fd, &c, 1)) == 1 && c != '\n')
        out[n++] = c;
    if (n && out[n - 1] == '\r')
        n--;
    out[n] = '\0';
    return got >= 0 && n > 0;
}

/* From the terminal itself, so that text may come through stdin. */
static bool ask(const char *prompt, char *out)
{
    struct termios old, quiet;
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || tcgetattr(fd, &old)) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    quiet.c_lflag |= ECHONL;
    tcsetattr(fd, TCSAFLUSH, &quiet);
    bool ok = write(fd, prompt, strlen(prompt)) >= 0 && read_line(fd, out, PASSWORD_SIZE);
    tcsetattr(fd, TCSAFLUSH, &old);
    close(fd);
    return ok;
}

static bool from_file(const char *path, char *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && read_line(fd, out, PASSWORD_SIZE);
    if (!ok)
        complain("cannot read a password from %s: %s", path, fd < 0 ? strerror(errno) : "it is empty");
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool from_terminal(const char *user, bool fresh, bool quietly, char *out)
{
    char prompt[200], again[PASSWORD_SIZE];
    snprintf(prompt, sizeof prompt, "Password for %s: ", user);
    if (!ask(prompt, out)) {
        if (!quietly)
            complain(
                "no password: there is no terminal to ask on; set PARLEY_PASSWORD or use --password-file");
        return false;
    }
    if (!fresh)
        return true;
    bool same = ask("The same again: ", again) && !strcmp(out, again);
    explicit_bzero(again, sizeof again);
    if (!same)
        complain("the two are not the same");
    return same;
}

char *password_get(const struct settings *s, const char *user, bool fresh, bool quietly)
{
    const char *env = getenv("PARLEY_PASSWORD");
    char *out = calloc(1, PASSWORD_SIZE);
    bool ok = false;
    if (!out)
        return NULL;
    if (s->password_file) {
        ok = from_file(s->password_file, out);
    } else if (env && *env) {
        ok = strlen(env) < PASSWORD_SIZE;
        if (ok)
            memcpy(out, env, strlen(env) + 1);
        else
            complain("PARLEY_PASSWORD is too long");
    } else {
        ok = from_terminal(user, fresh, quietly, out);
    }
    if (ok)
        return out;
    password_free(out);
    return NULL;
}

void password_free(char *p)
{
    if (p)
        explicit_bzero(p, PASSWORD_SIZE);
    free(p);
}
