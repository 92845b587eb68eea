/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detection of an image's format, used by everything that needs one. Signatures at the head of the
 * file come first, then those at its tail; formats in the order of their table. A file without an
 * accepted signature is raw.
 */
#ifndef DETECT_DETECT_H
#define DETECT_DETECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/format.h"

struct image;

enum { CANDIDATES_MAX = 32 };

/* A signature that matches, or, for raw files, a format that the file's name suggests. */
struct candidate {
    const struct format_driver *driver;
    uint64_t offset;   /* of the signature, bytes from the start of the file */
    bool is_confirmed; /* by the driver's probe */
    bool is_accepted;  /* it decided the format; at most one is */
    struct reason why; /* if not accepted: why not */
};

struct detection {
    const struct format_driver *driver; /* the format; never NULL after detect() returned 0 */
    struct candidate candidates[CANDIDATES_MAX];
    size_t count;
};

/*
 * Detects the format of img. A format given in options (may be NULL) is taken whatever the file
 * holds; candidates of other formats are then not accepted. Costs one read of the head of the file
 * and one of its tail. Returns 0 or -errno (EIO, ENOMEM, EFBIG), already reported.
 */
int detect(struct image *img, const struct open_options *options, struct detection *detection);

#endif
