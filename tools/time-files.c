// SPDX-License-Identifier: Apache-2.0
/*
 * time-files DIR FILE SECONDS: prints how often per second a file can be statted; opened, read and
 * closed; and its directory be listed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool look(const char *directory, const char *file)
{
    struct stat st;

    (void)directory;
    return stat(file, &st) == 0;
}

static bool read_file(const char *directory, const char *file)
{
    char bytes[4096];
    int fd = open(file, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);

    (void)directory;
    if (fd >= 0)
        close(fd);
    return n > 0;
}

static bool list(const char *directory, const char *file)
{
    DIR *d = opendir(directory);
    unsigned entries = 0;

    (void)file;
    while (d && readdir(d))
        entries++;
    if (d)
        closedir(d);
    return entries > 2;
}

int main(int argc, char **argv)
{
    static bool (*const actions[])(const char *, const char *) = {look, read_file, list};
    double seconds = argc == 4 ? atof(argv[3]) : 0;

    if (seconds <= 0) {
        fputs("usage: time-files DIR FILE SECONDS\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        double begin = now(), end = begin;
        unsigned long done = 0;

        for (; end - begin < seconds; end = now())
            for (unsigned k = 0; k < 100; k++, done++)
                if (!actions[i](argv[1], argv[2])) {
                    perror(argv[2]);
                    return 1;
                }
        printf("%.0f\n", (double)done / (end - begin));
    }
    return 0;
}
