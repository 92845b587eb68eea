/* SPDX-License-Identifier: Apache-2.0 */
/* What header/ shows of a VMDK image. */
#ifndef FORMATS_VMDK_FIELDS_H
#define FORMATS_VMDK_FIELDS_H

#include "formats/fields.h"

extern const struct header_section vmdk_sections[];

#endif
