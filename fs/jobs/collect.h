/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the references of an image before it is mounted: by a job, as all parsing is. */
#ifndef FS_JOBS_COLLECT_H
#define FS_JOBS_COLLECT_H

#include "fs/sandbox/sandbox.h"
#include "fs/tree/results.h"
#include "wire.h"

enum { COLLECT_TIMEOUT_MS = 10000 };

/* The other results of the job. */
struct collected {
    struct results results; /* of view 0 */
    struct text problems;
    struct wire_cost cost;
    struct sandbox_state sandbox; /* of the job */
};

/*
 * Runs the header pass over a layer, and adds its references. collected: filled with the other
 * results, or NULL. Returns 1; 0 if the job failed or took longer than COLLECT_TIMEOUT_MS, then
 * without any references; -errno if there was no memory or process for it.
 */
int collect_references(struct layers *layers, unsigned layer, const struct open_options *options,
                       const struct sandbox_options *sandbox, struct reference_list *references,
                       struct collected *collected);
/*
 * Reads the frames of such a job from fd up to the last one. Returns 1; 0: it did not come within
 * COLLECT_TIMEOUT_MS, or before the end of the pipe; -errno (EPROTO: an invalid frame).
 */
int collect_frames(int fd, struct reference_list *references, struct collected *collected);

void collected_end(struct collected *collected);

#endif
