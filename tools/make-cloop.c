// SPDX-License-Identifier: Apache-2.0
/*
 * Makes cloop images (cloop, cloop.h: format V2.0). Big endian.
 *
 *     blocks=3  size_of_block=64K  level=9 (of zlib; 0 stores: larger than the block)
 *     more=N (bytes that a block inflates to beyond its size; negative: -N)
 *     script=no (leaves the preamble empty)  offset=INDEX:VALUE (a raw entry of the table)
 *     block_size=N  num_blocks=N
 *
 * Block i holds bytes of the value 0x41 + i.
 */
#include "maker.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { HEADER_BYTES = 136 };

static const struct maker_field fields[] = {
    {"block_size", 128, 4, '>'},
    {"num_blocks", 132, 4, '>'},
    {0},
};

static void write_header(struct maker *m, uint64_t blocks, uint64_t block_size)
{
    static const char script[] = "#!/bin/sh\n#V2.0 Format\n"
                                 "modprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"
                                 "exit $?\n";
    uint8_t header[HEADER_BYTES] = {0};

    if (strcmp(maker_string(m, "script", "yes"), "yes") == 0)
        memcpy(header, script, sizeof script);
    maker_put(header, 128, 4, '>', block_size);
    maker_put(header, 132, 4, '>', blocks);
    maker_fields(m, "", fields, header, NULL);
    maker_write(m, 0, header, sizeof header);
}

static void write_offset(struct maker *m, uint64_t index, uint64_t offset)
{
    uint8_t entry[8];

    maker_put(entry, 0, 8, '>', offset);
    maker_write(m, HEADER_BYTES + 8 * index, entry, sizeof entry);
}

/* How many bytes the blocks inflate to. */
static uint64_t content_size(struct maker *m, uint64_t block_size)
{
    const char *more = maker_string(m, "more", "0");
    bool less = *more == '-';
    uint64_t n = maker_parse(more + less, &more);

    return less ? block_size - n : block_size + n;
}

/* Lays the block's stream at offset; returns where it ends. */
static uint64_t write_block(struct maker *m, uint64_t index, uint64_t size, uint64_t offset)
{
    uLong room = compressBound((uLong)size);
    uint8_t *plain = malloc(size ? size : 1), *stream = malloc(room);

    if (!plain || !stream)
        maker_die("out of memory");
    memset(plain, 0x41 + (int)(index % 26), size);
    if (compress2(stream, &room, plain, (uLong)size, (int)maker_number(m, "level", 9)) != Z_OK)
        maker_die("block %llu cannot be compressed", (unsigned long long)index);
    maker_write(m, offset, stream, room);
    free(plain);
    free(stream);
    return offset + room;
}

void make_cloop(struct maker *m)
{
    uint64_t blocks = maker_number(m, "blocks", 3);
    uint64_t block_size = maker_number(m, "size_of_block", 64 << 10);
    uint64_t size = content_size(m, block_size);
    uint64_t offset = HEADER_BYTES + 8 * (blocks + 1);
    const char *value;
    int position = 0;

    write_header(m, blocks, block_size);
    for (uint64_t i = 0; i < blocks; i++) {
        write_offset(m, i, offset);
        offset = write_block(m, i, size, offset);
    }
    write_offset(m, blocks, offset);
    while ((value = maker_each(m, "offset", &position))) {
        uint64_t index = maker_parse(value, &value);

        if (*value != ':')
            maker_die("offset: INDEX:VALUE is wanted");
        write_offset(m, index, maker_parse(value + 1, &value));
    }
}
