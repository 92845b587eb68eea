// SPDX-License-Identifier: Apache-2.0
/*
 * Damages an image in every way, and reads every file of its tree each time:
 *
 *     torture [-o OPTIONS] [-d FILE] [-e] [-m KIB] IMAGE truncate|flip|repaired|random [FROM TO]
 *     torture [-o OPTIONS] [-d FILE] IMAGE KIND count | make N
 *
 * FILE, by default the image itself, is damaged in place and restored at the end; `make` leaves
 * case N. `count` prints the number of cases. Cases run in child processes, so that one that
 * crashes is reported with its number. Memory above KIB is too large. -e also runs truncations
 * within zeros, whose results must be alike. Prints a line for each of these, and one of sums; the
 * exit status is 1 if there are any of the first four:
 *
 *     crash N SIGNAL   stall N   large N KIB   wrong N MESSAGE   answers N: no former case had them
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"
#include "formats/checked.h"
#include "fs/tree/nodes.h"
#include "tree.h"

#ifdef __SANITIZE_ADDRESS__
enum { STALL_SECONDS = 5, LARGE_KIB = 1 << 30 };
#else
enum { STALL_SECONDS = 1, LARGE_KIB = 64 << 10 };
#endif

enum {
    BATCH = 1024,      /* cases per child */
    WAIT_SECONDS = 60, /* a case may take this long, however little processor time it uses */
    RUN = 8 * SECTOR,  /* zeros, within which not every length is run */
    ANSWERS_MAX = 1 << 16,
    MMAP_THRESHOLD =
        128 << 10, /* glibc's initial one: unused parts of large blocks take no memory */
};

enum state { CASE_NOT_REACHED, CASE_NONE, CASE_ALIKE, CASE_RUN };

/* The result of a case. */
struct record {
    enum state state;
    uint32_t micros; /* of the processor */
    uint64_t digest, answers;
    long memory_kib;
    char wrong[160];
};

/* Shared with the child. */
static struct shared {
    uint64_t current;
    struct record records[BATCH];
} * shared;

static struct sums {
    uint64_t run, alike, none, crashes, stalls, wrong, large;
    uint64_t slowest, largest; /* cases */
    uint32_t micros;
    long memory_kib;
} sums;

static struct seed seed;
static const char *image_path, *options = "";
static long large_kib = LARGE_KIB;
static bool is_every_length;
static enum case_kind kind;
static uint64_t known[ANSWERS_MAX]; /* digests of answers of former cases */
static size_t known_count;

