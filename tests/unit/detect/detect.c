// SPDX-License-Identifier: Apache-2.0
/* Detection: order, candidates, what is given; each signature at its place and a byte beside it. */
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

static void look(const struct format_driver *given)
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
    assert_int_equal(d.candidates[i].accepted, refused == NULL);
    if (refused && !strstr(d.candidates[i].why.words, refused))
        fail_msg("candidate %zu was refused because \"%s\"", i, d.candidates[i].why.words);
}

static void test_nothing(void **state)
{
    (void)state;
    sample_begin(&s);
    for (uint64_t size = 0; size < 3; size++) {
        set_size(&s, size);
        look(NULL);
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

/* The first and the last byte of each count, and so does the place. */
static void test_magics(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(magics); i++)
        for (size_t defect = 0; defect < 4; defect++) {
            char magic[8];

            memcpy(magic, magics[i].magic, magics[i].length);
            if (defect == 1)
                magic[0] ^= 1;
            /* The last byte of qcow2's is that of the version: 2 is one, too. */
            if (defect == 2)
                magic[magics[i].driver == &qcow2_driver ? 3 : magics[i].length - 1] ^= 1;
            sample_begin(&s);
            put(&s, magics[i].offset + (defect == 3), magic, magics[i].length);
            set_size(&s, 4096);
            look(NULL);
            assert_ptr_equal(d.driver, defect ? &raw_driver : magics[i].driver);
            assert_true(image_bytes_read(s.img) <= IMAGE_HEAD_BYTES + IMAGE_TAIL_BYTES);
        }
}

/* A file that holds a magic and nothing else. */
static void test_short_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(magics); i++) {
        sample_begin(&s);
        put(&s, magics[i].offset, magics[i].magic, magics[i].length);
        look(NULL);
        assert_ptr_equal(d.driver, magics[i].driver);
        /* What is missing reads as zeros. */
        if (magics[i].magic[magics[i].length - 1] == 0)
            continue;
        set_size(&s, magics[i].offset + magics[i].length - 1);
        look(NULL);
        assert_ptr_equal(d.driver, &raw_driver);
    }
}

/* The head comes first; what was found at the end is told, and why it was not taken. */
static void test_two(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    put(&s, 0, "QFI\xfb\0\0\0\3", 8);
    look(NULL);
    assert_ptr_equal(d.driver, &qcow2_driver);
    assert_int_equal(d.count, 2);
    assert_candidate(0, &qcow2_driver, 0, NULL);
    assert_candidate(1, &vhd_driver, MIB, "qcow2 at offset 0 comes first");
}

/* Version 1 is qcow, later ones are qcow2; what never was a version is told. */
static void test_qcow_versions(void **state)
{
    (void)state;
    sample_begin(&s);
    put_text(&s, 0, "QFI\xfb");
    set_size(&s, 4096);
    look(NULL);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_candidate(0, &qcow_driver, 0, "version 0");
    assert_candidate(1, &raw_driver, 0, NULL);
    for (uint32_t version = 1; version < 5; version++) {
        put_be(&s, 4, 4, version);
        look(NULL);
        assert_int_equal(d.count, 1);
        assert_candidate(0, version == 1 ? &qcow_driver : &qcow2_driver, 0, NULL);
    }
}

/* What has no mark but its name is raw, and what its name tells is told. */
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
    assert_candidate(1, &vmdk_driver, 0, "by its name a flat extent");
    assert_string_equal(image_problems(s.img), "");
    put(&s, 0, "QFI\xfb\0\0\0\3", 8); /* it is something else */
    sample_session(&s);
    assert_int_equal(detect(s.img, &options, &d), 0);
    assert_int_equal(d.count, 1);
}

/* A mark of something that is no image by itself. */
static void test_sesparse(void **state)
{
    (void)state;
    sample_begin(&s);
    put(&s, 0, "\xbe\xba\xfe\xca\0\0\0\0", 8);
    set_size(&s, 4096);
    look(NULL);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_int_equal(d.count, 2);
    assert_candidate(0, &vmdk_driver, 0, "a seSparse extent");
    assert_candidate(1, &raw_driver, 0, NULL);
    assert_said(s.img, "a seSparse extent");
    look(&vmdk_driver);
    assert_ptr_equal(d.driver, &vmdk_driver);
}

