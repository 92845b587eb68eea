// SPDX-License-Identifier: Apache-2.0
/*
 * CRC-32C: polynomial 0x1edc6f41, bits in reflected order. Eight bytes a step, by eight tables that
 * each call computes anew: that takes a few microseconds, and avoids global state and a page of
 * constants.
 */
#include "crc32c.h"

#include "bytes.h"

enum {
    CRC32C_STEP = 8,           /* bytes that one step takes */
    CRC32C_TABLES_FROM = 1024, /* for fewer bytes, computing the tables takes longer */
};

static const uint32_t polynomial = 0x82f63b78; /* reflected */

/* The checksum register after eight more zero bits. */
static uint32_t crc32c_byte(uint32_t crc)
{
    for (int bit = 0; bit < 8; bit++)
        crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
    return crc;
}

/* table[n][b]: the effect of byte b on the register after n more bytes. */
static void crc32c_tables(uint32_t table[CRC32C_STEP][256])
{
    for (uint32_t b = 0; b < 256; b++)
        table[0][b] = crc32c_byte(b);
    for (int n = 1; n < CRC32C_STEP; n++)
        for (int b = 0; b < 256; b++)
            table[n][b] = table[n - 1][b] >> 8 ^ table[0][table[n - 1][b] & 0xff];
}

static uint32_t crc32c_steps(uint32_t crc, const uint8_t *bytes, size_t steps)
{
    uint32_t table[CRC32C_STEP][256];

    crc32c_tables(table);
    for (; steps; steps--, bytes += CRC32C_STEP) {
        uint32_t low = crc ^ le32(bytes), high = le32(bytes + 4);

        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
              table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^
              table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
    }
    return crc;
}

uint32_t crc32c(uint32_t before, const uint8_t *bytes, size_t length)
{
    uint32_t crc = ~before;
    size_t steps = length >= CRC32C_TABLES_FROM ? length / CRC32C_STEP : 0;

    if (steps)
        crc = crc32c_steps(crc, bytes, steps);
    for (size_t i = steps * CRC32C_STEP; i < length; i++)
        crc = crc32c_byte(crc ^ bytes[i]);
    return ~crc;
}
