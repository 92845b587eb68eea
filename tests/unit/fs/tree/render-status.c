// SPDX-License-Identifier: Apache-2.0
/* Files that need no pass, from a status made by hand. */
#include "fs/tree/render.h"

#include <errno.h>

#include "fs/tree/status.h"
#include "tests/support/support.h"

static struct status status;
static struct text text, problems;

static int begin(void **state)
{
    (void)state;
    text_free(&text);
    text_free(&problems);
    status = (struct status){.image = "/tmp/x.img", .options = "ro", .problems = &problems};
    return 0;
}

static int end(void **state)
{
    (void)state;
    text_free(&text);
    text_free(&problems);
    return 0;
}

static void assert_file(const char *path, const char *expected)
{
    const struct node *node = node_by_path(path);

    text_free(&text);
    assert_non_null(node);
    assert_int_equal(node->show(&status, &(struct place){.node = node}, &text), 0);
    assert_int_equal(text.error, 0);
    text_add(&text, "%c", '\0');
    assert_string_equal(text.bytes, expected);
}

static void add_line(const void *mount, struct text *lines)
{
    text_add(lines, "%s\n", (const char *)mount);
}

/* Without a mount there are no processes to report about. */
static void test_lines(void **state)
{
    const struct node *node = node_by_path("status/jobs");

    (void)state;
    assert_int_equal(node->show(&status, &(struct place){.node = node}, &text), -ENOENT);
    status.mount = "a line";
    status.add_jobs = status.add_progress = status.add_passes = status.add_sandbox = add_line;
    assert_file("status/jobs", "a line\n");
    assert_file("status/progress", "a line\n");
    assert_file("status/passes", "a line\n");
    assert_file("status/sandbox", "a line\n");
}

static void test_status(void **state)
{
    (void)state;
    status.file_size = UINT64_MAX;
    status.disk_size = 4096;
    status.bytes_read = 1024;
    assert_file("file_size", "18446744073709551615\n");
    assert_file("disk_size", "4096\n");
    assert_file("status/bytes_read", "1024\n");
    assert_file("status/options", "ro\n");
    assert_file("status/version", VERSION "\n");
    assert_file("problems", "");
    text_add(&problems, "one\ntwo\n");
    assert_file("problems", "one\ntwo\n");
}

/* A path may have any byte but NUL; it is escaped to one line. */
static void test_image(void **state)
{
    char path[4096], *escaped;

    (void)state;
    assert_file("status/image", "/tmp/x.img\n");
    status.image = "/tmp/a\nb\xff\\.img";
    assert_file("status/image", "/tmp/a\\x0ab\\xff\\x5c.img\n");
    memset(path, '\n', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    status.image = path;
    text_free(&text);
    assert_int_equal(show_image(&status, &(struct place){.node = nodes}, &text), 0);
    escaped = text.bytes;
    assert_int_equal(text.length, 4 * 4095 + 1);
    assert_memory_equal(escaped + text.length - 5, "\\x0a\n", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_status, begin),
        cmocka_unit_test_setup(test_image, begin),
        cmocka_unit_test_setup(test_lines, begin),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, end);
}