static void test_tail_only(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    look(NULL);
    assert_ptr_equal(d.driver, &vhd_driver);
    assert_int_equal(d.count, 1);
    assert_candidate(0, &vhd_driver, MIB, NULL);
    put_be(&s, MIB + VHD_CHECKSUM, 4, 1);
    look(NULL);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_int_equal(d.count, 2);
    assert_candidate(0, &vhd_driver, MIB, "checksum is 0x00000001");
    assert_candidate(1, &raw_driver, 0, NULL);
    assert_said(s.img, "raw: what looks like vpc at offset 1048576 is not: ");
    assert_said(s.img, d.candidates[0].why.words);
}

/* What only looks like another format is told where raw is taken, and only there. */
static void test_looks_like(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    look(NULL);
    assert_string_equal(image_problems(s.img), "");
    put_be(&s, MIB + VHD_CHECKSUM, 4, 1);
    look(&raw_driver); /* who gives the format knows */
    assert_string_equal(image_problems(s.img), "");
    look(NULL);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_said(s.img, "raw: what looks like vpc at offset 1048576 is not: ");
    assert_said(s.img, d.candidates[0].why.words);
    put(&s, 0, "QFI\xfb\0\0\0\3", 8);
    look(NULL);
    assert_ptr_equal(d.driver, &qcow2_driver);
    assert_candidate(1, &vhd_driver, MIB, "checksum is 0x00000001");
    assert_string_equal(image_problems(s.img), "");
}

/* What is part of the format that was found is no candidate of its own: a dynamic disk's last
 * footer. */
static void test_part_of_format(void **state)
{
    (void)state;
    make_dynamic(&s, MIB, 1 << 20, DYNAMIC);
    put_footer(&s, 2560, &(struct footer){"win ", MIB, 0, DYNAMIC, 0});
    look(NULL);
    assert_int_equal(d.count, 1);
    assert_candidate(0, &vhd_driver, 0, NULL);
}

static void test_given(void **state)
{
    (void)state;
    make_fixed(&s, MIB);
    look(&raw_driver);
    assert_ptr_equal(d.driver, &raw_driver);
    assert_int_equal(d.count, 1);
    assert_candidate(0, &vhd_driver, MIB, "the format was given as raw");
    look(&vhd_driver);
    assert_ptr_equal(d.driver, &vhd_driver);
    assert_candidate(0, &vhd_driver, MIB, NULL);
    look(&qcow2_driver);
    assert_ptr_equal(d.driver, &qcow2_driver);
    assert_candidate(0, &vhd_driver, MIB, "the format was given as qcow2");
    /* The candidate of the format that was given is taken, though another stands before it. */
    put_text(&s, 0, "QFI\xfb");
    put_be(&s, 4, 4, 3);
    sample_session(&s);
    look(&vhd_driver);
    assert_candidate(0, &qcow2_driver, 0, "the format was given as vpc");
    assert_candidate(1, &vhd_driver, MIB, NULL);
    /* And where neither is of that format, neither is refused because of the other. */
    look(&raw_driver);
    assert_int_equal(d.count, 2);
    assert_candidate(0, &qcow2_driver, 0, "the format was given as raw");
    assert_candidate(1, &vhd_driver, MIB, "the format was given as raw");
    look(&qcow2_driver);
    assert_candidate(0, &qcow2_driver, 0, NULL);
    assert_candidate(1, &vhd_driver, MIB, "the format was given as qcow2");
    assert_string_equal(image_problems(s.img), "");
    /* An empty file, too. */
    sample_begin(&s);
    look(&vhd_driver);
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
    assert_said(s.img, "has become shorter");
}

/* Every format but raw has a signature or looks for itself; raw, which takes all, is the last. */
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
