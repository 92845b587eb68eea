// SPDX-License-Identifier: Apache-2.0
/* The tree without a mount: what may be opened, which passes run when, and all files as one text.
 */
#include "fs/tree/cat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/qcow2-image.h"

static char path[] = "/tmp/test_cat-XXXXXX";
static struct sample s = {.fd = -1};
static struct cat cat;

/* Copies the sample to a sparse file with a name. */
static void name_sample(void)
{
    char bytes[65536], *slash = path + sizeof path - 7;
    ssize_t n;
    int fd;

    memcpy(slash, "XXXXXX", 6);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    for (off_t at = 0; (n = pread(s.fd, bytes, sizeof bytes, at)) > 0; at += n)
        for (ssize_t i = 0; i < n; i += 4096)
            if (bytes[i] || memcmp(bytes + i, bytes + i + 1, 4095) != 0)
                assert_int_equal(pwrite(fd, bytes + i, 4096, at + i), 4096);
    assert_int_equal(ftruncate(fd, lseek(s.fd, 0, SEEK_END)), 0);
    close(fd);
}

static void begin(const struct format_driver *given)
{
    name_sample();
    assert_int_equal(cat_begin(&cat, path, &(const struct image_options){.open.format = given}), 0);
}

static void finish(void)
{
    cat_end(&cat);
    unlink(path);
}

/* Returns 0 and the file's text, or -errno. */
static int read_file(const char *name, const struct result **result)
{
    struct place place;

    assert_true(place_by_path(name, &place));
    return cat_file(&cat, &place, result);
}

static void assert_file(const char *name, const char *expected)
{
    const struct result *result = NULL;

    assert_int_equal(read_file(name, &result), 0);
    assert_int_equal(result->length, strlen(expected));
    assert_memory_equal(result->bytes, expected, strlen(expected));
}

static char *read_text(const char *name)
{
    const struct result *result = NULL;
    char *text;

    assert_int_equal(read_file(name, &result), 0);
    text = strndup(result->bytes, result->length);
    assert_non_null(text);
    return text;
}

static void assert_error(const char *name, int error)
{
    const struct result *result = NULL;

    assert_int_equal(read_file(name, &result), -error);
}

static void test_begin(void **state)
{
    (void)state;
    assert_int_equal(cat_begin(&cat, "/tmp/no such file", NULL), -ENOENT);
    cat_end(&cat);
    assert_int_equal(cat_begin(&cat, "/tmp", NULL), -EISDIR);
    cat_end(&cat);
    assert_int_equal(cat_begin(&cat, "/dev/null", NULL), -ENODEV);
    cat_end(&cat);
    assert_int_equal(cat_begin(&cat, "", NULL), -ENOENT);
    cat_end(&cat);
}

/* An open(2) that waited for a writer would never return. */
static void test_fifo(void **state)
{
    (void)state;
    sample_begin(&s);
    name_sample();
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(cat_begin(&cat, path, NULL), -ENODEV);
    finish();
}

static void test_nodes(void **state)
{
    (void)state;
    sample_begin(&s);
    put_text(&s, 0, "x");
    set_size(&s, MIB);
    begin(NULL);
    assert_file("format", "raw\n");
    assert_error("subformat", ENOENT);
    assert_error("subformat", ENOENT);
    assert_error("", ENOENT);
    assert_error("measure", ENOENT);
    assert_file("virtual_size", "1048576\n");
    assert_file("file_size", "1048576\n");
    assert_file("allocated_size", "4096\n");
    assert_file("measure/qcow2", "required size: 393216\nfully allocated size: 1376256\n");
    assert_file("problems", "");
    assert_file("status/options", "ro,format=auto\n");
    finish();
}

static uint64_t bytes_read_so_far(void)
{
    return view_bytes_read(views_find(&cat.views, 0));
}

/* A pass runs once; files of status/ are rendered at each read. */
static void test_computed_once(void **state)
{
    uint64_t bytes_read;

    (void)state;
    make_qcow2(&s, GIB, 16);
    begin(NULL);
    assert_file("status/bytes_read", "0\n");
    assert_file("format", "qcow2\n");
    bytes_read = bytes_read_so_far();
    assert_true(bytes_read > 0);
    assert_file("virtual_size", "1073741824\n");
    assert_file("format", "qcow2\n");
    assert_int_equal(bytes_read_so_far(), bytes_read);
    assert_file("allocated_size", "0\n");
    assert_true(bytes_read_so_far() > bytes_read);
    bytes_read = bytes_read_so_far();
    /* The scan pass yields this, too. */
    assert_file("measure/qcow2",
                "required size: 393216\nfully allocated size: 1074135040\nbitmaps size: 0\n");
    assert_int_equal(bytes_read_so_far(), bytes_read);
    finish();
}

