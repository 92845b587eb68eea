// SPDX-License-Identifier: Apache-2.0
/* The reading session: bounds, budget, memory, problems. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/pattern.h"
#include "tests/support/support.h"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Asserts size, tail and end of a file of that size, in memory: none on disk can be that long. */
static void assert_size(uint64_t size)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    const uint8_t *p;
    struct image *img;
    uint64_t range_end;
    bool data;

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(image_open(&img, fd), 0);
    assert_int_equal(image_size(img), size);
    assert_int_equal(image_tail(img, &p), 0);
    assert_int_equal(image_get(img, size, 512, &p), 0);
    assert_int_equal(image_require(img, 0, size, "x"), 0);
    assert_int_equal(image_host_range(img, size, &data, &range_end), 0);
    assert_false(data);
    assert_int_equal(image_require(img, size, 1, "x"), -EUCLEAN);
    image_close(img);
    close(fd);
}

static void test_open(void **state)
{
    struct image *img = (struct image *)state;

    assert_int_equal(image_open(&img, -1), -EBADF);
    assert_null(img);
    assert_size(0);
    assert_size(1);
    assert_size(INT64_MAX);
    image_close(NULL);
}

static void test_sizes(void **state)
{
    struct stat st;

    (void)state;
    sample_begin(&s);
    set_size(&s, 8 * MIB + 1);
    put_text(&s, 4 * MIB, "x");
    sample_session(&s);
    assert_int_equal(fstat(s.fd, &st), 0);
    assert_int_equal(image_size(s.img), 8 * MIB + 1);
    assert_int_equal(image_disk_size(s.img), (uint64_t)st.st_blocks * 512);
    assert_true(image_disk_size(s.img) > 0 && image_disk_size(s.img) < MIB);
    assert_int_equal(image_bytes_read(s.img), 0);
}

static void test_get(void **state)
{
    const uint8_t *p;

    (void)state;
    pattern_file(&s, 1000);
    assert_int_equal(image_get(s.img, 10, 20, &p), 0);
    assert_pattern(p, 10, 20, 1000);
    assert_int_equal(image_get(s.img, 0, 1000, &p), 0);
    assert_pattern(p, 0, 1000, 1000);
    assert_int_equal(image_get(s.img, 999, 512, &p), 0);
    assert_pattern(p, 999, 512, 1000);
    assert_int_equal(image_get(s.img, 1000, 1, &p), 0);
    assert_int_equal(*p, 0);
    assert_int_equal(image_get(s.img, UINT64_MAX, 512, &p), 0);
    assert_pattern(p, 1000, 512, 1000);
    assert_int_equal(image_get(s.img, UINT64_MAX - 511, 512, &p), 0);
    assert_int_equal(image_get(s.img, 5, 0, &p), 0);
    assert_int_equal(image_bytes_read(s.img), 20 + 1000 + 1);
    assert_string_equal(image_problems(s.img), "");
}

static void test_get_reads_once(void **state)
{
    const uint8_t *first, *part, *more;

    (void)state;
    pattern_file(&s, 1000);
    assert_int_equal(image_get(s.img, 100, 200, &first), 0);
    put(&s, 0, (uint8_t[1000]){0}, 1000);
    assert_int_equal(image_get(s.img, 299, 1, &part), 0);
    assert_ptr_equal(part, first + 199);
    assert_pattern(part, 299, 1, 1000);
    assert_int_equal(image_bytes_read(s.img), 200);
    /* One more byte at either end is another piece, which is read from the file as it is now. */
    assert_int_equal(image_get(s.img, 299, 2, &more), 0);
    assert_int_equal(more[0], 0);
    assert_int_equal(image_get(s.img, 99, 2, &more), 0);
    assert_int_equal(image_bytes_read(s.img), 204);
}

