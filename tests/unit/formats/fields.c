// SPDX-License-Identifier: Apache-2.0
/* Header fields: how each type is printed, and how structures are found. */
#include "formats/fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/support.h"

static char out[FIELD_TEXT_MAX];

static const struct field_word words[] = {
    {1, "dirty"}, {2, "corrupt"}, {12, "both"}, {UINT64_C(1) << 63, "top"}, {0, NULL}};
static const struct field flags = {.name = "flags", .words = words};

static const char *print(field_print how, const void *bytes, size_t length)
{
    memset(out, '#', sizeof out);
    assert_int_equal(how(&flags, bytes, length, out, sizeof out), 0);
    return out;
}

static void test_numbers(void **state)
{
    static const uint8_t bytes[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
    static const uint8_t ones[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    (void)state;
    assert_string_equal(print(field_be, bytes, 1), "1");
    assert_string_equal(print(field_be, bytes, 2), "258");
    assert_string_equal(print(field_be, bytes, 3), "66051");
    assert_string_equal(print(field_be, bytes, 8), "72623859790382856");
    assert_string_equal(print(field_le, bytes, 1), "1");
    assert_string_equal(print(field_le, bytes, 2), "513");
    assert_string_equal(print(field_le, bytes, 8), "578437695752307201");
    assert_string_equal(print(field_be, ones, 8), "18446744073709551615");
    assert_string_equal(print(field_le, ones, 4), "4294967295");
    assert_string_equal(print(field_le, "\0\0\0\0", 4), "0");
}

static void test_flags(void **state)
{
    (void)state;
    assert_string_equal(print(field_flags_be, "\0\0\0\0\0\0\0\0", 8), "none");
    assert_string_equal(print(field_flags_be, "\0\0\0\1", 4), "dirty");
    assert_string_equal(print(field_flags_le, "\1\0\0\0", 4), "dirty");
    assert_string_equal(print(field_flags_le, "\3", 1), "dirty corrupt");
    /* A flag of several bits is set if all of them are. */
    assert_string_equal(print(field_flags_le, "\x0e", 1), "corrupt both");
    assert_string_equal(print(field_flags_le, "\x06", 1), "corrupt bit-2");
    assert_string_equal(print(field_flags_be, "\x80\0\0\0\0\2\0\1", 8), "dirty top bit-17");
    assert_string_equal(print(field_flags_be, "\x10\x20", 2), "bit-5 bit-12");
    /* Nothing is written past the end of the buffer, however many flags there are. */
    memset(out, '#', sizeof out);
    assert_int_equal(
        field_flags_be(&flags, (const uint8_t *)"\x7f\xff\xff\xff\xff\xff\xff\xff", 8, out, 64), 0);
    assert_int_equal(strlen(out), 63);
    assert_int_equal(out[64], '#');
}

static void test_text(void **state)
{
    (void)state;
    assert_string_equal(print(field_text, "abc\0def", 7), "abc");
    assert_string_equal(print(field_text, "abcdef", 3), "abc");
    assert_string_equal(print(field_text, "", 0), "");
    assert_string_equal(print(field_text, "\0", 1), "");
    assert_string_equal(print(field_text, "a\nb\xff\x1b", 5), "a\\x0ab\\xff\\x1b");
    assert_string_equal(print(field_padded, "ab c  ", 6), "ab c");
    assert_string_equal(print(field_padded, "      ", 6), "");
    assert_string_equal(print(field_padded, "ab", 2), "ab");
    assert_string_equal(print(field_padded, "ab\0  ", 5), "ab");
    assert_string_equal(print(field_utf16be, "\0a\x20\xac\0\0\0b", 8), "a\xe2\x82\xac");
    assert_string_equal(print(field_utf16le, "a\0\xac\x20\0\0b\0", 8), "a\xe2\x82\xac");
    assert_null(strchr(print(field_utf16le, "a\0\n\0b\0", 6), '\n'));
    /* Half a character at the end, and half a surrogate pair. */
    assert_int_equal(print(field_utf16le, "a\0b", 3)[0], 'a');
    assert_int_equal(print(field_utf16be, "\0a\xd8\0", 4)[0], 'a');
}

/* Text that is longer than the buffer is cut. */
static void test_long_text(void **state)
{
    static char text[FIELD_SECTION_MAX];

    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(strlen(print(field_text, text, sizeof text)), FIELD_TEXT_MAX - 1);
    memset(text, '\n', sizeof text);
    assert_true(strlen(print(field_text, text, sizeof text)) < FIELD_TEXT_MAX);
    assert_true(strlen(print(field_hex, text, sizeof text)) < FIELD_TEXT_MAX);
    assert_true(strlen(print(field_hex, text, sizeof text)) > FIELD_TEXT_MAX - 4);
}

static void test_hex(void **state)
{
    (void)state;
    assert_string_equal(print(field_hex, "\x00\x7f\xff", 3), "007fff");
    assert_string_equal(print(field_hex, "", 0), "");
}

static void test_uuids(void **state)
{
    static const uint8_t bytes[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                      0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

    (void)state;
    assert_string_equal(print(field_uuid, bytes, 16), "00112233-4455-6677-8899-aabbccddeeff");
    assert_string_equal(print(field_guid, bytes, 16), "33221100-5544-7766-8899-aabbccddeeff");
    assert_int_equal(field_uuid(&flags, bytes, 16, out, 64), 0);
}

/*
 * A format whose first header contains its own length, with a copy 100 bytes later if the first
 * byte is 'c', and a second version of the header if it is 'v'.
 */
static uint64_t header_length;
static unsigned found_count;

static bool begins_with(struct disk *disk, char c)
{
    const uint8_t *head;

    assert_int_equal(image_head(disk->img, &head), 0);
    return *head == (uint8_t)c;
}

static int find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    found_count++;
    *offset = 0;
    *length = header_length;
    return !begins_with(disk, 'v');
}

static int find_other(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    *offset = 8;
    *length = 8;
    return begins_with(disk, 'v');
}

static int find_copy(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    if (begins_with(disk, 'x'))
        return image_fail(disk->img, EIO, "fake: no copy");
    *offset = 100;
    *length = 8;
    return begins_with(disk, 'c');
}

static int print_nothing(const struct field *f, const uint8_t *bytes, size_t length, char *to,
                         size_t size)
{
    (void)f;
    (void)bytes;
    (void)length;
    (void)to;
    (void)size;
    return -ENOENT;
}

static const struct field header_fields[] = {
    {"first", 0, 1, field_text, NULL}, {"number", 4, 4, field_be, NULL},
    {"late", 16, 4, field_be, NULL},   {"nothing", 0, 1, print_nothing, NULL},
    {"rest", 20, 0, field_hex, NULL},
};
static const struct field other_fields[] = {{"number", 0, 2, field_be, NULL}};
static const struct field copy_fields[] = {{"number", 4, 4, field_be, NULL}};
static const struct header_section sections[] = {
    {"", FIELDS(header_fields), find_header},
    {"", FIELDS(other_fields), find_other},
    {"copy", FIELDS(copy_fields), find_copy},
    {.fields = NULL},
};
static const struct format_driver fake_driver = {.name = "fake", .sections = sections},
                                  bare_driver = {.name = "bare"};

static struct sample s = {.fd = -1};

static void make(char first, uint64_t size)
{
    sample_begin(&s);
    put(&s, 0, &first, 1);
    put_be(&s, 4, 4, 1234);
    put_be(&s, 8, 2, 77);
    put_be(&s, 16, 4, 99);
    put_be(&s, 104, 4, 4321);
    set_size(&s, size);
    sample_session(&s);
    s.disk = (struct disk){.img = s.img, .driver = &fake_driver};
    header_length = 24;
    found_count = 0;
}

static void assert_value(const char *directory, const char *name, const char *expected)
{
    assert_int_equal(header_value(&s.disk, directory, name, out), 0);
    assert_string_equal(out, expected);
}

static void assert_error(const char *directory, const char *name, int error)
{
    assert_int_equal(header_value(&s.disk, directory, name, out), -error);
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_values(void **state)
{
    (void)state;
    make('c', 200);
    assert_value("", "first", "c");
    assert_value("", "number", "1234");
    assert_value("", "late", "99");
    assert_value("", "rest", "00000000");
    assert_value("copy", "number", "4321");
    assert_error("", "nothing", ENOENT);
    assert_error("", "unknown", ENOENT);
    assert_error("copy", "first", ENOENT);
    assert_error("other", "number", ENOENT);
    assert_string_equal(image_problems(s.img), "");
    s.disk.driver = &bare_driver;
    assert_error("", "number", ENOENT);
}

/* A section that the image does not have has no fields; one that cannot be found has an error. */
static void test_absent(void **state)
{
    (void)state;
    make('a', 200);
    assert_error("copy", "number", ENOENT);
    assert_string_equal(image_problems(s.img), "");
    make('x', 200);
    assert_error("copy", "number", EIO);
    assert_reported(s.img, "fake: no copy");
    assert_value("", "number", "1234");
}

/* Of two versions of a header, the one that the image has is used. */
static void test_versions(void **state)
{
    (void)state;
    make('v', 200);
    assert_value("", "number", "77");
    assert_error("", "late", ENOENT);
    make('c', 200);
    assert_value("", "number", "1234");
}

/* The header ends before the field, by its own length. */
static void test_short_header(void **state)
{
    (void)state;
    make('c', 200);
    header_length = 19;
    assert_value("", "number", "1234");
    assert_error("", "late", ENOENT);
    assert_error("", "rest", ENOENT);
    header_length = 20;
    assert_value("", "late", "99");
    assert_value("", "rest", "");
    header_length = 0;
    assert_error("", "first", ENOENT);
    assert_string_equal(image_problems(s.img), "");
    /* A header that claims to be very long is read up to the limit. */
    header_length = UINT64_MAX;
    make('c', MIB);
    header_length = UINT64_MAX;
    assert_int_equal(header_value(&s.disk, "", "rest", out), 0);
    assert_true(image_bytes_read(s.img) <= IMAGE_HEAD_BYTES + FIELD_SECTION_MAX);
}

/* The file ends before the field: this is reported once for all fields and structures. */
static void test_short_file(void **state)
{
    (void)state;
    make('c', 200);
    set_size(&s, 18);
    sample_session(&s);
    s.disk.img = s.img;
    assert_value("", "number", "1234");
    assert_error("", "late", EUCLEAN);
    assert_error("", "rest", EUCLEAN);
    assert_error("copy", "number", EUCLEAN);
    assert_string_equal(image_problems(s.img),
                        "fake: the header at offset 0 is cut off by the end of the file, before "
                        "the end of late\n");
    /* The file need not hold bytes of the structure beyond its fields. */
    make('c', 200);
    set_size(&s, 24);
    sample_session(&s);
    s.disk.img = s.img;
    assert_value("", "rest", "00000000");
}

/* A structure is found and read once, however many of its fields are read. */
static void test_once(void **state)
{
    struct header_found found[COUNT(sections)];
    uint64_t bytes_read;

    (void)state;
    make('c', 200);
    for (size_t i = 0; sections[i].fields; i++)
        header_find(&s.disk, &sections[i], &found[i]);
    assert_int_equal(found_count, 1);
    bytes_read = image_bytes_read(s.img);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(header_field(sections, found, "", "late", out), 0);
        assert_string_equal(out, "99");
        assert_int_equal(header_field(sections, found, "copy", "number", out), 0);
        assert_string_equal(out, "4321");
    }
    assert_int_equal(found_count, 1);
    assert_int_equal(image_bytes_read(s.img), bytes_read);
}

static bool has_flags(const struct field *f)
{
    return f->print == field_flags_be || f->print == field_flags_le;
}

/* The tables of all drivers: names are valid file names, fields fit, and none is there twice. */
static void assert_table(const struct header_section *all)
{
    for (const struct header_section *p = all; p && p->fields; p++) {
        assert_true(p - all < HEADER_SECTIONS_MAX);
        assert_non_null(p->find);
        assert_null(strchr(p->directory, '/'));
        for (const struct field *f = p->fields; f < p->fields + p->count; f++) {
            assert_true(*f->name && !strchr(f->name, '/') && strlen(f->name) < 64);
            assert_non_null(f->print);
            assert_true(f->offset + f->length <= FIELD_SECTION_MAX);
            if (f->print == field_uuid || f->print == field_guid)
                assert_int_equal(f->length, 16);
            if (f->print == field_be || f->print == field_le || has_flags(f))
                assert_true(f->length >= 1 && f->length <= 8);
            for (const struct field *g = p->fields; g < f; g++)
                assert_string_not_equal(f->name, g->name);
            if (has_flags(f))
                for (const struct field_word *w = f->words; w->word; w++)
                    assert_true(w->mask != 0);
        }
    }
}

static void test_tables(void **state)
{
    (void)state;
    for (const struct format_driver *const *f = formats; *f; f++)
        assert_table((*f)->sections);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_flags),
        cmocka_unit_test(test_text),       cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_hex),        cmocka_unit_test(test_uuids),
        cmocka_unit_test(test_values),     cmocka_unit_test(test_absent),
        cmocka_unit_test(test_versions),   cmocka_unit_test(test_short_header),
        cmocka_unit_test(test_short_file), cmocka_unit_test(test_once),
        cmocka_unit_test(test_tables),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