static uint32_t micros_of_processor(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint32_t)(t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

/* Reads the tree of the damaged file. */
static void run_case(struct record *record)
{
    const struct itimerval limit = {.it_value = {.tv_sec = STALL_SECONDS}};
    uint32_t begin = micros_of_processor();
    struct rusage usage;
    struct tree tree;

    setitimer(ITIMER_PROF, &limit, NULL);
    alarm(WAIT_SECONDS);
    tree_read(image_path, options, &tree);
    getrusage(RUSAGE_SELF, &usage);
    *record = (struct record){
        CASE_RUN, micros_of_processor() - begin, tree.digest, tree.answers, usage.ru_maxrss, ""};
    snprintf(record->wrong, sizeof record->wrong, "%.159s", tree.wrong);
}

static void require(bool good)
{
    if (good)
        return;
    perror("torture: the damaged file");
    abort();
}

/*
 * Truncations to lengths [from, to), all within zeros and strictly between two multiples of a
 * sector. Bytes past the end read as zeros, and formats round the size to sectors or more: if the
 * results of the first and the last length are alike, so are those between.
 */
static void truncate_in_zeros(uint64_t from, uint64_t to, struct record *records, int fd)
{
    struct record *last = &records[to - from - 1];

    shared->current = from;
    require(truncation_grow(&seed, from ? from - 1 : 0, from, fd));
    run_case(records);
    shared->current = to - 1;
    require(truncation_grow(&seed, from, to - 1, fd));
    run_case(last);
    for (struct record *r = records + 1; r < last; r++) {
        bool is_alike = records->digest == last->digest;

        if (is_alike && !is_every_length) {
            *r = (struct record){.state = CASE_ALIKE};
            continue;
        }
        shared->current = from + (uint64_t)(r - records);
        require(ftruncate(fd, (off_t)shared->current) == 0);
        run_case(r);
        if (is_alike && r->digest != last->digest)
            snprintf(r->wrong, sizeof r->wrong, "is not like %" PRIu64, from);
    }
    require(ftruncate(fd, (off_t)to - 1) == 0);
}

/* Whether truncate_in_zeros() applies to the lengths from n on. */
static bool is_in_run(uint64_t n, uint64_t to)
{
    return n % SECTOR == 1 && n > RUN && n + SECTOR - 2 < to &&
           seed_is_zero(&seed, n - RUN, n + SECTOR - 1);
}

/* Truncations to lengths [from, to), the shortest first. */
static void truncate_all(uint64_t from, uint64_t to, int fd)
{
    uint64_t step = 1;

    require(seed_write(&seed, from, fd));
    for (uint64_t n = from; n < to; n += step) {
        step = is_in_run(n, to) ? SECTOR - 1 : 1;
        if (step > 1) {
            truncate_in_zeros(n, n + step, &shared->records[n - from], fd);
            continue;
        }
        shared->current = n;
        require(truncation_grow(&seed, n ? n - 1 : 0, n, fd));
        run_case(&shared->records[n - from]);
    }
}

static void flip_all(uint64_t from, uint64_t to, int fd)
{
    struct damage damage;

    require(seed_write(&seed, seed.size, fd));
    for (uint64_t n = from; n < to; n++) {
        struct record *record = &shared->records[n - from];

        shared->current = n;
        if (!case_make(&seed, kind, n, &damage)) {
            *record = (struct record){.state = CASE_NONE};
            continue;
        }
        require(damage_write(&seed, &damage, fd));
        run_case(record);
        case_undo(&seed, &damage);
        require(damage_write(&seed, &damage, fd));
    }
}

/* Runs cases in a child. Returns its status, as of wait(2). */
static int run_child(uint64_t from, uint64_t to, int fd)
{
    int status;
    pid_t child;

    fflush(stdout);
    memset(shared, 0, sizeof *shared);
    shared->current = from;
    child = fork();
    require(child >= 0);
    if (child == 0) {
        if (kind == CASE_TRUNCATE)
            truncate_all(from, to, fd);
        else
            flip_all(from, to, fd);
        exit(0); /* runs LeakSanitizer */
    }
    require(waitpid(child, &status, 0) == child);
    return status;
}

static bool is_new(uint64_t answers)
{
    for (size_t i = 0; i < known_count; i++)
        if (known[i] == answers)
            return false;
    if (known_count == ANSWERS_MAX)
        return false;
    known[known_count++] = answers;
    return true;
}

static void count_run(uint64_t n, const struct record *r)
{
    sums.run++;
    if (r->micros > sums.micros) {
        sums.micros = r->micros;
        sums.slowest = n;
    }
    if (r->memory_kib > sums.memory_kib) {
        sums.memory_kib = r->memory_kib;
        sums.largest = n;
        if (r->memory_kib > large_kib) {
            sums.large++;
            printf("large %" PRIu64 " %ld\n", n, r->memory_kib);
        }
    }
    if (*r->wrong) {
        sums.wrong++;
        printf("wrong %" PRIu64 " %s\n", n, r->wrong);
    }
    if (is_new(r->answers))
        printf("answers %" PRIu64 "\n", n);
}

static void count_all(uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n < to; n++) {
        const struct record *r = &shared->records[n - from];

        if (r->state == CASE_RUN)
            count_run(n, r);
        sums.alike += r->state == CASE_ALIKE;
        sums.none += r->state == CASE_NONE;
    }
}

