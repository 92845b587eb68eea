/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of what a mount keeps in memory, in bytes unless noted. All are ours; none comes from a
 * format. */
#ifndef FS_TREE_LIMITS_H
#define FS_TREE_LIMITS_H

#include "formats/extents.h"

enum {
    /* The text of one file. */
    TEXT_BYTES_MAX = 1 << 20,

    /* The frames of one job. The longest are those of a job that sends REFERENCES_MAX references
     * twice: as files, and for the decision which of them are granted. */
    FRAMES_BYTES_MAX = 96 << 20,

    /* Files from jobs that yield headers, of all views together. A quarter of it is divided among
     * the views that share it (views->sharers), so that no view starves the others. */
    KEPT_HEADERS_BYTES = 256 << 20,

    /* Files from one job that yields no headers: mostly numbers. */
    KEPT_NUMBERS_BYTES = 1 << 20,

    /* Files with options in their names. Above that, option sets without waiters are dropped, and
     * their files with them. */
    KEPT_SETS_BYTES = 8 << 20,

    /* `problems` of a view. Lines that jobs report are added up to REPORTED, lines about failed
     * jobs up to MAX. Lines about refused names are added only below REFUSED, to leave room for
     * those of jobs. */
    PROBLEMS_REPORTED_MAX = 64 << 10,
    PROBLEMS_MAX = PROBLEMS_REPORTED_MAX + (16 << 10),
    PROBLEMS_REFUSED_MAX = PROBLEMS_REPORTED_MAX / 2,

    /* Number of views: the whole image, all its layers, and some of the kinds that an image can
     * have many of. Above that, the least recently used are evicted. */
    VIEWS_KEPT = 1 + LAYERS_MAX + 63,
};

#endif
