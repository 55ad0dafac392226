#include "client/parley/screen.h"

#include "client/parley/show.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_MAX_BYTES 65536

static struct {
    EditLine *el;
    History *hist;
    bool terminal, colour, utf8, editing;
    char prompt[200];
    int cols, rows;
    long row;   /* rows printed so far */
    long reach; /* rows before this one are where nobody knows (the window changed) */
    void (*line)(void *, char *);
    void *ctx;
    char in[LINE_MAX_BYTES]; /* plain input */
    size_t in_n;
} scr;

static char *prompt_of(EditLine *el)
{
    (void)el;
    return scr.prompt;
}

static int width(const char *s, size_t n)
{
    char *text = strndup(s, n);
    int w = text ? show_width(text) : 0;
    free(text);
    return w;
}

static void measure(void)
{
    struct winsize w;
    bool known = !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col > 1 && w.ws_row > 1;
    scr.cols = known ? w.ws_col : 80;
    scr.rows = known ? w.ws_row : 24;
}

static void begin_edit(void)
{
    if (!scr.el || scr.editing)
        return;
    el_set(scr.el, EL_UNBUFFERED, 1); /* shows the prompt */
    scr.editing = true;
}

void screen_look(void)
{
    const char *term = getenv("TERM");
    scr.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    scr.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
    const char *no = getenv("NO_COLOR");
    scr.colour = scr.terminal && !(no && *no);
    measure();
}

