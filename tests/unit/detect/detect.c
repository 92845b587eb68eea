// SPDX-License-Identifier: Apache-2.0
/* Detection: order, candidates, a given format; each signature at its offset and next to it. */
#include "detect/detect.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/vhd-image.h"

static struct sample s = {.fd = -1};
static struct detection d;

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void detect_format(const struct format_driver *given)
{
    sample_session(&s);
    assert_int_equal(detect(s.img, &(const struct open_options){.format = given}, &d), 0);
}

static void assert_candidate(size_t i, const struct format_driver *driver, uint64_t offset,
                             const char *refused)
{
    assert_true(i < d.count);
    assert_ptr_equal(d.candidates[i].driver, driver);
    assert_int_equal(d.candidates[i].offset, offset);
    assert_int_equal(d.candidates[i].is_accepted, refused == NULL);
    if (refused && !strstr(d.candidates[i].why.words, refused))
        fail_msg("candidate %zu was refused because \"%s\"", i, d.candidates[i].why.words);
}

static void test_nothing(void **state)
{
    (void)state;
    sample_begin(&s);
    for (uint64_t size = 0; size < 3; size++) {
        set_size(&s, size);
        detect_format(NULL);
        assert_ptr_equal(d.driver, &raw_driver);
        assert_int_equal(d.count, 1);
        assert_candidate(0, &raw_driver, 0, NULL);
        assert_int_equal(image_bytes_read(s.img), size);
    }
}

static const struct {
    const struct format_driver *driver;
    uint64_t offset;
    const char *magic;
    size_t length;
} magics[] = {
    {&qcow2_driver, 0, "QFI\xfb\0\0\0\3", 8},
    {&qcow_driver, 0, "QFI\xfb\0\0\0\1", 8},
    {&qed_driver, 0, "QED", 4},
    {&vhdx_driver, 0, "vhdxfile", 8},
    {&vhd_driver, 0, "conectix", 8},
    {&vmdk_driver, 0, "KDMV", 4},
    {&luks_driver, 0, "LUKS\xba\xbe\0\1", 8},
    {&vdi_driver, 64, "\x7f\x10\xda\xbe", 4},
};

/* The first byte, the last byte and the offset of each magic matter. */
static void test_magics(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(magics); i++)
        for (size_t defect = 0; defect < 4; defect++) {
            char magic[8];

            memcpy(magic, magics[i].magic, magics[i].length);
            if (defect == 1)
                magic[0] ^= 1;
            /* The last byte for qcow2 is the version, where 2 is valid as well. */
            if (defect == 2)
                magic[magics[i].driver == &qcow2_driver ? 3 : magics[i].length - 1] ^= 1;
            sample_begin(&s);
            put(&s, magics[i].offset + (defect == 3), magic, magics[i].length);
            set_size(&s, 4096);
            detect_format(NULL);
            assert_ptr_equal(d.driver, defect ? &raw_driver : magics[i].driver);
            assert_true(image_bytes_read(s.img) <= IMAGE_HEAD_BYTES + IMAGE_TAIL_BYTES);
        }
}

/* Files that end with the magic. */
static void test_short_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(magics); i++) {
        sample_begin(&s);
        put(&s, magics[i].offset, magics[i].magic, magics[i].length);
        detect_format(NULL);
        assert_ptr_equal(d.driver, magics[i].driver);
        /* Bytes past the end read as zeros. */
        if (magics[i].magic[magics[i].length - 1] == 0)
            continue;
        set_size(&s, magics[i].offset + magics[i].length - 1);
        detect_format(NULL);
        assert_ptr_equal(d.driver, &raw_driver);
    }
}

/* The head takes precedence; the signature at the tail is a candidate with the reason. */
static void test_two(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    put(&s, 0, "QFI\xfb\0\0\0\3", 8);
    detect_format(NULL);
    assert_ptr_equal(d.driver, &qcow2_driver);
    assert_int_equal(d.count, 2);
    assert_candidate(0, &qcow2_driver, 0, NULL);
    assert_candidate(1, &vhd_driver, MIB, "qcow2 at offset 0 comes first");
}

/* Version 1 is qcow, later ones are qcow2; version 0 is neither. */
static void test_qcow_versions(void **state)
{
    (void)state;
    sample_begin(&s);
    put_text(&s, 0, "QFI\xfb");
    set_size(&s, 4096);
    detect_format(NULL);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_candidate(0, &qcow_driver, 0, "version 0");
    assert_candidate(1, &raw_driver, 0, NULL);
    for (uint32_t version = 1; version < 5; version++) {
        put_be(&s, 4, 4, version);
        detect_format(NULL);
        assert_int_equal(d.count, 1);
        assert_candidate(0, version == 1 ? &qcow_driver : &qcow2_driver, 0, NULL);
    }
}

/* A raw file whose name is that of an extent file of another format. */
static void test_names(void **state)
{
    struct open_options options = {.name = "disk-flat.vmdk"};

    (void)state;
    sample_begin(&s);
    set_size(&s, 4096);
    sample_session(&s);
    assert_int_equal(detect(s.img, &options, &d), 0);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_int_equal(d.count, 2);
    assert_candidate(0, &raw_driver, 0, NULL);
    assert_candidate(1, &vmdk_driver, 0, "flat extent");
    assert_string_equal(image_problems(s.img), "");
    put(&s, 0, "QFI\xfb\0\0\0\3", 8); /* not raw: the name does not matter */
    sample_session(&s);
    assert_int_equal(detect(s.img, &options, &d), 0);
    assert_int_equal(d.count, 1);
}

