/* SPDX-License-Identifier: Apache-2.0 */
/* Files that need no pass: rendered from the front's state when they are opened. */
#ifndef FS_STATUS_H
#define FS_STATUS_H

#include "front.h"

/* Renders such a file. Returns a result that the caller holds; NULL: out of memory. */
struct result *status_render(struct front *front, const struct place *place);

#endif
