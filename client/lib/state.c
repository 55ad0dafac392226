#include "client/lib/state.h"

#include "client/lib/parley.h"
#include "common/base/bytes.h"
#include "common/base/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD     "parley-state 2"
#define HEAD_1   "parley-state 1" /* wrote down what waited in another way */
#define FILE_MAX (64 << 20)
#define OWN_MAX  4096 /* places in a row; more are not worth remembering */

int state_set(char **field, const char *value)
{
    char *copy = strdup(value ? value : "");
    if (!copy)
        return -ENOMEM;
    if (*field)
        explicit_bzero(*field, strlen(*field));
    free(*field);
    *field = copy;
    return 0;
}

void state_release(struct state *s)
{
    char *fields[] = {s->login, s->device_id, s->token};
    for (size_t i = 0; i < 3; i++) {
        if (fields[i])
            explicit_bzero(fields[i], strlen(fields[i]));
        free(fields[i]);
    }
    if (s->lock >= 0)
        close(s->lock);
    free(s->path);
    *s = (struct state){.lock = -1};
}

static void put_hex(struct bytes *b, const void *p, size_t n)
{
    char *room = n ? bytes_room(b, 2 * n) : NULL;
    if (!n)
        bytes_str(b, "-");
    else if (room)
        hex_encode(room, p, n); /* its NUL falls on the one that bytes keeps */
}

static void put_cursor(void *arg, const struct inbox_cursor *c, bool own)
{
    struct bytes *b = arg;
    bytes_str(b, own ? "own " : "have ");
    put_hex(b, c->conv.b, ID_SIZE);
    bytes_printf(b, " %" PRIu64 " %" PRIu64 "\n", c->from, c->upto);
}

static void put_send(struct bytes *b, const struct out *e)
{
    bytes_printf(b, "out %" PRIu64 " %" PRIu64 " %u %u ", e->id, e->client_seq, e->o.frame, e->o.kind);
    put_hex(b, e->o.to, strlen(e->o.to));
    bytes_str(b, " ");
    put_hex(b, e->o.body, e->o.body_n);
    bytes_str(b, "\n");
}

static int write_file(const char *path, const struct bytes *b)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd < 0 || fchmod(fd, 0600) ? -errno : 0;
    for (size_t done = 0; !rc && done < b->n;) {
        ssize_t n = write(fd, b->p + done, b->n - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            rc = -errno;
    }
    if (!rc && fsync(fd)) /* else the name may point to nothing after a power cut */
        rc = -errno;
    if (fd >= 0 && close(fd) && !rc)
        rc = -errno;
    return rc;
}

int state_save(const struct state *s, const struct inbox *in, const struct outbox *box)
{
    struct bytes b = {0};
    char tmp[4096];
    if (!s->path)
        return 0;
    if ((size_t)snprintf(tmp, sizeof tmp, "%s.new", s->path) >= sizeof tmp)
        return -ENAMETOOLONG;
    bytes_str(&b, HEAD "\nlogin ");
    put_hex(&b, s->login, strlen(s->login));
    bytes_str(&b, "\ndevice ");
    put_hex(&b, s->device_id, strlen(s->device_id));
    bytes_str(&b, "\ntoken ");
    put_hex(&b, s->token, strlen(s->token));
    bytes_printf(&b, "\nlast %" PRIu64 " %" PRIu64 "\n", box->last_seq, box->last_id);
    inbox_each(in, put_cursor, &b);
    for (const struct out *e = box->head; e; e = e->next)
        put_send(&b, e);
    bytes_str(&b, "end\n");
    int rc = bytes_ok(&b) ? write_file(tmp, &b) : -ENOMEM;
    if (!rc && rename(tmp, s->path))
        rc = -errno;
    if (b.p)
        explicit_bzero(b.p, b.n);
    bytes_release(&b);
    return rc;
}

/* The next word of the line; "" at its end. */
static char *word(char **line)
{
    char *w = *line ? strsep(line, " ") : NULL;
    static char none[1]; /* never written: unhex() refuses it */
    return w ? w : none;
}

