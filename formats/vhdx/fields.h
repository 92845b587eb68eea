/* SPDX-License-Identifier: Apache-2.0 */
/* What header/ shows of a VHDX image. */
#ifndef FORMATS_VHDX_FIELDS_H
#define FORMATS_VHDX_FIELDS_H

#include "formats/fields.h"

extern const struct header_section vhdx_sections[];

#endif
