/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK images for tests: the lines that a descriptor begins with, standing alone or in a sparse
 * image. */
#ifndef TESTS_VMDK_IMAGE_H
#define TESTS_VMDK_IMAGE_H

#include <errno.h>

#include "support.h"

enum { SECTOR = 512 };

#define DESCRIPTOR(create_type)                                                                    \
    "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"                         \
    "createType=\"" create_type "\"\n"

static const char flat[] = DESCRIPTOR("monolithicFlat");

/* The image of the tests that include this. */
static struct sample s = {.fd = -1};

static inline int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

#endif
