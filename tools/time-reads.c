// SPDX-License-Identifier: Apache-2.0
/*
 * time-reads FILE MODE: prints the nanoseconds of a read of 512 bytes of the file in a process that
 * has entered the sandbox of a job. MODE: as of -o sandbox.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fs/sandbox/sandbox.h"

enum { READS = 300000, LENGTH = 512 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    int fd = argc == 3 ? open(argv[1], O_RDONLY) : -1;
    int mode = argc == 3 ? sandbox_mode_by_name(argv[2]) : -1, length;
    struct sandbox_filter filters[SANDBOX_KINDS];
    const struct sandbox_process process = {.kind = SANDBOX_JOB, .filters = filters};
    char bytes[LENGTH], line[64];
    struct sandbox_state state;
    double begin;

    sandbox_filter_make(&filters[SANDBOX_JOB], SANDBOX_JOB);
    if (fd < 0 || mode < 0 || sandbox_enter((enum sandbox_mode)mode, &process, &state) < 0)
        return 2;
    begin = now();
    for (unsigned i = 0; i < READS; i++)
        if (pread(fd, bytes, sizeof bytes, 0) != sizeof bytes)
            _exit(1);
    length = snprintf(line, sizeof line, "%.1f\n", (now() - begin) / READS);
    _exit(write(STDOUT_FILENO, line, (size_t)length) != length);
}
