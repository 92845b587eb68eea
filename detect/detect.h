/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which format an image is of: the one detection that everything uses. Head signatures are asked
 * first, then those at the end of the file, formats in the order of their table; what nothing
 * claims is raw.
 */
#ifndef DETECT_DETECT_H
#define DETECT_DETECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/format.h"

struct image;

enum { CANDIDATES_MAX = 32 };

/* A signature that matches. */
struct candidate {
    const struct format_driver *driver;
    uint64_t offset; /* of the signature, bytes from the start of the file */
    bool confirmed;  /* by the driver */
    bool accepted;
    struct reason why; /* why not, if not accepted */
};

struct detection {
    const struct format_driver *driver; /* the format; never NULL after detect() returned 0 */
    struct candidate candidates[CANDIDATES_MAX];
    size_t count;
};

/*
 * Detects the format of img; with a format in options (NULL: none) that is taken whatever the file
 * holds, and the candidates say so. Costs one read of the head and one of the tail of the file. 0
 * or -errno (EIO, ENOMEM, EFBIG), said.
 */
int detect(struct image *img, const struct open_options *options, struct detection *detection);

#endif