static void test_get_limit(void **state)
{
    const uint8_t *p;

    (void)state;
    pattern_file(&s, IMAGE_GET_MAX + 1);
    assert_int_equal(image_get(s.img, 1, IMAGE_GET_MAX, &p), 0);
    assert_pattern(p, 1, IMAGE_GET_MAX, IMAGE_GET_MAX + 1);
    assert_int_equal(image_get(s.img, 0, IMAGE_GET_MAX + 1, &p), -EFBIG);
    assert_reported(s.img, "1048577 bytes at offset 0");
}

static void test_cannot_read(void **state)
{
    const uint8_t *p;
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct image *img;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(image_open(&img, fd), 0);
    assert_int_equal(image_get(img, 0, 4, &p), -EIO);
    assert_reported(img, "cannot read 4 bytes at offset 0: Is a directory");
    image_close(img);
    close(fd);
}

/* The size of the file and 64 MiB more may be read, to the byte. */
static void test_budget(void **state)
{
    struct image_window w;
    const uint8_t *p;

    (void)state;
    pattern_file(&s, MIB);
    assert_int_equal(image_window_begin(s.img, &w, MIB), 0);
    for (unsigned i = 0; i < 65; i++) {
        w.length = 0;
        assert_int_equal(image_window_at(s.img, &w, 0, MIB, &p), 0);
        /* Bytes past the end cost nothing. */
        assert_int_equal(image_window_at(s.img, &w, MIB, MIB, &p), 0);
    }
    assert_int_equal(image_bytes_read(s.img), 65 * MIB);
    w.length = 0;
    assert_int_equal(image_window_at(s.img, &w, MIB - 1, 1, &p), -EFBIG);
    assert_reported(s.img, "reads more than the file holds");
    assert_int_equal(image_window_at(s.img, &w, MIB, 1, &p), 0);
}

static void test_memory(void **state)
{
    struct image_window w;
    const uint8_t *p;
    uint8_t *bytes;

    (void)state;
    pattern_file(&s, 1);
    assert_null(image_alloc(s.img, (size_t)IMAGE_MEMORY_MAX + 1));
    assert_null(image_alloc(s.img, SIZE_MAX));
    assert_string_equal(image_problems(s.img), "needs more than 16 MiB of memory\n");
    bytes = image_alloc(s.img, IMAGE_MEMORY_MAX - 8);
    assert_non_null(bytes);
    for (size_t i = 0; i < IMAGE_MEMORY_MAX - 8; i += 4093)
        assert_int_equal(bytes[i], 0);
    assert_null(image_alloc(s.img, 9));
    assert_non_null(image_alloc(s.img, 8));
    assert_null(image_alloc(s.img, 1));
    assert_int_equal(image_window_begin(s.img, &w, 1), -ENOMEM);
    assert_true(image_get(s.img, 0, 1, &p) < 0);
}

static void test_problems(void **state)
{
    (void)state;
    pattern_file(&s, 0);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(image_fail(s.img, ENOTSUP, "x: version %u is not 1", 2), -ENOTSUP);
    image_note(s.img, "x: odd");
    assert_int_equal(image_fail(s.img, EIO, "x: version %u is not 1", 2), -EIO);
    image_note(s.img, "x: odd");
    assert_string_equal(image_problems(s.img), "x: version 2 is not 1\nx: odd\n");
    /* A prefix or suffix of a line is another line. */
    image_note(s.img, "x: od");
    image_note(s.img, "odd");
    assert_string_equal(image_problems(s.img), "x: version 2 is not 1\nx: odd\nx: od\nodd\n");
}

static void test_problems_escaped(void **state)
{
    (void)state;
    pattern_file(&s, 0);
    image_note(s.img, "name \"%s\"", "a\nb\x1b\xff\xe2\x80\xae");
    assert_string_equal(image_problems(s.img), "name \"a\\x0ab\\x1b\\xff\\xe2\\x80\\xae\"\n");
    /* Escaped text is not escaped again. */
    pattern_file(&s, 0);
    image_note(s.img, "%s", "C:\\x5cbase");
    assert_string_equal(image_problems(s.img), "C:\\x5cbase\n");
}