/* Decodes in place (hex is longer than what it says) and ends it with a NUL. */
static int unhex(char *w, size_t *n)
{
    size_t len = strlen(w);
    *n = 0;
    if (!strcmp(w, "-")) {
        w[0] = '\0';
        return 0;
    }
    if (len == 0 || len % 2)
        return -EBADMSG;
    for (size_t i = 0; i < len / 2; i++) {
        int hi = hex_digit(w[2 * i]), lo = hex_digit(w[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return -EBADMSG;
        w[i] = (char)(hi << 4 | lo);
    }
    w[len / 2] = '\0';
    *n = len / 2;
    return 0;
}

static int number(const char *w, uint64_t *out)
{
    char *end;
    if (*w < '0' || *w > '9')
        return -EBADMSG;
    errno = 0;
    *out = strtoull(w, &end, 10);
    return errno || *end ? -EBADMSG : 0;
}

static int read_field(char **field, char *line)
{
    size_t n;
    char *w = word(&line);
    int rc = unhex(w, &n);
    return rc ? rc : state_set(field, w);
}

static int read_have(char *line, struct inbox *in, bool own)
{
    struct inbox_cursor c;
    char *id = word(&line);
    if (hex_decode(c.conv.b, ID_SIZE, id) || number(word(&line), &c.from) || number(word(&line), &c.upto))
        return -EBADMSG;
    if (!own)
        return inbox_have(in, c.conv, c.from, c.upto, true);
    int rc = 0;
    for (uint64_t n = c.from; !rc && n <= c.upto && n - c.from < OWN_MAX; n++)
        rc = inbox_own(in, c.conv, n, 0);
    return rc;
}

static int read_send(char *line, struct outbox *box)
{
    uint64_t id, seq, frame, kind;
    size_t to_n, body_n;
    if (number(word(&line), &id) || number(word(&line), &seq) || number(word(&line), &frame) ||
        number(word(&line), &kind) || id == 0 || frame > UINT16_MAX || kind > UINT16_MAX)
        return -EBADMSG;
    char *to = word(&line), *body = word(&line);
    if (unhex(to, &to_n) || unhex(body, &body_n))
        return -EBADMSG;
    struct outgoing o = {
        .frame = (uint16_t)frame, .kind = (uint16_t)kind, .to = to, .body = body, .body_n = body_n};
    return outbox_add(box, &o, id, seq) ? 0 : -ENOMEM;
}

static int read_line(struct state *s, char *line, struct inbox *in, struct outbox *box)
{
    char *what = word(&line);
    if (!strcmp(what, "login"))
        return read_field(&s->login, line);
    if (!strcmp(what, "device"))
        return read_field(&s->device_id, line);
    if (!strcmp(what, "token"))
        return read_field(&s->token, line);
    if (!strcmp(what, "last"))
        return number(word(&line), &box->last_seq) || number(word(&line), &box->last_id) ? -EBADMSG : 0;
    if (!strcmp(what, "have"))
        return read_have(line, in, false);
    if (!strcmp(what, "own"))
        return read_have(line, in, true);
    if (!strcmp(what, "out"))
        return read_send(line, box);
    return -EBADMSG;
}

/* 0; -ENOENT: no file. The text is the caller's to free. */
static int read_file(const char *path, char **text)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fstat(fd, &st) ? -errno : !S_ISREG(st.st_mode) || st.st_size > FILE_MAX ? -EBADMSG : 0;
    *text = rc ? NULL : malloc((size_t)st.st_size + 1);
    if (!rc && !*text)
        rc = -ENOMEM;
    size_t done = 0;
    while (!rc && done < (size_t)st.st_size) {
        ssize_t n = read(fd, *text + done, (size_t)st.st_size - done);
        if (n <= 0)
            rc = n ? -errno : -EBADMSG;
        else
            done += (size_t)n;
    }
    if (!rc)
        (*text)[done] = '\0';
    close(fd);
    return rc;
}

static int lock_file(struct state *s)
{
    char name[4096];
    if ((size_t)snprintf(name, sizeof name, "%s.lock", s->path) >= sizeof name)
        return -ENAMETOOLONG;
    s->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return -errno;
    if (flock(s->lock, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    return 0;
}

int state_open(struct state *s, const char *path, struct inbox *in, struct outbox *box)
{
    char *text = NULL;
    *s = (struct state){.lock = -1};
    if (state_set(&s->login, "") || state_set(&s->device_id, "") || state_set(&s->token, ""))
        return -ENOMEM;
    if (!path)
        return 0;
    s->path = strdup(path);
    if (!s->path)
        return -ENOMEM;
    int rc = lock_file(s);
    if (rc)
        return rc;
    rc = read_file(path, &text);
    size_t n = text && !rc ? strlen(text) : 0;
    if (rc == -ENOENT ||
        (!rc && (n < 5 || strcmp(text + n - 5, "\nend\n")))) { /* none, or torn by a power cut */
        free(text);
        return 0;
    }
    char *rest = text, *line;
    const char *head = rc ? "" : strsep(&rest, "\n");
    if (!rc && strcmp(head, HEAD) != 0 && strcmp(head, HEAD_1) != 0)
        rc = -EBADMSG;
    while (!rc && (line = strsep(&rest, "\n")) && strcmp(line, "end"))
        rc = read_line(s, line, in, box);
    free(text);
    return rc;
}
