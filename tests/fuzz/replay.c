/* A main for fuzz targets where libFuzzer is not: runs the target on the files of its corpus and on mutants of them.
 *
 *   fuzz_X              tests/fuzz/corpus/X/, then RUNS mutants (default 20,000) from SEED (default 1), for
 *                       SECONDS (default 10) at most
 *   fuzz_X FILE…        only these files: replays a crash
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INPUT_CAP 65536
#define MAX_FILES 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t *p;
    size_t n;
};

static uint64_t rng;

static uint64_t next_random(void) /* xorshift64* */
{
    rng ^= rng >> 12;
    rng ^= rng << 25;
    rng ^= rng >> 27;
    return rng * UINT64_C(2685821657736338717);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);
    return s && *s ? strtoull(s, NULL, 10) : otherwise;
}

/* An exact copy on the heap, so that a sanitizer sees a read past the end. */
static void run(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, p, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static int read_file(const char *path, struct input *in)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    in->p = malloc(INPUT_CAP);
    in->n = in->p ? fread(in->p, 1, INPUT_CAP, f) : 0;
    fclose(f);
    return in->p ? 0 : -1;
}

static size_t read_corpus(const char *program, struct input *in)
{
    const char *base = strrchr(program, '/');
    const char *name = strstr(base ? base : program, "fuzz_");
    char path[1024];
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name ? name + 5 : "");
    DIR *d = opendir(path);
    size_t n = 0;
    for (struct dirent *e; d && n < MAX_FILES && (e = readdir(d));) {
        char file[2048];
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && read_file(file, &in[n]) == 0)
            n++;
    }
    if (d)
        closedir(d);
    return n;
}

static size_t mutate(uint8_t *p, size_t n)
{
    static const uint8_t nasty[] = {0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x1a};
    for (uint64_t k = next_random() % 8 + 1; k; k--) {
        size_t at = n ? next_random() % n : 0;
        switch (next_random() % 6) {
        case 0:
            if (n)
                p[at] ^= (uint8_t)(1u << (next_random() % 8));
            break;
        case 1:
            if (n)
                p[at] = nasty[next_random() % sizeof nasty];
            break;
        case 2: /* cut */
            n = at;
            break;
        case 3: /* grow by random bytes */
            for (uint64_t more = next_random() % 16; more && n < INPUT_CAP; more--)
                p[n++] = (uint8_t)next_random();
            break;
        case 4: /* a part again, at the end */
            for (size_t i = at, end = n; i < end && n < INPUT_CAP; i++)
                p[n++] = p[i];
            break;
        default:
            if (n)
                p[at] = (uint8_t)next_random();
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    static struct input in[MAX_FILES];
    static uint8_t buf[INPUT_CAP];
    for (int i = 1; i < argc; i++) {
        struct input one;
        if (read_file(argv[i], &one)) {
            perror(argv[i]);
            return 2;
        }
        run(one.p, one.n);
        free(one.p);
    }
    if (argc > 1)
        return 0;
    size_t files = read_corpus(argv[0], in);
    for (size_t i = 0; i < files; i++)
        run(in[i].p, in[i].n);
    uint64_t runs = setting("RUNS", 20000), seed = setting("SEED", 1), k;
    time_t end = time(NULL) + (time_t)setting("SECONDS", 10);
    for (k = 0; k < runs && time(NULL) < end; k++) {
        rng = (seed + k) * UINT64_C(0x9e3779b97f4a7c15) | 1;
        size_t n = 0;
        if (files) {
            const struct input *from = &in[next_random() % files];
            memcpy(buf, from->p, from->n);
            n = from->n;
        }
        n = mutate(buf, n);
        run(buf, n);
    }
    printf("%zu files, %llu mutants from seed %llu\n", files, (unsigned long long)k,
           (unsigned long long)seed);
    for (size_t i = 0; i < files; i++)
        free(in[i].p);
    return 0;
}
