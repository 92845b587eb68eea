// SPDX-License-Identifier: Apache-2.0
/* One image of a mount: generations, and rechecks of its name. */
#include "fs/mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "detect/files/image-file.h"
#include "tests/support/support.h"

static struct mounted m;
static char directory[] = "/tmp/instar-mounted-XXXXXX";
static char image[sizeof directory + 8], other[sizeof directory + 8];

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int make_directory(void **state)
{
    (void)state;
    nodes_begin();
    if (!mkdtemp(directory))
        return -1;
    snprintf(image, sizeof image, "%s/image", directory);
    snprintf(other, sizeof other, "%s/other", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static int begin(void **state)
{
    (void)state;
    write_file(image, "raw");
    m = (struct mounted){.generation = 0};
    watch_begin(&m.watch);
    if (layers_begin(&m.layers, image, false) < 0)
        return -1;
    mounted_begin(&m);
    return 0;
}

static int end(void **state)
{
    (void)state;
    mounted_end(&m);
    layers_end(&m.layers);
    unlink(image);
    unlink(other);
    return 0;
}

/* The view of the whole image. */
static struct view *whole(void)
{
    struct view *view = views_get(&m.views, view_named(VIEW_WHOLE, 0));

    assert_non_null(view);
    return view;
}

static void know_format(void)
{
    const struct place place = {.node = node_by_path("format")};

    assert_int_equal(results_put(&whole()->results, &place, result_new(0, "raw\n", 4, 0)), 0);
    assert_non_null(views_result(&m.views, &place));
}

static bool knows_format(void)
{
    return views_result(&m.views, &(struct place){.node = node_by_path("format")});
}

/* Asserts that `problems` has the key, which names one message; NULL: that there is none. */
static void assert_problem(const char *key)
{
    const struct text *problems = &whole()->problems;

    if (!key)
        assert_int_equal(problems->length, 0);
    else if (!problems->length || !memmem(problems->bytes, problems->length, key, strlen(key)))
        fail_msg("problems are: %.*s", (int)problems->length, problems->bytes);
}

static void test_begin(void **state)
{
    (void)state;
    assert_int_equal(m.generation, 1);
    assert_int_equal(m.views.sharers, 2);
    assert_ptr_equal(mounted_layer(&m, 0), &m.layers.items[0]);
    assert_ptr_equal(mounted_layer(&m, view_named(VIEW_LAYER, 3)), &m.layers.items[3]);
    know_format();
    assert_false(mounted_has_changed(&m));
    assert_true(knows_format());
    assert_int_equal(m.generation, 1);
}

/* A change of the file begins a new generation, of which nothing is known. */
static void test_change(void **state)
{
    (void)state;
    know_format();
    write_file(image, " and more");
    assert_true(mounted_has_changed(&m));
    assert_int_equal(m.generation, 2);
    assert_true(m.has_changed);
    assert_false(knows_format());
    assert_int_equal(m.layers.items[0].st.st_size, 12);
    know_format();
    assert_false(mounted_has_changed(&m));
    assert_true(knows_format());
    assert_int_equal(m.generation, 2);
    assert_problem(NULL);
}

/* A data file that is held open is checked too. */
static void test_data_file(void **state)
{
    struct grant grant = {.base = -1};

    (void)state;
    write_file(other, "extent");
    grant.fd = open(other, O_RDONLY | O_CLOEXEC);
    assert_int_equal(image_file_stat(grant.fd, &grant.st), 0);
    m.layers.held[m.layers.held_count++] = &grant;
    assert_false(mounted_has_changed(&m));
    write_file(other, " file");
    assert_true(mounted_has_changed(&m));
    assert_int_equal(m.generation, 2);
    m.layers.held_count = 0;
    close(grant.fd);
}

/* A deleted image is a change, is reported, and its name is rechecked from then on. */
static void test_deleted(void **state)
{
    (void)state;
    assert_false(mounted_recheck_is_due(&m));
    unlink(image);
    assert_true(mounted_has_changed(&m));
    assert_problem("the image no longer exists under its name: the previous file is shown");
    assert_true(mounted_recheck_is_due(&m));
}

/* Names on remote storage are rechecked every RECHECK_MS. */
static void test_interval(void **state)
{
    (void)state;
    assert_false(mounted_recheck_is_due(&m));
    m.layers.storage |= STORAGE_REMOTE;
    assert_true(mounted_recheck_is_due(&m));
    assert_false(mounted_recheck_is_due(&m));
    mounted_note_recheck(&m, true);
    assert_false(mounted_is_rechecking(&m));
    m.rechecked_at -= RECHECK_MS;
    assert_true(mounted_recheck_is_due(&m));
}

/* While an image is away, lookups wait for the answer, and the next recheck waits for it too. */
static void test_answer_is_awaited(void **state)
{
    (void)state;
    m.is_away = true;
    assert_true(mounted_recheck_is_due(&m));
    mounted_note_recheck(&m, false);
    assert_false(mounted_is_rechecking(&m));
    mounted_note_recheck(&m, true);
    assert_true(mounted_is_rechecking(&m));
    m.rechecked_at -= RECHECK_MS;
    assert_false(mounted_recheck_is_due(&m));
    m.rechecked_at -= RECHECK_ANSWER_MS;
    assert_false(mounted_is_rechecking(&m));
    m.rechecked_at -= RECHECK_AGAIN_MS;
    assert_true(mounted_recheck_is_due(&m));
    assert_true(mounted_is_rechecking(&m));
    assert_false(mounted_take_recheck(&m, -EALREADY, -1, 0));
    assert_false(mounted_is_rechecking(&m));
    assert_false(m.is_away);
}

/* Another file that has the image's name becomes the image. */
static void test_replaced(void **state)
{
    struct stat st;
    int fd;

    (void)state;
    know_format();
    write_file(other, "another file");
    assert_int_equal(rename(other, image), 0);
    fd = layers_recheck(&m.layers, &st);
    assert_true(fd >= 0);
    m.is_away = true;
    assert_true(mounted_take_recheck(&m, 0, fd, STORAGE_REMOTE));
    assert_false(m.is_away);
    assert_int_equal(m.generation, 2);
    assert_true(m.has_changed);
    assert_false(knows_format());
    assert_int_equal(m.layers.items[0].st.st_size, 12);
    assert_int_equal(m.layers.storage, STORAGE_REMOTE);
    assert_false(mounted_has_changed(&m));
    assert_problem(NULL);
}

/* The file that is the image already is no change. */
static void test_same_file(void **state)
{
    unsigned before = open_descriptors();

    (void)state;
    know_format();
    assert_false(mounted_take_recheck(&m, 0, open(image, O_RDONLY | O_CLOEXEC), 0));
    assert_int_equal(open_descriptors(), before);
    assert_true(knows_format());
    assert_int_equal(m.generation, 1);
}

/* What an error of a recheck means: the image is away, or nothing. */
static void test_away(void **state)
{
    static const struct {
        int status;
        bool is_away;
        const char *key;
    } rows[] = {
        {-ENOENT, true, "no longer exists"},
        {-ENOTDIR, true, "no longer exists"},
        {-EPERM, true, "symbolic link"},
        {-ELOOP, true, "symbolic link"},
        {-EACCES, true, "(permission denied)"},
        {-EALREADY, false, NULL},
        {-EIO, false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        text_free(&whole()->problems);
        m.is_away = false;
        assert_false(mounted_take_recheck(&m, rows[i].status, -1, 0));
        assert_int_equal(m.is_away, rows[i].is_away);
        assert_problem(rows[i].key);
    }
    m.is_away = true;
    assert_false(mounted_take_recheck(&m, -EIO, -1, 0));
    assert_true(m.is_away);
    assert_int_equal(m.generation, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begin, begin, end),
        cmocka_unit_test_setup_teardown(test_change, begin, end),
        cmocka_unit_test_setup_teardown(test_data_file, begin, end),
        cmocka_unit_test_setup_teardown(test_deleted, begin, end),
        cmocka_unit_test_setup_teardown(test_interval, begin, end),
        cmocka_unit_test_setup_teardown(test_answer_is_awaited, begin, end),
        cmocka_unit_test_setup_teardown(test_replaced, begin, end),
        cmocka_unit_test_setup_teardown(test_same_file, begin, end),
        cmocka_unit_test_setup_teardown(test_away, begin, end),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
