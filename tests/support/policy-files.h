/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of files for tests of which files may be opened: made once, removed at the end. */
#ifndef TESTS_SUPPORT_POLICY_FILES_H
#define TESTS_SUPPORT_POLICY_FILES_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

static char top[] = "/tmp/test_policy-XXXXXX";

/* Returns a path in the tree, valid for the next eight calls. */
static inline const char *in_top(const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, PATH_MAX, "%s%s%s", top, *name ? "/" : "", name);
    return path;
}

static inline void make_file(const char *name, const char *text)
{
    FILE *file = fopen(in_top(name), "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static inline void make_directory(const char *name)
{
    assert_int_equal(mkdir(in_top(name), 0755), 0);
}

static inline void make_link(const char *name, const char *target)
{
    assert_int_equal(symlink(target, in_top(name)), 0);
}

static inline void make_top(void)
{
    memcpy(top + sizeof top - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(top));
    assert_int_equal(chmod(top, 0755), 0);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void remove_top(void)
{
    nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
