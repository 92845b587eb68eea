// SPDX-License-Identifier: Apache-2.0
/* Inputs of the fuzzer of images: parsing, writing, patching. */
#include "image-input.h"

#include <string.h>

#include "formats/checked.h"
#include "formats/crc32c.h"
#include "formats/vhd/vhd.h"
#include "formats/vhdx/header.h"
#include "formats/vhdx/regions.h"

uint64_t input_get(const uint8_t *bytes, unsigned width, bool big)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)bytes[big ? width - 1 - i : i] << 8 * i;
    return value;
}

void input_put(uint8_t *bytes, unsigned width, bool big, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        bytes[big ? width - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

bool input_parse(struct image_input *input, uint8_t *data, size_t size)
{
    size_t at = INPUT_HEADER_BYTES;

    input->count = 0;
    if (size < at)
        return false;
    memcpy(input->choices, data, CHOICES);
    for (unsigned i = 0; i < INPUT_FILES; i++)
        input->sizes[i] = input_get(data + CHOICES + 8 * (size_t)i, 8, false) & INT64_MAX;
    while (size - at > INPUT_PIECE_BYTES && input->count < INPUT_PIECES_MAX) {
        uint8_t *header = data + at;
        struct input_piece *piece = &input->pieces[input->count++];
        size_t rest = size - at - INPUT_PIECE_BYTES;

        *piece = (struct input_piece){
            .offset = input_get(header, 8, false),
            .length = (uint32_t)min_u64(input_get(header + 8, 4, false), rest),
            .times = (uint32_t)input_get(header + 12, 4, false),
            .file = header[16] % INPUT_FILES,
            .bytes = header + INPUT_PIECE_BYTES,
        };
        at += INPUT_PIECE_BYTES + piece->length;
    }
    return true;
}

size_t input_write(const struct image_input *input, uint8_t *out, size_t size)
{
    size_t at = INPUT_HEADER_BYTES;

    if (size < at)
        return 0;
    memcpy(out, input->choices, CHOICES);
    for (unsigned i = 0; i < INPUT_FILES; i++)
        input_put(out + CHOICES + 8 * (size_t)i, 8, false, input->sizes[i]);
    for (const struct input_piece *p = input->pieces; p < input->pieces + input->count; p++) {
        if (!p->length || INPUT_PIECE_BYTES + (uint64_t)p->length > size - at)
            continue;
        memset(out + at, 0, INPUT_PIECE_BYTES);
        input_put(out + at, 8, false, p->offset);
        input_put(out + at + 8, 4, false, p->length);
        input_put(out + at + 12, 4, false, p->times);
        out[at + 16] = p->file;
        memcpy(out + at + INPUT_PIECE_BYTES, p->bytes, p->length);
        at += INPUT_PIECE_BYTES + p->length;
    }
    return at;
}

uint64_t input_piece_bytes(const struct input_piece *piece)
{
    uint64_t bytes = (uint64_t)piece->length * piece->times, end;

    return checked_add(piece->offset, bytes, &end) && end <= INT64_MAX ? bytes : 0;
}

void input_read(const struct image_input *input, unsigned file, uint64_t offset, uint8_t *bytes,
                size_t length)
{
    uint64_t size = input->sizes[file];

    memset(bytes, 0, length);
    for (const struct input_piece *p = input->pieces; p < input->pieces + input->count; p++) {
        uint64_t end = p->offset + input_piece_bytes(p);
        uint64_t from = max_u64(offset, p->offset);
        uint64_t to = min_u64(min_u64(end, size), offset + length);

        if (p->file == file)
            for (uint64_t at = from; at < to; at++)
                bytes[at - offset] = p->bytes[(at - p->offset) % p->length];
    }
}

bool input_patch(struct image_input *input, unsigned file, uint64_t offset, const uint8_t *bytes,
                 size_t length, uint8_t *room)
{
    for (size_t i = input->count; i-- > 0;) {
        struct input_piece *p = &input->pieces[i];
        uint64_t end = p->offset + input_piece_bytes(p);

        if (p->file != file || end <= offset || p->offset >= offset + length)
            continue;
        if (p->times != 1 || p->offset > offset || end < offset + length)
            break;
        memcpy(p->bytes + (offset - p->offset), bytes, length);
        return true;
    }
    if (input->count == INPUT_PIECES_MAX)
        return false;
    memcpy(room, bytes, length);
    input->pieces[input->count++] =
        (struct input_piece){offset, (uint32_t)length, 1, (uint8_t)file, room};
    return true;
}

/* Whether a later piece covers it. */
static bool is_covered(const struct image_input *input, const struct input_piece *piece)
{
    uint64_t end = piece->offset + input_piece_bytes(piece);

    if (piece->offset >= input->sizes[piece->file])
        return false; /* the file may become larger */
    for (const struct input_piece *p = piece + 1; p < input->pieces + input->count; p++)
        if (p->file == piece->file && p->offset <= piece->offset &&
            p->offset + input_piece_bytes(p) >= end)
            return true;
    return false;
}

void input_prune(struct image_input *input)
{
    size_t kept = 0;

    for (size_t i = 0; i < input->count; i++)
        if (!is_covered(input, &input->pieces[i]))
            input->pieces[kept++] = input->pieces[i];
    input->count = kept;
}

static void repair_footer(struct image_input *input, unsigned file, uint64_t offset, uint8_t *room)
{
    uint8_t footer[FOOTER_BYTES], sum[4];
    uint32_t checksum;

    input_read(input, file, offset, footer, sizeof footer);
    if (memcmp(footer, FOOTER_COOKIE, strlen(FOOTER_COOKIE)) != 0)
        return;
    checksum = vhd_footer_checksum(footer);
    input_put(sum, sizeof sum, true, checksum);
    if (memcmp(sum, footer + FOOTER_CHECKSUM, sizeof sum) != 0)
        input_patch(input, file, offset + FOOTER_CHECKSUM, sum, sizeof sum, room);
}

/* A structure with its CRC-32C after a signature of four bytes; nothing if that is zero. */
static void repair_crc(struct image_input *input, unsigned file, uint64_t offset, size_t length,
                       uint8_t *room)
{
    static uint8_t bytes[VHDX_REGIONS_BYTES];
    uint8_t before[4], sum[4];

    input_read(input, file, offset, bytes, 4);
    if (!bytes[0])
        return;
    input_read(input, file, offset, bytes, length);
    memcpy(before, bytes + 4, sizeof before);
    memset(bytes + 4, 0, sizeof before);
    input_put(sum, sizeof sum, false, crc32c(0, bytes, length));
    if (memcmp(sum, before, sizeof sum) != 0)
        input_patch(input, file, offset + 4, sum, sizeof sum, room);
}

void input_repair(struct image_input *input, uint8_t *room)
{
    static const struct {
        uint64_t offset;
        size_t length;
    } sums[] = {{VHDX_HEADER1_AT, VHDX_HEADER_BYTES},
                {VHDX_HEADER2_AT, VHDX_HEADER_BYTES},
                {VHDX_REGIONS1_AT, VHDX_REGIONS_BYTES},
                {VHDX_REGIONS2_AT, VHDX_REGIONS_BYTES}};

    for (unsigned file = 0; file < 2; file++) {
        uint64_t size = input->sizes[file];
        uint8_t head[8];

        input_read(input, file, 0, head, sizeof head);
        repair_footer(input, file, 0, room);
        for (unsigned short_by = 0; short_by < 2 && size >= FOOTER_BYTES; short_by++)
            repair_footer(input, file, size - FOOTER_BYTES + short_by, room + 4 + 4 * short_by);
        for (size_t i = 0; i < 4 && memcmp(head, "vhdxfile", sizeof head) == 0; i++)
            repair_crc(input, file, sums[i].offset, sums[i].length, room + 12 + 4 * i);
        room += INPUT_REPAIR_BYTES / 2;
    }
}
