/* SPDX-License-Identifier: Apache-2.0 */
/* LUKS2 images for tests: two headers of 16 KiB with a given JSON area, and a payload of 1 MiB at
 * 1 MiB. */
#ifndef TESTS_SUPPORT_LUKS2_IMAGE_H
#define TESTS_SUPPORT_LUKS2_IMAGE_H

#include <string.h>

#include "header-value.h"

enum { HDR_SIZE_AT = 8, HDR_OFFSET_AT = 256, COPY_AT = 16 << 10, JSON_AT = 4096 };

#define SEGMENT "{\"type\":\"crypt\",\"offset\":\"1048576\",\"size\":\"dynamic\"}"
#define JSON    "{\"keyslots\":{},\"segments\":{\"0\":" SEGMENT "},\"digests\":{}}"

static inline void put_luks2_header(struct sample *s, uint64_t at, const char *json)
{
    put(s, at, at ? "SKUL\xba\xbe\0\2" : "LUKS\xba\xbe\0\2", 8);
    put_be(s, at + HDR_SIZE_AT, 8, COPY_AT);
    put_be(s, at + HDR_OFFSET_AT, 8, at);
    put_text(s, at + JSON_AT, json);
}

static inline void make_luks2(struct sample *s, const char *json)
{
    sample_begin(s);
    put_luks2_header(s, 0, json);
    put_luks2_header(s, COPY_AT, json);
    set_size(s, 2 * MIB);
}

#endif
