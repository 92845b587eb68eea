/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of what a mount keeps in memory. All are ours; none comes from a format. */
#ifndef FS_TREE_LIMITS_H
#define FS_TREE_LIMITS_H

#include "formats/extents.h"

enum {
    /* The text of one file. */
    TEXT_BYTES_MAX = 1 << 20,

    /* What one job sends. References of an image are sent twice, as files and for the decision on
     * them, and nothing else is as long. */
    FRAMES_BYTES_MAX = 96 << 20,

    /* Files from jobs that yield headers: all views together. Each view may use its share of a
     * quarter in any case, so that no view starves the others. */
    KEPT_HEADERS_BYTES = 256 << 20,

    /* Files from one job that yields numbers. */
    KEPT_NUMBERS_BYTES = 1 << 20,

    /* Files with options; when jobs have sent more, the option sets that nobody waits for are
     * dropped. */
    KEPT_SETS_BYTES = 8 << 20,

    /* Lines of `problems` of a view: those that jobs report; with those about failed jobs, which
     * always find room; and names that were refused, which leave room for jobs. */
    PROBLEMS_REPORTED_MAX = 64 << 10,
    PROBLEMS_MAX = PROBLEMS_REPORTED_MAX + (16 << 10),
    PROBLEMS_REFUSED_MAX = PROBLEMS_REPORTED_MAX / 2,

    /* Views. The whole image and its layers all fit; of kinds without a small limit the least
     * recently used are evicted. */
    VIEWS_KEPT = 1 + LAYERS_MAX + 63,
};

#endif
