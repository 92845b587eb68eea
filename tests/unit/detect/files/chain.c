// SPDX-License-Identifier: Apache-2.0
/* Chains of disks: which layers are read, and the errors of those that cannot be opened. */
#include "detect/files/chain.h"

#include <errno.h>

#include "tests/support/policy-files.h"
#include "tests/support/qcow2-image.h"

/* The image in the sample, and its chain. */
static struct sample s = {.fd = -1};
static struct layers layers;
static struct chain chain;
static struct disk disk;
static struct image *img;

/* A fake format: its file holds a character for the kind of reference, and the path: '<' a backing
 * file, '+' a data file, '-' none, '!' the image is broken. A parent must be a file with '-'. */
static int fake_open(struct disk *d)
{
    const uint8_t *text;
    uint64_t size = image_size(d->img);
    int error = image_require(d->img, 0, 1, "fake: the text");

    if (!error)
        error = image_get(d->img, 0, (size_t)size, &text);

    if (error)
        return error;
    d->virtual_size = MIB;
    if (text[0] == '!')
        return image_fail(d->img, EUCLEAN, "fake: broken");
    if (text[0] == '-')
        return 0;
    return disk_add_reference(
        d, &(struct reference){.role = text[0] == '+' ? REFERENCE_DATA : REFERENCE_BACKING,
                               .kind = "backing file",
                               .source = "text",
                               .format = "qcow2",
                               .path = (const char *)text + 1,
                               .length = (size_t)size - 1});
}

static int fake_extent_at(struct disk *d, uint64_t offset, unsigned want, struct extent *e)
{
    (void)want;
    *e = (struct extent){.offset = offset,
                         .length = d->virtual_size - offset,
                         .kind = d->backing_reference ? EXTENT_HOLE : EXTENT_ZERO,
                         .host = EXTENT_NO_HOST};
    return 0;
}

static int fake_check_parent(struct disk *d, struct disk *parent)
{
    const uint8_t *text;
    int error = image_get(parent->img, 0, 1, &text);

    if (error)
        return error;
    return parent->driver == d->driver && *text == '-'
               ? 0
               : image_fail(d->img, EUCLEAN, "fake: wrong parent");
}

static const struct format_driver fake_driver = {.name = "fake",
                                                 .open = fake_open,
                                                 .extent_at = fake_extent_at,
                                                 .check_parent = fake_check_parent};

static int end(void **state)
{
    (void)state;
    image_close(img);
    img = NULL;
    layers_end(&layers);
    sample_end(&s);
    return 0;
}

/* Grants each of the named files as the backing image of the one before. */
static void begin_chain(const char *const *names, size_t count)
{
    struct reason why;

    end(NULL);
    policy_take(&layers.policy, "follow=beside", &why);
    assert_int_equal(layers_begin(&layers, in_top(names[0]), false), 0);
    for (size_t i = 1; i < count; i++) {
        struct reference_list list = {.items = NULL};

        assert_int_equal(reference_list_add(&list, &(struct reference){.role = REFERENCE_BACKING,
                                                                       .kind = "backing file",
                                                                       .source = "text",
                                                                       .format = "qcow2",
                                                                       .path = names[i],
                                                                       .length = strlen(names[i])}),
                         0);
        assert_int_equal(layers_grant(&layers, (unsigned)i - 1, &list), 0);
        reference_list_end(&list);
        assert_int_equal(layers.count, i + 1);
        layers.items[i].format = &fake_driver;
    }
}

static void open_chain(unsigned layer, const struct open_options *options)
{
    image_close(img);
    img = NULL;
    assert_int_equal(image_open(&img, layers.items[layer].fd), 0);
    assert_int_equal(disk_open(&disk, img, &fake_driver, options), 0);
    chain_open(&chain, &disk, &layers, layer, options);
}

#define BEGIN(...)                                                                                 \
    begin_chain((const char *const[]){__VA_ARGS__}, COUNT(((const char *const[]){__VA_ARGS__})))

/* What reading the disk gives, and in which words it fails. */
static void assert_read(int error, const char *words)
{
    uint8_t bytes[512];

    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(disk_read(&disk, 4096, bytes, sizeof bytes), error);
    if (words)
        assert_reported(img, words);
    for (size_t i = 0; !error && i < sizeof bytes; i++)
        assert_int_equal(bytes[i], 0);
}

