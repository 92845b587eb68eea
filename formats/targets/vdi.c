// SPDX-License-Identifier: Apache-2.0
/* The size of the file that `qemu-img convert -O vdi` writes: header, block map, blocks. */
#include <errno.h>

#include "formats/checked.h"
#include "formats/format.h"
#include "options.h"

enum { BLOCK = 1 << 20, HEADER = 512 };

/* Bytes; the largest disk that qemu creates and opens. */
#define DISK_MAX UINT64_C(0x1fffff8000000)

enum subformat { DYNAMIC, STATIC };

static const struct target_key vdi_keys[] = {{"static", KEY_BOOL}, {NULL, KEY_TEXT}};

static int vdi_check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    o->subformat = target_number(v, "static", 0) ? STATIC : DYNAMIC;
    return target_check_preallocation(v, why);
}

static size_t vdi_units(const struct target_options *o, uint64_t virtual_size,
                        uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = BLOCK;
    return o->subformat == STATIC ? 0 : 1;
}

static int vdi_size(const struct target_options *o, uint64_t virtual_size,
                    const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                    struct reason *why)
{
    uint64_t blocks = div_up(virtual_size, BLOCK);
    uint64_t before = HEADER + div_up(blocks * 4, SECTOR) * SECTOR;

    if (virtual_size > DISK_MAX)
        return target_refuse(why, EFBIG,
                             "Unsupported VDI image size (size is 0x%llx, max supported is "
                             "0x%llx)",
                             (unsigned long long)virtual_size, (unsigned long long)DISK_MAX);
    size->fully_allocated = before + blocks * BLOCK;
    size->required = o->subformat == STATIC ? size->fully_allocated : before + touched[0] * BLOCK;
    return 0;
}

const struct target vdi_target = {
    .name = "vdi",
    .keys = vdi_keys,
    .check = vdi_check,
    .units = vdi_units,
    .size = vdi_size,
};