/* A line that is cut ends with "..."; one that just fits is complete. */
static void test_problems_long(void **state)
{
    char expected[513];

    (void)state;
    pattern_file(&s, 0);
    image_note(s.img, "%0*d", 511, 0);
    memset(expected, '0', 511);
    memcpy(expected + 511, "\n", 2);
    assert_string_equal(image_problems(s.img), expected);
    pattern_file(&s, 0);
    image_note(s.img, "%0*d", 512, 0);
    memcpy(expected + 508, "...", 3);
    assert_string_equal(image_problems(s.img), expected);
    /* The length before escaping decides. */
    pattern_file(&s, 0);
    memset(expected, '\n', 511);
    expected[511] = '\0';
    image_note(s.img, "%s", expected);
    assert_int_equal(strlen(image_problems(s.img)), 4 * 511 + 1);
    pattern_file(&s, 0);
    expected[511] = '\n';
    expected[512] = '\0';
    image_note(s.img, "%s", expected);
    assert_int_equal(strlen(image_problems(s.img)), 4 * 508 + 3 + 1);
    assert_reported(s.img, "\\x0a...\n");
}

static void test_problems_limit(void **state)
{
    size_t before = 0, lines = 0;

    (void)state;
    pattern_file(&s, 0);
    image_note(s.img, "%0600d", 1);
    assert_true(strlen(image_problems(s.img)) <= 512);
    assert_int_equal(image_problems(s.img)[strlen(image_problems(s.img)) - 1], '\n');
    for (unsigned i = 0; i < 1000; i++)
        image_note(s.img, "line %u of many that are more than are kept", i);
    before = strlen(image_problems(s.img));
    assert_true(before < IMAGE_PROBLEMS_MAX && before > IMAGE_PROBLEMS_MAX - 60);
    for (const char *p = image_problems(s.img); *p; p = strchr(p, '\n') + 1)
        lines++;
    assert_true(lines > 150);
    /* A short line may still fit. */
    image_note(s.img, "!");
    assert_true(strlen(image_problems(s.img)) <= before + 2);
}

static void test_host_range(void **state)
{
    uint64_t range_end;
    bool data;

    (void)state;
    sample_begin(&s);
    set_size(&s, MIB);
    put_text(&s, 0, "x");
    sample_session(&s);
    assert_int_equal(image_host_range(s.img, 0, &data, &range_end), 0);
    assert_true(data);
    assert_true(range_end >= 1 && range_end < MIB);
    assert_int_equal(image_host_range(s.img, range_end, &data, &range_end), 0);
    assert_false(data);
    assert_true(range_end >= MIB);
    assert_int_equal(image_host_range(s.img, MIB, &data, &range_end), 0);
    assert_false(data);
    assert_true(range_end == UINT64_MAX);
    assert_int_equal(image_host_range(s.img, UINT64_MAX - 1, &data, &range_end), 0);
    assert_false(data);
}

/* However many layers there are, the windows and data files of all fit in memory. */
static void test_shares(void **state)
{
    (void)state;
    sample_begin(&s);
    sample_session(&s);
    for (unsigned layers = 1; layers <= 64; layers++) {
        uint64_t window, files;

        image_share_windows(s.img, layers);
        window = image_window_share(s.img, 256 * KIB);
        files = image_data_files_share(s.img);
        assert_true(files >= 1 && files <= IMAGE_DATA_FILES_MAX);
        assert_true(window >= IMAGE_WINDOW_MIN);
        assert_true(layers * files * window <= IMAGE_MEMORY_MAX / 2);
        assert_true(image_window_share(s.img, 100) <= 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),          cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_get),           cmocka_unit_test(test_get_reads_once),
        cmocka_unit_test(test_get_limit),     cmocka_unit_test(test_cannot_read),
        cmocka_unit_test(test_budget),        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_problems),      cmocka_unit_test(test_problems_escaped),
        cmocka_unit_test(test_problems_long), cmocka_unit_test(test_problems_limit),
        cmocka_unit_test(test_host_range),    cmocka_unit_test(test_shares),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
