/* SPDX-License-Identifier: Apache-2.0 */
/* Files that need no pass: what the front knows at the time. */
#ifndef FS_STATUS_H
#define FS_STATUS_H

#include "front.h"

/* The text of such a file, with a reference. NULL: out of memory. */
struct result *status_render(struct front *front, const struct place *place);

#endif