/* The signature of an extent file that is not an image by itself. */
static void test_sesparse(void **state)
{
    (void)state;
    sample_begin(&s);
    put(&s, 0, "\xbe\xba\xfe\xca\0\0\0\0", 8);
    set_size(&s, 4096);
    detect_format(NULL);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_int_equal(d.count, 2);
    assert_candidate(0, &vmdk_driver, 0, "a seSparse extent");
    assert_candidate(1, &raw_driver, 0, NULL);
    assert_reported(s.img, "a seSparse extent");
    detect_format(&vmdk_driver);
    assert_ptr_equal(d.driver, &vmdk_driver);
}

static void test_tail_only(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    detect_format(NULL);
    assert_ptr_equal(d.driver, &vhd_driver);
    assert_int_equal(d.count, 1);
    assert_candidate(0, &vhd_driver, MIB, NULL);
    put_be(&s, MIB + VHD_CHECKSUM, 4, 1);
    detect_format(NULL);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_int_equal(d.count, 2);
    assert_candidate(0, &vhd_driver, MIB, "checksum 0x00000001");
    assert_candidate(1, &raw_driver, 0, NULL);
    assert_reported(s.img, "vpc signature at offset 1048576");
    assert_reported(s.img, d.candidates[0].why.words);
}

/* A signature that is not confirmed is a problem of raw files, unless the user gave that format. */
static void test_looks_like(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    detect_format(NULL);
    assert_string_equal(image_problems(s.img), "");
    put_be(&s, MIB + VHD_CHECKSUM, 4, 1);
    detect_format(&raw_driver);
    assert_string_equal(image_problems(s.img), "");
    detect_format(NULL);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_reported(s.img, "vpc signature at offset 1048576");
    assert_reported(s.img, d.candidates[0].why.words);
    put(&s, 0, "QFI\xfb\0\0\0\3", 8);
    detect_format(NULL);
    assert_ptr_equal(d.driver, &qcow2_driver);
    assert_candidate(1, &vhd_driver, MIB, "checksum 0x00000001");
    assert_string_equal(image_problems(s.img), "");
}

/* The last footer of a dynamic disk is not a candidate of its own. */
static void test_part_of_format(void **state)
{
    (void)state;
    make_dynamic(&s, MIB, 1 << 20, DYNAMIC);
    put_footer(&s, 2560, &(struct footer){"win ", MIB, 0, DYNAMIC, 0});
    detect_format(NULL);
    assert_int_equal(d.count, 1);
    assert_candidate(0, &vhd_driver, 0, NULL);
}

static void test_given(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    detect_format(&raw_driver);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_int_equal(d.count, 1);
    assert_candidate(0, &vhd_driver, MIB, "the format was given as raw");
    detect_format(&vhd_driver);
    assert_ptr_equal(d.driver, &vhd_driver);
    assert_candidate(0, &vhd_driver, MIB, NULL);
    detect_format(&qcow2_driver);
    assert_ptr_equal(d.driver, &qcow2_driver);
    assert_candidate(0, &vhd_driver, MIB, "the format was given as qcow2");
    /* The candidate of the given format is accepted although another comes first. */
    put_text(&s, 0, "QFI\xfb");
    put_be(&s, 4, 4, 3);
    sample_session(&s);
    detect_format(&vhd_driver);
    assert_candidate(0, &qcow2_driver, 0, "the format was given as vpc");
    assert_candidate(1, &vhd_driver, MIB, NULL);
    /* With a third format given, that is the reason for both. */
    detect_format(&raw_driver);
    assert_int_equal(d.count, 2);
    assert_candidate(0, &qcow2_driver, 0, "the format was given as raw");
    assert_candidate(1, &vhd_driver, MIB, "the format was given as raw");
    detect_format(&qcow2_driver);
    assert_candidate(0, &qcow2_driver, 0, NULL);
    assert_candidate(1, &vhd_driver, MIB, "the format was given as qcow2");
    assert_string_equal(image_problems(s.img), "");
    /* An empty file. */
    sample_begin(&s);
    detect_format(&vhd_driver);
    assert_ptr_equal(d.driver, &vhd_driver);
    assert_candidate(0, &raw_driver, 0, "the format was given as vpc");
}

static void test_cannot_read(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    sample_session(&s);
    set_size(&s, 100);
    assert_int_equal(detect(s.img, NULL, &d), -EIO);
    assert_reported(s.img, "has become shorter");
}

/* Every format but raw has a signature or a probe; raw, which accepts every file, is the last. */
static void test_table(void **state)
{
    const struct format_driver *const *f = formats;

    (void)state;
    for (; f[1]; f++) {
        assert_true((*f)->signatures[0].length > 0 || (*f)->probe);
        assert_ptr_equal(format_by_name((*f)->name), *f);
        for (size_t i = 0; i < FORMAT_SIGNATURES; i++) {
            const struct signature *sign = &(*f)->signatures[i];

            if (sign->anchor == HEAD)
                assert_true(sign->offset + sign->length <= IMAGE_HEAD_BYTES);
            else
                assert_true(sign->length <= sign->offset && sign->offset <= IMAGE_TAIL_BYTES);
        }
    }
    assert_ptr_equal(*f, &raw_driver);
    assert_ptr_equal(format_by_name("raw"), &raw_driver);
    assert_null(format_by_name("vhd"));
    assert_null(format_by_name(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),       cmocka_unit_test(test_magics),
        cmocka_unit_test(test_short_files),   cmocka_unit_test(test_two),
        cmocka_unit_test(test_tail_only),     cmocka_unit_test(test_part_of_format),
        cmocka_unit_test(test_given),         cmocka_unit_test(test_cannot_read),
        cmocka_unit_test(test_table),         cmocka_unit_test(test_looks_like),
        cmocka_unit_test(test_qcow_versions), cmocka_unit_test(test_names),
        cmocka_unit_test(test_sesparse),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