static int begin(void **state)
{
    (void)state;
    make_top();
    make_file("top", "<middle");
    make_file("middle", "<bottom");
    make_file("over", "<bottom");
    make_file("bottom", "-");
    make_file("over-broken", "<broken");
    make_file("broken", "!");
    make_file("over-empty", "<empty");
    make_file("empty", "");
    make_file("over-nothing", "<nothing");
    make_file("files", "+bottom");
    return 0;
}

static int end_all(void **state)
{
    end(state);
    remove_top();
    return 0;
}

static void test_two_layers(void **state)
{
    (void)state;
    BEGIN("over", "bottom");
    open_chain(0, NULL);
    assert_int_equal(chain.count, 1);
    assert_ptr_equal(disk.backing, &chain.disks[0]);
    assert_ptr_equal(disk_layer(&disk, 1), &chain.disks[0]);
    assert_ptr_equal(chain.files[0].grants, layers.items[0].grants);
    assert_read(0, NULL);
    /* The lowest alone. */
    open_chain(1, NULL);
    assert_int_equal(chain.count, 0);
    assert_null(disk.backing);
    assert_read(0, NULL);
}

static void test_nothing_granted(void **state)
{
    (void)state;
    BEGIN("over-nothing");
    assert_int_equal(layers_grant(&layers, 0, &(struct reference_list){.items = NULL}), 0);
    open_chain(0, NULL);
    assert_int_equal(chain.count, 0);
    assert_null(disk.backing);
    assert_read(-EACCES, "not granted");
}

static void test_alone(void **state)
{
    const struct open_options alone = {.alone = true};

    (void)state;
    BEGIN("over", "bottom");
    open_chain(0, &alone);
    assert_int_equal(chain.count, 0);
    assert_null(disk.backing);
    assert_read(-EACCES, NULL);
}

static void test_below_cannot_be_opened(void **state)
{
    (void)state;
    BEGIN("over-broken", "broken");
    open_chain(0, NULL);
    assert_null(disk.backing);
    assert_int_equal(disk.backing_error, -EUCLEAN);
    assert_read(-EUCLEAN, "layer 1: fake: broken");
    BEGIN("over-empty", "empty");
    open_chain(0, NULL);
    assert_null(disk.backing);
    assert_true(disk.backing_error < 0);
    assert_read(disk.backing_error, "layer 1: ");
}

static void test_below_is_another(void **state)
{
    const struct open_options any = {.any_parent = true};

    (void)state;
    BEGIN("top", "middle", "bottom");
    open_chain(0, NULL);
    assert_null(disk.backing);
    assert_int_equal(disk.backing_error, -EUCLEAN);
    assert_read(-EUCLEAN, "fake: wrong parent");
    open_chain(0, &any);
    assert_int_equal(chain.count, 2);
    assert_read(0, NULL);
    assert_ptr_equal(disk_layer(&disk, 2), &chain.disks[1]);
}

/* The image names another file now, which was not granted. */
static void test_changed_references(void **state)
{
    (void)state;
    make_file("changing", "<bottom");
    BEGIN("changing", "bottom");
    open_chain(0, NULL);
    assert_read(0, NULL);
    make_file("changing", "<secret");
    open_chain(0, NULL);
    assert_null(disk.backing);
    assert_null(chain.files[0].grants);
    assert_read(-EACCES,
                "the references have changed since they were granted: mount the image again");
    /* The same in a backing image. */
    make_file("changing", "<bottom");
    BEGIN("top", "changing", "bottom");
    make_file("top", "<changing");
    end(NULL);
    make_file("changing", "<bottom");
    BEGIN("top", "changing", "bottom");
    make_file("changing", "<secret");
    open_chain(0, &(const struct open_options){.any_parent = true});
    assert_non_null(disk.backing);
    assert_null(disk.backing->backing);
    assert_read(-EACCES, "the references have changed");
    make_file("top", "<middle");
}

static const struct reference data_file = {.role = REFERENCE_DATA,
                                           .kind = "backing file",
                                           .source = "text",
                                           .format = "qcow2",
                                           .path = "bottom",
                                           .length = 6};

static void test_changed_data_files(void **state)
{
    struct reference_list list = {.items = NULL};
    struct image *session;
    void **kept;

    (void)state;
    BEGIN("files");
    reference_list_add(&list, &data_file);
    assert_int_equal(layers_grant(&layers, 0, &list), 0);
    reference_list_end(&list);
    open_chain(0, NULL);
    assert_int_equal(disk_data_file(&disk, 0, &session, &kept), 0);
    assert_int_equal(image_size(session), 1);
    make_file("files", "+secret");
    open_chain(0, NULL);
    assert_null(chain.files[0].grants);
    assert_int_equal(disk_data_file(&disk, 0, &session, &kept), -EACCES);
    make_file("files", "+bottom");
}

