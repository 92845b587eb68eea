/* SPDX-License-Identifier: Apache-2.0 */
/* Files rendered from findings, for tests of passes. */
#ifndef TESTS_SUPPORT_FINDINGS_FILES_H
#define TESTS_SUPPORT_FINDINGS_FILES_H

#include "fs/tree/findings.h"
#include "support.h"

static struct findings findings;
static struct text text; /* of the file that was rendered last */

/* Renders the file with that path. Returns as struct node's render. */
static inline int render(const char *path)
{
    const struct node *node = node_by_path(path);

    text_free(&text);
    assert_non_null(node);
    return node->render(&findings, &(struct place){.node = node}, &text);
}

static inline void assert_file(const char *path, const char *expected)
{
    assert_int_equal(render(path), 0);
    assert_int_equal(text.error, 0);
    text_add(&text, "%c", '\0');
    assert_string_equal(text.bytes, expected);
}

static inline void assert_error(const char *path, int error)
{
    assert_int_equal(render(path), -error);
}

/* Opens a raw image of 8 MiB that holds data at 0 and at 64 KiB, 4 KiB each. */
static inline void open_raw_sample(struct sample *s)
{
    sample_begin(s);
    put_text(s, 0, "x");
    put_text(s, 64 * KIB, "x");
    set_size(s, 8 * MIB);
    assert_int_equal(sample_open(s, &raw_driver), 0);
}

#endif
