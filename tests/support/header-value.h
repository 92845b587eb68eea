/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of header fields. */
#ifndef TESTS_SUPPORT_HEADER_VALUE_H
#define TESTS_SUPPORT_HEADER_VALUE_H

#include <errno.h>

#include "formats/fields.h"
#include "support.h"

/* Asserts the value of a header field of the open sample; NULL: the image has no such field. */
static inline void assert_header(struct sample *s, const char *directory, const char *name,
                                 const char *value)
{
    char out[FIELD_TEXT_MAX];

    assert_int_equal(header_value(&s->disk, directory, name, out), value ? 0 : -ENOENT);
    if (value)
        assert_string_equal(out, value);
}

#endif
