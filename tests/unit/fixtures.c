// SPDX-License-Identifier: Apache-2.0
/*
 * fixtures [NAME...]: compares the tree of each image in fixtures/ with its expectation. A case is
 * FOLDER/CASE.img.gz, or FOLDER/CASE.tar.gz with all its files, and FOLDER/CASE.expect. A name is a
 * FOLDER, or FOLDER/CASE with or without wildcards; none is all of them. UPDATE=1 in the
 * environment writes the expectations instead, for review.
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

#include "fs/tree/cat.h"

enum { BLOCK = 4096, REFERENCES_SHOWN = 12 };

struct fixture {
    char expect_path[512], directory[256], image_path[512];
    char *comments; /* the lines of the expectation that begin with # */
    char *expected; /* the others */
    char options[256];
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

/* Each aligned block of zeros becomes a hole: holes of the file count in some formats. */
static void write_sparse(gzFile in, const char *to)
{
    static const char zeros[BLOCK];
    char block[BLOCK];
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

/* STEM.img.gz is the image; STEM.tar.gz has all files of a case, and the image is called image. */
static void unpack(const struct fixture *f)
{
    size_t stem = strlen(f->expect_path) - strlen(".expect");
    char packed[512], command[2048];
    glob_t found;

    snprintf(packed, sizeof packed, "%.*s.img.gz", (int)stem, f->expect_path);
    if (access(packed, R_OK) == 0) {
        write_sparse(gzopen(packed, "rb"), f->image_path);
        return;
    }
    snprintf(command, sizeof command, "tar -xzf %.*s.tar.gz -C %s", (int)stem, f->expect_path,
             f->directory);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/*", f->directory);
    assert_int_equal(glob(command, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct stat st;
        int fd;

        assert_int_equal(stat(found.gl_pathv[i], &st), 0);
        snprintf(command, sizeof command, "%s.packed", found.gl_pathv[i]);
        assert_int_equal(rename(found.gl_pathv[i], command), 0);
        write_sparse(gzopen(command, "rb"), found.gl_pathv[i]);
        unlink(command);
        /* A differencing VHD records its parent's modification time. */
        fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
        assert_int_equal(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}), 0);
        close(fd);
    }
    globfree(&found);
}