/* A file that the measure pass does not yield is computed by the scan pass. */
static void test_measure_then_scan(void **state)
{
    (void)state;
    sample_begin(&s);
    put_text(&s, 0, "x");
    put_text(&s, 32 * KIB, "x");
    set_size(&s, MIB);
    begin(NULL);
    assert_file("measure/qcow2", "required size: 393216\nfully allocated size: 1376256\n");
    assert_file("allocated_size", "8192\n");
    finish();
}

/* A problem is listed once, however many passes report it. */
static void test_problems(void **state)
{
    char *problems;

    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_CRYPT, 4, 9);
    begin(NULL);
    /* Read before any other file, it has the problems of the header pass. */
    problems = read_text("problems");
    assert_non_null(strstr(problems, "crypt_method 9"));
    assert_error("virtual_size", ENOTSUP);
    assert_error("measure/qcow2", ENOTSUP);
    assert_error("allocated_size", ENOTSUP);
    assert_file("format", "qcow2\n");
    assert_file("problems", problems);
    free(problems);
    finish();
}

/* Files of the calling user are granted, as those of the image's owner are; others are refused. */
static void test_files_of_the_caller(void **state)
{
    struct image_options options = {.policy.beside = true, .policy.backing_format = &raw_driver};
    char base[] = "/tmp/test_cat-base-XXXXXX";
    int fd = mkstemp(base), status;
    pid_t pid;

    (void)state;
    if (!runs_as_root()) {
        unlink(base);
        skip();
    }
    make_qcow2(&s, MIB, 16);
    put_be(&s, Q_BACKING_OFFSET, 8, 512);
    put_be(&s, Q_BACKING_SIZE, 4, strlen(base) - 5);
    put_text(&s, 512, base + 5);
    name_sample();
    assert_int_equal(fchown(fd, 4243, 0), 0);
    assert_int_equal(chown(path, 4242, 0), 0);
    assert_int_equal(chmod(path, 0644), 0);
    pid = fork();
    if (pid == 0) {
        const struct result *result = NULL;

        if (setuid(4243) || cat_begin(&cat, path, &options) ||
            read_file("references/0/state", &result) != 0)
            _exit(2);
        _exit(result->length == 8 && memcmp(result->bytes, "granted\n", 8) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(cat_begin(&cat, path, &options), 0);
    assert_file("references/0/state", "refused\n");
    close(fd);
    unlink(base);
    finish();
}

static char *all(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_int_equal(cat_all(&cat, out), 0);
    fclose(out);
    return text;
}

static void test_all(void **state)
{
    char *text;

    (void)state;
    sample_begin(&s);
    set_size(&s, 1000);
    begin(&raw_driver);
    text = all();
    assert_non_null(strstr(text, "== format\nraw\n"));
    assert_non_null(strstr(text, "== virtual_size\n1024\n"));
    assert_non_null(strstr(text, "== status/options\nro,format=raw\n"));
    assert_non_null(strstr(text, "== problems\n== "));
    assert_null(strstr(text, "subformat"));
    assert_null(strstr(text, "error:"));
    free(text);
    finish();
}

/* `problems` comes after the passes that report them. */
static void test_all_bad(void **state)
{
    char *text;

    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, 65536, 8, 4 * 65536 + 512);
    begin(NULL);
    text = all();
    assert_non_null(strstr(text, "== virtual_size\n1073741824\n"));
    assert_non_null(strstr(text, "== measure/qcow2\nerror: EUCLEAN\n"));
    assert_non_null(strstr(text, "== problems\nqcow2: "));
    assert_non_null(strstr(strstr(text, "== problems\n"), "262656"));
    free(text);
    finish();
}

static void test_all_cannot_write(void **state)
{
    FILE *full = fopen("/dev/full", "w");

    (void)state;
    assert_non_null(full);
    sample_begin(&s);
    begin(NULL);
    setvbuf(full, NULL, _IONBF, 0);
    assert_int_equal(cat_all(&cat, full), -EIO);
    fclose(full);
    finish();
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin),
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_computed_once),
        cmocka_unit_test(test_measure_then_scan),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_files_of_the_caller),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_all_bad),
        cmocka_unit_test(test_all_cannot_write),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, end);
}