/* Counts and prints the case that ended a child. */
static void count_end(int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (signal == SIGPROF || signal == SIGALRM) {
        sums.stalls++;
        printf("stall %" PRIu64 "\n", shared->current);
    } else {
        sums.crashes++;
        printf("crash %" PRIu64 " %d\n", shared->current, signal);
    }
}

static void run(uint64_t from, uint64_t to, int fd)
{
    while (from < to) {
        uint64_t end = to - from < BATCH ? to : from + BATCH;
        int status = run_child(from, end, fd);

        count_all(from, end);
        from = end;
        if (status) {
            count_end(status);
            from = shared->current + 1;
        }
    }
    require(seed_write(&seed, seed.size, fd));
    printf("sums run %" PRIu64 " alike %" PRIu64 " none %" PRIu64 " crashes %" PRIu64
           " stalls %" PRIu64 " wrong %" PRIu64 " large %" PRIu64 " micros %" PRIu32
           " slowest %" PRIu64 " memory_kib %ld largest %" PRIu64 "\n",
           sums.run, sums.alike, sums.none, sums.crashes, sums.stalls, sums.wrong, sums.large,
           sums.micros, sums.slowest, sums.memory_kib, sums.largest);
}

/* Damages the file as in case n, and leaves it so. false: there is no such case. */
static bool make(uint64_t n, int fd)
{
    struct damage damage;

    if (n >= cases_count(&seed, kind) || !case_make(&seed, kind, n, &damage))
        return false;
    require(seed_write(&seed, damage.size, fd));
    return true;
}

/* Finds the metadata of the file; of a file that the image references everything is metadata. */
static void find_metadata(void)
{
    uint8_t *guest = calloc(seed.size + 1, 1);
    bool found = guest && strcmp(seed.path, image_path) == 0 &&
                 tree_find_guest(image_path, options, guest, seed.size);

    seed_find_metadata(&seed, found ? guest : NULL);
    free(guest);
}

static bool take_kind(const char *word)
{
    static const char *const words[CASE_KINDS] = {"truncate", "flip", "repaired", "random"};

    for (kind = 0; kind < CASE_KINDS && strcmp(word, words[kind]) != 0;)
        kind++;
    return kind < CASE_KINDS;
}

static bool take_option(int option, const char **damaged)
{
    if (option == 'o')
        options = optarg;
    else if (option == 'd')
        *damaged = optarg;
    else if (option == 'm')
        large_kib = strtol(optarg, NULL, 10);
    else if (option == 'e')
        is_every_length = true;
    return option != '?';
}

static int usage(void)
{
    fputs("usage: torture [-o OPTIONS] [-d FILE] [-e] [-m KIB] IMAGE KIND [FROM TO | count | make "
          "N]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *damaged = NULL;
    uint64_t count, from = 0, to = UINT64_MAX;
    int option, fd;

    while ((option = getopt(argc, argv, "o:d:em:")) != -1)
        if (!take_option(option, &damaged))
            return usage();
    argc -= optind;
    argv += optind;
    if (argc < 2 || argc > 4 || !take_kind(argv[1]))
        return usage();
    nodes_begin();
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    image_path = argv[0];
    require(seed_load(&seed, damaged ? damaged : image_path));
    fd = open(seed.path, O_RDWR | O_CLOEXEC);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(fd >= 0 && shared != MAP_FAILED);
    find_metadata();
    if (argc == 4 && strcmp(argv[2], "make") == 0)
        return !make(strtoull(argv[3], NULL, 10), fd);
    count = cases_count(&seed, kind);
    if (argc == 3)
        return printf("%" PRIu64 "\n", count) < 0;
    if (argc == 4) {
        from = strtoull(argv[2], NULL, 10);
        to = strtoull(argv[3], NULL, 10);
    }
    run(from, min_u64(to, count), fd);
    seed_end(&seed);
    close(fd);
    return sums.crashes || sums.stalls || sums.wrong || sums.large;
}