int screen_open(void (*line)(void *, char *), void *ctx)
{
    HistEvent ev;
    screen_look();
    scr.line = line;
    scr.ctx = ctx;
    if (!scr.terminal)
        return 0;
    scr.el = el_init("parley", stdin, stdout, stderr);
    scr.hist = history_init();
    if (!scr.el || !scr.hist)
        return -ENOMEM;
    history(scr.hist, &ev, H_SETSIZE, 500);
    el_set(scr.el, EL_PROMPT, prompt_of);
    el_set(scr.el, EL_EDITOR, "emacs");
    el_set(scr.el, EL_HIST, history, scr.hist);
    el_set(scr.el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    begin_edit();
    return 0;
}

void screen_close(void)
{
    if (scr.el) {
        if (scr.editing)
            el_set(scr.el, EL_UNBUFFERED, 0);
        fputs("\r\033[J", stdout);
        fflush(stdout);
        el_end(scr.el);
    }
    if (scr.hist)
        history_end(scr.hist);
    scr.el = NULL;
    scr.hist = NULL;
    scr.editing = false;
}

bool screen_is_terminal(void)
{
    return scr.terminal;
}

bool screen_utf8(void)
{
    return scr.utf8;
}

int screen_columns(void)
{
    return scr.terminal ? scr.cols : 80;
}

const char *screen_typed(void)
{
    static char text[64]; /* its beginning is enough to see what it is */
    const LineInfo *li = scr.editing ? el_line(scr.el) : NULL;
    size_t n = li ? (size_t)(li->lastchar - li->buffer) : 0;
    n = n < sizeof text - 1 ? n : sizeof text - 1;
    if (n)
        memcpy(text, li->buffer, n);
    text[n] = '\0';
    return text;
}

void screen_bell(void)
{
    if (scr.terminal)
        putchar('\a');
}

int screen_fd(void)
{
    return STDIN_FILENO;
}

void screen_resize(void)
{
    measure();
    scr.reach = scr.row;
    if (scr.el)
        el_resize(scr.el);
}

static void typed(const char *buf, int n)
{
    HistEvent ev;
    char *text = strndup(buf, (size_t)n);
    el_set(scr.el, EL_UNBUFFERED, 0);
    scr.editing = false;
    /* What was typed goes away: it comes again as a line of its own. */
    int rows = (show_width(scr.prompt) + width(buf, (size_t)n)) / scr.cols + 1;
    printf("\033[%dA\r\033[J", rows);
    fflush(stdout);
    if (text && n)
        history(scr.hist, &ev, H_ENTER, text);
    if (text)
        scr.line(scr.ctx, text);
    free(text);
    begin_edit();
}

static void edit_input(void)
{
    int n = 0;
    const char *buf = el_gets(scr.el, &n);
    if (!buf || n <= 0) {
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            scr.line(scr.ctx, NULL);
        return;
    }
    if (buf[n - 1] == '\n' || buf[n - 1] == '\r')
        typed(buf, n - 1);
    else if (n == 1 && buf[0] == 4) /* ^D on an empty line */
        scr.line(scr.ctx, NULL);
}

static void plain_input(void)
{
    size_t room =
        scr.in_n < sizeof scr.in - 1 ? sizeof scr.in - 1 - scr.in_n : 0; /* never 0: full lines are taken */
    ssize_t got = read(STDIN_FILENO, scr.in + scr.in_n, room);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        scr.in_n += (size_t)got;
    char *end, *at = scr.in;
    scr.in[scr.in_n] = '\0';
    while ((end = memchr(at, '\n', scr.in_n - (size_t)(at - scr.in)))) {
        *end = '\0';
        scr.line(scr.ctx, at);
        at = end + 1;
    }
    size_t left = scr.in_n - (size_t)(at - scr.in);
    if (left && (got <= 0 || left == sizeof scr.in - 1)) {
        scr.line(scr.ctx, at);
        left = 0;
    }
    memmove(scr.in, at, left);
    scr.in_n = left;
    if (got <= 0)
        scr.line(scr.ctx, NULL);
}

void screen_input(void)
{
    if (scr.el)
        edit_input();
    else
        plain_input();
}

/* Where the cursor is below the first row of the prompt. */
static int cursor_row(void)
{
    const LineInfo *li = el_line(scr.el);
    return (show_width(scr.prompt) + width(li->buffer, (size_t)(li->cursor - li->buffer))) / scr.cols;
}

static void hide(void)
{
    if (!scr.editing)
        return;
    int up = cursor_row();
    if (up)
        printf("\033[%dA", up);
    fputs("\r\033[J", stdout);
}

static void show(void)
{
    fflush(stdout);
    if (scr.editing)
        el_set(scr.el, EL_REFRESH);
}

void screen_prompt(const char *text)
{
    if (!strcmp(scr.prompt, text))
        return;
    hide();
    snprintf(scr.prompt, sizeof scr.prompt, "%s", text);
    show();
}

static const char *code_of(enum screen_colour c)
{
    static const char *const codes[] = {"", "\033[2m", "\033[32m", "\033[31m", "\033[36m", "\033[1m"};
    return scr.colour ? codes[c] : "";
}

static void put_mark(const char *mark, enum screen_colour c)
{
    int w = show_width(mark);
    if (!w)
        c = SCREEN_NONE;
    printf("%s%s%s%*s", code_of(c), mark, scr.colour && c ? "\033[0m" : "",
           w < SCREEN_MARK ? SCREEN_MARK - w : 0, "");
}

long screen_print(const char *mark, enum screen_colour c, const char *head, const char *text)
{
    static char wrapped[4 * LINE_MAX_BYTES];
    long place = scr.row;
    int begin = mark ? SCREEN_MARK : 0, rows = 1;
    hide();
    if (scr.terminal && mark)
        put_mark(mark, c);
    if (scr.terminal) { /* a row is kept free of the last column: there terminals differ */
        int w = begin + show_width(head), cols = scr.cols - 1;
        rows += cols > 0 ? w / scr.cols : 0;
        show_wrap(wrapped, sizeof wrapped, text, w, mark ? SCREEN_MARK : 2, cols > 40 ? cols : 40);
        text = wrapped;
    }
    printf("%s%s%s%s\n", code_of(c), head, scr.colour && c ? "\033[0m" : "", text);
    for (; *text; text++)
        rows += *text == '\n';
    scr.row += rows;
    show();
    return place;
}

void screen_mark(long place, const char *mark, enum screen_colour c)
{
    long up = scr.row - place;
    if (!scr.terminal || place < scr.reach || up + (scr.editing ? cursor_row() : 0) >= scr.rows)
        return;
    hide();
    printf("\033[%ldA\r", up);
    put_mark(mark, c);
    printf("\033[%ldB\r", up);
    show();
}