static void begin_directory(struct fixture *f)
{
    snprintf(f->directory, sizeof f->directory, "%s/instar-fixture-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->image_path, sizeof f->image_path, "%s/image", f->directory);
}

static void end_directory(const struct fixture *f)
{
    char command[512];

    snprintf(command, sizeof command, "rm -r %s", f->directory);
    assert_int_equal(system(command), 0);
}

static void load(struct fixture *f)
{
    char *text = read_file(f->expect_path), *line = text;
    const char *option_line;

    while (*line == '#')
        line = strchr(line, '\n') + 1;
    f->comments = strndup(text, (size_t)(line - text));
    f->expected = strdup(line);
    free(text);
    option_line = strstr(f->comments, "# options: ");
    if (option_line)
        assert_int_equal(sscanf(option_line, "# options: %255s", f->options), 1);
}

/* Options are parsed in the directory of the case: their paths are relative to it. */
static void begin_cat(const struct fixture *f, struct cat *cat)
{
    struct image_options options = {.open = {.format = NULL}};
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct reason why;

    assert_int_equal(chdir(f->directory), 0);
    assert_int_equal(image_options_take_list(&options, f->options, &why), 1);
    assert_int_equal(cat_begin(cat, f->image_path, &options), 0);
    assert_int_equal(fchdir(here), 0);
    close(here);
}

/* Expectations omit nodes that depend on the host and the run, references beyond the first few, and
 * all conversions but one, which other tests cover. */
static bool is_left_out(const char *node)
{
    static const char resolved[] = "/resolved\n";
    const char *end = strchr(node, '\n') + 1;
    unsigned number;
    int layer = 0;

    node += strlen("== ");
    if (sscanf(node, "layers/%u/%n", &number, &layer) == 1)
        node += layer;
    if (sscanf(node, "references/%u/", &number) == 1 && number >= REFERENCES_SHOWN)
        return true;
    if (strncmp(node, "convert_size/", 13) == 0 && strncmp(node, "convert_size/qcow2\n", 19) != 0)
        return true;
    return strncmp(node, "status/", 7) == 0 || strncmp(node, "disk_size\n", 10) == 0 ||
           (end - node >= (ptrdiff_t)sizeof resolved &&
            memcmp(end - (sizeof resolved - 1), resolved, sizeof resolved - 1) == 0);
}

/* The newline before the next node's "== "; NULL if this node is the last one. Not strstr(), which
 * under AddressSanitizer measures the whole rest of the text in each call. */
static char *end_of_node(char *node)
{
    char *end = strchr(node, '\n');

    while (end && strncmp(end + 1, "== ", 3) != 0)
        end = strchr(end + 1, '\n');
    return end;
}

/* The text of all nodes that expectations contain. */
static char *dump(const struct fixture *f)
{
    char *all = NULL, *kept = NULL;
    size_t size = 0;
    static struct cat cat;
    FILE *out = open_memstream(&all, &size);

    begin_cat(f, &cat);
    assert_int_equal(cat_all(&cat, out), 0);
    cat_end(&cat);
    fclose(out);
    out = open_memstream(&kept, &size);
    for (char *node = all; node && *node;) {
        char *next = end_of_node(node + 3);
        int length = next ? (int)(next + 1 - node) : (int)strlen(node);

        if (!is_left_out(node))
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

/* With its newline, if it has one. */
static size_t line_length(const char *line)
{
    size_t length = strcspn(line, "\n");

    return line[length] ? length + 1 : length;
}

/* The first line that differs is the message: whole texts are too long to be read. */
static void compare(const char *expected, const char *found)
{
    const char *node = "";
    int node_length = 0;

    while (*expected || *found) {
        size_t length = line_length(expected);

        if (line_length(found) != length || memcmp(expected, found, length) != 0)
            fail_msg("%.*s: expected \"%.*s\", found \"%.*s\"", node_length, node,
                     (int)strcspn(expected, "\n"), expected, (int)strcspn(found, "\n"), found);
        if (strncmp(expected, "== ", 3) == 0) {
            node = expected + 3;
            node_length = (int)strcspn(node, "\n");
        }
        expected += length;
        found += length;
    }
}

/* disk_size depends on the host and is not in the expectation. */
static void check_disk_size(const struct fixture *f)
{
    const struct place disk_size = {.node = node_by_path("disk_size")};
    const struct result *result;
    static struct cat cat;
    char bytes[32] = "";
    struct stat st;

    begin_cat(f, &cat);
    assert_int_equal(stat(f->image_path, &st), 0);
    assert_int_equal(cat_file(&cat, &disk_size, &result), 0);
    assert_true(result->length < sizeof bytes);
    memcpy(bytes, result->bytes, result->length);
    assert_int_equal(strtoull(bytes, NULL, 10), st.st_blocks * 512);
    cat_end(&cat);
}

static void test_fixture(void **state)
{
    const char *expect_path = *state;
    struct fixture f = {.comments = NULL};
    char *found;

    snprintf(f.expect_path, sizeof f.expect_path, "%s", expect_path);
    begin_directory(&f);
    load(&f);
    unpack(&f);
    found = dump(&f);
    check_disk_size(&f);
    end_directory(&f);
    if (getenv("UPDATE"))
        write_expectation(&f, found);
    else
        compare(f.expected, found);
    free(found);
    free(f.comments);
    free(f.expected);
}

static bool find_expectations(char **names, glob_t *found)
{
    for (int flags = 0; *names; names++, flags = GLOB_APPEND) {
        const char *cases = strchr(*names, '/') ? "" : "/*";
        char pattern[512];

        snprintf(pattern, sizeof pattern, "fixtures/%s%s.expect", *names, cases);
        if (glob(pattern, flags, NULL, found) != 0) {
            fprintf(stderr, "%s: no such fixtures (run this at the top of the tree)\n", pattern);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct CMUnitTest *tests;
    glob_t found;
    int failed;

    if (!find_expectations(argc > 1 ? argv + 1 : (char *[]){"*", NULL}, &found))
        return 1;
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
