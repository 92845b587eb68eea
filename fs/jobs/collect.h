/* SPDX-License-Identifier: Apache-2.0 */
/* What an image names, found out before it is mounted: by a job, as for all that is read of it. */
#ifndef FS_JOBS_COLLECT_H
#define FS_JOBS_COLLECT_H

#include "fs/sandbox/sandbox.h"
#include "fs/tree/results.h"
#include "wire.h"

enum { COLLECT_TIMEOUT_MS = 10000 };

/* What the job found besides. */
struct collected {
    struct results results; /* of view 0 */
    struct text problems;
    struct wire_cost cost;
    struct sandbox_state sandbox; /* of the job */
};

/*
 * Runs the header pass over a layer alone, and gives its references. collected: what else it said,
 * or NULL. 1; 0: the job failed, or took longer than COLLECT_TIMEOUT_MS, and nothing is told;
 * -errno (out of memory, no process).
 */
int collect_references(struct layers *layers, unsigned layer, const struct open_options *options,
                       const struct sandbox_options *sandbox, struct reference_list *references,
                       struct collected *collected);
/*
 * Takes what such a job says on fd, until it has said all. 1; 0 or -errno: it did not, within
 * COLLECT_TIMEOUT_MS, or not in whole frames that mean something.
 */
int collect_frames(int fd, struct reference_list *references, struct collected *collected);

void collected_end(struct collected *collected);

#endif
