// SPDX-License-Identifier: Apache-2.0
/*
 * Every fixture: an image (DIR/CASE.img.gz) and what the tree says of it (DIR/CASE.expect). Knows
 * no format. The image is unpacked so that each aligned block of 4 KiB of zeros is a hole. With
 * UPDATE=1 in the environment the expectations are written anew, for review.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "fs/cat.h"

enum { BLOCK = 4096 };

struct fixture {
    char expect_path[512], image_path[512];
    char *comments; /* the lines of the expectation that begin with # */
    char *expected; /* the others */
    struct open_options open;
};

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    assert_non_null(file);
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(file);
    return text;
}

/* Unpacks to a file whose blocks of zeros are holes. */
static void unpack(const char *from, const char *to)
{
    static const char zeros[BLOCK];
    char block[BLOCK];
    gzFile in = gzopen(from, "rb");
    int out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    off_t size = 0;
    int n;

    assert_non_null(in);
    assert_true(out >= 0);
    while ((n = gzread(in, block, BLOCK)) > 0) {
        if (memcmp(block, zeros, (size_t)n) != 0)
            assert_int_equal(pwrite(out, block, (size_t)n, size), n);
        size += n;
    }
    assert_int_equal(n, 0);
    assert_int_equal(ftruncate(out, size), 0);
    gzclose(in);
    close(out);
}

/* Splits the expectation into its comments and the rest; takes the options that a comment names. */
static void load(struct fixture *f)
{
    char *text = read_file(f->expect_path), *line = text;
    const char *options;

    while (*line == '#')
        line = strchr(line, '\n') + 1;
    f->comments = strndup(text, (size_t)(line - text));
    f->expected = strdup(line);
    free(text);
    options = strstr(f->comments, "# options: ");
    if (options) {
        char words[64] = "";

        assert_int_equal(sscanf(options, "# options: %63s", words), 1);
        assert_true(open_options_parse(&f->open, words));
    }
}

/* What the tree says, without that which is not the image's alone: its place on the disk and the
 * run. */
static char *dump(const struct fixture *f)
{
    char *all = NULL, *kept = NULL;
    size_t size = 0;
    struct cat cat;
    FILE *out = open_memstream(&all, &size);

    assert_int_equal(cat_begin(&cat, f->image_path, &f->open), 0);
    assert_int_equal(cat_all(&cat, out), 0);
    cat_end(&cat);
    fclose(out);
    out = open_memstream(&kept, &size);
    for (char *node = all; node && *node;) {
        char *next = strstr(node + 3, "\n== ");
        int length = next ? (int)(next + 1 - node) : (int)strlen(node);

        if (strncmp(node, "== disk_size\n", 13) != 0 && strncmp(node, "== status/", 10) != 0)
            fprintf(out, "%.*s", length, node);
        node = next ? next + 1 : NULL;
    }
    fclose(out);
    free(all);
    return kept;
}

static void write_expectation(const struct fixture *f, const char *found)
{
    FILE *file = fopen(f->expect_path, "we");

    assert_non_null(file);
    fprintf(file, "%s%s", f->comments, found);
    assert_int_equal(fclose(file), 0);
}

/* disk_size and status say what only the run knows. */
static void check_the_run(const struct fixture *f)
{
    struct cat cat;
    const struct text *text;
    struct stat st;

    assert_int_equal(cat_begin(&cat, f->image_path, &f->open), 0);
    assert_int_equal(stat(f->image_path, &st), 0);
    assert_int_equal(cat_node(&cat, node_by_path("disk_size"), &text), 0);
    assert_int_equal(strtoull(text->bytes, NULL, 10), st.st_blocks * 512);
    cat_end(&cat);
}

static void test_fixture(void **state)
{
    const char *expect_path = *state;
    struct fixture f = {.comments = NULL};
    size_t stem = strlen(expect_path) - strlen(".expect");
    char packed[512], *found;

    snprintf(f.expect_path, sizeof f.expect_path, "%s", expect_path);
    snprintf(f.image_path, sizeof f.image_path, "%s/instar-fixture-%d.img",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
    snprintf(packed, sizeof packed, "%.*s.img.gz", (int)stem, expect_path);
    load(&f);
    unpack(packed, f.image_path);
    found = dump(&f);
    check_the_run(&f);
    unlink(f.image_path);
    if (getenv("UPDATE"))
        write_expectation(&f, found);
    else
        assert_string_equal(found, f.expected);
    free(found);
    free(f.comments);
    free(f.expected);
}

int main(void)
{
    struct CMUnitTest *tests;
    glob_t found;
    int failed;

    if (glob("fixtures/*/*.expect", 0, NULL, &found) != 0 || found.gl_pathc < 50) {
        fprintf(stderr, "no fixtures: run this at the top of the tree\n");
        return 1;
    }
    tests = calloc(found.gl_pathc, sizeof *tests);
    for (size_t i = 0; tests && i < found.gl_pathc; i++)
        tests[i] = (struct CMUnitTest){.name = found.gl_pathv[i],
                                       .test_func = test_fixture,
                                       .initial_state = found.gl_pathv[i]};
    nodes_begin();
    failed = _cmocka_run_group_tests("fixtures", tests, found.gl_pathc, NULL, NULL);
    free(tests);
    globfree(&found);
    return failed;
}