static int fetched;

static int fetch(const struct layers *l, unsigned layer, size_t reference)
{
    fetched++;
    assert_int_equal(layer, 0);
    assert_int_equal(reference, 0);
    return l->fetch_context ? -l->fetch_context : layers_open_data_file(l, layer, reference);
}

/* A data file that is not held is fetched, and closed at the end. */
static void test_fetched_data_files(void **state)
{
    struct reference_list list = {.items = NULL};
    struct image *session;
    unsigned before;
    void **kept;

    (void)state;
    BEGIN("files");
    layers.held_count = LAYERS_DATA_FILES_HELD;
    reference_list_add(&list, &data_file);
    assert_int_equal(layers_grant(&layers, 0, &list), 0);
    reference_list_end(&list);
    assert_true(layers.has_data_files_to_open);
    before = open_descriptors();
    layers.fetch = fetch;
    open_chain(0, NULL);
    assert_int_equal(fetched, 0);
    assert_int_equal(disk_data_file(&disk, 0, &session, &kept), 0);
    assert_int_equal(disk_data_file(&disk, 0, &session, &kept), 0);
    assert_int_equal(fetched, 1);
    assert_int_equal(open_descriptors(), before + 1);
    image_close(img);
    img = NULL;
    assert_int_equal(open_descriptors(), before);
    layers.fetch_context = ESTALE;
    open_chain(0, NULL);
    assert_int_equal(disk_data_file(&disk, 0, &session, &kept), -EIO);
    /* A file that could not be opened when it was granted, and one that was not granted. */
    layers.items[0].grants[0].state = GRANT_UNREADABLE;
    open_chain(0, NULL);
    assert_int_equal(disk_data_file(&disk, 0, &session, &kept), -EIO);
    assert_reported(img, "cannot be opened");
    layers.items[0].grants[0].state = GRANT_NONE;
    open_chain(0, NULL);
    assert_int_equal(disk_data_file(&disk, 0, &session, &kept), -EACCES);
}

/* Real images: the bytes of the chain come from its layers. */
static void test_qcow2_over_raw(void **state)
{
    struct reason why;
    struct reference_list list = {.items = NULL};
    uint8_t bytes[5] = "";
    char image[PATH_MAX];
    int fd;

    (void)state;
    end(NULL);
    make_file("raw", "bytes of the raw image");
    make_qcow2(&s, MIB, 16);
    put_be(&s, Q_BACKING_OFFSET, 8, 512);
    put_be(&s, Q_BACKING_SIZE, 4, 3);
    put_text(&s, 512, "raw");
    snprintf(image, sizeof image, "/proc/self/fd/%d", s.fd);
    fd = open(in_top("overlay"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    for (uint8_t block[4096]; pread(s.fd, block, 4096, lseek(fd, 0, SEEK_CUR)) == 4096 &&
                              lseek(fd, 0, SEEK_CUR) < (off_t)(5 * 65536);)
        assert_int_equal(write(fd, block, 4096), 4096);
    assert_int_equal(ftruncate(fd, 128 * 65536), 0);
    close(fd);
    policy_take(&layers.policy, "follow=beside", &why);
    policy_take(&layers.policy, "backing-format=raw", &why);
    assert_int_equal(layers_begin(&layers, in_top("overlay"), false), 0);
    assert_int_equal(image_open(&img, layers.items[0].fd), 0);
    assert_int_equal(disk_open(&disk, img, &qcow2_driver, NULL), 0);
    assert_int_equal(reference_list_add(&list, &disk.references[0]), 0);
    assert_int_equal(layers_grant(&layers, 0, &list), 0);
    reference_list_end(&list);
    chain_open(&chain, &disk, &layers, 0, NULL);
    assert_non_null(disk.backing);
    assert_int_equal(disk_read(&disk, 0, bytes, sizeof bytes), 0);
    assert_memory_equal(bytes, "bytes", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_layers),
        cmocka_unit_test(test_nothing_granted),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_below_cannot_be_opened),
        cmocka_unit_test(test_below_is_another),
        cmocka_unit_test(test_changed_references),
        cmocka_unit_test(test_changed_data_files),
        cmocka_unit_test(test_fetched_data_files),
        cmocka_unit_test(test_qcow2_over_raw),
    };

    return cmocka_run_group_tests(tests, begin, end_all);
}
