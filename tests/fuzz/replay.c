// SPDX-License-Identifier: Apache-2.0
/* The main() of a fuzz target without libFuzzer: replays the files of the directories in argv. */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* false: the file cannot be read. */
static bool replay(int directory, const char *name)
{
    static uint8_t bytes[1 << 20];
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);

    if (fd >= 0)
        close(fd);
    if (size < 0) {
        perror(name);
        return false;
    }
    printf("%s\n", name);
    fflush(stdout); /* so that the last name is that of an input that crashes */
    LLVMFuzzerTestOneInput(bytes, (size_t)size);
    return true;
}

int main(int argc, char **argv)
{
    unsigned replayed = 0, failed = 0;

    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        struct dirent *entry;

        if (!directory) {
            perror(argv[i]);
            return 1;
        }
        while ((entry = readdir(directory)))
            if (entry->d_name[0] != '.') {
                bool done = replay(dirfd(directory), entry->d_name);

                replayed += done;
                failed += !done;
            }
        closedir(directory);
    }
    printf("%u inputs replayed, %u not read\n", replayed, failed);
    return failed || !replayed;
}
