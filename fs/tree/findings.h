/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a job found: the open image, and per pass a pointer to what that pass found, NULL where it
 * was not run. Render functions read nothing else.
 */
#ifndef FS_TREE_FINDINGS_H
#define FS_TREE_FINDINGS_H

#include "detect/content.h"
#include "detect/detect.h"
#include "detect/files/chain.h"
#include "formats/targets/conversion.h"
#include "option-sets.h"

/* The header pass: the sections of the header, by row of the driver's table. */
struct header_findings {
    struct header_found sections[HEADER_SECTIONS_MAX];
};

/* The content pass. */
struct content_findings {
    int error; /* 0 or -errno */
    struct content content;
};

/* The scan pass, and the measure pass where it skipped nothing. */
struct scan_findings {
    int error;          /* 0 or -errno */
    uint64_t allocated; /* guest bytes that hold data */
};

/* The size of an image in a target format. */
struct measured {
    bool is_computed;
    int error; /* 0 or -errno */
    struct target_size size;
    bool has_bitmaps; /* the image may have bitmaps, and the target keeps them */
    uint64_t bitmaps; /* bytes */
};

/* The size of the file that a conversion to a target format writes. */
struct converted {
    bool is_begun; /* conversion is to be ended */
    bool is_computed;
    int error; /* 0 or -errno */
    uint64_t size;
    struct conversion conversion;
    char name[256 + 16]; /* of the file */
};

struct findings {
    const struct option_set *set; /* of the task; NULL: none */
    uint32_t view;
    uint32_t yields; /* the passes whose files can be rendered, a bit (PASS_BIT) each */

    /* The open image. Errors are 0 or -errno. */
    const struct layers *layers;
    struct detection detection;
    struct disk disk;
    struct chain chain; /* the disk's backing images */
    int detect_error, open_error;

    const struct findings *whole; /* of the whole image, if the pass of this view needs them */

    const struct header_findings *header;
    const struct content_findings *content;
    const struct scan_findings *scan;
    const struct measured *measured;   /* by row of targets[] */
    const struct converted *converted; /* by row of targets[] */

    /* Where passes put what they find. It is read through the pointers above. */
    struct {
        struct header_findings header;
        struct content_findings content;
        struct scan_findings scan;
        struct measured measured[TARGETS_MAX];
        struct converted converted[TARGETS_MAX];
    } room;
};

#define PASS_BIT(pass) (1U << (pass))

/* Takes what a pass finds. Each returns 0 or -errno, which ends the pass. */
struct pass_sink {
    void *context;
    /* The text of one file, or the -errno that opening it fails with. */
    int (*file)(void *context, const struct place *place, int error, const struct text *text);
    /* The number of entries of a numbered directory; called before those are passed. */
    int (*count)(void *context, const struct place *directory, uint32_t count);
    /* The references of the image, in their order. NULL: not wanted. */
    int (*reference)(void *context, const struct reference *reference);
    /* Bytes of the disk that have been examined, of total. Called often. NULL: not wanted. */
    int (*progress)(void *context, uint64_t done, uint64_t total);
    /* Bytes of the image were read. Called very often. NULL: not wanted. */
    void (*read)(void *context);
};

/* Whether the findings are complete for the files of a node. */
bool findings_yield(const struct findings *findings, const struct node *node);

/* The options of a target's files: those of the set, or the target's defaults. */
const struct target_options *findings_options(const struct findings *findings,
                                              const struct target *target);

#endif
