/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of header fields: the fields of a sample whose session has begun, opened or not. */
#ifndef TESTS_SUPPORT_HEADER_FIELDS_H
#define TESTS_SUPPORT_HEADER_FIELDS_H

#include <errno.h>

#include "formats/fields.h"
#include "support.h"

/* The sample is of that format, even if it cannot be opened. */
static inline void open_whatever(struct sample *s, const struct format_driver *driver)
{
    sample_session(s);
    (void)disk_open(&s->disk, s->img, driver, NULL);
}

static inline void assert_field_fails(struct sample *s, const char *directory, const char *name,
                                      int error)
{
    char value[FIELD_TEXT_MAX];
    int found = header_value(&s->disk, directory, name, value);

    if (found != -error)
        fail_msg("%s/%s: %d, not %d", directory, name, found, -error);
}

static inline void assert_field(struct sample *s, const char *directory, const char *name,
                                const char *expected)
{
    char value[FIELD_TEXT_MAX];
    int error = header_value(&s->disk, directory, name, value);

    if (error)
        fail_msg("%s/%s: error %d", directory, name, error);
    assert_string_equal(value, expected);
}

/* Name, value, name, value ... of one directory. Ends with NULL. */
static inline void assert_fields(struct sample *s, const char *directory,
                                 const char *const *expected)
{
    for (; *expected; expected += 2)
        assert_field(s, directory, expected[0], expected[1]);
}
#define ASSERT_FIELDS(s, directory, ...)                                                           \
    assert_fields(s, directory, (const char *const[]){__VA_ARGS__, NULL})

#endif
